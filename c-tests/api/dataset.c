/* Datasets: what they are, and what of them can be selected. */
#include "datasets.h"
#include <unistd.h>

static void shapes(const aq_reader *reader)
{
    aq_dataset *cube = open_dataset(reader, "cube"), *plain = open_dataset(reader, "/plain");
    uint64_t shape[3] = {0, 0, 0};
    size_t ndim = 0;
    CHECK_OK(aq_dataset_shape(cube, shape, 3, &ndim));
    CHECK_EQ(ndim, 3);
    CHECK(shape[0] == 6 && shape[1] == 7 && shape[2] == 8);
    CHECK_OK(aq_dataset_max_shape(cube, shape, 3, &ndim));
    CHECK(ndim == 3 && shape[0] == 6 && shape[2] == 8);
    CHECK_OK(aq_dataset_chunk_shape(cube, shape, 3, &ndim));
    CHECK(ndim == 3 && shape[0] == 2 && shape[1] == 3 && shape[2] == 4);
    ndim = 0;
    CHECK_ERROR(aq_dataset_shape(cube, shape, 2, &ndim), AQ_E_TRUNCATED, "capacity must be at least 3 (got 2)");
    CHECK_EQ(ndim, 3);
    CHECK_OK(aq_dataset_chunk_shape(plain, NULL, 0, &ndim));
    CHECK_EQ(ndim, 0);
    CHECK_OK(aq_dataset_free(cube));
    CHECK_OK(aq_dataset_free(plain));
    CHECK_OK(aq_dataset_free(NULL));
}

static void ways(const aq_reader *reader)
{
    static const struct {
        const char *name;
        int32_t kind;
        const char *reason;
    } expected[] = {
        {"plain", AQ_PATH_CONTIGUOUS, ""},
        {"gzip", AQ_PATH_CHUNKS, ""},
        {"compact", AQ_PATH_LIBRARY, "its elements are in its header (compact layout)"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        aq_dataset *dataset = open_dataset(reader, expected[i].name);
        char reason[100] = "?";
        int32_t kind = -1;
        size_t needed = 0;
        CHECK_OK(aq_dataset_path_kind(dataset, &kind));
        CHECK_EQ(kind, expected[i].kind);
        CHECK_OK(aq_dataset_path_reason(dataset, reason, sizeof reason, &needed));
        CHECK_TEXT(reason, expected[i].reason);
        CHECK_EQ(needed, strlen(expected[i].reason) + 1);
        CHECK_OK(aq_dataset_free(dataset));
    }
}

static void types(const aq_reader *reader)
{
    aq_dataset *table = open_dataset(reader, "table"), *big = open_dataset(reader, "big");
    aq_element_type type;
    size_t count = 0;
    CHECK_OK(aq_element_type_init(&type, sizeof type));
    CHECK_OK(aq_dataset_dtype(table, &type));
    CHECK_TEXT(type.dtype, "[[\"time\",\"<f8\"],[\"n\",\"<u4\"],[\"wave\",\"<i2\",[3]]]");
    CHECK(type.name == NULL && type.kind == AQ_ELEMENT_RECORD);
    CHECK_EQ(type.size, 18);
    CHECK_EQ(type.n_fields, 3);
    CHECK_OK(aq_dataset_field_count(table, &count));
    CHECK_EQ(count, 3);
    CHECK_OK(aq_dataset_field(table, 0, &type));
    CHECK_TEXT(type.name, "time");
    CHECK(type.kind == AQ_ELEMENT_FLOAT && type.size == 8 && type.offset == 0 && type.ndim == 0);
    CHECK_OK(aq_dataset_field(table, 2, &type));
    CHECK_TEXT(type.name, "wave");
    CHECK_TEXT(type.dtype, "<i2");
    CHECK(type.kind == AQ_ELEMENT_INT && type.size == 6 && type.item_size == 2 && type.offset == 12);
    CHECK(type.ndim == 1 && type.shape[0] == 3);
    CHECK_ERROR(aq_dataset_field(table, 3, &type), AQ_E_NOT_FOUND, "index must be less than 3");
    CHECK_OK(aq_dataset_dtype(big, &type));
    CHECK_TEXT(type.dtype, ">i2");
    CHECK_EQ(type.big_endian, 1);
    CHECK_OK(aq_dataset_field_count(big, &count));
    CHECK_EQ(count, 0);
    CHECK_OK(aq_dataset_free(table));
    CHECK_OK(aq_dataset_free(big));
}

static void selected(const aq_selection *selection, const aq_dataset *dataset, size_t ndim, uint64_t a, uint64_t b,
                     uint64_t c)
{
    uint64_t shape[4] = {0, 0, 0, 0};
    size_t found = 99;
    CHECK_OK(aq_selection_shape(selection, dataset, shape, 4, &found));
    CHECK_EQ(found, ndim);
    CHECK_EQ(shape[0], a);
    CHECK_EQ(shape[1], b);
    CHECK_EQ(shape[2], c);
}

static void selections(const aq_reader *reader)
{
    aq_dataset *cube = open_dataset(reader, "cube"), *table = open_dataset(reader, "table");
    aq_selection *selection = NULL;
    const int64_t list[] = {5, -1, 0, 5};
    const uint8_t mask[] = {0, 1, 0, 2, 0, 0, 0, 255};
    size_t ndim;
    CHECK_OK(aq_selection_new(&selection));
    selected(NULL, cube, 3, 6, 7, 8);
    selected(selection, cube, 3, 6, 7, 8);
    CHECK_OK(aq_selection_list(selection, 0, list, 4));
    CHECK_OK(aq_selection_mask(selection, 2, mask, 8));
    selected(selection, cube, 3, 4, 7, 3);
    CHECK_OK(aq_selection_slice(selection, 1, AQ_SLICE_OPEN, AQ_SLICE_OPEN, -2));
    CHECK_OK(aq_selection_index(selection, 0, -6));
    selected(selection, cube, 2, 4, 3, 0);
    CHECK_OK(aq_selection_all(selection, 2));
    selected(selection, cube, 2, 4, 8, 0);
    CHECK_OK(aq_selection_slice(selection, 1, 2, 1000, 1));
    selected(selection, cube, 2, 5, 8, 0);
    CHECK_OK(aq_selection_list(selection, 1, NULL, 0));
    selected(selection, cube, 2, 0, 8, 0);
    CHECK_OK(aq_selection_index(selection, 1, 0));
    CHECK_OK(aq_selection_index(selection, 2, 0));
    selected(selection, cube, 0, 0, 0, 0);
    CHECK_OK(aq_selection_index(selection, 0, 6));
    CHECK_ERROR(aq_selection_shape(selection, cube, NULL, 0, &ndim), AQ_E_INVALID,
                "an index of axis 0 must be within -6 to 5 (got 6)");
    CHECK_ERROR(aq_selection_shape(selection, table, NULL, 0, &ndim), AQ_E_INVALID,
                "a selection must have at most 1 axes (got 3)");
    CHECK_OK(aq_selection_all(selection, 1));
    CHECK_OK(aq_selection_all(selection, 2));
    CHECK_OK(aq_selection_field(selection, "wave"));
    selected(selection, table, 0, 0, 0, 0);
    CHECK_OK(aq_selection_field(selection, "waves"));
    CHECK_ERROR(aq_selection_shape(selection, table, NULL, 0, &ndim), AQ_E_NOT_FOUND,
                "field must be one of the dataset: time, n, wave (got waves)");
    CHECK_OK(aq_selection_field(selection, NULL));
    CHECK_OK(aq_selection_mask(selection, 0, mask, 8));
    CHECK_ERROR(aq_selection_shape(selection, table, NULL, 0, &ndim), AQ_E_INVALID,
                "a mask of axis 0 must have 50 values, one for each element (got 8)");
    CHECK_OK(aq_selection_free(selection));
    CHECK_OK(aq_selection_free(NULL));
    CHECK_OK(aq_dataset_free(cube));
    CHECK_OK(aq_dataset_free(table));
}

static void copy(const char *from, const char *to)
{
    char buffer[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    CHECK(in != NULL && out != NULL);
    if (in != NULL && out != NULL) {
        size_t size = fread(buffer, 1, sizeof buffer, in);
        CHECK(size > 30000 && fwrite(buffer, 1, size, out) == size);
    }
    if (in != NULL)
        fclose(in);
    if (out != NULL)
        fclose(out);
}

static void refreshed(void)
{
    char path[64], other[64];
    aq_reader *reader = NULL;
    aq_dataset *dataset;
    uint64_t shape[2];
    size_t ndim;
    snprintf(path, sizeof path, "refreshed-%ld.h5", (long)getpid());
    snprintf(other, sizeof other, "other-%ld.h5", (long)getpid());
    copy(data_path("random.h5"), path);
    CHECK_OK(aq_reader_open(path, NULL, &reader));
    dataset = open_dataset(reader, "gzip");
    CHECK_OK(aq_dataset_refresh(dataset));
    CHECK_OK(aq_dataset_shape(dataset, shape, 2, &ndim));
    CHECK_EQ(shape[0], DATASET_ROWS);
    copy(path, other);
    CHECK_EQ(rename(other, path), 0);
    CHECK_ERROR(aq_dataset_refresh(dataset), AQ_E_STATE, "is another file now");
    unlink(path);
    CHECK_ERROR(aq_dataset_refresh(dataset), AQ_E_IO, path);
    CHECK_OK(aq_dataset_shape(dataset, shape, 2, &ndim));
    CHECK_EQ(shape[0], DATASET_ROWS);
    CHECK_OK(aq_dataset_free(dataset));
    CHECK_OK(aq_reader_free(reader));
}

int main(void)
{
    aq_reader *reader;
    aq_dataset *none = NULL;
    if (!datasets_are_there())
        return check_done();
    reader = open_reader(1);
    shapes(reader);
    ways(reader);
    types(reader);
    selections(reader);
    refreshed();
    CHECK_ERROR(aq_reader_get_dataset(reader, "nothing", &none), AQ_E_NOT_FOUND, "dataset nothing of");
    CHECK_ERROR(aq_reader_get_dataset(reader, "group", &none), AQ_E_FORMAT, "group");
    CHECK_ERROR(aq_reader_get_dataset(reader, "text", &none), AQ_E_UNSUPPORTED, "no axes");
    CHECK(none == NULL);
    none = open_dataset(reader, "group/one");
    CHECK_OK(aq_dataset_free(none));
    CHECK_OK(aq_reader_free(reader));
    return check_done();
}

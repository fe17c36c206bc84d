/* What a caller can get wrong with readers of datasets, and with what belongs to them. */
#include "misuse/handles.h"
#include "datasets.h"
#include "sized.h"

static aq_status use_config(const void *config)
{
    aq_reader *reader = NULL;
    aq_status status;
    if (config == NULL) /* the defaults; the checks of structs expect an error */
        return aq_reader_config_init(NULL, sizeof(aq_reader_config));
    status = aq_reader_open(data_path("random.h5"), (const aq_reader_config *)config, &reader);
    aq_reader_free(reader);
    return status;
}

static void sizes(void)
{
    aq_reader_config config;
    CHECK_SIZED_INIT(aq_reader_config, aq_reader_config_init);
    CHECK_SIZED_INIT(aq_reader_stats, aq_reader_stats_init);
    CHECK_SIZED_INIT(aq_element_type, aq_element_type_init);
    if (!datasets_are_there())
        return;
    CHECK_OK(aq_reader_config_init(&config, sizeof config));
    check_sized_input(&config, sizeof config, use_config);
    config.n_threads = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "threads must be between 1 and 4096 (got 0)");
    config.n_threads = 4097;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "(got 4097)");
    config.n_threads = 1;
    config.native = -1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "config: native must be 0 or 1 (got -1)");
    config.native = 0;
    config.reserved = 1;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "config: reserved must be 0 (got 1)");
}

static void nulls(aq_reader *reader, aq_dataset *dataset, aq_stage *stage, aq_selection *selection)
{
    aq_element_type type, empty;
    aq_array_view view;
    aq_reader *no_reader = NULL;
    aq_dataset *no_dataset = NULL;
    aq_stage *no_stage = NULL;
    aq_stage_pool *pool = NULL;
    aq_future *future = NULL;
    aq_request_pool *requests = NULL;
    uint64_t shape[2] = {7, 7};
    size_t ndim = 7;
    int32_t items[10];
    const int64_t rows[] = {2, -1, 1}, wrong[] = {-2}, huge[] = {INT64_MAX};
    CHECK_ERROR(aq_reader_open(NULL, NULL, &no_reader), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_reader_open("", NULL, &no_reader), AQ_E_INVALID, "path must not be empty");
    CHECK_ERROR(aq_reader_open(data_path("random.h5"), NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_reader_get_dataset(reader, NULL, &no_dataset), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_reader_get_dataset(reader, "\xff", &no_dataset), AQ_E_INVALID, "name must be UTF-8");
    CHECK_ERROR(aq_reader_get_dataset(reader, "gzip", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_shape(dataset, NULL, 2, &ndim), AQ_E_INVALID, "shape must not be NULL");
    CHECK_ERROR(aq_dataset_shape(dataset, shape, 2, NULL), AQ_E_INVALID, "ndim must not be NULL");
    CHECK_ERROR(aq_dataset_path_kind(dataset, NULL), AQ_E_INVALID, "kind must not be NULL");
    CHECK_ERROR(aq_dataset_field_count(dataset, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_dataset_dtype(dataset, NULL), AQ_E_INVALID, "element must not be NULL");
    memset(&empty, 0, sizeof empty);
    CHECK_ERROR(aq_dataset_dtype(dataset, &empty), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_element_type_init(&type, sizeof type));
    CHECK_ERROR(aq_dataset_field(dataset, 0, &type), AQ_E_NOT_FOUND, "index must be less than 0");
    CHECK_ERROR(aq_selection_new(NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_selection_index(selection, 32, 0), AQ_E_INVALID, "axis must be less than 32 (got 32)");
    CHECK_ERROR(aq_selection_slice(selection, 0, 0, 1, 0), AQ_E_INVALID, "step must not be 0");
    CHECK_ERROR(aq_selection_list(selection, 0, NULL, 1), AQ_E_INVALID, "indexes must not be NULL");
    CHECK_ERROR(aq_selection_mask(selection, 0, NULL, 1), AQ_E_INVALID, "mask must not be NULL");
    CHECK_ERROR(aq_selection_field(selection, "\xff"), AQ_E_INVALID, "field must be UTF-8");
    CHECK_ERROR(aq_selection_shape(selection, NULL, shape, 2, &ndim), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_stage_new(NULL, rows, 1, &no_stage), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_stage_new(dataset, NULL, 1, &no_stage), AQ_E_INVALID, "shape must not be NULL");
    CHECK_ERROR(aq_stage_new(dataset, rows, 3, &no_stage), AQ_E_INVALID, "ndim must be at most 2");
    CHECK_ERROR(aq_stage_new(dataset, wrong, 1, &no_stage), AQ_E_INVALID, "shape[0] must be -1 or not negative (got -2)");
    CHECK_ERROR(aq_stage_new(dataset, huge, 1, &no_stage), AQ_E_INVALID, "larger than memory");
    CHECK_ERROR(aq_stage_pool_new(dataset, rows, 2, 0, &pool), AQ_E_INVALID, "stages must be 1 to");
    CHECK_ERROR(aq_stage_pool_new(dataset, rows, 2, SIZE_MAX, &pool), AQ_E_INVALID, "stages must be 1 to");
    CHECK(no_reader == NULL && no_dataset == NULL && no_stage == NULL && pool == NULL);
    CHECK_ERROR(aq_reader_request(NULL, dataset, NULL, stage, &future), AQ_E_INVALID, "reader must not be NULL");
    CHECK_ERROR(aq_reader_request(reader, NULL, NULL, stage, &future), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_reader_request(reader, dataset, NULL, NULL, &future), AQ_E_INVALID, "stage must not be NULL");
    CHECK_ERROR(aq_reader_request(reader, dataset, NULL, stage, NULL), AQ_E_INVALID, "future must not be NULL");
    CHECK_OK(aq_stage_pool_new(dataset, rows, 2, 1, &pool));
    CHECK_ERROR(aq_reader_request_pooled(reader, dataset, NULL, pool, -2, &future), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_reader_request_pooled(reader, dataset, NULL, NULL, 0, &future), AQ_E_INVALID, "pool must not be NULL");
    CHECK_ERROR(aq_reader_close(reader, -2), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_request_pool_new(NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_OK(aq_request_pool_new(&requests));
    CHECK_ERROR(aq_request_pool_next(requests, 0, NULL), AQ_E_INVALID, "future must not be NULL");
    CHECK_ERROR(aq_request_pool_next(requests, -2, &future), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_request_pool_add(requests, NULL), AQ_E_INVALID, "future must not be NULL");
    CHECK_ERROR(aq_request_pool_fd(requests, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_OK(aq_request_pool_free(requests));
    CHECK(future == NULL);

    /* Mistakes with a future take nothing. */
    CHECK_OK(aq_selection_slice(selection, 0, 0, 2, 1));
    CHECK_OK(aq_reader_request_pooled(reader, dataset, selection, pool, 0, &future));
    CHECK_OK(aq_array_view_init(&view, sizeof view));
    CHECK_ERROR(aq_future_get(future, AQ_WAIT_FOREVER, NULL, sizeof items), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_future_get(future, -2, items, sizeof items), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_future_get_direct(future, AQ_WAIT_FOREVER, NULL, NULL), AQ_E_INVALID, "function must not be NULL");
    CHECK_ERROR(aq_future_acquire(future, AQ_WAIT_FOREVER, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_future_size(future, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_OK(aq_future_acquire(future, AQ_WAIT_FOREVER, &view));
    CHECK_ERROR(aq_future_acquire(future, AQ_WAIT_FOREVER, &view), AQ_E_STATE, "release it first");
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_stage_pool_free(pool));
}

#define CHECK_KINDS(type, name, call)                                                                                 \
    for (int kind = 0; kind < KINDS; kind++) {                                                                        \
        type *wrong = (type *)h.of[kind];                                                                             \
        CHECK_ERROR(call, AQ_E_INVALID, name);                                                                        \
    }                                                                                                                 \
    {                                                                                                                 \
        type *wrong = NULL;                                                                                           \
        CHECK_ERROR(call, AQ_E_INVALID, name " must not be NULL");                                                    \
    }

static void kinds(void)
{
    struct handles h;
    uint64_t shape[1];
    size_t n = 0;
    aq_reader_stats stats;
    aq_future *future = NULL;
    char text[8];
    handles_open(&h);
    CHECK_OK(aq_reader_stats_init(&stats, sizeof stats));
    CHECK_KINDS(aq_reader, "reader", aq_reader_stop(wrong))
    CHECK_KINDS(aq_reader, "reader", aq_reader_close(wrong, 0))
    CHECK_KINDS(aq_reader, "reader", aq_reader_get_stats(wrong, &stats))
    CHECK_KINDS(aq_dataset, "dataset", aq_dataset_shape(wrong, shape, 1, &n))
    CHECK_KINDS(aq_dataset, "dataset", aq_dataset_max_shape(wrong, shape, 1, &n))
    CHECK_KINDS(aq_dataset, "dataset", aq_dataset_chunk_shape(wrong, shape, 1, &n))
    CHECK_KINDS(aq_dataset, "dataset", aq_dataset_path_reason(wrong, text, sizeof text, &n))
    CHECK_KINDS(aq_dataset, "dataset", aq_dataset_refresh(wrong))
    CHECK_KINDS(aq_selection, "selection", aq_selection_all(wrong, 0))
    CHECK_KINDS(aq_selection, "selection", aq_selection_field(wrong, NULL))
    CHECK_KINDS(aq_stage, "stage", aq_stage_size(wrong, &n))
    CHECK_KINDS(aq_stage_pool, "pool", aq_stage_pool_free_count(wrong, &n))
    CHECK_KINDS(aq_future, "future", aq_future_size(wrong, &n))
    CHECK_KINDS(aq_future, "future", aq_future_shape(wrong, shape, 1, &n))
    CHECK_KINDS(aq_future, "future", aq_future_get(wrong, 0, shape, sizeof shape))
    CHECK_KINDS(aq_request_pool, "pool", aq_request_pool_next(wrong, 0, &future))
    CHECK_KINDS(aq_request_pool, "pool", aq_request_pool_close(wrong))
    for (int kind = 0; kind < KINDS; kind++) {
        CHECK_ERROR(aq_reader_free((aq_reader *)h.of[kind]), AQ_E_INVALID, "reader");
        CHECK_ERROR(aq_dataset_free((aq_dataset *)h.of[kind]), AQ_E_INVALID, "dataset");
        CHECK_ERROR(aq_selection_free((aq_selection *)h.of[kind]), AQ_E_INVALID, "selection");
        CHECK_ERROR(aq_stage_free((aq_stage *)h.of[kind]), AQ_E_INVALID, "stage");
        CHECK_ERROR(aq_stage_pool_free((aq_stage_pool *)h.of[kind]), AQ_E_INVALID, "pool");
        CHECK_ERROR(aq_future_free((aq_future *)h.of[kind]), AQ_E_INVALID, "future");
        CHECK_ERROR(aq_request_pool_free((aq_request_pool *)h.of[kind]), AQ_E_INVALID, "pool");
    }
    handles_close(&h);
}

int main(void)
{
    sizes();
    kinds();
    if (datasets_are_there()) {
        aq_reader *reader = open_reader(1);
        aq_dataset *dataset = open_dataset(reader, "gzip");
        aq_stage *stage = stage_of_rows(dataset, 2);
        aq_selection *selection = NULL;
        CHECK_OK(aq_selection_new(&selection));
        nulls(reader, dataset, stage, selection);
        CHECK_OK(aq_selection_free(selection));
        CHECK_OK(aq_stage_free(stage));
        CHECK_OK(aq_dataset_free(dataset));
        CHECK_OK(aq_reader_free(reader));
    }
    return check_done();
}

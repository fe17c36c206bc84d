/* What a caller can get wrong with histories. */
#include "misuse/handles.h"
#include "streams.h"
#include "sized.h"

static const size_t shape[] = {10, CHANNELS};

static aq_history_config valid(void)
{
    aq_history_config config;
    CHECK_OK(aq_history_config_init(&config, sizeof config));
    config.dtype = "<i2";
    config.shape = shape;
    config.ndim = 2;
    return config;
}

static aq_status use_config(const void *config)
{
    aq_history *history = NULL;
    aq_status status = aq_history_new((const aq_history_config *)config, &history);
    if (status != AQ_OK)
        CHECK(history == NULL);
    aq_history_free(history);
    return status;
}

static void sizes(void)
{
    aq_history_config config = valid();
    CHECK_SIZED_INIT(aq_history_config, aq_history_config_init);
    check_sized_input(&config, sizeof config, use_config);
}

#define CHECK_FIELD(field, value, status, message)                                                                    \
    do {                                                                                                              \
        aq_history_config config = valid();                                                                           \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_config(&config), status, message);                                                            \
    } while (0)

static void fields(void)
{
    const size_t none[] = {0, 2}, empty[] = {10, 0}, huge[] = {SIZE_MAX, 2}, large[] = {SIZE_MAX / 64, 2};
    const size_t twice[] = {1, 1}, apart[] = {1, 0}, wide[] = {4, 2000};
    CHECK_FIELD(dtype, "x", AQ_E_FORMAT, "x");
    CHECK_FIELD(dtype, "\xff", AQ_E_INVALID, "dtype must be UTF-8");
    CHECK_FIELD(ndim, 0, AQ_E_INVALID, "shape must have 1 to 64 axes (got 0)");
    CHECK_FIELD(ndim, 65, AQ_E_INVALID, "shape must have 1 to 64 axes (got 65)");
    CHECK_FIELD(shape, NULL, AQ_E_INVALID, "shape must not be NULL");
    CHECK_FIELD(shape, none, AQ_E_INVALID, "frames must be at least 1 (got 0)");
    CHECK_FIELD(shape, empty, AQ_E_INVALID, "a frame must have at least one byte");
    CHECK_FIELD(shape, huge, AQ_E_NOMEM, "too large");
    CHECK_FIELD(shape, large, AQ_E_NOMEM, "history of");
    CHECK_FIELD(axisorder, twice, AQ_E_INVALID, "axisorder must have each of the 2 axes once (got [1, 1])");
    CHECK_FIELD(shared, 2, AQ_E_INVALID, "shared must be 0 or 1 (got 2)");
    CHECK_FIELD(reserved, 1, AQ_E_VERSION, "config: reserved must be 0 (got 1)");
    {
        aq_history_config config = valid();
        config.shape = NULL;
        config.ndim = 0;
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, "shape must not be NULL");
        config = valid();
        config.shared = 1;
        config.shape = large;
        CHECK_ERROR(use_config(&config), AQ_E_NOMEM, "history of");
        config.shape = wide;
        config.axisorder = apart;
        CHECK_ERROR(use_config(&config), AQ_E_UNSUPPORTED, "axisorder of a shared history");
    }
}

static void numbers(void)
{
    aq_history_config config = valid();
    aq_history *history = NULL;
    aq_array_view view = signal_view();
    const int16_t data[CHANNELS * 11] = {0};
    int16_t copy[4];
    CHECK_OK(aq_history_new(&config, &history));
    CHECK_ERROR(aq_history_append(history, NULL, 1, AQ_INDEX_NEXT), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_history_append(history, data, 11, AQ_INDEX_NEXT), AQ_E_INVALID, "at most 10 frames (got 11)");
    CHECK_ERROR(aq_history_append(history, data, SIZE_MAX, AQ_INDEX_NEXT), AQ_E_INVALID, "no memory holds");
    CHECK_ERROR(aq_history_append(history, data, 2, -2), AQ_E_INVALID, "index must be AQ_INDEX_NEXT or at least 0 (got -2)");
    CHECK_ERROR(aq_history_append(history, data, 2, 1), AQ_E_INVALID, "index must be at least 2");
    CHECK_ERROR(aq_history_get(history, -11, 0, &view), AQ_E_NOT_FOUND, "has frames -10 to 0 (got -11 to 0)");
    CHECK_ERROR(aq_history_get(history, 0, 1, &view), AQ_E_NOT_FOUND, "has frames -10 to 0");
    CHECK_ERROR(aq_history_get(history, 0, -1, &view), AQ_E_NOT_FOUND, "has frames -10 to 0");
    CHECK_ERROR(aq_history_latest(history, 11, &view), AQ_E_NOT_FOUND, "has frames -10 to 0");
    CHECK_ERROR(aq_history_copy(history, -2, 0, copy, 7), AQ_E_TRUNCATED, "size must be at least 8, the bytes of these frames (got 7)");
    CHECK_ERROR(aq_history_copy(history, -2, 0, NULL, 8), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_history_wait(history, 1, -2), AQ_E_INVALID, "timeout_ns must be");
    /* The last index that there is. */
    CHECK_OK(aq_history_append(history, data, 2, INT64_MAX));
    CHECK_ERROR(aq_history_append(history, data, 1, AQ_INDEX_NEXT), AQ_E_STATE, "the index cannot grow any more");
    CHECK_OK(aq_history_latest(history, 2, &view));
    CHECK_ERROR(aq_history_latest(history, 2, &view), AQ_E_STATE, "it holds frames");
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_history_free(history));
}

#define CHECK_HISTORY(call) CHECK_WRONG_HANDLES(h, HISTORY, aq_history, "history", call)

static void handles(void)
{
    struct handles h;
    aq_history_config config = valid();
    aq_array_view view = signal_view();
    aq_history *history, *out = NULL;
    int16_t data[2] = {0};
    int64_t index = 99;
    char text[8];
    handles_open(&h);
    history = (aq_history *)h.of[HISTORY];
    CHECK_HISTORY(aq_history_name(wrong, text, sizeof text, NULL));
    CHECK_HISTORY(aq_history_get_config(wrong, &config));
    CHECK_HISTORY(aq_history_append(wrong, data, 1, AQ_INDEX_NEXT));
    CHECK_HISTORY(aq_history_get(wrong, 0, 0, &view));
    CHECK_HISTORY(aq_history_get_slice(wrong, 0, 0, 1, &view));
    CHECK_HISTORY(aq_history_latest(wrong, 0, &view));
    CHECK_HISTORY(aq_history_copy(wrong, 0, 0, text, sizeof text));
    CHECK_HISTORY(aq_history_first_index(wrong, &index));
    CHECK_HISTORY(aq_history_index(wrong, &index));
    CHECK_HISTORY(aq_history_wait(wrong, 0, 0));
    CHECK_HISTORY(aq_history_reset(wrong));
    CHECK_HISTORY(aq_history_free(wrong));
    config = valid();
    CHECK_ERROR(aq_history_new(&config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_history_open("x", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_history_open(NULL, &out), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_history_open("", &out), AQ_E_INVALID, "1 to 100 bytes");
    CHECK_ERROR(aq_history_open("\xff", &out), AQ_E_INVALID, "name must be UTF-8");
    CHECK_ERROR(aq_history_open("aqueduct-0-nobody", &out), AQ_E_NOT_FOUND, "there is none of that name");
    CHECK_ERROR(aq_history_get_config(history, NULL), AQ_E_INVALID, "config must not be NULL");
    CHECK_ERROR(aq_history_get(history, 0, 0, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_history_get_slice(history, 0, 0, 1, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_history_latest(history, 0, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_history_first_index(history, NULL), AQ_E_INVALID, "index must not be NULL");
    CHECK_ERROR(aq_history_index(history, NULL), AQ_E_INVALID, "index must not be NULL");
    CHECK(out == NULL && view.held == NULL);
    CHECK_EQ(index, 99);
    { /* what is shared, but is no history */
        aq_output_stream_config shm = signal_config(AQ_PROTOCOL_SHM);
        aq_output_stream *output = signal_output(&shm);
        char address[200];
        CHECK_OK(aq_output_stream_address(output, address, sizeof address, NULL));
        CHECK_ERROR(aq_history_open(address + strlen("shm://"), &out), AQ_E_FORMAT, "it is no history");
        CHECK_OK(aq_output_stream_free(output));
    }
    handles_close(&h);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    sizes();
    fields();
    numbers();
    handles();
    return check_done();
}

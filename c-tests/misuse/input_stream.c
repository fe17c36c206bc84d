/* What a caller can get wrong with inputs and views. */
#include "misuse/handles.h"
#include "streams.h"
#include "sized.h"

static const char *json;

static aq_status use_config(const void *config)
{
    aq_input_stream *input = NULL;
    aq_status status;
    if (config == NULL) { /* the defaults; the checks of structs expect an error */
        CHECK_OK(aq_input_stream_connect(json, NULL, &input));
        aq_input_stream_free(input);
        return aq_input_stream_config_init(NULL, sizeof(aq_input_stream_config));
    }
    status = aq_input_stream_connect(json, (const aq_input_stream_config *)config, &input);
    if (status != AQ_OK)
        CHECK(input == NULL);
    aq_input_stream_free(input);
    return status;
}

static void sizes(void)
{
    aq_input_stream_config config = signal_input_config();
    CHECK_SIZED_INIT(aq_input_stream_config, aq_input_stream_config_init);
    CHECK_SIZED_INIT(aq_input_stream_stats, aq_input_stream_stats_init);
    CHECK_SIZED_INIT(aq_array_view, aq_array_view_init);
    check_sized_input(&config, sizeof config, use_config);
}

#define CHECK_FIELD(field, value, status, message)                                                                    \
    do {                                                                                                              \
        aq_input_stream_config config = signal_input_config();                                                        \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_config(&config), status, message);                                                            \
    } while (0)

static void fields(void)
{
    CHECK_FIELD(require_protocol, 4, AQ_E_INVALID, "require_protocol must be one of AQ_PROTOCOL_* (got 4)");
    CHECK_FIELD(require_protocol, -2, AQ_E_INVALID, "require_protocol must be one of AQ_PROTOCOL_* (got -2)");
    CHECK_FIELD(require_transfermode, 2, AQ_E_INVALID, "require_transfermode must be one of AQ_TRANSFER_* (got 2)");
    CHECK_FIELD(require_dtype, "x", AQ_E_FORMAT, "x");
    CHECK_FIELD(require_dtype, "\xff", AQ_E_INVALID, "require_dtype must be UTF-8");
    CHECK_FIELD(require_ndim, 2, AQ_E_INVALID, "require_shape must not be NULL");
    CHECK_FIELD(require_ndim, 65, AQ_E_INVALID, "require_shape must have 1 to 64 axes (got 65)");
    CHECK_FIELD(require_shape, signal_shape, AQ_E_INVALID, "require_shape must have 1 to 64 axes (got 0)");
    CHECK_FIELD(overrides_json, "1", AQ_E_FORMAT, "overrides_json must be a JSON object (got 1)");
    CHECK_FIELD(overrides_json, "{\"port\": {}}", AQ_E_FORMAT, "port must be a text");
    CHECK_FIELD(connect_timeout_ns, -2, AQ_E_INVALID, "timeout_ns must be AQ_WAIT_FOREVER, 0 or positive (got -2)");
    CHECK_FIELD(reserved, 1, AQ_E_VERSION, "config: reserved must be 0 (got 1)");
    if (aq_has_feature("zmq")) {
        CHECK_FIELD(overrides_json, "{\"protocol\": \"tcp\"}", AQ_E_INVALID, "port must be 1 to 65535");
        CHECK_FIELD(overrides_json, "{\"protocol\": \"tcp\", \"port\": \"1\", \"transfermode\": \"sharedmem\"}",
                    AQ_E_INVALID, "buffer_size must be 1 to");
    }
}

static void params(void)
{
    aq_input_stream *input = NULL;
    char *longest = (char *)malloc((2 << 20) + 1);
    CHECK_ERROR(aq_input_stream_connect(NULL, NULL, &input), AQ_E_INVALID, "params_json must not be NULL");
    CHECK_ERROR(aq_input_stream_connect(json, NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_input_stream_connect("\xff", NULL, &input), AQ_E_INVALID, "params_json must be UTF-8");
    CHECK_ERROR(aq_input_stream_connect("", NULL, &input), AQ_E_FORMAT, "params: not JSON");
    CHECK_ERROR(aq_input_stream_connect("[]", NULL, &input), AQ_E_FORMAT, "params must be a JSON object (got [])");
    CHECK_ERROR(aq_input_stream_connect("{\"dtype\": \"x\"}", NULL, &input), AQ_E_FORMAT, "x");
    CHECK_ERROR(aq_input_stream_connect("{\"shape\": [-1, 0]}", NULL, &input), AQ_E_FORMAT, "shape must be positive");
    CHECK_ERROR(aq_input_stream_connect("{\"protocol\": \"udp\"}", NULL, &input), AQ_E_FORMAT, "protocol must be tcp, ipc, inproc, shm");
    CHECK_ERROR(aq_input_stream_connect("{\"protocol\": \"shm\", \"interface\": \"\"}", NULL, &input), AQ_E_INVALID, "1 to 100 bytes");
    memset(longest, '[', 2 << 20);
    longest[2 << 20] = 0;
    CHECK_ERROR(aq_input_stream_connect(longest, NULL, &input), AQ_E_FORMAT, "params must be at most 1048576 bytes");
    longest[1 << 19] = 0;
    CHECK_ERROR(aq_input_stream_connect(longest, NULL, &input), AQ_E_FORMAT, "params: not JSON");
    CHECK(input == NULL);
    free(longest);
}

static void buffers(aq_input_stream *input)
{
    const size_t twice[] = {0, 0};
    aq_array_view view = signal_view();
    CHECK_ERROR(aq_input_stream_set_buffer(input, 5, NULL, NAN, 2), AQ_E_INVALID, "shared must be 0 or 1 (got 2)");
    CHECK_ERROR(aq_input_stream_set_buffer(input, 5, twice, NAN, 0), AQ_E_INVALID, "axisorder must have each of the 2 axes once");
    CHECK_ERROR(aq_input_stream_set_buffer(input, SIZE_MAX, NULL, NAN, 0), AQ_E_NOMEM, "too large");
    CHECK_ERROR(aq_input_stream_set_buffer(input, SIZE_MAX / 32, NULL, NAN, 0), AQ_E_NOMEM, "history of");
    CHECK_ERROR(aq_input_stream_set_buffer(input, SIZE_MAX / 32, NULL, NAN, 1), AQ_E_NOMEM, "history of");
    CHECK_ERROR(aq_input_stream_latest(input, 1, &view), AQ_E_STATE, "it keeps no frames");
    CHECK_OK(aq_input_stream_set_buffer(input, 5, NULL, NAN, 0));
    CHECK_ERROR(aq_input_stream_get_data(input, 0, INT64_MIN, &view), AQ_E_NOT_FOUND, "has frames");
    CHECK_ERROR(aq_input_stream_get_data(input, INT64_MIN, INT64_MAX, &view), AQ_E_NOT_FOUND, "has frames");
    CHECK_ERROR(aq_input_stream_latest(input, SIZE_MAX, &view), AQ_E_NOT_FOUND, "has frames");
    CHECK_ERROR(aq_input_stream_copy_data(input, -1, 0, NULL, 99), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_input_stream_get_slice(input, INT64_MIN, INT64_MIN, INT64_MIN, &view), AQ_E_NOT_FOUND, "has frames");
    CHECK_ERROR(aq_input_stream_get_slice(input, 0, 0, 0, &view), AQ_E_INVALID, "step must not be 0");
}

static void views(aq_input_stream *input)
{
    aq_array_view view = signal_view();
    CHECK_ERROR(aq_input_stream_recv(input, 0, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_input_stream_recv(input, -2, &view), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_input_stream_poll(input, -2), AQ_E_INVALID, "timeout_ns must be");
    view.struct_size = 0;
    CHECK_ERROR(aq_input_stream_recv(input, 0, &view), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_array_view_release(&view), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_array_view_check(&view), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_array_view_release(NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_array_view_check(NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_OK(aq_array_view_init(&view, sizeof view));
    view.held = input; /* something else */
    CHECK_ERROR(aq_array_view_release(&view), AQ_E_INVALID, "view: not an aq_array_view handle");
    CHECK_ERROR(aq_array_view_check(&view), AQ_E_INVALID, "view: not an aq_array_view handle");
    CHECK_ERROR(aq_input_stream_recv(input, 0, &view), AQ_E_STATE, "it holds frames");
}

#define CHECK_INPUT(call) CHECK_WRONG_HANDLES(h, INPUT_STREAM, aq_input_stream, "input", call)

static void handles(void)
{
    struct handles h;
    aq_input_stream_stats stats;
    aq_stream_info info;
    aq_array_view view = signal_view();
    aq_history *history = NULL;
    aq_input_stream *input;
    char text[8];
    int fd = 99;
    handles_open(&h);
    input = (aq_input_stream *)h.of[INPUT_STREAM];
    CHECK_OK(aq_input_stream_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_INPUT(aq_input_stream_params_json(wrong, text, sizeof text, NULL));
    CHECK_INPUT(aq_input_stream_get_info(wrong, &info));
    CHECK_INPUT(aq_input_stream_get_stats(wrong, &stats));
    CHECK_INPUT(aq_input_stream_poll(wrong, 0));
    CHECK_INPUT(aq_input_stream_recv(wrong, 0, &view));
    CHECK_INPUT(aq_input_stream_fd(wrong, &fd));
    CHECK_INPUT(aq_input_stream_empty_queue(wrong, NULL));
    CHECK_INPUT(aq_input_stream_reset_index(wrong));
    CHECK_INPUT(aq_input_stream_set_buffer(wrong, 1, NULL, NAN, 0));
    CHECK_INPUT(aq_input_stream_history(wrong, &history));
    CHECK_INPUT(aq_input_stream_get_data(wrong, 0, 0, &view));
    CHECK_INPUT(aq_input_stream_get_slice(wrong, 0, 0, 1, &view));
    CHECK_INPUT(aq_input_stream_latest(wrong, 0, &view));
    CHECK_INPUT(aq_input_stream_copy_data(wrong, 0, 0, text, sizeof text));
    CHECK_INPUT(aq_input_stream_free(wrong));
    CHECK_ERROR(aq_input_stream_params_json(input, NULL, 8, NULL), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_input_stream_get_info(input, NULL), AQ_E_INVALID, "info must not be NULL");
    CHECK_ERROR(aq_input_stream_get_stats(input, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_input_stream_fd(input, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_ERROR(aq_input_stream_history(input, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_input_stream_get_data(input, 0, 0, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_input_stream_get_slice(input, 0, 0, 1, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_ERROR(aq_input_stream_latest(input, 0, NULL), AQ_E_INVALID, "view must not be NULL");
    CHECK_EQ(fd, 99);
    CHECK(history == NULL && view.held == NULL);
    views(input);
    buffers(input);
    handles_close(&h);
}

int main(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    json = signal_params(output);
    sizes();
    fields();
    params();
    handles();
    CHECK_OK(aq_output_stream_free(output));
    return check_done();
}

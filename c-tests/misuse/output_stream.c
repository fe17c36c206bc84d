/* What a caller can get wrong with outputs. */
#include "misuse/handles.h"
#include "streams.h"
#include "sized.h"

static aq_status use_config(const void *config)
{
    aq_output_stream *output = NULL;
    aq_status status = aq_output_stream_new((const aq_output_stream_config *)config, &output);
    if (status != AQ_OK)
        CHECK(output == NULL);
    aq_output_stream_free(output);
    return status;
}

static void sizes(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    CHECK_SIZED_INIT(aq_output_stream_config, aq_output_stream_config_init);
    CHECK_SIZED_INIT(aq_output_stream_stats, aq_output_stream_stats_init);
    CHECK_SIZED_INIT(aq_output_stream_input, aq_output_stream_input_init);
    CHECK_SIZED_INIT(aq_stream_info, aq_stream_info_init);
    check_sized_input(&config, sizeof config, use_config);
}

#define CHECK_FIELD(protocol, field, value, status, message)                                                          \
    do {                                                                                                              \
        aq_output_stream_config config = signal_config(protocol);                                                     \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_config(&config), status, message);                                                            \
    } while (0)

enum { INPROC = AQ_PROTOCOL_INPROC, SHM = AQ_PROTOCOL_SHM, TCP = AQ_PROTOCOL_TCP, IPC = AQ_PROTOCOL_IPC };

static void fields(void)
{
    CHECK_FIELD(INPROC, protocol, 4, AQ_E_INVALID, "protocol must be one of AQ_PROTOCOL_* (got 4)");
    CHECK_FIELD(INPROC, protocol, -1, AQ_E_INVALID, "protocol must be one of AQ_PROTOCOL_* (got -1)");
    CHECK_FIELD(INPROC, transfermode, 2, AQ_E_INVALID, "transfermode must be one of AQ_TRANSFER_* (got 2)");
    CHECK_FIELD(INPROC, transfermode, 1, AQ_E_INVALID, "transfermode must be plaindata with protocol inproc");
    CHECK_FIELD(SHM, compression, 2, AQ_E_INVALID, "compression must be none with protocol shm (got blosc-lz4)");
    CHECK_FIELD(SHM, compression, 4, AQ_E_INVALID, "compression must be one of AQ_COMPRESSION_* (got 4)");
    CHECK_FIELD(INPROC, port, -1, AQ_E_INVALID, "port must be 0 to 65535 (got -1)");
    CHECK_FIELD(INPROC, port, 65536, AQ_E_INVALID, "port must be 0 to 65535 (got 65536)");
    CHECK_FIELD(INPROC, streamtype, 6, AQ_E_INVALID, "streamtype must be one of AQ_STREAM_* (got 6)");
    CHECK_FIELD(INPROC, streamtype, -1, AQ_E_INVALID, "streamtype must be one of AQ_STREAM_* (got -1)");
    CHECK_FIELD(INPROC, streamtype, AQ_STREAM_OTHER, AQ_E_INVALID, "streamtype_label must not be NULL");
    CHECK_FIELD(INPROC, streamtype_label, "x", AQ_E_INVALID, "streamtype must be AQ_STREAM_OTHER");
    CHECK_FIELD(INPROC, dtype, "", AQ_E_FORMAT, "dtype");
    CHECK_FIELD(INPROC, dtype, "float33", AQ_E_FORMAT, "float33");
    CHECK_FIELD(INPROC, dtype, "[[\"x\"]]", AQ_E_FORMAT, "a field must be a list of a name, a type");
    CHECK_FIELD(INPROC, dtype, "\xff", AQ_E_INVALID, "dtype must be UTF-8");
    CHECK_FIELD(INPROC, units, "\xff", AQ_E_INVALID, "units must be UTF-8");
    CHECK_FIELD(INPROC, ndim, 0, AQ_E_INVALID, "shape must have 1 to 64 axes (got 0)");
    CHECK_FIELD(INPROC, ndim, 65, AQ_E_INVALID, "shape must have 1 to 64 axes (got 65)");
    CHECK_FIELD(INPROC, shape, NULL, AQ_E_INVALID, "shape must not be NULL");
    CHECK_FIELD(INPROC, sample_rate, 0, AQ_E_FORMAT, "sample_rate must be a positive number of frames per second (got 0)");
    CHECK_FIELD(INPROC, sample_rate, NAN, AQ_E_FORMAT, "sample_rate must be a positive number");
    CHECK_FIELD(INPROC, sample_rate, INFINITY, AQ_E_FORMAT, "sample_rate must be a positive number");
    CHECK_FIELD(INPROC, doubled, 2, AQ_E_INVALID, "doubled must be 0 or 1 (got 2)");
    CHECK_FIELD(INPROC, overflow, 3, AQ_E_INVALID, "overflow must be one of AQ_OVERFLOW_* (got 3)");
    CHECK_FIELD(INPROC, queue_chunks, 0, AQ_E_INVALID, "queue_chunks must be 1 to 65536 (got 0)");
    CHECK_FIELD(INPROC, queue_chunks, 65537, AQ_E_INVALID, "queue_chunks must be 1 to 65536 (got 65537)");
    CHECK_FIELD(SHM, ring_chunks, 0, AQ_E_INVALID, "ring_chunks must be 1 to 1048576 (got 0)");
    CHECK_FIELD(SHM, ring_bytes, 0, AQ_E_INVALID, "ring_bytes must be 1 to 1099511627776 (got 0)");
    CHECK_FIELD(SHM, ring_bytes, SIZE_MAX, AQ_E_INVALID, "(got 18446744073709551615)");
    CHECK_FIELD(SHM, ring_bytes, (size_t)1 << 40, AQ_E_NOMEM, "no memory for a shared ring of 10995"); /* more than half of what there is */
    CHECK_FIELD(SHM, max_inputs, 0, AQ_E_INVALID, "max_inputs must be 1 to 1024 (got 0)");
    CHECK_FIELD(SHM, max_inputs, 1025, AQ_E_INVALID, "max_inputs must be 1 to 1024 (got 1025)");
    CHECK_FIELD(INPROC, linger_ns, -1, AQ_E_INVALID, "linger_ns must be 0 to 3600000000000 (got -1)");
    CHECK_FIELD(INPROC, folder, "", AQ_E_INVALID, "folder must not be empty");
    CHECK_FIELD(INPROC, extra_json, "[1]", AQ_E_FORMAT, "extra_json must be a JSON object (got [1])");
    CHECK_FIELD(INPROC, extra_json, "{", AQ_E_FORMAT, "extra_json: not JSON");
    CHECK_FIELD(INPROC, extra_json, "{\"dtype\": 1}", AQ_E_FORMAT, "extra_json must be of other names than the params");
    if (!aq_has_feature("zmq")) {
        aq_output_stream_config config = signal_config(TCP);
        CHECK_ERROR(use_config(&config), AQ_E_UNSUPPORTED, "`zmq`");
        return;
    }
    CHECK_FIELD(TCP, interface, "a b", AQ_E_INVALID, "interface must be an address or a name");
    CHECK_FIELD(TCP, interface, "192.0.2.1", AQ_E_IO, "bind tcp://192.0.2.1:*");
    CHECK_FIELD(TCP, queue_chunks, 0, AQ_E_INVALID, "queue_chunks must be 1 to 2147483647 (got 0)");
    CHECK_FIELD(TCP, linger_ns, INT64_C(4000000000000), AQ_E_INVALID, "linger_ns must be 0 to 3600000000000 (got 4000000000000)");
    CHECK_FIELD(TCP, overflow, AQ_OVERFLOW_DROP_OLDEST, AQ_E_UNSUPPORTED, "it can block or drop_newest");
    CHECK_FIELD(TCP, transfermode, AQ_TRANSFER_SHAREDMEM, AQ_E_INVALID, "buffer_size must be 1 to");
    CHECK_FIELD(IPC, folder, "/nowhere/at/all", AQ_E_IO, "/nowhere/at/all");
}

static void shapes_and_orders(void)
{
    const int64_t zero[] = {-1, 0}, negative[] = {-1, -1}, no_time[] = {0, 1}, huge[] = {-1, INT64_MAX, 2};
    const size_t twice[] = {1, 1}, beyond[] = {0, 2};
    CHECK_FIELD(INPROC, shape, zero, AQ_E_FORMAT, "shape must be positive but along the first axis (got [-1, 0])");
    CHECK_FIELD(INPROC, shape, negative, AQ_E_FORMAT, "shape must be positive but along the first axis");
    CHECK_FIELD(INPROC, shape, no_time, AQ_E_FORMAT, "shape must be -1 or a number of frames along the first axis");
    CHECK_FIELD(INPROC, axisorder, twice, AQ_E_INVALID, "axisorder must have each of the 2 axes once (got [1, 1])");
    CHECK_FIELD(INPROC, axisorder, beyond, AQ_E_INVALID, "axisorder must have each of the 2 axes once (got [0, 2])");
    {
        aq_output_stream_config config = signal_config(INPROC);
        config.shape = huge;
        config.ndim = 3;
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, "no memory holds an array");
    }
}

static int freed;

static void count_free(void *user)
{
    (void)user;
    freed++;
}

static void sending(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    const int16_t data[8] = {0};
    const size_t shape[] = {2, CHANNELS}, wrong[] = {2, 3}, many[] = {SIZE_MAX, CHANNELS};
    const ptrdiff_t strides[] = {4, 2}, far[] = {PTRDIFF_MIN, 2};
    CHECK_ERROR(aq_output_stream_send(output, NULL, 1, AQ_INDEX_NEXT, 0), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_output_stream_send(output, data, 1, -2, 0), AQ_E_INVALID, "index must be AQ_INDEX_NEXT or at least 0 (got -2)");
    CHECK_ERROR(aq_output_stream_send(output, data, 1, 0, 0), AQ_E_INVALID, "index must be at least 1");
    CHECK_ERROR(aq_output_stream_send(output, data, 1, AQ_INDEX_NEXT, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_output_stream_send(output, data, SIZE_MAX, AQ_INDEX_NEXT, 0), AQ_E_INVALID, "no memory holds");
    CHECK_ERROR(aq_output_stream_send(output, data, SIZE_MAX / 8, AQ_INDEX_NEXT, 0), AQ_E_NOMEM, "cannot allocate");
    CHECK_ERROR(aq_output_stream_flush(output, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_output_stream_reset_index(output, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_output_stream_wait_inputs(output, 1, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 0, shape, strides, -1, 0), AQ_E_INVALID, "ndim must be 1 to 64 (got 0)");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 65, shape, strides, -1, 0), AQ_E_INVALID, "ndim must be 1 to 64 (got 65)");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 1, shape, strides, -1, 0), AQ_E_INVALID, "frames must be of shape [2]");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 2, wrong, strides, -1, 0), AQ_E_INVALID, "frames must be of shape [2]");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 2, many, strides, -1, 0), AQ_E_INVALID, "no memory holds");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 2, shape, far, -1, 0), AQ_E_INVALID, "no memory holds");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 2, NULL, strides, -1, 0), AQ_E_INVALID, "shape must not be NULL");
    CHECK_ERROR(aq_output_stream_send_strided(output, data, 2, shape, NULL, -1, 0), AQ_E_INVALID, "strides must not be NULL");
    CHECK_ERROR(aq_output_stream_send_strided(output, NULL, 2, shape, strides, -1, 0), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_output_stream_send_shared(output, NULL, 1, -1, 0, NULL, count_free), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_output_stream_send_shared(NULL, data, 1, -1, 0, NULL, count_free), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_output_stream_send_shared(output, data, SIZE_MAX, -1, 0, NULL, count_free), AQ_E_INVALID, "no memory holds");
    CHECK_EQ(freed, 3);
    { /* one frame, over and over */
        const size_t long_shape[] = {(size_t)1 << 60, CHANNELS};
        const ptrdiff_t no_steps[] = {0, 2};
        CHECK_ERROR(aq_output_stream_send_strided(output, data, 2, long_shape, no_steps, -1, 0), AQ_E_NOMEM, "cannot allocate");
    }
    CHECK_EQ(signal_output_stats(output).frames, 0);
    /* The last index that there is. */
    CHECK_OK(aq_output_stream_send(output, data, 1, INT64_MAX, 0));
    CHECK_ERROR(aq_output_stream_send(output, data, 1, AQ_INDEX_NEXT, 0), AQ_E_STATE, "the index cannot grow any more");
    CHECK_OK(aq_output_stream_free(output));
    {
        const int64_t five[] = {5, CHANNELS};
        config.shape = five;
        output = signal_output(&config);
        CHECK_ERROR(aq_output_stream_send(output, data, 4, AQ_INDEX_NEXT, 0), AQ_E_INVALID, "a chunk must have 5 frames, as shape says (got 4)");
        CHECK_OK(aq_output_stream_free(output));
    }
}

#define CHECK_OUTPUT(call) CHECK_WRONG_HANDLES(h, OUTPUT_STREAM, aq_output_stream, "output", call)

static void handles(void)
{
    struct handles h;
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream_stats stats;
    aq_output_stream_input inputs[2];
    aq_stream_info info;
    aq_output_stream *output;
    const int16_t data[2] = {0};
    const size_t shape[] = {1, CHANNELS};
    const ptrdiff_t strides[] = {4, 2};
    int64_t index = 99;
    uint64_t number = 99;
    size_t count = 99;
    char text[8];
    handles_open(&h);
    output = (aq_output_stream *)h.of[OUTPUT_STREAM];
    CHECK_OK(aq_output_stream_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_output_stream_input_init(&inputs[0], sizeof inputs[0]));
    CHECK_OUTPUT(aq_output_stream_params_json(wrong, text, sizeof text, NULL));
    CHECK_OUTPUT(aq_output_stream_address(wrong, text, sizeof text, NULL));
    CHECK_OUTPUT(aq_output_stream_get_info(wrong, &info));
    CHECK_OUTPUT(aq_output_stream_get_stats(wrong, &stats));
    CHECK_OUTPUT(aq_output_stream_get_inputs(wrong, inputs, 1, &count));
    CHECK_OUTPUT(aq_output_stream_input_count(wrong, &number));
    CHECK_OUTPUT(aq_output_stream_wait_inputs(wrong, 1, 0));
    CHECK_OUTPUT(aq_output_stream_index(wrong, &index));
    CHECK_OUTPUT(aq_output_stream_send(wrong, data, 1, AQ_INDEX_NEXT, 0));
    CHECK_OUTPUT(aq_output_stream_send_strided(wrong, data, 2, shape, strides, AQ_INDEX_NEXT, 0));
    CHECK_OUTPUT(aq_output_stream_send_shared(wrong, data, 1, AQ_INDEX_NEXT, 0, NULL, NULL));
    CHECK_OUTPUT(aq_output_stream_flush(wrong, 0));
    CHECK_OUTPUT(aq_output_stream_reset_index(wrong, 0));
    CHECK_OUTPUT(aq_output_stream_free(wrong));
    CHECK_ERROR(aq_output_stream_new(&config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_output_stream_params_json(output, NULL, 8, NULL), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_output_stream_address(output, NULL, 8, NULL), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_output_stream_get_info(output, NULL), AQ_E_INVALID, "info must not be NULL");
    CHECK_ERROR(aq_output_stream_get_stats(output, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_output_stream_get_inputs(output, inputs, 1, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_output_stream_get_inputs(output, NULL, 1, &count), AQ_E_INVALID, "inputs must not be NULL");
    memset(&inputs[1], 0xff, sizeof inputs[1]);
    { /* the second is not initialised, and there are two inputs */
        char json[4096];
        aq_input_stream *second = NULL;
        CHECK_OK(aq_output_stream_params_json(output, json, sizeof json, NULL));
        CHECK_OK(aq_input_stream_connect(json, NULL, &second));
        CHECK_ERROR(aq_output_stream_get_inputs(output, inputs, 2, &count), AQ_E_INVALID, "struct_size");
        CHECK_OK(aq_input_stream_free(second));
    }
    CHECK_ERROR(aq_output_stream_input_count(output, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_output_stream_index(output, NULL), AQ_E_INVALID, "index must not be NULL");
    CHECK_EQ(index, 99);
    CHECK_EQ(number, 99);
    CHECK_EQ(count, 99);
    handles_close(&h);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    sizes();
    fields();
    shapes_and_orders();
    sending();
    handles();
    return check_done();
}

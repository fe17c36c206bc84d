/* Inputs: chunks and gaps over every transport, as they were sent or cut anew; waiting; requirements; ends and restarts. */
#include "streams.h"
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static void defaults(void)
{
    aq_input_stream_config config = signal_input_config();
    CHECK_EQ(config.chunk_frames, 0);
    CHECK_EQ(config.require_protocol, AQ_ANY);
    CHECK_EQ(config.require_transfermode, AQ_ANY);
    CHECK(config.require_dtype == NULL && config.require_shape == NULL && config.overrides_json == NULL);
    CHECK_EQ(config.queue_chunks, 0);
    CHECK_EQ(config.max_chunk_bytes, 0);
    CHECK_EQ(config.connect_timeout_ns, 0);
}

/* A chunk, a gap, and the beginning once more, over every transport. */
static void transport(int32_t protocol, int32_t transfermode, int32_t compression)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_input_stream_config receive = signal_input_config();
    aq_output_stream *output;
    aq_input_stream *input;
    aq_input_stream_stats stats;
    int16_t *data = signal_frames(40, 10);
    config.transfermode = transfermode;
    config.compression = compression;
    config.buffer_size = 1000;
    output = signal_output(&config);
    receive.connect_timeout_ns = GUARD_NS;
    input = signal_input(output, &receive);
    CHECK_OK(signal_send(output, 20, GUARD_NS));
    signal_receive(input, 0, 20, 0);
    CHECK_OK(aq_output_stream_send(output, data, 10, 50, GUARD_NS));
    signal_receive(input, 40, 50, 20);
    stats = signal_input_stats(input);
    CHECK_EQ(stats.chunks, 2);
    CHECK_EQ(stats.frames, 30);
    CHECK_EQ(stats.bytes, 120);
    CHECK_EQ(stats.gaps, 1);
    CHECK_EQ(stats.missing_frames, 20);
    CHECK_EQ(stats.repeated_chunks + stats.malformed + stats.restarts, 0);
    CHECK_EQ(stats.index, 50);
    CHECK_OK(aq_output_stream_reset_index(output, GUARD_NS));
    CHECK_OK(signal_send(output, 5, GUARD_NS));
    signal_receive(input, 0, 5, 0);
    CHECK_EQ(signal_input_stats(input).restarts, 1);
    CHECK_OK(aq_output_stream_free(output));
    if (protocol == AQ_PROTOCOL_INPROC || protocol == AQ_PROTOCOL_SHM)
        CHECK_STATUS(aq_input_stream_poll(input, GUARD_NS), AQ_STOPPED);
    else
        CHECK_STATUS(aq_input_stream_poll(input, 1000000), AQ_TIMEOUT);
    CHECK_OK(aq_input_stream_free(input));
    free(data);
}

/* Chunks of five, in front of a gap and at the end what there is. */
static void cut_anew(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_input_stream_config receive = signal_input_config();
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input;
    int16_t *data = signal_frames(20, 4);
    receive.chunk_frames = 5;
    input = signal_input(output, &receive);
    CHECK_OK(signal_send(output, 12, 0));
    CHECK_OK(aq_output_stream_send(output, data, 4, 24, 0));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_input_stream_poll(input, 0));
    CHECK_EQ(signal_input_stats(input).chunks, 1); /* poll has looked at it */
    signal_receive(input, 0, 5, 0);
    signal_receive(input, 5, 10, 0);
    signal_receive(input, 10, 12, 0);
    signal_receive(input, 20, 24, 8);
    CHECK_STATUS(aq_input_stream_poll(input, 0), AQ_STOPPED);
    CHECK_OK(aq_input_stream_free(input));
    free(data);
}

static int readable(int fd, int milliseconds)
{
    struct pollfd item;
    item.fd = fd;
    item.events = POLLIN;
    item.revents = 0;
    return poll(&item, 1, milliseconds) == 1;
}

struct late {
    aq_output_stream *output;
    int chunks;
};

static void *send_late(void *argument)
{
    struct late *late = (struct late *)argument;
    for (int i = 0; i < late->chunks; i++)
        CHECK_OK(signal_send(late->output, 10, GUARD_NS));
    return NULL;
}

/* An event loop: poll, receive until there is nothing. */
static void descriptor(int32_t protocol)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    struct late late = {output, 200};
    pthread_t thread;
    int64_t next = 0;
    int fd = -1;
    aq_status status = AQ_OK;
    CHECK_OK(aq_input_stream_fd(input, &fd));
    CHECK_STATUS(aq_input_stream_poll(input, 0), AQ_EMPTY);
    CHECK(!readable(fd, 0));
    CHECK_EQ(pthread_create(&thread, NULL, send_late, &late), 0);
    while (next < 2000) {
        if (!CHECK(readable(fd, GUARD_S * 1000)))
            break;
        for (;;) {
            aq_array_view view = signal_view();
            status = aq_input_stream_recv(input, 0, &view);
            if (status != AQ_OK)
                break;
            signal_is(&view, next, next + 10);
            next = view.index;
            CHECK_OK(aq_array_view_release(&view));
        }
        CHECK_STATUS(status, AQ_EMPTY);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* Several chunks can be held, also longer than the stream; a view in use is not overwritten. */
static void views(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_SHM);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_array_view held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = signal_view();
        CHECK_OK(signal_send(output, 1000, 0));
        CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &held[i]));
    }
    CHECK_ERROR(aq_input_stream_recv(input, 0, &held[0]), AQ_E_STATE, "it holds frames; release it first");
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_input_stream_free(input));
    for (int i = 2; i >= 0; i--) {
        CHECK_OK(aq_array_view_check(&held[i]));
        signal_is(&held[i], 1000 * i, 1000 * (i + 1));
        CHECK_OK(aq_array_view_release(&held[i]));
        CHECK(held[i].held == NULL && held[i].data == NULL && held[i].shape == NULL);
        CHECK_EQ(held[i].struct_size, sizeof held[i]);
        CHECK_OK(aq_array_view_release(&held[i]));
        CHECK_OK(aq_array_view_check(&held[i]));
    }
}

/* What is required, and what is overridden. */
static void requirements(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    const char *json = signal_params(output);
    const int64_t any[] = {-1, -1}, three[] = {-1, 3}, one[] = {-1};
    aq_input_stream_config receive = signal_input_config();
    aq_input_stream *input = NULL;
    aq_stream_info info;
    receive.require_protocol = AQ_PROTOCOL_INPROC;
    receive.require_transfermode = AQ_TRANSFER_PLAINDATA;
    receive.require_dtype = "int16";
    receive.require_shape = any;
    receive.require_ndim = 2;
    receive.overrides_json = "{\"units\": \"uV\", \"sample_rate\": 10, \"mine\": [1]}";
    CHECK_OK(aq_input_stream_connect(json, &receive, &input));
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_input_stream_get_info(input, &info));
    CHECK_TEXT(info.units, "uV");
    CHECK(info.sample_rate == 10);
    CHECK_OK(aq_input_stream_free(input));
    input = NULL;
    receive.require_protocol = AQ_PROTOCOL_TCP;
    CHECK_ERROR(aq_input_stream_connect(json, &receive, &input), AQ_E_INVALID, "must have protocol tcp (got inproc)");
    receive.require_protocol = AQ_ANY;
    receive.require_transfermode = AQ_TRANSFER_SHAREDMEM;
    CHECK_ERROR(aq_input_stream_connect(json, &receive, &input), AQ_E_INVALID, "must have transfermode sharedmem");
    receive.require_transfermode = AQ_ANY;
    receive.require_dtype = ">i2";
    CHECK_ERROR(aq_input_stream_connect(json, &receive, &input), AQ_E_INVALID, "must have dtype \">i2\" (got \"<i2\")");
    receive.require_dtype = NULL;
    receive.require_shape = three;
    CHECK_ERROR(aq_input_stream_connect(json, &receive, &input), AQ_E_INVALID, "must have shape [-1, 3] (got [-1, 2])");
    receive.require_shape = one;
    receive.require_ndim = 1;
    CHECK_ERROR(aq_input_stream_connect(json, &receive, &input), AQ_E_INVALID, "must have shape [-1] (got [-1, 2])");
    CHECK(input == NULL);
    CHECK_OK(aq_output_stream_free(output));
}

/* What was not received is gone, and counted; after a reset the next chunk is the first. */
static void emptied_and_reset(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    uint64_t frames = 99;
    for (int i = 0; i < 3; i++)
        CHECK_OK(signal_send(output, 10, 0));
    CHECK_OK(aq_input_stream_empty_queue(input, &frames));
    CHECK_EQ(frames, 30);
    CHECK_STATUS(aq_input_stream_poll(input, 0), AQ_EMPTY);
    CHECK_OK(signal_send(output, 10, 0));
    signal_receive(input, 30, 40, 0);
    CHECK_EQ(signal_input_stats(input).frames, 40);
    CHECK_OK(signal_send(output, 10, 0));
    CHECK_OK(aq_input_stream_poll(input, 0));
    CHECK_OK(aq_input_stream_reset_index(input));
    CHECK_EQ(signal_input_stats(input).index, -1);
    CHECK_OK(signal_send(output, 10, 0));
    signal_receive(input, 50, 60, 0); /* no gap */
    CHECK_EQ(signal_input_stats(input).gaps, 0);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* One that is not there is an error. */
static void nobody_there(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_SHM);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = NULL;
    char json[4096];
    strcpy(json, signal_params(output));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_ERROR(aq_input_stream_connect(json, NULL, &input), AQ_E_NOT_FOUND, "the output is gone");
    config.protocol = AQ_PROTOCOL_INPROC;
    output = signal_output(&config);
    strcpy(json, signal_params(output));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_ERROR(aq_input_stream_connect(json, NULL, &input), AQ_E_NOT_FOUND, "this process has no output of that name");
}

/* An output that ends and comes again at the same place is found again. */
static void comes_again(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_TCP);
    aq_input_stream_config receive = signal_input_config();
    aq_output_stream *output = signal_output(&config), *second = NULL;
    aq_input_stream *input = signal_input(output, NULL), *other = NULL;
    aq_array_view view = signal_view();
    aq_status status = AQ_TIMEOUT;
    char json[4096], address[200];
    strcpy(json, signal_params(output));
    CHECK_OK(aq_output_stream_address(output, address, sizeof address, NULL));
    config.port = atoi(strrchr(address, ':') + 1);
    CHECK_ERROR(aq_output_stream_new(&config, &second), AQ_E_IO, "bind tcp://127.0.0.1:");
    CHECK_OK(signal_send(output, 10, GUARD_NS));
    signal_receive(input, 0, 10, 0);
    CHECK_OK(aq_output_stream_free(output));
    receive.connect_timeout_ns = 20000000;
    CHECK_ERROR(aq_input_stream_connect(json, &receive, &other), AQ_E_NOT_FOUND, "no output has answered");
    output = signal_output(&config);
    /* It subscribes within recv. */
    for (int i = 0; i < 6000 && status == AQ_TIMEOUT; i++) {
        CHECK_OK(signal_send(output, 10, GUARD_NS));
        status = aq_input_stream_recv(input, 10000000, &view);
    }
    CHECK_STATUS(status, AQ_OK);
    CHECK_EQ(view.frames, 10);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* Statistics are there while a thread waits. */
static void *receive_one(void *argument)
{
    signal_receive((aq_input_stream *)argument, 0, 10, 0);
    return NULL;
}

static void seen_while_it_waits(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_stream_info info;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, receive_one, input), 0);
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_input_stream_get_info(input, &info));
    CHECK_EQ(signal_input_stats(input).chunks, 0);
    CHECK_OK(signal_send(output, 10, 0));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(signal_input_stats(input).chunks, 1);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    defaults();
    transport(AQ_PROTOCOL_INPROC, AQ_TRANSFER_PLAINDATA, AQ_COMPRESSION_NONE);
    transport(AQ_PROTOCOL_SHM, AQ_TRANSFER_PLAINDATA, AQ_COMPRESSION_NONE);
    cut_anew();
    descriptor(AQ_PROTOCOL_INPROC);
    descriptor(AQ_PROTOCOL_SHM);
    views();
    requirements();
    emptied_and_reset();
    nobody_there();
    seen_while_it_waits();
    if (aq_has_feature("zmq")) {
        for (int32_t protocol = AQ_PROTOCOL_TCP; protocol <= AQ_PROTOCOL_IPC; protocol++) {
            transport(protocol, AQ_TRANSFER_PLAINDATA, AQ_COMPRESSION_NONE);
            transport(protocol, AQ_TRANSFER_PLAINDATA, AQ_COMPRESSION_BLOSC_BLOSCLZ);
            transport(protocol, AQ_TRANSFER_PLAINDATA, AQ_COMPRESSION_BLOSC_LZ4);
            transport(protocol, AQ_TRANSFER_SHAREDMEM, AQ_COMPRESSION_NONE);
            descriptor(protocol);
        }
        comes_again();
    }
    return check_done();
}

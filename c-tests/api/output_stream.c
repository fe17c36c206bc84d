/* Outputs: what they say of themselves, how they send, and what becomes of frames when an input is slow. */
#include "streams.h"
#include <pthread.h>
#include <sched.h>

static void defaults(void)
{
    aq_output_stream_config config;
    CHECK_OK(aq_output_stream_config_init(&config, sizeof config));
    CHECK_EQ(config.protocol, AQ_PROTOCOL_TCP);
    CHECK_EQ(config.transfermode, AQ_TRANSFER_PLAINDATA);
    CHECK_EQ(config.port, 0);
    CHECK_EQ(config.streamtype, AQ_STREAM_ANALOGSIGNAL);
    CHECK_EQ(config.compression, AQ_COMPRESSION_NONE);
    CHECK(isnan(config.scale) && isnan(config.offset) && isnan(config.fill));
    CHECK(config.sample_rate == 1);
    CHECK_EQ(config.min_chunk_frames, 0);
    CHECK_EQ(config.overflow, AQ_OVERFLOW_DEFAULT);
    CHECK_EQ(config.queue_chunks, 1000);
    CHECK_EQ(config.ring_chunks, 1024);
    CHECK_EQ(config.ring_bytes, 8 << 20);
    CHECK_EQ(config.max_inputs, 64);
    CHECK_EQ(config.linger_ns, 1000000000);
    CHECK(config.interface == NULL && config.dtype == NULL && config.shape == NULL && config.axisorder == NULL);
    CHECK(config.units == NULL && config.folder == NULL && config.extra_json == NULL);
}

/* All that is given is in the params and in the info. */
static void description(void)
{
    const int64_t shape[] = {-1, 3, 4};
    const size_t order[] = {1, 0, 2};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_SHM);
    aq_output_stream *output;
    aq_input_stream *input = NULL;
    aq_stream_info info;
    char text[200], longer[4096];
    size_t needed = 0;
    config.dtype = "[[\"t\", \"<u8\"], [\"xy\", \">f4\", [2]]]";
    config.shape = shape;
    config.ndim = 3;
    config.axisorder = order;
    config.streamtype = AQ_STREAM_OTHER;
    config.streamtype_label = "spikes";
    config.units = "mV";
    config.scale = 0.5;
    config.offset = -1;
    config.fill = 7;
    config.extra_json = "{\"nb_channel\": 12}";
    output = signal_output(&config);
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_output_stream_get_info(output, &info));
    CHECK_EQ(info.protocol, AQ_PROTOCOL_SHM);
    CHECK_EQ(info.transfermode, AQ_TRANSFER_PLAINDATA);
    CHECK_EQ(info.compression, AQ_COMPRESSION_NONE);
    CHECK_EQ(info.streamtype, AQ_STREAM_OTHER);
    CHECK_TEXT(info.streamtype_label, "spikes");
    CHECK_TEXT(info.dtype, "[[\"t\",\"<u8\"],[\"xy\",\">f4\",[2]]]");
    CHECK_EQ(info.item_size, 16);
    CHECK_EQ(info.frame_size, 192);
    CHECK_EQ(info.ndim, 3);
    CHECK(memcmp(info.shape, shape, sizeof shape) == 0);
    CHECK(info.sample_rate == 30000 && info.scale == 0.5 && info.offset == -1 && info.fill == 7);
    CHECK_TEXT(info.units, "mV");
    CHECK_OK(aq_output_stream_address(output, text, sizeof text, &needed));
    CHECK_TEXT(info.address, text);
    CHECK_EQ(needed, strlen(text) + 1);
    CHECK(strncmp(text, "shm://aqueduct-", 15) == 0);
    CHECK_ERROR(aq_output_stream_params_json(output, text, 10, &needed), AQ_E_TRUNCATED, "size must be at least");
    CHECK(needed > 100 && needed < sizeof longer);
    CHECK_OK(aq_output_stream_params_json(output, longer, needed, NULL));
    CHECK_EQ(strlen(longer) + 1, needed);
    CHECK(strstr(longer, "\"nb_channel\":12") != NULL);
    CHECK(strchr(longer, '\n') == NULL);
    /* The other end knows the same. */
    CHECK_OK(aq_input_stream_connect(longer, NULL, &input));
    CHECK_OK(aq_input_stream_get_info(input, &info));
    CHECK_TEXT(info.streamtype_label, "spikes");
    CHECK_EQ(info.frame_size, 192);
    CHECK_OK(aq_input_stream_params_json(input, text, 0, &needed) == AQ_E_TRUNCATED ? AQ_OK : AQ_E_INTERNAL);
    CHECK_EQ(needed, strlen(longer) + 1);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

static void plain_labels(void)
{
    static const char *const labels[] = {"analogsignal", "digitalsignal", "event", "image", "video"};
    for (int32_t i = 0; i < 5; i++) {
        aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
        aq_output_stream *output;
        aq_stream_info info;
        config.streamtype = i;
        output = signal_output(&config);
        CHECK_OK(aq_stream_info_init(&info, sizeof info));
        CHECK_OK(aq_output_stream_get_info(output, &info));
        CHECK_EQ(info.streamtype, i);
        CHECK_TEXT(info.streamtype_label, labels[i]);
        CHECK_TEXT(info.dtype, "<i2");
        CHECK_TEXT(info.units, "");
        CHECK(isnan(info.scale) && isnan(info.offset) && isnan(info.fill));
        CHECK_OK(aq_output_stream_free(output));
    }
}

/* Indices, collected chunks, and the account of all that. */
static void collects_and_counts(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output;
    aq_input_stream *input;
    aq_output_stream_stats stats;
    int16_t *data = signal_frames(12, 3);
    int64_t index = -1;
    config.min_chunk_frames = 5;
    output = signal_output(&config);
    input = signal_input(output, NULL);
    CHECK_OK(signal_send(output, 3, 0));
    CHECK_STATUS(aq_input_stream_poll(input, 0), AQ_EMPTY);
    stats = signal_output_stats(output);
    CHECK_EQ(stats.waiting_frames, 3);
    CHECK_EQ(stats.chunks, 0);
    CHECK_OK(signal_send(output, 4, 0));
    signal_receive(input, 0, 7, 0);
    CHECK_OK(signal_send(output, 2, 0));
    CHECK_OK(aq_output_stream_send(output, data, 3, 15, 0)); /* three are skipped, so the two go on alone */
    signal_receive(input, 7, 9, 0);
    CHECK_OK(aq_output_stream_flush(output, 0));
    signal_receive(input, 12, 15, 3);
    CHECK_ERROR(aq_output_stream_send(output, data, 3, 17, 0), AQ_E_INVALID, "index must be at least 18");
    CHECK_OK(aq_output_stream_send(output, NULL, 0, AQ_INDEX_NEXT, 0));
    stats = signal_output_stats(output);
    CHECK_EQ(stats.frames, 12);
    CHECK_EQ(stats.bytes, 48);
    CHECK_EQ(stats.chunks, 3);
    CHECK_EQ(stats.published_frames, 12);
    CHECK_EQ(stats.skipped_frames, 3);
    CHECK_EQ(stats.index, 15);
    CHECK_OK(signal_send(output, 1, 0));
    CHECK_OK(aq_output_stream_reset_index(output, 0));
    CHECK_OK(aq_output_stream_index(output, &index));
    CHECK_EQ(index, 0);
    signal_receive(input, 15, 16, 0);
    CHECK_OK(signal_send(output, 5, 0));
    signal_receive(input, 0, 5, 0);
    CHECK_EQ(signal_input_stats(input).restarts, 1);
    /* What is collected at the end is sent. */
    CHECK_OK(signal_send(output, 1, 0));
    CHECK_OK(aq_output_stream_free(output));
    signal_receive(input, 5, 6, 0);
    CHECK_STATUS(aq_input_stream_poll(input, GUARD_NS), AQ_STOPPED);
    CHECK_OK(aq_input_stream_free(input));
    free(data);
}

/* Every second frame, backwards, from an array with the channels apart. */
static void strided(int32_t protocol)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    int16_t apart[CHANNELS][20];
    const size_t shape[] = {10, CHANNELS};
    const ptrdiff_t strides[] = {-4, 40};
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int i = 0; i < 10; i++)
            apart[channel][18 - 2 * i] = signal_value(i, channel);
    CHECK_OK(aq_output_stream_send_strided(output, &apart[0][18], 2, shape, strides, AQ_INDEX_NEXT, GUARD_NS));
    signal_receive(input, 0, 10, 0);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

static int given_back;

static void give_back(void *user)
{
    __atomic_fetch_add(&given_back, 1, __ATOMIC_RELAXED);
    free(user);
}

/* An input looks at the very memory, which comes back when nobody needs it any more. */
static void without_a_copy(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output;
    aq_input_stream *input;
    aq_array_view view = signal_view();
    int16_t *data = signal_frames(0, 100);
    config.queue_chunks = 1;
    config.overflow = AQ_OVERFLOW_DROP_OLDEST;
    output = signal_output(&config);
    input = signal_input(output, NULL);
    CHECK_OK(aq_output_stream_send_shared(output, data, 100, AQ_INDEX_NEXT, 0, data, give_back));
    CHECK_OK(aq_input_stream_recv(input, 0, &view));
    CHECK(view.data == data);
    CHECK_EQ(view.contiguous, 1);
    signal_is(&view, 0, 100);
    CHECK_EQ(given_back, 0);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_EQ(given_back, 1);
    /* One that is dropped, one that is never received, one that is not taken, one without an owner. */
    for (int i = 0; i < 2; i++) {
        data = signal_frames(0, 10);
        CHECK_OK(aq_output_stream_send_shared(output, data, 10, AQ_INDEX_NEXT, 0, data, give_back));
    }
    CHECK_EQ(given_back, 2);
    data = signal_frames(0, 10);
    CHECK_ERROR(aq_output_stream_send_shared(output, data, 10, 3, 0, data, give_back), AQ_E_INVALID, "index");
    CHECK_EQ(given_back, 3);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_EQ(given_back, 4);
    {
        static const int16_t constant[CHANNELS] = {0};
        CHECK_OK(aq_output_stream_send_shared(output, constant, 1, AQ_INDEX_NEXT, 0, NULL, NULL));
    }
    CHECK_OK(aq_output_stream_free(output));
    CHECK_EQ(given_back, 4);
}

/* user_free calls the library, the output that it was sent by included: nothing is locked then. */
static void ask(void *user)
{
    int64_t index = -1;
    CHECK_OK(aq_output_stream_index((aq_output_stream *)user, &index));
    CHECK_OK(aq_output_stream_flush((aq_output_stream *)user, 0));
}

static void given_back_with_nothing_locked(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config); /* nobody listens: it comes back at once */
    int16_t *data = signal_frames(0, 10);
    CHECK_OK(aq_output_stream_send_shared(output, data, 10, AQ_INDEX_NEXT, 0, output, ask));
    CHECK_OK(aq_output_stream_free(output));
    free(data);
}

static size_t inputs_of(const aq_output_stream *output, aq_output_stream_input *inputs, size_t capacity)
{
    size_t count = 99;
    for (size_t i = 0; i < capacity; i++)
        CHECK_OK(aq_output_stream_input_init(&inputs[i], sizeof inputs[i]));
    CHECK_OK(aq_output_stream_get_inputs(output, inputs, capacity, &count));
    return count;
}

/* With the policy to block nothing is lost, and it is told what waits. */
static void blocks(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream_input inputs[3];
    aq_output_stream *output;
    aq_input_stream *slow, *quick;
    aq_output_stream_stats stats;
    config.queue_chunks = 2;
    output = signal_output(&config);
    slow = signal_input(output, NULL);
    quick = signal_input(output, NULL);
    for (int64_t i = 0; i < 3; i++) {
        CHECK_OK(signal_send(output, 10, 0)); /* the third one waits in the output itself */
        signal_receive(quick, 10 * i, 10 * (i + 1), 0);
    }
    CHECK_STATUS(signal_send(output, 10, 0), AQ_FULL);
    CHECK_STATUS(signal_send(output, 10, 1000000), AQ_TIMEOUT);
    CHECK_STATUS(aq_output_stream_flush(output, 0), AQ_FULL);
    CHECK_STATUS(aq_output_stream_reset_index(output, 1000000), AQ_TIMEOUT);
    stats = signal_output_stats(output);
    CHECK_EQ(stats.frames, 30);
    CHECK_EQ(stats.waiting_frames, 10);
    CHECK_EQ(stats.published_frames, 20);
    CHECK_EQ(stats.index, 30);
    CHECK_EQ(inputs_of(output, inputs, 3), 2);
    CHECK_EQ(inputs[0].lag_chunks, 2);
    CHECK_EQ(inputs[0].lag_frames, 20);
    CHECK_EQ(inputs[0].dropped_frames, 0);
    CHECK_EQ(inputs[1].lag_frames, 0);
    CHECK(inputs[0].id != inputs[1].id);
    CHECK_EQ(inputs_of(output, inputs, 1), 2);
    CHECK_EQ(inputs_of(output, NULL, 0), 2);
    signal_receive(slow, 0, 10, 0);
    CHECK_OK(aq_output_stream_flush(output, 0));
    signal_receive(slow, 10, 20, 0);
    CHECK_OK(signal_send(output, 10, 0));
    signal_receive(slow, 20, 30, 0);
    signal_receive(slow, 30, 40, 0);
    signal_receive(quick, 30, 40, 0);
    CHECK_OK(aq_input_stream_free(slow));
    CHECK_OK(aq_input_stream_free(quick));
    CHECK_OK(aq_output_stream_free(output));
}

struct sender {
    aq_output_stream *output;
    aq_status status;
};

static void *send_until_done(void *argument)
{
    struct sender *sender = (struct sender *)argument;
    for (int i = 0; i < 4 && (sender->status = signal_send(sender->output, 10, GUARD_NS)) == AQ_OK; i++)
        ;
    return NULL;
}

/* While a thread waits in send, another sees why. */
static void seen_while_it_waits(int32_t protocol)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream_input inputs[1];
    aq_output_stream *output;
    aq_input_stream *input;
    struct sender sender;
    pthread_t thread;
    config.queue_chunks = 2;
    config.ring_chunks = 2;
    output = signal_output(&config);
    input = signal_input(output, NULL);
    sender.output = output;
    CHECK_EQ(pthread_create(&thread, NULL, send_until_done, &sender), 0);
    while (signal_output_stats(output).frames < 30) /* the third call cannot end */
        sched_yield();
    CHECK_EQ(inputs_of(output, inputs, 1), 1);
    CHECK(inputs[0].lag_frames == 20 || inputs[0].lag_frames == 30); /* with those that are being sent, or without */
    CHECK_EQ(signal_output_stats(output).waiting_frames, 10);
    CHECK(strlen(signal_params(output)) > 0);
    for (int64_t i = 0; i < 4; i++)
        signal_receive(input, 10 * i, 10 * i + 10, 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_STATUS(sender.status, AQ_OK);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* With the other policies it is told what was lost: to the output, and to the input as gaps. */
static void drops(int32_t protocol, int32_t overflow)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream_input inputs[1];
    aq_output_stream *output;
    aq_input_stream *input;
    aq_array_view view = signal_view();
    int64_t next = 0, missing = 0;
    config.queue_chunks = 2;
    config.ring_chunks = 2;
    config.overflow = overflow;
    output = signal_output(&config);
    input = signal_input(output, NULL);
    for (int i = 0; i < 10; i++)
        CHECK_OK(signal_send(output, 10, 0));
    CHECK_EQ(inputs_of(output, inputs, 1), 1);
    CHECK(inputs[0].dropped_frames >= 80);
    CHECK_OK(aq_input_stream_recv(input, 0, &view));
    CHECK_EQ(view.index - (int64_t)view.frames, overflow == AQ_OVERFLOW_DROP_NEWEST ? 0 : view.index - 10);
    next = view.index;
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_empty_queue(input, NULL));
    CHECK_OK(signal_send(output, 10, 0)); /* index 110 */
    while (next < 110 && CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view))) {
        missing += view.gap_end - view.gap_start;
        next = view.index;
        CHECK_OK(aq_array_view_release(&view));
    }
    CHECK_EQ(signal_input_stats(input).missing_frames, overflow == AQ_OVERFLOW_DROP_NEWEST ? 80 : missing);
    CHECK_EQ(signal_input_stats(input).index, 110);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* A chunk that the transport cannot carry is refused, and the stream goes on. */
static void too_large(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_SHM);
    aq_output_stream *output;
    aq_input_stream *input;
    config.ring_bytes = 4096;
    output = signal_output(&config);
    input = signal_input(output, NULL);
    CHECK_OK(signal_send(output, 10, 0));
    CHECK_ERROR(signal_send(output, 2000, 0), AQ_E_INVALID, "half of the shared ring");
    CHECK_OK(signal_send(output, 10, 0));
    CHECK_EQ(signal_output_stats(output).failed_frames, 0);
    signal_receive(input, 0, 10, 0);
    signal_receive(input, 10, 20, 0);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

static void waits_for_inputs(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_TCP);
    aq_output_stream *output;
    aq_output_stream_input one;
    size_t count;
    if (!aq_has_feature("zmq"))
        return;
    output = signal_output(&config);
    CHECK_STATUS(aq_output_stream_wait_inputs(output, 1, 0), AQ_EMPTY);
    CHECK_STATUS(aq_output_stream_wait_inputs(output, 1, 1000000), AQ_TIMEOUT);
    CHECK_OK(aq_output_stream_wait_inputs(output, 0, 0));
    CHECK_OK(aq_output_stream_input_init(&one, sizeof one));
    CHECK_ERROR(aq_output_stream_get_inputs(output, &one, 1, &count), AQ_E_UNSUPPORTED, "tcp and ipc do not know");
    CHECK_OK(aq_output_stream_free(output));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    defaults();
    description();
    plain_labels();
    collects_and_counts();
    strided(AQ_PROTOCOL_INPROC);
    strided(AQ_PROTOCOL_SHM);
    if (aq_has_feature("zmq"))
        strided(AQ_PROTOCOL_TCP);
    without_a_copy();
    given_back_with_nothing_locked();
    blocks();
    seen_while_it_waits(AQ_PROTOCOL_INPROC);
    seen_while_it_waits(AQ_PROTOCOL_SHM);
    drops(AQ_PROTOCOL_INPROC, AQ_OVERFLOW_DROP_NEWEST);
    drops(AQ_PROTOCOL_INPROC, AQ_OVERFLOW_DROP_OLDEST);
    drops(AQ_PROTOCOL_SHM, AQ_OVERFLOW_DROP_NEWEST);
    drops(AQ_PROTOCOL_SHM, AQ_OVERFLOW_DROP_OLDEST);
    too_large();
    waits_for_inputs();
    return check_done();
}

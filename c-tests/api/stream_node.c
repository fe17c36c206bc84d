/* Nodes of signal streams, one by one: indices, gaps, ends, and every way to stop. */
#include "nodes.h"

/* Chunks, a gap, and the end; the events of these. */
struct events {
    sem_t came;
    int count[3];
    aq_status last;
    char text[200];
    int freed;
};

static void hear(int32_t event, aq_status status, void *user)
{
    struct events *events = (struct events *)user;
    events->count[event]++;
    events->last = status;
    snprintf(events->text, sizeof events->text, "%s", status == AQ_OK ? "" : aq_last_error());
    sem_post(&events->came);
}

static void events_free(void *user)
{
    ((struct events *)user)->freed++;
}

static void poll_thread(int32_t protocol)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_stream_node_stats stats = node_stats();
    aq_poll_thread *thread;
    struct seen seen;
    struct events events;
    int32_t running = -1;
    seen_init(&seen);
    memset(&events, 0, sizeof events);
    sem_init(&events.came, 0, 0);
    thread = see_input(input, &seen);
    CHECK_OK(aq_poll_thread_set_event_callback(thread, hear, &events, events_free));
    CHECK_STATUS(aq_poll_thread_wait(thread, AQ_WAIT_FOREVER), AQ_STOPPED);
    CHECK_OK(aq_poll_thread_status(thread, &running));
    CHECK_EQ(running, 0);
    CHECK_OK(aq_poll_thread_start(thread));
    CHECK_OK(aq_poll_thread_status(thread, &running));
    CHECK_EQ(running, 1);
    CHECK_STATUS(aq_poll_thread_wait(thread, 0), AQ_EMPTY);
    CHECK_STATUS(aq_poll_thread_wait(thread, 1000), AQ_TIMEOUT);
    CHECK_ERROR(aq_poll_thread_start(thread), AQ_E_STATE, "it runs already");
    CHECK_ERROR(aq_poll_thread_connect(thread, input), AQ_E_STATE, "stop it first");
    CHECK_OK(aq_input_stream_free(input)); /* the thread has it */
    send_frames(output, 0, 3);
    send_frames(output, 3, 1);
    send_frames(output, 10, 5);
    for (int i = 0; i < 3; i++)
        await(&seen.came);
    seen_is(&seen, 0, 0, 3, 0);
    seen_is(&seen, 1, 3, 4, 0);
    seen_is(&seen, 2, 10, 15, 6);
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_poll_thread_wait(thread, GUARD_NS));
    await(&events.came);
    CHECK_EQ(events.count[AQ_POLL_ENDED], 1);
    CHECK_OK(aq_poll_thread_get_stats(thread, &stats));
    CHECK_EQ(stats.chunks, 3);
    CHECK_EQ(stats.frames, 9);
    CHECK_EQ(stats.gaps, 1);
    CHECK_EQ(stats.missing_frames, 6);
    CHECK_EQ(stats.index, 15);
    CHECK_EQ(stats.restarts + stats.errors, 0);
    CHECK_OK(aq_poll_thread_stop(thread));
    CHECK_OK(aq_poll_thread_wait(thread, 0)); /* it has ended, and stays so */

    /* The producer comes again. */
    output = signal_output(&config);
    input = signal_input(output, NULL);
    CHECK_OK(aq_poll_thread_connect(thread, input));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_poll_thread_start(thread));
    send_frames(output, 0, 2);
    await(&seen.came);
    seen_is(&seen, 3, 0, 2, 0);
    CHECK_EQ(seen.freed + events.freed, 0);
    CHECK_OK(aq_poll_thread_set_event_callback(thread, NULL, NULL, NULL));
    CHECK_EQ(events.freed, 1);
    CHECK_OK(aq_poll_thread_free(thread));
    CHECK_EQ(seen.freed, 1);
    CHECK_OK(aq_output_stream_free(output));
}

static void failing_function(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    struct seen seen;
    struct events events;
    aq_poll_thread *thread;
    seen_init(&seen);
    memset(&events, 0, sizeof events);
    sem_init(&events.came, 0, 0);
    seen.answer = AQ_E_IO;
    thread = see_output(output, &seen);
    CHECK_OK(aq_poll_thread_set_event_callback(thread, hear, &events, events_free));
    CHECK_OK(aq_poll_thread_start(thread));
    send_frames(output, 0, 1);
    send_frames(output, 1, 1);
    CHECK_ERROR(aq_poll_thread_wait(thread, GUARD_NS), AQ_E_IO, "the program's function answered -4");
    CHECK_ERROR(aq_poll_thread_status(thread, NULL), AQ_E_IO, "answered -4");
    CHECK_EQ(seen.chunks, 1);
    CHECK_EQ(events.count[AQ_POLL_FAILED], 1);
    CHECK_EQ(events.last, AQ_E_IO);
    CHECK(strstr(events.text, "answered -4") != NULL);
    /* Goes on behind that; then it stops itself. */
    seen.answer = AQ_STOPPED;
    CHECK_OK(aq_poll_thread_stop(thread));
    CHECK_OK(aq_poll_thread_start(thread));
    CHECK_STATUS(aq_poll_thread_wait(thread, GUARD_NS), AQ_STOPPED);
    CHECK_EQ(seen.chunks, 2);
    CHECK_OK(aq_poll_thread_status(thread, NULL));
    CHECK_OK(aq_poll_thread_free(thread));
    CHECK_EQ(seen.freed + events.freed, 2);
    CHECK_OK(aq_output_stream_free(output));
}

/* Keeps the first chunk, gives back the second at once. */
struct kept {
    aq_array_view view;
    sem_t came;
};

static aq_status keep(aq_array_view *view, void *user)
{
    struct kept *kept = (struct kept *)user;
    if (kept->view.held == NULL) {
        kept->view = *view;
        CHECK_OK(aq_array_view_init(view, sizeof *view));
    } else {
        CHECK_OK(aq_array_view_release(view));
    }
    sem_post(&kept->came);
    return AQ_OK;
}

static void frames_are_kept(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_SHM);
    aq_output_stream *output = signal_output(&config);
    aq_poll_thread *thread = NULL;
    struct kept kept;
    kept.view = signal_view();
    sem_init(&kept.came, 0, 0);
    CHECK_OK(aq_poll_thread_new_on_output(output, keep, &kept, NULL, &thread));
    CHECK_OK(aq_poll_thread_start(thread));
    send_frames(output, 0, 5);
    send_frames(output, 5, 1);
    await(&kept.came);
    await(&kept.came);
    CHECK_OK(aq_poll_thread_free(thread));
    CHECK_OK(aq_output_stream_free(output));
    signal_is(&kept.view, 0, 5);
    CHECK_OK(aq_array_view_release(&kept.view));
}

/* Converter and resizer: same frames, other transport, other chunks. */
static void converter_and_resizer(void)
{
    aq_output_stream_config first = signal_config(AQ_PROTOCOL_INPROC), other = signal_config(AQ_PROTOCOL_SHM);
    aq_output_stream *output, *converted = NULL, *resized = NULL;
    aq_input_stream *input, *between, *last;
    aq_stream_converter *converter = NULL;
    aq_chunk_resizer *resizer = NULL;
    aq_stream_node_stats stats = node_stats();
    aq_stream_info info;
    int32_t running = -1;
    first.units = "mV";
    first.extra_json = "{\"channel_info\": [1, 2]}";
    output = signal_output(&first);
    input = signal_input(output, NULL);
    other.dtype = NULL;
    CHECK_OK(aq_stream_converter_new(input, &other, &converter));
    CHECK_OK(aq_stream_converter_get_output(converter, &converted));
    between = signal_input(converted, NULL);
    CHECK_OK(aq_chunk_resizer_new(between, &other, 4, &resizer));
    CHECK_OK(aq_chunk_resizer_get_output(resizer, &resized));
    last = signal_input(resized, NULL);
    /* What the frames are is told all the way. */
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_input_stream_get_info(last, &info));
    CHECK_EQ(info.protocol, AQ_PROTOCOL_SHM);
    CHECK_TEXT(info.units, "mV");
    CHECK_TEXT(info.dtype, "<i2");
    CHECK(info.sample_rate == 30000);
    CHECK(strstr(signal_params(resized), "\"channel_info\":[1,2]") != NULL);
    CHECK_OK(aq_stream_converter_start(converter));
    CHECK_OK(aq_chunk_resizer_start(resizer));
    send_frames(output, 5, 6);
    send_frames(output, 11, 3);
    send_frames(output, 20, 4);
    send_frames(output, 24, 1);
    signal_receive(last, 5, 9, 0);
    signal_receive(last, 9, 13, 0);
    signal_receive(last, 13, 14, 0);
    signal_receive(last, 20, 24, 6);
    /* The rest comes at the stop. */
    do
        CHECK_OK(aq_chunk_resizer_get_stats(resizer, &stats));
    while (stats.index < 25);
    CHECK_OK(aq_chunk_resizer_stop(resizer));
    signal_receive(last, 24, 25, 0);
    CHECK_STATUS(aq_chunk_resizer_wait(resizer, GUARD_NS), AQ_STOPPED);
    CHECK_OK(aq_chunk_resizer_status(resizer, &running));
    CHECK_EQ(running, 0);
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_stream_converter_wait(converter, GUARD_NS));
    CHECK_OK(aq_stream_converter_status(converter, &running));
    CHECK_OK(aq_stream_converter_get_stats(converter, &stats));
    CHECK_EQ(stats.frames, 14);
    CHECK_EQ(stats.missing_frames, 6);
    CHECK_OK(aq_stream_converter_stop(converter));
    CHECK_OK(aq_stream_converter_connect(converter, input));
    CHECK_OK(aq_chunk_resizer_connect(resizer, between));
    CHECK_OK(aq_stream_converter_free(converter));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(converted));
    CHECK_OK(aq_input_stream_free(between));
    CHECK_OK(aq_chunk_resizer_free(resizer));
    CHECK_OK(aq_output_stream_free(resized));
    CHECK_OK(aq_input_stream_free(last));
}

/* Another type of elements. */
static void converts_types(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC), floats = config;
    aq_output_stream *output = signal_output(&config), *converted = NULL;
    aq_input_stream *input = signal_input(output, NULL), *last;
    aq_stream_converter *converter = NULL;
    aq_array_view view = signal_view();
    aq_stream_info info;
    floats.dtype = "float64";
    CHECK_OK(aq_stream_converter_new(input, &floats, &converter));
    CHECK_OK(aq_stream_converter_get_output(converter, &converted));
    last = signal_input(converted, NULL);
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_input_stream_get_info(last, &info));
    CHECK_TEXT(info.dtype, "<f8");
    CHECK_OK(aq_stream_converter_start(converter));
    send_frames(output, 7, 2);
    CHECK_OK(aq_input_stream_recv(last, GUARD_NS, &view));
    CHECK_EQ(view.index, 9);
    if (CHECK_EQ(view.size, 2 * CHANNELS * sizeof(double)) && CHECK_EQ(view.contiguous, 1))
        for (int i = 0; i < 2 * CHANNELS; i++)
            CHECK(((const double *)view.data)[i] == signal_value(7 + i / CHANNELS, i % CHANNELS));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_free(last));
    CHECK_OK(aq_output_stream_free(converted));
    CHECK_OK(aq_stream_converter_free(converter));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

static void splitter(void)
{
    static const size_t second[] = {1}, turned[] = {1, 0}, twice[] = {0, 0, 1};
    const aq_channel_selection selections[] = {{"second", second, 1}, {"turned", turned, 2}, {"twice", twice, 3}};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL), *lasts[3];
    aq_channel_splitter *splitter = NULL;
    aq_stream_node_stats stats = node_stats();
    int32_t running = -1;
    CHECK_OK(aq_channel_splitter_new(input, &config, selections, 3, &splitter));
    for (int i = 0; i < 3; i++) {
        aq_output_stream *split = NULL;
        CHECK_OK(aq_channel_splitter_get_output(splitter, selections[i].name, &split));
        lasts[i] = signal_input(split, NULL);
        CHECK_OK(aq_output_stream_free(split));
    }
    CHECK_OK(aq_channel_splitter_start(splitter));
    send_frames(output, 3, 4);
    for (int i = 0; i < 3; i++) {
        aq_array_view view = signal_view();
        CHECK_OK(aq_input_stream_recv(lasts[i], GUARD_NS, &view));
        CHECK_EQ(view.index, 7);
        CHECK_EQ(view.frames, 4);
        CHECK_EQ(view.shape[1], selections[i].n_channels);
        for (size_t frame = 0; frame < 4; frame++)
            for (size_t channel = 0; channel < selections[i].n_channels; channel++)
                CHECK_EQ(signal_at(&view, frame, channel),
                         signal_value(3 + (int64_t)frame, (int)selections[i].channels[channel]));
        CHECK_OK(aq_array_view_release(&view));
    }
    CHECK_OK(aq_channel_splitter_status(splitter, &running));
    CHECK_EQ(running, 1);
    CHECK_STATUS(aq_channel_splitter_wait(splitter, 0), AQ_EMPTY);
    CHECK_OK(aq_channel_splitter_get_stats(splitter, &stats));
    CHECK_EQ(stats.frames, 4);
    CHECK_OK(aq_channel_splitter_stop(splitter));
    CHECK_OK(aq_channel_splitter_connect(splitter, input));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_channel_splitter_free(splitter));
    /* Its outputs have gone with it. */
    for (int i = 0; i < 3; i++) {
        aq_array_view view = signal_view();
        CHECK_STATUS(aq_input_stream_recv(lasts[i], GUARD_NS, &view), AQ_STOPPED);
        CHECK_OK(aq_input_stream_free(lasts[i]));
    }
    CHECK_OK(aq_output_stream_free(output));
}

/* A consumer that takes nothing does not keep a stop waiting; nothing is lost meanwhile. */
static void stuck_consumer(int32_t protocol)
{
    aq_output_stream_config first = signal_config(AQ_PROTOCOL_INPROC), second = signal_config(protocol);
    aq_output_stream *output = signal_output(&first), *converted = NULL;
    aq_input_stream *input = signal_input(output, NULL), *last;
    aq_stream_converter *converter = NULL;
    aq_output_stream_stats stats;
    second.queue_chunks = 1;
    second.ring_chunks = 2;
    CHECK_OK(aq_stream_converter_new(input, &second, &converter));
    CHECK_OK(aq_stream_converter_get_output(converter, &converted));
    last = signal_input(converted, NULL);
    for (int i = 0; i < 10; i++)
        send_frames(output, i, 1);
    CHECK_OK(aq_stream_converter_start(converter));
    do
        stats = signal_output_stats(converted);
    while (stats.published_frames == 0 || stats.waiting_frames == 0);
    CHECK_OK(aq_stream_converter_stop(converter));
    CHECK_OK(aq_stream_converter_start(converter));
    for (int i = 0; i < 10; i++)
        signal_receive(last, i, i + 1, 0);
    CHECK_OK(aq_stream_converter_free(converter));
    CHECK_OK(aq_output_stream_free(converted));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_input_stream_free(last));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    poll_thread(AQ_PROTOCOL_INPROC);
    poll_thread(AQ_PROTOCOL_SHM);
    failing_function();
    frames_are_kept();
    converter_and_resizer();
    converts_types();
    splitter();
    stuck_consumer(AQ_PROTOCOL_INPROC);
    stuck_consumer(AQ_PROTOCOL_SHM);
    return check_done();
}

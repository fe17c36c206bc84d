/* Histories of inputs: kept while frames come, looked at from other threads, filled where frames are missing. */
#include "streams.h"
#include <pthread.h>

static void kept(int32_t protocol, int32_t shared)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream *output;
    aq_input_stream *input;
    aq_history *history = NULL, *other = NULL;
    aq_array_view view = signal_view();
    int16_t copy[4], *data = signal_frames(110, 10);
    int64_t index = 0;
    config.fill = -7;
    output = signal_output(&config);
    input = signal_input(output, NULL);
    CHECK_ERROR(aq_input_stream_get_data(input, 0, 1, &view), AQ_E_STATE, "it keeps no frames");
    CHECK_ERROR(aq_input_stream_history(input, &history), AQ_E_STATE, "it keeps no frames");
    CHECK_OK(aq_input_stream_set_buffer(input, 50, NULL, NAN, shared));
    CHECK_OK(signal_send(output, 100, GUARD_NS)); /* longer than what is kept: the end is */
    CHECK_OK(aq_input_stream_poll(input, GUARD_NS));
    CHECK_OK(aq_input_stream_latest(input, 50, &view));
    signal_is(&view, 50, 100);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_output_stream_send(output, data, 10, 120, GUARD_NS));
    signal_receive(input, 0, 100, 0);
    signal_receive(input, 110, 120, 10);
    CHECK_OK(aq_input_stream_get_data(input, 98, 112, &view));
    for (size_t i = 0; i < 14; i++)
        CHECK_EQ(signal_at(&view, i, 0), i < 2 || i >= 12 ? signal_value(98 + (int64_t)i, 0) : -7);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_get_slice(input, -1, AQ_SLICE_ALL, -2, &view));
    CHECK_EQ(view.frames, 25);
    CHECK_EQ(signal_at(&view, 1, 1), signal_value(117, 1));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_copy_data(input, 118, 120, copy, sizeof copy));
    CHECK_EQ(copy[2], signal_value(119, 0));
    CHECK_ERROR(aq_input_stream_copy_data(input, 118, 120, copy, 7), AQ_E_TRUNCATED, "size must be at least 8");
    CHECK_ERROR(aq_input_stream_get_data(input, 69, 100, &view), AQ_E_NOT_FOUND, "has frames 70 to 120");
    /* The same history, by a handle of its own, which outlives the input. */
    CHECK_OK(aq_input_stream_history(input, &history));
    if (shared) {
        char name[200];
        CHECK_OK(aq_history_name(history, name, sizeof name, NULL));
        CHECK_OK(aq_history_open(name, &other));
        CHECK_OK(aq_history_latest(other, 5, &view));
        signal_is(&view, 115, 120);
        CHECK_OK(aq_array_view_release(&view));
    }
    CHECK_OK(signal_send(output, 10, GUARD_NS));
    signal_receive(input, 120, 130, 0);
    CHECK_OK(aq_history_index(history, &index));
    CHECK_EQ(index, 130);
    if (shared) {
        CHECK_OK(aq_history_wait(other, 130, GUARD_NS));
        CHECK_OK(aq_history_free(other));
    }
    CHECK_OK(aq_input_stream_reset_index(input));
    CHECK_OK(aq_history_index(history, &index));
    CHECK_EQ(index, 0);
    CHECK_OK(aq_input_stream_set_buffer(input, 0, NULL, NAN, 0));
    CHECK_ERROR(aq_input_stream_latest(input, 1, &view), AQ_E_STATE, "it keeps no frames");
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_history_latest(history, 1, &view));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_history_free(history));
    CHECK_OK(aq_output_stream_free(output));
    free(data);
}

static void own_order_and_fill(void)
{
    static const size_t channels_apart[] = {1, 0};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_array_view view = signal_view();
    CHECK_OK(aq_input_stream_set_buffer(input, 20, channels_apart, 99, 0));
    CHECK_OK(signal_send(output, 5, 0));
    CHECK_OK(aq_input_stream_empty_queue(input, NULL)); /* the history keeps them */
    CHECK_OK(aq_input_stream_get_data(input, -1, 5, &view));
    CHECK_EQ(view.strides[0], 2); /* each channel in one piece */
    CHECK_EQ(signal_at(&view, 0, 0), 99);
    for (size_t i = 1; i < 6; i++)
        CHECK_EQ(signal_at(&view, i, 1), signal_value((int64_t)i - 1, 1));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

static void *receive_all(void *argument)
{
    aq_input_stream *input = (aq_input_stream *)argument;
    aq_array_view view = signal_view();
    while (aq_input_stream_recv(input, GUARD_NS, &view) == AQ_OK)
        CHECK_OK(aq_array_view_release(&view));
    return NULL;
}

/* One thread receives, another looks: what it sees is right, or it is told that it is not. */
static void looked_at_meanwhile(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_history *history = NULL;
    pthread_t thread;
    int right = 0;
    CHECK_OK(aq_input_stream_set_buffer(input, 64, NULL, NAN, 0));
    CHECK_OK(aq_input_stream_history(input, &history));
    CHECK_EQ(pthread_create(&thread, NULL, receive_all, input), 0);
    for (int i = 0; i < 2000; i++) {
        int16_t copy[CHANNELS * 32];
        int64_t index = 0;
        aq_status status;
        CHECK_OK(signal_send(output, 16, GUARD_NS));
        CHECK_OK(aq_history_index(history, &index));
        status = aq_history_copy(history, index - 32, index, copy, sizeof copy);
        if (status == AQ_OK && index >= 32) {
            for (int frame = 0; frame < 32; frame++)
                CHECK_EQ(copy[frame * CHANNELS], signal_value(index - 32 + frame, 0));
            right++;
        } else if (status != AQ_OK)
            CHECK_STATUS(status, AQ_E_NOT_FOUND);
    }
    CHECK_OK(aq_history_wait(history, 32000, GUARD_NS));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(right > 0);
    CHECK_OK(aq_history_free(history));
    CHECK_OK(aq_input_stream_free(input));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    for (int32_t shared = 0; shared < 2; shared++) {
        kept(AQ_PROTOCOL_INPROC, shared);
        kept(AQ_PROTOCOL_SHM, shared);
        if (aq_has_feature("zmq"))
            kept(AQ_PROTOCOL_TCP, shared);
    }
    own_order_and_fill();
    looked_at_meanwhile();
    return check_done();
}

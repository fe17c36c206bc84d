/* Streams for the programs that test signal streams: 16-bit frames of two channels, whose elements tell their index. */
#ifndef AQ_STREAMS_H
#define AQ_STREAMS_H

#include "check.h"
#include <math.h>
#include <stdlib.h>

enum { CHANNELS = 2, GUARD_S = 60 };
#define GUARD_NS (GUARD_S * INT64_C(1000000000)) /* longer, and it hangs */

static const int64_t signal_shape[] = {-1, CHANNELS};

static inline aq_output_stream_config signal_config(int32_t protocol)
{
    aq_output_stream_config config;
    CHECK_OK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = protocol;
    config.dtype = "<i2";
    config.shape = signal_shape;
    config.ndim = 2;
    config.sample_rate = 30000;
    return config;
}

static inline aq_output_stream *signal_output(const aq_output_stream_config *config)
{
    aq_output_stream *output = NULL;
    CHECK_OK(aq_output_stream_new(config, &output));
    return output;
}

/* The params of an output, until the next call. */
static inline const char *signal_params(const aq_output_stream *output)
{
    static char json[4096];
    CHECK_OK(aq_output_stream_params_json(output, json, sizeof json, NULL));
    return json;
}

/* An input that is connected, as its output knows, too. */
static inline aq_input_stream *signal_input(aq_output_stream *output, const aq_input_stream_config *config)
{
    aq_input_stream *input = NULL;
    uint64_t before = 0;
    CHECK_OK(aq_output_stream_input_count(output, &before));
    CHECK_OK(aq_input_stream_connect(signal_params(output), config, &input));
    CHECK_OK(aq_output_stream_wait_inputs(output, before + 1, GUARD_NS));
    return input;
}

static inline aq_input_stream_config signal_input_config(void)
{
    aq_input_stream_config config;
    CHECK_OK(aq_input_stream_config_init(&config, sizeof config));
    return config;
}

static inline int16_t signal_value(int64_t frame, int channel)
{
    return (int16_t)(frame * 10 + channel);
}

/* Frames from `start` on, to be freed. */
static inline int16_t *signal_frames(int64_t start, size_t frames)
{
    int16_t *data = (int16_t *)malloc((frames + 1) * CHANNELS * sizeof *data);
    for (size_t i = 0; i < frames; i++)
        for (int channel = 0; channel < CHANNELS; channel++)
            data[i * CHANNELS + channel] = signal_value(start + (int64_t)i, channel);
    return data;
}

/* Sends frames with the index that follows. */
static inline aq_status signal_send(aq_output_stream *output, size_t frames, int64_t timeout_ns)
{
    int64_t start = -1;
    int16_t *data;
    aq_status status;
    CHECK_OK(aq_output_stream_index(output, &start));
    data = signal_frames(start, frames);
    status = aq_output_stream_send(output, data, frames, AQ_INDEX_NEXT, timeout_ns);
    free(data);
    return status;
}

static inline aq_array_view signal_view(void)
{
    aq_array_view view;
    CHECK_OK(aq_array_view_init(&view, sizeof view));
    return view;
}

/* An element, wherever it is. */
static inline int16_t signal_at(const aq_array_view *view, size_t frame, size_t channel)
{
    int16_t value;
    memcpy(&value,
           (const char *)view->data + (ptrdiff_t)frame * view->strides[0] + (ptrdiff_t)channel * view->strides[1],
           sizeof value);
    return value;
}

/* The frames from `start` to before `stop`, each with the values that it was sent with. */
static inline int signal_is(const aq_array_view *view, int64_t start, int64_t stop)
{
    int ok = CHECK_EQ(view->frames, stop - start) & CHECK_EQ(view->index, stop) & CHECK_EQ(view->ndim, 2) &
             CHECK_EQ(view->shape[0], stop - start) & CHECK_EQ(view->shape[1], CHANNELS) &
             CHECK_EQ(view->size, (stop - start) * CHANNELS * 2) & CHECK((uintptr_t)view->data % 2 == 0);
    for (int64_t frame = start; ok && frame < stop; frame++)
        for (int channel = 0; channel < CHANNELS; channel++)
            ok &= CHECK_EQ(signal_at(view, (size_t)(frame - start), (size_t)channel), signal_value(frame, channel));
    return ok;
}

/* Receives the frames from `start` to before `stop` in one chunk, with `gap` frames missing before. */
static inline void signal_receive(aq_input_stream *input, int64_t start, int64_t stop, int64_t gap)
{
    aq_array_view view = signal_view();
    if (!CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view)))
        return;
    signal_is(&view, start, stop);
    CHECK_EQ(view.gap_end - view.gap_start, gap);
    CHECK_EQ(view.gap_end, gap > 0 ? start : 0);
    CHECK_OK(aq_array_view_check(&view));
    CHECK_OK(aq_array_view_release(&view));
}

static inline aq_output_stream_stats signal_output_stats(const aq_output_stream *output)
{
    aq_output_stream_stats stats;
    CHECK_OK(aq_output_stream_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_output_stream_get_stats(output, &stats));
    CHECK_EQ(stats.filtered_frames, stats.published_frames + stats.waiting_frames + stats.failed_frames);
    return stats;
}

static inline aq_input_stream_stats signal_input_stats(const aq_input_stream *input)
{
    aq_input_stream_stats stats;
    CHECK_OK(aq_input_stream_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_input_stream_get_stats(input, &stats));
    return stats;
}

#endif

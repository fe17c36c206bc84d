/* Filters at both ends: what they make of frames and params, filters in C, and what those may do. */
#include "streams.h"

static void add_to_output(aq_output_stream *output, aq_filter *filter)
{
    CHECK_OK(aq_output_stream_add_filter(output, filter));
    CHECK_OK(aq_filter_free(filter));
}

static void add_to_input(aq_input_stream *input, aq_filter *filter)
{
    CHECK_OK(aq_input_stream_add_filter(input, filter));
    CHECK_OK(aq_filter_free(filter));
}

static aq_filter *scale_filter(double scale, double offset, uint32_t float_bits, const char *units)
{
    aq_filter_scale_config config;
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_scale_config_init(&config, sizeof config));
    CHECK(config.scale == 1 && config.offset == 0 && config.units == NULL);
    CHECK_EQ(config.use_params, 0);
    CHECK_EQ(config.float_bits, 0);
    config.scale = scale;
    config.offset = offset;
    config.float_bits = float_bits;
    config.units = units;
    CHECK_OK(aq_filter_scale_new(&config, &filter));
    return filter;
}

static aq_filter *cast_filter(const char *dtype)
{
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_cast_new(dtype, &filter));
    return filter;
}

static aq_filter *channels_filter(const size_t *channels, size_t count)
{
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_channels_new(channels, count, AQ_LAST_AXIS, &filter));
    return filter;
}

static aq_filter *decimate_filter(size_t every)
{
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_decimate_new(every, &filter));
    return filter;
}

static aq_filter *reshape_filter(const int64_t *shape, size_t ndim)
{
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_reshape_new(shape, ndim, &filter));
    return filter;
}

static aq_filter *callback_filter(const aq_filter_callback_config *config, aq_filter_fn function, void *user,
                                  aq_user_free_fn user_free)
{
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_callback_new(config, function, user, user_free, &filter));
    return filter;
}

static double number_at(const aq_array_view *view, size_t frame, size_t channel)
{
    double value = NAN;
    if (CHECK(view->ndim == 2 && frame < view->frames && channel < view->shape[1]))
        memcpy(&value,
               (const char *)view->data + (ptrdiff_t)frame * view->strides[0] + (ptrdiff_t)channel * view->strides[1],
               sizeof value);
    return value;
}

static aq_stream_info output_info(const aq_output_stream *output)
{
    aq_stream_info info;
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_output_stream_get_info(output, &info));
    return info;
}

static aq_stream_info input_info(const aq_input_stream *input)
{
    aq_stream_info info;
    CHECK_OK(aq_stream_info_init(&info, sizeof info));
    CHECK_OK(aq_input_stream_get_info(input, &info));
    return info;
}

/* At the output: channels change their places, values become volts. At the input: every third frame, in float64 and big-endian order and back. */
static void at_both_ends(void)
{
    static const size_t swapped[] = {1, 0, 1};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output;
    aq_input_stream *input;
    aq_array_view view = signal_view();
    aq_stream_info before, info;
    double copied[6];
    config.scale = 0.5;
    config.offset = 100;
    config.units = "uV";
    output = signal_output(&config);
    before = output_info(output);
    add_to_output(output, channels_filter(swapped, 3));
    add_to_output(output, scale_filter(1e-3, 1, 0, "mV"));
    info = output_info(output);
    CHECK_TEXT(before.dtype, "<i2");
    CHECK_EQ(before.shape[1], 2);
    CHECK_TEXT(info.dtype, "<f4");
    CHECK_TEXT(info.units, "mV");
    CHECK_EQ(info.shape[1], 3);
    CHECK_EQ(info.frame_size, 12);
    CHECK(isnan(info.scale) && isnan(info.offset));
    input = signal_input(output, NULL);
    CHECK_TEXT(input_info(input).dtype, "<f4");
    add_to_input(input, decimate_filter(3));
    add_to_input(input, cast_filter(">f8"));
    add_to_input(input, cast_filter(NULL));
    CHECK_OK(aq_input_stream_set_buffer(input, 10, NULL, NAN, 0));
    CHECK_TEXT(input_info(input).dtype, "<f8");
    CHECK(input_info(input).sample_rate == 10000);
    /* Frames 0 to 4, of which 0 and 3 are left; then 5, of which nothing is; then 9 to 10, and frames 6 to 8 were skipped. */
    CHECK_OK(signal_send(output, 5, GUARD_NS));
    CHECK_OK(signal_send(output, 1, GUARD_NS));
    {
        int16_t *frames = signal_frames(9, 2);
        CHECK_OK(aq_output_stream_send(output, frames, 2, 11, GUARD_NS));
        free(frames);
    }
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK_EQ(view.frames, 2);
    CHECK_EQ(view.index, 2);
    CHECK_EQ(view.shape[1], 3);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 3; j++) {
            double sent = signal_value(3 * (int64_t)i, (int)swapped[j]);
            CHECK(number_at(&view, i, j) == (double)(float)(sent * 1e-3 + 1));
        }
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK_EQ(view.index, 4);
    CHECK_EQ(view.frames, 1);
    CHECK_EQ(view.gap_start, 2);
    CHECK_EQ(view.gap_end, 3);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_copy_data(input, 2, 4, copied, sizeof copied));
    CHECK(isnan(copied[0]) && copied[3] == (double)(float)(signal_value(9, 1) * 1e-3 + 1));
    CHECK_EQ(signal_output_stats(output).filtered_frames, 8);
    CHECK_EQ(signal_input_stats(input).frames, 8);
    CHECK_EQ(signal_input_stats(input).missing_frames, 3);
    CHECK_EQ(signal_input_stats(input).filtered_frames, 3);
    CHECK_EQ(signal_input_stats(input).index, 4);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* The scale and offset that the params say, at the input of a stream that keeps its integers on the way. */
static void scale_of_params(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_SHM);
    aq_filter_scale_config scale;
    aq_filter *filter = NULL;
    aq_output_stream *output;
    aq_input_stream *input;
    aq_array_view view = signal_view();
    config.scale = 0.25;
    config.units = "V";
    output = signal_output(&config);
    input = signal_input(output, NULL);
    CHECK_OK(aq_filter_scale_config_init(&scale, sizeof scale));
    scale.use_params = 1;
    scale.float_bits = 64;
    CHECK_OK(aq_filter_scale_new(&scale, &filter));
    add_to_input(input, filter);
    CHECK_TEXT(input_info(input).units, "V");
    CHECK(isnan(input_info(input).scale) && isnan(input_info(input).offset));
    CHECK(output_info(output).scale == 0.25);
    CHECK_OK(signal_send(output, 4, GUARD_NS));
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK(number_at(&view, 3, 1) == 0.25 * signal_value(3, 1));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

/* One field of records, reshaped. */
static void fields(void)
{
    static const int64_t shape[] = {-1}, square[] = {2, -1};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_filter *filter = NULL;
    aq_output_stream *output;
    aq_input_stream *input;
    aq_array_view view = signal_view();
    uint8_t records[2][5] = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};
    config.dtype = "[[\"id\", \"|u1\"], [\"x\", \"|i1\", [4]]]";
    config.shape = shape;
    config.ndim = 1;
    output = signal_output(&config);
    CHECK_OK(aq_filter_field_new("x", &filter));
    add_to_output(output, filter);
    CHECK_EQ(output_info(output).ndim, 2);
    add_to_output(output, reshape_filter(square, 2));
    CHECK_EQ(output_info(output).ndim, 3);
    CHECK_EQ(output_info(output).shape[2], 2);
    input = signal_input(output, NULL);
    CHECK_OK(aq_output_stream_send(output, records, 2, AQ_INDEX_NEXT, GUARD_NS));
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK_EQ(view.ndim, 3);
    CHECK_EQ(((const int8_t *)view.data)[1 * view.strides[0] + 1 * view.strides[1] + 0 * view.strides[2]], 9);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

struct sums {
    aq_output_stream *output;
    aq_input_stream *input;
    int calls, freed;
    int64_t index; /* of the last frames */
    aq_status answer;
};

static struct sums no_sums(void)
{
    struct sums sums;
    memset(&sums, 0, sizeof sums);
    return sums;
}

static void sums_free(void *user)
{
    ((struct sums *)user)->freed++;
}

/* Sums the channels of each frame. Chunks of one frame are dropped; with two, the second sum is left out. */
static aq_status sum(const aq_filter_frames *in, aq_filter_output *out, void *user)
{
    struct sums *sums = (struct sums *)user;
    void *data = NULL;
    size_t frames = in->frames == 2 ? 1 : in->frames;
    sums->calls++;
    sums->index = in->index;
    CHECK_EQ(in->struct_size, sizeof *in);
    CHECK_TEXT(in->dtype, "<i2");
    CHECK_EQ(in->item_size, 2);
    CHECK_EQ(in->ndim, 2);
    CHECK_EQ(in->shape[0], in->frames);
    CHECK_EQ(in->shape[1], CHANNELS);
    CHECK_EQ(in->reserved, 0);
    if (sums->answer != AQ_OK)
        return sums->answer;
    if (in->frames == 1)
        return AQ_OK;
    CHECK_OK(aq_filter_output_frames(out, 1000, &data));
    CHECK_OK(aq_filter_output_frames(out, frames, &data)); /* the latest counts */
    CHECK_EQ((uintptr_t)data % 64, 0);
    CHECK_ERROR(aq_filter_output_same(out), AQ_E_STATE, "cannot stay the same");
    CHECK_OK(aq_filter_output_frames(out, frames, &data));
    for (size_t i = 0; i < frames; i++) {
        double total = 0;
        for (size_t j = 0; j < CHANNELS; j++) {
            int16_t value;
            memcpy(&value, (const char *)in->data + (ptrdiff_t)i * in->strides[0] + (ptrdiff_t)j * in->strides[1],
                   sizeof value);
            total += value;
        }
        CHECK(((double *)data)[i] == 0);
        ((double *)data)[i] = total;
    }
    if (in->frames == 2)
        CHECK_OK(aq_filter_output_index(out, in->index - 1));
    return AQ_OK;
}

static void callbacks(void)
{
    static const int64_t single[] = {1};
    static const size_t reversed[] = {1, 0};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_filter_callback_config makes;
    struct sums sums = no_sums();
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input;
    aq_array_view view = signal_view();
    CHECK_OK(aq_filter_callback_config_init(&makes, sizeof makes));
    CHECK(makes.name == NULL && makes.dtype == NULL && makes.frame_shape == NULL && isnan(makes.sample_rate));
    makes.name = "sum";
    makes.require_dtype = "<i2";
    makes.dtype = "float64";
    makes.frame_shape = single;
    makes.frame_ndim = 1;
    makes.sample_rate = 1000;
    makes.units = "counts";
    add_to_output(output, channels_filter(reversed, 2));
    add_to_output(output, callback_filter(&makes, sum, &sums, sums_free));
    CHECK_EQ(sums.freed, 0);
    CHECK_TEXT(output_info(output).dtype, "<f8");
    CHECK_TEXT(output_info(output).units, "counts");
    CHECK(output_info(output).sample_rate == 1000);
    input = signal_input(output, NULL);
    CHECK_OK(signal_send(output, 3, GUARD_NS));
    CHECK_EQ(sums.index, 3);
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK_EQ(view.frames, 3);
    CHECK_EQ(view.index, 3);
    CHECK(number_at(&view, 2, 0) == signal_value(2, 0) + signal_value(2, 1));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(signal_send(output, 1, GUARD_NS)); /* dropped */
    CHECK_OK(signal_send(output, 2, GUARD_NS));
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK_EQ(view.frames, 1);
    CHECK_EQ(view.index, 5);
    CHECK_EQ(view.gap_start, 3);
    CHECK_EQ(view.gap_end, 4);
    CHECK_OK(aq_array_view_release(&view));
    sums.answer = AQ_E_FORMAT;
    CHECK_ERROR(signal_send(output, 3, GUARD_NS), AQ_E_FORMAT,
                "filter 2 (sum): the program's function answered -5");
    sums.answer = -1000;
    CHECK_STATUS(signal_send(output, 3, GUARD_NS), AQ_E_IO);
    CHECK_EQ(signal_output_stats(output).filter_errors, 2);
    CHECK_EQ(signal_output_stats(output).index, 6);
    CHECK_EQ(signal_output_stats(output).frames, 6);
    CHECK_EQ(signal_output_stats(output).filtered_frames, 4);
    CHECK_EQ(sums.calls, 5);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_EQ(sums.freed, 0);
    CHECK_OK(aq_output_stream_free(output));
    CHECK_EQ(sums.freed, 1);
}

/* What is of the stream itself must not wait for the filter; the rest is free to be called. */
static aq_status nosy(const aq_filter_frames *in, aq_filter_output *out, void *user)
{
    struct sums *sums = (struct sums *)user;
    aq_array_view view = signal_view();
    uint64_t count;
    int fd;
    sums->calls++;
    if (sums->output != NULL) {
        CHECK_ERROR(aq_output_stream_send(sums->output, in->data, 1, AQ_INDEX_NEXT, 0), AQ_E_STATE, "own filters");
        CHECK_STATUS(aq_output_stream_flush(sums->output, 0), AQ_E_STATE);
        CHECK_STATUS(aq_output_stream_reset_index(sums->output, 0), AQ_E_STATE);
        CHECK_STATUS(aq_output_stream_input_count(sums->output, &count), AQ_E_STATE);
        CHECK_STATUS(aq_output_stream_wait_inputs(sums->output, 1, 0), AQ_E_STATE);
        CHECK_STATUS(aq_output_stream_add_filter(sums->output, NULL), AQ_E_STATE);
        CHECK_ERROR(aq_output_stream_free(sums->output), AQ_E_STATE, "cannot be freed by one of its own filters");
        CHECK_TEXT(output_info(sums->output).dtype, "<i2");
        signal_output_stats(sums->output);
    }
    if (sums->input != NULL) {
        CHECK_ERROR(aq_input_stream_recv(sums->input, 0, &view), AQ_E_STATE, "own filters");
        CHECK_STATUS(aq_input_stream_poll(sums->input, 0), AQ_E_STATE);
        CHECK_STATUS(aq_input_stream_fd(sums->input, &fd), AQ_E_STATE);
        CHECK_STATUS(aq_input_stream_set_buffer(sums->input, 1, NULL, NAN, 0), AQ_E_STATE);
        CHECK_STATUS(aq_input_stream_reset_index(sums->input), AQ_E_STATE);
        CHECK_STATUS(aq_input_stream_empty_queue(sums->input, NULL), AQ_E_STATE);
        CHECK_STATUS(aq_input_stream_add_filter(sums->input, NULL), AQ_E_STATE);
        CHECK_STATUS(aq_input_stream_free(sums->input), AQ_E_STATE);
        signal_input_stats(sums->input);
    }
    if (sums->answer != AQ_OK)
        return sums->answer;
    return aq_filter_output_same(out);
}

static void calls_of_filters(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    struct sums at_output = no_sums(), at_input = no_sums();
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input;
    aq_array_view view = signal_view();
    at_output.output = output;
    add_to_output(output, callback_filter(NULL, nosy, &at_output, NULL));
    input = signal_input(output, NULL);
    at_input.input = input;
    add_to_input(input, callback_filter(NULL, nosy, &at_input, NULL));
    CHECK_OK(signal_send(output, 2, GUARD_NS));
    CHECK_OK(signal_send(output, 3, GUARD_NS));
    CHECK_OK(signal_send(output, 1, GUARD_NS));
    signal_receive(input, 0, 2, 0);
    at_input.answer = AQ_E_NOT_FOUND;
    CHECK_ERROR(aq_input_stream_recv(input, GUARD_NS, &view), AQ_E_NOT_FOUND, "filter 1 (callback)");
    at_input.answer = AQ_OK;
    signal_receive(input, 5, 6, 3);
    CHECK_EQ(signal_input_stats(input).filter_errors, 1);
    CHECK_EQ(signal_input_stats(input).malformed, 0);
    CHECK_EQ(signal_input_stats(input).missing_frames, 0);
    CHECK_EQ(at_output.calls, 3);
    CHECK_EQ(at_input.calls, 3);
    /* The output begins again; filters see it by the index. */
    CHECK_OK(aq_output_stream_reset_index(output, GUARD_NS));
    CHECK_OK(signal_send(output, 2, GUARD_NS));
    signal_receive(input, 0, 2, 0);
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    at_both_ends();
    scale_of_params();
    fields();
    callbacks();
    calls_of_filters();
    return check_done();
}

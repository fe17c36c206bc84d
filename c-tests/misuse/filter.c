/* What a caller can get wrong with filters. */
#include "misuse/handles.h"
#include "streams.h"
#include "sized.h"

static int freed;

static void count_free(void *user)
{
    (void)user;
    freed++;
}

static aq_status same(const aq_filter_frames *in, aq_filter_output *out, void *user)
{
    (void)in;
    (void)user;
    return aq_filter_output_same(out);
}

/* Calls everything that is wrong from inside. */
static aq_status wrong_inside(const aq_filter_frames *in, aq_filter_output *out, void *user)
{
    void *data = &freed;
    struct handles *h = (struct handles *)user;
    CHECK_ERROR(aq_filter_output_frames(out, 1, NULL), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_filter_output_frames(NULL, 1, &data), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_filter_output_frames(out, SIZE_MAX / 2, &data), AQ_E_INVALID, "no memory holds an array");
    CHECK_ERROR(aq_filter_output_frames(out, SIZE_MAX / 16, &data), AQ_E_NOMEM, "cannot allocate");
    CHECK_ERROR(aq_filter_output_index(out, -1), AQ_E_INVALID, "index must be at least 0 (got -1)");
    CHECK_ERROR(aq_filter_output_index(NULL, 1), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_filter_output_same(NULL), AQ_E_INVALID, "output must not be NULL");
    CHECK_WRONG_HANDLES(*h, KINDS, aq_filter_output, "output", aq_filter_output_same(wrong));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_filter_output, "output", aq_filter_output_index(wrong, 1));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_filter_output, "output", aq_filter_output_frames(wrong, 1, &data));
    CHECK(data == &freed); /* written on success only */
    CHECK_OK(aq_filter_output_frames(out, 2, &data));
    /* Goes back, or comes from before the beginning. */
    return aq_filter_output_index(out, in->index == 2 ? 1 : 0);
}

static aq_status use_scale(const void *config)
{
    aq_filter *filter = NULL;
    aq_status status = aq_filter_scale_new((const aq_filter_scale_config *)config, &filter);
    aq_filter_free(filter);
    return status;
}

static aq_status use_callback(const aq_filter_callback_config *config)
{
    aq_filter *filter = NULL;
    int before = freed;
    aq_status status = aq_filter_callback_new(config, same, NULL, count_free, &filter);
    CHECK_EQ(status == AQ_OK, filter != NULL);
    aq_filter_free(filter);
    CHECK_EQ(freed, before + 1);
    return status;
}

#define CHECK_SCALE(field, value, message)                                                                            \
    do {                                                                                                              \
        aq_filter_scale_config config;                                                                                \
        CHECK_OK(aq_filter_scale_config_init(&config, sizeof config));                                                \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_scale(&config), AQ_E_INVALID, message);                                                       \
    } while (0)

#define CHECK_CALLBACK(field, value, status, message)                                                                 \
    do {                                                                                                              \
        aq_filter_callback_config config;                                                                             \
        CHECK_OK(aq_filter_callback_config_init(&config, sizeof config));                                             \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_callback(&config), status, message);                                                          \
    } while (0)

static void makers(void)
{
    static const size_t first[] = {0};
    static const int64_t shape[] = {1};
    aq_filter_scale_config scale;
    aq_filter *filter = NULL;
    CHECK_SIZED_INIT(aq_filter_scale_config, aq_filter_scale_config_init);
    CHECK_SIZED_INIT(aq_filter_callback_config, aq_filter_callback_config_init);
    CHECK_OK(aq_filter_scale_config_init(&scale, sizeof scale));
    check_sized_input(&scale, sizeof scale, use_scale);
    CHECK_SCALE(scale, INFINITY, "scale must be a finite number (got inf)");
    CHECK_SCALE(offset, NAN, "offset must be a finite number (got NaN)");
    CHECK_SCALE(use_params, 2, "config: use_params must be 0 or 1 (got 2)");
    CHECK_SCALE(float_bits, 16, "config: float_bits must be 0, 32 or 64 (got 16)");
    CHECK_SCALE(units, "\xff", "config: units must be UTF-8");
    scale.use_params = 1;
    scale.scale = 2;
    CHECK_ERROR(use_scale(&scale), AQ_E_INVALID, "must be 1 and 0 when use_params is 1 (got 2 and 0)");
    scale.scale = 1;
    CHECK_ERROR(aq_filter_scale_new(&scale, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_filter_cast_new("<f3", &filter), AQ_E_FORMAT, "\"<f3\" is not supported");
    CHECK_ERROR(aq_filter_cast_new("\xff", &filter), AQ_E_INVALID, "dtype must be UTF-8");
    CHECK_ERROR(aq_filter_cast_new(NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_filter_channels_new(first, 0, AQ_LAST_AXIS, &filter), AQ_E_INVALID, "count must be at least 1 (got 0)");
    CHECK_ERROR(aq_filter_channels_new(NULL, 1, AQ_LAST_AXIS, &filter), AQ_E_INVALID, "channels must not be NULL");
    CHECK_ERROR(aq_filter_channels_new(first, 1, 0, &filter), AQ_E_INVALID, "axis must be at least 1");
    CHECK_ERROR(aq_filter_channels_new(first, 1, -2, &filter), AQ_E_INVALID, "axis must be at least 1");
    CHECK_ERROR(aq_filter_channels_new(first, SIZE_MAX, 1, &filter), AQ_E_INVALID, "channels: there cannot be");
    CHECK_ERROR(aq_filter_channels_new(first, 1, 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_filter_field_new(NULL, &filter), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_filter_field_new("x", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_filter_decimate_new(0, &filter), AQ_E_INVALID, "every must be at least 1 (got 0)");
    CHECK_ERROR(aq_filter_decimate_new(1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_filter_reshape_new(NULL, 1, &filter), AQ_E_INVALID, "frame_shape must not be NULL");
    CHECK_ERROR(aq_filter_reshape_new(shape, 64, &filter), AQ_E_INVALID, "ndim must be 0 to 63 (got 64)");
    CHECK_ERROR(aq_filter_reshape_new(shape, 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_CALLBACK(dtype, "x", AQ_E_FORMAT, "is not supported");
    CHECK_CALLBACK(require_dtype, "\xff", AQ_E_INVALID, "config: require_dtype must be UTF-8");
    CHECK_CALLBACK(frame_ndim, 1, AQ_E_INVALID, "config: frame_shape must not be NULL when frame_ndim is 1");
    CHECK_CALLBACK(frame_ndim, 64, AQ_E_INVALID, "config: frame_ndim must be 0 to 63 (got 64)");
    CHECK_CALLBACK(name, "\xff", AQ_E_INVALID, "config: name must be UTF-8");
    CHECK_OK(use_callback(NULL));
    freed = 0;
    CHECK_ERROR(aq_filter_callback_new(NULL, NULL, NULL, count_free, &filter), AQ_E_INVALID, "function must not be NULL");
    CHECK_ERROR(aq_filter_callback_new(NULL, same, NULL, count_free, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_EQ(freed, 2);
    CHECK(filter == NULL);
    CHECK_OK(aq_filter_free(NULL));
}

static void adding(void)
{
    static const size_t far[] = {0, 2};
    static const int64_t odd[] = {3}, negative[] = {-3};
    static struct handles h;
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_filter *channels = NULL, *reshape = NULL, *field = NULL, *cast = NULL, *text = NULL, *shapes = NULL, *inside = NULL;
    aq_filter_callback_config wants;
    aq_filter *wanting = NULL;
    handles_open(&h);
    CHECK_OK(aq_filter_channels_new(far, 2, AQ_LAST_AXIS, &channels));
    CHECK_OK(aq_filter_reshape_new(odd, 1, &reshape));
    CHECK_OK(aq_filter_field_new("x", &field));
    CHECK_OK(aq_filter_cast_new("<f4", &cast));
    CHECK_OK(aq_filter_cast_new("S3", &text));
    CHECK_OK(aq_filter_callback_config_init(&wants, sizeof wants));
    wants.require_dtype = ">i2";
    CHECK_OK(aq_filter_callback_new(&wants, same, NULL, NULL, &wanting));
    wants.require_dtype = NULL;
    wants.frame_shape = negative;
    wants.frame_ndim = 1;
    CHECK_OK(aq_filter_callback_new(&wants, same, NULL, NULL, &shapes));
    CHECK_OK(aq_filter_callback_new(NULL, wrong_inside, &h, NULL, &inside));
    CHECK_ERROR(aq_output_stream_add_filter(output, channels), AQ_E_INVALID,
                "filter 1 (channels): channels must be below 2, which axis 1 has (got 2)");
    CHECK_ERROR(aq_output_stream_add_filter(output, reshape), AQ_E_INVALID, "must have the 2 elements");
    CHECK_ERROR(aq_output_stream_add_filter(output, field), AQ_E_INVALID, "name must be that of a field");
    CHECK_ERROR(aq_output_stream_add_filter(output, text), AQ_E_INVALID, "(got |S3 for <i2)");
    CHECK_ERROR(aq_input_stream_add_filter(input, wanting), AQ_E_INVALID, "the stream's dtype must be >i2 (got <i2)");
    CHECK_ERROR(aq_input_stream_add_filter(input, shapes), AQ_E_FORMAT, "shape must be positive");
    CHECK_ERROR(aq_output_stream_add_filter(output, NULL), AQ_E_INVALID, "filter must not be NULL");
    CHECK_ERROR(aq_output_stream_add_filter(NULL, cast), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_input_stream_add_filter(input, NULL), AQ_E_INVALID, "filter must not be NULL");
    CHECK_ERROR(aq_input_stream_add_filter(NULL, cast), AQ_E_INVALID, "input must not be NULL");
    CHECK_WRONG_HANDLES(h, OUTPUT_STREAM, aq_output_stream, "output", aq_output_stream_add_filter(wrong, cast));
    CHECK_WRONG_HANDLES(h, INPUT_STREAM, aq_input_stream, "input", aq_input_stream_add_filter(wrong, cast));
    CHECK_WRONG_HANDLES(h, KINDS, aq_filter, "filter", aq_output_stream_add_filter(output, wrong));
    CHECK_WRONG_HANDLES(h, KINDS, aq_filter, "filter", aq_input_stream_add_filter(input, wrong));
    CHECK_WRONG_HANDLES(h, KINDS, aq_filter, "filter", aq_filter_free(wrong));
    CHECK_OK(aq_output_stream_add_filter(output, inside));
    CHECK_OK(aq_input_stream_add_filter(input, cast));
    CHECK_ERROR(aq_input_stream_add_filter(input, cast), AQ_E_STATE, "filter: it has been added to a stream already");
    CHECK_ERROR(aq_output_stream_add_filter(output, cast), AQ_E_STATE, "added to a stream already");
    /* What was refused can be added elsewhere; not once frames are kept, or have been sent. */
    CHECK_OK(aq_input_stream_set_buffer(input, 10, NULL, NAN, 0));
    CHECK_ERROR(aq_input_stream_add_filter(input, channels), AQ_E_STATE, "before set_buffer");
    CHECK_ERROR(signal_send(output, 2, 0), AQ_E_INVALID, "2 frames cannot end at index 1");
    CHECK_ERROR(signal_send(output, 3, 0), AQ_E_INVALID, "2 frames cannot end at index 0");
    CHECK_EQ(signal_output_stats(output).frames, 0);
    CHECK_EQ(signal_output_stats(output).filter_errors, 2);
    CHECK_OK(aq_filter_free(channels));
    CHECK_OK(aq_filter_free(reshape));
    CHECK_OK(aq_filter_free(field));
    CHECK_OK(aq_filter_free(cast));
    CHECK_OK(aq_filter_free(text));
    CHECK_OK(aq_filter_free(shapes));
    CHECK_OK(aq_filter_free(wanting));
    CHECK_OK(aq_filter_free(inside));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
    handles_close(&h);
}

/* Once a stream runs, its filters stay. */
static void too_late(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_filter *filter = NULL;
    CHECK_OK(aq_filter_cast_new("<f4", &filter));
    CHECK_OK(signal_send(output, 2, GUARD_NS));
    CHECK_ERROR(aq_output_stream_add_filter(output, filter), AQ_E_STATE, "before the first frames are sent");
    signal_receive(input, 0, 2, 0);
    CHECK_ERROR(aq_input_stream_add_filter(input, filter), AQ_E_STATE, "before the first chunk is received");
    CHECK_OK(aq_filter_free(filter));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    makers();
    adding();
    too_late();
    return check_done();
}

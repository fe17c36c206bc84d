/* Splits the channels of a signal stream into two streams, in a thread of its own, and looks at both.
 *
 *   splitter              a producer of its own: 8 channels of a made-up instrument
 *   splitter PARAMS       the stream that these params describe: what its producer prints, or what another program's output says
 *
 * The splitter sends channel 0 through an output "trigger", and the others through "signal", at the same indices. Both are shared
 * memory: their params are printed, so that other programs can connect, too. A poll thread looks at each here. A graph starts the four
 * in the right order, and stops them so that nothing is lost.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

enum { CHANNELS = 8, FRAMES = 100, CHUNKS = 500, SKIPPED = 250 };

/* The instrument: a counter in each channel. It misses a chunk in the middle. */
static void *produce(void *user)
{
    aq_output_stream *output = (aq_output_stream *)user;
    static int16_t data[FRAMES][CHANNELS];
    CHECK(aq_output_stream_wait_inputs(output, 1, AQ_WAIT_FOREVER));
    for (int64_t chunk = 0; chunk < CHUNKS; chunk++) {
        if (chunk == SKIPPED)
            continue;
        for (int frame = 0; frame < FRAMES; frame++)
            for (int channel = 0; channel < CHANNELS; channel++)
                data[frame][channel] = (int16_t)((chunk * FRAMES + frame) % 1000 + 1000 * channel);
        CHECK(aq_output_stream_send(output, data, FRAMES, (chunk + 1) * FRAMES, AQ_WAIT_FOREVER));
    }
    CHECK(aq_output_stream_free(output)); /* inputs receive what was sent, and end */
    return NULL;
}

/* Input of the stream with these params. */
static aq_input_stream *connect_to(const char *params)
{
    aq_input_stream *input;
    CHECK(aq_input_stream_connect(params, NULL, &input));
    return input;
}

struct sums {
    uint64_t frames, missing;
    int64_t sum;
};

/* Called by a poll thread for each chunk of 16-bit elements. */
static aq_status add(aq_array_view *view, void *user)
{
    struct sums *sums = (struct sums *)user;
    for (size_t frame = 0; frame < view->frames; frame++)
        for (size_t channel = 0; channel < view->shape[1]; channel++)
            sums->sum += *(const int16_t *)((const char *)view->data + (ptrdiff_t)frame * view->strides[0] +
                                            (ptrdiff_t)channel * view->strides[1]);
    sums->frames += view->frames;
    sums->missing += (uint64_t)(view->gap_end - view->gap_start);
    return AQ_OK;
}

int main(int argc, char **argv)
{
    char params[4096];
    aq_output_stream_config config;
    pthread_t producer;
    CHECK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = AQ_PROTOCOL_SHM;

    /* Where the frames come from. */
    aq_input_stream *input;
    if (argc < 2) {
        const int64_t shape[] = {-1, CHANNELS};
        aq_output_stream_config instrument = config;
        aq_output_stream *output;
        instrument.dtype = "<i2";
        instrument.shape = shape;
        instrument.ndim = 2;
        instrument.sample_rate = 1000;
        CHECK(aq_output_stream_new(&instrument, &output));
        CHECK(aq_output_stream_params_json(output, params, sizeof params, NULL));
        input = connect_to(params);
        if (pthread_create(&producer, NULL, produce, output) != 0)
            return 1;
    } else {
        input = connect_to(argv[1]);
    }
    aq_stream_info info;
    CHECK(aq_stream_info_init(&info, sizeof info));
    CHECK(aq_input_stream_get_info(input, &info));
    if (info.ndim != 2 || info.shape[1] < 2 || info.shape[1] > 1024 || info.item_size != 2) {
        fprintf(stderr, "the stream must have 2 to 1024 channels of 16 bits\n");
        return 1;
    }

    /* The splitter and its outputs. */
    size_t channels[1024];
    for (size_t i = 0; i < 1024; i++)
        channels[i] = i;
    const aq_channel_selection selections[] = {
        {"trigger", channels, 1},
        {"signal", channels + 1, (size_t)info.shape[1] - 1},
    };
    aq_channel_splitter *splitter;
    aq_stream_graph *graph;
    CHECK(aq_channel_splitter_new(input, &config, selections, 2, &splitter));
    CHECK(aq_stream_graph_new(&graph));
    CHECK(aq_stream_graph_add_channel_splitter(graph, "splitter", splitter));

    /* Somebody who looks at each. */
    struct sums sums[2] = {{0, 0, 0}, {0, 0, 0}};
    for (int i = 0; i < 2; i++) {
        aq_output_stream *output;
        aq_poll_thread *thread;
        CHECK(aq_channel_splitter_get_output(splitter, selections[i].name, &output));
        CHECK(aq_output_stream_params_json(output, params, sizeof params, NULL));
        printf("%s: %s\n", selections[i].name, params);
        CHECK(aq_poll_thread_new_on_output(output, add, &sums[i], NULL, &thread));
        CHECK(aq_stream_graph_add_poll_thread(graph, selections[i].name, thread));
        CHECK(aq_poll_thread_free(thread)); /* the graph has it */
        CHECK(aq_output_stream_free(output));
    }
    fflush(stdout);

    CHECK(aq_stream_graph_start(graph));
    CHECK(aq_stream_graph_wait(graph, AQ_WAIT_FOREVER)); /* until the stream ends */
    CHECK(aq_stream_graph_stop(graph, AQ_WAIT_FOREVER)); /* what is on its way arrives */

    aq_stream_node_stats stats;
    CHECK(aq_stream_node_stats_init(&stats, sizeof stats));
    CHECK(aq_channel_splitter_get_stats(splitter, &stats));
    printf("%" PRIu64 " frames in %" PRIu64 " chunks, %" PRIu64 " missing\n", stats.frames, stats.chunks, stats.missing_frames);
    int complete = 1;
    for (int i = 0; i < 2; i++) {
        printf("%s: %" PRIu64 " frames, %" PRIu64 " missing, sum %" PRId64 "\n", selections[i].name, sums[i].frames,
               sums[i].missing, sums[i].sum);
        complete &= sums[i].frames == stats.frames && sums[i].missing == stats.missing_frames;
    }
    CHECK(aq_stream_graph_free(graph));
    CHECK(aq_channel_splitter_free(splitter));
    CHECK(aq_input_stream_free(input));
    if (argc < 2)
        pthread_join(producer, NULL);
    return complete ? 0 : 1;
}

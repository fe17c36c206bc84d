/* What a caller can get wrong with nodes of signal streams and their graphs. */
#include "misuse/handles.h"
#include "nodes.h"
#include "sized.h"

static const size_t channels[] = {0, 1};

/* A stream, and a node of each kind. */
struct nodes {
    aq_output_stream *output;
    aq_input_stream *input;
    aq_poll_thread *thread;
    aq_stream_converter *converter;
    aq_channel_splitter *splitter;
    aq_chunk_resizer *resizer;
    aq_stream_graph *graph;
    struct seen seen;
};

static void nodes_open(struct nodes *n)
{
    const aq_channel_selection selection = {"all", channels, 2};
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    n->output = signal_output(&config);
    n->input = signal_input(n->output, NULL);
    seen_init(&n->seen);
    n->thread = see_input(n->input, &n->seen);
    n->converter = NULL;
    n->splitter = NULL;
    n->resizer = NULL;
    n->graph = NULL;
    CHECK_OK(aq_stream_converter_new(n->input, &config, &n->converter));
    CHECK_OK(aq_channel_splitter_new(n->input, &config, &selection, 1, &n->splitter));
    CHECK_OK(aq_chunk_resizer_new(n->input, &config, 1, &n->resizer));
    CHECK_OK(aq_stream_graph_new(&n->graph));
}

static void nodes_close(struct nodes *n)
{
    CHECK_OK(aq_stream_graph_free(n->graph));
    CHECK_OK(aq_chunk_resizer_free(n->resizer));
    CHECK_OK(aq_channel_splitter_free(n->splitter));
    CHECK_OK(aq_stream_converter_free(n->converter));
    CHECK_OK(aq_poll_thread_free(n->thread));
    CHECK_OK(aq_input_stream_free(n->input));
    CHECK_OK(aq_output_stream_free(n->output));
}

/* Every function of a node, of no node and of all others. */
#define CHECK_NODE(type, name, pointer)                                                                               \
    do {                                                                                                              \
        aq_stream_node_stats stats = node_stats();                                                                    \
        int32_t running = -7;                                                                                         \
        CHECK_ERROR(type##_connect(NULL, n->input), AQ_E_INVALID, name " must not be NULL");                          \
        CHECK_ERROR(type##_connect(pointer, NULL), AQ_E_INVALID, "input must not be NULL");                           \
        CHECK_ERROR(type##_start(NULL), AQ_E_INVALID, name " must not be NULL");                                      \
        CHECK_ERROR(type##_stop(NULL), AQ_E_INVALID, name " must not be NULL");                                       \
        CHECK_ERROR(type##_wait(NULL, 0), AQ_E_INVALID, name " must not be NULL");                                    \
        CHECK_ERROR(type##_wait(pointer, -2), AQ_E_INVALID, "timeout_ns must be");                                    \
        CHECK_ERROR(type##_status(NULL, &running), AQ_E_INVALID, name " must not be NULL");                           \
        CHECK_EQ(running, -7);                                                                                        \
        CHECK_OK(type##_status(pointer, NULL));                                                                       \
        CHECK_ERROR(type##_get_stats(NULL, &stats), AQ_E_INVALID, name " must not be NULL");                          \
        CHECK_ERROR(type##_get_stats(pointer, NULL), AQ_E_INVALID, "stats must not be NULL");                         \
        stats.struct_size = 0;                                                                                        \
        CHECK_ERROR(type##_get_stats(pointer, &stats), AQ_E_INVALID, "struct_size 0");                                \
        CHECK_OK(type##_free(NULL));                                                                                  \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_connect(wrong, n->input));                                   \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_start(wrong));                                               \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_stop(wrong));                                                \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_wait(wrong, 0));                                             \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_status(wrong, &running));                                    \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_get_stats(wrong, &stats));                                   \
        CHECK_WRONG_HANDLES(h, KINDS, type, name, type##_free(wrong));                                                \
        CHECK_ERROR(type##_start((type *)(void *)n->graph), AQ_E_INVALID, "not an " #type);                           \
    } while (0)

static void handles(struct nodes *n)
{
    struct handles h;
    handles_open(&h);
    CHECK_NODE(aq_poll_thread, "thread", n->thread);
    CHECK_NODE(aq_stream_converter, "converter", n->converter);
    CHECK_NODE(aq_channel_splitter, "splitter", n->splitter);
    CHECK_NODE(aq_chunk_resizer, "resizer", n->resizer);
    handles_close(&h);
}

/* A function's user pointer is released also when nothing is made. */
static void poll_threads(struct nodes *n)
{
    struct seen seen;
    aq_poll_thread *thread = NULL;
    seen_init(&seen);
    CHECK_ERROR(aq_poll_thread_new(n->input, NULL, &seen, seen_free, &thread), AQ_E_INVALID, "callback must not be NULL");
    CHECK_ERROR(aq_poll_thread_new(NULL, see, &seen, seen_free, &thread), AQ_E_INVALID, "input must not be NULL");
    CHECK_ERROR(aq_poll_thread_new(n->input, see, &seen, seen_free, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_poll_thread_new_on_output(n->output, NULL, &seen, seen_free, &thread), AQ_E_INVALID,
                "callback must not be NULL");
    CHECK_ERROR(aq_poll_thread_new_on_output(NULL, see, &seen, seen_free, &thread), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_poll_thread_new_on_output(n->output, see, &seen, seen_free, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_poll_thread_new((aq_input_stream *)(void *)n->output, see, &seen, seen_free, &thread), AQ_E_INVALID,
                "not an aq_input_stream");
    CHECK_ERROR(aq_poll_thread_set_event_callback(NULL, NULL, &seen, seen_free), AQ_E_INVALID, "thread must not be NULL");
    CHECK_EQ(seen.freed, 8);
    CHECK_OK(aq_poll_thread_set_event_callback(n->thread, NULL, &seen, seen_free));
    CHECK_EQ(seen.freed, 9);
    CHECK(thread == NULL);
}

static void outputs(struct nodes *n)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC), bad = config, fixed = config;
    const int64_t shape[] = {-1};
    aq_channel_selection selections[2] = {{"a", channels, 2}, {"a", channels, 1}}, none = {"a", channels, 0};
    const size_t beyond[] = {1, 2};
    aq_stream_converter *converter = NULL;
    aq_channel_splitter *splitter = NULL;
    aq_chunk_resizer *resizer = NULL;
    aq_output_stream *output = NULL, *flat;
    aq_input_stream *flat_input;
    bad.overflow = 77;
    CHECK_ERROR(aq_stream_converter_new(NULL, &config, &converter), AQ_E_INVALID, "input must not be NULL");
    CHECK_ERROR(aq_stream_converter_new(n->input, &config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_stream_converter_new(n->input, &bad, &converter), AQ_E_INVALID, "overflow must be one of");
    bad = config;
    bad.dtype = "S3";
    CHECK_ERROR(aq_stream_converter_new(n->input, &bad, &converter), AQ_E_INVALID, "got |S3 for <i2");
    bad.dtype = "what";
    CHECK_STATUS(aq_stream_converter_new(n->input, &bad, &converter), AQ_E_FORMAT);
    CHECK_ERROR(aq_stream_converter_get_output(n->converter, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_stream_converter_get_output(NULL, &output), AQ_E_INVALID, "converter must not be NULL");
    CHECK(converter == NULL);

    CHECK_ERROR(aq_chunk_resizer_new(n->input, &config, 0, &resizer), AQ_E_INVALID, "frames must be at least 1 (got 0)");
    CHECK_ERROR(aq_chunk_resizer_new(NULL, &config, 1, &resizer), AQ_E_INVALID, "input must not be NULL");
    CHECK_ERROR(aq_chunk_resizer_new(n->input, &config, 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_chunk_resizer_get_output(n->resizer, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_chunk_resizer_get_output(NULL, &output), AQ_E_INVALID, "resizer must not be NULL");
    CHECK(resizer == NULL);

    CHECK_ERROR(aq_channel_splitter_new(NULL, &config, selections, 1, &splitter), AQ_E_INVALID, "input must not be NULL");
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, NULL, 1, &splitter), AQ_E_INVALID, "selections must not be NULL");
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, NULL, 0, &splitter), AQ_E_INVALID, "n_selections must be 1 to 4096 (got 0)");
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, SIZE_MAX, &splitter), AQ_E_INVALID, "n_selections must be");
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, 2, &splitter), AQ_E_INVALID, "name must be new (got \"a\")");
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, &none, 1, &splitter), AQ_E_INVALID, "at least one channel");
    selections[0].channels = beyond;
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, 1, &splitter), AQ_E_INVALID,
                "output \"a\": channels must be below 2, which axis 1 has (got 2)");
    selections[0].channels = NULL;
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, 1, &splitter), AQ_E_INVALID, "channels must not be NULL");
    selections[0].channels = channels;
    selections[0].n_channels = SIZE_MAX;
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, 1, &splitter), AQ_E_INVALID, "n_channels of \"a\" must be");
    selections[0].n_channels = 2;
    selections[0].name = NULL;
    CHECK_ERROR(aq_channel_splitter_new(n->input, &config, selections, 1, &splitter), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_channel_splitter_get_output(n->splitter, "b", &output), AQ_E_NOT_FOUND, "no output \"b\"");
    CHECK_ERROR(aq_channel_splitter_get_output(n->splitter, NULL, &output), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_channel_splitter_get_output(n->splitter, "all", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_channel_splitter_get_output(NULL, "all", &output), AQ_E_INVALID, "splitter must not be NULL");
    CHECK(splitter == NULL && output == NULL);

    /* Without channels there is nothing to be split; other frames cannot be taken. */
    fixed.shape = shape;
    fixed.ndim = 1;
    flat = signal_output(&fixed);
    flat_input = signal_input(flat, NULL);
    selections[0].name = "a";
    CHECK_ERROR(aq_channel_splitter_new(flat_input, &config, selections, 1, &splitter), AQ_E_INVALID, "axis must be one behind the first");
    CHECK_ERROR(aq_stream_converter_connect(n->converter, flat_input), AQ_E_INVALID, "frames of shape []");
    CHECK_ERROR(aq_chunk_resizer_connect(n->resizer, flat_input), AQ_E_INVALID, "frames of shape []");
    CHECK_ERROR(aq_channel_splitter_connect(n->splitter, flat_input), AQ_E_INVALID, "axis must be one behind the first");
    CHECK_OK(aq_input_stream_free(flat_input));
    CHECK_OK(aq_output_stream_free(flat));
}

static void graphs(struct nodes *n)
{
    aq_stream_graph *other = NULL;
    int fd = -7;
    CHECK_ERROR(aq_stream_graph_new(NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_poll_thread(NULL, "a", n->thread), AQ_E_INVALID, "graph must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_poll_thread(n->graph, NULL, n->thread), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_poll_thread(n->graph, "a\xff", n->thread), AQ_E_INVALID, "name must be UTF-8");
    CHECK_ERROR(aq_stream_graph_add_poll_thread(n->graph, "a", NULL), AQ_E_INVALID, "thread must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_stream_converter(n->graph, "a", NULL), AQ_E_INVALID, "converter must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_channel_splitter(n->graph, "a", NULL), AQ_E_INVALID, "splitter must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_chunk_resizer(n->graph, "a", NULL), AQ_E_INVALID, "resizer must not be NULL");
    CHECK_ERROR(aq_stream_graph_add_chunk_resizer(n->graph, "a", (aq_chunk_resizer *)(void *)n->thread), AQ_E_INVALID,
                "not an aq_chunk_resizer");
    CHECK_ERROR(aq_stream_graph_link(NULL, "a", "b"), AQ_E_INVALID, "graph must not be NULL");
    CHECK_ERROR(aq_stream_graph_link(n->graph, NULL, "b"), AQ_E_INVALID, "from must not be NULL");
    CHECK_ERROR(aq_stream_graph_link(n->graph, "a", NULL), AQ_E_INVALID, "to must not be NULL");
    CHECK_ERROR(aq_stream_graph_link(n->graph, "a", "b"), AQ_E_NOT_FOUND, "no node \"a\"");
    CHECK_ERROR(aq_stream_graph_start(NULL), AQ_E_INVALID, "graph must not be NULL");
    CHECK_ERROR(aq_stream_graph_stop(NULL, 0), AQ_E_INVALID, "graph must not be NULL");
    CHECK_ERROR(aq_stream_graph_stop(n->graph, -5), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_stream_graph_wait(NULL, 0), AQ_E_INVALID, "graph must not be NULL");
    CHECK_ERROR(aq_stream_graph_wait(n->graph, -5), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_stream_graph_fd(NULL, &fd), AQ_E_INVALID, "graph must not be NULL");
    CHECK_ERROR(aq_stream_graph_fd(n->graph, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_EQ(fd, -7);
    CHECK_OK(aq_stream_graph_free(NULL));
    CHECK_ERROR(aq_stream_graph_free((aq_stream_graph *)(void *)n->thread), AQ_E_INVALID, "not an aq_stream_graph");

    /* In a circle, in two graphs, twice by the same name. */
    CHECK_OK(aq_stream_graph_add_poll_thread(n->graph, "a", n->thread));
    CHECK_ERROR(aq_stream_graph_add_stream_converter(n->graph, "a", n->converter), AQ_E_INVALID, "name must be new (got \"a\")");
    CHECK_OK(aq_stream_graph_add_stream_converter(n->graph, "b", n->converter));
    CHECK_OK(aq_stream_graph_new(&other));
    CHECK_ERROR(aq_stream_graph_add_stream_converter(other, "b", n->converter), AQ_E_STATE, "in a graph already");
    CHECK_OK(aq_stream_graph_free(other));
    CHECK_OK(aq_stream_graph_link(n->graph, "a", "b"));
    CHECK_OK(aq_stream_graph_link(n->graph, "b", "a"));
    CHECK_ERROR(aq_stream_graph_start(n->graph), AQ_E_INVALID, "circle (got [\"a\", \"b\"])");
    CHECK_OK(aq_stream_graph_stop(n->graph, 0));
}

int main(void)
{
    struct nodes n;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    CHECK_SIZED_INIT(aq_stream_node_stats, aq_stream_node_stats_init);
    nodes_open(&n);
    handles(&n);
    poll_threads(&n);
    outputs(&n);
    graphs(&n);
    nodes_close(&n);
    CHECK_EQ(n.seen.freed, 1);
    return check_done();
}

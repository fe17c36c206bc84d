/* Graphs of nodes: nothing in flight is lost, and who failed is told by name. */
#include "nodes.h"
#include <poll.h>

static const size_t left[] = {0}, both[] = {0, 1};
static const aq_channel_selection sides[] = {{"left", left, 1}, {"both", both, 2}};

/* A producer's output, and behind it: converter, resizer, splitter, and two poll threads. Handles of nodes are freed: the graph has them. */
struct chain {
    aq_output_stream *output;
    aq_stream_graph *graph;
    struct seen left, both;
};

static void chain_open(struct chain *chain, int32_t protocol)
{
    aq_output_stream_config config = signal_config(protocol);
    aq_output_stream *converted = NULL, *resized = NULL, *split = NULL;
    aq_input_stream *inputs[3];
    aq_stream_converter *converter = NULL;
    aq_chunk_resizer *resizer = NULL;
    aq_channel_splitter *splitter = NULL;
    aq_poll_thread *thread;
    seen_init(&chain->left);
    seen_init(&chain->both);
    chain->output = signal_output(&config);
    CHECK_OK(aq_stream_graph_new(&chain->graph));
    inputs[0] = signal_input(chain->output, NULL);
    CHECK_OK(aq_stream_converter_new(inputs[0], &config, &converter));
    CHECK_OK(aq_stream_converter_get_output(converter, &converted));
    inputs[1] = signal_input(converted, NULL);
    CHECK_OK(aq_chunk_resizer_new(inputs[1], &config, 4, &resizer));
    CHECK_OK(aq_chunk_resizer_get_output(resizer, &resized));
    inputs[2] = signal_input(resized, NULL);
    CHECK_OK(aq_channel_splitter_new(inputs[2], &config, sides, 2, &splitter));
    CHECK_OK(aq_stream_graph_add_stream_converter(chain->graph, "convert", converter));
    CHECK_OK(aq_stream_graph_add_channel_splitter(chain->graph, "split", splitter));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(aq_channel_splitter_get_output(splitter, sides[i].name, &split));
        thread = see_output(split, i == 0 ? &chain->left : &chain->both);
        CHECK_OK(aq_stream_graph_add_poll_thread(chain->graph, sides[i].name, thread));
        CHECK_ERROR(aq_stream_graph_add_poll_thread(chain->graph, "again", thread), AQ_E_STATE, "in a graph already");
        CHECK_OK(aq_poll_thread_free(thread));
        CHECK_OK(aq_output_stream_free(split));
    }
    CHECK_OK(aq_stream_graph_add_chunk_resizer(chain->graph, "resize", resizer));
    CHECK_OK(aq_stream_graph_link(chain->graph, "convert", "resize")); /* as can be seen, too */
    CHECK_OK(aq_stream_converter_free(converter));
    CHECK_OK(aq_chunk_resizer_free(resizer));
    CHECK_OK(aq_channel_splitter_free(splitter));
    CHECK_OK(aq_output_stream_free(converted));
    CHECK_OK(aq_output_stream_free(resized));
    for (int i = 0; i < 3; i++)
        CHECK_OK(aq_input_stream_free(inputs[i]));
}

static int is_readable(aq_stream_graph *graph)
{
    struct pollfd polled = {-1, POLLIN, 0};
    CHECK_OK(aq_stream_graph_fd(graph, &polled.fd));
    return poll(&polled, 1, 0) == 1;
}

static void chain_passes(int32_t protocol)
{
    struct chain chain;
    chain_open(&chain, protocol);
    CHECK_STATUS(aq_stream_graph_wait(chain.graph, AQ_WAIT_FOREVER), AQ_STOPPED);
    CHECK(is_readable(chain.graph));
    CHECK_OK(aq_stream_graph_start(chain.graph));
    CHECK(!is_readable(chain.graph));
    CHECK_STATUS(aq_stream_graph_wait(chain.graph, 0), AQ_EMPTY);
    CHECK_STATUS(aq_stream_graph_wait(chain.graph, 1000), AQ_TIMEOUT);
    CHECK_ERROR(aq_stream_graph_start(chain.graph), AQ_E_STATE, "stop it first");
    send_frames(chain.output, 0, 6);
    send_frames(chain.output, 9, 5);
    CHECK_OK(aq_output_stream_free(chain.output));
    CHECK_OK(aq_stream_graph_wait(chain.graph, GUARD_NS));
    CHECK(is_readable(chain.graph));
    /* What was on its way has arrived then. */
    CHECK_OK(aq_stream_graph_stop(chain.graph, GUARD_NS));
    CHECK_EQ(chain.left.chunks, 4);
    CHECK_EQ(chain.both.chunks, 4);
    for (int i = 0; i < 2; i++) {
        const struct seen *seen = i == 0 ? &chain.left : &chain.both;
        seen_is(seen, 0, 0, 4, 0);
        seen_is(seen, 1, 4, 6, 0);
        seen_is(seen, 2, 9, 13, 3);
        seen_is(seen, 3, 13, 14, 0);
    }
    CHECK_OK(aq_stream_graph_stop(chain.graph, 0));
    CHECK_OK(aq_stream_graph_free(chain.graph));
    CHECK_EQ(chain.left.freed + chain.both.freed, 2);
}

static void failure(void)
{
    struct chain chain;
    chain_open(&chain, AQ_PROTOCOL_INPROC);
    chain.both.answer = AQ_E_NOMEM;
    CHECK_OK(aq_stream_graph_start(chain.graph));
    send_frames(chain.output, 0, 4);
    CHECK_ERROR(aq_stream_graph_wait(chain.graph, GUARD_NS), AQ_E_NOMEM, "node \"both\": poll thread: ");
    CHECK(is_readable(chain.graph));
    CHECK_ERROR(aq_stream_graph_stop(chain.graph, 0), AQ_E_NOMEM, "node \"both\": ");
    CHECK_STATUS(aq_stream_graph_wait(chain.graph, 0), AQ_STOPPED);
    /* Freed while it runs. */
    chain.both.answer = AQ_OK;
    CHECK_OK(aq_stream_graph_start(chain.graph));
    CHECK_OK(aq_stream_graph_free(chain.graph));
    CHECK_EQ(chain.left.freed + chain.both.freed, 2);
    CHECK_OK(aq_output_stream_free(chain.output));
}

/* Its own functions cannot stop, free or wait for it. */
struct inside {
    aq_poll_thread *thread;
    aq_stream_graph *graph;
    sem_t came;
};

static aq_status try_all(aq_array_view *view, void *user)
{
    struct inside *inside = (struct inside *)user;
    (void)view;
    CHECK_ERROR(aq_poll_thread_stop(inside->thread), AQ_E_STATE, "its own callback");
    CHECK_ERROR(aq_poll_thread_start(inside->thread), AQ_E_STATE, "its own callback");
    CHECK_ERROR(aq_poll_thread_wait(inside->thread, GUARD_NS), AQ_E_STATE, "its own callback");
    CHECK_ERROR(aq_poll_thread_free(inside->thread), AQ_E_STATE, "its own callback");
    CHECK_ERROR(aq_stream_graph_stop(inside->graph, 0), AQ_E_STATE, "callback of its node \"self\"");
    CHECK_ERROR(aq_stream_graph_start(inside->graph), AQ_E_STATE, "callback of its node \"self\"");
    CHECK_ERROR(aq_stream_graph_wait(inside->graph, GUARD_NS), AQ_E_STATE, "callback of its node \"self\"");
    CHECK_ERROR(aq_stream_graph_free(inside->graph), AQ_E_STATE, "callback of its node \"self\"");
    CHECK_STATUS(aq_poll_thread_wait(inside->thread, 0), AQ_EMPTY);
    sem_post(&inside->came);
    return AQ_OK;
}

static void from_inside(void)
{
    aq_output_stream_config config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&config);
    struct inside inside;
    sem_init(&inside.came, 0, 0);
    CHECK_OK(aq_stream_graph_new(&inside.graph));
    CHECK_OK(aq_poll_thread_new_on_output(output, try_all, &inside, NULL, &inside.thread));
    CHECK_OK(aq_stream_graph_add_poll_thread(inside.graph, "self", inside.thread));
    CHECK_OK(aq_stream_graph_start(inside.graph));
    send_frames(output, 0, 1);
    await(&inside.came);
    CHECK_OK(aq_stream_graph_stop(inside.graph, GUARD_NS));
    CHECK_OK(aq_stream_graph_free(inside.graph));
    CHECK_OK(aq_poll_thread_free(inside.thread));
    CHECK_OK(aq_output_stream_free(output));
}

/* A stop in too little time keeps what it did not get to. */
static void too_little_time(void)
{
    aq_output_stream_config first = signal_config(AQ_PROTOCOL_INPROC), second = first;
    aq_output_stream *output = signal_output(&first), *converted = NULL;
    aq_input_stream *input = signal_input(output, NULL), *stuck;
    aq_stream_converter *converter = NULL;
    aq_stream_graph *graph = NULL;
    aq_output_stream_stats stats;
    second.queue_chunks = 1;
    CHECK_OK(aq_stream_converter_new(input, &second, &converter));
    CHECK_OK(aq_stream_converter_get_output(converter, &converted));
    stuck = signal_input(converted, NULL);
    CHECK_OK(aq_stream_graph_new(&graph));
    CHECK_OK(aq_stream_graph_add_stream_converter(graph, "convert", converter));
    for (int i = 0; i < 3; i++)
        send_frames(output, i, 1);
    CHECK_OK(aq_stream_graph_start(graph));
    do
        stats = signal_output_stats(converted);
    while (stats.published_frames != 1 || stats.waiting_frames != 1);
    CHECK_STATUS(aq_stream_graph_stop(graph, 1000000), AQ_TIMEOUT);
    CHECK_OK(aq_stream_graph_start(graph));
    for (int i = 0; i < 3; i++)
        signal_receive(stuck, i, i + 1, 0);
    CHECK_OK(aq_stream_graph_stop(graph, GUARD_NS));
    CHECK_OK(aq_stream_graph_free(graph));
    CHECK_OK(aq_stream_converter_free(converter));
    CHECK_OK(aq_output_stream_free(converted));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_input_stream_free(stuck));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    chain_passes(AQ_PROTOCOL_INPROC);
    chain_passes(AQ_PROTOCOL_SHM);
    failure();
    from_inside();
    too_little_time();
    return check_done();
}

/* Publishes the chunks of a SPEAD stream as a signal stream, without a copy.
 *
 *   bridge_chunks HOST PORT ITEM STEP HEAP_SIZE HEAPS_PER_CHUNK [tcp | shm [INPUTS]]
 *
 * Heaps come over UDP and are placed in chunks as in examples/receive_chunks.c. Each heap becomes a frame of HEAP_SIZE bytes, whose index is
 * the heap's counter / STEP; heaps that did not come are a gap, which receivers are told of. The first line that it prints is the stream's
 * params, for receivers (examples/signal_consumer.c). With INPUTS it receives nothing before there are as many. It ends with the SPEAD stream.
 *
 *   bridge_chunks 127.0.0.1 7148 0x1600 4096 8192 8 shm
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <aqueduct/aqueduct.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 16 }; /* in circulation: the window's, those on the data ring, and those that receivers still need */

struct layout {
    int64_t step;
    int64_t heaps_per_chunk;
    size_t heap_size;
};

/* Called once per heap, on the stream's worker thread: where does this heap go? */
static void place(aq_chunk_place_data *data, size_t data_size, void *user)
{
    const struct layout *l = (const struct layout *)user;
    (void)data_size;
    if (data->items[0] < 0 || data->items[1] != (int64_t)l->heap_size)
        return; /* no counter item, or a wrong size: the heap is rejected, and counted */
    int64_t heap = data->items[0] / l->step;
    data->chunk_id = heap / l->heaps_per_chunk;
    data->heap_index = (size_t)(heap % l->heaps_per_chunk);
    data->heap_offset = data->heap_index * l->heap_size;
}

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

static int64_t number(const char *text, int64_t smallest, int64_t largest, const char *name)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || value < smallest || value > largest) {
        fprintf(stderr, "%s must be a number from %" PRId64 " to %" PRId64 " (got %s)\n", name, smallest, largest, text);
        exit(2);
    }
    return (int64_t)value;
}

/* A chunk whose frames are on their way. It goes back to the SPEAD stream when no part of it is needed any more. */
struct loan {
    aq_recv_stream *stream;
    aq_chunk *chunk;
    int parts;
};

/* Called by whoever drops the last reference to a part: this thread, or one that sends. */
static void give_back(void *user)
{
    struct loan *loan = (struct loan *)user;
    if (__atomic_sub_fetch(&loan->parts, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    aq_recv_stream_add_free_chunk(loan->stream, loan->chunk); /* after the stream's end it is freed */
    free(loan);
}

/* Sends each run of heaps that have come. */
static void publish(aq_output_stream *output, aq_recv_stream *stream, aq_chunk *chunk, const struct layout *l)
{
    const uint8_t *data = (const uint8_t *)aq_chunk_data(chunk), *present = aq_chunk_present(chunk);
    int64_t first = aq_chunk_id(chunk) * l->heaps_per_chunk;
    struct loan *loan = (struct loan *)malloc(sizeof *loan);
    if (loan == NULL)
        abort();
    loan->stream = stream;
    loan->chunk = chunk;
    loan->parts = 1; /* this function's own */
    for (int64_t i = 0, end; i < l->heaps_per_chunk; i = end) {
        for (end = i; end < l->heaps_per_chunk && present[end] == present[i]; end++)
            ;
        if (!present[i])
            continue;
        __atomic_add_fetch(&loan->parts, 1, __ATOMIC_RELAXED);
        CHECK(aq_output_stream_send_shared(output, data + (size_t)i * l->heap_size, (size_t)(end - i), first + end, AQ_WAIT_FOREVER,
                                           loan, give_back));
    }
    give_back(loan);
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 9) {
        fprintf(stderr, "usage: %s HOST PORT ITEM STEP HEAP_SIZE HEAPS_PER_CHUNK [tcp | shm [INPUTS]]\n", argv[0]);
        return 2;
    }
    uint64_t item = (uint64_t)number(argv[3], 1, INT64_C(1) << 55, "ITEM");
    struct layout layout;
    layout.step = number(argv[4], 1, INT64_MAX, "STEP");
    layout.heap_size = (size_t)number(argv[5], 1, 1 << 24, "HEAP_SIZE");
    layout.heaps_per_chunk = number(argv[6], 1, 1 << 20, "HEAPS_PER_CHUNK");
    size_t chunk_size = (size_t)layout.heaps_per_chunk * layout.heap_size;

    /* Where the frames go. */
    const int64_t shape[] = {-1, (int64_t)layout.heap_size};
    aq_output_stream_config config;
    CHECK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = argc > 7 && strcmp(argv[7], "shm") == 0 ? AQ_PROTOCOL_SHM : AQ_PROTOCOL_TCP;
    config.dtype = "|u1";
    config.shape = shape;
    config.ndim = 2;
    if (config.ring_bytes < 4 * chunk_size)
        config.ring_bytes = 4 * chunk_size; /* of shm: a chunk may have nearly half of it */
    aq_output_stream *output;
    char json[4096];
    CHECK(aq_output_stream_new(&config, &output));
    CHECK(aq_output_stream_params_json(output, json, sizeof json, NULL));
    puts(json);
    fflush(stdout);
    if (argc > 8)
        CHECK(aq_output_stream_wait_inputs(output, (uint64_t)number(argv[8], 0, 1000, "INPUTS"), AQ_WAIT_FOREVER));

    /* Where they come from. */
    aq_thread_pool *pool;
    aq_chunk_ring *data, *free_ring;
    CHECK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK(aq_chunk_ring_new(CHUNKS, &data));
    CHECK(aq_chunk_ring_new(CHUNKS, &free_ring));
    aq_recv_stream_config receive;
    CHECK(aq_recv_stream_config_init(&receive, sizeof receive));
    receive.max_heaps = 16;
    receive.allow_out_of_order = 1;
    aq_chunk_stream_config chunks;
    CHECK(aq_chunk_stream_config_init(&chunks, sizeof chunks));
    const uint64_t items[2] = {item, 2}; /* the counter, and the heap's length */
    chunks.items = items;
    chunks.n_items = 2;
    chunks.place = place;
    chunks.place_user = &layout;
    aq_recv_stream *stream;
    CHECK(aq_chunk_ring_stream_new(pool, &receive, &chunks, data, free_ring, &stream));
    for (int i = 0; i < CHUNKS; i++) {
        aq_chunk *chunk;
        CHECK(aq_chunk_new_alloc(NULL, chunk_size, (size_t)layout.heaps_per_chunk, 0, &chunk));
        CHECK(aq_recv_stream_add_free_chunk(stream, chunk));
    }
    aq_udp_reader_config udp;
    uint16_t port;
    CHECK(aq_udp_reader_config_init(&udp, sizeof udp));
    udp.host = argv[1];
    udp.port = (uint16_t)number(argv[2], 0, 65535, "PORT");
    CHECK(aq_recv_stream_add_udp_reader(stream, &udp));
    CHECK(aq_recv_stream_reader_port(stream, 0, &port));
    fprintf(stderr, "listening on %s:%u\n", argv[1], port);

    aq_chunk *chunk;
    while (aq_chunk_ring_get(data, AQ_WAIT_FOREVER, &chunk) == AQ_OK)
        publish(output, stream, chunk, &layout);

    aq_recv_stats in;
    aq_output_stream_stats out;
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stats_init(&in, sizeof in));
    CHECK(aq_recv_stream_get_stats(stream, &in));
    CHECK(aq_output_stream_flush(output, AQ_WAIT_FOREVER));
    CHECK(aq_output_stream_stats_init(&out, sizeof out));
    CHECK(aq_output_stream_get_stats(output, &out));
    printf("%" PRIu64 " heaps in, %" PRIu64 " frames out, %" PRIu64 " skipped, ledger closed: %s\n", in.complete_heaps,
           out.published_frames, out.skipped_frames, in.ledger_closed ? "yes" : "no");
    aq_output_stream_free(output); /* gives back what is still on its way; before the stream that it goes back to */
    aq_recv_stream_free(stream);
    aq_thread_pool_free(pool);
    aq_chunk_ring_free(data);
    aq_chunk_ring_free(free_ring);
    return in.ledger_closed ? 0 : 1;
}

/* A chunk stream between two rings, as most test programs need one:
 *
 *     struct receiver r;
 *     receiver_init(&r);                  // configurations with a place callback; change them, then
 *     receiver_open(&r, 4);               // pool, rings, stream, 4 chunks
 *     receiver_feed(&r, &packets);        // a buffer reader
 *     receiver_drain(&r);                 // until the data ring is stopped: r.chunks[0 .. r.n_chunks - 1]
 *     CHECK_EQ(r.stats.complete_heaps, 3);
 *     receiver_close(&r);                 // frees everything; place_user_free has run once
 */
#ifndef AQ_RECEIVE_H
#define AQ_RECEIVE_H

#include "check.h"
#include "spead.h"
#include <stdlib.h>
#include <time.h>

enum { HEAPS_PER_CHUNK = 4, HEAP_SIZE = 256, MAX_CHUNKS = 64, RING_CAPACITY = 64 };

/* What the place callback is given. */
struct placing {
    int calls, freed; /* atomics */
};

struct receiver {
    aq_recv_stream_config config;
    aq_chunk_stream_config chunk_config;
    struct placing placing;
    size_t data_size, present_size, extra_size; /* of chunks */
    aq_thread_pool *pool;
    aq_chunk_ring *data, *free_ring;
    aq_recv_stream *stream;
    aq_chunk *chunks[MAX_CHUNKS];
    int n_chunks;
    aq_recv_stats stats; /* receiver_drain and receiver_stats fill it */
    int32_t reason;
};

static const uint64_t counter_item = COUNTER_ITEM;

/* Heap number over heaps per chunk; without a counter it is rejected. */
static inline void place_by_counter(aq_chunk_place_data *data, size_t data_size, void *user)
{
    struct placing *placing = (struct placing *)user;
    CHECK_EQ(data_size, sizeof *data);
    __atomic_fetch_add(&placing->calls, 1, __ATOMIC_SEQ_CST);
    if (data->items[0] < 0)
        return;
    data->chunk_id = data->items[0] / HEAPS_PER_CHUNK;
    data->heap_index = (size_t)(data->items[0] % HEAPS_PER_CHUNK);
    data->heap_offset = data->heap_index * HEAP_SIZE;
}

static inline void placing_free(void *user)
{
    __atomic_fetch_add(&((struct placing *)user)->freed, 1, __ATOMIC_SEQ_CST);
}

static inline int load(const int *number)
{
    return __atomic_load_n(number, __ATOMIC_SEQ_CST);
}


static inline void receiver_init(struct receiver *r)
{
    memset(r, 0, sizeof *r);
    CHECK_OK(aq_recv_stream_config_init(&r->config, sizeof r->config));
    CHECK_OK(aq_chunk_stream_config_init(&r->chunk_config, sizeof r->chunk_config));
    r->chunk_config.items = &counter_item;
    r->chunk_config.n_items = 1;
    r->chunk_config.place = place_by_counter;
    r->chunk_config.place_user = &r->placing;
    r->chunk_config.place_user_free = placing_free;
    r->data_size = HEAPS_PER_CHUNK * HEAP_SIZE;
    r->present_size = HEAPS_PER_CHUNK;
}

static inline void receiver_add_chunks(struct receiver *r, int n)
{
    for (int i = 0; i < n; i++) {
        aq_chunk *chunk = NULL;
        CHECK_OK(aq_chunk_new_alloc(NULL, r->data_size, r->present_size, r->extra_size, &chunk));
        memset(aq_chunk_data(chunk), 0xee, r->data_size);
        CHECK_OK(aq_recv_stream_add_free_chunk(r->stream, chunk));
    }
}

static inline void receiver_open(struct receiver *r, int n_chunks)
{
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &r->pool));
    CHECK_OK(aq_chunk_ring_new(RING_CAPACITY, &r->data));
    CHECK_OK(aq_chunk_ring_new(RING_CAPACITY, &r->free_ring));
    if (!CHECK_OK(aq_chunk_ring_stream_new(r->pool, &r->config, &r->chunk_config, r->data, r->free_ring, &r->stream)))
        exit(check_done());
    receiver_add_chunks(r, n_chunks);
}

/* The packets must live as long as the stream. */
static inline void receiver_feed(struct receiver *r, const struct packets *p)
{
    CHECK_OK(aq_recv_stream_add_buffer_reader(r->stream, p->bytes, p->size, NULL, NULL));
}

static inline void receiver_stats(struct receiver *r)
{
    CHECK_OK(aq_recv_stats_init(&r->stats, sizeof r->stats));
    CHECK_OK(aq_recv_stream_get_stats(r->stream, &r->stats));
    CHECK_EQ(r->stats.ledger_closed, 1);
}

/* Takes all chunks until the stream has ended and stopped the data ring. */
static inline void receiver_drain(struct receiver *r)
{
    aq_chunk *chunk = NULL;
    aq_status status;
    while ((status = aq_chunk_ring_get(r->data, AQ_WAIT_FOREVER, &chunk)) == AQ_OK && r->n_chunks < MAX_CHUNKS)
        r->chunks[r->n_chunks++] = chunk;
    CHECK_STATUS(status, AQ_STOPPED);
    CHECK_OK(aq_recv_stream_stop(r->stream)); /* it has ended; this waits for its last word */
    CHECK_OK(aq_recv_stream_end_reason(r->stream, &r->reason, NULL, NULL, 0));
    receiver_stats(r);
    CHECK_EQ(r->stats.packets_pending, 0);
}

static inline void receiver_close(struct receiver *r)
{
    for (int i = 0; i < r->n_chunks; i++)
        CHECK_OK(aq_chunk_free(r->chunks[i]));
    CHECK_OK(aq_recv_stream_free(r->stream));
    CHECK_EQ(load(&r->placing.freed), 1); /* not some time later */
    CHECK_OK(aq_chunk_ring_free(r->data));
    CHECK_OK(aq_chunk_ring_free(r->free_ring));
    CHECK_OK(aq_thread_pool_free(r->pool));
    CHECK_EQ(load(&r->placing.freed), 1);
}

#endif

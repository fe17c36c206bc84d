/* A stream of heaps with a ring, fed from memory:
 *
 *     struct heap_receiver r;
 *     heaps_init(&r);                     // configurations with their defaults; change them, then
 *     heaps_open(&r);                     // pool and stream
 *     heaps_feed(&r, &packets);           // a buffer reader; the packets must live as long as the stream
 *     heap = heaps_next(&r);              // waits; NULL when the stream has ended
 *     heaps_close(&r);                    // checks the ledger, frees everything
 */
#ifndef AQ_HEAPS_H
#define AQ_HEAPS_H

#include "check.h"
#include "spead.h"

struct heap_receiver {
    aq_recv_stream_config config;
    aq_ring_config ring;
    aq_thread_pool *pool;
    aq_recv_stream *stream;
    aq_recv_stats stats; /* heaps_stop fills it */
    int32_t reason;
};

static inline void heaps_init(struct heap_receiver *r)
{
    memset(r, 0, sizeof *r);
    CHECK_OK(aq_recv_stream_config_init(&r->config, sizeof r->config));
    CHECK_OK(aq_ring_config_init(&r->ring, sizeof r->ring));
}

static inline void heaps_open(struct heap_receiver *r)
{
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &r->pool));
    if (!CHECK_OK(aq_recv_stream_new(r->pool, &r->config, &r->ring, &r->stream)))
        exit(check_done());
}

static inline void heaps_feed(struct heap_receiver *r, const struct packets *p)
{
    CHECK_OK(aq_recv_stream_add_buffer_reader(r->stream, p->bytes, p->size, NULL, NULL));
}

static inline aq_heap *heaps_next(struct heap_receiver *r)
{
    aq_heap *heap = NULL;
    aq_status status = aq_recv_stream_get(r->stream, AQ_WAIT_FOREVER, &heap);
    if (status != AQ_OK)
        CHECK_STATUS(status, AQ_STOPPED);
    return heap;
}

static inline uint64_t heap_cnt(const aq_heap *heap)
{
    uint64_t cnt = UINT64_MAX;
    CHECK_OK(aq_heap_cnt(heap, &cnt));
    return cnt;
}

/* The payload is all of heap `cnt`, as spead.h makes it. */
static inline int heap_is(const aq_heap *heap, uint64_t cnt, size_t length)
{
    const uint8_t *data = NULL;
    size_t size = SIZE_MAX;
    CHECK_EQ(heap_cnt(heap), cnt);
    CHECK_OK(aq_heap_payload(heap, &data, &size));
    return CHECK_EQ(size, length) && CHECK(spead_is(data, cnt, 0, length));
}

static inline void heaps_stop(struct heap_receiver *r)
{
    CHECK_OK(aq_recv_stream_stop(r->stream));
    CHECK_OK(aq_recv_stream_end_reason(r->stream, &r->reason, NULL, NULL, 0));
    CHECK_OK(aq_recv_stats_init(&r->stats, sizeof r->stats));
    CHECK_OK(aq_recv_stream_get_stats(r->stream, &r->stats));
    CHECK_EQ(r->stats.ledger_closed, 1);
    CHECK_EQ(r->stats.packets_pending, 0);
}

static inline void heaps_close(struct heap_receiver *r)
{
    heaps_stop(r);
    CHECK_OK(aq_recv_stream_free(r->stream));
    CHECK_OK(aq_thread_pool_free(r->pool));
}

#endif

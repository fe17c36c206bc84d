/* Sending to a receiver of this process, through a queue:
 *
 *     struct sending s;
 *     sending_open(&s, NULL);             // a stream, and a receiver of heaps (heaps.h) at the other end
 *     sending_close(&s);                  // checks both ledgers, frees everything
 */
#ifndef AQ_SENDING_H
#define AQ_SENDING_H

#include "heaps.h"

struct sending {
    struct heap_receiver receiver;
    aq_inproc_queue *queue;
    aq_send_stream *stream;
    aq_send_stats stats; /* sending_stats fills it */
};

static inline void sending_open(struct sending *s, const aq_send_stream_config *config)
{
    memset(s, 0, sizeof *s);
    heaps_init(&s->receiver);
    s->receiver.config.max_heaps = 64;
    heaps_open(&s->receiver);
    CHECK_OK(aq_inproc_queue_new(0, &s->queue));
    CHECK_OK(aq_recv_stream_add_inproc_reader(s->receiver.stream, s->queue));
    if (!CHECK_OK(aq_send_stream_new_inproc(config, &s->queue, 1, &s->stream)))
        exit(check_done());
}

static inline void sending_stats(struct sending *s)
{
    CHECK_OK(aq_send_stats_init(&s->stats, sizeof s->stats));
    CHECK_OK(aq_send_stream_get_stats(s->stream, &s->stats));
    CHECK_EQ(s->stats.ledger_closed, 1);
}

static inline void sending_close(struct sending *s)
{
    sending_stats(s);
    CHECK_OK(aq_send_stream_free(s->stream));
    CHECK_OK(aq_inproc_queue_free(s->queue));
    heaps_close(&s->receiver);
}

/* A heap of one item that is a copy of `size` bytes, each `cnt`. */
static inline aq_send_heap *heap_to_send(uint8_t value, size_t size)
{
    aq_send_heap *heap = NULL;
    uint8_t *bytes = (uint8_t *)malloc(size + 1);
    memset(bytes, value, size);
    CHECK_OK(aq_send_heap_new(NULL, &heap));
    CHECK_OK(aq_send_heap_add_copy(heap, 0x1000, bytes, size));
    free(bytes);
    return heap;
}

#endif

/* In-process queues: packets of several threads, bounded and not, to the last one. */
#include "heaps.h"
#include <pthread.h>

enum { SENDERS = 3, HEAPS_EACH = 200, SIZE = 300, PART = 100 };

struct sender {
    aq_inproc_queue *queue;
    uint64_t first;
};

static void add(aq_inproc_queue *queue, const struct packets *p)
{
    CHECK_OK(aq_inproc_queue_add_packet(queue, p->bytes, p->size, AQ_WAIT_FOREVER));
}

static void *send_heaps(void *argument)
{
    const struct sender *sender = (const struct sender *)argument;
    for (uint64_t cnt = sender->first; cnt < sender->first + HEAPS_EACH; cnt++)
        for (size_t offset = 0; offset < SIZE; offset += PART) {
            struct packets p = no_packets();
            spead_packet(&p, cnt, SIZE, -1, offset, PART);
            add(sender->queue, &p);
            spead_free(&p);
        }
    return NULL;
}

/* Nothing is lost, whatever the capacity, and the end comes after all of it. */
static void several_senders(size_t capacity)
{
    struct heap_receiver r;
    aq_inproc_queue *queue = NULL;
    pthread_t threads[SENDERS];
    struct sender senders[SENDERS];
    char seen[SENDERS * HEAPS_EACH] = {0};
    aq_heap *heap;
    int n = 0;
    heaps_init(&r);
    r.config.max_heaps = SENDERS * HEAPS_EACH; /* one sender may be far behind another */
    heaps_open(&r);
    CHECK_OK(aq_inproc_queue_new(capacity, &queue));
    CHECK_OK(aq_recv_stream_add_inproc_reader(r.stream, queue));
    for (int i = 0; i < SENDERS; i++) {
        senders[i].queue = queue;
        senders[i].first = (uint64_t)i * HEAPS_EACH;
        CHECK_EQ(pthread_create(&threads[i], NULL, send_heaps, &senders[i]), 0);
    }
    for (; n < SENDERS * HEAPS_EACH; n++) {
        uint64_t cnt;
        heap = heaps_next(&r);
        if (!CHECK(heap != NULL))
            break;
        cnt = heap_cnt(heap);
        CHECK(cnt < sizeof seen && !seen[cnt] && heap_is(heap, cnt, SIZE));
        seen[cnt] = 1;
        CHECK_OK(aq_heap_free(heap));
    }
    for (int i = 0; i < SENDERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_OK(aq_inproc_queue_stop(queue));
    CHECK_OK(aq_inproc_queue_stop(queue));
    CHECK(heaps_next(&r) == NULL);
    heaps_close(&r);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.packets, SENDERS * HEAPS_EACH * (SIZE / PART));
    CHECK_OK(aq_inproc_queue_free(queue));
}

/* How full it is, and what is in it when it is freed is still read. */
static void full_and_freed(void)
{
    struct heap_receiver r;
    aq_inproc_queue *queue = NULL;
    struct packets p = no_packets(), none = no_packets();
    aq_heap *heap;
    size_t size = 99;
    spead_heap(&p, 1, SIZE, SIZE);
    spead_raw(&none, "no packet", 9);
    heaps_init(&r);
    heaps_open(&r);
    CHECK_OK(aq_inproc_queue_new(2, &queue));
    CHECK_OK(aq_inproc_queue_add_packet(queue, none.bytes, none.size, 0));
    CHECK_OK(aq_inproc_queue_add_packet(queue, p.bytes, p.size, 1000000));
    CHECK_STATUS(aq_inproc_queue_add_packet(queue, p.bytes, p.size, 0), AQ_FULL);
    CHECK_STATUS(aq_inproc_queue_add_packet(queue, p.bytes, p.size, 1000000), AQ_TIMEOUT);
    CHECK_OK(aq_inproc_queue_size(queue, &size));
    CHECK_EQ(size, 2);
    CHECK_OK(aq_recv_stream_add_inproc_reader(r.stream, queue));
    CHECK_ERROR(aq_recv_stream_add_inproc_reader(r.stream, queue), AQ_E_STATE, "queue: it has a reader already");
    heap = heaps_next(&r);
    CHECK(heap_is(heap, 1, SIZE));
    CHECK_OK(aq_heap_free(heap));
    CHECK_OK(aq_inproc_queue_add_packet(queue, NULL, 0, AQ_WAIT_FOREVER));
    CHECK_OK(aq_inproc_queue_free(queue));
    CHECK(heaps_next(&r) == NULL);
    heaps_close(&r);
    CHECK_EQ(r.stats.packets, 3);
    CHECK_EQ(r.stats.malformed_too_short + r.stats.malformed_bad_magic, 2);
    spead_free(&p);
    spead_free(&none);
}

/* A stream that ends lets its senders go. */
static void stream_ends_first(void)
{
    struct heap_receiver r;
    aq_inproc_queue *queue = NULL, *unread = NULL;
    struct packets p = no_packets();
    spead_stop(&p, 1);
    heaps_init(&r);
    heaps_open(&r);
    CHECK_OK(aq_inproc_queue_new(1, &queue));
    CHECK_OK(aq_inproc_queue_new(0, &unread));
    CHECK_OK(aq_recv_stream_add_inproc_reader(r.stream, queue));
    add(queue, &p);
    CHECK(heaps_next(&r) == NULL);
    heaps_stop(&r);
    CHECK_EQ(r.reason, AQ_END_STOP_ITEM);
    CHECK_STATUS(aq_inproc_queue_add_packet(queue, p.bytes, p.size, AQ_WAIT_FOREVER), AQ_STOPPED);
    CHECK_STATUS(aq_recv_stream_add_inproc_reader(r.stream, unread), AQ_STOPPED);
    add(unread, &p); /* it was not touched */
    CHECK_OK(aq_inproc_queue_free(queue));
    CHECK_OK(aq_inproc_queue_free(unread));
    heaps_close(&r);
    spead_free(&p);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    several_senders(0);
    several_senders(1);
    several_senders(100);
    full_and_freed();
    stream_ends_first();
    return check_done();
}

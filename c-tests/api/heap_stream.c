/* Streams of heaps: the ring and its descriptor, overflow, callbacks, memory, copies, settings read back. */
#include "heaps.h"
#include <poll.h>

static int readable(int fd)
{
    struct pollfd p;
    p.fd = fd;
    p.events = POLLIN;
    p.revents = 0;
    return poll(&p, 1, 0) == 1;
}

static void ring(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap = NULL;
    aq_ring_config config;
    size_t n = 0;
    int fd = -1;
    for (uint64_t cnt = 0; cnt < 20; cnt++)
        spead_heap(&p, cnt, 300, 100);
    heaps_init(&r);
    r.config.explicit_start = 1;
    r.ring.heaps = 2;
    heaps_open(&r);
    CHECK_OK(aq_recv_stream_fd(r.stream, &fd));
    CHECK_STATUS(aq_recv_stream_get(r.stream, 0, &heap), AQ_EMPTY);
    CHECK_STATUS(aq_recv_stream_get(r.stream, 1000, &heap), AQ_TIMEOUT);
    CHECK(!readable(fd));
    CHECK_OK(aq_recv_stream_ring_capacity(r.stream, &n));
    CHECK_EQ(n, 2);
    CHECK_OK(aq_recv_stream_ring_size(r.stream, &n));
    CHECK_EQ(n, 0);
    CHECK_OK(aq_ring_config_init(&config, sizeof config));
    CHECK_OK(aq_recv_stream_get_ring_config(r.stream, &config));
    CHECK(config.heaps == 2 && config.contiguous_only == 1 && config.incomplete_keep_payload_ranges == 0 &&
          config.overflow == AQ_OVERFLOW_BLOCK);

    heaps_feed(&r, &p);
    CHECK_OK(aq_recv_stream_start(r.stream));
    for (uint64_t cnt = 0; cnt < 20; cnt++) {
        struct pollfd wait_for;
        wait_for.fd = fd;
        wait_for.events = POLLIN;
        CHECK_EQ(poll(&wait_for, 1, 10000), 1);
        CHECK_OK(aq_recv_stream_get(r.stream, 0, &heap));
        CHECK(heap_is(heap, cnt, 300));
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK(heaps_next(&r) == NULL);
    CHECK(readable(fd));
    heaps_stop(&r);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.complete_heaps, 20);
    CHECK_EQ(r.stats.heaps_ready, 20);
    CHECK(r.stats.worker_blocked > 0);
    heaps_close(&r);
    spead_free(&p);
}

/* With a ring of 2 and nobody who takes heaps, of 10: which are left? */
static void overflow(int32_t policy, uint64_t first)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap;
    for (uint64_t cnt = 0; cnt < 10; cnt++)
        spead_heap(&p, cnt, 64, cnt % 2 == 0 ? 64 : 32);
    heaps_init(&r);
    r.ring.heaps = 2;
    r.ring.overflow = policy;
    heaps_open(&r);
    heaps_feed(&r, &p);
    do /* the stream ends by itself, as nothing holds it up */
        CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 0));
    while (r.reason == AQ_END_RUNNING);
    heaps_stop(&r);
    for (uint64_t cnt = first; cnt < first + 2; cnt++) {
        heap = heaps_next(&r);
        CHECK(heap != NULL && heap_is(heap, cnt, 64));
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK(heaps_next(&r) == NULL);
    CHECK_EQ(r.stats.heaps, 10);
    if (policy == AQ_OVERFLOW_DROP_NEWEST) {
        CHECK_EQ(r.stats.complete_heaps, 2);
        CHECK_EQ(r.stats.overflow_newest_heaps, 8);
        CHECK_EQ(r.stats.overflow_newest, 12);
        CHECK_EQ(r.stats.heaps_ready, 2);
    } else {
        CHECK_EQ(r.stats.complete_heaps, 10);
        CHECK_EQ(r.stats.heaps_ready, 10);
        CHECK_EQ(r.stats.overflow_oldest_heaps, 8);
    }
    heaps_close(&r);
    spead_free(&p);
}

struct counting {
    int heaps, freed;
    size_t stat;
    aq_thread_pool *pool;
    aq_recv_stream *stream;
};

static void heap_ready(aq_heap *heap, uint64_t *batch_stats, void *user)
{
    struct counting *c = (struct counting *)user;
    CHECK(heap_is(heap, (uint64_t)c->heaps, 50));
    c->heaps++;
    batch_stats[c->stat] += 3;
    /* what would wait for this very function */
    CHECK_ERROR(aq_recv_stream_stop(c->stream), AQ_E_STATE, "own worker thread");
    CHECK_ERROR(aq_recv_stream_free(c->stream), AQ_E_STATE, "own worker thread");
    CHECK_ERROR(aq_thread_pool_stop(c->pool), AQ_E_STATE, "own callbacks");
    CHECK_OK(aq_heap_free(heap));
}

static void count_free(void *user)
{
    ((struct counting *)user)->freed++;
}

static void callback(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    struct counting c;
    uint64_t value = 0;
    size_t n;
    memset(&c, 0, sizeof c);
    for (uint64_t cnt = 0; cnt < 6; cnt++)
        spead_heap(&p, cnt, 50, 25);
    heaps_init(&r);
    r.config.explicit_start = 1; /* the callback is to know its stream */
    CHECK_OK(aq_recv_stream_config_add_stat(&r.config, "thrice", AQ_STAT_COUNTER, &c.stat));
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &r.pool));
    CHECK_OK(aq_recv_stream_new_callback(r.pool, &r.config, NULL, heap_ready, &c, count_free, &r.stream));
    CHECK_ERROR(aq_recv_stream_ring_size(r.stream, &n), AQ_E_STATE, "no ring of heaps");
    c.pool = r.pool;
    c.stream = r.stream;
    heaps_feed(&r, &p);
    CHECK_OK(aq_recv_stream_start(r.stream));
    do
        CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 0));
    while (r.reason == AQ_END_RUNNING);
    CHECK_EQ(c.heaps, 6);
    CHECK_EQ(c.freed, 1);
    CHECK_OK(aq_recv_stream_stat_value(r.stream, c.stat, &value));
    CHECK_EQ(value, 18);
    heaps_close(&r);
    spead_free(&p);
}

struct memory {
    int allocated, released, hints, copies, freed;
};

static void *allocate(size_t size, const uint8_t *packet, size_t packet_size, void **cookie, void *user)
{
    struct memory *m = (struct memory *)user;
    __atomic_fetch_add(&m->allocated, 1, __ATOMIC_SEQ_CST);
    if (packet != NULL && packet_size >= 8 && packet[0] == 0x53)
        m->hints++;
    *cookie = m;
    return malloc(size);
}

static void release(void *memory, size_t size, void *cookie, void *user)
{
    CHECK(cookie == user && size > 0);
    __atomic_fetch_add(&((struct memory *)user)->released, 1, __ATOMIC_SEQ_CST);
    free(memory);
}

/* Copies backwards: byte i of a heap goes to the place of byte (length - 1 - i). */
static void copy_backwards(uint8_t *heap, size_t heap_size, const aq_packet *packet, size_t packet_size, void *user)
{
    struct memory *m = (struct memory *)user;
    CHECK_EQ(packet_size, sizeof *packet);
    CHECK(packet->heap_length >= 0 && (uint64_t)packet->heap_length <= heap_size);
    CHECK(packet->data[0] == 0x53 && packet->payload + packet->payload_length == packet->data + packet->size);
    CHECK_EQ(packet->heap_address_bits, 48);
    CHECK(packet->heap_cnt < 4);
    for (uint64_t i = 0; i < packet->payload_length; i++)
        heap[(uint64_t)packet->heap_length - 1 - packet->payload_offset - i] = packet->payload[i];
    m->copies++;
}

static void copy_freed(void *user)
{
    ((struct memory *)user)->freed++;
}

static void memory_and_copies(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    struct memory m;
    aq_allocator_vtable vtable;
    aq_allocator *allocator = NULL;
    aq_heap *heap;
    memset(&m, 0, sizeof m);
    for (uint64_t cnt = 0; cnt < 4; cnt++)
        spead_heap(&p, cnt, 90, 30);
    heaps_init(&r);
    CHECK_OK(aq_allocator_vtable_init(&vtable, sizeof vtable));
    vtable.allocate = allocate;
    vtable.release = release;
    CHECK_OK(aq_allocator_new(&vtable, &m, NULL, &allocator));
    r.config.memory_allocator = allocator;
    r.config.packet_copy = copy_backwards;
    r.config.packet_copy_user = &m;
    r.config.packet_copy_user_free = copy_freed;
    heaps_open(&r);
    CHECK_OK(aq_allocator_free(allocator)); /* the stream keeps it */
    heaps_feed(&r, &p);
    for (uint64_t cnt = 0; cnt < 4; cnt++) {
        const uint8_t *data = NULL;
        size_t size = 0;
        heap = heaps_next(&r);
        CHECK_OK(aq_heap_payload(heap, &data, &size));
        CHECK_EQ(size, 90);
        for (size_t i = 0; i < size; i++)
            CHECK_EQ(data[size - 1 - i], spead_byte(cnt, i));
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK(heaps_next(&r) == NULL);
    heaps_close(&r);
    CHECK_EQ(m.copies, 12);
    CHECK_EQ(m.freed, 1);
    CHECK_EQ(m.allocated, 4);
    CHECK_EQ(m.hints, 4);
    CHECK_EQ(m.released, 4);
    spead_free(&p);
}

/* Past the caches or through them, in one packet or in many, of odd lengths: the same bytes. */
static void ways_to_copy(void)
{
    for (int32_t way = AQ_MEMCPY_STD; way <= AQ_MEMCPY_NONTEMPORAL; way++) {
        struct heap_receiver r;
        struct packets p = no_packets();
        aq_heap *heap;
        spead_heap(&p, 0, 60001, 60001);
        spead_heap(&p, 1, 300007, 8971);
        spead_heap(&p, 2, 5, 1);
        spead_heap(&p, 3, 200000, 40000);
        heaps_init(&r);
        r.config.memcpy = way;
        heaps_open(&r);
        heaps_feed(&r, &p);
        for (uint64_t cnt = 0; cnt < 4; cnt++) {
            const size_t sizes[] = {60001, 300007, 5, 200000};
            heap = heaps_next(&r);
            CHECK(heap != NULL && heap_is(heap, cnt, sizes[cnt]));
            CHECK_OK(aq_heap_free(heap));
        }
        CHECK(heaps_next(&r) == NULL);
        heaps_close(&r);
        spead_free(&p);
    }
}

static void settings(void)
{
    struct heap_receiver r;
    aq_recv_stream_config config;
    heaps_init(&r);
    r.config.max_heaps = 9;
    r.config.substreams = 3;
    r.config.max_heap_size = 1000;
    r.config.max_heap_memory = 5000;
    r.config.max_items = 17;
    r.config.stream_id = 77;
    r.config.allow_out_of_order = 1;
    r.config.allow_unsized_heaps = 0;
    r.config.stop_on_stop_item = 0;
    r.config.memcpy = AQ_MEMCPY_NONTEMPORAL;
    r.config.bug_compat = AQ_BUG_COMPAT_SWAP_ENDIAN;
    CHECK_OK(aq_recv_stream_config_add_stat(&r.config, "peak", AQ_STAT_MAXIMUM, NULL));
    heaps_open(&r);
    CHECK_OK(aq_recv_stream_config_init(&config, sizeof config));
    CHECK_OK(aq_recv_stream_get_config(r.stream, &config));
    CHECK(config.struct_size == sizeof config && config.max_heaps == 9 && config.substreams == 3);
    CHECK(config.max_heap_size == 1000 && config.max_heap_memory == 5000 && config.max_items == 17);
    CHECK(config.stream_id == 77 && config.allow_out_of_order == 1 && config.allow_unsized_heaps == 0);
    CHECK(config.stop_on_stop_item == 0 && config.explicit_start == 0 && config.bug_compat == 4);
    CHECK_EQ(config.memcpy, AQ_MEMCPY_NONTEMPORAL);
    CHECK(config.n_custom_stats == 1 && config.custom_stats[0].mode == AQ_STAT_MAXIMUM);
    CHECK_TEXT(config.custom_stats[0].name, "peak");
    heaps_close(&r);
}

/* What was in the ring when the stream was stopped can still be taken. */
static void stopped_by_the_user(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap;
    size_t n = 0;
    for (uint64_t cnt = 0; cnt < 8; cnt++)
        spead_heap(&p, cnt, 10, 10);
    heaps_init(&r);
    r.ring.heaps = 3;
    heaps_open(&r);
    heaps_feed(&r, &p);
    do
        CHECK_OK(aq_recv_stream_ring_size(r.stream, &n));
    while (n < 3);
    heaps_stop(&r);
    CHECK_EQ(r.reason, AQ_END_USER);
    for (uint64_t cnt = 0; cnt < 3; cnt++) {
        heap = heaps_next(&r);
        CHECK(heap != NULL && heap_is(heap, cnt, 10));
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK(heaps_next(&r) == NULL);
    CHECK_EQ(r.stats.heaps_ready, 3);
    CHECK_EQ(r.stats.complete_heaps, r.stats.heaps_ready + r.stats.heaps_undelivered);
    heaps_close(&r);
    spead_free(&p);
}

int main(void)
{
    ring();
    overflow(AQ_OVERFLOW_DROP_NEWEST, 0);
    overflow(AQ_OVERFLOW_DROP_OLDEST, 8);
    callback();
    memory_and_copies();
    ways_to_copy();
    settings();
    stopped_by_the_user();
    return check_done();
}

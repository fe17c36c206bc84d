/* What a caller can get wrong with heaps and streams of heaps. */
#include "heaps.h"
#include "receive.h"

static int freed;

static void count_free(void *user)
{
    (void)user;
    freed++;
}

static void nothing_copied(uint8_t *heap, size_t heap_size, const aq_packet *packet, size_t packet_size, void *user)
{
    (void)heap, (void)heap_size, (void)packet, (void)packet_size, (void)user;
}

static void heaps_that_are_none(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap, *not_a_heap;
    aq_raw_item item;
    aq_range range;
    aq_flavour flavour;
    const uint8_t *data = NULL;
    uint64_t value = 0;
    int64_t length = 0;
    int32_t yes = 0;
    size_t n = 0;
    spead_heap(&p, 1, 10, 10);
    heaps_init(&r);
    heaps_open(&r);
    heaps_feed(&r, &p);
    heap = heaps_next(&r);
    CHECK_ERROR(aq_heap_cnt(NULL, &value), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_heap_cnt(heap, NULL), AQ_E_INVALID, "cnt must not be NULL");
    CHECK_ERROR(aq_heap_payload(heap, NULL, &n), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_heap_items(heap, NULL, 1, &n), AQ_E_INVALID, "items must not be NULL");
    CHECK_ERROR(aq_heap_items(heap, &item, 1, NULL), AQ_E_INVALID, "count must not be NULL");
    not_a_heap = (aq_heap *)r.stream;
    CHECK_ERROR(aq_heap_flavour(not_a_heap, &flavour), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_is_start_of_stream(not_a_heap, &yes), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_is_end_of_stream(not_a_heap, &yes), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_is_complete(not_a_heap, &yes), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_length(not_a_heap, &length), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_received_length(not_a_heap, &value), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_payload_range_count(not_a_heap, &n), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_payload_range(not_a_heap, 0, &range), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_payload(not_a_heap, &data, &n), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_item_count(not_a_heap, &n), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_item(not_a_heap, 0, &item), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_find_item(not_a_heap, 1, &item), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_arrival(not_a_heap, NULL, NULL), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_ERROR(aq_heap_free(not_a_heap), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_OK(aq_heap_free(heap));
    heaps_close(&r);
    spead_free(&p);
}

static void refuse(struct heap_receiver *r, aq_status status, const char *text)
{
    aq_recv_stream *stream = NULL;
    CHECK_ERROR(aq_recv_stream_new(r->pool, &r->config, &r->ring, &stream), status, text);
    CHECK_STATUS(aq_recv_stream_new_callback(r->pool, &r->config, &r->ring, NULL, &freed, count_free, &stream),
                 AQ_E_INVALID);
    CHECK(stream == NULL);
}

static void settings_out_of_range(void)
{
    struct heap_receiver good, r;
    aq_recv_stream *stream = NULL;
    heaps_init(&good);
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &good.pool));
    r = good;
    r.ring.heaps = 0;
    refuse(&r, AQ_E_INVALID, "heaps must be between 1 and 1048576 (got 0)");
    r = good;
    r.ring.overflow = 3;
    refuse(&r, AQ_E_INVALID, "overflow must be one of AQ_OVERFLOW_* (got 3)");
    r = good;
    r.ring.contiguous_only = 2;
    refuse(&r, AQ_E_INVALID, "contiguous_only must be 0 or 1 (got 2)");
    r = good;
    r.ring.incomplete_keep_payload_ranges = -1;
    refuse(&r, AQ_E_INVALID, "incomplete_keep_payload_ranges must be 0 or 1 (got -1)");
    r = good;
    r.ring.struct_size = 3;
    refuse(&r, AQ_E_INVALID, "ring_config: struct_size 3");
    r = good;
    r.config.max_heap_memory = 5;
    refuse(&r, AQ_E_INVALID, "max_heap_memory must be 0 or at least max_heap_size, 1073741824 (got 5)");
    r = good;
    r.config.max_items = 0;
    refuse(&r, AQ_E_INVALID, "max_items must be between 1 and 2^32 (got 0)");
    r = good;
    r.config.bug_compat = 16;
    refuse(&r, AQ_E_INVALID, "bug_compat must be between 0 and 15 (got 16)");
    r = good;
    r.config.bug_compat = -7;
    refuse(&r, AQ_E_INVALID, "bug_compat must be between 0 and 15 (got -7)");
    r = good;
    r.config.memory_allocator = (aq_allocator *)good.pool;
    refuse(&r, AQ_E_INVALID, "memory_allocator: not an aq_allocator handle");
    r = good;
    CHECK_ERROR(aq_recv_stream_new(NULL, &r.config, &r.ring, &stream), AQ_E_INVALID, "pool must not be NULL");
    CHECK_ERROR(aq_recv_stream_new(r.pool, &r.config, &r.ring, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_OK(aq_thread_pool_free(good.pool));
}

/* Whatever fails, what was handed over is released once. */
static void handed_over_and_released(void)
{
    struct heap_receiver r;
    struct receiver chunks;
    aq_recv_stream *stream = NULL;
    heaps_init(&r);
    r.config.packet_copy = nothing_copied;
    r.config.packet_copy_user = &freed;
    r.config.packet_copy_user_free = count_free;
    freed = 0;
    CHECK_STATUS(aq_recv_stream_new(NULL, &r.config, &r.ring, &stream), AQ_E_INVALID);
    CHECK_EQ(freed, 1);
    r.config.max_heaps = 0;
    CHECK_STATUS(aq_recv_stream_new(NULL, &r.config, &r.ring, &stream), AQ_E_INVALID);
    CHECK_EQ(freed, 2);
    CHECK_STATUS(aq_recv_stream_new_callback(NULL, &r.config, &r.ring, NULL, &freed, count_free, &stream),
                 AQ_E_INVALID);
    CHECK_EQ(freed, 4);
    r.config.packet_copy = NULL; /* the user pointer alone */
    CHECK_STATUS(aq_recv_stream_new(NULL, &r.config, &r.ring, &stream), AQ_E_INVALID);
    CHECK_EQ(freed, 5);
    receiver_init(&chunks);
    CHECK_STATUS(aq_chunk_ring_stream_new(NULL, &r.config, &chunks.chunk_config, NULL, NULL, &stream), AQ_E_INVALID);
    CHECK_EQ(freed, 6);
    CHECK_EQ(load(&chunks.placing.freed), 1);
    CHECK_STATUS(aq_chunk_ring_stream_new(NULL, &r.config, NULL, NULL, NULL, &stream), AQ_E_INVALID);
    CHECK_EQ(freed, 7);
    CHECK(stream == NULL);
}

static void streams_of_another_kind(void)
{
    struct receiver chunks;
    struct heap_receiver r;
    aq_heap *heap = NULL;
    aq_chunk *chunk = NULL;
    aq_chunk_ring *ring = NULL;
    aq_ring_config config;
    size_t n = 0;
    int fd = -1;
    receiver_init(&chunks);
    receiver_open(&chunks, 1);
    CHECK_ERROR(aq_recv_stream_get(chunks.stream, 0, &heap), AQ_E_STATE, "no ring of heaps");
    CHECK_ERROR(aq_recv_stream_fd(chunks.stream, &fd), AQ_E_STATE, "no ring of heaps");
    CHECK_ERROR(aq_recv_stream_ring_size(chunks.stream, &n), AQ_E_STATE, "no ring of heaps");
    CHECK_ERROR(aq_recv_stream_ring_capacity(chunks.stream, &n), AQ_E_STATE, "no ring of heaps");
    CHECK_OK(aq_ring_config_init(&config, sizeof config));
    CHECK_ERROR(aq_recv_stream_get_ring_config(chunks.stream, &config), AQ_E_STATE, "no ring of heaps");
    receiver_close(&chunks);

    heaps_init(&r);
    heaps_open(&r);
    CHECK_OK(aq_chunk_new_alloc(NULL, 1, 1, 0, &chunk));
    CHECK_ERROR(aq_recv_stream_add_free_chunk(r.stream, chunk), AQ_E_STATE, "no chunk stream");
    CHECK_OK(aq_chunk_free(chunk)); /* still the caller's */
    CHECK_ERROR(aq_recv_stream_data_ring(r.stream, &ring), AQ_E_STATE, "no chunk stream");
    CHECK_ERROR(aq_recv_stream_free_ring(r.stream, &ring), AQ_E_STATE, "no chunk stream");
    CHECK_ERROR(aq_recv_stream_get(NULL, 0, &heap), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_get(r.stream, 0, NULL), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_recv_stream_get(r.stream, -2, &heap), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_recv_stream_fd(r.stream, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_ERROR(aq_recv_stream_get_config(r.stream, NULL), AQ_E_INVALID, "config must not be NULL");
    CHECK(heap == NULL && ring == NULL && n == 0 && fd == -1);
    heaps_close(&r);
}

int main(void)
{
    heaps_that_are_none();
    settings_out_of_range();
    handed_over_and_released();
    streams_of_another_kind();
    return check_done();
}

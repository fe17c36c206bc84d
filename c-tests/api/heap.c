/* Heaps: what they tell about themselves, complete and incomplete, and that they outlive their stream. */
#include "heaps.h"

/* Heap 7: 10 bytes in two packets, addressed items, immediate ones, some twice, padding, a start of stream. */
static struct packets heap_of_items(void)
{
    struct packets p = no_packets();
    spead_begin(&p, 11);
    spead_item(&p, SPEAD_HEAP_CNT, 7);
    spead_item(&p, SPEAD_HEAP_LENGTH, 10);
    spead_item(&p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(&p, SPEAD_PAYLOAD_LENGTH, 6);
    spead_u64(&p, UINT64_C(0x2001) << 48 | 4);
    spead_u64(&p, UINT64_C(0x2000) << 48 | 0);
    spead_item(&p, 0x1600, 99);
    spead_item(&p, 0, 1);                       /* padding */
    spead_u64(&p, UINT64_C(0) << 48 | 8);       /* padding that ends 0x2001 */
    spead_u64(&p, UINT64_C(0x2002) << 48 | 10); /* no bytes */
    spead_item(&p, SPEAD_CTRL, 0);
    for (size_t i = 0; i < 6; i++) {
        uint8_t byte = spead_byte(7, i);
        spead_raw(&p, &byte, 1);
    }
    spead_begin(&p, 5);
    spead_item(&p, SPEAD_HEAP_CNT, 7);
    spead_item(&p, SPEAD_HEAP_LENGTH, 10);
    spead_item(&p, SPEAD_PAYLOAD_OFFSET, 6);
    spead_item(&p, SPEAD_PAYLOAD_LENGTH, 4);
    spead_item(&p, 0x1600, 99); /* again */
    for (size_t i = 6; i < 10; i++) {
        uint8_t byte = spead_byte(7, i);
        spead_raw(&p, &byte, 1);
    }
    return p;
}

static void items(void)
{
    struct heap_receiver r;
    struct packets p = heap_of_items();
    aq_heap *heap;
    aq_flavour flavour;
    aq_raw_item item, all[8];
    int32_t yes = -1;
    size_t count = 0;
    int64_t length = 0;
    uint64_t received = 0;
    const uint8_t *payload = NULL;
    heaps_init(&r);
    r.config.bug_compat = AQ_BUG_COMPAT_PYSPEAD_0_5_2;
    heaps_open(&r);
    heaps_feed(&r, &p);
    heap = heaps_next(&r);
    CHECK(heaps_next(&r) == NULL);
    heaps_close(&r);
    spead_free(&p);

    /* The stream, its pool and the packets are gone. */
    CHECK(heap_is(heap, 7, 10));
    CHECK_OK(aq_heap_flavour(heap, &flavour));
    CHECK(flavour.version == 4 && flavour.item_pointer_bits == 64 && flavour.heap_address_bits == 48);
    CHECK_EQ(flavour.bug_compat, 15);
    CHECK_OK(aq_heap_is_start_of_stream(heap, &yes));
    CHECK_EQ(yes, 1);
    CHECK_OK(aq_heap_is_end_of_stream(heap, &yes));
    CHECK_EQ(yes, 0);
    CHECK_OK(aq_heap_is_complete(heap, &yes));
    CHECK_EQ(yes, 1);
    CHECK_OK(aq_heap_length(heap, &length));
    CHECK_EQ(length, 10);
    CHECK_OK(aq_heap_received_length(heap, &received));
    CHECK_EQ(received, 10);
    CHECK_OK(aq_heap_payload_range_count(heap, &count));
    CHECK_EQ(count, 0);

    CHECK_OK(aq_heap_payload(heap, &payload, NULL));
    CHECK_OK(aq_heap_item_count(heap, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(aq_heap_items(heap, all, 8, &count));
    CHECK_EQ(count, 4);
    CHECK(all[0].id == 0x2000 && !all[0].is_immediate && all[0].data == payload && all[0].size == 4);
    CHECK(all[1].id == 0x2001 && !all[1].is_immediate && all[1].data == payload + 4 && all[1].size == 4);
    CHECK(all[2].id == SPEAD_CTRL && all[2].is_immediate && all[2].value == 0 && all[2].data == NULL);
    CHECK(all[3].id == 0x1600 && all[3].is_immediate && all[3].value == 99 && all[3].size == 0);
    for (size_t i = 0; i < 4; i++) {
        CHECK_OK(aq_heap_item(heap, i, &item));
        CHECK(item.id == all[i].id && item.value == all[i].value && item.data == all[i].data);
    }
    CHECK_ERROR(aq_heap_item(heap, 4, &item), AQ_E_NOT_FOUND, "index must be below 4, the number of items (got 4)");
    CHECK_OK(aq_heap_items(heap, NULL, 0, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(aq_heap_find_item(heap, 0x2001, &item));
    CHECK_EQ(item.size, 4);
    CHECK_ERROR(aq_heap_find_item(heap, 0x2002, &item), AQ_E_NOT_FOUND, "0x2002");
    CHECK_OK(aq_heap_free(heap));
}

static void incomplete(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap;
    aq_range range;
    aq_arrival arrival;
    int32_t yes = -1;
    size_t count = 0;
    int64_t length = 0;
    uint64_t received = 0;
    spead_packet(&p, 1, 100, 5, 10, 20);
    spead_packet(&p, 1, 100, 5, 30, 10);
    spead_packet(&p, 1, 100, 5, 60, 5);
    spead_packet(&p, 2, -1, 6, 0, 8);
    heaps_init(&r);
    r.config.allow_out_of_order = 1;
    r.ring.contiguous_only = 0;
    r.ring.incomplete_keep_payload_ranges = 1;
    heaps_open(&r);
    heaps_feed(&r, &p);

    heap = heaps_next(&r);
    CHECK_EQ(heap_cnt(heap), 1);
    CHECK_OK(aq_heap_is_complete(heap, &yes));
    CHECK_EQ(yes, 0);
    CHECK_OK(aq_heap_length(heap, &length));
    CHECK_EQ(length, 100);
    CHECK_OK(aq_heap_received_length(heap, &received));
    CHECK_EQ(received, 35);
    CHECK_OK(aq_heap_payload_range_count(heap, &count));
    CHECK_EQ(count, 2);
    CHECK_OK(aq_heap_payload_range(heap, 0, &range));
    CHECK(range.start == 10 && range.end == 40);
    CHECK_OK(aq_heap_payload_range(heap, 1, &range));
    CHECK(range.start == 60 && range.end == 65);
    CHECK_ERROR(aq_heap_payload_range(heap, 2, &range), AQ_E_NOT_FOUND, "index must be below 2");
    {
        const uint8_t *data = NULL;
        size_t size = 0;
        CHECK_OK(aq_heap_payload(heap, &data, &size));
        CHECK_EQ(size, 100);
        CHECK(spead_is(data + 10, 1, 10, 30) && spead_is(data + 60, 1, 60, 5));
    }
    CHECK_OK(aq_heap_item_count(heap, &count));
    CHECK_EQ(count, 1); /* the immediate one */
    CHECK_ERROR(aq_heap_arrival(heap, &arrival, NULL), AQ_E_NOT_FOUND, "not known");
    CHECK_OK(aq_heap_free(heap));

    /* It never told its length: nothing of it is missing. */
    heap = heaps_next(&r);
    CHECK(heap_is(heap, 2, 8));
    CHECK_OK(aq_heap_is_complete(heap, &yes));
    CHECK_EQ(yes, 1);
    CHECK_OK(aq_heap_length(heap, &length));
    CHECK_EQ(length, -1);
    CHECK_OK(aq_heap_free(heap));
    heaps_stop(&r);
    CHECK_EQ(r.stats.incomplete_heaps_flushed, 2);
    CHECK_EQ(r.stats.heaps_ready, 2);
    heaps_close(&r);
    spead_free(&p);
}

static void an_end_of_stream(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap;
    int32_t yes = -1;
    spead_stop(&p, 3);
    heaps_init(&r);
    r.config.stop_on_stop_item = 0;
    heaps_open(&r);
    heaps_feed(&r, &p);
    heap = heaps_next(&r);
    CHECK_OK(aq_heap_is_end_of_stream(heap, &yes));
    CHECK_EQ(yes, 1);
    CHECK_OK(aq_heap_is_start_of_stream(heap, &yes));
    CHECK_EQ(yes, 0);
    CHECK_OK(aq_heap_free(heap));
    heaps_close(&r);
    spead_free(&p);
}

int main(void)
{
    items();
    incomplete();
    an_end_of_stream();
    CHECK_OK(aq_heap_free(NULL));
    return check_done();
}

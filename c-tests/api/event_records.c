/* Heaps and chunks as packets of an event buffer: decoded with the header's structs, item by item. */
#include "events.h"
#include "heaps.h"
#include "receive.h"

/* Aligned for all of them. */
union packet {
    unsigned char bytes[4096];
    aq_heap_record heap;
    aq_chunk_record chunk;
    uint64_t aligned;
};

static size_t pop_packet(aq_event_buffer *buffer, union packet *packet)
{
    size_t size = 0;
    memset(packet, 0xee, sizeof *packet);
    CHECK_OK(aq_event_buffer_pop(buffer, 0, packet->bytes, sizeof packet->bytes, &size, NULL));
    return size;
}

/* Heap 7, a start of stream: 10 bytes of payload, in which 0x2000 and 0x2001 are, and 0x1600 = 99. Then the end of the stream. */
static struct packets two_heaps(void)
{
    struct packets p = no_packets();
    spead_begin(&p, 8);
    spead_item(&p, SPEAD_HEAP_CNT, 7);
    spead_item(&p, SPEAD_HEAP_LENGTH, 10);
    spead_item(&p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(&p, SPEAD_PAYLOAD_LENGTH, 10);
    spead_u64(&p, UINT64_C(0x2000) << 48 | 0);
    spead_u64(&p, UINT64_C(0x2001) << 48 | 4);
    spead_item(&p, SPEAD_CTRL, 0);
    spead_item(&p, COUNTER_ITEM, 99);
    for (size_t i = 0; i < 10; i++) {
        uint8_t byte = spead_byte(7, i);
        spead_raw(&p, &byte, 1);
    }
    spead_packet(&p, 8, 100, 5, 10, 20); /* 20 of 100 bytes */
    return p;
}

/* The record's items are those of the heap; an addressed one's bytes are where it says. */
static void items_are(const union packet *packet, const aq_heap *heap)
{
    const aq_heap_record *record = &packet->heap;
    const unsigned char *items = packet->bytes + record->header_size;
    const unsigned char *payload = items + record->n_items * sizeof(aq_heap_record_item);
    size_t count = 0;
    CHECK_OK(aq_heap_item_count(heap, &count));
    CHECK_EQ(record->n_items, count);
    for (size_t i = 0; i < record->n_items; i++) {
        aq_heap_record_item item;
        aq_raw_item expected;
        memcpy(&item, items + i * sizeof item, sizeof item);
        CHECK_OK(aq_heap_item(heap, i, &expected));
        CHECK_EQ(item.id, expected.id);
        CHECK_EQ(item.addressed, !expected.is_immediate);
        CHECK_EQ(item.size, expected.size);
        if (expected.is_immediate)
            CHECK_EQ(item.value, expected.value);
        else if (CHECK(item.value + item.size <= record->payload_size))
            CHECK(memcmp(payload + item.value, expected.data, expected.size) == 0);
    }
}

static void heaps(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 2, 0);
    struct heap_receiver r;
    struct packets p = two_heaps();
    union packet packet;
    aq_heap *whole, *part;
    CHECK_EQ(sizeof(aq_heap_record), 64);
    CHECK_EQ(sizeof(aq_heap_record_item), 24);
    heaps_init(&r);
    r.config.allow_out_of_order = 1;
    r.ring.contiguous_only = 0;
    heaps_open(&r);
    heaps_feed(&r, &p);
    whole = heaps_next(&r);
    part = heaps_next(&r);
    CHECK(whole != NULL && part != NULL && heaps_next(&r) == NULL);
    CHECK_OK(aq_event_buffer_put_heap(buffer, whole, 0));
    CHECK_OK(aq_event_buffer_put_heap(buffer, part, 0));
    CHECK_STATUS(aq_event_buffer_put_heap(buffer, part, 0), AQ_FULL);

    CHECK_EQ(pop_packet(buffer, &packet), 64 + 4 * 24 + 10);
    CHECK(memcmp(packet.bytes, "AQHP", 4) == 0);
    CHECK_EQ(packet.heap.version, 1);
    CHECK_EQ(packet.heap.header_size, 64);
    CHECK_EQ(packet.heap.cnt, 7);
    CHECK_EQ(packet.heap.length, 10);
    CHECK_EQ(packet.heap.received, 10);
    CHECK_EQ(packet.heap.first_arrival_ns + packet.heap.last_arrival_ns, 0); /* memory has no times */
    CHECK_EQ(packet.heap.payload_size, 10);
    CHECK_EQ(packet.heap.n_items, 4);
    CHECK_EQ(packet.heap.heap_address_bits, 48);
    CHECK_EQ(packet.heap.complete, 1);
    CHECK_EQ(packet.heap.start_of_stream, 1);
    CHECK_EQ(packet.heap.end_of_stream, 0);
    CHECK(spead_is(packet.bytes + 64 + 4 * 24, 7, 0, 10));
    items_are(&packet, whole);
    CHECK_OK(aq_heap_free(whole)); /* it stayed the caller's */

    CHECK_EQ(pop_packet(buffer, &packet), 64 + 24);
    CHECK_EQ(packet.heap.cnt, 8);
    CHECK_EQ(packet.heap.length, 100);
    CHECK_EQ(packet.heap.received, 20);
    CHECK_EQ(packet.heap.payload_size, 0);
    CHECK_EQ(packet.heap.n_items, 1);
    CHECK_EQ(packet.heap.complete, 0);
    items_are(&packet, part);
    CHECK_OK(aq_heap_free(part));
    heaps_close(&r);
    spead_free(&p);
    CHECK_OK(aq_event_buffer_free(buffer));
}

/* A capture has times, and larger heaps. */
static void heaps_of_a_capture(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct heap_receiver r;
    union packet head;
    aq_heap *heap;
    unsigned char *packet = (unsigned char *)malloc(1 << 20);
    size_t size, count = 0;
    heaps_init(&r);
    heaps_open(&r);
    CHECK_OK(aq_recv_stream_add_pcap_reader(r.stream, "../tests/data/items_48.pcap", NULL));
    while ((heap = heaps_next(&r)) != NULL) {
        aq_arrival first, last;
        const uint8_t *payload = NULL;
        size_t payload_size = 0;
        CHECK_OK(aq_heap_arrival(heap, &first, &last));
        CHECK_OK(aq_heap_payload(heap, &payload, &payload_size));
        CHECK_OK(aq_event_buffer_put_heap(buffer, heap, 0));
        CHECK_OK(aq_event_buffer_pop(buffer, 0, packet, 1 << 20, &size, NULL));
        memcpy(&head.heap, packet, sizeof head.heap);
        CHECK_EQ(head.heap.cnt, heap_cnt(heap));
        CHECK(head.heap.first_arrival_ns == first.nanoseconds && first.nanoseconds > 0);
        CHECK(head.heap.last_arrival_ns == last.nanoseconds && last.nanoseconds >= first.nanoseconds);
        CHECK_EQ(head.heap.payload_size, payload_size);
        CHECK_EQ(size, 64 + head.heap.n_items * 24 + payload_size);
        CHECK(memcmp(packet + size - payload_size, payload, payload_size) == 0);
        CHECK_OK(aq_heap_free(heap));
        count++;
    }
    CHECK_EQ(count, 6);
    heaps_close(&r);
    free(packet);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void chunks(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct receiver r;
    struct packets p = no_packets();
    union packet packet;
    aq_chunk_ring *ring = NULL;
    const size_t data = HEAPS_PER_CHUNK * HEAP_SIZE;
    CHECK_EQ(sizeof(aq_chunk_record), 48);
    for (uint64_t cnt = 0; cnt < 8; cnt++)
        if (cnt != 6)
            spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE);
    receiver_init(&r);
    r.config.stream_id = 77;
    r.extra_size = 3;
    receiver_open(&r, 4);
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK_EQ(r.n_chunks, 2);
    for (int i = 0; i < 2; i++) {
        memcpy(aq_chunk_extra(r.chunks[i]), i == 0 ? "abc" : "xyz", 3);
        CHECK_OK(aq_event_buffer_put_chunk(buffer, r.chunks[i], 0));
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pop_packet(buffer, &packet), 48 + data + HEAPS_PER_CHUNK + 3);
        CHECK(memcmp(packet.bytes, "AQCH", 4) == 0);
        CHECK_EQ(packet.chunk.version, 1);
        CHECK_EQ(packet.chunk.header_size, 48);
        CHECK_EQ(packet.chunk.chunk_id, i);
        CHECK_EQ(packet.chunk.stream_id, 77);
        CHECK_EQ(packet.chunk.data_size, data);
        CHECK_EQ(packet.chunk.present_size, HEAPS_PER_CHUNK);
        CHECK_EQ(packet.chunk.extra_size, 3);
        for (uint64_t heap = 0; heap < HEAPS_PER_CHUNK; heap++) {
            uint64_t cnt = (uint64_t)i * HEAPS_PER_CHUNK + heap;
            CHECK_EQ(packet.bytes[48 + data + heap], cnt != 6);
            CHECK(cnt == 6 || spead_is(packet.bytes + 48 + heap * HEAP_SIZE, cnt, 0, HEAP_SIZE));
        }
        CHECK(memcmp(packet.bytes + 48 + data + HEAPS_PER_CHUNK, i == 0 ? "abc" : "xyz", 3) == 0);
    }
    /* in a ring it is not the caller's */
    CHECK_OK(aq_chunk_ring_new(1, &ring));
    CHECK_OK(aq_chunk_ring_put(ring, r.chunks[1], 0));
    CHECK_STATUS(aq_event_buffer_put_chunk(buffer, r.chunks[1], 0), AQ_E_STATE);
    CHECK_OK(aq_chunk_ring_get(ring, 0, &r.chunks[1]));
    CHECK_OK(aq_event_buffer_put_chunk(buffer, r.chunks[1], 0));
    CHECK_EQ(ledger(buffer).put, 3);
    CHECK_OK(aq_chunk_ring_free(ring));
    receiver_close(&r);
    spead_free(&p);
    CHECK_OK(aq_event_buffer_free(buffer));
}

int main(void)
{
    heaps();
    heaps_of_a_capture();
    chunks();
    return check_done();
}

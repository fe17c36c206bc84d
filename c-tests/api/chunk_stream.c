/* Chunk streams: every heap at its place, every packet in its count, every end with its reason, every pointer released
 * once. The packets are made by hand: spead.h.
 */
#include "receive.h"
#include <inttypes.h>
#include <poll.h>

static uint8_t *heap_at(const struct receiver *r, int chunk, int heap)
{
    return (uint8_t *)aq_chunk_data(r->chunks[chunk]) + heap * HEAP_SIZE;
}

/* The chunk has these heaps, complete and with the right bytes, and of the others not a byte. */
static void check_chunk(const struct receiver *r, int chunk, int64_t id, const char *present)
{
    CHECK_EQ(aq_chunk_id(r->chunks[chunk]), id);
    for (int heap = 0; heap < HEAPS_PER_CHUNK; heap++) {
        uint64_t cnt = (uint64_t)(id * HEAPS_PER_CHUNK + heap);
        CHECK_EQ(aq_chunk_present(r->chunks[chunk])[heap], present[heap] == '1');
        if (present[heap] == '1')
            CHECK(spead_is(heap_at(r, chunk, heap), cnt, 0, HEAP_SIZE));
        else
            CHECK_EQ(*heap_at(r, chunk, heap), 0xee);
    }
}

/* Waits until the stream has counted so many packets. All of a test's packets are in one batch: if there are more of them, then
 * it waits for its consumer. */
static void await_packets(struct receiver *r, uint64_t packets)
{
    for (int i = 0; i < 30000; i++) {
        struct timespec pause = {0, 1000 * 1000};
        receiver_stats(r);
        if (r->stats.packets >= packets)
            break;
        nanosleep(&pause, NULL);
    }
    CHECK_EQ(r->stats.packets, packets);
}

static int32_t await_end(const aq_recv_stream *stream)
{
    int32_t reason = AQ_END_RUNNING;
    for (int i = 0; i < 30000 && reason == AQ_END_RUNNING; i++) {
        struct timespec pause = {0, 1000 * 1000};
        CHECK_OK(aq_recv_stream_end_reason(stream, &reason, NULL, NULL, 0));
        if (reason == AQ_END_RUNNING)
            nanosleep(&pause, NULL);
    }
    return reason;
}

/* Runs the packets through a stream to its end. */
static void run(struct receiver *r, struct packets *p)
{
    receiver_open(r, 16);
    receiver_feed(r, p);
    receiver_drain(r);
}

static void end(struct receiver *r, struct packets *p)
{
    receiver_close(r);
    spead_free(p);
}

/* 15 heaps of 4 chunks, each in one packet or in several. */
static void heaps_into_chunks(size_t part, int32_t copy)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    CHECK_EQ(r.config.memcpy, AQ_MEMCPY_STD);
    r.config.memcpy = copy;
    r.config.stream_id = UINT64_C(0xfedcba9876543210);
    for (uint64_t cnt = 0; cnt < 16; cnt++)
        if (cnt != 6)
            spead_heap(&p, cnt, HEAP_SIZE, part);
    run(&r, &p);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    if (CHECK_EQ(r.n_chunks, 4)) {
        check_chunk(&r, 0, 0, "1111");
        check_chunk(&r, 1, 1, "1101");
        check_chunk(&r, 2, 2, "1111");
        check_chunk(&r, 3, 3, "1111");
        CHECK(aq_chunk_stream_id(r.chunks[2]) == UINT64_C(0xfedcba9876543210));
    }
    CHECK_EQ(load(&r.placing.calls), 15); /* once per heap */
    CHECK_EQ(r.stats.heaps, 15);
    CHECK_EQ(r.stats.complete_heaps, 15);
    CHECK_EQ(r.stats.single_packet_heaps, part == HEAP_SIZE ? 15 : 0);
    CHECK_EQ(r.stats.packets, p.count);
    CHECK_EQ(r.stats.packets_delivered, p.count);
    CHECK_EQ(r.stats.bytes_delivered, 15 * HEAP_SIZE);
    CHECK_EQ(r.stats.chunks_ready, 4);
    CHECK_EQ(r.stats.chunks_undelivered, 0);
    CHECK(r.stats.batches >= 1 && r.stats.max_batch >= 1 && r.stats.max_batch <= p.count);
    end(&r, &p);
}

/* The window reaches max_chunks back from the first heap's chunk: what is there before it comes, empty, too. */
static void begins_anywhere(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    spead_heap(&p, 4 * 1000 + 1, HEAP_SIZE, HEAP_SIZE);
    run(&r, &p);
    if (CHECK_EQ(r.n_chunks, 2)) {
        check_chunk(&r, 0, 999, "0000");
        check_chunk(&r, 1, 1000, "0100");
    }
    end(&r, &p);
}

static void place_by_packets(aq_chunk_place_data *data, size_t data_size, void *user)
{
    place_by_counter(data, data_size, user);
    data->heap_index *= 4;
}

static void packet_presence(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    r.chunk_config.place = place_by_packets;
    r.chunk_config.packet_presence_payload_size = HEAP_SIZE / 4;
    r.present_size = HEAPS_PER_CHUNK * 4;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE / 4);
    for (size_t i = 0; i < 3; i++) /* without its last packet */
        spead_packet(&p, 1, HEAP_SIZE, 1, i * HEAP_SIZE / 4, HEAP_SIZE / 4);
    spead_heap(&p, 3, HEAP_SIZE, HEAP_SIZE / 4);
    run(&r, &p);
    if (CHECK_EQ(r.n_chunks, 1)) {
        const uint8_t expected[16] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1};
        CHECK(memcmp(aq_chunk_present(r.chunks[0]), expected, sizeof expected) == 0);
        CHECK(spead_is(heap_at(&r, 0, 1), 1, 0, HEAP_SIZE / 4 * 3));
    }
    CHECK_EQ(r.stats.complete_heaps, 2);
    CHECK_EQ(r.stats.incomplete_heaps_flushed, 1);
    CHECK_EQ(r.stats.packets_incomplete, 3);
    end(&r, &p);
}

static void place_with_extra(aq_chunk_place_data *data, size_t data_size, void *user)
{
    place_by_counter(data, data_size, user);
    memset(data->extra, (int)(0xa0 + data->items[0]), 8);
    data->extra_offset = data->heap_index * 8;
    data->extra_size = data->items[0] == 2 ? 9 : data->items[0] == 3 ? 0 : 8; /* 9 is more than there is */
}

static void extra_data(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    r.chunk_config.place = place_with_extra;
    r.chunk_config.max_heap_extra = 8;
    r.extra_size = HEAPS_PER_CHUNK * 8;
    for (uint64_t cnt = 0; cnt < 4; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE / 2);
    run(&r, &p);
    if (CHECK_EQ(r.n_chunks, 1)) {
        uint8_t expected[32];
        memset(expected, 0xa0, 8);
        memset(expected + 8, 0xa1, 8);
        memset(expected + 16, 0, 16);
        CHECK(memcmp(aq_chunk_extra(r.chunks[0]), expected, sizeof expected) == 0);
        CHECK_EQ(aq_chunk_extra_size(r.chunks[0]), 32);
        check_chunk(&r, 0, 0, "1101");
    }
    CHECK_EQ(r.stats.place_out_of_bounds_heaps, 1);
    end(&r, &p);
}

/* What the callback is told about a heap. */
struct heard {
    const struct packets *packets;
    int calls;
};

static void place_and_look(aq_chunk_place_data *data, size_t data_size, void *user)
{
    struct heard *heard = (struct heard *)user;
    CHECK_EQ(data_size, sizeof *data);
    CHECK(data->packet != heard->packets->bytes || data->packet_size < heard->packets->size);
    CHECK(memcmp(data->packet, heard->packets->bytes, data->packet_size) == 0);
    CHECK_EQ(data->packet_size, 8 + 7 * 8 + 32); /* header, pointers, payload: no more than the packet */
    CHECK_EQ(data->items[0], 0x123456789abc);    /* the counter */
    CHECK_EQ(data->items[1], 77);                /* special items can be asked for, too */
    CHECK_EQ(data->items[2], 64);
    CHECK_EQ(data->items[3], 0);
    CHECK_EQ(data->items[4], 32);
    CHECK_EQ(data->items[5], -1); /* not there */
    CHECK_EQ(data->items[6], -1); /* there, but addressed */
    CHECK_EQ(data->items[7], 0);  /* immediate zero is not missing */
    CHECK_EQ(data->chunk_id, -1);
    CHECK_EQ(data->heap_index, 0);
    CHECK_EQ(data->heap_offset, 0);
    CHECK_EQ(data->extra_offset, 0);
    CHECK_EQ(data->extra_size, 0);
    CHECK(data->batch_stats != NULL);
    heard->calls++;
    data->chunk_id = 0;
}

static void what_place_is_told(void)
{
    struct receiver r;
    struct packets p = no_packets();
    struct heard heard;
    uint64_t items[] = {COUNTER_ITEM, SPEAD_HEAP_CNT, SPEAD_HEAP_LENGTH, SPEAD_PAYLOAD_OFFSET, SPEAD_PAYLOAD_LENGTH,
                        0x1999, 0x4300, 0x4101};
    uint8_t zeros[32] = {0};
    receiver_init(&r);
    heard.packets = &p;
    heard.calls = 0;
    r.chunk_config.place = place_and_look;
    r.chunk_config.place_user = &heard;
    r.chunk_config.place_user_free = NULL;
    r.chunk_config.items = items;
    r.chunk_config.n_items = 8;
    spead_begin(&p, 7);
    spead_item(&p, SPEAD_HEAP_CNT, 77);
    spead_item(&p, SPEAD_HEAP_LENGTH, 64);
    spead_item(&p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(&p, SPEAD_PAYLOAD_LENGTH, 32);
    spead_item(&p, COUNTER_ITEM, UINT64_C(0x123456789abc));
    spead_item(&p, 0x4101, 0);
    spead_u64(&p, UINT64_C(0x4300) << 48); /* addressed, at 0 */
    spead_raw(&p, zeros, sizeof zeros);
    spead_packet(&p, 77, 64, -1, 32, 32);
    receiver_open(&r, 2);
    memset(items, 0xff, sizeof items); /* they were copied */
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK_EQ(heard.calls, 1);
    CHECK_EQ(r.stats.complete_heaps, 1);
    r.placing.freed = 1; /* receiver_close asks for it */
    end(&r, &p);
}

struct with_stats {
    size_t counter, maximum;
};

static void place_and_count(aq_chunk_place_data *data, size_t data_size, void *user)
{
    const struct with_stats *stats = (const struct with_stats *)user;
    (void)data_size;
    data->batch_stats[stats->counter] += (uint64_t)data->items[0];
    if (data->batch_stats[stats->maximum] < (uint64_t)data->items[0])
        data->batch_stats[stats->maximum] = (uint64_t)data->items[0];
    data->chunk_id = 0;
}

static void custom_statistics(void)
{
    struct receiver r;
    struct packets p = no_packets();
    struct with_stats stats;
    size_t count = 0, index = 0;
    uint64_t value = 0;
    const char *text = NULL;
    char name[] = "sum";
    receiver_init(&r);
    CHECK_OK(aq_recv_stream_config_add_stat(&r.config, name, AQ_STAT_COUNTER, &stats.counter));
    CHECK_OK(aq_recv_stream_config_add_stat(&r.config, "largest", AQ_STAT_MAXIMUM, &stats.maximum));
    CHECK_OK(aq_recv_stream_config_add_stat(&r.config, "unused", AQ_STAT_COUNTER, NULL));
    CHECK_EQ(r.config.n_custom_stats, 3);
    CHECK_EQ(stats.maximum, stats.counter + 1);
    r.chunk_config.place = place_and_count;
    r.chunk_config.place_user = &stats;
    r.chunk_config.place_user_free = NULL;
    /* 600 heaps are several batches: sums add up, maxima do not */
    for (uint64_t cnt = 1; cnt <= 600; cnt++)
        spead_heap(&p, cnt, 8, 8);
    receiver_open(&r, 2);
    memset(name, 'x', 3); /* it was copied */
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK(r.stats.batches > 1);
    CHECK_OK(aq_recv_stream_stat_index(r.stream, "sum", &index));
    CHECK_EQ(index, stats.counter);
    CHECK_OK(aq_recv_stream_stat_value(r.stream, index, &value));
    CHECK_EQ(value, 600 * 601 / 2);
    CHECK_OK(aq_recv_stream_stat_index(r.stream, "largest", &index));
    CHECK_EQ(index, stats.maximum);
    CHECK_OK(aq_recv_stream_stat_value(r.stream, index, &value));
    CHECK_EQ(value, 600);
    CHECK_OK(aq_recv_stream_stat_count(r.stream, &count));
    CHECK_EQ(count, stats.maximum + 2);
    CHECK_OK(aq_recv_stream_stat_value(r.stream, count - 1, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(aq_recv_stream_stat_name(r.stream, count - 1, &text));
    CHECK_TEXT(text, "unused");
    CHECK_OK(aq_recv_stream_stat_name(r.stream, stats.counter, &text));
    CHECK_TEXT(text, "sum");
    CHECK_ERROR(aq_recv_stream_stat_name(r.stream, count, &text), AQ_E_NOT_FOUND, "index must be below");
    CHECK_ERROR(aq_recv_stream_stat_value(r.stream, count, &value), AQ_E_NOT_FOUND, "index must be below");
    CHECK_ERROR(aq_recv_stream_stat_index(r.stream, "xxx", &index), AQ_E_NOT_FOUND, "no statistic \"xxx\"");
    CHECK_EQ(index, stats.maximum);
    r.placing.freed = 1;
    end(&r, &p);
}

/* An answer for each heap number. */
static void place_badly(aq_chunk_place_data *data, size_t data_size, void *user)
{
    place_by_counter(data, data_size, user);
    switch (data->items[0]) {
    case 0: data->heap_offset = HEAPS_PER_CHUNK * HEAP_SIZE - HEAP_SIZE + 1; break; /* ends one byte too late */
    case 1: data->heap_offset = SIZE_MAX; break;
    case 2: data->heap_index = HEAPS_PER_CHUNK; break;
    case 3: data->heap_index = SIZE_MAX; break;
    case 4: data->extra_size = 1; break; /* there are no extra bytes */
    case 5: data->extra_offset = 1; break;
    case 6: data->chunk_id = -1; break;
    case 7: data->chunk_id = INT64_MIN; break;
    default: break; /* 8 is fine */
    }
}

static void refused_places(size_t part)
{
    struct receiver r;
    struct packets p = no_packets();
    size_t parts = HEAP_SIZE / part;
    receiver_init(&r);
    r.chunk_config.place = place_badly;
    for (uint64_t cnt = 0; cnt < 9; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, part);
    for (size_t offset = 0; offset < HEAP_SIZE; offset += part)
        spead_packet(&p, 100, HEAP_SIZE, -1, offset, part); /* no counter: items[0] is -1 */
    run(&r, &p);
    CHECK_EQ(r.stats.place_out_of_bounds_heaps, 6);
    CHECK_EQ(r.stats.place_out_of_bounds, 6 * parts);
    CHECK_EQ(r.stats.rejected_heaps, 3);
    CHECK_EQ(r.stats.place_rejected, 3 * parts);
    CHECK_EQ(r.stats.complete_heaps, 1);
    CHECK_EQ(r.stats.heaps, 10);
    CHECK_EQ(load(&r.placing.calls), 10);
    if (CHECK_EQ(r.n_chunks, 3)) { /* a heap placed out of bounds has begun its chunk all the same */
        check_chunk(&r, 0, 0, "0000");
        check_chunk(&r, 1, 1, "0000");
        check_chunk(&r, 2, 2, "1000");
    }
    end(&r, &p);
}

static void too_old_and_too_far(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    r.chunk_config.max_jump = 10;
    r.chunk_config.jump_confirm = 2;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_packet(&p, 1, HEAP_SIZE, 1, 0, 128);     /* whose chunk will be gone before its second half comes */
    spead_heap(&p, 8, HEAP_SIZE, HEAP_SIZE);       /* chunk 2: chunk 0 leaves */
    spead_packet(&p, 1, HEAP_SIZE, 1, 128, 128);   /* too old */
    spead_heap(&p, 2, HEAP_SIZE, HEAP_SIZE);       /* too old */
    spead_heap(&p, 4, HEAP_SIZE, HEAP_SIZE);       /* chunk 1 is not */
    spead_heap(&p, 4 * 13, HEAP_SIZE, HEAP_SIZE);  /* 11 further: not believed */
    spead_heap(&p, 4 * 12, HEAP_SIZE, HEAP_SIZE);  /* 10 further */
    spead_heap(&p, 4 * 500, HEAP_SIZE, HEAP_SIZE); /* not believed, the next not either, but the third is */
    spead_heap(&p, 4 * 500 + 1, HEAP_SIZE, HEAP_SIZE);
    spead_heap(&p, 4 * 500 + 2, HEAP_SIZE, HEAP_SIZE);
    run(&r, &p);
    CHECK_EQ(r.stats.too_old_heaps, 2);
    CHECK_EQ(r.stats.too_old, 3);
    CHECK_EQ(r.stats.jump_rejected_heaps, 3);
    CHECK_EQ(r.stats.jump_rejected, 3);
    CHECK_EQ(r.stats.complete_heaps, 5);
    if (CHECK_EQ(r.n_chunks, 7)) {
        const int64_t ids[] = {0, 1, 2, 11, 12, 499, 500};
        for (int i = 0; i < 7; i++)
            CHECK_EQ(aq_chunk_id(r.chunks[i]), ids[i]);
        check_chunk(&r, 1, 1, "1000");
        check_chunk(&r, 6, 500, "0010");
    }
    end(&r, &p);
}

static void any_jump(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    r.chunk_config.max_jump = 0;
    r.chunk_config.max_chunks = 1;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_heap(&p, UINT64_C(4) << 40, HEAP_SIZE, HEAP_SIZE);
    spead_heap(&p, 1, HEAP_SIZE, HEAP_SIZE); /* with one chunk at a time, too old */
    run(&r, &p);
    if (CHECK_EQ(r.n_chunks, 2)) {
        check_chunk(&r, 0, 0, "1000");
        check_chunk(&r, 1, INT64_C(1) << 40, "1000");
    }
    CHECK_EQ(r.stats.too_old_heaps, 1);
    end(&r, &p);
}

static void unsized_heaps(int32_t allow)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    CHECK_EQ(r.config.allow_unsized_heaps, 1);
    r.config.allow_unsized_heaps = allow;
    spead_packet(&p, 0, -1, 0, 0, 100);
    spead_packet(&p, 0, -1, 0, 100, 100);
    spead_packet(&p, 3, -1, 3, 0, HEAP_SIZE);
    spead_packet(&p, 3, -1, 3, HEAP_SIZE, 1); /* beyond the chunk, which the first packet could not tell */
    spead_heap(&p, 1, HEAP_SIZE, HEAP_SIZE);
    run(&r, &p);
    CHECK_EQ(r.stats.complete_heaps, 1);
    CHECK_EQ(r.stats.no_heap_length, allow ? 0 : 4);
    CHECK_EQ(r.stats.incomplete_heaps_flushed, allow ? 1 : 0);
    CHECK_EQ(r.stats.packets_incomplete, allow ? 2 : 0);
    CHECK_EQ(r.stats.place_out_of_bounds_heaps, allow ? 1 : 0);
    CHECK_EQ(r.stats.place_out_of_bounds, allow ? 2 : 0);
    if (CHECK_EQ(r.n_chunks, 1)) {
        CHECK_EQ(aq_chunk_present(r.chunks[0])[0], 0);
        CHECK_EQ(aq_chunk_present(r.chunks[0])[1], 1);
        CHECK_EQ(aq_chunk_present(r.chunks[0])[3], 0);
        if (allow)
            CHECK(spead_is(heap_at(&r, 0, 0), 0, 0, 200));
    }
    end(&r, &p);
}

static void order(int32_t allow_out_of_order)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    CHECK_EQ(r.config.allow_out_of_order, 0);
    r.config.allow_out_of_order = allow_out_of_order;
    spead_packet(&p, 0, HEAP_SIZE, 0, 128, 128); /* the second half first */
    spead_packet(&p, 0, HEAP_SIZE, 0, 0, 128);
    spead_packet(&p, 1, HEAP_SIZE, 1, 0, 128);
    spead_packet(&p, 1, HEAP_SIZE, 1, 0, 128);        /* a duplicate */
    spead_packet(&p, 1, HEAP_SIZE, 1, 64, 128);       /* of which half was there */
    spead_packet(&p, 1, HEAP_SIZE + 1, 1, 128, 128);  /* another length */
    spead_packet(&p, 1, HEAP_SIZE, 1, 128, 128);
    spead_packet(&p, 1, HEAP_SIZE, 1, 128, 128);      /* of a heap that is complete */
    run(&r, &p);
    CHECK_EQ(r.stats.out_of_order, allow_out_of_order ? 0 : 1);
    CHECK_EQ(r.stats.heaps_lost_start, allow_out_of_order ? 0 : 1);
    CHECK_EQ(r.stats.incomplete_heaps_flushed, allow_out_of_order ? 0 : 1);
    CHECK_EQ(r.stats.packets_incomplete, allow_out_of_order ? 0 : 1);
    CHECK_EQ(r.stats.complete_heaps, allow_out_of_order ? 2 : 1);
    CHECK_EQ(r.stats.packets_delivered, allow_out_of_order ? 4 : 2);
    CHECK_EQ(r.stats.duplicate, 2);
    CHECK_EQ(r.stats.overlap, 1);
    CHECK_EQ(r.stats.inconsistent, 1);
    if (CHECK_EQ(r.n_chunks, 1)) {
        CHECK_EQ(aq_chunk_present(r.chunks[0])[0], allow_out_of_order);
        CHECK_EQ(aq_chunk_present(r.chunks[0])[1], 1);
        CHECK(spead_is(heap_at(&r, 0, 0), 0, 0, 128));
        CHECK(spead_is(heap_at(&r, 0, 1), 1, 0, HEAP_SIZE));
    }
    end(&r, &p);
}

/* Three heaps whose packets alternate. */
static void eviction(size_t max_heaps, size_t substreams, unsigned complete)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    CHECK_EQ(r.config.max_heaps, 4);
    CHECK_EQ(r.config.substreams, 1);
    r.config.max_heaps = max_heaps;
    r.config.substreams = substreams;
    for (size_t offset = 0; offset < HEAP_SIZE; offset += 128)
        for (uint64_t cnt = 0; cnt < 3; cnt++)
            spead_packet(&p, cnt, HEAP_SIZE, (int64_t)cnt, offset, 128);
    run(&r, &p);
    CHECK_EQ(r.stats.heaps, 3);
    CHECK_EQ(r.stats.complete_heaps, complete);
    CHECK_EQ(r.stats.incomplete_heaps_evicted, 3 - complete);
    CHECK_EQ(r.stats.packets_incomplete, 3 - complete);
    CHECK_EQ(r.stats.out_of_order, 3 - complete); /* the second halves have no beginning */
    CHECK_EQ(r.stats.heaps_lost_start, 3 - complete);
    end(&r, &p);
}

static void stop_item(int32_t stop)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    CHECK_EQ(r.config.stop_on_stop_item, 1);
    r.config.stop_on_stop_item = stop;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_packet(&p, 1, HEAP_SIZE, 1, 0, 128); /* given up */
    spead_stop(&p, 99);
    spead_heap(&p, 2, HEAP_SIZE, HEAP_SIZE);
    run(&r, &p);
    CHECK_EQ(r.reason, stop ? AQ_END_STOP_ITEM : AQ_END_SOURCE);
    CHECK_EQ(r.stats.packets_control, stop);
    CHECK_EQ(r.stats.complete_heaps, stop ? 1 : 2);
    CHECK_EQ(r.stats.rejected_heaps, stop ? 0 : 1); /* else it is a heap without a counter */
    CHECK_EQ(r.stats.incomplete_heaps_flushed, 1);
    CHECK_EQ(r.stats.packets, stop ? 3 : 4);
    if (CHECK_EQ(r.n_chunks, 1))
        CHECK_EQ(aq_chunk_present(r.chunks[0])[2], !stop);
    end(&r, &p);
}

static void count(void *user)
{
    __atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

/* A chunk of the usual size that counts when its memory is released. */
static aq_chunk *counting_chunk(int *released)
{
    static uint8_t memory[MAX_CHUNKS][HEAPS_PER_CHUNK * (HEAP_SIZE + 1)]; /* one each, as streams may write to all at once */
    static int used;
    uint8_t *data = memory[used++ % MAX_CHUNKS];
    aq_chunk_buffers buffers;
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_buffers_init(&buffers, sizeof buffers));
    buffers.data = data;
    buffers.data_size = HEAPS_PER_CHUNK * HEAP_SIZE;
    buffers.present = data + HEAPS_PER_CHUNK * HEAP_SIZE;
    buffers.present_size = HEAPS_PER_CHUNK;
    buffers.release = count;
    buffers.release_user = released;
    CHECK_OK(aq_chunk_new(&buffers, &chunk));
    return chunk;
}

/* The network ends the stream: the data ring is stopped, the free ring is not. */
static void rings_after_a_network_stop(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_chunk *chunk = NULL;
    int32_t stopped_now = 7;
    size_t n = 0;
    receiver_init(&r);
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_stop(&p, 1);
    run(&r, &p);
    CHECK_STATUS(aq_chunk_ring_get(r.data, 0, &chunk), AQ_STOPPED);
    CHECK_OK(aq_chunk_ring_stop(r.data, &stopped_now));
    CHECK_EQ(stopped_now, 0);
    CHECK_OK(aq_chunk_ring_size(r.free_ring, &n));
    CHECK_EQ(n, 15);
    CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, r.chunks[--r.n_chunks]));
    CHECK_OK(aq_chunk_ring_size(r.free_ring, &n));
    CHECK_EQ(n, 16);
    CHECK_OK(aq_recv_stream_stop(r.stream)); /* comes too late to change anything */
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 0));
    CHECK_EQ(r.reason, AQ_END_STOP_ITEM);
    CHECK_OK(aq_chunk_ring_stop(r.free_ring, &stopped_now));
    CHECK_EQ(stopped_now, 1);
    CHECK_STATUS(aq_recv_stream_add_buffer_reader(r.stream, p.bytes, p.size, NULL, NULL), AQ_STOPPED);
    end(&r, &p);
}

/* The program ends it, while it waits for space in the data ring: both rings are stopped, what does not fit is counted. */
static void rings_after_a_user_stop(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_chunk *chunk = NULL;
    int32_t stopped_now = 7;
    int released = 0;
    receiver_init(&r);
    for (uint64_t cnt = 0; cnt < 24; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE);
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &r.pool));
    CHECK_OK(aq_chunk_ring_new(1, &r.data));
    CHECK_OK(aq_chunk_ring_new(8, &r.free_ring));
    CHECK_OK(aq_chunk_ring_stream_new(r.pool, &r.config, &r.chunk_config, r.data, r.free_ring, &r.stream));
    for (int i = 0; i < 8; i++)
        CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, counting_chunk(&released)));
    receiver_feed(&r, &p);
    await_packets(&r, 12); /* 0 is in the data ring, 1 finds it full, 2 is in the window */
    CHECK_EQ(r.stats.complete_heaps, 12);
    CHECK_EQ(r.stats.worker_blocked, 1); /* to be seen while it waits */
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 0));
    CHECK_EQ(r.reason, AQ_END_RUNNING);
    CHECK_OK(aq_recv_stream_stop(r.stream));
    CHECK_OK(aq_recv_stream_stop(r.stream));
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 0));
    CHECK_EQ(r.reason, AQ_END_USER);
    receiver_stats(&r);
    CHECK_EQ(r.stats.chunks_ready, 1);
    CHECK_EQ(r.stats.chunks_undelivered, 2);
    CHECK_EQ(r.stats.packets, 12); /* what a buffer reader has not looked at has not been received */
    CHECK_EQ(r.stats.worker_blocked, 1);
    CHECK_OK(aq_chunk_ring_stop(r.data, &stopped_now));
    CHECK_EQ(stopped_now, 0);
    CHECK_OK(aq_chunk_ring_stop(r.free_ring, &stopped_now));
    CHECK_EQ(stopped_now, 0);
    CHECK_OK(aq_chunk_ring_get(r.data, 0, &chunk)); /* what is inside can still be got */
    CHECK_EQ(aq_chunk_id(chunk), 0);
    CHECK_STATUS(aq_chunk_ring_get(r.data, 0, &chunk), AQ_STOPPED);
    CHECK_EQ(released, 0);
    CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, chunk)); /* nobody needs it any more: freed */
    CHECK_EQ(released, 1);
    receiver_close(&r);
    CHECK_EQ(released, 8);
    spead_free(&p);
}

/* Live chunks go to the data ring when there is space. */
static void user_stop_delivers_what_fits(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_chunk *chunk = NULL;
    receiver_init(&r);
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_packet(&p, 1, HEAP_SIZE, 1, 0, 128);
    spead_heap(&p, 4, HEAP_SIZE, HEAP_SIZE);
    spead_heap(&p, 8, HEAP_SIZE, HEAP_SIZE); /* for which there is no chunk: the stream waits, with all that was before */
    receiver_open(&r, 2);
    receiver_feed(&r, &p);
    await_packets(&r, 3);
    CHECK_EQ(r.stats.packets_pending, 1);
    CHECK_OK(aq_recv_stream_stop(r.stream));
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_USER);
    if (CHECK_EQ(r.n_chunks, 2)) {
        CHECK_EQ(aq_chunk_present(r.chunks[0])[0], 1);
        CHECK_EQ(aq_chunk_present(r.chunks[0])[1], 0);
        check_chunk(&r, 1, 1, "1000");
    }
    CHECK_EQ(r.stats.incomplete_heaps_flushed, 1);
    CHECK_EQ(r.stats.chunks_undelivered, 0);
    CHECK_STATUS(aq_chunk_ring_get(r.free_ring, 0, &chunk), AQ_STOPPED);
    end(&r, &p);
}

/* Two chunks in circulation, which the stream gets back one by one; waiting by poll. */
static void back_pressure(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_chunk *chunk = NULL;
    aq_status status;
    struct pollfd wait;
    int64_t next = 0;
    receiver_init(&r);
    for (uint64_t cnt = 0; cnt < 80; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, 100);
    receiver_open(&r, 2);
    receiver_feed(&r, &p);
    await_packets(&r, 8 * 3); /* chunk 2 needs a chunk that nobody has given back yet */
    CHECK_OK(aq_chunk_ring_data_fd(r.data, &wait.fd));
    wait.events = POLLIN;
    while ((status = aq_chunk_ring_get(r.data, 0, &chunk)) == AQ_OK || status == AQ_EMPTY) {
        if (status == AQ_EMPTY) {
            if (!CHECK(poll(&wait, 1, 30000) == 1))
                break;
            continue;
        }
        r.chunks[0] = chunk;
        check_chunk(&r, 0, next++, "1111");
        memset(aq_chunk_data(chunk), 0xee, r.data_size);
        CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, chunk));
    }
    CHECK_STATUS(status, AQ_STOPPED);
    CHECK_EQ(next, 20);
    CHECK_OK(aq_recv_stream_stop(r.stream));
    receiver_stats(&r);
    CHECK_EQ(r.stats.complete_heaps, 80);
    CHECK_EQ(r.stats.packets, p.count);
    CHECK(r.stats.worker_blocked >= 1);
    CHECK_EQ(load(&r.placing.calls), 80); /* not again after a wait */
    end(&r, &p);
}

static void free_ring_stopped(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    r.config.explicit_start = 1;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_heap(&p, 1, HEAP_SIZE, HEAP_SIZE);
    receiver_open(&r, 0);
    receiver_feed(&r, &p);
    CHECK_OK(aq_chunk_ring_stop(r.free_ring, NULL));
    CHECK_OK(aq_recv_stream_start(r.stream));
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_RING_STOPPED);
    CHECK_EQ(r.stats.after_stop_heaps, 1);
    CHECK_EQ(r.stats.after_stop, 1);
    CHECK_EQ(r.stats.packets, 1);
    CHECK_EQ(r.n_chunks, 0);
    end(&r, &p);
}

static void data_ring_stopped(void)
{
    struct receiver r;
    struct packets p = no_packets();
    int32_t reason;
    receiver_init(&r);
    r.config.explicit_start = 1;
    for (uint64_t cnt = 0; cnt < 64; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE);
    receiver_open(&r, 4);
    receiver_feed(&r, &p);
    CHECK_OK(aq_chunk_ring_stop(r.data, NULL));
    reason = await_end(r.stream); /* it ends at once, though it was not even started */
    CHECK_EQ(reason, AQ_END_RING_STOPPED);
    receiver_drain(&r);
    CHECK_EQ(r.n_chunks, 0);
    CHECK_EQ(r.stats.packets, 0);
    CHECK_EQ(r.stats.chunks_undelivered, 0);
    end(&r, &p);
}

/* A reader that fails ends a stream that has no other. */
static void ends_with_an_error(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_status error = AQ_OK;
    char message[256], expected[256], cut[16];
    receiver_init(&r);
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    snprintf(expected, sizeof expected, "buffer: malformed packet at byte %zu of %zu: bad_magic", p.size, p.size + 16);
    spead_raw(&p, "this is no SPEAD", 16);
    receiver_open(&r, 4);
    memset(message, 'x', sizeof message);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, &error, message, sizeof message));
    CHECK_EQ(r.reason, AQ_END_RUNNING);
    CHECK_EQ(error, AQ_OK);
    CHECK_TEXT(message, "");
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_ERROR);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, &error, message, sizeof message));
    CHECK_EQ(r.reason, AQ_END_ERROR);
    CHECK_EQ(error, AQ_E_FORMAT);
    CHECK_TEXT(message, expected);
    memset(cut, 'x', sizeof cut);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, cut, 7));
    CHECK_TEXT(cut, "buffer");
    CHECK_EQ(cut[7], 'x');
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, cut, 1));
    CHECK_TEXT(cut, "");
    CHECK_EQ(cut[1], 'u');
    memset(cut, 'x', sizeof cut);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, cut, 0));
    CHECK_EQ(cut[0], 'x');
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, message, strlen(expected) + 1));
    CHECK_TEXT(message, expected);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, message, strlen(expected)));
    CHECK_EQ(strlen(message), strlen(expected) - 1);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 100));
    CHECK_EQ(r.stats.complete_heaps, 1);
    CHECK_EQ(r.stats.malformed_bad_magic, 1);
    CHECK_EQ(r.stats.packets, 2);
    CHECK_EQ(r.n_chunks, 1); /* what was good is delivered */
    end(&r, &p);
}

/* Nothing is read before the start, also while the worker is at work for others. */
static void explicit_start(void)
{
    struct receiver r, other;
    struct packets p = no_packets();
    struct placing placing;
    receiver_init(&r);
    r.config.explicit_start = 1;
    for (uint64_t cnt = 0; cnt < 8; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE);
    receiver_open(&r, 4);
    receiver_feed(&r, &p);
    receiver_feed(&r, &p);
    receiver_init(&other);
    memset(&placing, 0, sizeof placing);
    other.chunk_config.place_user = &placing;
    CHECK_OK(aq_chunk_ring_new(4, &other.data));
    CHECK_OK(aq_chunk_ring_new(4, &other.free_ring));
    CHECK_OK(aq_chunk_ring_stream_new(r.pool, NULL, &other.chunk_config, other.data, other.free_ring, &other.stream));
    receiver_add_chunks(&other, 4);
    receiver_feed(&other, &p);
    receiver_drain(&other); /* the same worker has run it to its end */
    CHECK_EQ(other.stats.complete_heaps, 8);
    receiver_stats(&r);
    CHECK_EQ(r.stats.packets, 0);
    CHECK_EQ(load(&r.placing.calls), 0);
    CHECK_OK(aq_recv_stream_start(r.stream));
    receiver_drain(&r);
    CHECK_EQ(r.stats.packets, 16); /* both readers: neither had ended before the other was added */
    CHECK_EQ(r.stats.complete_heaps, 16);
    CHECK_OK(aq_recv_stream_start(r.stream)); /* does nothing */
    receiver_close(&r);
    other.placing.freed = 1;
    receiver_close(&other);
    CHECK_EQ(load(&placing.freed), 1);
    spead_free(&p);
}

/* Never started, it can be stopped. */
static void stopped_before_its_start(void)
{
    struct receiver r;
    struct packets p = no_packets();
    int released = 0;
    receiver_init(&r);
    r.config.explicit_start = 1;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    receiver_open(&r, 4);
    CHECK_OK(aq_recv_stream_add_buffer_reader(r.stream, p.bytes, p.size, count, &released));
    CHECK_OK(aq_recv_stream_stop(r.stream));
    CHECK_EQ(load(&released), 1);
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_USER);
    CHECK_EQ(r.stats.packets, 0);
    end(&r, &p);
}

/* When the stream has been stopped it holds nothing of the program's any more; again and again, for this is a race with
 * the worker, which is kept for the next stream. */
static void nothing_comes_after_a_stop(void)
{
    aq_thread_pool *pool = NULL;
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &pool));
    for (int i = 0; i < 500; i++) {
        struct receiver r;
        int released = 0;
        receiver_init(&r);
        CHECK_OK(aq_chunk_ring_new(4, &r.data));
        CHECK_OK(aq_chunk_ring_new(4, &r.free_ring));
        CHECK_OK(aq_chunk_ring_stream_new(pool, &r.config, &r.chunk_config, r.data, r.free_ring, &r.stream));
        CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, counting_chunk(&released)));
        CHECK_OK(aq_recv_stream_stop(r.stream));
        CHECK_EQ(load(&r.placing.freed), 1);
        CHECK_OK(aq_recv_stream_free(r.stream));
        CHECK_OK(aq_chunk_ring_free(r.data));
        CHECK_EQ(load(&released), 0);
        CHECK_OK(aq_chunk_ring_free(r.free_ring)); /* of which the worker has no hold either */
        CHECK_EQ(load(&released), 1);
    }
    CHECK_OK(aq_thread_pool_free(pool));
}

/* NULL for the stream's settings is the defaults: the stop item ends it, packets must come in order. */
static void defaults(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    CHECK_EQ(r.config.stream_id, 0);
    CHECK_EQ(r.config.explicit_start, 0);
    CHECK_EQ(r.config.n_custom_stats, 0);
    CHECK_EQ(r.chunk_config.max_chunks, AQ_DEFAULT_MAX_CHUNKS);
    CHECK_EQ(r.chunk_config.max_heap_extra, 0);
    CHECK_EQ(r.chunk_config.packet_presence_payload_size, 0);
    CHECK_EQ(r.chunk_config.max_jump, 1 << 20);
    CHECK_EQ(r.chunk_config.jump_confirm, 8);
    spead_packet(&p, 0, HEAP_SIZE, 0, 128, 128);
    spead_packet(&p, 0, HEAP_SIZE, 0, 0, 128);
    spead_heap(&p, 1, HEAP_SIZE, 128);
    spead_stop(&p, 2);
    spead_heap(&p, 3, HEAP_SIZE, 128);
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &r.pool));
    CHECK_OK(aq_chunk_ring_new(4, &r.data));
    CHECK_OK(aq_chunk_ring_new(4, &r.free_ring));
    CHECK_OK(aq_chunk_ring_stream_new(r.pool, NULL, &r.chunk_config, r.data, r.free_ring, &r.stream));
    receiver_add_chunks(&r, 2);
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_STOP_ITEM);
    CHECK_EQ(r.stats.out_of_order, 1);
    CHECK_EQ(r.stats.complete_heaps, 1);
    CHECK_EQ(r.n_chunks, 1);
    CHECK_EQ(aq_chunk_stream_id(r.chunks[0]), 0);
    end(&r, &p);
}

static void giving_chunks(void)
{
    struct receiver r;
    aq_chunk *a = NULL, *b = NULL;
    int released = 0;
    receiver_init(&r);
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &r.pool));
    CHECK_OK(aq_chunk_ring_new(4, &r.data));
    CHECK_OK(aq_chunk_ring_new(1, &r.free_ring));
    CHECK_OK(aq_chunk_ring_stream_new(r.pool, &r.config, &r.chunk_config, r.data, r.free_ring, &r.stream));
    a = counting_chunk(&released);
    b = counting_chunk(&released);
    memset(aq_chunk_present(a), 1, HEAPS_PER_CHUNK);
    CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, a));
    CHECK(aq_chunk_data(a) == NULL);
    CHECK_ERROR(aq_recv_stream_add_free_chunk(r.stream, a), AQ_E_STATE, "in a ring or a stream");
    CHECK_STATUS(aq_recv_stream_add_free_chunk(r.stream, b), AQ_FULL);
    CHECK(aq_chunk_data(b) != NULL); /* still the caller's */
    CHECK_OK(aq_chunk_ring_get(r.free_ring, 0, &a));
    CHECK_EQ(aq_chunk_present(a)[0], 0); /* cleared */
    CHECK_OK(aq_recv_stream_stop(r.stream));
    CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, b));
    CHECK_EQ(released, 1);
    CHECK_OK(aq_chunk_free(a));
    CHECK_EQ(released, 2);
    receiver_close(&r);
}

/* The stream's rings by its own handles, which outlive it. */
static void ring_handles(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_chunk_ring *data = NULL, *free_ring = NULL;
    aq_chunk *chunk = NULL;
    size_t n = 0;
    receiver_init(&r);
    receiver_open(&r, 3);
    CHECK_OK(aq_recv_stream_data_ring(r.stream, &data));
    CHECK_OK(aq_recv_stream_free_ring(r.stream, &free_ring));
    CHECK(data != NULL && free_ring != NULL && data != free_ring);
    CHECK_OK(aq_chunk_ring_size(free_ring, &n));
    CHECK_EQ(n, 3);
    CHECK_OK(aq_chunk_ring_free(free_ring)); /* the handle only */
    CHECK_OK(aq_chunk_ring_size(r.free_ring, &n));
    CHECK_EQ(n, 3);
    CHECK_OK(aq_chunk_ring_free(r.data)); /* the other handle is enough */
    r.data = data;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    receiver_feed(&r, &p);
    CHECK_OK(aq_chunk_ring_get(data, AQ_WAIT_FOREVER, &chunk));
    CHECK(spead_is(aq_chunk_data(chunk), 0, 0, HEAP_SIZE));
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_OK(aq_recv_stream_free(r.stream));
    r.stream = NULL;
    CHECK_OK(aq_chunk_ring_capacity(data, &n));
    CHECK_EQ(n, RING_CAPACITY);
    end(&r, &p);
}

/* A callback that does what must not be done from there. */
struct meddler {
    aq_thread_pool *pool;
    aq_recv_stream *stream;
    aq_chunk_ring *data;
    int calls;
};

static void place_and_meddle(aq_chunk_place_data *data, size_t data_size, void *user)
{
    struct meddler *m = (struct meddler *)user;
    int32_t reason = -1;
    size_t n = 99;
    uint64_t value = 99;
    (void)data_size;
    m->calls++;
    CHECK_ERROR(aq_recv_stream_stop(m->stream), AQ_E_STATE, "own worker thread");
    CHECK_ERROR(aq_recv_stream_free(m->stream), AQ_E_STATE, "own worker thread");
    CHECK_ERROR(aq_thread_pool_stop(m->pool), AQ_E_STATE, "own callbacks");
    /* and what may be */
    CHECK_OK(aq_recv_stream_end_reason(m->stream, &reason, NULL, NULL, 0));
    CHECK_EQ(reason, AQ_END_RUNNING);
    CHECK_OK(aq_recv_stream_stat_value(m->stream, 0, &value));
    CHECK_OK(aq_recv_stream_stat_count(m->stream, &n));
    CHECK_OK(aq_chunk_ring_size(m->data, &n));
    CHECK_EQ(n, 0);
    data->chunk_id = 0;
}

static void from_inside_the_callback(void)
{
    struct receiver r;
    struct packets p = no_packets();
    struct meddler m;
    receiver_init(&r);
    memset(&m, 0, sizeof m);
    r.config.explicit_start = 1;
    r.chunk_config.place = place_and_meddle;
    r.chunk_config.place_user = &m;
    r.chunk_config.place_user_free = NULL;
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    spead_heap(&p, 1, HEAP_SIZE, 128);
    receiver_open(&r, 2);
    m.pool = r.pool;
    m.stream = r.stream;
    m.data = r.data;
    receiver_feed(&r, &p);
    CHECK_OK(aq_recv_stream_start(r.stream));
    receiver_drain(&r);
    CHECK_EQ(m.calls, 2);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.complete_heaps, 2);
    r.placing.freed = 1;
    end(&r, &p);
}

/* Whatever goes first: a stream in the middle of its work, with chunks in both rings and in its window. */
static void freeing_in_every_order(void)
{
    enum { POOL, DATA, FREE, STREAM, OBJECTS };
    struct packets p = no_packets();
    for (uint64_t cnt = 0; cnt < 24; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, 100);
    for (int order = 0; order < 256; order++) {
        int sequence[OBJECTS], seen = 0, released = 0;
        struct receiver r;
        for (int i = 0; i < OBJECTS; i++) {
            sequence[i] = order >> (2 * i) & 3;
            seen |= 1 << sequence[i];
        }
        if (seen != 15)
            continue; /* not a permutation */
        receiver_init(&r);
        receiver_open(&r, 0);
        for (int i = 0; i < 5; i++)
            CHECK_OK(aq_recv_stream_add_free_chunk(r.stream, counting_chunk(&released)));
        receiver_feed(&r, &p);
        if (order % 3 != 0) /* otherwise it may not even have begun */
            await_packets(&r, 20 * 3);
        for (int i = 0; i < OBJECTS; i++) {
            switch (sequence[i]) {
            case POOL: CHECK_OK(aq_thread_pool_free(r.pool)); break;
            case DATA: CHECK_OK(aq_chunk_ring_free(r.data)); break;
            case FREE: CHECK_OK(aq_chunk_ring_free(r.free_ring)); break;
            default: CHECK_OK(aq_recv_stream_free(r.stream)); break;
            }
        }
        CHECK_EQ(load(&r.placing.freed), 1);
        CHECK_EQ(load(&released), 5);
    }
    CHECK_OK(aq_recv_stream_free(NULL));
    spead_free(&p);
}

/* Two streams fill chunks of the same rings; the data ring ends with the second. */
static void shared_rings(void)
{
    struct receiver r;
    struct packets first = no_packets(), second = no_packets();
    struct placing placing;
    aq_recv_stream *streams[2];
    aq_chunk *chunk = NULL;
    aq_status status;
    unsigned ids[2] = {0, 0};
    receiver_init(&r);
    r.config.stream_id = 10;
    for (uint64_t cnt = 0; cnt < 8; cnt++)
        spead_heap(&first, cnt, HEAP_SIZE, HEAP_SIZE);
    for (uint64_t cnt = 40; cnt < 52; cnt++)
        spead_heap(&second, cnt, HEAP_SIZE, 64);
    receiver_open(&r, 8);
    streams[0] = r.stream;
    memset(&placing, 0, sizeof placing);
    r.config.stream_id = 11;
    r.chunk_config.place_user = &placing;
    CHECK_OK(aq_chunk_ring_stream_new(r.pool, &r.config, &r.chunk_config, r.data, r.free_ring, &streams[1]));
    receiver_feed(&r, &first);
    CHECK_EQ(await_end(streams[0]), AQ_END_SOURCE);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(aq_chunk_ring_get(r.data, 0, &chunk));
        CHECK_EQ(aq_chunk_stream_id(chunk), 10);
        CHECK_EQ(aq_chunk_id(chunk), i);
        CHECK_OK(aq_recv_stream_add_free_chunk(streams[1], chunk)); /* either stream will do */
    }
    CHECK_STATUS(aq_chunk_ring_get(r.data, 0, &chunk), AQ_EMPTY); /* not stopped: there is another producer */
    CHECK_OK(aq_recv_stream_add_buffer_reader(streams[1], second.bytes, second.size, NULL, NULL));
    while ((status = aq_chunk_ring_get(r.data, AQ_WAIT_FOREVER, &chunk)) == AQ_OK) {
        ids[aq_chunk_stream_id(chunk) == 11]++;
        CHECK_OK(aq_chunk_free(chunk));
    }
    CHECK_STATUS(status, AQ_STOPPED);
    CHECK_EQ(ids[0], 0);
    CHECK_EQ(ids[1], 4); /* 9, before the first, and 10, 11, 12 */
    CHECK_OK(aq_recv_stream_free(streams[1]));
    receiver_close(&r);
    CHECK_EQ(load(&placing.freed), 1);
    spead_free(&first);
    spead_free(&second);
}

/* Stopping one stops the rings, and with them the other. */
static void shared_rings_stopped_by_one(void)
{
    struct receiver r;
    struct placing placing;
    aq_recv_stream *other = NULL;
    aq_chunk *chunk = NULL;
    receiver_init(&r);
    receiver_open(&r, 4);
    memset(&placing, 0, sizeof placing);
    r.chunk_config.place_user = &placing;
    CHECK_OK(aq_chunk_ring_stream_new(r.pool, NULL, &r.chunk_config, r.data, r.free_ring, &other));
    CHECK_OK(aq_recv_stream_free(other));
    CHECK_STATUS(aq_chunk_ring_get(r.data, 0, &chunk), AQ_STOPPED);
    CHECK_EQ(await_end(r.stream), AQ_END_RING_STOPPED); /* although no packet has come */
    receiver_close(&r);
    CHECK_EQ(load(&placing.freed), 1);
}

/* place_user belongs to the library as soon as the call is made. */
static void user_is_freed_when_construction_fails(void)
{
    struct receiver r;
    struct placing placing;
    aq_recv_stream *stream = NULL;
    receiver_init(&r);
    receiver_open(&r, 0);
    memset(&placing, 0, sizeof placing);
    r.chunk_config.place_user = &placing;
    CHECK_STATUS(aq_chunk_ring_stream_new(NULL, NULL, &r.chunk_config, r.data, r.free_ring, &stream), AQ_E_INVALID);
    CHECK_EQ(load(&placing.freed), 1);
    CHECK_STATUS(aq_chunk_ring_stream_new(r.pool, NULL, &r.chunk_config, r.data, r.free_ring, NULL), AQ_E_INVALID);
    CHECK_EQ(load(&placing.freed), 2);
    r.config.max_heaps = 0;
    CHECK_STATUS(aq_chunk_ring_stream_new(r.pool, &r.config, &r.chunk_config, r.data, r.free_ring, &stream),
                 AQ_E_INVALID);
    CHECK_EQ(load(&placing.freed), 3);
    r.chunk_config.max_chunks = 0;
    CHECK_STATUS(aq_chunk_ring_stream_new(r.pool, NULL, &r.chunk_config, r.data, r.free_ring, &stream), AQ_E_INVALID);
    CHECK_EQ(load(&placing.freed), 4);
    r.chunk_config.max_chunks = 1;
    r.chunk_config.place = NULL;
    CHECK_STATUS(aq_chunk_ring_stream_new(r.pool, NULL, &r.chunk_config, r.data, r.free_ring, &stream), AQ_E_INVALID);
    CHECK_EQ(load(&placing.freed), 5);
    CHECK_EQ(load(&placing.calls), 0);
    CHECK(stream == NULL);
    receiver_close(&r);
}

static void texts_of_reasons(void)
{
    CHECK_TEXT(aq_end_reason_string(AQ_END_RUNNING), "it is running");
    CHECK_TEXT(aq_end_reason_string(AQ_END_STOP_ITEM), "a stop item came");
    CHECK_TEXT(aq_end_reason_string(AQ_END_RING_STOPPED), "a ring that it needs was stopped");
    CHECK_TEXT(aq_end_reason_string(AQ_END_ERROR + 1), "unknown reason");
    CHECK_TEXT(aq_end_reason_string(INT32_MIN), "unknown reason");
}

int main(void)
{
    /* errors are made on purpose */
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    for (int32_t copy = AQ_MEMCPY_STD; copy <= AQ_MEMCPY_NONTEMPORAL; copy++) {
        heaps_into_chunks(HEAP_SIZE, copy);
        heaps_into_chunks(64, copy);
        heaps_into_chunks(100, copy); /* the last packet is shorter */
    }
    texts_of_reasons();
    begins_anywhere();
    packet_presence();
    extra_data();
    what_place_is_told();
    custom_statistics();
    refused_places(HEAP_SIZE);
    refused_places(HEAP_SIZE / 2);
    too_old_and_too_far();
    any_jump();
    unsized_heaps(1);
    unsized_heaps(0);
    order(0);
    order(1);
    eviction(2, 1, 2);
    eviction(1, 1, 1);
    eviction(1, 3, 3);
    eviction(3, 1, 3);
    stop_item(1);
    stop_item(0);
    rings_after_a_network_stop();
    rings_after_a_user_stop();
    user_stop_delivers_what_fits();
    back_pressure();
    free_ring_stopped();
    data_ring_stopped();
    ends_with_an_error();
    explicit_start();
    stopped_before_its_start();
    nothing_comes_after_a_stop();
    defaults();
    giving_chunks();
    ring_handles();
    from_inside_the_callback();
    freeing_in_every_order();
    shared_rings();
    shared_rings_stopped_by_one();
    user_is_freed_when_construction_fails();
    return check_done();
}

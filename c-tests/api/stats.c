/* Statistics: every field of aq_recv_stats is the value of the statistic of that name, and the ledger of the header adds up. */
#include "receive.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIELD(name) {#name, offsetof(aq_recv_stats, name)}

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    FIELD(heaps), FIELD(incomplete_heaps_evicted), FIELD(incomplete_heaps_flushed), FIELD(packets), FIELD(batches),
    FIELD(worker_blocked), FIELD(max_batch), FIELD(single_packet_heaps), FIELD(search_dist), FIELD(complete_heaps),
    FIELD(too_old_heaps), FIELD(rejected_heaps), FIELD(place_out_of_bounds_heaps), FIELD(jump_rejected_heaps),
    FIELD(after_stop_heaps), FIELD(no_memory_heaps), FIELD(too_many_items_heaps), FIELD(heap_too_large_heaps),
    FIELD(overflow_newest_heaps), FIELD(heaps_lost_start), FIELD(packets_delivered), FIELD(packets_incomplete),
    FIELD(packets_control), FIELD(packets_pending), FIELD(truncated), FIELD(malformed_too_short),
    FIELD(malformed_bad_magic), FIELD(malformed_bad_version), FIELD(malformed_bad_widths),
    FIELD(malformed_items_overflow), FIELD(malformed_no_heap_cnt), FIELD(malformed_no_payload_offset),
    FIELD(malformed_no_payload_length), FIELD(malformed_payload_overflow), FIELD(malformed_heap_overflow),
    FIELD(malformed_item_beyond_heap), FIELD(heap_too_large), FIELD(no_heap_length), FIELD(out_of_order),
    FIELD(duplicate), FIELD(overlap), FIELD(inconsistent), FIELD(too_fragmented), FIELD(too_old),
    FIELD(place_rejected), FIELD(place_out_of_bounds), FIELD(jump_rejected), FIELD(no_memory),
    FIELD(too_many_items), FIELD(overflow_newest), FIELD(source_rejected), FIELD(after_stop), FIELD(fragment),
    FIELD(not_udp), FIELD(kernel_drops), FIELD(bytes_delivered), FIELD(chunks_ready), FIELD(chunks_undelivered),
    FIELD(heaps_undelivered), FIELD(heaps_ready), FIELD(overflow_oldest_heaps), FIELD(connections),
    FIELD(connections_rejected), FIELD(bytes_skipped),
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

static uint64_t field(const aq_recv_stats *stats, size_t i)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + fields[i].offset, sizeof value);
    return value;
}

/* Both ways of asking answer the same, of a stream that has ended. */
static void check_names(const aq_recv_stream *stream)
{
    aq_recv_stats stats;
    size_t count = 0, index;
    CHECK_OK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_recv_stream_get_stats(stream, &stats));
    CHECK_OK(aq_recv_stream_stat_count(stream, &count));
    CHECK_EQ(count, FIELDS);
    /* the table has all of the struct */
    CHECK_EQ(sizeof stats, sizeof stats.struct_size + sizeof stats.ledger_closed + FIELDS * sizeof(uint64_t));
    for (size_t i = 0; i < FIELDS; i++) {
        const char *name = NULL;
        uint64_t value = UINT64_MAX;
        index = SIZE_MAX;
        if (!CHECK_OK(aq_recv_stream_stat_index(stream, fields[i].name, &index)))
            continue;
        CHECK_OK(aq_recv_stream_stat_name(stream, index, &name));
        CHECK_TEXT(name, fields[i].name);
        CHECK_OK(aq_recv_stream_stat_value(stream, index, &value));
        if (!CHECK_EQ(value, field(&stats, i)))
            printf("    %s\n", fields[i].name);
    }
    CHECK_STATUS(aq_recv_stream_stat_index(stream, "ledger_closed", &index), AQ_E_NOT_FOUND);
    CHECK_STATUS(aq_recv_stream_stat_index(stream, "", &index), AQ_E_NOT_FOUND);
}

/* The sums as the header has them. */
static void check_ledger(const aq_recv_stats *s)
{
    uint64_t discards = 0;
    int among_discards = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        among_discards |= strcmp(fields[i].name, "truncated") == 0;
        if (among_discards)
            discards += field(s, i);
        if (strcmp(fields[i].name, "not_udp") == 0)
            break;
    }
    CHECK_EQ(s->packets,
             s->packets_delivered + s->packets_incomplete + s->packets_control + s->packets_pending + discards);
    CHECK_EQ(s->heaps, s->complete_heaps + s->incomplete_heaps_evicted + s->incomplete_heaps_flushed + s->too_old_heaps +
                           s->rejected_heaps + s->place_out_of_bounds_heaps + s->jump_rejected_heaps +
                           s->after_stop_heaps + s->no_memory_heaps + s->too_many_items_heaps +
                           s->heap_too_large_heaps + s->overflow_newest_heaps);
    CHECK_EQ(s->ledger_closed, 1);
}

static void init(void)
{
    aq_recv_stats stats;
    memset(&stats, 0xff, sizeof stats);
    CHECK_OK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK_EQ(stats.struct_size, sizeof stats);
    CHECK_EQ(stats.ledger_closed, 0); /* nothing was asked yet */
    for (size_t i = 0; i < FIELDS; i++)
        CHECK_EQ(field(&stats, i), 0);
}

/* The struct of a program with a newer header: what this library does not know is zero. */
static void longer_struct(const aq_recv_stream *stream)
{
    union {
        aq_recv_stats stats;
        unsigned char bytes[sizeof(aq_recv_stats) + 16];
    } newer;
    memset(&newer, 0xff, sizeof newer);
    CHECK_OK(aq_recv_stats_init(&newer.stats, sizeof newer));
    memset(newer.bytes + sizeof(aq_recv_stats), 0xff, 16);
    CHECK_OK(aq_recv_stream_get_stats(stream, &newer.stats));
    CHECK_EQ(newer.stats.struct_size, sizeof newer);
    CHECK_EQ(newer.stats.ledger_closed, 1);
    for (size_t i = 0; i < 16; i++)
        CHECK_EQ(newer.bytes[sizeof(aq_recv_stats) + i], 0);
}

/* A text has as many lines that begin so. */
static int lines(const char *text, const char *beginning)
{
    size_t length = strlen(beginning);
    int found = 0;
    for (const char *line = text; line != NULL && *line != 0; line = strchr(line, '\n'), line += line != NULL)
        found += strncmp(line, beginning, length) == 0;
    return found;
}

/* For Prometheus: every value once, with a type and a text. */
static void check_metrics(const aq_recv_stream *stream, uint64_t running)
{
    static char text[20000];
    aq_recv_stats stats;
    char line[200];
    size_t needed = 0, too_small = 0;
    CHECK_OK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_recv_stream_get_stats(stream, &stats));
    CHECK_OK(aq_recv_stream_metrics(stream, text, sizeof text, &needed));
    CHECK_EQ(strlen(text) + 1, needed);
    CHECK_EQ(text[needed - 2], '\n');
    for (size_t i = 0; i < FIELDS; i++) {
        const char *name = fields[i].name;
        int gauge = strcmp(name, "max_batch") == 0 || strcmp(name, "packets_pending") == 0;
        snprintf(line, sizeof line, "aqueduct_recv_%s%s{stream=\"0\"} %llu\n", name, gauge ? "" : "_total",
                 (unsigned long long)field(&stats, i));
        if (!CHECK_EQ(lines(text, line), 1))
            printf("    %s", line);
        snprintf(line, sizeof line, "# TYPE aqueduct_recv_%s%s\n", name, gauge ? " gauge" : "_total counter");
        CHECK_EQ(lines(text, line), 1);
        snprintf(line, sizeof line, "# HELP aqueduct_recv_%s%s ", name, gauge ? "" : "_total");
        CHECK_EQ(lines(text, line), 1);
    }
    snprintf(line, sizeof line, "aqueduct_recv_running{stream=\"0\"} %d\n", (int)running);
    CHECK_EQ(lines(text, line), 1);
    CHECK_EQ(lines(text, "aqueduct_recv_custom"), 0);
    CHECK_EQ(lines(text, "aqueduct_recv_"), FIELDS + 1);
    CHECK_EQ(lines(text, ""), 3 * (FIELDS + 1));
    /* a buffer that is too small is not touched, and told how small */
    memset(text, 'x', sizeof text);
    CHECK_ERROR(aq_recv_stream_metrics(stream, text, needed - 1, &too_small), AQ_E_TRUNCATED, "size must be at least");
    CHECK_EQ(too_small, needed);
    CHECK_EQ(text[0], 'x');
    CHECK_STATUS(aq_recv_stream_metrics(stream, NULL, 0, &too_small), AQ_E_TRUNCATED);
    CHECK_EQ(too_small, needed);
    CHECK_OK(aq_recv_stream_metrics(stream, text, needed, NULL));
    CHECK_EQ(text[needed], 'x');
}

static void metrics_of_several(void)
{
    static char text[40000];
    struct receiver r[2];
    const aq_recv_stream *streams[2];
    size_t needed, index;
    for (int i = 0; i < 2; i++) {
        receiver_init(&r[i]);
        r[i].config.stream_id = i == 0 ? 7 : UINT64_MAX;
        if (i == 1) {
            CHECK_OK(aq_recv_stream_config_add_stat(&r[i].config, "run \"3\" \\ \xc3\xa9", AQ_STAT_COUNTER, &index));
            CHECK_OK(aq_recv_stream_config_add_stat(&r[i].config, "peak", AQ_STAT_MAXIMUM, &index));
        }
        receiver_open(&r[i], 1);
        streams[i] = r[i].stream;
    }
    CHECK_OK(aq_recv_streams_metrics(streams, 2, text, sizeof text, &needed));
    CHECK_EQ(lines(text, "# TYPE aqueduct_recv_packets_total counter\n"), 1);
    CHECK_EQ(lines(text, "aqueduct_recv_packets_total{stream=\"7\"} 0\naqueduct_recv_packets_total"
                         "{stream=\"18446744073709551615\"} 0\n"),
             1);
    CHECK_EQ(lines(text, "aqueduct_recv_custom_total{stream=\"18446744073709551615\",name=\"run \\\"3\\\" \\\\ "
                         "\xc3\xa9\"} 0\n"),
             1);
    CHECK_EQ(lines(text, "aqueduct_recv_custom_maximum{stream=\"18446744073709551615\",name=\"peak\"} 0\n"), 1);
    streams[1] = streams[0];
    CHECK_ERROR(aq_recv_streams_metrics(streams, 2, text, sizeof text, &needed), AQ_E_INVALID, "stream_id of its own");
    CHECK_OK(aq_recv_streams_metrics(NULL, 0, text, sizeof text, &needed));
    CHECK_EQ(lines(text, "aqueduct"), 0);
    for (int i = 0; i < 2; i++)
        receiver_close(&r[i]);
}

/* A datagram, as often as `times` says: different for each kind, so that no count is taken for another. */
static void send_times(int fd, const struct packets *p, int times)
{
    for (int i = 0; i < times; i++)
        CHECK_EQ(send(fd, p->bytes + p->last, p->size - p->last, 0), (ssize_t)(p->size - p->last));
}

/* A packet of the four special items and no payload, one of them left out. */
static void without(struct packets *p, uint64_t missing)
{
    spead_begin(p, 3);
    for (uint64_t id = SPEAD_HEAP_CNT; id <= SPEAD_PAYLOAD_LENGTH; id++)
        if (id != missing)
            spead_item(p, id, id == SPEAD_HEAP_CNT ? 1000 : 0);
}

static void send_every_kind(int fd)
{
    struct packets p = no_packets();
    uint8_t *last;
    spead_begin(&p, 0);
    p.size -= 1;
    send_times(fd, &p, 2);
    spead_heap(&p, 0, 16, 16);
    last = p.bytes + p.last;
    last[0] = 'X';
    send_times(fd, &p, 3);
    last[0] = 0x53, last[1] = 5;
    send_times(fd, &p, 4);
    last[1] = 4, last[2] = 3;
    send_times(fd, &p, 5);
    last[2] = 2, last[6] = 1;
    send_times(fd, &p, 6);
    without(&p, SPEAD_HEAP_CNT);
    send_times(fd, &p, 7);
    without(&p, SPEAD_PAYLOAD_OFFSET);
    send_times(fd, &p, 8);
    without(&p, SPEAD_PAYLOAD_LENGTH);
    send_times(fd, &p, 9);
    spead_packet(&p, 1, 16, 1, 0, 16);
    p.size -= 1; /* a payload that is not all there */
    send_times(fd, &p, 10);
    spead_packet(&p, 1, 16, 1, 8, 16);
    send_times(fd, &p, 11);
    spead_begin(&p, 5);
    spead_item(&p, SPEAD_HEAP_CNT, 1000);
    spead_item(&p, SPEAD_HEAP_LENGTH, 0);
    spead_item(&p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(&p, SPEAD_PAYLOAD_LENGTH, 0);
    spead_u64(&p, UINT64_C(0x4300) << 48 | 1); /* an item beyond the heap's length */
    send_times(fd, &p, 12);
    spead_packet(&p, 1, -1, 1, 0, 16);
    send_times(fd, &p, 13);
    spead_packet(&p, 1, 1000, 1, 0, 600); /* longer than max_size */
    send_times(fd, &p, 14);
    spead_packet(&p, 2, HEAP_SIZE, -1, 0, HEAP_SIZE); /* rejected */
    send_times(fd, &p, 15);
    spead_packet(&p, 8, 2000, 3, 0, 64); /* a heap larger than what is left of the chunk */
    send_times(fd, &p, 1);
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE); /* complete */
    send_times(fd, &p, 16);
    spead_packet(&p, 100, 200, 1, 0, 100);
    send_times(fd, &p, 18); /* once, then 17 duplicates, in order */
    spead_packet(&p, 100, 200, 1, 50, 100);
    send_times(fd, &p, 19); /* overlaps */
    spead_packet(&p, 100, 300, 1, 100, 50);
    send_times(fd, &p, 20); /* inconsistent */
    spead_packet(&p, 101, 200, 1, 100, 100);
    send_times(fd, &p, 21); /* out of order: one lost start */
    spead_heap(&p, UINT64_C(4) << 30, HEAP_SIZE, HEAP_SIZE);
    send_times(fd, &p, 3); /* not believed */
    spead_heap(&p, 41, HEAP_SIZE, HEAP_SIZE);
    send_times(fd, &p, 1); /* chunk 10: whatever comes for chunk 0 is too old now */
    spead_heap(&p, 1, HEAP_SIZE, HEAP_SIZE);
    send_times(fd, &p, 22);
    spead_stop(&p, 999);
    send_times(fd, &p, 1);
    spead_free(&p);
}

static void every_kind(void)
{
    struct receiver r;
    aq_udp_reader_config udp;
    struct sockaddr_in to;
    uint16_t port = 0;
    int fd;
    receiver_init(&r);
    r.config.allow_unsized_heaps = 0;
    receiver_open(&r, 8);
    CHECK_OK(aq_udp_reader_config_init(&udp, sizeof udp));
    udp.host = "127.0.0.1";
    udp.max_size = 400;
    CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
    CHECK_OK(aq_recv_stream_reader_port(r.stream, 0, &port));
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    send_every_kind(fd);
    receiver_drain(&r);
    close(fd);
    CHECK_EQ(r.stats.kernel_drops, 0);
    CHECK_EQ(r.stats.malformed_too_short, 2);
    CHECK_EQ(r.stats.malformed_bad_magic, 3);
    CHECK_EQ(r.stats.malformed_bad_version, 4);
    CHECK_EQ(r.stats.malformed_bad_widths, 5);
    CHECK_EQ(r.stats.malformed_items_overflow, 6);
    CHECK_EQ(r.stats.malformed_no_heap_cnt, 7);
    CHECK_EQ(r.stats.malformed_no_payload_offset, 8);
    CHECK_EQ(r.stats.malformed_no_payload_length, 9);
    CHECK_EQ(r.stats.malformed_payload_overflow, 10);
    CHECK_EQ(r.stats.malformed_heap_overflow, 11);
    CHECK_EQ(r.stats.malformed_item_beyond_heap, 12);
    CHECK_EQ(r.stats.no_heap_length, 13);
    CHECK_EQ(r.stats.truncated, 14);
    CHECK_EQ(r.stats.place_rejected, 15);
    CHECK_EQ(r.stats.rejected_heaps, 15);
    CHECK_EQ(r.stats.place_out_of_bounds, 1);
    CHECK_EQ(r.stats.place_out_of_bounds_heaps, 1);
    CHECK_EQ(r.stats.duplicate, 17);
    CHECK_EQ(r.stats.overlap, 19);
    CHECK_EQ(r.stats.inconsistent, 20);
    CHECK_EQ(r.stats.out_of_order, 21);
    CHECK_EQ(r.stats.heaps_lost_start, 1);
    CHECK_EQ(r.stats.jump_rejected, 3);
    CHECK_EQ(r.stats.jump_rejected_heaps, 3);
    CHECK_EQ(r.stats.too_old, 22);
    CHECK_EQ(r.stats.too_old_heaps, 22);
    CHECK_EQ(r.stats.packets_control, 1);
    CHECK_EQ(r.stats.complete_heaps, 17);
    CHECK_EQ(r.stats.packets_delivered, 17);
    CHECK_EQ(r.stats.incomplete_heaps_evicted, 1); /* by the heaps of one packet that came after it */
    CHECK_EQ(r.stats.incomplete_heaps_flushed, 0);
    CHECK_EQ(r.stats.packets_incomplete, 1);
    CHECK_EQ(r.stats.bytes_delivered, 17 * HEAP_SIZE);
    CHECK_EQ(r.stats.chunks_ready, r.n_chunks);
    check_ledger(&r.stats);
    check_names(r.stream);
    check_metrics(r.stream, 0);
    longer_struct(r.stream);
    receiver_close(&r);
}

/* What memory can hold: evictions, a heap in too many pieces, a stop of the rings. */
static void the_rest(void)
{
    struct receiver r;
    struct packets p = no_packets();
    receiver_init(&r);
    r.config.max_heaps = 1;
    r.config.allow_out_of_order = 1;
    r.data_size = 1 << 20;
    for (uint64_t cnt = 1; cnt < 4; cnt++)
        spead_packet(&p, cnt, 200, 0, 0, 100); /* two are evicted */
    for (size_t i = 0; i < 70000; i++)
        spead_packet(&p, 50, 140000, 0, i * 2, 1); /* nothing but holes */
    receiver_open(&r, 2);
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK_EQ(r.stats.incomplete_heaps_evicted, 3);
    CHECK_EQ(r.stats.incomplete_heaps_flushed, 1);
    CHECK(r.stats.too_fragmented > 0 && r.stats.too_fragmented < 10000);
    CHECK_EQ(r.stats.packets_incomplete, 70003 - r.stats.too_fragmented);
    CHECK(r.stats.batches > 1);
    CHECK(r.stats.max_batch * r.stats.batches >= r.stats.packets);
    CHECK(r.stats.search_dist >= 70003);
    check_ledger(&r.stats);
    check_names(r.stream);
    receiver_close(&r);
    spead_free(&p);
}

static void before_the_first_packet(void)
{
    struct receiver r;
    receiver_init(&r);
    receiver_open(&r, 1);
    receiver_stats(&r);
    for (size_t i = 0; i < FIELDS; i++)
        CHECK_EQ(field(&r.stats, i), 0);
    check_ledger(&r.stats);
    check_names(r.stream);
    check_metrics(r.stream, 1);
    receiver_close(&r);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    init();
    every_kind();
    the_rest();
    before_the_first_packet();
    metrics_of_several();
    return check_done();
}

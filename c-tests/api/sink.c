/* Sinks of files: formats, headers, rotation, what a disk that is full leaves, framed files read back. sink_callback.c has the functions. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* SIGXFSZ */
#endif
#include "events.h"
#include <signal.h>
#include <sys/resource.h>

static void defaults(void)
{
    aq_sink_config config;
    aq_sink_stats stats;
    CHECK_OK(aq_sink_config_init(&config, sizeof config));
    CHECK(config.path == NULL && config.header == NULL && config.layout == NULL && config.separator == NULL);
    CHECK(config.format == NULL && config.format_user == NULL && config.format_user_free == NULL);
    CHECK_EQ(config.header_size + config.rotate_bytes + config.rotate_interval_ns, 0);
    CHECK_EQ(config.sync_interval_ns, SECOND);
    CHECK_EQ(config.mode, AQ_WRITE_BINARY);
    CHECK_EQ(config.durability, AQ_DURABILITY_SYSTEM);
    CHECK_EQ(config.primary, 0);
    CHECK_EQ(config.reserved, 0);
    memset(&stats, 0xff, sizeof stats);
    CHECK_OK(aq_sink_stats_init(&stats, sizeof stats));
    CHECK_EQ(stats.packets + stats.bytes + stats.skipped + stats.lost + stats.lost_bytes + stats.errors, 0);
}

static void counts_are(const aq_event_buffer *buffer, size_t expected, int32_t expected_primary)
{
    size_t count = 99;
    int32_t has_primary = -1;
    CHECK_OK(aq_event_buffer_sink_count(buffer, &count, &has_primary));
    CHECK_EQ(count, expected);
    CHECK_EQ(has_primary, expected_primary);
    CHECK_OK(aq_event_buffer_sink_count(buffer, &count, NULL));
}

static void attached_and_replaced(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_sink_config config;
    aq_sink_stats stats;
    CHECK_OK(aq_sink_stats_init(&stats, sizeof stats));
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, AQ_PRIMARY_SINK, &stats), AQ_E_NOT_FOUND, "no primary sink");
    config = sink_config(below("custom0"), AQ_WRITE_BINARY);
    add_sink(buffer, &config, 0);
    config.path = below("first");
    config.primary = 1;
    add_sink(buffer, &config, AQ_PRIMARY_SINK);
    config.path = below("custom1"); /* behind the other, in front of the primary one */
    config.primary = 0;
    add_sink(buffer, &config, 1);
    counts_are(buffer, 2, 1);
    put_text(buffer, "one");
    flushes(buffer, 1, 9);
    put_text(buffer, "two");
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("second")));
    counts_are(buffer, 2, 1);
    flushes(buffer, 1, 9);
    CHECK(file_is_text(below("first"), "one"));
    CHECK(file_is_text(below("second"), "two"));
    config.path = below("third");
    config.primary = 1;
    CHECK_OK(aq_event_buffer_add_sink(buffer, &config, NULL));
    put_text(buffer, "three");
    flushes(buffer, 1, 15);
    CHECK(file_is_text(below("second"), "two"));
    CHECK(file_is_text(below("third"), "three"));
    CHECK(file_is_text(below("custom0"), "onetwothree"));
    CHECK(file_is_text(below("custom1"), "onetwothree"));
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 1);
    CHECK_EQ(sink_stats(buffer, 1).packets, 3);
    CHECK_EQ(sink_stats(buffer, 1).bytes, 11);

    put_text(buffer, "four"); /* not flushed, and kept */
    CHECK_OK(aq_event_buffer_disconnect_sinks(buffer));
    CHECK_OK(aq_event_buffer_disconnect_sinks(buffer));
    counts_are(buffer, 0, 0);
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_STATE, "takes a primary sink");
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, 0, &stats), AQ_E_NOT_FOUND,
                "index must be below 0, the number of sinks (got 0)");
    CHECK(file_is_text(below("third"), "three"));
    /* a file that was closed is not written over, nor appended to */
    CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, below("third")), AQ_E_IO, "third: creating it: ");
    CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, below("third")), AQ_E_IO, "File exists");
    counts_are(buffer, 0, 0);
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("fourth")));
    flushes(buffer, 1, 4);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK(file_is_text(below("fourth"), "four"));
    CHECK_EQ(folder_empty(), 6);
}

/* header byte 0xaa, time, ADC value, temperature */
static size_t make_event(unsigned char event[15], uint64_t time, int16_t adc, float temperature)
{
    event[0] = 0xaa;
    memcpy(event + 1, &time, 8);
    memcpy(event + 9, &adc, 2);
    memcpy(event + 11, &temperature, 4);
    return 15;
}

static void by_a_layout(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_packet_layout *layout = NULL;
    aq_sink_config config;
    unsigned char event[15];
    char header[64];
    size_t size = 0;
    CHECK_OK(aq_packet_layout_parse("<header:B=0xaa, time:Q, adc:h, temperature:f", &layout));
    CHECK_OK(aq_packet_layout_csv_header(layout, header, sizeof header, &size));
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("raw")));
    config = sink_config(below("csv"), AQ_WRITE_CSV);
    config.layout = layout;
    config.header = header;
    config.header_size = size - 1; /* without the NUL */
    add_sink(buffer, &config, 0);
    config = sink_config(below("text"), AQ_WRITE_TEXT);
    config.layout = layout;
    add_sink(buffer, &config, 1);
    config.path = below("spaced");
    config.separator = " | ";
    add_sink(buffer, &config, 2);
    memset(&config, 0xff, sizeof config);
    memset(header, 0xff, sizeof header);
    CHECK_OK(aq_packet_layout_free(layout)); /* all of it was copied, or kept */

    CHECK_OK(aq_event_buffer_put(buffer, event, make_event(event, 1000, -5, 21.5f), 0));
    CHECK_OK(aq_event_buffer_put(buffer, event, 14, 0)); /* too short */
    CHECK_OK(aq_event_buffer_put(buffer, event, make_event(event, 2000, 7, 0.25f), 0));
    event[0] = 0xab; /* not the constant */
    CHECK_OK(aq_event_buffer_put(buffer, event, 15, 0));
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("csv"), "header,time,adc,temperature\n170,1000,-5,21.5\n170,2000,7,0.25\n"));
    CHECK(file_is_text(below("text"), "170,1000,-5,21.5\n170,2000,7,0.25\n"));
    CHECK(file_is_text(below("spaced"), "170 | 1000 | -5 | 21.5\n170 | 2000 | 7 | 0.25\n"));
    for (int i = 0; i < 3; i++) {
        aq_sink_stats stats = sink_stats(buffer, i);
        CHECK_EQ(stats.packets, 2);
        CHECK_EQ(stats.skipped, 2);
        CHECK_EQ(stats.bytes, i < 2 ? 17 + 16 : 17 + 16 + 2 * 3 * 2);
        CHECK_EQ(stats.errors + stats.lost, 0);
    }
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 4);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).bytes, 59);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_EQ(folder_empty(), 4);
}

static void rotation(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_sink_config config = sink_config(below("size-%03n"), AQ_WRITE_BINARY);
    const char *names[] = {"size-000", "size-001", "size-002", "time-0", "time-1", "time-2", "long-0", "long-1", "size-004"};
    config.primary = 1;
    config.rotate_bytes = 10;
    config.header = "H:";
    config.header_size = 2;
    add_sink(buffer, &config, AQ_PRIMARY_SINK);
    config = sink_config(below("time-%n"), AQ_WRITE_BINARY); /* each file is old at once, but one without packets stays */
    config.rotate_interval_ns = 1;
    add_sink(buffer, &config, 0);
    config = sink_config(below("long-%n"), AQ_WRITE_BINARY); /* a header that fills a file is no reason to begin the next */
    config.rotate_bytes = 5;
    config.header = "longer:";
    config.header_size = 7;
    add_sink(buffer, &config, 1);
    config = sink_config(below("100%n"), AQ_WRITE_BINARY); /* without rotation a name is a name */
    add_sink(buffer, &config, 2);

    put_text(buffer, "aaaaaa");
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("size-000"), "H:aaaaaa"));
    CHECK(!file_exists(below("size-001")));
    CHECK(file_is_text(below("time-0"), "aaaaaa"));
    CHECK(!file_exists(below("time-1")));
    CHECK(file_is_text(below("long-0"), "longer:aaaaaa"));
    CHECK(!file_exists(below("long-1")));
    put_text(buffer, "bbbb"); /* whole packets only: this one goes over the limit */
    put_text(buffer, "cccccccccccc");
    put_text(buffer, "d");
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("size-000"), "H:aaaaaabbbb"));
    CHECK(file_is_text(below("size-001"), "H:cccccccccccc"));
    CHECK(file_is_text(below("size-002"), "H:d"));
    CHECK(file_is_text(below("time-1"), "bbbbccccccccccccd"));
    CHECK(file_is_text(below("long-3"), "longer:d"));
    CHECK(file_is_text(below("100%n"), "aaaaaabbbbccccccccccccd"));
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).bytes, 23); /* without headers */
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 4);

    /* a later file of that name is left alone */
    FILE *other = fopen(below("size-003"), "w");
    CHECK(other != NULL && fclose(other) == 0);
    put_text(buffer, "eeeeeeeee");
    put_text(buffer, "f");
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("size-002"), "H:deeeeeeeee"));
    CHECK(file_is_text(below("size-003"), ""));
    CHECK(file_is_text(below("size-004"), "H:f"));
    CHECK_OK(aq_event_buffer_free(buffer));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK(file_exists(below(names[i])));
    folder_empty();
}

static void durability(void)
{
    const int32_t how[] = {AQ_DURABILITY_SYSTEM, AQ_DURABILITY_FLUSH, AQ_DURABILITY_INTERVAL, AQ_DURABILITY_INTERVAL};
    const uint64_t interval[] = {0, 0, 0, UINT64_MAX};
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    for (int i = 0; i < 4; i++) {
        char name[32];
        aq_sink_config config;
        snprintf(name, sizeof name, "file%d-%%n", i);
        config = sink_config(below(name), AQ_WRITE_BINARY);
        config.durability = how[i];
        config.sync_interval_ns = interval[i];
        config.rotate_bytes = 6;
        add_sink(buffer, &config, i);
    }
    put_text(buffer, "durable");
    flushes(buffer, 1, 35);
    put_text(buffer, "too");
    flushes(buffer, 1, 15);
    CHECK_OK(aq_event_buffer_disconnect_sinks(buffer));
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "file%d-0", i);
        CHECK(file_is_text(below(name), "durable"));
        snprintf(name, sizeof name, "file%d-1", i);
        CHECK(file_is_text(below(name), "too"));
    }
    CHECK_OK(aq_event_buffer_free(buffer));
    folder_empty();
}

/* No file may grow beyond 10000 bytes: what is written up to there is torn, is cut off, and comes again. */
static void a_full_disk(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_sink_config config = sink_config(below("custom"), AQ_WRITE_BINARY);
    struct rlimit before, limit;
    char packets[30 * 1000], *content;
    uint64_t n_packets = 99;
    size_t size;
    for (size_t i = 0; i < sizeof packets; i++)
        packets[i] = (char)('a' + i / 1000);
    config.header = "0123456789";
    config.header_size = 10;
    add_sink(buffer, &config, 0);
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    CHECK_OK(aq_event_buffer_put_many(buffer, packets, 1000, 9, 0, NULL));
    flushes(buffer, 9, 18000);
    CHECK_OK(aq_event_buffer_put_many(buffer, packets + 9000, 1000, 21, 0, NULL));

    fflush(stdout);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 10000;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 2; i++) {
        /* the first error is the custom sink's: it comes first */
        CHECK_ERROR(aq_event_buffer_flush(buffer, &n_packets, NULL), AQ_E_IO, "custom: writing at byte 9010: File too large");
    }
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_EQ(n_packets, 99);
    content = file_content(below("custom"), &size);
    CHECK_EQ(size, 9010);
    free(content);
    content = file_content(below("primary"), &size);
    CHECK_EQ(size, 9000);
    free(content);
    CHECK_EQ(ledger(buffer).waiting, 21);
    CHECK_EQ(ledger(buffer).flush_errors, 2);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).errors, 2);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 9);

    flushes(buffer, 21, 42000); /* there is space again */
    CHECK(file_is(below("primary"), packets, sizeof packets));
    content = file_content(below("custom"), &size);
    CHECK_EQ(size, 10 + sizeof packets);
    CHECK(memcmp(content, "0123456789", 10) == 0 && memcmp(content + 10, packets, sizeof packets) == 0);
    free(content);
    CHECK_EQ(ledger(buffer).flushed, 30);
    CHECK_OK(aq_event_buffer_free(buffer));
    folder_empty();
}

static aq_event_record next_record(aq_event_file *file, int32_t kind)
{
    aq_event_record record;
    CHECK_OK(aq_event_record_init(&record, sizeof record));
    CHECK_OK(aq_event_file_next(file, &record));
    CHECK_EQ(record.kind, kind);
    return record;
}

static void framed(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_CIRCULAR, AQ_OVERFLOW_DROP_OLDEST, 3, 0);
    aq_sink_config config = sink_config(below("framed-%n"), AQ_WRITE_FRAMED);
    aq_packet_layout *layout = NULL;
    aq_event_file *file = NULL;
    aq_event_file_header header;
    aq_event_record record;
    uint64_t times[3], last = 0;
    char packet[8];
    size_t size;
    int32_t whole = -1;
    CHECK_OK(aq_packet_layout_parse("<a:B, b:B", &layout));
    config.primary = 1;
    config.layout = layout;
    config.header = "mine\0too";
    config.header_size = 8;
    config.rotate_interval_ns = 1;
    add_sink(buffer, &config, AQ_PRIMARY_SINK);
    CHECK_OK(aq_packet_layout_free(layout));
    CHECK_OK(aq_event_buffer_add_custom_sink(buffer, below("plain"), AQ_WRITE_FRAMED, NULL, NULL, NULL, NULL, 0));
    put_text(buffer, "one");
    put_text(buffer, "two22");
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL)); /* to framed-0 */
    for (int i = 0; i < 5; i++) {
        packet[0] = (char)('a' + i);
        CHECK_OK(aq_event_buffer_put(buffer, packet, (size_t)i + 1, 0));
    }
    for (uint64_t i = 0; i < 3; i++)
        CHECK_OK(aq_event_buffer_peek(buffer, i, packet, sizeof packet, &size, &times[i]));
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL)); /* to framed-1, behind a loss of two */
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 5);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).lost, 2);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).lost_bytes, 1 + 2);
    CHECK_EQ(ledger(buffer).overflow_oldest, 2);
    CHECK_OK(aq_event_buffer_free(buffer));

    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "framed-%d", i);
        CHECK_OK(aq_event_file_header_init(&header, sizeof header));
        if (!CHECK_OK(aq_event_file_open(below(name), &file)))
            return;
        CHECK_OK(aq_event_file_get_header(file, &header));
        CHECK_EQ(header.number, i);
        CHECK(header.created_ns >= last);
        last = header.created_ns;
        CHECK_TEXT(header.layout, "<a:B,b:B");
        CHECK_EQ(header.user_header_size, 8);
        CHECK(memcmp(header.user_header, "mine\0too", 8) == 0);
        if (i == 0) {
            record = next_record(file, AQ_RECORD_PACKET);
            CHECK(record.size == 3 && memcmp(record.data, "one", 3) == 0);
            CHECK(record.time_ns > 0);
            record = next_record(file, AQ_RECORD_PACKET);
            CHECK(record.size == 5 && memcmp(record.data, "two22", 5) == 0);
        }
        if (i == 1) {
            record = next_record(file, AQ_RECORD_LOSS);
            CHECK_EQ(record.lost_packets, 2);
            CHECK_EQ(record.lost_bytes, 3);
            CHECK(record.first_time_ns > 0 && record.first_time_ns <= record.time_ns && record.time_ns <= times[0]);
            for (int k = 0; k < 3; k++) {
                record = next_record(file, AQ_RECORD_PACKET);
                CHECK(record.size == (size_t)k + 3 && *(const char *)record.data == 'c' + k);
                CHECK_EQ(record.time_ns, times[k]);
            }
        }
        record = next_record(file, AQ_RECORD_END);
        CHECK_EQ(record.packets, i + 2);
        CHECK_EQ(record.lost_packets, 2 * i);
        CHECK_OK(aq_event_file_is_whole(file, &whole));
        CHECK_EQ(whole, 1);
        CHECK_OK(aq_event_file_free(file));
    }
    CHECK_OK(aq_event_file_open(below("plain"), &file));
    next_record(file, AQ_RECORD_PACKET);
    next_record(file, AQ_RECORD_PACKET);
    next_record(file, AQ_RECORD_LOSS);
    for (int k = 0; k < 3; k++)
        next_record(file, AQ_RECORD_PACKET);
    record = next_record(file, AQ_RECORD_END);
    CHECK_EQ(record.packets, 5);
    CHECK_OK(aq_event_file_free(file));
    folder_empty();
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    folder_make();
    defaults();
    attached_and_replaced();
    by_a_layout();
    rotation();
    durability();
    a_full_disk();
    framed();
    folder_remove();
    return check_done();
}

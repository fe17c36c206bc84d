/* Event files: framed files of another writer, whole, damaged and torn; raw files. */
#define _POSIX_C_SOURCE 200809L
#include "event_file.h"

static aq_event_file *open_bytes(const struct bytes *b)
{
    char path[64];
    aq_event_file *file = NULL;
    write_file(path, b->data, b->size);
    CHECK_OK(aq_event_file_open(path, &file));
    CHECK_EQ(remove(path), 0); /* it is open */
    return file;
}

static aq_event_record next(aq_event_file *file, int32_t kind)
{
    aq_event_record record;
    CHECK_OK(aq_event_record_init(&record, sizeof record));
    CHECK_OK(aq_event_file_next(file, &record));
    CHECK_EQ(record.kind, kind);
    return record;
}

static void ends(aq_event_file *file, int32_t is_whole)
{
    aq_event_record record;
    int32_t whole = -1;
    CHECK_OK(aq_event_record_init(&record, sizeof record));
    record.number = 77;
    CHECK_STATUS(aq_event_file_next(file, &record), AQ_STOPPED);
    CHECK_STATUS(aq_event_file_next(file, &record), AQ_STOPPED);
    CHECK_EQ(record.number, 77); /* written only on AQ_OK */
    CHECK_OK(aq_event_file_is_whole(file, &whole));
    CHECK_EQ(whole, is_whole);
    CHECK_OK(aq_event_file_free(file));
}

static void is_packet(aq_event_file *file, uint64_t number, uint64_t offset, uint64_t time, const char *data)
{
    aq_event_record record = next(file, AQ_RECORD_PACKET);
    CHECK_EQ(record.number, number);
    CHECK_EQ(record.offset, offset);
    CHECK_EQ(record.time_ns, time);
    CHECK_EQ(record.size, strlen(data));
    CHECK_EQ(record.length, 16 + strlen(data));
    CHECK(record.data != NULL && memcmp(record.data, data, strlen(data)) == 0);
    CHECK_EQ(record.agrees + record.packets + record.lost_packets + record.lost_bytes + record.first_time_ns, 0);
}

/* header of 64 bytes; packets at 64 and 85, a loss at 107, a reserved record, a packet at 164, the end at 180 */
static struct bytes sample(void)
{
    struct bytes b;
    b.size = 0;
    put_header(&b, 1, 3, 1700000000000000001u, "<header:B=170,a:h", "uvw", 3);
    CHECK_EQ(b.size, 64);
    put_record(&b, 0, 10, "first", 5);
    put_record(&b, 0, 0, "second", 6);
    CHECK_EQ(b.size, 107);
    put_loss(&b, 5, 500, 11, 12);
    put_record(&b, 3, 1, "x", 1);
    CHECK_EQ(b.size, 164);
    put_record(&b, 0, UINT64_MAX, "", 0);
    put_end(&b, 3, 5, 99);
    return b;
}

static void whole(void)
{
    struct bytes b = sample();
    aq_event_file *file = open_bytes(&b);
    aq_event_file_header header;
    aq_event_record record;
    int32_t is_whole = -1;
    CHECK_OK(aq_event_file_header_init(&header, sizeof header));
    CHECK_OK(aq_event_file_get_header(file, &header));
    CHECK_EQ(header.version, 1);
    CHECK_EQ(header.number, 3);
    CHECK_EQ(header.created_ns, 1700000000000000001u);
    CHECK_TEXT(header.layout, "<header:B=170,a:h");
    CHECK_EQ(header.user_header_size, 3);
    CHECK(memcmp(header.user_header, "uvw", 3) == 0);
    is_packet(file, 0, 64, 10, "first");
    is_packet(file, 1, 85, 0, "second");
    record = next(file, AQ_RECORD_LOSS);
    CHECK_EQ(record.offset, 107);
    CHECK_EQ(record.length, 40);
    CHECK_EQ(record.lost_packets, 5);
    CHECK_EQ(record.lost_bytes, 500);
    CHECK_EQ(record.first_time_ns, 11);
    CHECK_EQ(record.time_ns, 12);
    CHECK(record.data == NULL && record.size == 0);
    is_packet(file, 2, 164, UINT64_MAX, "");
    CHECK_OK(aq_event_file_is_whole(file, &is_whole));
    CHECK_EQ(is_whole, 0); /* not yet */
    record = next(file, AQ_RECORD_END);
    CHECK_EQ(record.offset, 180);
    CHECK_EQ(record.length, 32);
    CHECK_EQ(record.packets, 3);
    CHECK_EQ(record.lost_packets, 5);
    CHECK_EQ(record.time_ns, 99);
    CHECK_EQ(record.agrees, 1);
    CHECK_TEXT(header.layout, "<header:B=170,a:h"); /* still there */
    ends(file, 1);
}

static void damaged_and_torn(void)
{
    struct bytes b = sample();
    aq_event_file *file;
    aq_event_record record;
    b.data[90] ^= 4; /* in the second packet's size */
    file = open_bytes(&b);
    is_packet(file, 0, 64, 10, "first");
    record = next(file, AQ_RECORD_DAMAGED);
    CHECK_EQ(record.offset, 85);
    CHECK_EQ(record.length, 22);
    CHECK(record.data == NULL);
    next(file, AQ_RECORD_LOSS);
    is_packet(file, 1, 164, UINT64_MAX, "");
    CHECK_EQ(next(file, AQ_RECORD_END).agrees, 0);
    ends(file, 0);

    b = sample();
    b.size = 199; /* within the end mark */
    file = open_bytes(&b);
    for (int i = 0; i < 2; i++)
        next(file, AQ_RECORD_PACKET);
    next(file, AQ_RECORD_LOSS);
    next(file, AQ_RECORD_PACKET);
    record = next(file, AQ_RECORD_TORN);
    CHECK_EQ(record.offset, 180);
    CHECK_EQ(record.length, 19);
    ends(file, 0);
}

static void without_a_header(void)
{
    struct bytes b = sample();
    char path[64];
    aq_event_file *file = NULL;
    aq_event_record record;
    b.data[20]++;
    write_file(path, b.data, b.size);
    CHECK_ERROR(aq_event_file_open(path, &file), AQ_E_FORMAT, "damaged: its CRC is wrong");
    CHECK(file == NULL);
    CHECK_OK(aq_event_file_salvage(path, &file));
    record = next(file, AQ_RECORD_DAMAGED);
    CHECK_EQ(record.offset, 0);
    CHECK_EQ(record.length, 64);
    is_packet(file, 0, 64, 10, "first");
    CHECK_OK(aq_event_file_free(file));
    CHECK_EQ(remove(path), 0);
}

static void raw(void)
{
    char path[64];
    aq_event_file *file = NULL;
    aq_event_record record;
    write_file(path, "abcdefgh", 8);
    CHECK_OK(aq_event_file_open_raw(path, 3, &file));
    for (uint64_t i = 0; i < 2; i++) {
        record = next(file, AQ_RECORD_PACKET);
        CHECK_EQ(record.number, i);
        CHECK_EQ(record.offset, 3 * i);
        CHECK_EQ(record.length, 3);
        CHECK_EQ(record.size, 3);
        CHECK_EQ(record.time_ns, 0);
        CHECK(memcmp(record.data, "abcdef" + 3 * i, 3) == 0);
    }
    record = next(file, AQ_RECORD_TORN);
    CHECK_EQ(record.offset, 6);
    CHECK_EQ(record.length, 2);
    ends(file, 0);
    CHECK_OK(aq_event_file_open_raw(path, 4, &file));
    next(file, AQ_RECORD_PACKET);
    next(file, AQ_RECORD_PACKET);
    ends(file, 1);
    CHECK_EQ(remove(path), 0);
}

int main(void)
{
    whole();
    damaged_and_torn();
    without_a_header();
    raw();
    return check_done();
}

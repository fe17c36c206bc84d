/* What a caller can get wrong with event files, and what is wrong with files. */
#define _POSIX_C_SOURCE 200809L
#include "event_file.h"
#include "misuse/handles.h"
#include "sized.h"

static void open_refuses(const struct bytes *b, aq_status status, const char *text)
{
    char path[64];
    aq_event_file *file = NULL;
    write_file(path, b->data, b->size);
    CHECK_ERROR(aq_event_file_open(path, &file), status, text);
    CHECK(file == NULL);
    CHECK_EQ(remove(path), 0);
}

static void files(void)
{
    aq_event_file *file = NULL;
    struct bytes b;
    b.size = 0;
    open_refuses(&b, AQ_E_TRUNCATED, "ends after 0 bytes");
    put_bytes(&b, "AQEVENTS of a party", 19);
    open_refuses(&b, AQ_E_FORMAT, "not a framed event file");
    b.size = 0;
    put_header(&b, 1, 0, 0, "", "", 0);
    b.size--;
    open_refuses(&b, AQ_E_TRUNCATED, "ends after 43 bytes");
    b.size = 0;
    put_header(&b, 2, 0, 0, "", "", 0);
    open_refuses(&b, AQ_E_VERSION, "version 2");
    b.size = 0;
    put_header(&b, 1, 0, 0, "two\nlines", "", 0);
    open_refuses(&b, AQ_E_FORMAT, "one line");
    b.size = 0;
    put_header(&b, 1, 0, 0, "\xff", "", 0);
    open_refuses(&b, AQ_E_FORMAT, "not UTF-8");

    CHECK_ERROR(aq_event_file_open("/no/such/file", &file), AQ_E_IO, "open /no/such/file: No such file");
    CHECK_ERROR(aq_event_file_salvage("/no/such/file", &file), AQ_E_IO, "open /no/such/file: No such file");
    CHECK_ERROR(aq_event_file_open_raw("/no/such/file", 1, &file), AQ_E_IO, "open /no/such/file: No such file");
    CHECK_ERROR(aq_event_file_open("/dev/zero", &file), AQ_E_INVALID, "/dev/zero must be a regular file");
    CHECK_ERROR(aq_event_file_salvage("/tmp", &file), AQ_E_INVALID, "/tmp must be a regular file");
    CHECK_ERROR(aq_event_file_open_raw("/tmp", 1, &file), AQ_E_INVALID, "/tmp must be a regular file");
    CHECK_ERROR(aq_event_file_open_raw("/tmp", 0, &file), AQ_E_INVALID, "packet_size must be from 1 to 1073741823 (got 0)");
    CHECK_ERROR(aq_event_file_open_raw("/tmp", SIZE_MAX, &file), AQ_E_INVALID, "packet_size must be from 1 to");
    CHECK_ERROR(aq_event_file_open(NULL, &file), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_event_file_salvage(NULL, &file), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_event_file_open_raw(NULL, 1, &file), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_event_file_open("", &file), AQ_E_INVALID, "path must not be empty");
    CHECK_ERROR(aq_event_file_open("/tmp", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_event_file_salvage("/tmp", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_event_file_open_raw("/tmp", 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK(file == NULL);
}

static void handles(void)
{
    struct handles h;
    struct bytes b;
    char path[64];
    aq_event_file *file = NULL;
    aq_event_file_header header;
    aq_event_record record;
    int32_t whole = 7;
    handles_open(&h);
    CHECK_SIZED_INIT(aq_event_file_header, aq_event_file_header_init);
    CHECK_SIZED_INIT(aq_event_record, aq_event_record_init);
    CHECK_OK(aq_event_file_header_init(&header, sizeof header));
    CHECK_OK(aq_event_record_init(&record, sizeof record));
    CHECK_WRONG_HANDLES(h, KINDS, aq_event_file, "file", aq_event_file_get_header(wrong, &header));
    CHECK_WRONG_HANDLES(h, KINDS, aq_event_file, "file", aq_event_file_next(wrong, &record));
    CHECK_WRONG_HANDLES(h, KINDS, aq_event_file, "file", aq_event_file_is_whole(wrong, &whole));
    CHECK_WRONG_HANDLES(h, KINDS, aq_event_file, "file", aq_event_file_free(wrong));
    CHECK_ERROR(aq_event_file_get_header(NULL, &header), AQ_E_INVALID, "file must not be NULL");
    CHECK_ERROR(aq_event_file_next(NULL, &record), AQ_E_INVALID, "file must not be NULL");
    CHECK_ERROR(aq_event_file_is_whole(NULL, &whole), AQ_E_INVALID, "file must not be NULL");
    CHECK_OK(aq_event_file_free(NULL));

    b.size = 0;
    put_header(&b, 1, 0, 0, "", "", 0);
    put_record(&b, 0, 1, "data", 4);
    write_file(path, b.data, b.size);
    CHECK_OK(aq_event_file_open(path, &file));
    CHECK_ERROR(aq_event_file_get_header(file, NULL), AQ_E_INVALID, "header must not be NULL");
    CHECK_ERROR(aq_event_file_is_whole(file, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_event_file_next(file, NULL), AQ_E_INVALID, "record must not be NULL");
    header.struct_size = record.struct_size = 0;
    CHECK_ERROR(aq_event_file_get_header(file, &header), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_event_file_next(file, &record), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_event_file_header_init(&header, sizeof header));
    CHECK_OK(aq_event_record_init(&record, sizeof record));
    CHECK_OK(aq_event_file_next(file, &record)); /* no mistake has cost a record */
    CHECK_EQ(record.size, 4);
    CHECK_OK(aq_event_file_get_header(file, &header));
    CHECK_TEXT(header.layout, "");
    CHECK(header.user_header == NULL && header.user_header_size == 0);
    CHECK_OK(aq_event_file_free(file));

    CHECK_OK(aq_event_file_open_raw(path, 1, &file));
    CHECK_ERROR(aq_event_file_get_header(file, &header), AQ_E_STATE, "a raw file has no header");
    CHECK_OK(aq_event_file_free(file));
    CHECK_OK(aq_event_file_salvage(path, &file));
    CHECK_ERROR(aq_event_file_get_header(file, &header), AQ_E_STATE, "its header is damaged");
    CHECK_OK(aq_event_file_free(file));
    CHECK_EQ(remove(path), 0);
    CHECK_EQ(whole, 7);
    handles_close(&h);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    files();
    handles();
    return check_done();
}

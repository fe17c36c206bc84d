/* Framed event files, written byte by byte after docs/event-files.md, with a CRC-32C of their own. */
#ifndef AQ_EVENT_FILE_TEST_H
#define AQ_EVENT_FILE_TEST_H

#include "check.h"
#include <stdlib.h>
#include <unistd.h>

struct bytes {
    uint8_t data[4096];
    size_t size;
};

static inline uint32_t crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78 & (0 - (crc & 1)));
    }
    return ~crc;
}

static inline void put_bytes(struct bytes *b, const void *data, size_t size)
{
    CHECK(b->size + size <= sizeof b->data);
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void put_number(struct bytes *b, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        put_bytes(b, &byte, 1);
    }
}

static inline void put_header(struct bytes *b, uint32_t version, uint64_t number, uint64_t created, const char *layout,
                              const void *user, size_t user_size)
{
    size_t start = b->size, layout_size = strlen(layout);
    put_bytes(b, "AQEVENT\n", 8);
    put_number(b, version, 4);
    put_number(b, 40 + layout_size + user_size + 4, 4);
    put_number(b, number, 8);
    put_number(b, created, 8);
    put_number(b, layout_size, 4);
    put_number(b, user_size, 4);
    put_bytes(b, layout, layout_size);
    put_bytes(b, user, user_size);
    put_number(b, crc32c(b->data + start, b->size - start), 4);
}

/* kind: 0 packet, 1 loss mark, 2 end mark, 3 reserved */
static inline void put_record(struct bytes *b, uint32_t kind, uint64_t time, const void *payload, size_t size)
{
    struct bytes rest;
    rest.size = 0;
    put_number(&rest, kind << 30 | size, 4);
    put_number(&rest, time, 8);
    put_bytes(&rest, payload, size);
    put_number(b, crc32c(rest.data, rest.size), 4);
    put_bytes(b, rest.data, rest.size);
}

static inline void put_loss(struct bytes *b, uint64_t packets, uint64_t bytes, uint64_t first, uint64_t last)
{
    struct bytes payload;
    payload.size = 0;
    put_number(&payload, packets, 8);
    put_number(&payload, bytes, 8);
    put_number(&payload, first, 8);
    put_record(b, 1, last, payload.data, payload.size);
}

static inline void put_end(struct bytes *b, uint64_t packets, uint64_t lost, uint64_t time)
{
    struct bytes payload;
    payload.size = 0;
    put_number(&payload, packets, 8);
    put_number(&payload, lost, 8);
    put_record(b, 2, time, payload.data, payload.size);
}

/* Writes a new file, whose name is path's; remove it with remove(). */
static inline void write_file(char path[64], const void *data, size_t size)
{
    int fd;
    strcpy(path, "/tmp/aqueduct-event-XXXXXX");
    fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, data, size), size);
    CHECK_EQ(close(fd), 0);
}

#endif

/* Packets made by hand for the test programs: SPEAD-64-48, one immediate counter item, payloads that tell where they
 * belong. Written from the specification and independent of the library.
 */
#ifndef AQ_SPEAD_H
#define AQ_SPEAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPEAD_HEAP_CNT = 1, SPEAD_HEAP_LENGTH = 2, SPEAD_PAYLOAD_OFFSET = 3, SPEAD_PAYLOAD_LENGTH = 4, SPEAD_CTRL = 6 };
enum { SPEAD_CTRL_STOP = 2, COUNTER_ITEM = 0x1600 };

/* Packets back to back, as a buffer reader takes them. Start with {0}-like zeros; release with spead_free. */
struct packets {
    uint8_t *bytes;
    size_t size, capacity;
    size_t count;
    size_t last; /* where the last packet starts */
};

static inline struct packets no_packets(void)
{
    struct packets p;
    memset(&p, 0, sizeof p);
    return p;
}

static inline void spead_free(struct packets *p)
{
    free(p->bytes);
    *p = no_packets();
}

static inline void spead_raw(struct packets *p, const void *bytes, size_t size)
{
    if (p->size + size > p->capacity) {
        p->capacity = 2 * (p->size + size);
        p->bytes = (uint8_t *)realloc(p->bytes, p->capacity);
        if (p->bytes == NULL)
            abort();
    }
    if (size > 0)
        memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static inline void spead_u64(struct packets *p, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    spead_raw(p, bytes, sizeof bytes);
}

static inline void spead_begin(struct packets *p, unsigned n_items)
{
    p->last = p->size;
    p->count++;
    spead_u64(p, UINT64_C(0x5304020600000000) | n_items);
}

static inline void spead_item(struct packets *p, uint64_t id, uint64_t value)
{
    spead_u64(p, UINT64_C(1) << 63 | id << 48 | value);
}

/* Byte `i` of the payload of heap `cnt`. */
static inline uint8_t spead_byte(uint64_t cnt, size_t i)
{
    return (uint8_t)(cnt * 37 + i * 7 + (i >> 8) + 1);
}

/* One packet: `size` bytes at `offset` of heap `cnt`. A length or a counter below 0 is left out. */
static inline void spead_packet(struct packets *p, uint64_t cnt, int64_t length, int64_t counter, size_t offset,
                                size_t size)
{
    spead_begin(p, 3u + (length >= 0) + (counter >= 0));
    spead_item(p, SPEAD_HEAP_CNT, cnt);
    if (length >= 0)
        spead_item(p, SPEAD_HEAP_LENGTH, (uint64_t)length);
    spead_item(p, SPEAD_PAYLOAD_OFFSET, offset);
    spead_item(p, SPEAD_PAYLOAD_LENGTH, size);
    if (counter >= 0)
        spead_item(p, COUNTER_ITEM, (uint64_t)counter);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = spead_byte(cnt, offset + i);
        spead_raw(p, &byte, 1);
    }
}

/* A heap of `length` bytes whose number and counter are the same, in packets of `part` bytes. */
static inline void spead_heap(struct packets *p, uint64_t cnt, size_t length, size_t part)
{
    for (size_t offset = 0; offset < length; offset += part)
        spead_packet(p, cnt, (int64_t)length, (int64_t)cnt, offset, length - offset < part ? length - offset : part);
}

/* The packet that ends a stream. */
static inline void spead_stop(struct packets *p, uint64_t cnt)
{
    spead_begin(p, 5);
    spead_item(p, SPEAD_HEAP_CNT, cnt);
    spead_item(p, SPEAD_HEAP_LENGTH, 0);
    spead_item(p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(p, SPEAD_PAYLOAD_LENGTH, 0);
    spead_item(p, SPEAD_CTRL, SPEAD_CTRL_STOP);
}

/* Whether `length` bytes are those of heap `cnt`, from `offset` on. */
static inline int spead_is(const void *bytes, uint64_t cnt, size_t offset, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (((const uint8_t *)bytes)[i] != spead_byte(cnt, offset + i)) {
            printf("byte %zu of heap %ju is wrong\n", offset + i, (uintmax_t)cnt);
            return 0;
        }
    }
    return 1;
}

#endif

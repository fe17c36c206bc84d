/* The benchmark's SPEAD-64-48 packets, shared by make_input.c (files) and send_udp.c (network).
 *
 * Every packet: header, HEAP_CNT, HEAP_LENGTH, PAYLOAD_OFFSET, PAYLOAD_LENGTH, timestamp (item 0x1600, immediate,
 * heap number * TIMESTAMP_STEP), raw data (item 0x4300, at address 0), then the payload. */
#ifndef BENCH_PACKETS_H
#define BENCH_PACKETS_H
#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_STEP 4096
#define PACKET_ITEMS 6
#define PACKET_HEADER (8 + 8 * PACKET_ITEMS)

static inline uint8_t *put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
    return p + 8;
}

static inline uint8_t *put_immediate(uint8_t *p, uint64_t id, uint64_t value)
{
    return put_be64(p, 1ull << 63 | id << 48 | (value & 0xffffffffffffull));
}

/* Writes PACKET_HEADER bytes. */
static inline void put_header(uint8_t *p, uint64_t heap, uint64_t heap_size, uint64_t offset, uint64_t length)
{
    p = put_be64(p, 0x5304020600000000ull | PACKET_ITEMS);
    p = put_immediate(p, 1, heap + 1);
    p = put_immediate(p, 2, heap_size);
    p = put_immediate(p, 3, offset);
    p = put_immediate(p, 4, length);
    p = put_immediate(p, 0x1600, heap * TIMESTAMP_STEP);
    put_be64(p, 0x4300ull << 48);
}

/* A whole heap that only says "stop": 48 bytes. */
#define STOP_PACKET 48
static inline void put_stop(uint8_t *p, uint64_t heap)
{
    p = put_be64(p, 0x5304020600000005ull);
    p = put_immediate(p, 1, heap + 1);
    p = put_immediate(p, 2, 0);
    p = put_immediate(p, 3, 0);
    p = put_immediate(p, 4, 0);
    put_immediate(p, 6, 2);
}

/* Payload byte j of any heap; the heap number is XORed into its first 8 bytes. */
static inline uint8_t payload_byte(uint64_t j)
{
    return (uint8_t)((j * 0x9e3779b97f4a7c15ull) >> 56);
}
#endif

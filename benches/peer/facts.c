/* Place callback of facts.py: the packet says where it goes; every call is logged. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct place_data {
    const uint8_t *packet; size_t packet_size; const int64_t *items;
    int64_t chunk_id; size_t heap_index; size_t heap_offset;
    uint64_t *batch_stats; uint8_t *extra; size_t extra_offset; size_t extra_size;
};
#define LOG 4096
struct call { int64_t cnt, length, chunk, index, offset, packet_size, struct_size, ts, payload_offset, payload_length, stream_ctrl, init_chunk, init_index, init_offset, init_extra_size; };
struct call calls[LOG];
int64_t n_calls;

/* items: HEAP_CNT, HEAP_LENGTH, 0x1600 chunk, 0x1601 index, 0x1602 offset, 0x1603 extra, PAYLOAD_OFFSET, PAYLOAD_LENGTH, STREAM_CTRL */
void facts_place(void *p, size_t size, void *user)
{
    struct place_data *d = p;
    const int64_t *it = d->items;
    if (n_calls < LOG) {
        struct call c = { it[0], it[1], it[2], it[3], it[4], (int64_t)d->packet_size, (int64_t)size, it[5], it[6], it[7], it[8],
            d->chunk_id, (int64_t)d->heap_index, (int64_t)d->heap_offset, (int64_t)d->extra_size };
        calls[n_calls] = c;
    }
    n_calls++;
    d->chunk_id = it[2] == 0xffffffffffffLL ? -1 : it[2];
    d->heap_index = (size_t)it[3];
    d->heap_offset = (size_t)it[4];
    if (it[5] > 0) { memcpy(d->extra, &it[5], 8); d->extra_offset = d->heap_index * 8; d->extra_size = 8; }
}

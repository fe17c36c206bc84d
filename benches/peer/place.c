/* The place callback of both sides: compiled to place.so for spead2, included by recv_aqueduct.c. */
#include <stddef.h>
#include <stdint.h>

struct bench_layout {
    int64_t step;            /* timestamp steps from heap to heap */
    int64_t heaps_per_chunk;
    int64_t heap_size;       /* bytes */
};

/* spead2's chunk_place_data; aq_chunk_place_data has the same fields in the same order. */
struct bench_place_data {
    const uint8_t *packet;
    size_t packet_size;
    const int64_t *items;    /* [0]: the timestamp, item 0x1600 */
    int64_t chunk_id;
    size_t heap_index;
    size_t heap_offset;
    uint64_t *batch_stats;
    uint8_t *extra;
    size_t extra_offset;
    size_t extra_size;
};

void bench_place(void *data, size_t data_size, void *user)
{
    struct bench_place_data *d = data;
    const struct bench_layout *l = user;
    (void)data_size;
    if (d->items[0] < 0)
        return;              /* no timestamp (the stop heap): rejected */
    int64_t heap = d->items[0] / l->step;
    d->chunk_id = heap / l->heaps_per_chunk;
    d->heap_index = (size_t)(heap % l->heaps_per_chunk);
    d->heap_offset = d->heap_index * (size_t)l->heap_size;
}

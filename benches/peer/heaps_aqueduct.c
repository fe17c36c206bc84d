/* Our side: an Aqueduct stream of heaps with a ring, one process per measurement, one JSON line at the end.
 *
 *     heaps_aqueduct key=value...     the same keys as heaps_spead2.py, where they are explained
 *
 * Written as a user of the C API would write it; linked to libaqueduct.so. */
#include "bench.h"

struct seen { uint64_t heaps, sum; };

/* Gets and frees heaps until the stream has ended. */
static struct seen consume(aq_recv_stream *stream, int add_up)
{
    struct seen s = { 0 };
    aq_heap *heap;
    while (aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap) == AQ_OK) {
        s.heaps++;
        if (add_up) {
            const uint8_t *data;
            size_t size;
            CHECK(aq_heap_payload(heap, &data, &size));
            for (size_t i = 0; i + 8 <= size; i += 8) {
                uint64_t v;
                memcpy(&v, data + i, 8);
                s.sum += v;
            }
        }
        aq_heap_free(heap);
    }
    return s;
}

/* All packets of the input, of which each has packet_size bytes, in a queue that has ended. */
static aq_inproc_queue *filled_queue(const uint8_t *data, size_t size, size_t packet_size)
{
    aq_inproc_queue *queue;
    CHECK(aq_inproc_queue_new(0, &queue));
    for (size_t at = 0; at < size; at += packet_size)
        CHECK(aq_inproc_queue_add_packet(queue, data + at, packet_size < size - at ? packet_size : size - at, 0));
    CHECK(aq_inproc_queue_stop(queue));
    return queue;
}

int main(int argc, char **argv)
{
    n_args = argc;
    args = argv;
    int32_t core = (int32_t)number("core", "1");
    size_t passes = number("passes", "1"), size = 0;
    aq_thread_pool *pool;
    aq_recv_stream_config c;
    aq_ring_config r;
    CHECK(aq_thread_pool_new(1, &core, 1, &pool));
    aq_recv_stream_config_init(&c, sizeof c);
    c.max_heaps = number("max_heaps", NULL);
    c.explicit_start = 1;
    c.memcpy = strcmp(text("memcpy", "std"), "nontemporal") == 0 ? AQ_MEMCPY_NONTEMPORAL : AQ_MEMCPY_STD;
    aq_ring_config_init(&r, sizeof r);
    r.heaps = number("ring", NULL);
    void *data = load(text("file", NULL), &size);
    int inproc = strcmp(text("mode", "buffer"), "inproc") == 0;

    printf("{\"who\": \"aqueduct %s\", ", aq_version());
    unsigned long long packets = 0, heaps = 0;
    double user = 0, sys = 0, worker = 0;
    for (size_t i = 0; i <= passes; i++) {
        aq_recv_stream *stream;
        aq_recv_stats st;
        CHECK(aq_recv_stream_new(pool, &c, &r, &stream));
        if (inproc) {
            aq_inproc_queue *queue = filled_queue(data, size, number("packet", NULL));
            CHECK(aq_recv_stream_add_inproc_reader(stream, queue));
            aq_inproc_queue_free(queue);
        } else {
            CHECK(aq_recv_stream_add_buffer_reader(stream, data, size, NULL, NULL));
        }
        struct cpu c0 = cpu();
        double w0 = workers_cpu(), t0 = now();
        CHECK(aq_recv_stream_start(stream));
        struct seen s = consume(stream, i == 0);
        double t1 = now(), w1 = workers_cpu();
        struct cpu c1 = cpu();
        aq_recv_stats_init(&st, sizeof st);
        CHECK(aq_recv_stream_stop(stream));
        CHECK(aq_recv_stream_get_stats(stream, &st));
        aq_recv_stream_free(stream);
        if (i == 0) {
            printf("\"present\": %llu, \"sum\": %llu, \"pass_seconds\": [", (unsigned long long)s.heaps, (unsigned long long)s.sum);
            continue;
        }
        printf("%s%.6f", i > 1 ? ", " : "", t1 - t0);
        user += c1.user - c0.user;
        sys += c1.sys - c0.sys;
        worker += w1 - w0;
        packets += st.packets;
        heaps += s.heaps;
    }
    printf("], \"packets\": %llu, \"heaps\": %llu, \"user\": %.6f, \"sys\": %.6f, \"worker\": %.6f}\n", packets, heaps, user, sys, worker);
    fflush(stdout);
    aq_thread_pool_free(pool);
    return 0;
}

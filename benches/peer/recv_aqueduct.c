/* Our side: an Aqueduct chunk ring stream, one process per measurement, one JSON line at the end.
 *
 *     recv_aqueduct key=value...      the same keys as peer_spead2.py, where they are explained
 *
 * Written as a user of the C API would write it; linked to libaqueduct.so. */
#include "bench.h"
#include "place.c"

#define MAX_RING 256

static void place(aq_chunk_place_data *data, size_t size, void *user)
{
    bench_place(data, size, user);
}

static aq_thread_pool *pool;
static struct bench_layout layout;
static size_t chunk_size, present_size, ring_size;
static aq_chunk *chunks[MAX_RING];

struct pass {
    aq_recv_stream *stream;
    aq_chunk_ring *data, *free_ring;
};

static struct pass new_stream(void)
{
    static const uint64_t timestamp = 0x1600;
    struct pass p;
    aq_recv_stream_config c;
    aq_recv_stream_config_init(&c, sizeof c);
    c.max_heaps = number("max_heaps", NULL);
    c.explicit_start = 1;
#ifdef AQ_MEMCPY_NONTEMPORAL
    if (strcmp(text("memcpy", "std"), "nontemporal") == 0)
        c.memcpy = AQ_MEMCPY_NONTEMPORAL;
#endif
    aq_chunk_stream_config k;
    aq_chunk_stream_config_init(&k, sizeof k);
    k.items = &timestamp;
    k.n_items = 1;
    k.max_chunks = number("max_chunks", NULL);
    k.place = place;
    k.place_user = &layout;
    CHECK(aq_chunk_ring_new(ring_size, &p.data));
    CHECK(aq_chunk_ring_new(ring_size, &p.free_ring));
    CHECK(aq_chunk_ring_stream_new(pool, &c, &k, p.data, p.free_ring, &p.stream));
    for (size_t i = 0; i < ring_size; i++)
        CHECK(aq_recv_stream_add_free_chunk(p.stream, chunks[i]));
    return p;
}

struct seen { uint64_t chunks, present, sum; double first; };

/* Gets and recycles chunks until the data ring is stopped and empty. */
static struct seen consume(struct pass *p, int count_present, int add_up)
{
    struct seen s = { 0 };
    aq_chunk *c;
    while (aq_chunk_ring_get(p->data, AQ_WAIT_FOREVER, &c) == AQ_OK) {
        if (s.chunks++ == 0)
            s.first = now();
        if (count_present) {
            const uint8_t *present = aq_chunk_present(c);
            for (size_t i = 0; i < present_size; i++)
                s.present += present[i];
        }
        if (add_up) {
            const uint8_t *d = aq_chunk_data(c);
            for (size_t i = 0; i < chunk_size; i += 8) {
                uint64_t v;
                memcpy(&v, d + i, 8);
                s.sum += v;
            }
        }
        CHECK(aq_recv_stream_add_free_chunk(p->stream, c));
    }
    return s;
}

/* Stops and frees the stream of a finished pass; its chunks are for the next one. */
static aq_recv_stats finish(struct pass *p)
{
    aq_recv_stats s;
    aq_recv_stats_init(&s, sizeof s);
    CHECK(aq_recv_stream_stop(p->stream));
    CHECK(aq_recv_stream_get_stats(p->stream, &s));
    size_t n = 0;
    while (n < ring_size && aq_chunk_ring_get(p->free_ring, 0, &chunks[n]) == AQ_OK)
        n++;
    if (n != ring_size) {
        fprintf(stderr, "recv_aqueduct: %zu of %zu chunks came back\n", n, ring_size);
        exit(1);
    }
    aq_recv_stream_free(p->stream);
    aq_chunk_ring_free(p->data);
    aq_chunk_ring_free(p->free_ring);
    return s;
}

int main(int argc, char **argv)
{
    n_args = argc;
    args = argv;
    const char *mode = text("mode", NULL);
    int tcp = strcmp(mode, "tcp") == 0, network = tcp || strcmp(mode, "udp") == 0, buffer = strcmp(mode, "buffer") == 0;
    int32_t core = (int32_t)number("core", "1");
    size_t heap = number("heap", NULL), passes = number("passes", "1"), size = 0;
    chunk_size = number("chunk", NULL);
    present_size = chunk_size / heap;
    ring_size = number("ring", NULL);
    if (ring_size > MAX_RING) {
        fprintf(stderr, "recv_aqueduct: ring is at most %d\n", MAX_RING);
        return 2;
    }
    layout = (struct bench_layout){ 4096, (int64_t)present_size, (int64_t)heap };
    if (network) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(core, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    CHECK(aq_thread_pool_new(1, &core, 1, &pool));
    for (size_t i = 0; i < ring_size; i++) {
        CHECK(aq_chunk_new_alloc(NULL, chunk_size, present_size, 0, &chunks[i]));
        /* as numpy does for the peer's chunks: huge pages; and filled, so that no page fault is measured */
        uintptr_t a = (uintptr_t)aq_chunk_data(chunks[i]), b = (a + 4095) & ~(uintptr_t)4095;
        madvise((void *)b, chunk_size - (b - a), MADV_HUGEPAGE);
        memset((void *)a, 0xEE, chunk_size);
    }

    printf("{\"who\": \"aqueduct %s\", ", aq_version());
    if (network) {
        struct pass p = new_stream();
        if (tcp) {
            aq_tcp_reader_config t;
            aq_tcp_reader_config_init(&t, sizeof t);
            t.host = "127.0.0.1";
            t.port = (uint16_t)number("port", NULL);
            CHECK(aq_recv_stream_add_tcp_reader(p.stream, &t));
        } else {
            aq_udp_reader_config u;
            aq_udp_reader_config_init(&u, sizeof u);
            u.host = "127.0.0.1";
            u.port = (uint16_t)number("port", NULL);
            u.max_size = 9200;
            u.buffer_size = 8 << 20;
            CHECK(aq_recv_stream_add_udp_reader(p.stream, &u));
        }
        CHECK(aq_recv_stream_start(p.stream));
        fprintf(stderr, "READY\n");
        struct cpu c0 = cpu();
        struct seen s = consume(&p, 1, 0);
        double t1 = now();
        struct cpu c1 = cpu();
        aq_recv_stats st = finish(&p);
        printf("\"packets\": %llu, \"heaps\": %llu, \"seconds\": %.6f, \"user\": %.6f, \"sys\": %.6f, \"chunks\": %llu, \"present\": %llu, \"batches\": %llu, \"kernel_drops\": %lld}\n",
               (unsigned long long)st.packets, (unsigned long long)st.heaps, t1 - s.first, c1.user - c0.user, c1.sys - c0.sys, (unsigned long long)s.chunks,
               (unsigned long long)s.present, (unsigned long long)st.batches, (long long)st.kernel_drops);
    } else {
        void *data = buffer ? load(text("file", NULL), &size) : NULL;
        unsigned long long packets = 0, heaps = 0, n = 0;
        double seconds = 0, user = 0, sys = 0;
        for (size_t i = 0; i <= passes; i++) {
            struct pass p = new_stream();
            if (buffer)
                CHECK(aq_recv_stream_add_buffer_reader(p.stream, data, size, NULL, NULL));
            else
                CHECK(aq_recv_stream_add_pcap_reader(p.stream, text("file", NULL), NULL));
            struct cpu c0 = cpu();
            double t0 = now();
            CHECK(aq_recv_stream_start(p.stream));
            struct seen s = consume(&p, i == 0, i == 0);
            double t1 = now();
            struct cpu c1 = cpu();
            aq_recv_stats st = finish(&p);
            if (i == 0) {
                printf("\"present\": %llu, \"sum\": %llu, \"pass_seconds\": [", (unsigned long long)s.present, (unsigned long long)s.sum);
                continue;
            }
            printf("%s%.6f", i > 1 ? ", " : "", t1 - t0);
            seconds += t1 - t0;
            user += c1.user - c0.user;
            sys += c1.sys - c0.sys;
            n += s.chunks;
            packets += st.packets;
            heaps += st.heaps;
        }
        printf("], \"packets\": %llu, \"heaps\": %llu, \"seconds\": %.6f, \"user\": %.6f, \"sys\": %.6f, \"chunks\": %llu}\n", packets, heaps, seconds, user, sys, n);
    }
    fflush(stdout);
    for (size_t i = 0; i < ring_size; i++)
        aq_chunk_free(chunks[i]);
    aq_thread_pool_free(pool);
    return 0;
}

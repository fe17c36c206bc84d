/* Receives multicast groups on one stream, with the time at which each heap came.
 *
 *   receive_multicast INTERFACE PORT GROUP [GROUP ...]
 *
 *   receive_multicast eth1 7148 239.1.2.3 239.1.2.4
 *
 * INTERFACE is a name or, for groups of IPv4, an address of this host. Each group has a reader of its own; the heaps of all come out
 * of one ring. A heap's first packet tells the time at which the kernel got it, or the network card if it is set up to do so. It ends at
 * a stop item from any of the groups.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

static void print_heap(const aq_heap *heap)
{
    uint64_t cnt, size;
    aq_arrival first, last;
    CHECK(aq_heap_cnt(heap, &cnt));
    CHECK(aq_heap_received_length(heap, &size));
    CHECK(aq_heap_arrival(heap, &first, &last));
    printf("heap %" PRIu64 ": %" PRIu64 " bytes at %" PRIu64 ".%09" PRIu64 " s (%s), all there %.3f ms later\n", cnt, size,
           first.nanoseconds / 1000000000, first.nanoseconds % 1000000000, first.is_hardware ? "network card" : "kernel",
           (double)(last.nanoseconds - first.nanoseconds) / 1e6);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s INTERFACE PORT GROUP [GROUP ...]\n", argv[0]);
        return 2;
    }
    aq_thread_pool *pool;
    aq_recv_stream *stream;
    aq_recv_stream_config config;
    CHECK(aq_recv_stream_config_init(&config, sizeof config));
    config.explicit_start = 1; /* not before all groups are joined */
    CHECK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK(aq_recv_stream_new(pool, &config, NULL, &stream));

    aq_udp_reader_config udp;
    CHECK(aq_udp_reader_config_init(&udp, sizeof udp));
    udp.interface_address = argv[1];
    udp.port = (uint16_t)atoi(argv[2]);
    udp.timestamps = AQ_TIMESTAMPS_HARDWARE; /* or the kernel's, where the card has none */
    for (int i = 3; i < argc; i++) {
        udp.host = argv[i]; /* as it is a group, it is joined; and left when the stream is freed */
        CHECK(aq_recv_stream_add_udp_reader(stream, &udp));
        /* Port 0 lets the system choose: the same for all groups. */
        CHECK(aq_recv_stream_reader_port(stream, 0, &udp.port));
    }
    fprintf(stderr, "listening on %s:%u\n", argv[1], udp.port);
    CHECK(aq_recv_stream_start(stream));

    aq_heap *heap;
    aq_status status;
    while ((status = aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap)) == AQ_OK) {
        print_heap(heap);
        fflush(stdout);
        CHECK(aq_heap_free(heap));
    }
    check(status == AQ_STOPPED ? AQ_OK : status, "aq_recv_stream_get");

    aq_recv_stats stats;
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK(aq_recv_stream_get_stats(stream, &stats));
    printf("%" PRIu64 " heaps, %" PRIu64 " packets, %" PRIu64 " dropped by the kernel\n", stats.complete_heaps, stats.packets,
           stats.kernel_drops);
    aq_recv_stream_free(stream);
    aq_thread_pool_free(pool);
    return stats.ledger_closed ? 0 : 1;
}

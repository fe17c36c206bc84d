/* What a UDP reader can be told beside its address: multicast, whose packets, times of arrival, shared ports. */
#include "heaps.h"
#include "loopback.h"

enum { SIZE = 100 };

static aq_udp_reader_config udp_config(void)
{
    aq_udp_reader_config udp;
    CHECK_OK(aq_udp_reader_config_init(&udp, sizeof udp));
    CHECK(udp.interface_address == NULL && udp.source_filter == NULL);
    CHECK_EQ(udp.interface_index, 0);
    CHECK_EQ(udp.reuse_address, 0);
    CHECK_EQ(udp.reuse_port, 0);
    CHECK_EQ(udp.timestamps, AQ_TIMESTAMPS_NONE);
    udp.host = "127.0.0.1";
    return udp;
}

static uint16_t add_reader(struct heap_receiver *r, const aq_udp_reader_config *udp)
{
    uint16_t port = 0;
    CHECK_OK(aq_recv_stream_add_udp_reader(r->stream, udp));
    CHECK_OK(aq_recv_stream_reader_port(r->stream, 0, &port));
    return port;
}

/* Packets of heaps 1 .. n, then a stop, each a datagram from address `from` (host byte order) to `to`. */
static void send_heaps(uint32_t from, uint32_t to, uint16_t port, int n)
{
    struct sockaddr_in address = loopback(0);
    struct packets p = no_packets();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_addr.s_addr = htonl(from);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address.sin_addr, sizeof address.sin_addr), 0);
    address.sin_addr.s_addr = htonl(to);
    address.sin_port = htons(port);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (int cnt = 1; cnt <= n + 1; cnt++) {
        if (cnt <= n)
            spead_packet(&p, (uint64_t)cnt, SIZE, -1, 0, SIZE);
        else
            spead_stop(&p, (uint64_t)cnt);
        CHECK_EQ(send(fd, p.bytes + p.last, p.size - p.last, 0), (ssize_t)(p.size - p.last));
    }
    close(fd);
    spead_free(&p);
}

static void times_of_arrival(int32_t timestamps)
{
    struct heap_receiver r;
    aq_udp_reader_config udp = udp_config();
    uint64_t before = 0;
    aq_arrival first, last;
    heaps_init(&r);
    heaps_open(&r);
    udp.timestamps = timestamps;
    send_heaps(INADDR_LOOPBACK, INADDR_LOOPBACK, add_reader(&r, &udp), 5);
    for (uint64_t cnt = 1; cnt <= 5; cnt++) {
        aq_heap *heap = heaps_next(&r);
        CHECK(heap != NULL && heap_is(heap, cnt, SIZE));
        memset(&first, 0xff, sizeof first);
        if (timestamps == AQ_TIMESTAMPS_NONE) {
            CHECK_STATUS(aq_heap_arrival(heap, &first, &last), AQ_E_NOT_FOUND);
        } else {
            CHECK_OK(aq_heap_arrival(heap, &first, &last));
            CHECK(first.nanoseconds > UINT64_C(1700000000000000000) && first.nanoseconds >= before);
            CHECK_EQ(first.nanoseconds, last.nanoseconds); /* one packet */
            CHECK_EQ(first.is_hardware, 0);                /* the loopback interface has no clock */
            CHECK_EQ(first.reserved, 0);
            before = first.nanoseconds;
        }
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK(heaps_next(&r) == NULL);
    heaps_close(&r);
}

static void only_some_senders(void)
{
    struct heap_receiver r;
    aq_udp_reader_config udp = udp_config();
    uint16_t port;
    aq_heap *heap;
    heaps_init(&r);
    heaps_open(&r);
    udp.source_filter = "192.0.2.0/24, 127.0.0.3";
    port = add_reader(&r, &udp);
    send_heaps(INADDR_LOOPBACK, INADDR_LOOPBACK, port, 3); /* not even its stop item counts */
    send_heaps(INADDR_LOOPBACK + 2, INADDR_LOOPBACK, port, 1);
    heap = heaps_next(&r);
    CHECK(heap != NULL && heap_is(heap, 1, SIZE));
    CHECK_OK(aq_heap_free(heap));
    CHECK(heaps_next(&r) == NULL);
    heaps_stop(&r);
    CHECK_EQ(r.stats.source_rejected, 4);
    CHECK_EQ(r.stats.packets, 6);
    heaps_close(&r);
}

/* A group on the loopback interface, by its address, its name and its index; two streams hear the same. */
static void multicast(const char *interface_address, uint32_t interface_index)
{
    struct heap_receiver r[2];
    aq_udp_reader_config udp = udp_config();
    udp.host = "239.255.99.1";
    udp.interface_address = interface_address;
    udp.interface_index = interface_index;
    for (int i = 0; i < 2; i++) {
        heaps_init(&r[i]);
        heaps_open(&r[i]);
        udp.port = add_reader(&r[i], &udp);
    }
    send_heaps(INADDR_LOOPBACK, (UINT32_C(239) << 24) + (255 << 16) + (99 << 8) + 1, udp.port, 3);
    for (int i = 0; i < 2; i++) {
        for (uint64_t cnt = 1; cnt <= 3; cnt++) {
            aq_heap *heap = heaps_next(&r[i]);
            CHECK(heap != NULL && heap_is(heap, cnt, SIZE));
            CHECK_OK(aq_heap_free(heap));
        }
        CHECK(heaps_next(&r[i]) == NULL);
        heaps_close(&r[i]);
    }
}

/* Without reuse an address has one owner; with it, several. */
static void shared_addresses(void)
{
    struct heap_receiver r;
    aq_udp_reader_config udp = udp_config();
    heaps_init(&r);
    heaps_open(&r);
    udp.port = add_reader(&r, &udp);
    CHECK_STATUS(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO);
    udp.reuse_port = 1; /* the other one has not agreed */
    CHECK_STATUS(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO);
    for (int i = 0; i < 2; i++) {
        udp = udp_config();
        udp.reuse_port = i == 0;
        udp.reuse_address = i == 1;
        CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
        CHECK_OK(aq_recv_stream_reader_port(r.stream, 1 + 2 * (size_t)i, &udp.port));
        CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
    }
    heaps_close(&r);
}

int main(void)
{
    times_of_arrival(AQ_TIMESTAMPS_NONE);
    times_of_arrival(AQ_TIMESTAMPS_SOFTWARE);
    times_of_arrival(AQ_TIMESTAMPS_HARDWARE);
    only_some_senders();
    multicast("127.0.0.1", 0);
    multicast("lo", 0);
    multicast(NULL, 1); /* lo is the first in every network namespace */
    shared_addresses();
    return check_done();
}

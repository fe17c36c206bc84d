/* Live capture on the loopback interface: what is sent to a port that somebody else has bound. */
#include "heaps.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAPS = 50, SIZE = 1000 };

/* A socket that nobody reads, and one that sends to it. */
static int bound_socket(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)address, length), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

static void send_packet(int fd, const struct sockaddr_in *to, const struct packets *p)
{
    size_t size = p->size - p->last;
    CHECK_EQ(sendto(fd, p->bytes + p->last, size, 0, (const struct sockaddr *)to, sizeof *to), (ssize_t)size);
}

static void captures(void)
{
    struct sockaddr_in to, other;
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_pcap_live_reader_config live;
    aq_heap *heap;
    aq_arrival first, last;
    char filter[50];
    aq_status status;
    int bound = bound_socket(&to), stranger = bound_socket(&other);
    snprintf(filter, sizeof filter, "udp dst port %d", ntohs(to.sin_port));
    CHECK_OK(aq_pcap_live_reader_config_init(&live, sizeof live));
    CHECK(live.device == NULL && live.filter == NULL);
    CHECK_EQ(live.buffer_size, 16 << 20);
    CHECK_EQ(live.promiscuous, 1);
    CHECK_EQ(live.outgoing, 0);
    live.device = "lo";
    live.filter = filter;
    heaps_init(&r);
    heaps_open(&r);
    status = aq_recv_stream_add_pcap_live_reader(r.stream, &live);
    if (status == AQ_E_UNSUPPORTED || status == AQ_E_IO) { /* without libpcap, or without the privilege */
        printf("SKIPPED: %s\n", aq_last_error());
        CHECK(getenv("CI") == NULL || !aq_has_feature("pcap"));
        heaps_close(&r);
        close(bound);
        close(stranger);
        return;
    }
    CHECK_STATUS(status, AQ_OK);
    for (uint64_t cnt = 1; cnt <= HEAPS; cnt++) {
        spead_packet(&p, cnt, SIZE, -1, 0, SIZE);
        send_packet(stranger, &other, &p); /* not for the filter */
        send_packet(stranger, &to, &p);
    }
    spead_stop(&p, HEAPS + 1);
    send_packet(stranger, &to, &p);
    for (uint64_t cnt = 1; cnt <= HEAPS; cnt++) {
        heap = heaps_next(&r);
        if (!CHECK(heap != NULL && heap_is(heap, cnt, SIZE)))
            break;
        CHECK_OK(aq_heap_arrival(heap, &first, &last));
        CHECK(first.nanoseconds > UINT64_C(1700000000) * 1000000000 && first.nanoseconds == last.nanoseconds);
        CHECK_EQ(first.is_hardware, 0);
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK(heaps_next(&r) == NULL);
    heaps_stop(&r);
    CHECK_EQ(r.reason, AQ_END_STOP_ITEM);
    CHECK_EQ(r.stats.packets, HEAPS + 1);
    CHECK_EQ(r.stats.complete_heaps, HEAPS);
    CHECK_EQ(r.stats.kernel_drops, 0);
    CHECK_STATUS(aq_recv_stream_add_pcap_live_reader(r.stream, &live), AQ_STOPPED);
    heaps_close(&r);
    spead_free(&p);
    close(bound);
    close(stranger);
}

int main(void)
{
    captures();
    return check_done();
}

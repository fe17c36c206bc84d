/* The TCP reader, over loopback. */
#include "heaps.h"
#include "loopback.h"
#include <fcntl.h>

enum { HEAP_SIZE = 200000, PACKET_SIZE = 40000 }; /* the payloads are long enough to be read into their places */

static aq_tcp_reader_config tcp_config(void)
{
    aq_tcp_reader_config tcp;
    CHECK_OK(aq_tcp_reader_config_init(&tcp, sizeof tcp));
    return tcp;
}

static struct packets two_heaps(void)
{
    struct packets p = no_packets();
    spead_heap(&p, 1, HEAP_SIZE, PACKET_SIZE);
    spead_heap(&p, 2, 100, 60);
    return p;
}

static void expect(struct heap_receiver *r, uint64_t cnt, size_t size)
{
    aq_heap *heap = heaps_next(r);
    if (CHECK(heap != NULL))
        CHECK(heap_is(heap, cnt, size));
    CHECK_OK(aq_heap_free(heap));
}

static uint16_t add_reader(struct heap_receiver *r, const aq_tcp_reader_config *tcp)
{
    uint16_t port = 0;
    CHECK_OK(aq_recv_stream_add_tcp_reader(r->stream, tcp));
    CHECK_OK(aq_recv_stream_reader_port(r->stream, 0, &port));
    CHECK(port != 0);
    return port;
}

static void defaults(void)
{
    aq_tcp_reader_config tcp = tcp_config();
    CHECK(tcp.host == NULL);
    CHECK_EQ(tcp.port, 0);
    CHECK_EQ(tcp.max_size, 65536);
    CHECK_EQ(tcp.buffer_size, 4 << 20);
    CHECK_EQ(tcp.batch_delay_ns, 1000000);
    CHECK_EQ(tcp.acceptor_fd, -1);
    CHECK_EQ(tcp.reconnect, 0);
    CHECK_EQ(tcp.on_garbage, AQ_GARBAGE_CLOSE);
}

/* One connection, and the stream ends with it. */
static void one_connection(void)
{
    struct heap_receiver r;
    struct packets p = two_heaps();
    aq_tcp_reader_config tcp = tcp_config();
    uint16_t port;
    int fd;
    heaps_init(&r);
    heaps_open(&r);
    tcp.host = "127.0.0.1";
    port = add_reader(&r, &tcp);
    fd = connected_socket(port);
    send_all(fd, p.bytes, p.size - 1);
    expect(&r, 1, HEAP_SIZE);
    CHECK_EQ(connected_socket(port), -1); /* it listens no longer */
    send_all(fd, p.bytes + p.size - 1, 1);
    close(fd);
    expect(&r, 2, 100);
    CHECK(heaps_next(&r) == NULL);
    CHECK_STATUS(aq_recv_stream_add_tcp_reader(r.stream, &tcp), AQ_STOPPED);
    heaps_close(&r);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.packets, 7);
    CHECK_EQ(r.stats.complete_heaps, 2);
    spead_free(&p);
}

/* A socket of the caller's that listens: host and port do not matter, and it stays open. */
static void from_an_acceptor(void)
{
    struct heap_receiver r;
    struct packets p = two_heaps();
    aq_tcp_reader_config tcp = tcp_config();
    uint16_t bound = 0;
    int fd;
    heaps_init(&r);
    heaps_open(&r);
    tcp.acceptor_fd = bound_socket(SOCK_STREAM, &bound);
    CHECK_EQ(listen(tcp.acceptor_fd, 4), 0);
    tcp.host = "not a host";
    tcp.port = 1;
    fd = connected_socket(bound); /* before there is a reader */
    CHECK_EQ(add_reader(&r, &tcp), bound);
    CHECK((fcntl(tcp.acceptor_fd, F_GETFL) & O_NONBLOCK) != 0);
    spead_stop(&p, 3);
    send_all(fd, p.bytes, p.size);
    expect(&r, 1, HEAP_SIZE);
    expect(&r, 2, 100);
    CHECK(heaps_next(&r) == NULL);
    close(fd);
    heaps_close(&r);
    CHECK_EQ(r.reason, AQ_END_STOP_ITEM);
    fd = connected_socket(bound); /* it is still the caller's, and listens */
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(close(tcp.acceptor_fd), 0);
    spead_free(&p);
}

/* One connection after the other; a heap may begin on one and end on the next. */
static void several_connections(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_tcp_reader_config tcp = tcp_config();
    uint16_t port;
    heaps_init(&r);
    heaps_open(&r);
    tcp.host = "127.0.0.1";
    tcp.reconnect = 1;
    port = add_reader(&r, &tcp);
    spead_heap(&p, 5, HEAP_SIZE, HEAP_SIZE / 4);
    for (size_t i = 0; i < 4; i++) {
        int fd = connected_socket(port);
        send_all(fd, p.bytes + p.size / 4 * i, p.size / 4);
        close(fd);
    }
    expect(&r, 5, HEAP_SIZE);
    heaps_close(&r);
    CHECK_EQ(r.reason, AQ_END_USER);
    CHECK_EQ(r.stats.packets, 4);
    spead_free(&p);
}

static void end_of(const struct packets *p, aq_tcp_reader_config tcp, struct heap_receiver *r, aq_status *error,
                   char *text, size_t size)
{
    int fd;
    heaps_init(r);
    heaps_open(r);
    tcp.host = "127.0.0.1";
    fd = connected_socket(add_reader(r, &tcp));
    send_all(fd, p->bytes, p->size);
    close(fd);
    for (aq_heap *heap; (heap = heaps_next(r)) != NULL;)
        CHECK_OK(aq_heap_free(heap));
    CHECK_OK(aq_recv_stream_stop(r->stream));
    CHECK_OK(aq_recv_stream_end_reason(r->stream, &r->reason, error, text, size));
    heaps_close(r);
}

/* What is wrong on a connection ends it, with a reason; or is skipped, and counted. */
static void broken_connections(void)
{
    struct heap_receiver r;
    struct packets p = two_heaps();
    aq_tcp_reader_config tcp = tcp_config();
    aq_status error = 0;
    char text[256];

    p.size -= 3; /* the connection ends within a packet */
    end_of(&p, tcp, &r, &error, text, sizeof text);
    CHECK_EQ(r.reason, AQ_END_ERROR);
    CHECK_STATUS(error, AQ_E_TRUNCATED);
    CHECK(strstr(text, "127.0.0.1") != NULL);
    CHECK_EQ(r.stats.complete_heaps, 1);
    p.size += 3;

    spead_raw(&p, "This is no packet.", 18);
    spead_heap(&p, 3, 10, 10);
    end_of(&p, tcp, &r, &error, text, sizeof text);
    CHECK_EQ(r.reason, AQ_END_ERROR);
    CHECK_STATUS(error, AQ_E_FORMAT);
    CHECK_EQ(r.stats.complete_heaps, 2);

    tcp.on_garbage = AQ_GARBAGE_RESYNC;
    end_of(&p, tcp, &r, &error, text, sizeof text);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.complete_heaps, 3);
    CHECK_EQ(r.stats.bytes_skipped, 18);

    tcp.max_size = PACKET_SIZE; /* the header does not fit any more: the five packets are one stretch to skip */
    end_of(&p, tcp, &r, &error, text, sizeof text);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.complete_heaps, 2);
    CHECK_EQ(r.stats.truncated, 1);
    CHECK_EQ(r.stats.bytes_skipped, HEAP_SIZE + 5 * (8 + 5 * 8) + 18);
    spead_free(&p);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    defaults();
    one_connection();
    from_an_acceptor();
    several_connections();
    broken_connections();
    return check_done();
}

/* Readers: packets from memory, from UDP sockets over loopback, and from capture files. */
#include "loopback.h"
#include "receive.h"
#include <fcntl.h>

#define CAPTURE "../tests/data/chunks_1472_48.pcap"

static void count(void *user)
{
    __atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

static void from_memory(void)
{
    struct receiver r;
    struct packets p = no_packets();
    int released = 0, empty = 0;
    receiver_init(&r);
    r.config.explicit_start = 1; /* none ends before the others are there */
    for (uint64_t cnt = 0; cnt < 8; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, 100);
    receiver_open(&r, 4);
    CHECK_OK(aq_recv_stream_add_buffer_reader(r.stream, NULL, 0, count, &empty)); /* nothing is something, too */
    CHECK_OK(aq_recv_stream_add_buffer_reader(r.stream, p.bytes, p.size, count, &released));
    CHECK_EQ(load(&released), 0);
    CHECK_OK(aq_recv_stream_start(r.stream));
    receiver_drain(&r);
    CHECK_EQ(load(&released), 1);
    CHECK_EQ(load(&empty), 1);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.complete_heaps, 8);
    /* released also when it comes too late, or is refused */
    CHECK_STATUS(aq_recv_stream_add_buffer_reader(r.stream, p.bytes, p.size, count, &released), AQ_STOPPED);
    CHECK_EQ(load(&released), 2);
    CHECK_ERROR(aq_recv_stream_add_buffer_reader(r.stream, NULL, 5, count, &released), AQ_E_INVALID,
                "data must not be NULL");
    CHECK_EQ(load(&released), 3);
    receiver_close(&r);
    CHECK_EQ(load(&released), 3);
    spead_free(&p);
}

/* Released when the stream goes before it was read. */
static void memory_of_a_stream_that_is_freed(void)
{
    struct receiver r;
    struct packets p = no_packets();
    int released = 0;
    receiver_init(&r);
    for (uint64_t cnt = 0; cnt < 64; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE);
    receiver_open(&r, 1); /* for want of chunks it never gets far */
    CHECK_OK(aq_recv_stream_add_buffer_reader(r.stream, p.bytes, p.size, count, &released));
    CHECK_OK(aq_recv_stream_free(r.stream));
    r.stream = NULL;
    CHECK_EQ(load(&released), 1);
    receiver_close(&r);
    spead_free(&p);
}

static aq_udp_reader_config udp_config(void)
{
    aq_udp_reader_config udp;
    CHECK_OK(aq_udp_reader_config_init(&udp, sizeof udp));
    return udp;
}

/* Sends each packet as a datagram to a port of this host. */
static void send_packets(const struct packets *p, uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    size_t start = 0;
    while (start < p->size) {
        size_t size = 8; /* to the next header; counters and payloads have none by chance */
        while (start + size < p->size && memcmp(p->bytes + start + size, "\x53\x04\x02\x06\0\0\0", 7) != 0)
            size++;
        CHECK_EQ(sendto(fd, p->bytes + start, size, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)size);
        start += size;
    }
    close(fd);
}

static void check_eight_heaps(struct receiver *r)
{
    CHECK_EQ(r->reason, AQ_END_STOP_ITEM);
    CHECK_EQ(r->stats.complete_heaps, 8);
    CHECK_EQ(r->stats.packets, 8 * 3 + 1);
    CHECK_EQ(r->stats.kernel_drops, 0);
    if (CHECK_EQ(r->n_chunks, 2))
        for (int heap = 0; heap < 8; heap++)
            CHECK(spead_is((uint8_t *)aq_chunk_data(r->chunks[heap / 4]) + heap % 4 * HEAP_SIZE, (uint64_t)heap, 0,
                           HEAP_SIZE));
}

static struct packets eight_heaps(void)
{
    struct packets p = no_packets();
    for (uint64_t cnt = 0; cnt < 8; cnt++)
        spead_heap(&p, cnt, HEAP_SIZE, 100);
    spead_stop(&p, 8);
    return p;
}

static void from_udp(const char *host, uint64_t batch_delay_ns, int64_t coalesce_ns)
{
    struct receiver r;
    struct packets p = eight_heaps();
    aq_udp_reader_config udp = udp_config();
    uint16_t port = 0, unchanged = 77;
    int released = 0;
    CHECK(udp.host == NULL);
    CHECK_EQ(udp.max_size, 9200);
    CHECK_EQ(udp.buffer_size, 8 << 20);
    CHECK_EQ(udp.socket_fd, -1);
    CHECK_EQ(udp.port, 0);
    CHECK_EQ(udp.batch_delay_ns, 500000);
    CHECK_EQ(udp.coalesce_ns, AQ_COALESCE_ADAPTIVE);
    CHECK_EQ(udp.gro, 1);
    receiver_init(&r);
    receiver_open(&r, 4);
    udp.host = host;
    udp.batch_delay_ns = batch_delay_ns;
    udp.coalesce_ns = coalesce_ns;
    CHECK_ERROR(aq_recv_stream_reader_port(r.stream, 0, &unchanged), AQ_E_NOT_FOUND, "reader 0");
    CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
    CHECK_OK(aq_recv_stream_reader_port(r.stream, 0, &port));
    CHECK(port != 0);
    /* readers are numbered in the order of their coming; those without a port, too */
    CHECK_OK(aq_recv_stream_add_buffer_reader(r.stream, NULL, 0, count, &released));
    CHECK_ERROR(aq_recv_stream_reader_port(r.stream, 1, &unchanged), AQ_E_NOT_FOUND, "reader 1");
    CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
    CHECK_OK(aq_recv_stream_reader_port(r.stream, 2, &unchanged));
    CHECK(unchanged != port);
    CHECK_ERROR(aq_recv_stream_reader_port(r.stream, 3, &unchanged), AQ_E_NOT_FOUND, "reader 3");
    send_packets(&p, port);
    receiver_drain(&r);
    check_eight_heaps(&r);
    CHECK_OK(aq_recv_stream_reader_port(r.stream, 0, &unchanged)); /* what it was */
    CHECK_EQ(unchanged, port);
    CHECK_STATUS(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_STOPPED);
    receiver_close(&r);
    spead_free(&p);
}

static int has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), works;
    struct sockaddr_in6 address;
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    works = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return works;
}

/* max_size is the limit, exactly. */
static void too_long_datagrams(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_udp_reader_config udp = udp_config();
    uint16_t port = 0;
    receiver_init(&r);
    spead_heap(&p, 0, HEAP_SIZE, HEAP_SIZE);
    udp.max_size = p.size;
    spead_packet(&p, 1, HEAP_SIZE + 1, 1, 0, HEAP_SIZE + 1); /* one byte too long */
    spead_heap(&p, 2, 16, 16);
    spead_stop(&p, 3);
    udp.host = "127.0.0.1";
    udp.buffer_size = 0; /* the system's */
    receiver_open(&r, 4);
    CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
    CHECK_OK(aq_recv_stream_reader_port(r.stream, 0, &port));
    send_packets(&p, port);
    receiver_drain(&r);
    CHECK_EQ(r.stats.packets, 4);
    CHECK_EQ(r.stats.truncated, 1);
    CHECK_EQ(r.stats.complete_heaps, 2);
    CHECK_EQ(r.stats.packets_control, 1);
    receiver_close(&r);
    spead_free(&p);
}

/* A socket of the caller's: host and port do not matter, and it stays open. */
static void from_an_existing_socket(void)
{
    struct receiver r;
    struct packets p = eight_heaps();
    aq_udp_reader_config udp = udp_config();
    uint16_t bound = 0, port = 0;
    receiver_init(&r);
    receiver_open(&r, 4);
    udp.socket_fd = bound_socket(SOCK_DGRAM, &bound);
    udp.host = "not a host";
    udp.port = 1;
    CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp));
    CHECK_OK(aq_recv_stream_reader_port(r.stream, 0, &port));
    CHECK_EQ(port, bound);
    CHECK((fcntl(udp.socket_fd, F_GETFL) & O_NONBLOCK) != 0);
    send_packets(&p, port);
    receiver_drain(&r);
    check_eight_heaps(&r);
    receiver_close(&r);
    CHECK((fcntl(udp.socket_fd, F_GETFD) & FD_CLOEXEC) == 0); /* open, and as it was */
    CHECK_EQ(close(udp.socket_fd), 0);
    spead_free(&p);
}

static void bad_sockets_and_addresses(void)
{
    struct receiver r;
    aq_udp_reader_config udp;
    uint16_t port = 0;
    int fd;
    char text[32];
    receiver_init(&r);
    receiver_open(&r, 0);

    fd = bound_socket(SOCK_STREAM, &port);
    udp = udp_config();
    udp.socket_fd = fd;
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_INVALID, "socket_fd must be a datagram socket");
    close(fd);
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO, "socket_fd"); /* closed */
    fd = open("/dev/null", O_RDONLY);
    udp.socket_fd = fd;
    CHECK_STATUS(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO);
    close(fd);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    udp.socket_fd = fd;
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_INVALID, "socket_fd must be an IPv4 or IPv6 socket");
    close(fd);

    fd = bound_socket(SOCK_DGRAM, &port);
    udp = udp_config();
    udp.host = "127.0.0.1";
    udp.port = port;
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO, text); /* in use */
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO, "in use");
    close(fd);
    CHECK_OK(aq_recv_stream_add_udp_reader(r.stream, &udp)); /* not any more */

    udp = udp_config();
    udp.host = "not a host";
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO, "not a host");
    udp.host = "192.0.2.1"; /* of no machine on earth */
    CHECK_ERROR(aq_recv_stream_add_udp_reader(r.stream, &udp), AQ_E_IO, "192.0.2.1:0");
    receiver_close(&r);
}

/* The capture: 64 heaps of 8 KiB in 384 packets and a stop packet; the counter goes by 4096. */
static void place_capture(aq_chunk_place_data *data, size_t data_size, void *user)
{
    struct placing *placing = (struct placing *)user;
    (void)data_size;
    __atomic_fetch_add(&placing->calls, 1, __ATOMIC_SEQ_CST);
    if (data->items[0] < 0)
        return;
    data->heap_index = (size_t)(data->items[0] / 4096);
    data->heap_offset = data->heap_index * 8192;
    data->chunk_id = 0;
}

static void capture_receiver(struct receiver *r)
{
    receiver_init(r);
    r->chunk_config.place = place_capture;
    r->data_size = 64 * 8192;
    r->present_size = 64;
    receiver_open(r, 2);
}

static int count_present(const aq_chunk *chunk)
{
    int n = 0;
    for (size_t i = 0; i < aq_chunk_present_size(chunk); i++)
        n += aq_chunk_present(chunk)[i] == 1;
    return n;
}

static void from_a_capture(const char *filter)
{
    struct receiver r;
    capture_receiver(&r);
    CHECK_OK(aq_recv_stream_add_pcap_reader(r.stream, CAPTURE, filter));
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_STOP_ITEM);
    CHECK_EQ(r.stats.packets, 385);
    CHECK_EQ(r.stats.complete_heaps, 64);
    CHECK_EQ(r.stats.bytes_delivered, 64 * 8192);
    CHECK_EQ(load(&r.placing.calls), 64);
    if (CHECK_EQ(r.n_chunks, 1))
        CHECK_EQ(count_present(r.chunks[0]), 64);
    CHECK_STATUS(aq_recv_stream_add_pcap_reader(r.stream, CAPTURE, filter), AQ_STOPPED);
    receiver_close(&r);
}

static void filtered_out(void)
{
    struct receiver r;
    uint16_t port;
    capture_receiver(&r);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, CAPTURE, "udp dst prot 1"), AQ_E_INVALID, "udp dst prot 1");
    CHECK_OK(aq_recv_stream_add_pcap_reader(r.stream, CAPTURE, "udp dst port 7148"));
    CHECK_STATUS(aq_recv_stream_reader_port(r.stream, 0, &port), AQ_E_NOT_FOUND);
    receiver_drain(&r);
    CHECK_EQ(r.reason, AQ_END_SOURCE);
    CHECK_EQ(r.stats.packets, 0);
    CHECK_EQ(r.n_chunks, 0);
    receiver_close(&r);
}

/* A file in a folder for temporary ones, with these bytes. */
static const char *file_of(const void *bytes, size_t size)
{
    static char path[64];
    int fd;
    snprintf(path, sizeof path, "/tmp/aqueduct-XXXXXX");
    fd = mkstemp(path);
    CHECK_EQ(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    return path;
}

static void le(struct packets *p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        spead_raw(p, &byte, 1);
    }
}

static void be16(struct packets *p, size_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    spead_raw(p, bytes, 2);
}

/* A capture file of raw IP. */
static void file_header(struct packets *file, uint32_t link_type)
{
    le(file, 0xa1b2c3d4, 4);
    le(file, 2, 2);
    le(file, 4, 2);
    le(file, 0, 4);
    le(file, 0, 4);
    le(file, 65535, 4);
    le(file, link_type, 4);
}

/* A record with an IPv4 packet of this protocol (17 is UDP) and fragment field; the last `cut` bytes are not captured. */
static void record(struct packets *file, const struct packets *payload, uint8_t protocol, uint16_t fragment, size_t cut)
{
    size_t udp = 8 + payload->size, ip = 20 + udp;
    uint8_t fixed[2] = {64, protocol}, addresses[8] = {127, 0, 0, 1, 127, 0, 0, 1};
    size_t start;
    le(file, 0, 4);
    le(file, 0, 4);
    le(file, (uint32_t)(ip - cut), 4);
    le(file, (uint32_t)ip, 4);
    start = file->size;
    be16(file, 0x4500);
    be16(file, ip);
    be16(file, 0);
    be16(file, fragment);
    spead_raw(file, fixed, 2);
    be16(file, 0);
    spead_raw(file, addresses, 8);
    be16(file, 1);
    be16(file, 2);
    be16(file, udp);
    be16(file, 0);
    spead_raw(file, payload->bytes, payload->size);
    CHECK_EQ(file->size - start, ip);
    file->size -= cut;
}

/* What a capture may have beside datagrams is counted, and what breaks it is told with its place. */
static void odd_records(void)
{
    struct receiver r;
    struct packets file = no_packets(), heap = no_packets();
    const char *path;
    aq_status error = AQ_OK;
    char message[256];
    spead_heap(&heap, 0, HEAP_SIZE, HEAP_SIZE);
    file_header(&file, 101);
    record(&file, &heap, 17, 0, 0);
    record(&file, &heap, 6, 0, 0);           /* TCP */
    record(&file, &heap, 6, 0, 0);
    record(&file, &heap, 17, 0x2000, 0);     /* more fragments */
    record(&file, &heap, 17, 7, 0);          /* at an offset */
    record(&file, &heap, 17, 0x2007, 0);     /* both */
    record(&file, &heap, 17, 0, 1);          /* cut short by the capture */
    record(&file, &heap, 17, 0, 0);
    file.size -= 10; /* the file ends too early */
    path = file_of(file.bytes, file.size);
    receiver_init(&r);
    receiver_open(&r, 2);
    CHECK_OK(aq_recv_stream_add_pcap_reader(r.stream, path, NULL));
    receiver_drain(&r);
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, &error, message, sizeof message));
    CHECK_EQ(r.reason, AQ_END_ERROR);
    CHECK_EQ(error, AQ_E_TRUNCATED);
    CHECK(strstr(message, path) != NULL);
    CHECK(strstr(message, "record 8") != NULL);
    CHECK_EQ(r.stats.complete_heaps, 1);
    CHECK_EQ(r.stats.not_udp, 2);
    CHECK_EQ(r.stats.fragment, 3);
    CHECK_EQ(r.stats.truncated, 1);
    CHECK_EQ(r.stats.packets, 7);
    unlink(path);
    receiver_close(&r);
    spead_free(&file);
    spead_free(&heap);
}

static void bad_files(void)
{
    struct receiver r;
    struct packets file = no_packets();
    const char *path;
    receiver_init(&r);
    receiver_open(&r, 2);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, "/no/such/file", NULL), AQ_E_IO, "/no/such/file");
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, "/tmp", NULL), AQ_E_IO, "/tmp");
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, "check.h", NULL), AQ_E_FORMAT, "check.h");
    path = file_of("", 0);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, path, NULL), AQ_E_TRUNCATED, "empty");
    unlink(path);
    path = file_of("not long", 8);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, path, NULL), AQ_E_FORMAT, path);
    unlink(path);
    file_header(&file, 101);
    path = file_of(file.bytes, file.size - 1);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, path, NULL), AQ_E_TRUNCATED, path);
    unlink(path);
    spead_free(&file);
    file_header(&file, 147); /* LINKTYPE_USER0 */
    path = file_of(file.bytes, file.size);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, path, NULL), AQ_E_UNSUPPORTED, "147");
    unlink(path);
    spead_free(&file);
    receiver_close(&r);
}

static void without_the_feature(void)
{
    struct receiver r;
    receiver_init(&r);
    receiver_open(&r, 2);
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, CAPTURE, NULL), AQ_E_UNSUPPORTED, "feature \"pcap\"");
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(r.stream, "/no/such/file", "nonsense"), AQ_E_UNSUPPORTED, "pcap");
    receiver_close(&r);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF)); /* errors are made on purpose */
    from_memory();
    memory_of_a_stream_that_is_freed();
    from_udp("127.0.0.1", 200000, AQ_COALESCE_ADAPTIVE);
    from_udp("", 0, AQ_COALESCE_ADAPTIVE); /* the lowest latency */
    from_udp(NULL, 1000000, 0);
    from_udp(NULL, 0, 1000000);
    if (has_ipv6())
        from_udp("::", 0, 50000); /* IPv4, too */
    too_long_datagrams();
    from_an_existing_socket();
    bad_sockets_and_addresses();
    if (aq_has_feature("pcap")) {
        from_a_capture(NULL);
        from_a_capture("udp dst port 20001");
        filtered_out();
        odd_records();
        bad_files();
    } else {
        without_the_feature();
    }
    return check_done();
}

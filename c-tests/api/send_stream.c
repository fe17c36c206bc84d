/* Streams that send: results in every way in which they are told, over every transport. */
#include "loopback.h"
#include "sending.h"
#include <fcntl.h>
#include <poll.h>

struct told {
    int calls, freed; /* atomics */
    aq_status status;
    uint64_t cnt, packets;
    aq_send_stream *stream;
};

static void done(const aq_send_result *result, size_t size, void *user)
{
    struct told *told = (struct told *)user;
    CHECK_EQ(size, sizeof *result);
    told->status = result->status;
    told->cnt = result->cnt;
    told->packets = result->packets_sent;
    if (result->status < 0)
        CHECK(strlen(aq_last_error()) > 0);
    if (told->stream != NULL) { /* what would wait for itself */
        CHECK_STATUS(aq_send_stream_stop(told->stream), AQ_E_STATE);
        CHECK_STATUS(aq_send_stream_free(told->stream), AQ_E_STATE);
        CHECK_STATUS(aq_send_stream_flush(told->stream, AQ_WAIT_FOREVER), AQ_E_STATE);
        CHECK_STATUS(aq_send_stream_next_result(told->stream, 1, NULL), AQ_E_INVALID);
    }
    __atomic_fetch_add(&told->calls, 1, __ATOMIC_SEQ_CST);
}

static void done_free(void *user)
{
    __atomic_fetch_add(&((struct told *)user)->freed, 1, __ATOMIC_SEQ_CST);
}

static aq_send_options options_with(struct told *told)
{
    aq_send_options options;
    CHECK_OK(aq_send_options_init(&options, sizeof options));
    options.done = done;
    options.done_user = told;
    options.done_user_free = done_free;
    return options;
}

static int readable(aq_send_stream *stream)
{
    struct pollfd fd = {-1, POLLIN, 0};
    CHECK_OK(aq_send_stream_results_fd(stream, &fd.fd));
    return poll(&fd, 1, 0);
}

static void expect_heap(struct sending *s, uint64_t cnt)
{
    aq_heap *heap = heaps_next(&s->receiver);
    if (CHECK(heap != NULL)) {
        CHECK_EQ(heap_cnt(heap), cnt);
        CHECK_OK(aq_heap_free(heap));
    }
}

static void a_callback(void)
{
    struct sending s;
    struct told told = {0, 0, 1, 0, 0, NULL};
    aq_send_options options = options_with(&told);
    aq_send_heap *heap = heap_to_send(1, 5000);
    uint64_t ticket = 0;
    sending_open(&s, NULL);
    told.stream = s.stream;
    options.cnt = 99;
    CHECK_OK(aq_send_stream_submit(s.stream, heap, &options, AQ_WAIT_FOREVER, &ticket));
    CHECK_EQ(ticket, 1);
    CHECK_OK(aq_send_heap_free(heap)); /* it is sent all the same */
    CHECK_OK(aq_send_stream_flush(s.stream, AQ_WAIT_FOREVER));
    CHECK_EQ(told.calls, 1);
    CHECK_EQ(__atomic_load_n(&told.freed, __ATOMIC_SEQ_CST), 1);
    CHECK_EQ(told.status, AQ_OK);
    CHECK_EQ(told.cnt, 99);
    CHECK_EQ(told.packets, 4);
    expect_heap(&s, 99);
    sending_close(&s);
    CHECK_EQ(s.stats.heaps_sent, 1);
    CHECK_EQ(s.stats.packets_sent, 4);
    CHECK_EQ(s.stats.bytes_sent, 5000 + 4 * 40 + 8);
}

static void kept_results(void)
{
    struct sending s;
    aq_send_stream_config config, found;
    aq_send_options options;
    aq_send_result result;
    aq_send_heap *heap = heap_to_send(1, 10);
    uint64_t ticket = 0;
    CHECK_OK(aq_send_stream_config_init(&config, sizeof config));
    CHECK_EQ(config.max_packet_size, 1472);
    config.max_heaps = 2;
    config.first_cnt = 10;
    config.cnt_step = 5;
    config.rate = 1e9;
    sending_open(&s, &config);
    CHECK_OK(aq_send_stream_config_init(&found, sizeof found));
    CHECK_OK(aq_send_stream_get_config(s.stream, &found));
    CHECK(found.max_heaps == 2 && found.cnt_step == 5 && found.rate == 1e9 && found.burst_size == 65536);
    CHECK_OK(aq_send_options_init(&options, sizeof options));
    options.keep_result = 1;
    CHECK_OK(aq_send_result_init(&result, sizeof result));
    CHECK_STATUS(aq_send_stream_next_result(s.stream, 0, &result), AQ_EMPTY);
    CHECK_STATUS(aq_send_stream_next_result(s.stream, 1000, &result), AQ_TIMEOUT);
    CHECK_EQ(readable(s.stream), 0);
    CHECK_OK(aq_send_stream_submit(s.stream, heap, &options, 0, NULL));
    CHECK_OK(aq_send_stream_submit(s.stream, heap, &options, 0, &ticket));
    CHECK_EQ(ticket, 2);
    CHECK_STATUS(aq_send_stream_submit(s.stream, heap, &options, 0, &ticket), AQ_FULL);
    CHECK_STATUS(aq_send_stream_submit(s.stream, heap, &options, 1000, &ticket), AQ_TIMEOUT);
    CHECK_EQ(ticket, 2);
    CHECK_OK(aq_send_stream_flush(s.stream, AQ_WAIT_FOREVER));
    CHECK_EQ(readable(s.stream), 1);
    for (uint64_t i = 0; i < 2; i++) {
        CHECK_OK(aq_send_stream_next_result(s.stream, AQ_WAIT_FOREVER, &result));
        CHECK_EQ(result.ticket, i + 1);
        CHECK_EQ(result.cnt, 10 + 5 * i);
        CHECK_EQ(result.status, AQ_OK);
        CHECK_EQ(result.packets_sent, 1);
        CHECK_EQ(result.packets_unsent, 0);
        CHECK_EQ(result.bytes, 58);
        expect_heap(&s, 10 + 5 * i);
    }
    CHECK_EQ(readable(s.stream), 0);
    CHECK_OK(aq_send_stream_set_cnt_sequence(s.stream, 1000, 1));
    CHECK_OK(aq_send_stream_send(s.stream, heap, NULL, AQ_WAIT_FOREVER, &result));
    CHECK_EQ(result.cnt, 1000);
    expect_heap(&s, 1000);
    CHECK_OK(aq_send_heap_free(heap));
    sending_close(&s);
}

static void a_group(void)
{
    struct sending s;
    aq_send_member members[3] = {{heap_to_send(1, 4000), 0}, {heap_to_send(2, 4000), 0}, {heap_to_send(3, 10), 0}};
    struct told told = {0, 0, 1, 0, 0, NULL};
    aq_send_options options = options_with(&told);
    uint64_t ticket = 0;
    int seen[3] = {0, 0, 0};
    sending_open(&s, NULL);
    options.order = AQ_SEND_ROUND_ROBIN;
    options.cnt = 7;
    CHECK_OK(aq_send_stream_submit_group(s.stream, members, 3, &options, AQ_WAIT_FOREVER, &ticket));
    CHECK_EQ(ticket, 1);
    CHECK_OK(aq_send_stream_flush(s.stream, AQ_WAIT_FOREVER));
    CHECK_EQ(told.calls, 3);
    CHECK_EQ(__atomic_load_n(&told.freed, __ATOMIC_SEQ_CST), 1);
    for (int i = 0; i < 3; i++) {
        aq_heap *heap = heaps_next(&s.receiver);
        uint64_t cnt = heap_cnt(heap);
        if (CHECK(cnt >= 7 && cnt < 10))
            seen[cnt - 7]++;
        CHECK_OK(aq_heap_free(heap));
        CHECK_OK(aq_send_heap_free(members[i].heap));
    }
    CHECK(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
    sending_close(&s);
}

/* Nobody takes what is in the queue. */
static void stuck(void)
{
    aq_inproc_queue *queue = NULL;
    aq_send_stream *stream = NULL;
    aq_send_heap *heap = heap_to_send(1, 40000);
    struct told told = {0, 0, 1, 0, 0, NULL};
    aq_send_options options = options_with(&told);
    aq_send_stats stats;
    aq_send_result result;
    uint8_t byte = 0;
    CHECK_OK(aq_inproc_queue_new(1, &queue));
    CHECK_OK(aq_send_stream_new_inproc(NULL, &queue, 1, &stream));
    CHECK_OK(aq_send_stream_submit(stream, heap, &options, 0, NULL));
    CHECK_ERROR(aq_send_heap_add_copy(heap, 0x1001, &byte, 1), AQ_E_STATE, "heap: it is queued");
    CHECK_STATUS(aq_send_stream_flush(stream, 0), AQ_FULL);
    CHECK_STATUS(aq_send_stream_flush(stream, 1000000), AQ_TIMEOUT);
    CHECK_STATUS(aq_send_stream_send(stream, heap, NULL, 1000000, NULL), AQ_TIMEOUT);
    CHECK_OK(aq_send_stream_stop(stream));
    CHECK_EQ(told.status, AQ_STOPPED);
    CHECK_EQ(__atomic_load_n(&told.freed, __ATOMIC_SEQ_CST), 1);
    CHECK_OK(aq_send_heap_add_copy(heap, 0x1001, &byte, 1)); /* nobody needs it any more */
    CHECK_STATUS(aq_send_stream_submit(stream, heap, NULL, 0, NULL), AQ_STOPPED);
    CHECK_STATUS(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, NULL), AQ_STOPPED);
    CHECK_OK(aq_send_result_init(&result, sizeof result));
    CHECK_STATUS(aq_send_stream_next_result(stream, AQ_WAIT_FOREVER, &result), AQ_STOPPED);
    CHECK_OK(aq_send_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_send_stream_get_stats(stream, &stats));
    CHECK_EQ(stats.ledger_closed, 1);
    CHECK_EQ(stats.heaps_cancelled, 2);
    CHECK_EQ(stats.heaps_pending, 0);
    CHECK_OK(aq_send_stream_free(stream));
    CHECK_OK(aq_send_heap_free(heap));
    CHECK_OK(aq_inproc_queue_free(queue));
}

static void udp(void)
{
    aq_udp_sender_config config;
    aq_send_destination destinations[2];
    aq_send_stream *stream = NULL;
    aq_send_heap *heap = heap_to_send(1, 100);
    aq_send_options options;
    aq_send_result result;
    uint16_t port, nobody;
    uint8_t packet[2000];
    int fd = bound_socket(SOCK_DGRAM, &port), closed = bound_socket(SOCK_DGRAM, &nobody);
    close(closed);
    memset(destinations, 0, sizeof destinations);
    destinations[0].host = "127.0.0.1";
    destinations[0].port = port;
    destinations[1].host = "localhost";
    destinations[1].host = "127.0.0.1";
    destinations[1].port = nobody;
    CHECK_OK(aq_udp_sender_config_init(&config, sizeof config));
    config.destinations = destinations;
    config.n_destinations = 2;
    CHECK_OK(aq_send_stream_new_udp(NULL, &config, &stream));
    CHECK_OK(aq_send_result_init(&result, sizeof result));
    CHECK_OK(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, &result));
    CHECK_EQ(result.packets_sent, 1);
    CHECK_EQ(recv(fd, packet, sizeof packet, 0), 148);
    CHECK_OK(aq_send_options_init(&options, sizeof options));
    options.substream = 1;
    CHECK_ERROR(aq_send_stream_send(stream, heap, &options, AQ_WAIT_FOREVER, NULL), AQ_E_IO, "nobody listens there");
    options.keep_result = 1;
    CHECK_OK(aq_send_stream_submit(stream, heap, &options, AQ_WAIT_FOREVER, NULL));
    CHECK_OK(aq_send_stream_next_result(stream, AQ_WAIT_FOREVER, &result));
    CHECK_EQ(result.status, AQ_E_IO);
    CHECK_EQ(result.substream, 1);
    CHECK(strstr(aq_last_error(), "nobody listens there") != NULL);
    CHECK_OK(aq_send_stream_free(stream));
    CHECK_OK(aq_send_heap_free(heap));
    close(fd);
}

/* A socket of the program's own, which is bound and does not block: packets come from its port, and it stays open. */
static void udp_socket(void)
{
    aq_udp_sender_config config;
    aq_send_destination destination;
    aq_send_stream *stream = NULL;
    aq_send_heap *heap = heap_to_send(1, 100);
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    uint16_t port, own_port;
    uint8_t packet[2000];
    int fd = bound_socket(SOCK_DGRAM, &port), own = bound_socket(SOCK_DGRAM, &own_port);
    CHECK_EQ(fcntl(own, F_SETFL, O_NONBLOCK), 0);
    memset(&destination, 0, sizeof destination);
    destination.host = "127.0.0.1";
    destination.port = port;
    CHECK_OK(aq_udp_sender_config_init(&config, sizeof config));
    config.destinations = &destination;
    config.n_destinations = 1;
    config.socket_fd = own;
    CHECK_OK(aq_send_stream_new_udp(NULL, &config, &stream));
    CHECK_EQ(fcntl(own, F_GETFL) & O_NONBLOCK, 0);
    CHECK_OK(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK_EQ(recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &length), 148);
    CHECK_EQ(ntohs(from.sin_port), own_port);
    CHECK_OK(aq_send_stream_free(stream));
    CHECK_OK(aq_send_heap_free(heap));
    CHECK_EQ(send(own, "x", 1, 0), 1);
    CHECK_EQ(recv(fd, packet, sizeof packet, 0), 1);
    close(own);
    close(fd);
}

static void tcp(void)
{
    aq_tcp_sender_config config;
    aq_send_destination destination;
    aq_send_stream *stream = NULL;
    aq_send_heap *heap = heap_to_send(1, 100);
    uint8_t packet[148];
    uint16_t port;
    int listener = bound_socket(SOCK_STREAM, &port), fd;
    memset(&destination, 0, sizeof destination);
    destination.host = "127.0.0.1";
    destination.port = port;
    CHECK_OK(aq_tcp_sender_config_init(&config, sizeof config));
    config.destinations = &destination;
    config.n_destinations = 1;
    CHECK_ERROR(aq_send_stream_new_tcp(NULL, &config, &stream), AQ_E_IO, "connect to 127.0.0.1");
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_OK(aq_send_stream_new_tcp(NULL, &config, &stream));
    fd = accept(listener, NULL, NULL);
    CHECK_OK(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK_EQ(recv(fd, packet, sizeof packet, MSG_WAITALL), 148);
    CHECK_EQ(packet[0], 0x53);
    CHECK_OK(aq_send_stream_free(stream));
    CHECK_OK(aq_send_heap_free(heap));
    close(fd);
    close(listener);
}

/* A connection of the program's own: the end that it has accepted. */
static void tcp_socket(void)
{
    aq_tcp_sender_config config;
    aq_send_stream *stream = NULL;
    aq_send_heap *heap = heap_to_send(1, 100);
    struct sockaddr_in to;
    uint8_t packet[148];
    uint16_t port, own_port;
    int listener = bound_socket(SOCK_STREAM, &port), peer = bound_socket(SOCK_STREAM, &own_port), own;
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(aq_tcp_sender_config_init(&config, sizeof config));
    config.socket_fd = peer;
    CHECK_ERROR(aq_send_stream_new_tcp(NULL, &config, &stream), AQ_E_INVALID, "the socket must be connected");
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(connect(peer, (struct sockaddr *)&to, sizeof to), 0);
    own = accept(listener, NULL, NULL);
    config.socket_fd = own;
    CHECK_OK(aq_send_stream_new_tcp(NULL, &config, &stream));
    close(own);
    CHECK_OK(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK_EQ(recv(peer, packet, sizeof packet, MSG_WAITALL), 148);
    CHECK_OK(aq_send_stream_free(stream));
    CHECK_EQ(recv(peer, packet, sizeof packet, 0), 0);
    CHECK_OK(aq_send_heap_free(heap));
    close(peer);
    close(listener);
}

static void file(void)
{
    char path[] = "/tmp/aq_send_XXXXXX";
    aq_send_stream *stream = NULL;
    aq_send_heap *heap = heap_to_send(1, 100);
    struct heap_receiver r;
    uint8_t packet[200];
    FILE *written;
    aq_heap *received;
    close(mkstemp(path));
    CHECK_OK(aq_send_stream_new_file(NULL, path, AQ_SEND_FILE_RAW, &stream));
    CHECK_OK(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK_OK(aq_send_stream_free(stream));
    written = fopen(path, "rb");
    CHECK_EQ(fread(packet, 1, sizeof packet, written), 148);
    fclose(written);
    CHECK_OK(aq_send_stream_new_file(NULL, path, AQ_SEND_FILE_PCAP, &stream));
    CHECK_OK(aq_send_stream_send(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK_OK(aq_send_stream_free(stream));
    if (aq_has_feature("pcap")) {
        heaps_init(&r);
        heaps_open(&r);
        CHECK_OK(aq_recv_stream_add_pcap_reader(r.stream, path, NULL));
        received = heaps_next(&r);
        CHECK(received != NULL);
        CHECK_OK(aq_heap_free(received));
        heaps_close(&r);
    }
    CHECK_OK(aq_send_heap_free(heap));
    unlink(path);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    a_callback();
    kept_results();
    a_group();
    stuck();
    udp();
    udp_socket();
    tcp();
    tcp_socket();
    file();
    return check_done();
}

/* What a caller can get wrong with streams that send. */
#include "misuse/handles.h"
#include "sized.h"
#include <unistd.h>

static struct handles objects;
static aq_inproc_queue *queue;
static aq_send_stream *stream;
static aq_send_heap *heap;
static int freed;

static void done(const aq_send_result *result, size_t size, void *user)
{
    (void)result, (void)size, (void)user;
}

static void count_free(void *user)
{
    CHECK(user == &freed);
    __atomic_fetch_add(&freed, 1, __ATOMIC_SEQ_CST);
}

static aq_status use_config(const void *config)
{
    aq_send_stream *made = NULL;
    aq_status status = config == NULL
                           ? aq_send_stream_config_init(NULL, sizeof(aq_send_stream_config))
                           : aq_send_stream_new_inproc((const aq_send_stream_config *)config, &queue, 1, &made);
    CHECK_OK(aq_send_stream_free(made));
    return status;
}

static aq_status use_udp(const void *config)
{
    aq_send_stream *made = NULL;
    aq_status status = aq_send_stream_new_udp(NULL, (const aq_udp_sender_config *)config, &made);
    CHECK_OK(aq_send_stream_free(made));
    return status;
}

static aq_status use_tcp(const void *config)
{
    aq_send_stream *made = NULL;
    aq_status status = aq_send_stream_new_tcp(NULL, (const aq_tcp_sender_config *)config, &made);
    CHECK_OK(aq_send_stream_free(made));
    return status;
}

static aq_status use_options(const void *options)
{
    return options == NULL
               ? aq_send_options_init(NULL, sizeof(aq_send_options))
               : aq_send_stream_submit(stream, heap, (const aq_send_options *)options, AQ_WAIT_FOREVER, NULL);
}

static void stream_configs(void)
{
    aq_send_stream_config good, c;
    CHECK_SIZED_INIT(aq_send_stream_config, aq_send_stream_config_init);
    CHECK_SIZED_INIT(aq_send_stats, aq_send_stats_init);
    CHECK_SIZED_INIT(aq_send_result, aq_send_result_init);
    CHECK_OK(aq_send_stream_config_init(&good, sizeof good));
    check_sized_input(&good, sizeof good, use_config);
    c = good, c.max_packet_size = 55;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "max_packet_size must be between 56");
    c = good, c.max_heaps = 0;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "max_heaps must be between 1 and 1048576 (got 0)");
    c = good, c.max_heaps = SIZE_MAX;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "max_heaps must be between 1 and 1048576");
    c = good, c.rate = -1;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "rate must be 0, or between 1 and 10^15 bytes per second (got -1)");
    c = good, c.rate = 1e300 * 1e300;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "(got inf)");
    c = good, c.burst_size = 0;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "burst_size must be at least 1 (got 0)");
    c = good, c.pacing = 2;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "pacing must be AQ_PACING_SOFTWARE or AQ_PACING_KERNEL (got 2)");
    c = good, c.pacing = AQ_PACING_KERNEL, c.rate = 0;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "pacing by the kernel needs a rate (got 0)");
    c = good, c.reserved = 1;
    CHECK_ERROR(use_config(&c), AQ_E_VERSION, "reserved");
    c = good, c.burst_rate_ratio = 0.5;
    CHECK_ERROR(use_config(&c), AQ_E_INVALID, "burst_rate_ratio must be between 1 and 1000000 (got 0.5)");
}

static void transports(void)
{
    aq_send_destination destination = {"127.0.0.1", 9, {0, 0, 0}};
    aq_udp_sender_config good, c;
    aq_tcp_sender_config tcp;
    aq_inproc_queue *none = NULL;
    aq_send_stream *made = NULL;
    CHECK_SIZED_INIT(aq_udp_sender_config, aq_udp_sender_config_init);
    CHECK_SIZED_INIT(aq_tcp_sender_config, aq_tcp_sender_config_init);
    CHECK_OK(aq_udp_sender_config_init(&good, sizeof good));
    CHECK_ERROR(use_udp(&good), AQ_E_INVALID, "there must be at least 1 destination (got 0)");
    good.n_destinations = 1;
    CHECK_ERROR(use_udp(&good), AQ_E_INVALID, "destinations must not be NULL");
    good.destinations = &destination;
    check_sized_input(&good, sizeof good, use_udp);
    CHECK_ERROR(aq_send_stream_new_udp(NULL, &good, NULL), AQ_E_INVALID, "out must not be NULL");
    c = good, c.ttl = 256;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "ttl must be at most 255 (got 256)");
    c = good, c.gso = 2;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "gso must be 0 or 1 (got 2)");
    c = good, c.fragment = -1;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "fragment must be 0 or 1 (got -1)");
    c = good, c.interface_index = 1;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "interface_index are for multicast groups");
    c = good, c.source_address = "nowhere";
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "source_address must be an IP address (got \"nowhere\")");
    c = good, c.interface_address = "\xff";
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "interface_address must be UTF-8");
    c = good, c.socket_fd = -2;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "socket_fd must be -1 or a descriptor (got -2)");
    c.socket_fd = 1000000;
    CHECK_ERROR(use_udp(&c), AQ_E_IO, "socket_fd: duplicating descriptor 1000000");
    c.socket_fd = STDERR_FILENO;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "the descriptor given must be that of a UDP socket");
    c.ttl = 1;
    CHECK_ERROR(use_udp(&c), AQ_E_INVALID, "source_address, interface_address, interface_index and ttl must be left out");
    c = good, c.reserved = 1;
    CHECK_ERROR(use_udp(&c), AQ_E_VERSION, "udp: reserved must be 0");
    destination.port = 0;
    CHECK_ERROR(use_udp(&good), AQ_E_INVALID, "a port between 1 and 65535");
    destination.port = 9;
    destination.reserved[2] = 1;
    CHECK_ERROR(use_udp(&good), AQ_E_VERSION, "destinations[0]: reserved must be 0");
    destination.reserved[2] = 0;
    destination.host = NULL;
    CHECK_ERROR(use_udp(&good), AQ_E_INVALID, "destinations[0]: host must not be NULL");
    destination.host = "not a host";
    CHECK_ERROR(use_udp(&good), AQ_E_IO, "resolving host \"not a host\"");
    CHECK_OK(aq_tcp_sender_config_init(&tcp, sizeof tcp));
    CHECK_ERROR(use_tcp(NULL), AQ_E_INVALID, "tcp must not be NULL");
    CHECK_ERROR(use_tcp(&tcp), AQ_E_INVALID, "at least 1 destination");
    tcp.socket_fd = STDERR_FILENO;
    CHECK_ERROR(use_tcp(&tcp), AQ_E_INVALID, "the descriptor given must be that of a TCP socket");
    tcp.destinations = &destination, tcp.n_destinations = 1, destination.host = "127.0.0.1";
    CHECK_ERROR(use_tcp(&tcp), AQ_E_INVALID, "with socket_fd there must be no destinations (got 1)");
    tcp.connect_timeout_ns = 0;
    CHECK_ERROR(use_tcp(&tcp), AQ_E_INVALID, "connect_timeout_ns must be at least 1 (got 0)");
    CHECK_ERROR(aq_send_stream_new_inproc(NULL, NULL, 0, &made), AQ_E_INVALID, "at least 1 queue (got 0)");
    CHECK_ERROR(aq_send_stream_new_inproc(NULL, NULL, 1, &made), AQ_E_INVALID, "queues must not be NULL");
    CHECK_ERROR(aq_send_stream_new_inproc(NULL, &none, 1, &made), AQ_E_INVALID, "queues: queue must not be NULL");
    CHECK_ERROR(aq_send_stream_new_inproc(NULL, &queue, 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_send_stream_new_file(NULL, NULL, 0, &made), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_send_stream_new_file(NULL, "/tmp/x", 2, &made), AQ_E_INVALID, "format must be AQ_SEND_FILE_RAW");
    CHECK_ERROR(aq_send_stream_new_file(NULL, "/nowhere/x", 0, &made), AQ_E_IO, "/nowhere/x");
    CHECK_ERROR(aq_send_stream_new_file(NULL, "/dev/null", 0, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK(made == NULL);
}

static void submissions(void)
{
    aq_send_options good, o;
    aq_send_member members[2] = {{heap, 0}, {NULL, 0}};
    aq_send_result result;
    uint64_t ticket = 7;
    CHECK_SIZED_INIT(aq_send_options, aq_send_options_init);
    CHECK_OK(aq_send_options_init(&good, sizeof good));
    check_sized_input(&good, sizeof good, use_options);
    CHECK_OK(aq_send_stream_flush(stream, AQ_WAIT_FOREVER));
    o = good, o.cnt = -2;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "cnt must be -1 or at least 0 (got -2)");
    o = good, o.cnt = (int64_t)1 << 48;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "cnt must be less than 2^48");
    o = good, o.substream = 1;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "substream must be less than 1, the number of destinations (got 1)");
    o = good, o.rate = -2;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "rate must be 0, or between");
    o = good, o.order = 2;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "order must be AQ_SEND_SERIAL or AQ_SEND_ROUND_ROBIN (got 2)");
    o = good, o.keep_result = 2;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "keep_result must be 0 or 1 (got 2)");
    o = good, o.done = done, o.done_user = &freed, o.done_user_free = count_free, o.keep_result = 1;
    CHECK_ERROR(use_options(&o), AQ_E_INVALID, "keep_result must be 0 where done is set");
    CHECK_EQ(freed, 1);
    o.keep_result = 0;
    CHECK_ERROR(aq_send_stream_submit(NULL, heap, &o, 0, &ticket), AQ_E_INVALID, "stream must not be NULL");
    CHECK_EQ(freed, 2);
    CHECK_ERROR(aq_send_stream_submit(stream, NULL, &o, 0, &ticket), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_send_stream_submit(stream, heap, &o, -2, &ticket), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_send_stream_send(stream, heap, &o, 0, NULL), AQ_E_INVALID, "not for a call that waits");
    CHECK_ERROR(aq_send_stream_send(NULL, heap, NULL, 0, NULL), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_send(stream, NULL, NULL, 0, NULL), AQ_E_INVALID, "heap must not be NULL");
    memset(&result, 0, sizeof result);
    CHECK_ERROR(aq_send_stream_send(stream, heap, NULL, 0, &result), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_send_stream_submit_group(NULL, members, 1, NULL, 0, &ticket), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_submit_group(stream, NULL, 1, NULL, 0, &ticket), AQ_E_INVALID, "members must not be NULL");
    CHECK_ERROR(aq_send_stream_submit_group(stream, members, 0, NULL, 0, &ticket), AQ_E_INVALID, "at least 1 heap (got 0)");
    CHECK_ERROR(aq_send_stream_submit_group(stream, members, 2, NULL, 0, &ticket), AQ_E_INVALID, "members: heap must not be NULL");
    CHECK_EQ(ticket, 7);
    CHECK_ERROR(aq_send_stream_next_result(NULL, 0, &result), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_next_result(stream, 0, NULL), AQ_E_INVALID, "result must not be NULL");
    CHECK_ERROR(aq_send_stream_next_result(stream, 0, &result), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_send_result_init(&result, sizeof result));
    CHECK_ERROR(aq_send_stream_next_result(stream, -2, &result), AQ_E_INVALID, "timeout_ns");
}

static void other_functions(void)
{
    aq_send_stats stats;
    aq_send_stream_config config;
    int fd;
    memset(&stats, 0, sizeof stats);
    memset(&config, 0, sizeof config);
    CHECK_ERROR(aq_send_stream_results_fd(NULL, &fd), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_results_fd(stream, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_ERROR(aq_send_stream_flush(NULL, 0), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_flush(stream, -2), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_send_stream_set_cnt_sequence(NULL, 0, 0), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_get_config(NULL, &config), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_get_config(stream, NULL), AQ_E_INVALID, "config must not be NULL");
    CHECK_ERROR(aq_send_stream_get_config(stream, &config), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_send_stream_get_stats(NULL, &stats), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_send_stream_get_stats(stream, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_send_stream_get_stats(stream, &stats), AQ_E_INVALID, "struct_size 0");
    CHECK_ERROR(aq_send_stream_stop(NULL), AQ_E_INVALID, "stream must not be NULL");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_stream, "stream", aq_send_stream_stop(wrong));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_stream, "stream", aq_send_stream_free(wrong));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_stream, "stream", aq_send_stream_submit(wrong, heap, NULL, 0, NULL));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_heap, "heap", aq_send_stream_submit(stream, wrong, NULL, 0, NULL));
    CHECK_OK(aq_send_stream_free(NULL));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    CHECK_OK(aq_inproc_queue_new(0, &queue));
    CHECK_OK(aq_send_stream_new_inproc(NULL, &queue, 1, &stream));
    CHECK_OK(aq_send_heap_new(NULL, &heap));
    stream_configs();
    transports();
    submissions();
    other_functions();
    CHECK_OK(aq_send_stream_free(stream));
    CHECK_OK(aq_send_heap_free(heap));
    CHECK_OK(aq_inproc_queue_free(queue));
    handles_close(&objects);
    return check_done();
}

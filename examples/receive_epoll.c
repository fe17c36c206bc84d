/* Two streams, ctrl-C and a clock in one epoll loop, without a thread of one's own.
 *
 *   receive_epoll HOST PORT PORT
 *
 * Each stream of heaps has a descriptor that is readable while there is a heap to get, or no more will come. The loop takes what is
 * there, and once a second prints the rates. It ends when both streams have, or at ctrl-C: then what was received up to that
 * moment is still printed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* signalfd, timerfd, epoll */
#endif
#include <aqueduct/aqueduct.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { STREAMS = 2, SIGNALS = STREAMS, CLOCK }; /* what an event's number means: below STREAMS, a stream */

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

static int system_call(int result, const char *call)
{
    if (result < 0) {
        perror(call);
        exit(1);
    }
    return result;
}

static void watch(int epoll, int fd, uint32_t number)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN; /* level-triggered: what is not taken now is told again */
    event.data.u32 = number;
    system_call(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/* SIGINT and SIGTERM as a descriptor. Before any thread is made, so that all of them leave the signals alone. */
static int signal_descriptor(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    system_call(sigprocmask(SIG_BLOCK, &signals, NULL), "sigprocmask");
    return system_call(signalfd(-1, &signals, SFD_CLOEXEC), "signalfd");
}

static int clock_descriptor(void)
{
    struct itimerspec each_second;
    int fd = system_call(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");
    memset(&each_second, 0, sizeof each_second);
    each_second.it_interval.tv_sec = each_second.it_value.tv_sec = 1;
    system_call(timerfd_settime(fd, 0, &each_second, NULL), "timerfd_settime");
    return fd;
}

/* Takes what is there, but no more than a share, so that the other descriptors get their turn. False when no more will come. */
static int take_heaps(aq_recv_stream *stream, int number)
{
    for (int i = 0; i < 100; i++) {
        aq_heap *heap;
        uint64_t cnt, size;
        aq_status status = aq_recv_stream_get(stream, 0, &heap);
        if (status == AQ_EMPTY)
            return 1;
        if (status == AQ_STOPPED)
            return 0;
        check(status, "aq_recv_stream_get");
        CHECK(aq_heap_cnt(heap, &cnt));
        CHECK(aq_heap_received_length(heap, &size));
        printf("stream %d: heap %" PRIu64 ", %" PRIu64 " bytes\n", number, cnt, size);
        CHECK(aq_heap_free(heap));
    }
    return 1;
}

/* Reading statistics is cheap: a kilohertz would do no harm. */
static void print_rates(aq_recv_stream *const streams[], uint64_t before[])
{
    for (int i = 0; i < STREAMS; i++) {
        aq_recv_stats stats;
        CHECK(aq_recv_stats_init(&stats, sizeof stats));
        CHECK(aq_recv_stream_get_stats(streams[i], &stats));
        fprintf(stderr, "stream %d: %" PRIu64 " packets/s, %" PRIu64 " dropped by the kernel\n", i, stats.packets - before[i],
                stats.kernel_drops);
        before[i] = stats.packets;
    }
}

/* What became of a stream that has ended. False if a packet is in no counter, which must not be. */
static int last_word(aq_recv_stream *stream, int number)
{
    int32_t reason;
    aq_recv_stats stats;
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stream_end_reason(stream, &reason, NULL, NULL, 0));
    CHECK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK(aq_recv_stream_get_stats(stream, &stats));
    printf("stream %d: %s, %" PRIu64 " heaps, ledger closed: %s\n", number, aq_end_reason_string(reason), stats.complete_heaps,
           stats.ledger_closed ? "yes" : "no");
    return stats.ledger_closed == 1;
}

int main(int argc, char **argv)
{
    if (argc != 2 + STREAMS) {
        fprintf(stderr, "usage: %s HOST PORT PORT\n", argv[0]);
        return 2;
    }
    int epoll = system_call(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    int signals = signal_descriptor(), clock = clock_descriptor();
    watch(epoll, signals, SIGNALS);
    watch(epoll, clock, CLOCK);

    aq_thread_pool *pool;
    aq_recv_stream *streams[STREAMS];
    int fds[STREAMS];
    uint64_t packets[STREAMS] = {0};
    CHECK(aq_thread_pool_new(1, NULL, 0, &pool)); /* one worker serves both */
    for (int i = 0; i < STREAMS; i++) {
        aq_recv_stream_config config;
        aq_udp_reader_config udp;
        uint16_t port;
        CHECK(aq_recv_stream_config_init(&config, sizeof config));
        config.stream_id = (uint64_t)i;
        CHECK(aq_recv_stream_new(pool, &config, NULL, &streams[i]));
        CHECK(aq_udp_reader_config_init(&udp, sizeof udp));
        udp.host = argv[1];
        udp.port = (uint16_t)atoi(argv[2 + i]);
        CHECK(aq_recv_stream_add_udp_reader(streams[i], &udp));
        CHECK(aq_recv_stream_reader_port(streams[i], 0, &port));
        CHECK(aq_recv_stream_fd(streams[i], &fds[i])); /* the stream's own: not to be read, nor closed */
        watch(epoll, fds[i], (uint32_t)i);
        fprintf(stderr, "listening on %s:%u\n", argv[1], port);
    }

    int closed = 1;
    for (int live = STREAMS; live > 0;) {
        struct epoll_event events[STREAMS + 2];
        fflush(stdout);
        int n = epoll_wait(epoll, events, STREAMS + 2, -1);
        if (n < 0 && errno != EINTR)
            system_call(n, "epoll_wait");
        for (int i = 0; i < n; i++) {
            uint32_t number = events[i].data.u32;
            struct signalfd_siginfo signal;
            uint64_t seconds;
            if (number == SIGNALS) {
                system_call((int)read(signals, &signal, sizeof signal), "read");
                for (int stream = 0; stream < STREAMS; stream++)
                    CHECK(aq_recv_stream_stop(streams[stream])); /* what is complete is still to be had */
            } else if (number == CLOCK) {
                system_call((int)read(clock, &seconds, sizeof seconds), "read");
                print_rates(streams, packets);
            } else if (!take_heaps(streams[number], (int)number)) {
                system_call(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[number], NULL), "epoll_ctl");
                closed &= last_word(streams[number], (int)number);
                live--;
            }
        }
    }

    for (int i = 0; i < STREAMS; i++)
        aq_recv_stream_free(streams[i]);
    aq_thread_pool_free(pool);
    close(clock);
    close(signals);
    close(epoll);
    return closed ? 0 : 1;
}

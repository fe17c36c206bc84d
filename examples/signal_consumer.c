/* Receives a signal stream, and says exactly what came and what is missing.
 *
 *   signal_consumer PARAMS [FRAMES [SECONDS]]
 *
 *   signal_consumer "$(head -1 producer.out)" 5000
 *
 * PARAMS is what the sender says of itself: a JSON text, as examples/signal_producer.c prints it or pyacq has it. It ends when the index
 * has reached FRAMES, when nothing has come for SECONDS (10 by default), when the sender is gone, or at ctrl-C.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* signalfd */
#endif
#include <aqueduct/aqueduct.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

/* FNV-1a of the elements in the order of time, wherever they are in memory: `axis` and those behind it. */
static uint64_t hash_of(const aq_array_view *view, size_t item, size_t axis, const unsigned char *at, uint64_t hash)
{
    if (axis == view->ndim) {
        for (size_t byte = 0; byte < item; byte++)
            hash = (hash ^ at[byte]) * UINT64_C(0x100000001b3);
        return hash;
    }
    for (size_t i = 0; i < view->shape[axis]; i++)
        hash = hash_of(view, item, axis + 1, at + (ptrdiff_t)i * view->strides[axis], hash);
    return hash;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s PARAMS [FRAMES [SECONDS]]\n", argv[0]);
        return 2;
    }
    int64_t frames = argc > 2 ? atoll(argv[2]) : 0;
    int patience = argc > 3 ? atoi(argv[3]) : 10;

    /* ctrl-C as a descriptor, before any thread is made. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    /* The default is to take any stream; here an address where nobody answers is told at once. */
    aq_input_stream_config config;
    CHECK(aq_input_stream_config_init(&config, sizeof config));
    config.connect_timeout_ns = INT64_C(5000000000);
    aq_input_stream *input;
    CHECK(aq_input_stream_connect(argv[1], &config, &input));

    aq_stream_info info;
    CHECK(aq_stream_info_init(&info, sizeof info));
    CHECK(aq_input_stream_get_info(input, &info));
    fprintf(stderr, "connected to %s: %s, %zu bytes per frame, %g frames/s\n", info.address, info.dtype, info.frame_size,
            info.sample_rate);

    struct pollfd wait[2];
    CHECK(aq_input_stream_fd(input, &wait[0].fd)); /* the stream's own: not to be read, nor closed */
    wait[1].fd = signalfd(-1, &signals, SFD_CLOEXEC);
    wait[0].events = wait[1].events = POLLIN;

    aq_array_view view;
    CHECK(aq_array_view_init(&view, sizeof view));
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *end = NULL;
    while (end == NULL) {
        aq_status status = aq_input_stream_recv(input, 0, &view);
        if (status == AQ_OK) {
            if (view.gap_start < view.gap_end)
                printf("frames %" PRId64 " to %" PRId64 " are missing\n", view.gap_start, view.gap_end);
            printf("frames %" PRId64 " to %" PRId64 "\n", view.index - (int64_t)view.frames, view.index);
            hash = hash_of(&view, info.item_size, 0, (const unsigned char *)view.data, hash);
            if (frames > 0 && view.index >= frames)
                end = "that is all";
            CHECK(aq_array_view_release(&view));
        } else if (status == AQ_EMPTY) {
            fflush(stdout);
            int ready = poll(wait, 2, patience * 1000);
            if (ready < 0 && errno != EINTR)
                end = strerror(errno);
            else if (ready == 0)
                end = "nothing comes any more";
            else if (wait[1].revents != 0)
                end = "interrupted";
        } else if (status == AQ_STOPPED) {
            end = "the sender has ended";
        } else {
            fprintf(stderr, "not a chunk: %s\n", aq_last_error()); /* counted, and the stream goes on */
        }
    }

    /* Every frame between the first and the last either came or is missing. */
    aq_input_stream_stats stats;
    CHECK(aq_input_stream_stats_init(&stats, sizeof stats));
    CHECK(aq_input_stream_get_stats(input, &stats));
    fprintf(stderr, "%s\n", end);
    printf("%" PRIu64 " frames in %" PRIu64 " chunks, %" PRIu64 " missing in %" PRIu64 " gaps, fnv1a %016" PRIx64 "\n", stats.frames,
           stats.chunks, stats.missing_frames, stats.gaps, hash);
    aq_input_stream_free(input);
    close(wait[1].fd);
    return 0;
}

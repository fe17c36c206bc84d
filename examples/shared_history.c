/* The latest frames of a signal, in memory that several processes look at.
 *
 *   shared_history SECONDS      appends a sine at 1000 frames per second; the first line that it prints is the history's name
 *   shared_history NAME         looks at it, from another process
 *
 * Who looks copies nothing, and does not disturb who appends: it takes a view of the newest frames, computes with them, and then asks whether
 * they were overwritten meanwhile. Nothing is left behind, however either of them ends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_nanosleep */
#endif
#include <aqueduct/aqueduct.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RATE = 1000, KEPT = 10 * RATE, CHANNELS = 2, CHUNK = 20, WINDOW = 100 };

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

static int append(int seconds)
{
    const size_t shape[] = {KEPT, CHANNELS};
    aq_history_config config;
    aq_history *history;
    char name[200];
    CHECK(aq_history_config_init(&config, sizeof config));
    config.dtype = "<f4";
    config.shape = shape;
    config.ndim = 2;
    config.shared = 1;
    CHECK(aq_history_new(&config, &history));
    CHECK(aq_history_name(history, name, sizeof name, NULL));
    puts(name);
    fflush(stdout);

    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    for (int64_t sent = 0; sent < (int64_t)seconds * RATE; sent += CHUNK) {
        float data[CHUNK][CHANNELS];
        for (int i = 0; i < CHUNK; i++) {
            data[i][0] = (float)sin(2 * 3.14159265358979323846 * (double)(sent + i) / WINDOW);
            data[i][1] = (float)(sent + i);
        }
        CHECK(aq_history_append(history, data, CHUNK, AQ_INDEX_NEXT));
        at.tv_nsec += CHUNK * (1000000000 / RATE);
        if (at.tv_nsec >= 1000000000) {
            at.tv_sec++;
            at.tv_nsec -= 1000000000;
        }
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
            ;
    }
    aq_history_free(history);
    return 0;
}

static int look(const char *name)
{
    aq_history *history;
    aq_history_config config;
    aq_array_view view;
    int64_t index;
    aq_status status;
    CHECK(aq_history_open(name, &history));
    CHECK(aq_history_config_init(&config, sizeof config));
    CHECK(aq_history_get_config(history, &config));
    if (strcmp(config.dtype, "<f4") != 0 || config.ndim != 2 || config.shape[1] != CHANNELS) {
        fprintf(stderr, "%s is another history: %s of %zu axes\n", name, config.dtype, config.ndim);
        return 1;
    }
    CHECK(aq_array_view_init(&view, sizeof view));
    CHECK(aq_history_index(history, &index));
    /* Each window of 100 frames once, as soon as it is whole. */
    for (index = (index / WINDOW + 1) * WINDOW; (status = aq_history_wait(history, index, AQ_WAIT_FOREVER)) == AQ_OK; index += WINDOW) {
        double power = 0, first = 0;
        CHECK(aq_history_get(history, index - WINDOW, index, &view));
        const float(*data)[CHANNELS] = (const float(*)[CHANNELS])view.data; /* in one piece, also around the end of the ring */
        for (size_t i = 0; i < view.frames; i++)
            power += data[i][0] * data[i][0];
        first = data[0][1];
        if (aq_array_view_release(&view) == AQ_OK) /* only now is it known that all of that was still there */
            printf("frames %" PRId64 " to %" PRId64 ": power %.3f, first %.0f\n", index - WINDOW, index, power / WINDOW, first);
        else
            printf("frames %" PRId64 " to %" PRId64 " were overwritten\n", index - WINDOW, index);
    }
    if (status != AQ_STOPPED)
        check(status, "aq_history_wait");
    CHECK(aq_history_index(history, &index)); /* its frames are still there */
    printf("the other process has ended, at frame %" PRId64 "\n", index);
    aq_history_free(history);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s SECONDS | NAME\n", argv[0]);
        return 2;
    }
    int seconds = atoi(argv[1]);
    return seconds > 0 ? append(seconds) : look(argv[1]);
}

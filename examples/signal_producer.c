/* Sends a signal of several channels to any number of receivers, in this or other processes and hosts.
 *
 *   signal_producer [NAME=VALUE ...]
 *
 *   signal_producer protocol=tcp channels=8 rate=1000 frames=5000 inputs=1
 *
 * The first line that it prints is the stream's params, a JSON text: a receiver needs nothing else (examples/signal_consumer.c, or a
 * program of pyacq). Channel c is a sine of c + 1 Hz as 16-bit integers. Names, and what they are by default:
 *
 *   protocol     tcp        tcp, ipc or shm
 *   interface    127.0.0.1  the address to listen at, of tcp
 *   compression  none       none, blosclz or lz4, of tcp and ipc
 *   channels     4
 *   rate         1000       frames per second
 *   chunk        50         frames of a chunk
 *   frames       0          how many to send; 0: until ctrl-C
 *   inputs       0          receivers to wait for before the first frame
 *   pace         1          0: as fast as it can
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_nanosleep, sigaction */
#endif
#include <aqueduct/aqueduct.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* The value of NAME=VALUE, or what it is by default. */
static const char *option(int argc, char **argv, const char *name, const char *value)
{
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            value = argv[i] + length + 1;
    return value;
}

static int64_t number(int argc, char **argv, const char *name, const char *value, int64_t smallest, int64_t largest)
{
    const char *text = option(argc, argv, name, value);
    char *end;
    errno = 0;
    long long found = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || found < smallest || found > largest) {
        fprintf(stderr, "%s must be a number from %" PRId64 " to %" PRId64 " (got %s)\n", name, smallest, largest, text);
        exit(2);
    }
    return (int64_t)found;
}

/* One of several words; the answer is its place in the list. */
static int32_t choice(int argc, char **argv, const char *name, const char *const words[])
{
    const char *text = option(argc, argv, name, words[0]);
    for (int32_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    fprintf(stderr, "%s cannot be %s\n", name, text);
    exit(2);
}

/* Wakes at a moment of the steady clock, or at ctrl-C. */
static void sleep_until(const struct timespec *start, double seconds)
{
    struct timespec at = *start;
    at.tv_sec += (time_t)seconds;
    at.tv_nsec += (long)((seconds - floor(seconds)) * 1e9);
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    while (!interrupted && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

int main(int argc, char **argv)
{
    static const char *const protocols[] = {"tcp", "ipc", "shm", NULL};
    static const int32_t protocol_of[] = {AQ_PROTOCOL_TCP, AQ_PROTOCOL_IPC, AQ_PROTOCOL_SHM};
    static const char *const compressions[] = {"none", "blosclz", "lz4", NULL};
    const int64_t channels = number(argc, argv, "channels", "4", 1, 4096);
    const int64_t rate = number(argc, argv, "rate", "1000", 1, 100000000);
    const int64_t chunk = number(argc, argv, "chunk", "50", 1, 1 << 20);
    const int64_t frames = number(argc, argv, "frames", "0", 0, INT64_MAX);
    const int64_t inputs = number(argc, argv, "inputs", "0", 0, 1000);
    const int64_t pace = number(argc, argv, "pace", "1", 0, 1);

    /* What the stream carries, and how. */
    const int64_t shape[] = {-1, channels};
    aq_output_stream_config config;
    CHECK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = protocol_of[choice(argc, argv, "protocol", protocols)];
    config.compression = choice(argc, argv, "compression", compressions); /* in the order of AQ_COMPRESSION_* */
    config.interface = option(argc, argv, "interface", NULL);
    config.dtype = "<i2";
    config.shape = shape;
    config.ndim = 2;
    config.sample_rate = (double)rate;
    config.units = "V";
    config.scale = 1e-4; /* 10000 is 1 V */
    aq_output_stream *output;
    CHECK(aq_output_stream_new(&config, &output));

    /* All that a receiver needs to know. */
    char json[4096];
    CHECK(aq_output_stream_params_json(output, json, sizeof json, NULL));
    puts(json);
    fflush(stdout);

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    /* Who connects later misses what was sent before. */
    while (!interrupted && aq_output_stream_wait_inputs(output, (uint64_t)inputs, 100000000) != AQ_OK)
        ;

    int16_t *data = (int16_t *)malloc((size_t)(chunk * channels) * sizeof *data);
    if (data == NULL)
        return 1;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int64_t sent = 0; !interrupted && (frames == 0 || sent < frames);) {
        int64_t count = frames > 0 && frames - sent < chunk ? frames - sent : chunk;
        for (int64_t i = 0; i < count; i++)
            for (int64_t c = 0; c < channels; c++) {
                double turns = (double)((sent + i) % rate * (c + 1) % rate) / (double)rate; /* no digits are lost with time */
                data[i * channels + c] = (int16_t)lround(10000 * sin(2 * 3.14159265358979323846 * turns));
            }
        if (pace)
            sleep_until(&start, (double)(sent + count) / (double)rate); /* when the last of them has been measured */
        /* A slow receiver is waited for; ctrl-C is looked for meanwhile. */
        aq_status status;
        do
            status = aq_output_stream_send(output, data, (size_t)count, AQ_INDEX_NEXT, 100000000);
        while (status == AQ_TIMEOUT && !interrupted);
        if (status != AQ_TIMEOUT)
            check(status, "aq_output_stream_send");
        sent += count;
    }
    free(data);

    aq_status flushed;
    do
        flushed = aq_output_stream_flush(output, 100000000);
    while (flushed == AQ_TIMEOUT && !interrupted);

    aq_output_stream_stats stats;
    CHECK(aq_output_stream_stats_init(&stats, sizeof stats));
    CHECK(aq_output_stream_get_stats(output, &stats));
    fprintf(stderr, "%" PRIu64 " frames in %" PRIu64 " chunks, %" PRIu64 " dropped for slow receivers\n", stats.published_frames,
            stats.chunks, stats.dropped_frames);
    aq_output_stream_free(output); /* waits up to a second (linger_ns) until tcp and ipc have sent it all */
    return 0;
}

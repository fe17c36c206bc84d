/* Records the events of an instrument: the program to start from, where data come packet by packet.
 *
 *   record_events FOLDER EVENTS RATE
 *
 * A thread reads the instrument (here it makes the events up: EVENTS of them, 0 for no end; RATE per second, 0 for as fast as it
 * can) and puts each into an event buffer. The buffer's own thread writes them to the files that this program creates in FOLDER:
 *
 *   events.dat          the events as they are, one behind the other
 *   events.csv          their values, by a packet layout
 *   events-000.aqe   with times, checksums, and marks where any were lost; a new file every 64 MiB
 *
 *   record_events . 100000 20000
 *
 * It ends after the last event, or at ctrl-C: what is in the buffer is then written, and the ledger printed.
 */
#define _POSIX_C_SOURCE 200809L /* sigwait, clock_nanosleep */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every call answers a status; after an error, aq_last_error() says in one sentence what was wrong. */
static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

/* An event as the instrument sends it: little-endian, without padding. The layout says the same to the library. */
#define EVENT_LAYOUT "<header:B=0xaa, time:Q, adc:h, temperature:f"
enum { EVENT_SIZE = 1 + 8 + 2 + 4 };

static void make_event(uint8_t event[EVENT_SIZE], uint64_t i)
{
    uint64_t time = i * 1000;
    int16_t adc = (int16_t)(i * 37 % 4096 - 2048);
    float temperature = 20.0f + (float)(i % 16) * 0.25f;
    event[0] = 0xaa;
    memcpy(event + 1, &time, 8); /* on a little-endian machine */
    memcpy(event + 9, &adc, 2);
    memcpy(event + 11, &temperature, 4);
}

struct instrument {
    aq_event_buffer *buffer;
    uint64_t events, rate;
    pthread_t main_thread;
};

/* The thread that reads the instrument. It never waits for the disk, but for space in the buffer when the disk is too slow for long. */
static void *acquire(void *argument)
{
    struct instrument *instrument = (struct instrument *)argument;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint64_t i = 0; instrument->events == 0 || i < instrument->events; i++) {
        uint8_t event[EVENT_SIZE];
        make_event(event, i);
        aq_status status = aq_event_buffer_put(instrument->buffer, event, sizeof event, AQ_WAIT_FOREVER);
        if (status == AQ_STOPPED)
            return NULL; /* ctrl-C */
        check(status, "aq_event_buffer_put");
        if (instrument->rate > 0) {
            next.tv_nsec += (long)(1000000000 / instrument->rate);
            next.tv_sec += next.tv_nsec / 1000000000;
            next.tv_nsec %= 1000000000;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        }
    }
    pthread_kill(instrument->main_thread, SIGUSR1); /* that was all */
    return NULL;
}

static void add_sinks(aq_event_buffer *buffer, const char *folder)
{
    char path[4096], header[256];
    size_t header_size;
    aq_packet_layout *layout;
    aq_sink_config sink;

    /* The primary sink: nothing is flushed without one. No file is ever written over. */
    snprintf(path, sizeof path, "%s/events.dat", folder);
    CHECK(aq_event_buffer_set_primary_sink(buffer, path));

    CHECK(aq_packet_layout_parse(EVENT_LAYOUT, &layout));
    CHECK(aq_packet_layout_csv_header(layout, header, sizeof header, &header_size));
    CHECK(aq_sink_config_init(&sink, sizeof sink));
    snprintf(path, sizeof path, "%s/events.csv", folder);
    sink.path = path; /* all that the struct points to is copied, or kept as long as it is needed */
    sink.mode = AQ_WRITE_CSV;
    sink.layout = layout;
    sink.header = header;
    sink.header_size = header_size - 1; /* without its NUL */
    CHECK(aq_event_buffer_add_sink(buffer, &sink, NULL));

    CHECK(aq_sink_config_init(&sink, sizeof sink));
    snprintf(path, sizeof path, "%s/events-%%03n.aqe", folder);
    sink.path = path;
    sink.mode = AQ_WRITE_FRAMED;
    sink.layout = layout; /* the files say what is in them */
    sink.rotate_bytes = 64 << 20;
    sink.durability = AQ_DURABILITY_INTERVAL; /* on the disk once a second, should the power fail */
    CHECK(aq_event_buffer_add_sink(buffer, &sink, NULL));
    CHECK(aq_packet_layout_free(layout));
}

/* What became of every event. Answers whether all were written. */
static int print_ledger(const aq_event_buffer *buffer)
{
    aq_event_buffer_stats stats;
    CHECK(aq_event_buffer_stats_init(&stats, sizeof stats));
    CHECK(aq_event_buffer_get_stats(buffer, &stats));
    int closed = stats.put == stats.flushed + stats.waiting + stats.popped + stats.cleared + stats.overflow_oldest +
                                  stats.overflow_newest;
    printf("%" PRIu64 " events put = %" PRIu64 " written + %" PRIu64 " still in the buffer + %" PRIu64
           " lost, ledger closed: %s\n",
           stats.put, stats.flushed, stats.waiting, stats.overflow_oldest + stats.overflow_newest, closed ? "yes" : "no");
    printf("%" PRIu64 " flushes, %" PRIu64 " failed; %" PRIu64 " bytes written; %" PRIu64 " puts had to wait\n", stats.flushes,
           stats.flush_errors, stats.written_bytes, stats.blocked);
    return closed && stats.flushed == stats.put;
}

static uint64_t number(const char *text, const char *name)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || *text == '-' || value > 1000000000000) {
        fprintf(stderr, "%s must be a number from 0 to 10^12 (got %s)\n", name, text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s FOLDER EVENTS RATE\n", argv[0]);
        return 2;
    }
    struct instrument instrument;
    instrument.events = number(argv[2], "EVENTS");
    instrument.rate = number(argv[3], "RATE");
    instrument.main_thread = pthread_self();

    /* ctrl-C waits until the main thread asks for it. Before any thread starts, so that all have it so. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    aq_event_buffer_config config;
    CHECK(aq_event_buffer_config_init(&config, sizeof config));
    config.flush_size = 10000; /* a flush after so many events, */
    config.flush_timeout_ns = INT64_C(1000000000); /* or after a second */
    config.capacity_bytes = 64 << 20; /* what may wait for a slow disk; then the instrument's thread waits, too */
    CHECK(aq_event_buffer_new(&config, &instrument.buffer));
    add_sinks(instrument.buffer, argv[1]);
    CHECK(aq_event_buffer_start_flusher(instrument.buffer));

    pthread_t thread;
    if (pthread_create(&thread, NULL, acquire, &instrument) != 0) {
        fprintf(stderr, "cannot start a thread\n");
        return 1;
    }
    int signal;
    sigwait(&signals, &signal);
    fprintf(stderr, signal == SIGUSR1 ? "the instrument has ended\n" : "interrupted\n");

    CHECK(aq_event_buffer_stop(instrument.buffer)); /* a put now answers AQ_STOPPED, also one that waits */
    pthread_join(thread, NULL);
    /* Writes what is left. If that fails (the disk is full, say), it is still in the buffer, and could be tried again. */
    aq_status status = aq_event_buffer_stop_flusher(instrument.buffer);
    if (status != AQ_OK)
        fprintf(stderr, "the last flush: %s\n", aq_last_error());
    int complete = print_ledger(instrument.buffer);
    CHECK(aq_event_buffer_free(instrument.buffer)); /* closes the files */
    return complete ? 0 : 1;
}

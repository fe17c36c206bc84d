/* Keeps the latest samples of an instrument, and writes them to a file when something happens: what was before it, and a little of
 * what came after.
 *
 *   pretrigger FOLDER SAMPLES
 *
 * The history is a circular event buffer of limited capacity: a new sample takes the place of the oldest one. When a trigger comes, the
 * program waits for AFTER more samples, and then flushes the buffer to a file of its own, FOLDER/trigger-0.dat and so on. Here the
 * instrument is made up: SAMPLES samples, with a pulse now and then.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

enum { BEFORE = 1000, AFTER = 100, THRESHOLD = 500 };

struct sample {
    uint32_t number;
    int32_t value;
};

/* Noise, and pulses at samples 300, 7300, 14300, ... and at 7250, which belongs to the same event as 7300. */
static struct sample read_instrument(uint32_t i)
{
    struct sample sample;
    sample.number = i;
    sample.value = (int32_t)(i * UINT32_C(2654435761) >> 25) + (i % 7000 == 300 || i == 7250 ? 1000 : 0);
    return sample;
}

/* Writes the history to the next file. The buffer is empty then: no sample gets into two files. */
static void dump(aq_event_buffer *buffer, const char *folder, int *n_files)
{
    char path[4096];
    uint64_t n_samples;
    snprintf(path, sizeof path, "%s/trigger-%d.dat", folder, (*n_files)++);
    CHECK(aq_event_buffer_set_primary_sink(buffer, path)); /* begins with the oldest sample */
    CHECK(aq_event_buffer_flush(buffer, &n_samples, NULL));
    CHECK(aq_event_buffer_disconnect_sinks(buffer)); /* closes the file */
    printf("%s: %" PRIu64 " samples\n", path, n_samples);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s FOLDER SAMPLES\n", argv[0]);
        return 2;
    }
    uint32_t n_samples = (uint32_t)strtoul(argv[2], NULL, 10);

    aq_event_buffer_config config;
    aq_event_buffer *buffer;
    CHECK(aq_event_buffer_config_init(&config, sizeof config));
    config.kind = AQ_CIRCULAR;               /* when it is full, the oldest samples go */
    config.capacity = BEFORE + 1 + AFTER;    /* samples before the trigger, itself, and those after it */
    config.timestamps = 0;                   /* samples have their own */
    CHECK(aq_event_buffer_new(&config, &buffer));

    int n_files = 0, left = -1; /* samples to come until the history is written; -1: there was no trigger */
    for (uint32_t i = 0; i < n_samples; i++) {
        struct sample sample = read_instrument(i);
        CHECK(aq_event_buffer_put(buffer, &sample, sizeof sample, 0));
        if (left >= 0)
            left--;
        else if (sample.value > THRESHOLD)
            left = AFTER;
        if (left == 0) {
            dump(buffer, argv[1], &n_files);
            left = -1;
        }
    }
    if (left > 0)
        dump(buffer, argv[1], &n_files);

    /* Every sample is in a file, was overtaken by newer ones, or is still in the history. */
    aq_event_buffer_stats stats;
    CHECK(aq_event_buffer_stats_init(&stats, sizeof stats));
    CHECK(aq_event_buffer_get_stats(buffer, &stats));
    printf("%" PRIu64 " samples = %" PRIu64 " in %d files + %" PRIu64 " overtaken + %" PRIu64 " in the history\n", stats.put,
           stats.flushed, n_files, stats.overflow_oldest, stats.waiting);
    CHECK(aq_event_buffer_free(buffer));
    return stats.put == stats.flushed + stats.overflow_oldest + stats.waiting ? 0 : 1;
}

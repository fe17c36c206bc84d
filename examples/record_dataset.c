/* Records a signal stream to a dataset of an HDF5 file, with every gap told.
 *
 *   record_dataset PARAMS FILE DATASET [NAME=VALUE ...]
 *
 *   record_dataset "$(head -1 producer.out)" run7.h5 raw/adc packing=deflate
 *
 * PARAMS is what a producer says of its stream, a JSON text (examples/signal_producer.c). It ends with the stream (of shm), or by ctrl-C. Names, and what they are
 * by default:
 *
 *   packing  none   none, deflate, lz4, zstd, blosc_lz4 or blosc_zstd; all but none with the bytes of elements sorted before
 *   frames   0      how many to record; 0: all that come
 *   swmr     0      1: others may read the file meanwhile (h5py: swmr=True)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigaction */
#endif
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    for (int i = 4; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            value = argv[i] + length + 1;
    return value;
}

int main(int argc, char **argv)
{
    static const char *const packings[] = {"none", "deflate", "lz4", "zstd", "blosc_lz4", "blosc_zstd"};
    if (argc < 4) {
        fprintf(stderr, "usage: record_dataset PARAMS FILE DATASET [NAME=VALUE ...]\n");
        return 2;
    }
    const uint64_t frames = strtoull(option(argc, argv, "frames", "0"), NULL, 10);

    aq_dataset_recorder_config config;
    CHECK(aq_dataset_recorder_config_init(&config, sizeof config));
    config.packing = -1;
    for (int32_t i = 0; i < 6; i++) /* in the order of AQ_PACK_* */
        if (strcmp(option(argc, argv, "packing", "none"), packings[i]) == 0)
            config.packing = i;
    config.shuffle = config.packing != AQ_PACK_NONE;
    config.swmr = strcmp(option(argc, argv, "swmr", "0"), "1") == 0;

    aq_input_stream *input = NULL;
    aq_dataset_recorder *recorder = NULL;
    CHECK(aq_input_stream_connect(argv[1], NULL, &input));
    CHECK(aq_dataset_recorder_new_on_input(argv[2], argv[3], &config, input, &recorder));

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    /* The recorder works by itself; a look now and then is enough. */
    aq_dataset_recorder_stats stats;
    CHECK(aq_dataset_recorder_stats_init(&stats, sizeof stats));
    while (!interrupted && aq_dataset_recorder_wait(recorder, 20000000) == AQ_TIMEOUT) {
        CHECK(aq_dataset_recorder_get_stats(recorder, &stats));
        if (frames > 0 && stats.rows_given >= frames)
            break;
    }

    /* What was taken is written; only then the file is closed. */
    aq_status status = aq_dataset_recorder_stop(recorder);
    if (status != AQ_OK)
        fprintf(stderr, "the recording has failed: %s\n", aq_last_error());
    CHECK(aq_dataset_recorder_get_stats(recorder, &stats));
    printf("%" PRIu64 " frames in %" PRIu64 " stretches, %" PRIu64 " bytes stored, %" PRIu64 " frames lost\n", stats.rows_written,
           stats.segments, stats.bytes_stored, stats.rows_lost);
    aq_dataset_recorder_free(recorder);
    aq_input_stream_free(input);
    return status == AQ_OK ? 0 : 1;
}

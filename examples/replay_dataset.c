/* Plays a dataset of an HDF5 file as a signal stream, at the rate that it was recorded at or any other.
 *
 *   replay_dataset FILE DATASET [NAME=VALUE ...]
 *
 *   replay_dataset run7.h5 raw/adc rate=1000 loops=0
 *
 * The first line that it prints is the stream's params, a JSON text, with which receivers connect (examples/signal_consumer.c, `aqueduct stream tail`). Names, and
 * what they are by default:
 *
 *   protocol  shm  shm, tcp or ipc
 *   rate      0    rows per second; 0: as recorded (the dataset's attribute sample_rate); max: as fast as receivers take them
 *   loops     1    how often; 0: until ctrl-C
 *   start     0    the first row
 *   stop      0    the row behind the last; 0: all
 *   inputs    1    receivers to wait for before the first row
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigaction */
#endif
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <math.h>
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
    for (int i = 3; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            value = argv[i] + length + 1;
    return value;
}

static uint64_t number(int argc, char **argv, const char *name, const char *value)
{
    return strtoull(option(argc, argv, name, value), NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: replay_dataset FILE DATASET [NAME=VALUE ...]\n");
        return 2;
    }

    /* What is played, and when. */
    const char *rate = option(argc, argv, "rate", "0");
    aq_dataset_replay_config config;
    CHECK(aq_dataset_replay_config_init(&config, sizeof config));
    config.rate = strcmp(rate, "max") == 0 ? INFINITY : strtod(rate, NULL);
    config.loops = number(argc, argv, "loops", "1");
    config.first_row = number(argc, argv, "start", "0");
    config.end_row = number(argc, argv, "stop", "0");

    /* How it travels. What frames are is the dataset's. */
    const char *protocol = option(argc, argv, "protocol", "shm");
    aq_output_stream_config output_config;
    CHECK(aq_output_stream_config_init(&output_config, sizeof output_config));
    output_config.protocol = strcmp(protocol, "tcp") == 0   ? AQ_PROTOCOL_TCP
                             : strcmp(protocol, "ipc") == 0 ? AQ_PROTOCOL_IPC
                                                            : AQ_PROTOCOL_SHM;

    aq_dataset_replay *replay = NULL;
    aq_output_stream *output = NULL;
    char params[65536];
    CHECK(aq_dataset_replay_new(argv[1], argv[2], &config, &output_config, &replay));
    CHECK(aq_dataset_replay_get_output(replay, &output));
    CHECK(aq_output_stream_params_json(output, params, sizeof params, NULL));
    printf("%s\n", params);
    fflush(stdout);

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    const uint64_t inputs = number(argc, argv, "inputs", "1");
    while (!interrupted && aq_output_stream_wait_inputs(output, inputs, 100000000) == AQ_TIMEOUT)
        ;

    aq_status status = AQ_TIMEOUT;
    if (!interrupted)
        CHECK(aq_dataset_replay_start(replay));
    while (!interrupted && (status = aq_dataset_replay_wait(replay, 100000000)) == AQ_TIMEOUT)
        ;
    if (status < 0)
        fprintf(stderr, "the replay has failed: %s\n", aq_last_error());
    CHECK(aq_dataset_replay_stop(replay));

    aq_dataset_replay_stats stats;
    CHECK(aq_dataset_replay_stats_init(&stats, sizeof stats));
    CHECK(aq_dataset_replay_get_stats(replay, &stats));
    fprintf(stderr, "%" PRIu64 " rows in %" PRIu64 " chunks, at most %.1f ms late\n", stats.rows, stats.chunks,
            (double)stats.late_ns / 1e6);
    aq_dataset_replay_free(replay);
    aq_output_stream_free(output); /* the receivers' end */
    return status < 0 ? 1 : 0;
}

/* Rows of an HDF5 dataset, read at random and in parallel, in the order in which they were asked for.
 *
 *   random_access FILE DATASET [field=NAME] [rows=10] [count=10000] [threads=2] [stages=16]
 *
 * Reads `count` times `rows` rows from places all over the dataset, and prints how fast that was and a hash of all bytes. One thread asks: it waits
 * when all stages are taken. Another takes the results, in the same order, and looks at them where they are.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime */
#endif
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_DIMS = 32 };

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

struct job {
    aq_reader *reader;
    aq_dataset *dataset;
    aq_stage_pool *stages;
    aq_request_pool *requests;
    const char *field;
    uint64_t all; /* rows of the dataset */
    uint64_t rows, count;
};

static void *ask(void *data)
{
    struct job *job = (struct job *)data;
    aq_selection *selection;
    uint64_t state = 1;
    CHECK(aq_selection_new(&selection));
    CHECK(aq_selection_field(selection, job->field));
    for (uint64_t i = 0; i < job->count; i++) {
        aq_future *future;
        state = state * UINT64_C(6364136223846793005) + 1;
        int64_t first = (int64_t)((state >> 33) % (job->all - job->rows + 1));
        CHECK(aq_selection_slice(selection, 0, first, first + (int64_t)job->rows, 1));
        CHECK(aq_reader_request_pooled(job->reader, job->dataset, selection, job->stages, AQ_WAIT_FOREVER, &future));
        CHECK(aq_request_pool_add(job->requests, future));
    }
    CHECK(aq_request_pool_close(job->requests));
    CHECK(aq_selection_free(selection));
    return NULL;
}

struct result {
    uint64_t bytes, hash;
};

/* What a program would do with the rows: here, a hash of their bytes. */
static void look(const aq_array_view *view, void *user)
{
    struct result *result = (struct result *)user;
    const unsigned char *bytes = (const unsigned char *)view->data;
    for (size_t i = 0; i < view->size; i++)
        result->hash = (result->hash ^ bytes[i]) * UINT64_C(0x00000100000001b3);
    result->bytes += view->size;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void describe(const aq_dataset *dataset, const char *name)
{
    static const char *const ways[] = {"contiguous", "chunks", "chunks read by libhdf5", "libhdf5"};
    uint64_t shape[MAX_DIMS];
    size_t ndim;
    aq_element_type type;
    int32_t kind;
    char reason[300] = "";
    CHECK(aq_dataset_shape(dataset, shape, MAX_DIMS, &ndim));
    CHECK(aq_element_type_init(&type, sizeof type));
    CHECK(aq_dataset_dtype(dataset, &type));
    CHECK(aq_dataset_path_kind(dataset, &kind));
    printf("%s: %s [", name, type.dtype);
    for (size_t axis = 0; axis < ndim; axis++)
        printf("%s%" PRIu64, axis > 0 ? ", " : "", shape[axis]);
    printf("], read by %s", kind >= 0 && kind < 4 ? ways[kind] : "another way");
    if (aq_dataset_path_reason(dataset, reason, sizeof reason, NULL) == AQ_OK && reason[0] != '\0')
        printf(": %s", reason);
    printf("\n");
}

/* The number of an argument NAME=NUMBER. */
static int number(const char *argument, const char *name, uint64_t *value)
{
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=')
        return 0;
    *value = strtoull(argument + length + 1, NULL, 10);
    return 1;
}

int main(int argc, char **argv)
{
    struct job job = {NULL, NULL, NULL, NULL, NULL, 0, 10, 10000};
    uint64_t threads = 2, stages = 16;
    if (argc < 3) {
        fprintf(stderr, "usage: %s FILE DATASET [field=NAME] [rows=10] [count=10000] [threads=2] [stages=16]\n", argv[0]);
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        if (strncmp(argv[i], "field=", 6) == 0) {
            job.field = argv[i] + 6;
        } else if (!number(argv[i], "rows", &job.rows) && !number(argv[i], "count", &job.count) &&
                   !number(argv[i], "threads", &threads) && !number(argv[i], "stages", &stages)) {
            fprintf(stderr, "%s: unknown argument %s\n", argv[0], argv[i]);
            return 2;
        }
    }

    aq_reader_config config;
    CHECK(aq_reader_config_init(&config, sizeof config));
    config.n_threads = (size_t)threads;
    CHECK(aq_reader_open(argv[1], &config, &job.reader));
    CHECK(aq_reader_get_dataset(job.reader, argv[2], &job.dataset));
    describe(job.dataset, argv[2]);

    uint64_t shape[MAX_DIMS];
    size_t ndim;
    CHECK(aq_dataset_shape(job.dataset, shape, MAX_DIMS, &ndim));
    job.all = shape[0];
    if (job.rows == 0 || job.rows > job.all) {
        fprintf(stderr, "rows must be 1 to %" PRIu64 " (got %" PRIu64 ")\n", job.all, job.rows);
        return 1;
    }
    const int64_t stage_rows = (int64_t)job.rows;
    CHECK(aq_stage_pool_new(job.dataset, &stage_rows, 1, (size_t)stages, &job.stages));
    CHECK(aq_request_pool_new(&job.requests));

    double began = seconds();
    pthread_t asking;
    if (pthread_create(&asking, NULL, ask, &job) != 0) {
        fprintf(stderr, "no thread\n");
        return 1;
    }
    struct result result = {0, UINT64_C(0xcbf29ce484222325)};
    aq_future *future;
    while (aq_request_pool_next(job.requests, AQ_WAIT_FOREVER, &future) == AQ_OK) {
        CHECK(aq_future_get_direct(future, AQ_WAIT_FOREVER, look, &result));
        CHECK(aq_future_free(future)); /* the stage can be used again */
    }
    double took = seconds() - began;
    pthread_join(asking, NULL);

    aq_reader_stats stats;
    CHECK(aq_reader_stats_init(&stats, sizeof stats));
    CHECK(aq_reader_get_stats(job.reader, &stats));
    printf("%" PRIu64 " requests, %" PRIu64 " bytes in %.3f s: %.0f requests/s; %" PRIu64 " chunks unpacked\n", stats.done,
           result.bytes, took, (double)stats.done / took, stats.chunks_decoded);
    printf("fnv1a %016" PRIx64 "\n", result.hash);
    CHECK(aq_request_pool_free(job.requests));
    CHECK(aq_stage_pool_free(job.stages));
    CHECK(aq_dataset_free(job.dataset));
    CHECK(aq_reader_free(job.reader));
    return 0;
}

/* Thread pools: starting, stopping, cores, and that streams keep them alive. */
#include "receive.h"
#include <dirent.h>

/* How many threads this process has whose name begins with "aqueduct-"; how many of them may only run on `core`. */
static int workers(int core, int *bound)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    char wanted[32];
    int found = 0;
    snprintf(wanted, sizeof wanted, "%d\n", core);
    *bound = 0;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[512], line[256], *list = line;
        int is_worker = 0;
        FILE *file;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            if (strncmp(line, "Name:\taqueduct-", 15) == 0)
                found++, is_worker = 1;
            if (is_worker && strncmp(line, "Cpus_allowed_list:\t", 19) == 0)
                list = line + 19, *bound += strcmp(list, wanted) == 0;
        }
        if (file != NULL)
            fclose(file);
    }
    if (folder != NULL)
        closedir(folder);
    return found;
}

/* The first core that this thread may use, from its "Cpus_allowed_list". */
static int first_core(void)
{
    char line[256];
    int core = -1;
    FILE *file = fopen("/proc/thread-self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Cpus_allowed_list:\t", 19) == 0)
            core = (int)strtol(line + 19, NULL, 10);
    if (file != NULL)
        fclose(file);
    return core;
}

static void start_and_stop(void)
{
    aq_thread_pool *pool = NULL;
    int bound;
    CHECK_OK(aq_thread_pool_new(3, NULL, 0, &pool));
    CHECK_EQ(workers(0, &bound), 3);
    CHECK_OK(aq_thread_pool_stop(pool));
    CHECK_EQ(workers(0, &bound), 0); /* they have been waited for */
    CHECK_OK(aq_thread_pool_stop(pool));
    CHECK_OK(aq_thread_pool_free(pool));
    CHECK_OK(aq_thread_pool_new(2, NULL, 0, &pool));
    CHECK_OK(aq_thread_pool_free(pool)); /* without a stop; no stream is left on it */
    CHECK_EQ(workers(0, &bound), 0);
    CHECK_OK(aq_thread_pool_free(NULL));
}

static void cores(void)
{
    int32_t core = first_core(), two[2];
    int bound;
    aq_thread_pool *pool = NULL;
    CHECK(core >= 0);
    two[0] = two[1] = core;
    CHECK_OK(aq_thread_pool_new(3, two, 2, &pool)); /* more threads than cores: they take turns */
    CHECK_EQ(workers(core, &bound), 3);
    CHECK_EQ(bound, 3);
    CHECK_OK(aq_thread_pool_free(pool));
    pool = NULL;
    two[1] = 100000;
    CHECK_ERROR(aq_thread_pool_new(2, two, 2, &pool), AQ_E_INVALID, "core 100000");
    CHECK(pool == NULL);
    CHECK_EQ(workers(core, &bound), 0); /* the first thread was stopped again */
    CHECK_OK(aq_thread_pool_new(1, two, 2, &pool)); /* the second core is not used */
    CHECK_OK(aq_thread_pool_free(pool));
}

static void calling_thread(void)
{
    int core = first_core();
    char expected[32], line[256] = "";
    FILE *file;
    CHECK_OK(aq_thread_set_affinity(core));
    snprintf(expected, sizeof expected, "Cpus_allowed_list:\t%d\n", core);
    file = fopen("/proc/thread-self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && strncmp(line, "Cpus_allowed_list:", 18) != 0)
        continue;
    if (file != NULL)
        fclose(file);
    CHECK_TEXT(line, expected);
    CHECK_ERROR(aq_thread_set_affinity(-1), AQ_E_INVALID, "core must be at least 0 (got -1)");
    CHECK_ERROR(aq_thread_set_affinity(100000), AQ_E_IO, "core 100000");
    CHECK_ERROR(aq_thread_set_affinity(1023), AQ_E_IO, "core 1023");
}

/* The handle goes first; the stream receives all the same, and its end is the threads' end. */
static void freed_before_its_streams(void)
{
    struct receiver r;
    struct packets p = no_packets();
    int bound;
    receiver_init(&r);
    receiver_open(&r, 4);
    CHECK_OK(aq_thread_pool_free(r.pool));
    r.pool = NULL;
    for (int i = 0; i < 8; i++)
        spead_heap(&p, (uint64_t)i, HEAP_SIZE, HEAP_SIZE);
    receiver_feed(&r, &p);
    receiver_drain(&r);
    CHECK_EQ(r.stats.complete_heaps, 8);
    CHECK_EQ(workers(0, &bound), 1);
    receiver_close(&r);
    CHECK_EQ(workers(0, &bound), 0);
    spead_free(&p);
}

/* Streams of a stopped pool have ended, and new ones are refused. */
static void stopped_under_a_stream(void)
{
    struct receiver r;
    aq_recv_stream *another = NULL;
    struct placing placing;
    aq_chunk *chunk;
    receiver_init(&r);
    receiver_open(&r, 4);
    CHECK_OK(aq_thread_pool_stop(r.pool));
    CHECK_OK(aq_recv_stream_end_reason(r.stream, &r.reason, NULL, NULL, 0));
    CHECK_EQ(r.reason, AQ_END_POOL_STOPPED);
    CHECK_STATUS(aq_chunk_ring_get(r.data, AQ_WAIT_FOREVER, &chunk), AQ_STOPPED);
    CHECK_OK(aq_recv_stream_stop(r.stream));
    memset(&placing, 0, sizeof placing);
    r.chunk_config.place_user = &placing;
    CHECK_ERROR(aq_chunk_ring_stream_new(r.pool, NULL, &r.chunk_config, r.data, r.free_ring, &another), AQ_E_STATE,
                "stopped");
    CHECK(another == NULL);
    CHECK_EQ(load(&placing.freed), 1);
    receiver_close(&r);
}

int main(void)
{
    start_and_stop();
    cores();
    freed_before_its_streams();
    stopped_under_a_stream();
    calling_thread(); /* last: it binds this thread */
    return check_done();
}

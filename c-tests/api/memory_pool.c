/* Memory pools: under a stream of heaps, refilled in the background, of a NUMA node, empty. */
#include "heaps.h"
#include <semaphore.h>

enum { HEAPS = 20, SIZE = 5000 };

static aq_memory_pool_config pool_config(void)
{
    aq_memory_pool_config config;
    CHECK_OK(aq_memory_pool_config_init(&config, sizeof config));
    config.lower = 4096;
    config.upper = 8192;
    config.max_free = 4;
    config.initial = 2;
    return config;
}

static aq_memory_pool_stats pool_stats(const aq_allocator *pool)
{
    aq_memory_pool_stats stats;
    CHECK_OK(aq_memory_pool_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_memory_pool_get_stats(pool, &stats));
    return stats;
}

static void defaults(void)
{
    aq_memory_pool_config config, set = pool_config();
    aq_allocator *pool = NULL;
    CHECK_OK(aq_memory_pool_config_init(&config, sizeof config));
    CHECK_EQ(config.lower, 1);
    CHECK_EQ(config.upper, 0);
    CHECK_EQ(config.max_free, 0);
    CHECK_EQ(config.initial, 0);
    CHECK_EQ(config.low_water, 0);
    CHECK_EQ(config.warn_on_empty, 1);
    CHECK_OK(aq_memory_pool_new(&set, NULL, NULL, &pool));
    CHECK_OK(aq_memory_pool_set_warn_on_empty(pool, 0));
    CHECK_OK(aq_memory_pool_get_config(pool, &config));
    CHECK_EQ(config.lower, 4096);
    CHECK_EQ(config.upper, 8192);
    CHECK_EQ(config.max_free, 4);
    CHECK_EQ(config.initial, 2);
    CHECK_EQ(config.low_water, 0);
    CHECK_EQ(config.warn_on_empty, 0);
    CHECK_OK(aq_allocator_free(pool));
}

/* Every heap's payload is a buffer of the pool; the heaps outlive the pool and the stream. */
static void under_a_stream(void)
{
    aq_memory_pool_config config = pool_config();
    aq_allocator *pool = NULL;
    aq_memory_pool_stats stats;
    aq_heap *held[HEAPS];
    struct heap_receiver r;
    struct packets p = no_packets();
    config.warn_on_empty = 0;
    CHECK_OK(aq_memory_pool_new(&config, NULL, NULL, &pool));
    CHECK_EQ(pool_stats(pool).available, 2);
    for (uint64_t cnt = 1; cnt <= HEAPS; cnt++)
        spead_packet(&p, cnt, SIZE, -1, 0, SIZE);
    spead_packet(&p, HEAPS + 1, 100, -1, 0, 100); /* too small for the pool */
    heaps_init(&r);
    r.config.memory_allocator = pool;
    r.ring.heaps = HEAPS + 1;
    heaps_open(&r);
    heaps_feed(&r, &p);
    for (uint64_t cnt = 1; cnt <= HEAPS; cnt++) {
        held[cnt - 1] = heaps_next(&r);
        CHECK(held[cnt - 1] != NULL && heap_is(held[cnt - 1], cnt, SIZE));
    }
    CHECK_OK(aq_heap_free(heaps_next(&r)));
    stats = pool_stats(pool);
    CHECK_EQ(stats.available, 0);
    CHECK_EQ(stats.in_use, HEAPS);
    CHECK_EQ(stats.reused, 2);
    CHECK_EQ(stats.empty, HEAPS - 2);
    CHECK_EQ(stats.other_sizes, 1);
    CHECK_EQ(stats.refilled + stats.released + stats.failed, 0);
    for (int i = 0; i < 10; i++)
        CHECK_OK(aq_heap_free(held[i]));
    stats = pool_stats(pool);
    CHECK_EQ(stats.available, 4);
    CHECK_EQ(stats.in_use, HEAPS - 10);
    CHECK_EQ(stats.released, 6);
    heaps_close(&r);
    CHECK_OK(aq_allocator_free(pool));
    for (int i = 10; i < HEAPS; i++) {
        CHECK(heap_is(held[i], (uint64_t)i + 1, SIZE));
        CHECK_OK(aq_heap_free(held[i]));
    }
    spead_free(&p);
}

/* A base that tells of every buffer that it makes. */
static void *allocate(size_t size, const uint8_t *packet, size_t packet_size, void **cookie, void *user)
{
    void *memory = malloc(size);
    (void)packet, (void)packet_size, (void)cookie;
    CHECK_EQ(size, 8192);
    CHECK_EQ(sem_post((sem_t *)user), 0);
    return memory;
}

static void release(void *memory, size_t size, void *cookie, void *user)
{
    (void)size, (void)cookie, (void)user;
    free(memory);
}

static aq_chunk *take(const aq_allocator *pool)
{
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_new_alloc(pool, 8192, 1, 0, &chunk));
    memset(aq_chunk_data(chunk), 0x77, 8192);
    return chunk;
}

static void refilled_in_the_background(void)
{
    aq_memory_pool_config config = pool_config();
    aq_allocator_vtable vtable;
    aq_allocator *base = NULL, *pool = NULL;
    aq_thread_pool *threads = NULL;
    aq_chunk *chunks[2];
    sem_t made;
    CHECK_EQ(sem_init(&made, 0, 0), 0);
    CHECK_OK(aq_allocator_vtable_init(&vtable, sizeof vtable));
    vtable.allocate = allocate;
    vtable.release = release;
    CHECK_OK(aq_allocator_new(&vtable, &made, NULL, &base));
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &threads));
    config.low_water = 1;
    CHECK_OK(aq_memory_pool_new(&config, threads, base, &pool));
    CHECK_OK(aq_allocator_free(base)); /* the pool keeps both */
    CHECK_OK(aq_thread_pool_free(threads));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(sem_wait(&made), 0);
    for (int i = 0; i < 2; i++)
        chunks[i] = take(pool);
    for (int i = 0; i < 2; i++) /* none were left: two more */
        CHECK_EQ(sem_wait(&made), 0);
    for (int i = 0; i < 2; i++)
        CHECK_OK(aq_chunk_free(chunks[i]));
    CHECK_EQ(pool_stats(pool).empty, 0);
    CHECK_OK(aq_allocator_free(pool));
    CHECK_EQ(sem_destroy(&made), 0);
}

static void of_a_numa_node(void)
{
    aq_memory_pool_config config = pool_config();
    aq_allocator *base = NULL, *pool = NULL;
    aq_status status = aq_numa_allocator_new(0, 0, 1, &base);
    if (status == AQ_E_IO) { /* mbind is not for everybody, in a container */
        printf("SKIPPED: %s\n", aq_last_error());
        return;
    }
    CHECK_STATUS(status, AQ_OK);
    CHECK_OK(aq_memory_pool_new(&config, NULL, base, &pool));
    CHECK_OK(aq_allocator_free(base));
    CHECK_OK(aq_chunk_free(take(pool)));
    CHECK_EQ(pool_stats(pool).reused, 1);
    CHECK_EQ(pool_stats(pool).available, 2);
    CHECK_OK(aq_allocator_free(pool));
}

static int warnings;

static void count_warnings(int32_t level, const char *target, const char *message, void *user)
{
    (void)target, (void)user;
    if (level == AQ_LOG_WARN && strstr(message, "memory pool: empty") != NULL)
        warnings++;
}

static void says_that_it_is_empty(void)
{
    aq_memory_pool_config config = pool_config();
    aq_allocator *pool = NULL;
    CHECK_OK(aq_set_log(count_warnings, NULL, NULL, AQ_LOG_WARN));
    for (int warn = 0; warn <= 1; warn++) {
        aq_chunk *chunks[20];
        CHECK_OK(aq_memory_pool_new(&config, NULL, NULL, &pool));
        CHECK_OK(aq_memory_pool_set_warn_on_empty(pool, warn));
        for (int i = 0; i < 20; i++)
            chunks[i] = take(pool);
        CHECK_EQ(pool_stats(pool).empty, 18);
        CHECK_EQ(warnings, warn); /* once, not 18 times */
        for (int i = 0; i < 20; i++)
            CHECK_OK(aq_chunk_free(chunks[i]));
        CHECK_OK(aq_allocator_free(pool));
    }
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
}

int main(void)
{
    defaults();
    under_a_stream();
    refilled_in_the_background();
    of_a_numa_node();
    says_that_it_is_empty();
    return check_done();
}

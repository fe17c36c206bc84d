/* What a caller can get wrong with memory pools. */
#include "misuse/handles.h"
#include "sized.h"

static aq_memory_pool_config valid(void)
{
    aq_memory_pool_config config;
    CHECK_OK(aq_memory_pool_config_init(&config, sizeof config));
    config.lower = 10;
    config.upper = 20;
    config.max_free = 3;
    config.initial = 2;
    return config;
}

static aq_status use_config(const void *config)
{
    aq_allocator *pool = NULL;
    aq_status status = aq_memory_pool_new((const aq_memory_pool_config *)config, NULL, NULL, &pool);
    aq_allocator_free(pool);
    return status;
}

static void sizes(void)
{
    aq_memory_pool_config config = valid();
    CHECK_SIZED_INIT(aq_memory_pool_config, aq_memory_pool_config_init);
    CHECK_SIZED_INIT(aq_memory_pool_stats, aq_memory_pool_stats_init);
    check_sized_input(&config, sizeof config, use_config);
}

#define CHECK_FIELD(field, value, message)                                                                            \
    do {                                                                                                              \
        aq_memory_pool_config config = valid();                                                                       \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, message);                                                      \
    } while (0)

static void numbers(void)
{
    aq_memory_pool_config config = valid();
    CHECK_FIELD(upper, 0, "upper must be between 1 and");
    CHECK_FIELD(upper, SIZE_MAX, "upper must be between 1 and");
    CHECK_FIELD(lower, 21, "lower must be at most upper (got 21 and 20)");
    CHECK_FIELD(max_free, 0, "max_free must be at least 1 (got 0)");
    CHECK_FIELD(initial, 4, "initial must be at most max_free (got 4 and 3)");
    CHECK_FIELD(low_water, 3, "low_water must be at most initial (got 3 and 2)");
    CHECK_FIELD(low_water, 1, "low_water must be 0 without a thread pool that refills (got 1)");
    CHECK_FIELD(warn_on_empty, 2, "config: warn_on_empty must be 0 or 1 (got 2)");
    config.reserved = 1;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "config: reserved must be 0 (got 1)");
    config.reserved = 0;
    config.upper = SIZE_MAX / 4; /* the initial buffers are not to be had */
    CHECK_ERROR(use_config(&config), AQ_E_NOMEM, "cannot allocate");
}

static void handles(void)
{
    struct handles h;
    aq_memory_pool_config config = valid();
    aq_memory_pool_stats stats;
    aq_allocator *pool = NULL;
    aq_thread_pool *stopped = NULL;
    handles_open(&h);
    CHECK_OK(aq_memory_pool_stats_init(&stats, sizeof stats));
    CHECK_ERROR(aq_memory_pool_new(&config, NULL, NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_WRONG_HANDLES(h, POOL, aq_thread_pool, "thread_pool", aq_memory_pool_new(&config, wrong, NULL, &pool));
    CHECK_WRONG_HANDLES(h, ALLOCATOR, aq_allocator, "base", aq_memory_pool_new(&config, NULL, wrong, &pool));
    CHECK_WRONG_HANDLES(h, ALLOCATOR, aq_allocator, "pool", aq_memory_pool_set_warn_on_empty(wrong, 0));
    CHECK_WRONG_HANDLES(h, ALLOCATOR, aq_allocator, "pool", aq_memory_pool_get_config(wrong, &config));
    CHECK_WRONG_HANDLES(h, ALLOCATOR, aq_allocator, "pool", aq_memory_pool_get_stats(wrong, &stats));
    CHECK_ERROR(aq_memory_pool_set_warn_on_empty(NULL, 0), AQ_E_INVALID, "pool must not be NULL");
    CHECK_ERROR(aq_memory_pool_get_stats(NULL, &stats), AQ_E_INVALID, "pool must not be NULL");
    CHECK_ERROR(aq_memory_pool_get_config(NULL, &config), AQ_E_INVALID, "pool must not be NULL");
    /* an allocator, but not a pool */
    CHECK_ERROR(aq_memory_pool_get_stats((aq_allocator *)h.of[ALLOCATOR], &stats), AQ_E_INVALID, "not a memory pool");
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &stopped));
    CHECK_OK(aq_thread_pool_stop(stopped));
    config.low_water = 1;
    CHECK_ERROR(aq_memory_pool_new(&config, stopped, NULL, &pool), AQ_E_STATE, "stopped");
    CHECK(pool == NULL);
    CHECK_OK(aq_memory_pool_new(&config, (aq_thread_pool *)h.of[POOL], NULL, &pool));
    CHECK_ERROR(aq_memory_pool_set_warn_on_empty(pool, 2), AQ_E_INVALID, "warn must be 0 or 1 (got 2)");
    CHECK_ERROR(aq_memory_pool_get_stats(pool, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_memory_pool_get_config(pool, NULL), AQ_E_INVALID, "config must not be NULL");
    stats.struct_size = 0;
    CHECK_ERROR(aq_memory_pool_get_stats(pool, &stats), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_allocator_free(pool));
    CHECK_OK(aq_thread_pool_free(stopped));
    pool = NULL;
    CHECK_ERROR(aq_numa_allocator_new(-1, 0, 0, &pool), AQ_E_INVALID, "node must be at least 0 (got -1)");
    CHECK_ERROR(aq_numa_allocator_new(0, 0, 2, &pool), AQ_E_INVALID, "prefer_huge must be 0 or 1 (got 2)");
    CHECK_ERROR(aq_numa_allocator_new(0, 0, 0, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_numa_allocator_new(5000, 0, 0, &pool), AQ_E_INVALID, "node must be a NUMA node of this machine");
    CHECK(pool == NULL);
    handles_close(&h);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    sizes();
    numbers();
    handles();
    return check_done();
}

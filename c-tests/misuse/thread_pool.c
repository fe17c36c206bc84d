/* What a caller can get wrong with thread pools. */
#include "misuse/handles.h"

static void nulls(void)
{
    aq_thread_pool *pool = NULL;
    int32_t core = 0;
    CHECK_ERROR(aq_thread_pool_new(1, NULL, 0, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_thread_pool_new(1, NULL, 1, &pool), AQ_E_INVALID, "cores must not be NULL");
    CHECK_ERROR(aq_thread_pool_new(1, &core, SIZE_MAX, &pool), AQ_E_INVALID, "cores");
    CHECK_ERROR(aq_thread_pool_stop(NULL), AQ_E_INVALID, "pool must not be NULL");
    CHECK(pool == NULL);
    CHECK_OK(aq_thread_pool_new(1, &core, 0, &pool)); /* an empty list may be anywhere */
    CHECK_OK(aq_thread_pool_free(pool));
}

static void numbers(void)
{
    aq_thread_pool *pool = NULL;
    int32_t cores[2] = {0, -1};
    CHECK_ERROR(aq_thread_pool_new(0, NULL, 0, &pool), AQ_E_INVALID, "threads must be between 1 and 4096 (got 0)");
    CHECK_ERROR(aq_thread_pool_new(4097, NULL, 0, &pool), AQ_E_INVALID, "threads must be between 1 and 4096 (got 4097)");
    CHECK_ERROR(aq_thread_pool_new(SIZE_MAX, NULL, 0, &pool), AQ_E_INVALID, "threads must be between 1 and 4096");
    CHECK_ERROR(aq_thread_pool_new(1, cores, 2, &pool), AQ_E_INVALID, "cores[1] must be at least 0 (got -1)");
    cores[0] = INT32_MAX;
    CHECK_ERROR(aq_thread_pool_new(1, cores, 1, &pool), AQ_E_INVALID, "core 2147483647");
    CHECK_ERROR(aq_thread_set_affinity(INT32_MIN), AQ_E_INVALID, "core must be at least 0 (got -2147483648)");
    CHECK(pool == NULL);
}

static void wrong_handles(void)
{
    struct handles h;
    handles_open(&h);
    CHECK_WRONG_HANDLES(h, POOL, aq_thread_pool, "pool", aq_thread_pool_stop(wrong));
    CHECK_WRONG_HANDLES(h, POOL, aq_thread_pool, "pool", aq_thread_pool_free(wrong));
    handles_close(&h);
}

int main(void)
{
    nulls();
    numbers();
    wrong_handles();
    return check_done();
}

/* What a caller can get wrong with a ring: every mistake is an error with a message, and nothing crashes. */
#include "check.h"
#include <stdlib.h>

static void nulls(void)
{
    aq_ring *ring = NULL;
    void *item = &ring;
    size_t n;
    int fd;
    CHECK_ERROR(aq_ring_new(1, NULL, NULL, NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_ring_put(NULL, item, 0), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_get(NULL, 0, &item), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_stop(NULL, NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_add_producer(NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_remove_producer(NULL, NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_size(NULL, &n), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_capacity(NULL, &n), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_data_fd(NULL, &fd), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_ring_space_fd(NULL, &fd), AQ_E_INVALID, "ring must not be NULL");
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    CHECK_ERROR(aq_ring_put(ring, NULL, 0), AQ_E_INVALID, "item must not be NULL");
    CHECK_ERROR(aq_ring_get(ring, 0, NULL), AQ_E_INVALID, "item must not be NULL");
    CHECK_ERROR(aq_ring_size(ring, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_ring_capacity(ring, NULL), AQ_E_INVALID, "capacity must not be NULL");
    CHECK_ERROR(aq_ring_data_fd(ring, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_ERROR(aq_ring_space_fd(ring, NULL), AQ_E_INVALID, "fd must not be NULL");
    /* none of it has left anything behind */
    CHECK_OK(aq_ring_size(ring, &n));
    CHECK_EQ(n, 0);
    CHECK_OK(aq_ring_free(ring));
}

static void get_without_output_takes_nothing(void)
{
    aq_ring *ring = NULL;
    size_t n = 0;
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    CHECK_OK(aq_ring_put(ring, &n, 0));
    CHECK_STATUS(aq_ring_get(ring, 0, NULL), AQ_E_INVALID);
    CHECK_OK(aq_ring_size(ring, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(aq_ring_free(ring));
}

static void capacities(void)
{
    aq_ring *ring = NULL;
    CHECK_ERROR(aq_ring_new(0, NULL, NULL, NULL, &ring), AQ_E_INVALID, "capacity");
    CHECK(aq_ring_new(SIZE_MAX, NULL, NULL, NULL, &ring) < 0);
    CHECK(aq_ring_new(SIZE_MAX / sizeof(void *), NULL, NULL, NULL, &ring) < 0);
    CHECK(ring == NULL); /* outputs are written only on success */
}

static void wrong_handles(void)
{
    union {
        unsigned char bytes[256];
        uint64_t aligned;
        double number;
    } other;
    aq_ring *wrong = (aq_ring *)(void *)&other;
    size_t n;
    memset(&other, 0, sizeof other);
    CHECK_ERROR(aq_ring_size(wrong, &n), AQ_E_INVALID, "ring: not an aq_ring handle");
    CHECK_ERROR(aq_ring_free(wrong), AQ_E_INVALID, "ring: not an aq_ring handle");
    memset(&other, 0xff, sizeof other);
    CHECK_ERROR(aq_ring_stop(wrong, NULL), AQ_E_INVALID, "ring: not an aq_ring handle");
    wrong = (aq_ring *)(void *)&other.bytes[1];
    CHECK_ERROR(aq_ring_stop(wrong, NULL), AQ_E_INVALID, "ring: not an aq_ring handle");
}

int main(void)
{
    nulls();
    get_without_output_takes_nothing();
    capacities();
    wrong_handles();
    return check_done();
}

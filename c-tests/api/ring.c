/* Rings: order, waiting, stopping, producers, descriptors, ownership. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <time.h>

#define MS INT64_C(1000000)

static int items[8];

static int readable(int fd)
{
    struct pollfd p;
    p.fd = fd, p.events = POLLIN, p.revents = 0;
    return poll(&p, 1, 0) == 1;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 * MS + t.tv_nsec;
}

static void order_and_limits(void)
{
    aq_ring *ring = NULL;
    void *item = NULL;
    size_t n = 99;
    CHECK_OK(aq_ring_new(2, NULL, NULL, NULL, &ring));
    CHECK_OK(aq_ring_capacity(ring, &n));
    CHECK_EQ(n, 2);
    CHECK_OK(aq_ring_size(ring, &n));
    CHECK_EQ(n, 0);
    CHECK_STATUS(aq_ring_get(ring, 0, &item), AQ_EMPTY);
    CHECK(item == NULL); /* outputs are written only on success */
    for (int round = 0; round < 5; round++) {
        CHECK_OK(aq_ring_put(ring, &items[0], 0));
        CHECK_OK(aq_ring_put(ring, &items[1], AQ_WAIT_FOREVER));
        CHECK_STATUS(aq_ring_put(ring, &items[2], 0), AQ_FULL);
        CHECK_OK(aq_ring_size(ring, &n));
        CHECK_EQ(n, 2);
        CHECK_OK(aq_ring_get(ring, 0, &item));
        CHECK(item == &items[0]);
        CHECK_OK(aq_ring_get(ring, AQ_WAIT_FOREVER, &item));
        CHECK(item == &items[1]);
    }
    CHECK_OK(aq_ring_free(ring));
    CHECK_OK(aq_ring_free(NULL));
}

static void timeouts(void)
{
    aq_ring *ring = NULL;
    void *item;
    int64_t start = now_ns(), waited;
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    CHECK_STATUS(aq_ring_get(ring, 20 * MS, &item), AQ_TIMEOUT);
    waited = now_ns() - start;
    CHECK(waited >= 20 * MS && waited < 5000 * MS);
    CHECK_OK(aq_ring_put(ring, &items[0], INT64_MAX));
    start = now_ns();
    CHECK_STATUS(aq_ring_put(ring, &items[1], 20 * MS), AQ_TIMEOUT);
    waited = now_ns() - start;
    CHECK(waited >= 20 * MS && waited < 5000 * MS);
    CHECK_OK(aq_ring_get(ring, INT64_MAX, &item));
    CHECK_ERROR(aq_ring_get(ring, -2, &item), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_ring_put(ring, &items[0], INT64_MIN), AQ_E_INVALID, "timeout_ns");
    CHECK_OK(aq_ring_free(ring));
}

static void stopping(void)
{
    aq_ring *ring = NULL;
    void *item;
    int32_t now = 7;
    CHECK_OK(aq_ring_new(4, NULL, NULL, NULL, &ring));
    CHECK_OK(aq_ring_put(ring, &items[0], 0));
    CHECK_OK(aq_ring_stop(ring, &now));
    CHECK_EQ(now, 1);
    CHECK_OK(aq_ring_stop(ring, &now));
    CHECK_EQ(now, 0);
    CHECK_OK(aq_ring_stop(ring, NULL));
    CHECK_STATUS(aq_ring_put(ring, &items[1], AQ_WAIT_FOREVER), AQ_STOPPED);
    CHECK_OK(aq_ring_get(ring, 0, &item)); /* what is inside can still be got */
    CHECK(item == &items[0]);
    CHECK_STATUS(aq_ring_get(ring, 0, &item), AQ_STOPPED);
    CHECK_STATUS(aq_ring_get(ring, AQ_WAIT_FOREVER, &item), AQ_STOPPED);
    CHECK_OK(aq_ring_free(ring));
}

static void producers(void)
{
    aq_ring *ring = NULL;
    void *item;
    int32_t now = 7;
    CHECK_OK(aq_ring_new(4, NULL, NULL, NULL, &ring));
    CHECK_ERROR(aq_ring_remove_producer(ring, &now), AQ_E_STATE, "producer");
    CHECK_EQ(now, 7);
    CHECK_OK(aq_ring_add_producer(ring));
    CHECK_OK(aq_ring_add_producer(ring));
    CHECK_OK(aq_ring_remove_producer(ring, &now));
    CHECK_EQ(now, 0);
    CHECK_STATUS(aq_ring_get(ring, 0, &item), AQ_EMPTY);
    CHECK_OK(aq_ring_remove_producer(ring, &now));
    CHECK_EQ(now, 1);
    CHECK_STATUS(aq_ring_get(ring, 0, &item), AQ_STOPPED);
    CHECK_OK(aq_ring_add_producer(ring));
    CHECK_OK(aq_ring_remove_producer(ring, NULL));
    CHECK_OK(aq_ring_free(ring));
}

static void descriptors(void)
{
    aq_ring *ring = NULL;
    void *item;
    int data = -1, space = -1, again = -1;
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    CHECK_OK(aq_ring_data_fd(ring, &data));
    CHECK_OK(aq_ring_space_fd(ring, &space));
    CHECK(data >= 0 && space >= 0 && data != space);
    CHECK_OK(aq_ring_data_fd(ring, &again));
    CHECK_EQ(data, again);
    for (int round = 0; round < 3; round++) {
        CHECK(!readable(data) && readable(space));
        CHECK_OK(aq_ring_put(ring, &items[0], 0));
        CHECK(readable(data) && !readable(space));
        CHECK_OK(aq_ring_get(ring, 0, &item));
    }
    CHECK_OK(aq_ring_put(ring, &items[0], 0));
    CHECK_OK(aq_ring_stop(ring, NULL));
    CHECK(readable(data) && readable(space)); /* whoever polls wakes up to hear AQ_STOPPED */
    CHECK_OK(aq_ring_get(ring, 0, &item));
    CHECK(readable(data));
    CHECK_OK(aq_ring_free(ring));
}

struct ownership {
    int freed_items, freed_users, sum;
};

static void free_item(void *item, void *user)
{
    struct ownership *o = (struct ownership *)user;
    o->freed_items++;
    o->sum += *(int *)item;
}

static void free_user(void *user)
{
    ((struct ownership *)user)->freed_users++;
}

static void ownership(void)
{
    struct ownership o = {0, 0, 0};
    aq_ring *ring = NULL;
    void *item;
    CHECK_OK(aq_ring_new(4, free_item, &o, free_user, &ring));
    for (int i = 0; i < 4; i++) {
        items[i] = 1 << i;
        CHECK_OK(aq_ring_put(ring, &items[i], 0));
    }
    CHECK_OK(aq_ring_get(ring, 0, &item));
    CHECK_EQ(o.freed_items, 0);
    CHECK_OK(aq_ring_stop(ring, NULL));
    CHECK_EQ(o.freed_items, 0);
    CHECK_OK(aq_ring_free(ring));
    CHECK_EQ(o.freed_items, 3);
    CHECK_EQ(o.sum, 2 + 4 + 8);
    CHECK_EQ(o.freed_users, 1);
    /* user belongs to the library also when the call fails */
    CHECK_STATUS(aq_ring_new(0, free_item, &o, free_user, &ring), AQ_E_INVALID);
    CHECK_EQ(o.freed_users, 2);
    CHECK_STATUS(aq_ring_new(4, free_item, &o, free_user, NULL), AQ_E_INVALID);
    CHECK_EQ(o.freed_users, 3);
    CHECK_EQ(o.freed_items, 3);
}

#define PER_PRODUCER 20000

static void *produce(void *ring)
{
    for (intptr_t i = 1; i <= PER_PRODUCER; i++)
        CHECK_OK(aq_ring_put((aq_ring *)ring, (void *)i, AQ_WAIT_FOREVER));
    CHECK_OK(aq_ring_remove_producer((aq_ring *)ring, NULL));
    return NULL;
}

static void *consume(void *ring)
{
    intptr_t sum = 0;
    void *item;
    aq_status status;
    while ((status = aq_ring_get((aq_ring *)ring, AQ_WAIT_FOREVER, &item)) == AQ_OK)
        sum += (intptr_t)item;
    CHECK_EQ(status, AQ_STOPPED);
    return (void *)sum;
}

static void threads(void)
{
    aq_ring *ring = NULL;
    pthread_t producers[3], consumers[3];
    intptr_t sum = 0;
    CHECK_OK(aq_ring_new(16, NULL, NULL, NULL, &ring));
    for (int i = 0; i < 3; i++)
        CHECK_OK(aq_ring_add_producer(ring));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&consumers[i], NULL, consume, ring), 0);
        CHECK_EQ(pthread_create(&producers[i], NULL, produce, ring), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *part = NULL;
        CHECK_EQ(pthread_join(producers[i], NULL), 0);
        CHECK_EQ(pthread_join(consumers[i], &part), 0);
        sum += (intptr_t)part;
    }
    CHECK_EQ(sum, (intptr_t)3 * PER_PRODUCER * (PER_PRODUCER + 1) / 2);
    CHECK_OK(aq_ring_free(ring));
}

static void *wait_for_item(void *ring)
{
    void *item;
    CHECK_STATUS(aq_ring_get((aq_ring *)ring, AQ_WAIT_FOREVER, &item), AQ_STOPPED);
    return NULL;
}

static void stop_wakes_waiters(void)
{
    aq_ring *ring = NULL;
    pthread_t waiters[2];
    struct timespec pause = {0, 20 * 1000 * 1000};
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&waiters[i], NULL, wait_for_item, ring), 0);
    nanosleep(&pause, NULL);
    CHECK_OK(aq_ring_stop(ring, NULL));
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(waiters[i], NULL), 0);
    CHECK_OK(aq_ring_free(ring));
}

int main(void)
{
    order_and_limits();
    timeouts();
    stopping();
    producers();
    descriptors();
    ownership();
    threads();
    stop_wakes_waiters();
    return check_done();
}

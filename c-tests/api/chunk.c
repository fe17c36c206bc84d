/* Chunks and rings of chunks: memory, accessors, who holds a chunk, waiting, stopping, descriptors. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <time.h>

#define MS INT64_C(1000000)

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

static aq_chunk *new_chunk(void)
{
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_new_alloc(NULL, 64, 4, 0, &chunk));
    return chunk;
}

static aq_chunk_ring *new_ring(size_t capacity)
{
    aq_chunk_ring *ring = NULL;
    CHECK_OK(aq_chunk_ring_new(capacity, &ring));
    return ring;
}

static void count(void *user)
{
    __atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

/* A chunk over memory that is never touched, which counts when it is released. */
static aq_chunk *counting_chunk(int *released)
{
    static uint8_t data[8], present[1];
    aq_chunk_buffers buffers;
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_buffers_init(&buffers, sizeof buffers));
    buffers.data = data;
    buffers.data_size = sizeof data;
    buffers.present = present;
    buffers.present_size = sizeof present;
    buffers.release = count;
    buffers.release_user = released;
    CHECK_OK(aq_chunk_new(&buffers, &chunk));
    return chunk;
}

static void over_the_callers_memory(void)
{
    uint8_t data[100], present[3] = {9, 9, 9}, extra[5];
    int released = 0;
    aq_chunk_buffers buffers;
    aq_chunk *chunk = NULL;
    memset(data, 0x77, sizeof data);
    memset(extra, 0x66, sizeof extra);
    CHECK_OK(aq_chunk_buffers_init(&buffers, sizeof buffers));
    CHECK(buffers.data == NULL && buffers.present == NULL && buffers.extra == NULL && buffers.release == NULL);
    CHECK(buffers.release_user == NULL);
    CHECK_EQ(buffers.data_size + buffers.present_size + buffers.extra_size, 0);
    buffers.data = data;
    buffers.data_size = sizeof data;
    buffers.present = present;
    buffers.present_size = sizeof present;
    buffers.extra = extra;
    buffers.extra_size = sizeof extra;
    buffers.release = count;
    buffers.release_user = &released;
    CHECK_OK(aq_chunk_new(&buffers, &chunk));
    memset(&buffers, 0, sizeof buffers); /* it was copied */
    CHECK(aq_chunk_data(chunk) == data);
    CHECK_EQ(aq_chunk_data_size(chunk), sizeof data);
    CHECK(aq_chunk_present(chunk) == present);
    CHECK_EQ(aq_chunk_present_size(chunk), sizeof present);
    CHECK(aq_chunk_extra(chunk) == extra);
    CHECK_EQ(aq_chunk_extra_size(chunk), sizeof extra);
    CHECK_EQ(present[0] + present[1] + present[2], 0); /* cleared */
    CHECK_EQ(data[0], 0x77);                           /* left alone */
    CHECK_EQ(data[99], 0x77);
    CHECK_EQ(extra[4], 0x66);
    CHECK_EQ(aq_chunk_id(chunk), -1);
    CHECK_EQ(aq_chunk_stream_id(chunk), 0);
    CHECK_EQ(released, 0);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_EQ(released, 1);
    CHECK_OK(aq_chunk_free(NULL));
}

static void over_memory_without_release(void)
{
    uint8_t data[1], present[1];
    aq_chunk_buffers buffers;
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_buffers_init(&buffers, sizeof buffers));
    buffers.data = data;
    buffers.data_size = 1;
    buffers.present = present;
    buffers.present_size = 1;
    CHECK_OK(aq_chunk_new(&buffers, &chunk));
    CHECK_EQ(aq_chunk_extra_size(chunk), 0);
    CHECK_OK(aq_chunk_free(chunk));
}

static void from_an_allocator(void)
{
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_new_alloc(NULL, 1000, 10, 20, &chunk));
    CHECK_EQ(aq_chunk_data_size(chunk), 1000);
    CHECK_EQ(aq_chunk_present_size(chunk), 10);
    CHECK_EQ(aq_chunk_extra_size(chunk), 20);
    memset(aq_chunk_data(chunk), 1, 1000);
    memset(aq_chunk_extra(chunk), 1, 20);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(aq_chunk_present(chunk)[i], 0);
        aq_chunk_present(chunk)[i] = 1;
    }
    CHECK_EQ(aq_chunk_id(chunk), -1);
    CHECK_EQ(aq_chunk_stream_id(chunk), 0);
    CHECK(aq_chunk_user(chunk) == NULL);
    CHECK_OK(aq_chunk_free(chunk));
}

static void user_pointer(void)
{
    int value = 5;
    aq_chunk *chunk = new_chunk(), *got = NULL;
    aq_chunk_ring *ring = new_ring(1);
    CHECK_OK(aq_chunk_set_user(chunk, &value));
    CHECK(aq_chunk_user(chunk) == &value);
    CHECK_OK(aq_chunk_ring_put(ring, chunk, 0));
    CHECK(aq_chunk_user(chunk) == NULL);
    CHECK_ERROR(aq_chunk_set_user(chunk, &got), AQ_E_STATE, "in a ring or a stream");
    CHECK_OK(aq_chunk_ring_get(ring, 0, &got));
    CHECK(got == chunk);
    CHECK(aq_chunk_user(got) == &value);
    CHECK_OK(aq_chunk_set_user(chunk, NULL));
    CHECK(aq_chunk_user(got) == NULL);
    CHECK_OK(aq_chunk_free(got));
    CHECK_OK(aq_chunk_ring_free(ring));
}

/* What is in a ring is not the caller's. */
static void lent(void)
{
    aq_chunk *chunk = NULL, *got = NULL;
    aq_chunk_ring *ring = new_ring(2), *other = new_ring(2);
    size_t n;
    CHECK_OK(aq_chunk_new_alloc(NULL, 64, 4, 8, &chunk));
    CHECK_OK(aq_chunk_ring_put(ring, chunk, 0));
    CHECK(aq_chunk_data(chunk) == NULL);
    CHECK(aq_chunk_present(chunk) == NULL);
    CHECK(aq_chunk_extra(chunk) == NULL);
    CHECK_EQ(aq_chunk_data_size(chunk), 0);
    CHECK_EQ(aq_chunk_present_size(chunk), 0);
    CHECK_EQ(aq_chunk_extra_size(chunk), 0);
    CHECK_EQ(aq_chunk_id(chunk), -1);
    CHECK_EQ(aq_chunk_stream_id(chunk), 0);
    CHECK_ERROR(aq_chunk_ring_put(ring, chunk, 0), AQ_E_STATE, "chunk: it is in a ring or a stream");
    CHECK_ERROR(aq_chunk_ring_put(other, chunk, AQ_WAIT_FOREVER), AQ_E_STATE, "in a ring or a stream");
    CHECK_ERROR(aq_chunk_free(chunk), AQ_E_STATE, "in a ring or a stream");
    CHECK_OK(aq_chunk_ring_size(ring, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(aq_chunk_ring_size(other, &n));
    CHECK_EQ(n, 0);
    CHECK_OK(aq_chunk_ring_get(ring, 0, &got));
    CHECK(got == chunk);
    CHECK_EQ(aq_chunk_data_size(chunk), 64);
    CHECK_EQ(aq_chunk_extra_size(chunk), 8);
    CHECK_OK(aq_chunk_ring_put(other, chunk, 0)); /* and now to another ring */
    CHECK_OK(aq_chunk_ring_free(ring));
    CHECK_OK(aq_chunk_ring_free(other));
}

static void order_and_limits(void)
{
    aq_chunk_ring *ring = new_ring(2);
    aq_chunk *a = new_chunk(), *b = new_chunk(), *c = new_chunk(), *got = NULL;
    size_t n = 99;
    CHECK_OK(aq_chunk_ring_capacity(ring, &n));
    CHECK_EQ(n, 2);
    CHECK_OK(aq_chunk_ring_size(ring, &n));
    CHECK_EQ(n, 0);
    CHECK_STATUS(aq_chunk_ring_get(ring, 0, &got), AQ_EMPTY);
    CHECK(got == NULL);
    for (int round = 0; round < 3; round++) {
        CHECK_OK(aq_chunk_ring_put(ring, a, 0));
        CHECK_OK(aq_chunk_ring_put(ring, b, AQ_WAIT_FOREVER));
        CHECK_STATUS(aq_chunk_ring_put(ring, c, 0), AQ_FULL);
        CHECK(aq_chunk_data(c) != NULL); /* still the caller's */
        CHECK_OK(aq_chunk_ring_size(ring, &n));
        CHECK_EQ(n, 2);
        CHECK_OK(aq_chunk_ring_get(ring, 0, &got));
        CHECK(got == a);
        CHECK_OK(aq_chunk_ring_get(ring, AQ_WAIT_FOREVER, &got));
        CHECK(got == b);
    }
    CHECK_OK(aq_chunk_free(a));
    CHECK_OK(aq_chunk_free(b));
    CHECK_OK(aq_chunk_free(c));
    CHECK_OK(aq_chunk_ring_free(ring));
    CHECK_OK(aq_chunk_ring_free(NULL));
}

static void timeouts(void)
{
    aq_chunk_ring *ring = new_ring(1);
    aq_chunk *a = new_chunk(), *b = new_chunk(), *got;
    int64_t start = now_ns(), waited;
    CHECK_STATUS(aq_chunk_ring_get(ring, 20 * MS, &got), AQ_TIMEOUT);
    waited = now_ns() - start;
    CHECK(waited >= 20 * MS && waited < 5000 * MS);
    CHECK_OK(aq_chunk_ring_put(ring, a, INT64_MAX));
    start = now_ns();
    CHECK_STATUS(aq_chunk_ring_put(ring, b, 20 * MS), AQ_TIMEOUT);
    waited = now_ns() - start;
    CHECK(waited >= 20 * MS && waited < 5000 * MS);
    CHECK(aq_chunk_data(b) != NULL); /* still the caller's */
    CHECK_OK(aq_chunk_ring_get(ring, INT64_MAX, &got));
    CHECK_OK(aq_chunk_free(a));
    CHECK_OK(aq_chunk_free(b));
    CHECK_OK(aq_chunk_ring_free(ring));
}

static void stopping(void)
{
    aq_chunk_ring *ring = new_ring(4);
    aq_chunk *a = new_chunk(), *b = new_chunk(), *got = NULL;
    int32_t now = 7;
    CHECK_OK(aq_chunk_ring_put(ring, a, 0));
    CHECK_OK(aq_chunk_ring_stop(ring, &now));
    CHECK_EQ(now, 1);
    CHECK_OK(aq_chunk_ring_stop(ring, &now));
    CHECK_EQ(now, 0);
    CHECK_OK(aq_chunk_ring_stop(ring, NULL));
    CHECK_STATUS(aq_chunk_ring_put(ring, b, AQ_WAIT_FOREVER), AQ_STOPPED);
    CHECK(aq_chunk_data(b) != NULL); /* still the caller's */
    CHECK_OK(aq_chunk_ring_get(ring, 0, &got)); /* what is inside can still be got */
    CHECK(got == a);
    CHECK_STATUS(aq_chunk_ring_get(ring, 0, &got), AQ_STOPPED);
    CHECK_STATUS(aq_chunk_ring_get(ring, AQ_WAIT_FOREVER, &got), AQ_STOPPED);
    CHECK(got == a);
    CHECK_OK(aq_chunk_free(a));
    CHECK_OK(aq_chunk_free(b));
    CHECK_OK(aq_chunk_ring_free(ring));
}

static void producers(void)
{
    aq_chunk_ring *ring = new_ring(4);
    aq_chunk *got;
    int32_t now = 7;
    CHECK_ERROR(aq_chunk_ring_remove_producer(ring, &now), AQ_E_STATE, "producer");
    CHECK_EQ(now, 7);
    CHECK_OK(aq_chunk_ring_add_producer(ring));
    CHECK_OK(aq_chunk_ring_add_producer(ring));
    CHECK_OK(aq_chunk_ring_remove_producer(ring, &now));
    CHECK_EQ(now, 0);
    CHECK_STATUS(aq_chunk_ring_get(ring, 0, &got), AQ_EMPTY);
    CHECK_OK(aq_chunk_ring_remove_producer(ring, &now));
    CHECK_EQ(now, 1);
    CHECK_STATUS(aq_chunk_ring_get(ring, 0, &got), AQ_STOPPED);
    CHECK_OK(aq_chunk_ring_add_producer(ring));
    CHECK_OK(aq_chunk_ring_remove_producer(ring, NULL));
    CHECK_OK(aq_chunk_ring_free(ring));
}

static void descriptors(void)
{
    aq_chunk_ring *ring = new_ring(1);
    aq_chunk *chunk = new_chunk();
    int data = -1, space = -1, again = -1;
    CHECK_OK(aq_chunk_ring_data_fd(ring, &data));
    CHECK_OK(aq_chunk_ring_space_fd(ring, &space));
    CHECK(data >= 0 && space >= 0 && data != space);
    CHECK_OK(aq_chunk_ring_space_fd(ring, &again));
    CHECK_EQ(space, again);
    for (int round = 0; round < 3; round++) {
        CHECK(!readable(data) && readable(space));
        CHECK_OK(aq_chunk_ring_put(ring, chunk, 0));
        CHECK(readable(data) && !readable(space));
        CHECK_OK(aq_chunk_ring_get(ring, 0, &chunk));
    }
    CHECK_OK(aq_chunk_ring_put(ring, chunk, 0));
    CHECK_OK(aq_chunk_ring_stop(ring, NULL));
    CHECK(readable(data) && readable(space)); /* whoever polls wakes up to hear AQ_STOPPED */
    CHECK_OK(aq_chunk_ring_free(ring));       /* with the chunk inside */
}

static void freed_with_chunks_inside(void)
{
    int released = 0;
    aq_chunk_ring *ring = new_ring(3);
    aq_chunk *got = NULL;
    for (int i = 0; i < 3; i++)
        CHECK_OK(aq_chunk_ring_put(ring, counting_chunk(&released), 0));
    CHECK_OK(aq_chunk_ring_get(ring, 0, &got));
    CHECK_OK(aq_chunk_ring_stop(ring, NULL));
    CHECK_EQ(released, 0);
    CHECK_OK(aq_chunk_ring_free(ring));
    CHECK_EQ(released, 2);
    CHECK_OK(aq_chunk_free(got)); /* which was taken out before */
    CHECK_EQ(released, 3);
}

enum { ROUNDS = 20000, CIRCULATING = 8 };

struct circle {
    aq_chunk_ring *full, *empty;
};

static void *produce(void *user)
{
    struct circle *c = (struct circle *)user;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        aq_chunk *chunk = NULL;
        if (!CHECK_OK(aq_chunk_ring_get(c->empty, AQ_WAIT_FOREVER, &chunk)))
            break;
        memcpy(aq_chunk_data(chunk), &i, sizeof i);
        CHECK_OK(aq_chunk_ring_put(c->full, chunk, AQ_WAIT_FOREVER));
    }
    CHECK_OK(aq_chunk_ring_remove_producer(c->full, NULL));
    return NULL;
}

static void threads(void)
{
    struct circle c;
    pthread_t thread;
    aq_chunk *chunk;
    aq_status status;
    uint32_t next = 0, in_order = 0;
    c.full = new_ring(CIRCULATING);
    c.empty = new_ring(CIRCULATING);
    CHECK_OK(aq_chunk_ring_add_producer(c.full));
    for (int i = 0; i < CIRCULATING; i++)
        CHECK_OK(aq_chunk_ring_put(c.empty, new_chunk(), 0));
    CHECK_EQ(pthread_create(&thread, NULL, produce, &c), 0);
    while ((status = aq_chunk_ring_get(c.full, AQ_WAIT_FOREVER, &chunk)) == AQ_OK) {
        uint32_t number;
        memcpy(&number, aq_chunk_data(chunk), sizeof number);
        in_order += number == next++;
        CHECK_OK(aq_chunk_ring_put(c.empty, chunk, AQ_WAIT_FOREVER));
    }
    CHECK_EQ(status, AQ_STOPPED);
    CHECK_EQ(next, ROUNDS);
    CHECK_EQ(in_order, ROUNDS);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_chunk_ring_free(c.full));
    CHECK_OK(aq_chunk_ring_free(c.empty));
}

static void *wait_for_chunk(void *ring)
{
    aq_chunk *chunk;
    CHECK_STATUS(aq_chunk_ring_get((aq_chunk_ring *)ring, AQ_WAIT_FOREVER, &chunk), AQ_STOPPED);
    return NULL;
}

static void stop_wakes_waiters(void)
{
    aq_chunk_ring *ring = new_ring(1);
    pthread_t waiters[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&waiters[i], NULL, wait_for_chunk, ring), 0);
    CHECK_OK(aq_chunk_ring_stop(ring, NULL)); /* whether they wait already or come late */
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(waiters[i], NULL), 0);
    CHECK_OK(aq_chunk_ring_free(ring));
}

int main(void)
{
    over_the_callers_memory();
    over_memory_without_release();
    from_an_allocator();
    user_pointer();
    lent();
    order_and_limits();
    timeouts();
    stopping();
    producers();
    descriptors();
    freed_with_chunks_inside();
    threads();
    stop_wakes_waiters();
    return check_done();
}

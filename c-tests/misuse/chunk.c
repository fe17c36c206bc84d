/* What a caller can get wrong with chunks and their rings. */
#include "misuse/handles.h"
#include "sized.h"

static void count(void *user)
{
    ++*(int *)user;
}

static uint8_t memory[16];

static aq_chunk_buffers good_buffers(int *released)
{
    aq_chunk_buffers buffers;
    CHECK_OK(aq_chunk_buffers_init(&buffers, sizeof buffers));
    buffers.data = memory;
    buffers.data_size = 8;
    buffers.present = memory + 8;
    buffers.present_size = 4;
    buffers.extra = memory + 12;
    buffers.extra_size = 4;
    buffers.release = count;
    buffers.release_user = released;
    return buffers;
}

static void chunk_nulls(void)
{
    aq_chunk *chunk = NULL;
    int released = 0;
    aq_chunk_buffers buffers = good_buffers(&released);
    CHECK_ERROR(aq_chunk_new(&buffers, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_EQ(released, 1); /* whatever is wrong, the memory was passed */
    buffers.data = NULL;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "data must not be NULL");
    buffers = good_buffers(&released);
    buffers.present = NULL;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "present must not be NULL");
    buffers = good_buffers(&released);
    buffers.extra = NULL;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "extra must not be NULL");
    CHECK_EQ(released, 4);
    CHECK_ERROR(aq_chunk_new_alloc(NULL, 1, 1, 0, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_chunk_set_user(NULL, memory), AQ_E_INVALID, "chunk must not be NULL");
    CHECK(aq_chunk_data(NULL) == NULL);
    CHECK(aq_chunk_present(NULL) == NULL);
    CHECK(aq_chunk_extra(NULL) == NULL);
    CHECK(aq_chunk_user(NULL) == NULL);
    CHECK_EQ(aq_chunk_data_size(NULL), 0);
    CHECK_EQ(aq_chunk_present_size(NULL), 0);
    CHECK_EQ(aq_chunk_extra_size(NULL), 0);
    CHECK_EQ(aq_chunk_id(NULL), -1);
    CHECK_EQ(aq_chunk_stream_id(NULL), 0);
    CHECK(chunk == NULL);
}

static void ring_nulls(void)
{
    aq_chunk_ring *ring = NULL;
    aq_chunk *chunk = NULL, *got = NULL;
    size_t n = 99;
    int fd;
    CHECK_OK(aq_chunk_new_alloc(NULL, 1, 1, 0, &chunk));
    CHECK_ERROR(aq_chunk_ring_new(1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_chunk_ring_put(NULL, chunk, 0), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_get(NULL, 0, &got), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_stop(NULL, NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_add_producer(NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_remove_producer(NULL, NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_size(NULL, &n), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_capacity(NULL, &n), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_data_fd(NULL, &fd), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_chunk_ring_space_fd(NULL, &fd), AQ_E_INVALID, "ring must not be NULL");
    CHECK_OK(aq_chunk_ring_new(1, &ring));
    CHECK_ERROR(aq_chunk_ring_put(ring, NULL, 0), AQ_E_INVALID, "chunk must not be NULL");
    CHECK_OK(aq_chunk_ring_put(ring, chunk, 0));
    CHECK_ERROR(aq_chunk_ring_get(ring, 0, NULL), AQ_E_INVALID, "chunk must not be NULL");
    CHECK_ERROR(aq_chunk_ring_size(ring, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_chunk_ring_capacity(ring, NULL), AQ_E_INVALID, "capacity must not be NULL");
    CHECK_ERROR(aq_chunk_ring_data_fd(ring, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_ERROR(aq_chunk_ring_space_fd(ring, NULL), AQ_E_INVALID, "fd must not be NULL");
    /* the chunk is still inside */
    CHECK_OK(aq_chunk_ring_size(ring, &n));
    CHECK_EQ(n, 1);
    CHECK_OK(aq_chunk_ring_get(ring, 0, &got));
    CHECK(got == chunk);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_OK(aq_chunk_ring_free(ring));
}

static aq_status use_buffers(const void *buffers)
{
    aq_chunk *chunk = NULL;
    aq_status status = aq_chunk_new((const aq_chunk_buffers *)buffers, &chunk);
    aq_chunk_free(chunk);
    return status;
}

static void sizes(void)
{
    int released = 0;
    aq_chunk_buffers buffers = good_buffers(&released);
    CHECK_SIZED_INIT(aq_chunk_buffers, aq_chunk_buffers_init);
    check_sized_input(&buffers, sizeof buffers, use_buffers);
    /* a struct that cannot be read passes nothing; the two that are fine, and one with an unknown tail, do */
    CHECK_EQ(released, 3);
}

static void numbers(void)
{
    aq_chunk *chunk = NULL;
    aq_chunk_ring *ring = NULL;
    int released = 0;
    aq_chunk_buffers buffers = good_buffers(&released);
    buffers.data_size = 0;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "data_size must be at least 1 (got 0)");
    buffers.data = NULL;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "data_size must be at least 1 (got 0)");
    buffers = good_buffers(&released);
    buffers.present_size = 0;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "present_size must be at least 1 (got 0)");
    buffers = good_buffers(&released);
    buffers.data_size = SIZE_MAX;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "data cannot have a size of");
    buffers = good_buffers(&released);
    buffers.extra_size = SIZE_MAX / 2 + 1;
    CHECK_ERROR(aq_chunk_new(&buffers, &chunk), AQ_E_INVALID, "extra cannot have a size of");
    CHECK_EQ(released, 5);
    CHECK_ERROR(aq_chunk_new_alloc(NULL, 0, 1, 0, &chunk), AQ_E_INVALID, "data_size must be at least 1 (got 0)");
    CHECK_ERROR(aq_chunk_new_alloc(NULL, 1, 0, 0, &chunk), AQ_E_INVALID, "present_size must be at least 1 (got 0)");
    CHECK_ERROR(aq_chunk_new_alloc(NULL, 1, SIZE_MAX, 0, &chunk), AQ_E_NOMEM, "cannot allocate");
    CHECK_ERROR(aq_chunk_new_alloc(NULL, 1, 1, SIZE_MAX, &chunk), AQ_E_NOMEM, "cannot allocate");
    CHECK(chunk == NULL);
    CHECK_ERROR(aq_chunk_ring_new(0, &ring), AQ_E_INVALID, "capacity must be at least 1 (got 0)");
    CHECK(aq_chunk_ring_new(SIZE_MAX, &ring) < 0);
    CHECK(aq_chunk_ring_new(SIZE_MAX / sizeof(void *), &ring) < 0);
    CHECK(ring == NULL);
    CHECK_OK(aq_chunk_ring_new(1, &ring));
    CHECK_ERROR(aq_chunk_ring_get(ring, -2, &chunk), AQ_E_INVALID,
                "timeout_ns must be AQ_WAIT_FOREVER, 0 or positive (got -2)");
    CHECK_OK(aq_chunk_new_alloc(NULL, 1, 1, 0, &chunk));
    CHECK_ERROR(aq_chunk_ring_put(ring, chunk, INT64_MIN), AQ_E_INVALID, "timeout_ns");
    CHECK_OK(aq_chunk_free(chunk)); /* still the caller's */
    CHECK_OK(aq_chunk_ring_free(ring));
}

static void wrong_handles(void)
{
    struct handles h;
    aq_chunk_ring *ring;
    aq_chunk *chunk, *got = NULL;
    size_t n;
    int fd;
    handles_open(&h);
    ring = (aq_chunk_ring *)h.of[CHUNK_RING];
    chunk = (aq_chunk *)h.of[CHUNK];
    /* what is no chunk */
    CHECK_WRONG_HANDLES(h, CHUNK, aq_chunk, "chunk", aq_chunk_ring_put(ring, wrong, 0));
    CHECK_WRONG_HANDLES(h, CHUNK, aq_chunk, "chunk", aq_chunk_set_user(wrong, NULL));
    CHECK_WRONG_HANDLES(h, CHUNK, aq_chunk, "chunk", aq_chunk_free(wrong));
    for (int i = 0; i < KINDS; i++) {
        const aq_chunk *wrong = (const aq_chunk *)h.of[i];
        if (i == CHUNK)
            continue;
        CHECK(aq_chunk_data(wrong) == NULL);
        CHECK(aq_chunk_present(wrong) == NULL);
        CHECK(aq_chunk_extra(wrong) == NULL);
        CHECK(aq_chunk_user(wrong) == NULL);
        CHECK_EQ(aq_chunk_data_size(wrong) + aq_chunk_present_size(wrong) + aq_chunk_extra_size(wrong), 0);
        CHECK_EQ(aq_chunk_id(wrong), -1);
        CHECK_EQ(aq_chunk_stream_id(wrong), 0);
    }
    /* what is no ring of chunks */
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_put(wrong, chunk, 0));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_get(wrong, 0, &got));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_stop(wrong, NULL));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_add_producer(wrong));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_remove_producer(wrong, NULL));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_size(wrong, &n));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_capacity(wrong, &n));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_data_fd(wrong, &fd));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_space_fd(wrong, &fd));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "ring", aq_chunk_ring_free(wrong));
    /* the chunk is still the caller's, and a ring of `void *` does not take it for a ring either */
    CHECK_EQ(aq_chunk_data_size(chunk), 1);
    CHECK_ERROR(aq_ring_put((aq_ring *)h.of[CHUNK_RING], chunk, 0), AQ_E_INVALID, "ring: not an aq_ring handle");
    handles_close(&h);
}

int main(void)
{
    chunk_nulls();
    ring_nulls();
    sizes();
    numbers();
    wrong_handles();
    return check_done();
}

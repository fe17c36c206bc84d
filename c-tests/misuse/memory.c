/* What a caller can get wrong with allocators. */
#include "misuse/handles.h"
#include "sized.h"

static void *allocate(size_t size, const uint8_t *packet, size_t packet_size, void **cookie, void *user)
{
    (void)packet, (void)packet_size, (void)cookie, (void)user;
    return malloc(size);
}

static void release(void *memory, size_t size, void *cookie, void *user)
{
    (void)size, (void)cookie, (void)user;
    free(memory);
}

static void count(void *user)
{
    ++*(int *)user;
}

static void nulls(void)
{
    aq_allocator *allocator = NULL;
    aq_allocator_vtable vtable;
    int freed = 0;
    CHECK_OK(aq_allocator_vtable_init(&vtable, sizeof vtable));
    CHECK_ERROR(aq_allocator_default(NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_mmap_allocator_new(0, 0, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_allocator_new(NULL, &freed, count, &allocator), AQ_E_INVALID, "vtable must not be NULL");
    CHECK_EQ(freed, 1); /* whatever is wrong, user was passed */
    CHECK_ERROR(aq_allocator_new(&vtable, &freed, count, &allocator), AQ_E_INVALID,
                "vtable: allocate must not be NULL");
    vtable.allocate = allocate;
    CHECK_ERROR(aq_allocator_new(&vtable, &freed, count, &allocator), AQ_E_INVALID, "vtable: release must not be NULL");
    vtable.release = release;
    CHECK_ERROR(aq_allocator_new(&vtable, &freed, count, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_EQ(freed, 4);
    vtable.struct_size = 0;
    CHECK_STATUS(aq_allocator_new(&vtable, &freed, count, &allocator), AQ_E_INVALID);
    CHECK_EQ(freed, 5);
    CHECK(allocator == NULL);
}

static aq_status use_vtable(const void *vtable)
{
    aq_allocator *allocator = NULL;
    aq_status status = aq_allocator_new((const aq_allocator_vtable *)vtable, NULL, NULL, &allocator);
    aq_allocator_free(allocator);
    return status;
}

static void sizes(void)
{
    aq_allocator_vtable vtable;
    CHECK_SIZED_INIT(aq_allocator_vtable, aq_allocator_vtable_init);
    CHECK_OK(aq_allocator_vtable_init(&vtable, sizeof vtable));
    vtable.allocate = allocate;
    vtable.release = release;
    check_sized_input(&vtable, sizeof vtable, use_vtable);
}

static void numbers(void)
{
    aq_allocator *allocator = NULL;
    aq_chunk *chunk = NULL;
    CHECK_ERROR(aq_mmap_allocator_new(0, 2, &allocator), AQ_E_INVALID, "prefer_huge must be 0 or 1 (got 2)");
    CHECK_ERROR(aq_mmap_allocator_new(0, -1, &allocator), AQ_E_INVALID, "prefer_huge must be 0 or 1 (got -1)");
    CHECK(allocator == NULL);
    /* more than there can be, of every kind of memory */
    for (int kind = 0; kind < 3; kind++) {
        size_t absurd[] = {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2 + 1, SIZE_MAX / 2, (size_t)1 << 60};
        if (kind == 0)
            CHECK_OK(aq_allocator_default(&allocator));
        else
            CHECK_OK(aq_mmap_allocator_new(0, kind == 1, &allocator));
        for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++)
            CHECK_ERROR(aq_chunk_new_alloc(allocator, absurd[i], 1, 0, &chunk), AQ_E_NOMEM, "cannot allocate");
        CHECK_OK(aq_allocator_free(allocator));
    }
    CHECK(chunk == NULL);
}

static void wrong_handles(void)
{
    struct handles h;
    aq_chunk *chunk = NULL;
    handles_open(&h);
    CHECK_WRONG_HANDLES(h, ALLOCATOR, aq_allocator, "allocator", aq_allocator_free(wrong));
    CHECK_WRONG_HANDLES(h, ALLOCATOR, aq_allocator, "allocator", aq_chunk_new_alloc(wrong, 1, 1, 0, &chunk));
    CHECK(chunk == NULL);
    handles_close(&h);
}

int main(void)
{
    nulls();
    sizes();
    numbers();
    wrong_handles();
    return check_done();
}

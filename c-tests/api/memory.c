/* Memory: the default allocator, mmap, the caller's own; who keeps whom alive. */
#define _DEFAULT_SOURCE /* MAP_POPULATE, mincore */
#include "check.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static aq_chunk *new_chunk(const aq_allocator *allocator, size_t size)
{
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_new_alloc(allocator, size, 1, 0, &chunk));
    CHECK_EQ(aq_chunk_data_size(chunk), size);
    return chunk;
}

/* All of it can be written to and read back. */
static void use(aq_chunk *chunk)
{
    unsigned char *data = (unsigned char *)aq_chunk_data(chunk);
    size_t size = aq_chunk_data_size(chunk);
    CHECK(data != NULL);
    memset(data, 0x5a, size);
    CHECK_EQ(data[0], 0x5a);
    CHECK_EQ(data[size - 1], 0x5a);
}

static void default_allocator(void)
{
    aq_allocator *allocator = NULL;
    aq_chunk *chunk;
    CHECK_OK(aq_allocator_default(&allocator));
    chunk = new_chunk(allocator, 1000);
    CHECK_EQ((uintptr_t)aq_chunk_data(chunk) % 64, 0);
    CHECK_OK(aq_allocator_free(allocator)); /* the memory stays */
    use(chunk);
    CHECK_OK(aq_chunk_free(chunk));
    chunk = new_chunk(NULL, 1);
    CHECK_EQ((uintptr_t)aq_chunk_data(chunk) % 64, 0);
    use(chunk);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_OK(aq_allocator_free(NULL));
}

static void mapped(int32_t prefer_huge)
{
    const size_t sizes[] = {1, 4096, 5000, 3 << 20};
    aq_allocator *allocator = NULL;
    CHECK_OK(aq_mmap_allocator_new(0, prefer_huge, &allocator));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        aq_chunk *chunk = new_chunk(allocator, sizes[i]);
        const unsigned char *data = (const unsigned char *)aq_chunk_data(chunk);
        size_t zeros = 0;
        CHECK_EQ((uintptr_t)data % 4096, 0);
        for (size_t byte = 0; byte < sizes[i]; byte++)
            zeros += data[byte] == 0;
        CHECK_EQ(zeros, sizes[i]);
        use(chunk);
        CHECK_OK(aq_chunk_free(chunk));
    }
    CHECK_OK(aq_allocator_free(allocator));
}

/* How many of 16 pages are in memory before anybody touches them. */
static int resident_pages(int flags)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    aq_allocator *allocator = NULL;
    aq_chunk *chunk;
    unsigned char pages[16];
    int resident = 0;
    CHECK_OK(aq_mmap_allocator_new(flags, 0, &allocator));
    chunk = new_chunk(allocator, 16 * page);
    CHECK_EQ(mincore(aq_chunk_data(chunk), 16 * page, pages), 0);
    for (int i = 0; i < 16; i++)
        resident += pages[i] & 1;
    use(chunk);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_OK(aq_allocator_free(allocator));
    return resident;
}

static void mapped_with_flags(void)
{
    CHECK_EQ(resident_pages(0), 0);
    CHECK_EQ(resident_pages(MAP_POPULATE), 16);
    CHECK_EQ(resident_pages(MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS), 0); /* the first is ignored, the others it has */
}

/* An allocator that hands out one block, and remembers all that it is told. */
struct memory {
    int allocated, released, freed, failing;
    size_t size;
    void *block;
    char cookie;
};

static void *allocate(size_t size, const uint8_t *packet, size_t packet_size, void **cookie, void *user)
{
    struct memory *m = (struct memory *)user;
    CHECK(packet == NULL); /* a chunk is not for a single packet */
    CHECK_EQ(packet_size, 0);
    CHECK(cookie != NULL && *cookie == NULL);
    CHECK_EQ(m->freed, 0);
    if (m->failing)
        return NULL;
    m->allocated++;
    m->size = size;
    m->block = malloc(size);
    *cookie = &m->cookie;
    return m->block;
}

static void release(void *memory, size_t size, void *cookie, void *user)
{
    struct memory *m = (struct memory *)user;
    CHECK(memory == m->block);
    CHECK_EQ(size, m->size);
    CHECK(cookie == &m->cookie);
    CHECK_EQ(m->freed, 0); /* user_free comes after the last release */
    m->released++;
    free(memory);
}

static void free_user(void *user)
{
    ((struct memory *)user)->freed++;
}

static aq_allocator *new_allocator(struct memory *m)
{
    aq_allocator_vtable vtable;
    aq_allocator *allocator = NULL;
    CHECK_OK(aq_allocator_vtable_init(&vtable, sizeof vtable));
    CHECK(vtable.allocate == NULL && vtable.release == NULL);
    vtable.allocate = allocate;
    vtable.release = release;
    CHECK_OK(aq_allocator_new(&vtable, m, free_user, &allocator));
    memset(&vtable, 0, sizeof vtable); /* it was copied */
    return allocator;
}

static void user_allocator(void)
{
    struct memory m;
    aq_allocator *allocator;
    aq_chunk *chunk;
    memset(&m, 0, sizeof m);
    allocator = new_allocator(&m);
    chunk = new_chunk(allocator, 12345);
    CHECK_EQ(m.allocated, 1); /* present is not from it */
    CHECK_EQ(m.size, 12345);
    CHECK(aq_chunk_data(chunk) == m.block);
    use(chunk);
    CHECK_EQ(m.released, 0);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_EQ(m.released, 1);
    CHECK_EQ(m.freed, 0);
    CHECK_OK(aq_allocator_free(allocator));
    CHECK_EQ(m.freed, 1);
    CHECK_EQ(m.released, 1);
}

static void freed_before_its_memory(void)
{
    struct memory m;
    aq_allocator *allocator;
    aq_chunk *chunk;
    memset(&m, 0, sizeof m);
    allocator = new_allocator(&m);
    chunk = new_chunk(allocator, 100);
    CHECK_OK(aq_allocator_free(allocator));
    CHECK_EQ(m.released + m.freed, 0);
    use(chunk);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_EQ(m.released, 1);
    CHECK_EQ(m.freed, 1);
}

static void failing(void)
{
    struct memory m;
    aq_allocator *allocator;
    aq_chunk *chunk = NULL;
    memset(&m, 0, sizeof m);
    m.failing = 1;
    allocator = new_allocator(&m);
    CHECK_ERROR(aq_chunk_new_alloc(allocator, 100, 1, 0, &chunk), AQ_E_NOMEM, "cannot allocate 100 bytes");
    CHECK(chunk == NULL);
    m.failing = 0; /* it may have some later */
    chunk = new_chunk(allocator, 100);
    CHECK_OK(aq_chunk_free(chunk));
    CHECK_OK(aq_allocator_free(allocator));
    CHECK_EQ(m.allocated, 1);
    CHECK_EQ(m.released, 1);
    CHECK_EQ(m.freed, 1);
}

/* Data comes first: it is released when what follows fails. */
static void released_when_the_chunk_fails(void)
{
    struct memory m;
    aq_allocator *allocator;
    aq_chunk *chunk = NULL;
    memset(&m, 0, sizeof m);
    allocator = new_allocator(&m);
    CHECK_ERROR(aq_chunk_new_alloc(allocator, 100, 0, 0, &chunk), AQ_E_INVALID, "present_size must be at least 1");
    CHECK_ERROR(aq_chunk_new_alloc(allocator, 100, SIZE_MAX / 2, 0, &chunk), AQ_E_NOMEM, "cannot allocate");
    CHECK_EQ(m.allocated, m.released);
    CHECK_OK(aq_allocator_free(allocator));
    CHECK_EQ(m.freed, 1);
}

int main(void)
{
    default_allocator();
    mapped(0);
    mapped(1);
    mapped_with_flags();
    user_allocator();
    freed_before_its_memory();
    failing();
    released_when_the_chunk_fails();
    return check_done();
}

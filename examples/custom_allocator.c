/* Heaps that land in memory of the program's own: here a shared segment, which another process could map, too.
 *
 *   custom_allocator CAPTURE
 *
 * The segment is divided into slots. The allocator gives a heap's payload a free slot, and gets it back when the heap is freed. A
 * heap for which there is none is counted by the stream (no_memory_heaps), and the next one has its chance. For each heap of the capture
 * the program prints in which slot it lies, and looks at its bytes through the segment's file.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Enough for heaps in progress, on their way to this program, and in its hands. */
enum { SLOTS = 16, SLOT_SIZE = 1 << 16 };

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

struct segment {
    int fd;
    uint8_t *memory;
    pthread_mutex_t lock; /* the stream's worker allocates, whoever frees a heap releases */
    int used[SLOTS];
};

/* Gives a slot, or NULL if there is none. `packet` is the heap's first packet: an allocator can look at its items to choose. */
static void *allocate(size_t size, const uint8_t *packet, size_t packet_size, void **cookie, void *user)
{
    struct segment *segment = (struct segment *)user;
    void *found = NULL;
    (void)packet, (void)packet_size;
    if (size > SLOT_SIZE)
        return NULL;
    pthread_mutex_lock(&segment->lock);
    for (int slot = 0; slot < SLOTS && found == NULL; slot++)
        if (!segment->used[slot]) {
            segment->used[slot] = 1;
            found = segment->memory + (size_t)slot * SLOT_SIZE;
            *cookie = &segment->used[slot]; /* comes back with the release */
        }
    pthread_mutex_unlock(&segment->lock);
    return found;
}

static void release(void *memory, size_t size, void *cookie, void *user)
{
    struct segment *segment = (struct segment *)user;
    (void)memory, (void)size;
    pthread_mutex_lock(&segment->lock);
    *(int *)cookie = 0;
    pthread_mutex_unlock(&segment->lock);
}

/* After the last slot has come back, however long its heap has lived. */
static void destroy(void *user)
{
    struct segment *segment = (struct segment *)user;
    munmap(segment->memory, (size_t)SLOTS * SLOT_SIZE);
    close(segment->fd);
    pthread_mutex_destroy(&segment->lock);
    free(segment);
}

static struct segment *create(void)
{
    struct segment *segment = (struct segment *)calloc(1, sizeof *segment);
    if (segment == NULL || (segment->fd = memfd_create("heaps", MFD_CLOEXEC)) < 0 ||
        ftruncate(segment->fd, (off_t)SLOTS * SLOT_SIZE) != 0) {
        perror("a shared segment");
        exit(1);
    }
    void *memory = mmap(NULL, (size_t)SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    segment->memory = (uint8_t *)memory;
    pthread_mutex_init(&segment->lock, NULL);
    return segment;
}

/* Where a heap lies, and whether the segment's file has the same bytes. */
static void look_at(const aq_heap *heap, const struct segment *segment)
{
    static uint8_t bytes[SLOT_SIZE];
    uint64_t cnt;
    const uint8_t *data;
    size_t size;
    CHECK(aq_heap_cnt(heap, &cnt));
    CHECK(aq_heap_payload(heap, &data, &size));
    if (size == 0) {
        printf("heap %" PRIu64 ": no payload\n", cnt);
        return;
    }
    off_t offset = (off_t)(data - segment->memory);
    int same = pread(segment->fd, bytes, size, offset) == (ssize_t)size && memcmp(bytes, data, size) == 0;
    printf("heap %" PRIu64 ": %zu bytes in slot %d, %s in the file\n", cnt, size, (int)(offset / SLOT_SIZE),
           same ? "the same" : "OTHERS");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CAPTURE\n", argv[0]);
        return 2;
    }
    struct segment *segment = create();
    aq_allocator_vtable functions;
    aq_allocator *allocator;
    CHECK(aq_allocator_vtable_init(&functions, sizeof functions));
    functions.allocate = allocate;
    functions.release = release;
    CHECK(aq_allocator_new(&functions, segment, destroy, &allocator)); /* the segment is the allocator's now */

    aq_recv_stream_config config;
    aq_ring_config ring;
    CHECK(aq_recv_stream_config_init(&config, sizeof config));
    config.memory_allocator = allocator; /* NULL would be the system's heap */
    CHECK(aq_ring_config_init(&ring, sizeof ring));
    ring.heaps = 1; /* one waits, one is looked at, the others are being received */

    aq_thread_pool *pool;
    aq_recv_stream *stream;
    CHECK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK(aq_recv_stream_new(pool, &config, &ring, &stream));
    CHECK(aq_recv_stream_add_pcap_reader(stream, argv[1], NULL));

    aq_heap *heap, *last = NULL;
    aq_status status;
    while ((status = aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap)) == AQ_OK) {
        look_at(heap, segment);
        aq_heap_free(last);
        last = heap;
    }
    check(status == AQ_STOPPED ? AQ_OK : status, "aq_recv_stream_get");

    aq_recv_stats stats;
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK(aq_recv_stream_get_stats(stream, &stats));
    printf("%" PRIu64 " heaps complete, %" PRIu64 " without memory\n", stats.complete_heaps, stats.no_memory_heaps);

    /* In any order: the last heap keeps the segment. */
    aq_recv_stream_free(stream);
    aq_allocator_free(allocator);
    aq_thread_pool_free(pool);
    if (last != NULL)
        look_at(last, segment);
    aq_heap_free(last);
    return stats.ledger_closed ? 0 : 1;
}

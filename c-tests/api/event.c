/* Event buffers: every way in, every way out without a flush, and what is counted where. event_flush.c has the flushes. */
#include "events.h"
#include <poll.h>
#include <time.h>

static uint64_t wall_clock(void)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t size_of(const aq_event_buffer *buffer)
{
    uint64_t size = UINT64_MAX;
    CHECK_OK(aq_event_buffer_size(buffer, &size));
    return size;
}

static uint64_t bytes_of(const aq_event_buffer *buffer)
{
    uint64_t bytes = UINT64_MAX;
    CHECK_OK(aq_event_buffer_bytes(buffer, &bytes));
    return bytes;
}

static void defaults(void)
{
    aq_event_buffer_config config;
    aq_event_buffer_stats stats;
    aq_event_buffer *buffer = NULL;
    int32_t running = -1, has_primary = -1;
    size_t count = 99;
    CHECK_OK(aq_event_buffer_config_init(&config, sizeof config));
    CHECK_EQ(config.flush_size, 0);
    CHECK_EQ(config.flush_timeout_ns, INT64_C(10) * SECOND);
    CHECK_EQ(config.capacity + config.capacity_bytes, 0);
    CHECK(config.memory_allocator == NULL);
    CHECK_EQ(config.kind, AQ_FIFO);
    CHECK_EQ(config.overflow, AQ_OVERFLOW_BY_KIND);
    CHECK_EQ(config.timestamps, 1);
    CHECK_EQ(config.reserved, 0);

    CHECK_OK(aq_event_buffer_new(NULL, &buffer));
    CHECK_OK(aq_event_buffer_get_config(buffer, &config));
    CHECK_EQ(config.flush_timeout_ns, INT64_C(10) * SECOND);
    CHECK_EQ(config.overflow, AQ_OVERFLOW_BLOCK);
    CHECK_OK(aq_event_buffer_flusher_status(buffer, &running));
    CHECK_EQ(running, 0);
    CHECK_OK(aq_event_buffer_sink_count(buffer, &count, &has_primary));
    CHECK_EQ(count, 0);
    CHECK_EQ(has_primary, 0);
    stats = ledger(buffer);
    CHECK_EQ(stats.put + stats.refused + stats.blocked + stats.cancelled + stats.reserved + stats.flushes +
                 stats.flush_errors + stats.written_bytes,
             0);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_OK(aq_event_buffer_free(NULL));

    config.kind = AQ_CIRCULAR;
    config.overflow = AQ_OVERFLOW_BY_KIND;
    config.flush_size = 5;
    config.flush_timeout_ns = AQ_WAIT_FOREVER;
    config.capacity = 7;
    config.capacity_bytes = 1000;
    config.timestamps = 0;
    CHECK_OK(aq_event_buffer_new(&config, &buffer));
    memset(&config, 0xff, sizeof config);
    CHECK_OK(aq_event_buffer_config_init(&config, sizeof config));
    CHECK_OK(aq_event_buffer_get_config(buffer, &config));
    CHECK_EQ(config.kind, AQ_CIRCULAR);
    CHECK_EQ(config.overflow, AQ_OVERFLOW_DROP_OLDEST);
    CHECK_EQ(config.flush_size, 5);
    CHECK_EQ(config.flush_timeout_ns, AQ_WAIT_FOREVER);
    CHECK_EQ(config.capacity, 7);
    CHECK_EQ(config.capacity_bytes, 1000);
    CHECK_EQ(config.timestamps, 0);
    CHECK_OK(aq_event_buffer_configure(buffer, 8, 9));
    CHECK_OK(aq_event_buffer_get_config(buffer, &config));
    CHECK_EQ(config.flush_size, 8);
    CHECK_EQ(config.flush_timeout_ns, 9);
    CHECK_EQ(config.capacity, 7);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void in_and_out(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BY_KIND, 0, 0);
    const aq_bytes parts[3] = {{"he", 2}, {NULL, 0}, {"ad body", 7}};
    aq_event_buffer_stats stats;
    char packet[64] = "untouched";
    uint64_t before = wall_clock(), time_ns = 1, cleared = 99;
    size_t size = 77, n_put = 77;
    CHECK_STATUS(aq_event_buffer_pop(buffer, 0, packet, sizeof packet, &size, &time_ns), AQ_EMPTY);
    CHECK_STATUS(aq_event_buffer_pop(buffer, 1000, packet, sizeof packet, &size, &time_ns), AQ_TIMEOUT);
    CHECK_STATUS(aq_event_buffer_peek(buffer, 0, packet, sizeof packet, &size, &time_ns), AQ_EMPTY);
    CHECK_EQ(size, 77);
    CHECK_EQ(time_ns, 1);

    put_text(buffer, "one");
    CHECK_OK(aq_event_buffer_put(buffer, NULL, 0, 0));
    CHECK_OK(aq_event_buffer_put_many(buffer, "aabbcc", 2, 3, 0, &n_put));
    CHECK_EQ(n_put, 3);
    CHECK_OK(aq_event_buffer_put_many(buffer, NULL, 2, 0, 0, &n_put)); /* no packets */
    CHECK_EQ(n_put, 0);
    CHECK_OK(aq_event_buffer_put_many(buffer, "dd", 2, 1, 0, NULL));
    CHECK_OK(aq_event_buffer_put_parts(buffer, parts, 3, 0));
    CHECK_OK(aq_event_buffer_put_parts(buffer, NULL, 0, 0)); /* an empty packet */
    CHECK_EQ(size_of(buffer), 8);
    CHECK_EQ(bytes_of(buffer), 3 + 0 + 6 + 2 + 9 + 0);

    /* memory that is too small: the size is told, and the packet stays */
    size = 77;
    time_ns = 1;
    CHECK_ERROR(aq_event_buffer_peek(buffer, 6, packet, 8, &size, &time_ns), AQ_E_TRUNCATED,
                "capacity must be at least 9, the size of the packet");
    CHECK_EQ(size, 9);
    CHECK_EQ(time_ns, 1);
    CHECK_ERROR(aq_event_buffer_pop(buffer, 0, NULL, 0, &size, NULL), AQ_E_TRUNCATED, "at least 3");
    CHECK_EQ(size, 3);
    CHECK_TEXT(packet, "untouched");
    CHECK_EQ(size_of(buffer), 8);
    CHECK_OK(aq_event_buffer_peek(buffer, 6, packet, 9, &size, &time_ns));
    CHECK(memcmp(packet, "head body", 9) == 0);
    CHECK(before <= time_ns && time_ns <= wall_clock());
    CHECK_STATUS(aq_event_buffer_peek(buffer, 8, packet, 9, &size, &time_ns), AQ_EMPTY);

    pops(buffer, "one");
    CHECK_OK(aq_event_buffer_pop(buffer, 0, NULL, 0, &size, &time_ns)); /* the empty one needs no memory */
    CHECK_EQ(size, 0);
    CHECK(before <= time_ns && time_ns <= wall_clock());
    pops(buffer, "aa");
    pops(buffer, "bb");
    pops(buffer, "cc");
    pops(buffer, "dd");
    CHECK_OK(aq_event_buffer_clear(buffer, &cleared));
    CHECK_EQ(cleared, 2);
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    CHECK_EQ(size_of(buffer) + bytes_of(buffer), 0);
    stats = ledger(buffer);
    CHECK_EQ(stats.put, 8);
    CHECK_EQ(stats.put_bytes, 20);
    CHECK_EQ(stats.popped, 6);
    CHECK_EQ(stats.popped_bytes, 11);
    CHECK_EQ(stats.cleared, 2);
    CHECK_EQ(stats.cleared_bytes, 9);
    CHECK_EQ(stats.flushes + stats.refused, 0);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void without_times(void)
{
    aq_event_buffer_config config;
    aq_event_buffer *buffer = NULL;
    uint64_t time_ns = 1;
    char packet[4];
    size_t size;
    CHECK_OK(aq_event_buffer_config_init(&config, sizeof config));
    config.timestamps = 0;
    CHECK_OK(aq_event_buffer_new(&config, &buffer));
    put_text(buffer, "x");
    CHECK_OK(aq_event_buffer_pop(buffer, 0, packet, sizeof packet, &size, &time_ns));
    CHECK_EQ(time_ns, 0);
    CHECK_OK(aq_event_buffer_free(buffer));
}

/* A slot is a C object's place; what it does not use goes back, and what was put behind it waits. */
static void in_place(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BY_KIND, 0, 0);
    aq_event_slot slots[3];
    aq_event_buffer_stats stats;
    char packet[64];
    size_t size;
    put_text(buffer, "odd");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(aq_event_buffer_reserve(buffer, 40, 0, &slots[i]));
        CHECK_EQ(slots[i].size, 40);
        CHECK_EQ((uintptr_t)slots[i].data % 16, 0);
        memset(slots[i].data, '0' + i, 40);
    }
    put_text(buffer, "last");
    pops(buffer, "odd");
    CHECK_STATUS(aq_event_buffer_pop(buffer, 0, packet, sizeof packet, &size, NULL), AQ_EMPTY);
    CHECK_STATUS(aq_event_buffer_pop(buffer, 1000, packet, sizeof packet, &size, NULL), AQ_TIMEOUT);
    CHECK_EQ(size_of(buffer), 1);
    stats = ledger(buffer);
    CHECK_EQ(stats.put, 2); /* a slot is no packet yet */
    CHECK_EQ(stats.reserved, 3);

    CHECK_OK(aq_event_buffer_commit(buffer, slots[1].number, 40));
    CHECK_STATUS(aq_event_buffer_pop(buffer, 0, packet, sizeof packet, &size, NULL), AQ_EMPTY);
    CHECK_ERROR(aq_event_buffer_commit(buffer, slots[0].number, 41), AQ_E_INVALID,
                "size must be at most 40, which was reserved (got 41)");
    CHECK_OK(aq_event_buffer_commit(buffer, slots[0].number, 5));
    CHECK_ERROR(aq_event_buffer_commit(buffer, slots[0].number, 5), AQ_E_INVALID, "no packet 1 is reserved");
    CHECK_ERROR(aq_event_buffer_cancel(buffer, slots[0].number), AQ_E_INVALID, "is reserved");
    pops(buffer, "00000");
    pops(buffer, "1111111111111111111111111111111111111111");
    CHECK_STATUS(aq_event_buffer_pop(buffer, 0, packet, sizeof packet, &size, NULL), AQ_EMPTY);
    CHECK_OK(aq_event_buffer_cancel(buffer, slots[2].number));
    pops(buffer, "last");
    stats = ledger(buffer);
    CHECK_EQ(stats.put, 4);
    CHECK_EQ(stats.put_bytes, 3 + 4 + 40 + 5);
    CHECK_EQ(stats.popped, 4);
    CHECK_EQ(stats.cancelled, 1);
    CHECK_EQ(stats.reserved, 0);

    /* of no bytes; and clear leaves what is being written */
    CHECK_OK(aq_event_buffer_reserve(buffer, 0, 0, &slots[0]));
    CHECK_OK(aq_event_buffer_commit(buffer, slots[0].number, 0));
    pops(buffer, "");
    put_text(buffer, "before");
    CHECK_OK(aq_event_buffer_reserve(buffer, 10, 0, &slots[0]));
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    memcpy(slots[0].data, "survives", 8);
    CHECK_OK(aq_event_buffer_commit(buffer, slots[0].number, 8));
    pops(buffer, "survives");
    CHECK_EQ(ledger(buffer).cleared, 1);
    CHECK_OK(aq_event_buffer_reserve(buffer, 10, 0, &slots[0])); /* and freed with it */
    CHECK_OK(aq_event_buffer_free(buffer));
}

enum { WRITERS = 4, EACH = 2000 };

struct writer {
    aq_event_buffer *buffer;
    unsigned number;
    int puts, cancels;
};

/* What a packet says of itself: writer, count, and bytes that follow from both. */
static size_t make_packet(unsigned char *packet, unsigned writer, unsigned count)
{
    size_t size = 8 + (writer * 31 + count * 7) % 90;
    memset(packet, (int)(writer * 50 + count), size);
    memcpy(packet, &writer, 4);
    memcpy(packet + 4, &count, 4);
    return size;
}

static void *write_packets(void *argument)
{
    struct writer *w = (struct writer *)argument;
    unsigned char packet[128];
    for (unsigned count = 0; count < EACH; count++) {
        size_t size = make_packet(packet, w->number, count);
        if (count % 3 == 0) {
            CHECK_OK(aq_event_buffer_put(w->buffer, packet, size, LONG_TIME));
        } else {
            aq_event_slot slot;
            CHECK_OK(aq_event_buffer_reserve(w->buffer, sizeof packet, LONG_TIME, &slot));
            memcpy(slot.data, packet, size);
            if (count % 10 == 1) {
                CHECK_OK(aq_event_buffer_cancel(w->buffer, slot.number));
                w->cancels++;
                continue;
            }
            CHECK_OK(aq_event_buffer_commit(w->buffer, slot.number, size));
        }
        w->puts++;
    }
    return NULL;
}

static void many_writers(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 100, 0);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    aq_event_buffer_stats stats;
    int next[WRITERS] = {0}, got = 0, puts = 0, cancels = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].buffer = buffer;
        writers[i].number = i;
        writers[i].puts = writers[i].cancels = 0;
        CHECK_EQ(pthread_create(&threads[i], NULL, write_packets, &writers[i]), 0);
    }
    for (int count = 0; count < EACH; count++)
        puts += WRITERS * !(count % 3 != 0 && count % 10 == 1);
    for (; got < puts; got++) {
        unsigned char packet[128], expected[128];
        unsigned writer, count;
        size_t size;
        if (!CHECK_OK(aq_event_buffer_pop(buffer, LONG_TIME, packet, sizeof packet, &size, NULL)))
            break;
        memcpy(&writer, packet, 4);
        memcpy(&count, packet + 4, 4);
        if (!CHECK(writer < WRITERS && (int)count >= next[writer]))
            break;
        CHECK_EQ(size, make_packet(expected, writer, count));
        CHECK(memcmp(packet, expected, size) == 0);
        next[writer] = (int)count + 1; /* each writer's packets come in order */
    }
    for (int i = 0; i < WRITERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(writers[i].puts, puts / WRITERS);
        cancels += writers[i].cancels;
    }
    stats = ledger(buffer);
    CHECK_EQ(stats.put, puts);
    CHECK_EQ(stats.popped, puts);
    CHECK_EQ(stats.cancelled, cancels);
    CHECK_EQ(stats.waiting + stats.reserved + stats.refused, 0);
    CHECK_OK(aq_event_buffer_free(buffer));
}

/* Packets "0", "1", ... "9" into space for 4. */
static aq_event_buffer_stats overfill(aq_event_buffer *buffer, aq_status after_four)
{
    for (int i = 0; i < 10; i++) {
        char packet = (char)('0' + i);
        CHECK_STATUS(aq_event_buffer_put(buffer, &packet, 1, 0), i < 4 ? AQ_OK : after_four);
    }
    return ledger(buffer);
}

static void overflow(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 4, 0);
    aq_event_buffer_stats stats = overfill(buffer, AQ_FULL);
    aq_event_slot slot;
    size_t n_put = 99;
    CHECK_EQ(stats.put, 4);
    CHECK_EQ(stats.refused, 6);
    CHECK_EQ(stats.blocked, 0);
    CHECK_STATUS(aq_event_buffer_put(buffer, "x", 1, 1000), AQ_TIMEOUT);
    CHECK_STATUS(aq_event_buffer_reserve(buffer, 1, 0, &slot), AQ_FULL);
    CHECK_STATUS(aq_event_buffer_put_many(buffer, "xy", 1, 2, 0, &n_put), AQ_FULL);
    CHECK_EQ(n_put, 99);
    pops(buffer, "0");
    CHECK_OK(aq_event_buffer_put_many(buffer, "xy", 1, 2, 0, &n_put)); /* as many as fit */
    CHECK_EQ(n_put, 1);
    stats = ledger(buffer);
    CHECK_EQ(stats.put, 5);
    CHECK_EQ(stats.refused, 10);
    CHECK_EQ(stats.blocked, 1);
    CHECK_OK(aq_event_buffer_free(buffer));

    buffer = new_buffer(AQ_CIRCULAR, AQ_OVERFLOW_DROP_NEWEST, 4, 0);
    stats = overfill(buffer, AQ_OK);
    CHECK_EQ(stats.put, 10);
    CHECK_EQ(stats.overflow_newest, 6);
    CHECK_EQ(stats.overflow_newest_bytes, 6);
    CHECK_STATUS(aq_event_buffer_reserve(buffer, 30, 0, &slot), AQ_FULL);
    CHECK_OK(aq_event_buffer_put_many(buffer, "xyz", 1, 3, 0, &n_put));
    CHECK_EQ(n_put, 3);
    stats = ledger(buffer);
    CHECK_EQ(stats.put, 14);
    CHECK_EQ(stats.overflow_newest, 10);
    CHECK_EQ(stats.overflow_newest_bytes, 6 + 30 + 3);
    CHECK_EQ(stats.refused + stats.overflow_oldest, 0);
    pops(buffer, "0");
    CHECK_OK(aq_event_buffer_free(buffer));

    buffer = new_buffer(AQ_CIRCULAR, AQ_OVERFLOW_BY_KIND, 4, 0);
    stats = overfill(buffer, AQ_OK);
    CHECK_EQ(stats.put, 10);
    CHECK_EQ(stats.overflow_oldest, 6);
    CHECK_EQ(stats.waiting, 4);
    pops(buffer, "6");
    /* what somebody is writing to cannot be dropped: then it is the newest one */
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    CHECK_OK(aq_event_buffer_reserve(buffer, 1, 0, &slot));
    for (int i = 0; i < 4; i++)
        put_text(buffer, "n");
    stats = ledger(buffer);
    CHECK_EQ(stats.overflow_oldest, 6);
    CHECK_EQ(stats.overflow_newest, 1);
    CHECK_EQ(stats.waiting, 3);
    CHECK_OK(aq_event_buffer_free(buffer));

    /* by bytes: a large one takes the place of several */
    buffer = new_buffer(AQ_CIRCULAR, AQ_OVERFLOW_DROP_OLDEST, 0, 10);
    put_text(buffer, "aaaa");
    put_text(buffer, "bbbb");
    put_text(buffer, "cc");
    put_text(buffer, "ddddd");
    pops(buffer, "cc");
    pops(buffer, "ddddd");
    CHECK_ERROR(aq_event_buffer_put(buffer, "01234567890", 11, 0), AQ_E_INVALID,
                "size must be at most capacity_bytes, 10 (got 11)");
    stats = ledger(buffer);
    CHECK_EQ(stats.overflow_oldest, 2);
    CHECK_EQ(stats.overflow_oldest_bytes, 8);
    CHECK_EQ(stats.put, 4);
    CHECK_OK(aq_event_buffer_free(buffer));
}

struct put_many {
    aq_event_buffer *buffer;
    size_t n_put;
    aq_status status;
};

static void *put_hundred(void *argument)
{
    struct put_many *p = (struct put_many *)argument;
    char packets[100];
    for (int i = 0; i < 100; i++)
        packets[i] = (char)i;
    p->n_put = 0;
    p->status = aq_event_buffer_put_many(p->buffer, packets, 1, 100, AQ_WAIT_FOREVER, &p->n_put);
    return NULL;
}

/* Space for 4, and 100 put in one call: whoever pops hears of those that are in while the others wait. */
static void waits_for_space(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 4, 0);
    struct put_many p;
    struct pollfd data;
    pthread_t thread;
    char packet;
    size_t size;
    p.buffer = buffer;
    data.events = POLLIN;
    CHECK_OK(aq_event_buffer_data_fd(buffer, &data.fd));
    CHECK_EQ(pthread_create(&thread, NULL, put_hundred, &p), 0);
    for (int i = 0; i < 100; i++) {
        if (i < 50) /* by the descriptor, then by waiting itself */
            CHECK_EQ(poll(&data, 1, 30000), 1);
        if (!CHECK_OK(aq_event_buffer_pop(buffer, i < 50 ? 0 : LONG_TIME, &packet, 1, &size, NULL)))
            break;
        CHECK_EQ(packet, i);
    }
    CHECK_OK(aq_event_buffer_stop(buffer)); /* so that it ends whatever happened */
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(p.status, AQ_OK);
    CHECK_EQ(p.n_put, 100);
    CHECK_EQ(ledger(buffer).popped, 100);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void *pop_one(void *argument)
{
    char packet;
    size_t size;
    CHECK_OK(aq_event_buffer_pop((aq_event_buffer *)argument, LONG_TIME, &packet, 1, &size, NULL));
    return NULL;
}

/* Two wait, and two packets come at once: together, or behind a slot that is committed last. */
static void wakes_all_that_wait(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    for (int round = 0; round < 100; round++) {
        pthread_t threads[2];
        aq_event_slot slot;
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, pop_one, buffer), 0);
        if (round % 2 == 0) {
            CHECK_OK(aq_event_buffer_put_many(buffer, "ab", 1, 2, 0, NULL));
        } else {
            CHECK_OK(aq_event_buffer_reserve(buffer, 1, 0, &slot));
            put_text(buffer, "b");
            CHECK_OK(aq_event_buffer_commit(buffer, slot.number, 1));
        }
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        if (check_failures > 0)
            break;
    }
    CHECK_EQ(ledger(buffer).popped, 200);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void *put_one(void *argument)
{
    CHECK_STATUS(aq_event_buffer_put((aq_event_buffer *)argument, "x", 1, AQ_WAIT_FOREVER), AQ_STOPPED);
    return NULL;
}

static int is_readable(int fd)
{
    struct pollfd data;
    data.fd = fd;
    data.events = POLLIN;
    return poll(&data, 1, 0) == 1 && data.revents == POLLIN;
}

static void descriptor_and_stop(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 2, 0);
    aq_event_buffer_stats stats;
    aq_event_slot slot;
    pthread_t thread;
    char packet;
    size_t size;
    int fd = -1, again = -1;
    CHECK_OK(aq_event_buffer_data_fd(buffer, &fd));
    CHECK_OK(aq_event_buffer_data_fd(buffer, &again));
    CHECK(fd >= 0 && fd == again);
    CHECK(!is_readable(fd));
    put_text(buffer, "a");
    put_text(buffer, "b");
    CHECK(is_readable(fd));
    pops(buffer, "a");
    CHECK(is_readable(fd));
    pops(buffer, "b");
    CHECK(!is_readable(fd));
    put_text(buffer, "c");
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    CHECK(!is_readable(fd));
    CHECK_OK(aq_event_buffer_reserve(buffer, 1, 0, &slot)); /* nothing that could be popped */
    put_text(buffer, "behind");
    CHECK(!is_readable(fd));
    CHECK_OK(aq_event_buffer_cancel(buffer, slot.number));
    CHECK(is_readable(fd));
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    CHECK(!is_readable(fd));

    put_text(buffer, "d");
    CHECK_OK(aq_event_buffer_reserve(buffer, 5, 0, &slot));
    CHECK_EQ(pthread_create(&thread, NULL, put_one, buffer), 0);
    while (ledger(buffer).blocked == 0)
        sched_yield();
    CHECK_OK(aq_event_buffer_stop(buffer));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_event_buffer_stop(buffer));
    CHECK_STATUS(aq_event_buffer_put(buffer, "x", 1, 0), AQ_STOPPED);
    CHECK_STATUS(aq_event_buffer_reserve(buffer, 1, 0, &slot), AQ_STOPPED);
    pops(buffer, "d"); /* what is inside can be taken, and what was begun be ended */
    *(char *)slot.data = 'e';
    CHECK_OK(aq_event_buffer_commit(buffer, slot.number, 1));
    pops(buffer, "e");
    CHECK_STATUS(aq_event_buffer_pop(buffer, AQ_WAIT_FOREVER, &packet, 1, &size, NULL), AQ_STOPPED);
    CHECK(is_readable(fd));
    stats = ledger(buffer);
    CHECK_EQ(stats.refused, 3);
    CHECK_EQ(stats.popped, 4);
    CHECK_OK(aq_event_buffer_free(buffer));
}

struct memory {
    int allocated, released, freed;
    int allow;
    size_t smallest;
};

static void *allocate(size_t size, const uint8_t *packet, size_t packet_size, void **cookie, void *user)
{
    struct memory *m = (struct memory *)user;
    CHECK(packet == NULL && packet_size == 0);
    *cookie = m;
    if (m->allocated == m->allow)
        return NULL;
    m->allocated++;
    if (size < m->smallest)
        m->smallest = size;
    return malloc(size);
}

static void release(void *memory, size_t size, void *cookie, void *user)
{
    (void)size;
    CHECK(cookie == user);
    ((struct memory *)user)->released++;
    free(memory);
}

static void memory_freed(void *user)
{
    ((struct memory *)user)->freed++;
}

static void own_memory(void)
{
    struct memory m = {0, 0, 0, 2, SIZE_MAX};
    aq_allocator_vtable vtable;
    aq_allocator *allocator = NULL;
    aq_event_buffer_config config;
    aq_event_buffer *buffer = NULL;
    const size_t large = 3 << 20;
    uint8_t *packet = (uint8_t *)malloc(large), *back = (uint8_t *)malloc(large);
    size_t size = 0;
    CHECK_OK(aq_allocator_vtable_init(&vtable, sizeof vtable));
    vtable.allocate = allocate;
    vtable.release = release;
    CHECK_OK(aq_allocator_new(&vtable, &m, memory_freed, &allocator));
    CHECK_OK(aq_event_buffer_config_init(&config, sizeof config));
    config.memory_allocator = allocator;
    CHECK_OK(aq_event_buffer_new(&config, &buffer));
    CHECK_OK(aq_allocator_free(allocator)); /* the buffer keeps it */
    CHECK_EQ(m.allocated, 0);
    for (size_t i = 0; i < large; i++)
        packet[i] = (uint8_t)(i * 7 + i / 1000);
    put_text(buffer, "small");
    CHECK_EQ(m.allocated, 1);
    CHECK_EQ(m.smallest, 1 << 20);
    CHECK_OK(aq_event_buffer_put(buffer, packet, large, 0)); /* larger than a segment */
    CHECK_EQ(m.allocated, 2);
    CHECK_ERROR(aq_event_buffer_put(buffer, packet, large, 0), AQ_E_NOMEM, "");
    CHECK_EQ(ledger(buffer).refused, 1);
    CHECK_EQ(ledger(buffer).put, 2);
    pops(buffer, "small");
    CHECK_OK(aq_event_buffer_pop(buffer, 0, back, large, &size, NULL));
    CHECK_EQ(size, large);
    CHECK(memcmp(packet, back, large) == 0);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_EQ(m.released, 2);
    CHECK_EQ(m.freed, 1);
    free(packet);
    free(back);
}

int main(void)
{
    defaults();
    in_and_out();
    without_times();
    in_place();
    many_writers();
    overflow();
    waits_for_space();
    wakes_all_that_wait();
    descriptor_and_stop();
    own_memory();
    return check_done();
}

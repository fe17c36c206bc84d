/* What a caller can get wrong with event buffers. misuse/sink.c has the sinks. */
#include "events.h"
#include "misuse/handles.h"
#include "sized.h"
#include <sys/resource.h>

static struct handles objects;

static aq_event_buffer_config valid(void)
{
    aq_event_buffer_config config;
    CHECK_OK(aq_event_buffer_config_init(&config, sizeof config));
    config.capacity = 10;
    config.capacity_bytes = 100;
    return config;
}

static aq_status use_config(const void *config)
{
    aq_event_buffer *buffer = NULL;
    aq_status status;
    if (config == NULL) /* is fine here, but check_sized_input wants it to be refused */
        return aq_event_buffer_new(NULL, NULL) == AQ_E_INVALID ? AQ_E_INVALID : AQ_OK;
    status = aq_event_buffer_new((const aq_event_buffer_config *)config, &buffer);
    CHECK_EQ(buffer != NULL, status == AQ_OK);
    CHECK_OK(aq_event_buffer_free(buffer));
    return status;
}

static void sizes(void)
{
    aq_event_buffer_config config = valid();
    CHECK_SIZED_INIT(aq_event_buffer_config, aq_event_buffer_config_init);
    CHECK_SIZED_INIT(aq_event_buffer_stats, aq_event_buffer_stats_init);
    check_sized_input(&config, sizeof config, use_config);
}

#define CHECK_FIELD(field, value, message)                                                                            \
    do {                                                                                                              \
        aq_event_buffer_config config = valid();                                                                      \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, message);                                                      \
    } while (0)

static void fields(void)
{
    aq_event_buffer_config config = valid();
    CHECK_FIELD(kind, 2, "kind must be AQ_FIFO or AQ_CIRCULAR (got 2)");
    CHECK_FIELD(kind, -1, "kind must be AQ_FIFO or AQ_CIRCULAR (got -1)");
    CHECK_FIELD(overflow, 3, "overflow must be one of AQ_OVERFLOW_* (got 3)");
    CHECK_FIELD(overflow, -2, "overflow must be one of AQ_OVERFLOW_* (got -2)");
    CHECK_FIELD(timestamps, 2, "timestamps must be 0 or 1 (got 2)");
    CHECK_FIELD(timestamps, -1, "timestamps must be 0 or 1 (got -1)");
    CHECK_FIELD(flush_timeout_ns, -2, "flush_timeout_ns must be AQ_WAIT_FOREVER, 0 or positive (got -2)");
    CHECK_FIELD(flush_timeout_ns, INT64_MIN, "flush_timeout_ns must be");
    config.reserved = 1;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "config: reserved must be 0 (got 1)");
    CHECK_WRONG_HANDLES(objects, ALLOCATOR, aq_allocator, "memory_allocator",
                        (config = valid(), config.memory_allocator = wrong, use_config(&config)));
    /* what is no mistake */
    config = valid();
    config.flush_size = UINT64_MAX;
    config.flush_timeout_ns = INT64_MAX;
    config.capacity = config.capacity_bytes = UINT64_MAX;
    CHECK_OK(use_config(&config));
    config.flush_timeout_ns = 0;
    CHECK_OK(use_config(&config));
}

static void null_and_wrong_pointers(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 10, 100), *null = NULL;
    aq_event_buffer_config config = valid();
    aq_event_buffer_stats stats;
    aq_event_slot slot = {NULL, 1, 2};
    aq_bytes parts[2] = {{"x", 1}, {NULL, 1}};
    char packet[4];
    size_t size = 77, n_put = 77;
    uint64_t number = 77;
    int32_t yes = 77;
    int fd = -1;
    CHECK_OK(aq_event_buffer_stats_init(&stats, sizeof stats));

#define EVERY(call)                                                                                                   \
    do {                                                                                                              \
        aq_event_buffer *b = null;                                                                                    \
        CHECK_ERROR(call, AQ_E_INVALID, "buffer must not be NULL");                                                   \
        for (int i = 0; i < KINDS; i++)                                                                               \
            if (i != EVENT_BUFFER) {                                                                                  \
                b = (aq_event_buffer *)objects.of[i];                                                                 \
                CHECK_ERROR(call, AQ_E_INVALID, "buffer: not an aq_event_buffer");                                    \
            }                                                                                                         \
    } while (0)
    EVERY(aq_event_buffer_get_config(b, &config));
    EVERY(aq_event_buffer_configure(b, 0, 0));
    EVERY(aq_event_buffer_put(b, "x", 1, 0));
    EVERY(aq_event_buffer_put_many(b, "x", 1, 1, 0, &n_put));
    EVERY(aq_event_buffer_put_parts(b, parts, 1, 0));
    EVERY(aq_event_buffer_put_heap(b, NULL, 0));
    EVERY(aq_event_buffer_put_chunk(b, (const aq_chunk *)objects.of[CHUNK], 0));
    EVERY(aq_event_buffer_reserve(b, 1, 0, &slot));
    EVERY(aq_event_buffer_commit(b, 0, 0));
    EVERY(aq_event_buffer_cancel(b, 0));
    EVERY(aq_event_buffer_pop(b, 0, packet, 4, &size, NULL));
    EVERY(aq_event_buffer_peek(b, 0, packet, 4, &size, NULL));
    EVERY(aq_event_buffer_size(b, &number));
    EVERY(aq_event_buffer_bytes(b, &number));
    EVERY(aq_event_buffer_almost_full(b, &yes));
    EVERY(aq_event_buffer_time_since_last_flush(b, &number));
    EVERY(aq_event_buffer_flush_needed(b, &yes));
    EVERY(aq_event_buffer_clear(b, &number));
    EVERY(aq_event_buffer_flush(b, &number, &number));
    EVERY(aq_event_buffer_start_flusher(b));
    EVERY(aq_event_buffer_stop_flusher(b));
    EVERY(aq_event_buffer_flusher_status(b, &yes));
    EVERY(aq_event_buffer_stop(b));
    EVERY(aq_event_buffer_data_fd(b, &fd));
    EVERY(aq_event_buffer_get_stats(b, &stats));
    CHECK_WRONG_HANDLES(objects, EVENT_BUFFER, aq_event_buffer, "buffer", aq_event_buffer_free(wrong));

    CHECK_ERROR(aq_event_buffer_new(&config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_event_buffer_get_config(buffer, NULL), AQ_E_INVALID, "config must not be NULL");
    CHECK_ERROR(aq_event_buffer_get_stats(buffer, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_event_buffer_put(buffer, NULL, 1, 0), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_event_buffer_put_many(buffer, NULL, 1, 1, 0, NULL), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_event_buffer_put_parts(buffer, NULL, 1, 0), AQ_E_INVALID, "parts must not be NULL");
    CHECK_ERROR(aq_event_buffer_put_parts(buffer, parts, 2, 0), AQ_E_INVALID, "parts: data must not be NULL");
    CHECK_ERROR(aq_event_buffer_put_heap(buffer, NULL, 0), AQ_E_INVALID, "heap must not be NULL");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_heap, "heap", aq_event_buffer_put_heap(buffer, wrong, 0));
    CHECK_ERROR(aq_event_buffer_put_chunk(buffer, NULL, 0), AQ_E_INVALID, "chunk must not be NULL");
    CHECK_WRONG_HANDLES(objects, CHUNK, aq_chunk, "chunk", aq_event_buffer_put_chunk(buffer, wrong, 0));
    CHECK_ERROR(aq_event_buffer_reserve(buffer, 1, 0, NULL), AQ_E_INVALID, "slot must not be NULL");
    CHECK_ERROR(aq_event_buffer_size(buffer, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_event_buffer_bytes(buffer, NULL), AQ_E_INVALID, "bytes must not be NULL");
    CHECK_ERROR(aq_event_buffer_almost_full(buffer, NULL), AQ_E_INVALID, "yes must not be NULL");
    CHECK_ERROR(aq_event_buffer_flush_needed(buffer, NULL), AQ_E_INVALID, "yes must not be NULL");
    CHECK_ERROR(aq_event_buffer_time_since_last_flush(buffer, NULL), AQ_E_INVALID, "time_ns must not be NULL");
    CHECK_ERROR(aq_event_buffer_data_fd(buffer, NULL), AQ_E_INVALID, "fd must not be NULL");
    put_text(buffer, "four");
    CHECK_ERROR(aq_event_buffer_pop(buffer, 0, NULL, 4, &size, NULL), AQ_E_INVALID,
                "data must not be NULL when its capacity is 4");
    CHECK_ERROR(aq_event_buffer_pop(buffer, 0, packet, 4, NULL, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_event_buffer_peek(buffer, 0, NULL, 4, &size, NULL), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_event_buffer_peek(buffer, 0, packet, 4, NULL, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_event_buffer_pop(buffer, 0, packet, SIZE_MAX, &size, NULL), AQ_E_INVALID, "capacity");
    CHECK_STATUS(aq_event_buffer_peek(buffer, UINT64_MAX, packet, 4, &size, NULL), AQ_EMPTY);
    /* nothing was written, and nothing was put but what was right */
    CHECK(size == 77 && n_put == 77 && number == 77 && yes == 77 && fd == -1 && slot.data == NULL);
    CHECK_EQ(ledger(buffer).put, 1);
    CHECK_EQ(ledger(buffer).refused, 0);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void numbers(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    static aq_bytes many[1025];
    aq_bytes too_much[2] = {{"x", 1}, {"y", 1}};
    aq_event_slot slot;
    char packet[4];
    size_t size = 0;
    CHECK_ERROR(aq_event_buffer_put(buffer, "x", 1, -2), AQ_E_INVALID, "(got -2)");
    CHECK_ERROR(aq_event_buffer_put_many(buffer, "x", 1, 1, -2, NULL), AQ_E_INVALID, "(got -2)");
    CHECK_ERROR(aq_event_buffer_put_parts(buffer, many, 1, -2), AQ_E_INVALID, "(got -2)");
    CHECK_ERROR(aq_event_buffer_put_chunk(buffer, (const aq_chunk *)objects.of[CHUNK], -2), AQ_E_INVALID, "(got -2)");
    CHECK_ERROR(aq_event_buffer_reserve(buffer, 1, INT64_MIN, &slot), AQ_E_INVALID, "timeout");
    CHECK_ERROR(aq_event_buffer_pop(buffer, -2, packet, 4, &size, NULL), AQ_E_INVALID, "(got -2)");
    CHECK_ERROR(aq_event_buffer_configure(buffer, 0, -2), AQ_E_INVALID,
                "flush_timeout_ns must be AQ_WAIT_FOREVER, 0 or positive (got -2)");

    /* sizes: the bytes are not looked at */
    CHECK_ERROR(aq_event_buffer_put(buffer, packet, (size_t)AQ_EVENT_MAX_SIZE + 1, 0), AQ_E_INVALID,
                "size must be at most 1073741823 (got 1073741824)");
    CHECK_ERROR(aq_event_buffer_put(buffer, packet, SIZE_MAX, 0), AQ_E_INVALID, "data");
    CHECK_ERROR(aq_event_buffer_reserve(buffer, SIZE_MAX, 0, &slot), AQ_E_INVALID, "size must be at most 1073741823");
    CHECK_ERROR(aq_event_buffer_put_many(buffer, packet, 0, 1, 0, NULL), AQ_E_INVALID, "packet_size must be at least 1");
    CHECK_ERROR(aq_event_buffer_put_many(buffer, packet, 0, 0, 0, NULL), AQ_E_INVALID, "packet_size must be at least 1");
    CHECK_ERROR(aq_event_buffer_put_many(buffer, packet, SIZE_MAX, 2, 0, NULL), AQ_E_INVALID,
                "n_packets: there cannot be 2 packets of 18446744073709551615 bytes");
    CHECK_ERROR(aq_event_buffer_put_many(buffer, packet, (size_t)AQ_EVENT_MAX_SIZE + 1, 1, 0, NULL), AQ_E_INVALID,
                "size must be at most 1073741823");
    CHECK_ERROR(aq_event_buffer_put_parts(buffer, many, 1025, 0), AQ_E_INVALID,
                "n_parts must be at most 1024 (got 1025)");
    CHECK_ERROR(aq_event_buffer_put_parts(buffer, many, SIZE_MAX, 0), AQ_E_INVALID, "n_parts must be at most 1024");
    too_much[0].size = too_much[1].size = SIZE_MAX / 4 * 2;
    CHECK_STATUS(aq_event_buffer_put_parts(buffer, too_much, 2, 0), AQ_E_INVALID);
    too_much[0].size = too_much[1].size = AQ_EVENT_MAX_SIZE / 2 + 1;
    CHECK_ERROR(aq_event_buffer_put_parts(buffer, too_much, 2, 0), AQ_E_INVALID,
                "size must be at most 1073741823 (got 1073741824)");
    CHECK_OK(aq_event_buffer_put_parts(buffer, many, 1024, 0)); /* of nothing each */

    /* slots that there are not */
    CHECK_ERROR(aq_event_buffer_commit(buffer, 0, 0), AQ_E_INVALID, "slot: no packet 0 is reserved");
    CHECK_ERROR(aq_event_buffer_commit(buffer, UINT64_MAX, 0), AQ_E_INVALID, "is reserved");
    CHECK_ERROR(aq_event_buffer_cancel(buffer, 99), AQ_E_INVALID, "slot: no packet 99 is reserved");
    CHECK_OK(aq_event_buffer_reserve(buffer, 1, 0, &slot));
    CHECK_ERROR(aq_event_buffer_commit(buffer, slot.number, SIZE_MAX), AQ_E_INVALID, "size must be at most 1, which was");
    CHECK_ERROR(aq_event_buffer_commit(buffer, slot.number + 1, 1), AQ_E_INVALID, "is reserved");
    CHECK_OK(aq_event_buffer_cancel(buffer, slot.number));
    CHECK_EQ(ledger(buffer).put, 1);
    CHECK_EQ(ledger(buffer).cancelled, 1);
    CHECK_OK(aq_event_buffer_free(buffer));
}

static void no_descriptors(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct rlimit before, limit;
    int fd = -1;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 0;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_STATUS(aq_event_buffer_data_fd(buffer, &fd), AQ_E_IO);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(fd, -1);
    CHECK_OK(aq_event_buffer_data_fd(buffer, &fd)); /* another try */
    CHECK(fd >= 0);
    CHECK_OK(aq_event_buffer_free(buffer));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    sizes();
    fields();
    null_and_wrong_pointers();
    numbers();
    no_descriptors();
    handles_close(&objects);
    return check_done();
}

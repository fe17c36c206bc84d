/* Flushes of event buffers: results, when they are due, what a failed one leaves, and the thread that does it. */
#include "events.h"
#include <sched.h>

static int32_t almost_full(const aq_event_buffer *buffer)
{
    int32_t yes = -1;
    CHECK_OK(aq_event_buffer_almost_full(buffer, &yes));
    return yes;
}

static int32_t flush_needed(const aq_event_buffer *buffer)
{
    int32_t yes = -1;
    CHECK_OK(aq_event_buffer_flush_needed(buffer, &yes));
    return yes;
}

static uint64_t since_flush(const aq_event_buffer *buffer)
{
    uint64_t time_ns = UINT64_MAX;
    CHECK_OK(aq_event_buffer_time_since_last_flush(buffer, &time_ns));
    CHECK(time_ns < 3600 * (uint64_t)SECOND);
    return time_ns;
}

static int32_t is_running(const aq_event_buffer *buffer, aq_status expected)
{
    int32_t running = -1;
    CHECK_STATUS(aq_event_buffer_flusher_status(buffer, &running), expected);
    return running;
}

static void results(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    const char *first, *second;
    aq_event_buffer_stats stats;
    uint64_t n_packets = 99, n_bytes = 99;
    folder_make();
    first = below("first");
    second = below("second");
    put_text(buffer, "kept");
    CHECK_ERROR(aq_event_buffer_flush(buffer, &n_packets, &n_bytes), AQ_E_STATE, "takes a primary sink");
    CHECK_ERROR(aq_event_buffer_start_flusher(buffer), AQ_E_STATE, "takes a primary sink");
    CHECK_EQ(n_packets + n_bytes, 198);
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, first));
    CHECK(file_is_text(first, ""));
    flushes(buffer, 1, 4);
    flushes(buffer, 0, 0);
    put_text(buffer, "one");
    put_text(buffer, "");
    put_text(buffer, "three");
    CHECK_OK(aq_event_buffer_add_custom_sink(buffer, second, AQ_WRITE_BINARY, NULL, NULL, NULL, "head\n", 5));
    flushes(buffer, 3, 2 * 8); /* both sinks; without the header */
    CHECK(file_is_text(first, "keptonethree"));
    CHECK(file_is_text(second, "head\nonethree"));
    put_text(buffer, "popped");
    put_text(buffer, "stays");
    pops(buffer, "popped"); /* goes to no sink */
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(first, "keptonethreestays"));
    stats = ledger(buffer);
    CHECK_EQ(stats.put, 6);
    CHECK_EQ(stats.flushed, 5);
    CHECK_EQ(stats.flushed_bytes, 4 + 8 + 5);
    CHECK_EQ(stats.popped, 1);
    CHECK_EQ(stats.waiting, 0);
    CHECK_EQ(stats.flushes, 4); /* not the one without a sink */
    CHECK_EQ(stats.flush_errors, 0);
    CHECK_EQ(stats.written_bytes, 4 + 16 + 10);
    CHECK_EQ(sink_stats(buffer, 0).packets, 4);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 5);
    put_text(buffer, "lost"); /* free does not flush without a flusher */
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK(file_is_text(first, "keptonethreestays"));
    folder_remove();
}

static void when_it_is_due(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_event_slot slot;
    uint64_t before;
    folder_make();
    CHECK_EQ(almost_full(buffer) + flush_needed(buffer), 0);
    CHECK_OK(aq_event_buffer_configure(buffer, 2, AQ_WAIT_FOREVER));
    put_text(buffer, "a");
    CHECK_OK(aq_event_buffer_reserve(buffer, 1, 0, &slot));
    CHECK_EQ(almost_full(buffer) + flush_needed(buffer), 0);
    CHECK_OK(aq_event_buffer_commit(buffer, slot.number, 1));
    CHECK_EQ(almost_full(buffer), 1);
    CHECK_EQ(flush_needed(buffer), 1);
    CHECK_OK(aq_event_buffer_configure(buffer, 0, AQ_WAIT_FOREVER));
    CHECK_EQ(almost_full(buffer) + flush_needed(buffer), 0);
    CHECK_OK(aq_event_buffer_configure(buffer, 0, 3600 * (int64_t)SECOND));
    CHECK_EQ(flush_needed(buffer), 0);
    while (since_flush(buffer) < 2)
        ;
    CHECK_OK(aq_event_buffer_configure(buffer, 0, 1));
    CHECK_EQ(flush_needed(buffer), 1); /* also empty: */
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    CHECK_EQ(flush_needed(buffer), 1);
    CHECK_EQ(almost_full(buffer), 0);

    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    before = since_flush(buffer);
    while (since_flush(buffer) < before + 1000000)
        ;
    before = since_flush(buffer);
    CHECK_OK(aq_event_buffer_clear(buffer, NULL)); /* no flush */
    CHECK(since_flush(buffer) >= before);
    flushes(buffer, 0, 0); /* one, also of nothing */
    CHECK_OK(aq_event_buffer_configure(buffer, 0, INT64_MAX));
    CHECK_EQ(flush_needed(buffer), 0);
    CHECK_OK(aq_event_buffer_free(buffer));
    folder_remove();
}

/* A custom sink that can be made to fail. */
struct fragile {
    int fails; /* atomic */
    int calls;
    char seen[256];
};

static aq_status fragile_write(const aq_event_packet *packets, size_t n_packets, void *user)
{
    struct fragile *f = (struct fragile *)user;
    __atomic_fetch_add(&f->calls, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&f->fails, __ATOMIC_SEQ_CST))
        return AQ_E_NOMEM;
    for (size_t i = 0; i < n_packets; i++)
        strncat(f->seen, (const char *)packets[i].data, packets[i].size);
    return AQ_OK;
}

static void a_failed_flush(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct fragile f = {1, 0, ""};
    aq_event_buffer_stats stats;
    uint64_t n_packets = 99;
    const char *primary;
    folder_make();
    primary = below("primary");
    CHECK_OK(aq_event_buffer_add_callback_sink(buffer, fragile_write, &f, NULL, 0, NULL));
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, primary));
    put_text(buffer, "one ");
    put_text(buffer, "two ");
    for (int i = 1; i <= 2; i++) { /* nothing is written twice where it could be */
        CHECK_ERROR(aq_event_buffer_flush(buffer, &n_packets, NULL), AQ_E_NOMEM, "the program's function answered -3");
        CHECK(file_is_text(primary, "one two "));
        stats = ledger(buffer);
        CHECK_EQ(stats.waiting, 2);
        CHECK_EQ(stats.flushed, 0);
        CHECK_EQ(stats.flush_errors, i);
        CHECK_EQ(sink_stats(buffer, 0).errors, i);
        CHECK_EQ(sink_stats(buffer, 0).packets, 0);
        CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).packets, 2);
    }
    CHECK_EQ(n_packets, 99);
    put_text(buffer, "three");
    f.fails = 0;
    flushes(buffer, 1, 5 + 13); /* the primary had two of them */
    CHECK_TEXT(f.seen, "one two three");
    CHECK(file_is_text(primary, "one two three"));
    stats = ledger(buffer);
    CHECK_EQ(stats.waiting, 0);
    CHECK_EQ(stats.flushed, 3);
    CHECK_EQ(stats.written_bytes, 26);
    CHECK_OK(aq_event_buffer_free(buffer));
    folder_remove();
}

/* Waits until so many packets have been flushed. */
static void wait_flushed(aq_event_buffer *buffer, uint64_t packets)
{
    while (ledger(buffer).flushed < packets)
        sched_yield();
}

static void flusher(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 10, 0);
    const char *primary;
    aq_event_buffer_stats stats;
    uint64_t flushes_before;
    folder_make();
    primary = below("primary");
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, primary));
    CHECK_OK(aq_event_buffer_stop_flusher(buffer)); /* there is none */
    CHECK_OK(aq_event_buffer_configure(buffer, 3, AQ_WAIT_FOREVER));
    CHECK_OK(aq_event_buffer_start_flusher(buffer));
    CHECK_EQ(is_running(buffer, AQ_OK), 1);
    CHECK_ERROR(aq_event_buffer_start_flusher(buffer), AQ_E_STATE, "its flusher runs already");
    put_text(buffer, "a"); /* by size */
    put_text(buffer, "b");
    put_text(buffer, "c");
    wait_flushed(buffer, 3);
    put_text(buffer, "d"); /* by time */
    CHECK_OK(aq_event_buffer_configure(buffer, 0, 1000000));
    wait_flushed(buffer, 4);
    CHECK_OK(aq_event_buffer_configure(buffer, 0, AQ_WAIT_FOREVER));
    /* neither: but somebody waits for space */
    CHECK_OK(aq_event_buffer_put_many(buffer, "0123456789", 1, 10, AQ_WAIT_FOREVER, NULL));
    CHECK_OK(aq_event_buffer_put(buffer, "e", 1, AQ_WAIT_FOREVER));
    CHECK(ledger(buffer).flushed >= 14);
    CHECK_OK(aq_event_buffer_stop_flusher(buffer)); /* the rest */
    CHECK_EQ(is_running(buffer, AQ_OK), 0);
    CHECK(file_is_text(primary, "abcd0123456789e"));
    stats = ledger(buffer);
    CHECK_EQ(stats.flushed, 15);
    CHECK_EQ(stats.waiting + stats.flush_errors, 0);
    CHECK(stats.blocked <= 1);

    /* it can be started again; free ends it as stop does */
    CHECK_OK(aq_event_buffer_start_flusher(buffer));
    put_text(buffer, "f");
    flushes_before = ledger(buffer).flushes;
    CHECK(flushes_before >= 4);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK(file_is_text(primary, "abcd0123456789ef"));
    folder_remove();
}

static int logged;

static void count_log(int32_t level, const char *target, const char *message, void *user)
{
    (void)target, (void)user;
    if (level <= AQ_LOG_WARN && strstr(message, "answered -3") != NULL)
        __atomic_fetch_add(&logged, 1, __ATOMIC_SEQ_CST);
}

static void a_failing_flusher(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct fragile f = {1, 0, ""};
    int32_t running = -1;
    CHECK_OK(aq_set_log(count_log, NULL, NULL, AQ_LOG_WARN));
    CHECK_OK(aq_event_buffer_add_callback_sink(buffer, fragile_write, &f, NULL, 1, NULL));
    CHECK_OK(aq_event_buffer_configure(buffer, 1, AQ_WAIT_FOREVER));
    CHECK_OK(aq_event_buffer_start_flusher(buffer));
    put_text(buffer, "one ");
    while (aq_event_buffer_flusher_status(buffer, NULL) == AQ_OK)
        sched_yield();
    CHECK_ERROR(aq_event_buffer_flusher_status(buffer, &running), AQ_E_NOMEM, "the program's function answered -3");
    CHECK_EQ(running, 1);
    put_text(buffer, "two ");
    while (count_of(&f.calls) < 2) /* it tries again by itself */
        sched_yield();
    CHECK_EQ(ledger(buffer).waiting, 2);
    __atomic_store_n(&f.fails, 0, __ATOMIC_SEQ_CST);
    wait_flushed(buffer, 2);
    while (aq_event_buffer_flusher_status(buffer, NULL) != AQ_OK)
        sched_yield();
    CHECK_TEXT(f.seen, "one two ");
    CHECK(ledger(buffer).flush_errors >= 2);
    CHECK(count_of(&logged) >= 1);

    /* the last flush fails, which stop tells, and so does the status, until one does not */
    CHECK_OK(aq_event_buffer_configure(buffer, 0, AQ_WAIT_FOREVER));
    __atomic_store_n(&f.fails, 1, __ATOMIC_SEQ_CST);
    put_text(buffer, "three");
    CHECK_ERROR(aq_event_buffer_stop_flusher(buffer), AQ_E_NOMEM, "answered -3");
    CHECK_EQ(is_running(buffer, AQ_E_NOMEM), 0);
    CHECK_EQ(ledger(buffer).waiting, 1);
    CHECK_OK(aq_event_buffer_start_flusher(buffer));
    CHECK_EQ(is_running(buffer, AQ_OK), 1);
    __atomic_store_n(&f.fails, 0, __ATOMIC_SEQ_CST);
    CHECK_OK(aq_event_buffer_stop_flusher(buffer));
    CHECK_EQ(is_running(buffer, AQ_OK), 0);
    CHECK_TEXT(f.seen, "one two three");
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
}

static void *put_until_stopped(void *argument)
{
    aq_event_buffer *buffer = (aq_event_buffer *)argument;
    aq_status status;
    while ((status = aq_event_buffer_put(buffer, "x", 1, AQ_WAIT_FOREVER)) == AQ_OK)
        ;
    CHECK_STATUS(status, AQ_STOPPED);
    return NULL;
}

/* A slot at the front that nobody commits: the flusher can do nothing, and does nothing. */
static void behind_a_slot(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 4, 0);
    aq_event_buffer_stats stats;
    aq_event_slot slot;
    pthread_t thread;
    uint64_t before;
    folder_make();
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    CHECK_OK(aq_event_buffer_configure(buffer, 2, AQ_WAIT_FOREVER));
    CHECK_OK(aq_event_buffer_start_flusher(buffer));
    CHECK_OK(aq_event_buffer_reserve(buffer, 1, 0, &slot));
    CHECK_EQ(pthread_create(&thread, NULL, put_until_stopped, buffer), 0);
    while (ledger(buffer).blocked == 0)
        sched_yield();
    before = ledger(buffer).flushes;
    for (int i = 0; i < 2000; i++)
        sched_yield();
    CHECK(ledger(buffer).flushes <= before + 2); /* not thousands */
    *(char *)slot.data = '!';
    CHECK_OK(aq_event_buffer_commit(buffer, slot.number, 1));
    wait_flushed(buffer, 100);
    CHECK_OK(aq_event_buffer_stop(buffer));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_event_buffer_stop_flusher(buffer));
    stats = ledger(buffer);
    CHECK_EQ(stats.waiting, 0);
    CHECK_EQ(stats.flushed, stats.put);
    CHECK_OK(aq_event_buffer_free(buffer));
    folder_remove();
}

/* A flush under way, and meanwhile in another thread: status, start, stop. Nobody waits for ever. */
struct meeting {
    aq_event_buffer *buffer;
    int inside; /* atomic: 1 once the write function runs */
    int go_on;  /* atomic: calls that it shall see first */
    int starts; /* atomic */
};

static aq_status meet(const aq_event_packet *packets, size_t n_packets, void *user)
{
    struct meeting *m = (struct meeting *)user;
    (void)packets, (void)n_packets;
    __atomic_store_n(&m->inside, 1, __ATOMIC_SEQ_CST);
    while (count_of(&m->go_on) == 0)
        sched_yield();
    for (int i = 0; i < 1000; i++) /* while the other one waits in start_flusher */
        sched_yield();
    CHECK_OK(aq_event_buffer_flusher_status(m->buffer, NULL));
    return AQ_OK;
}

static void *start_it(void *argument)
{
    struct meeting *m = (struct meeting *)argument;
    while (count_of(&m->inside) == 0)
        sched_yield();
    __atomic_store_n(&m->go_on, 1, __ATOMIC_SEQ_CST);
    CHECK_OK(aq_event_buffer_start_flusher(m->buffer));
    return NULL;
}

static void *start_and_stop(void *argument)
{
    struct meeting *m = (struct meeting *)argument;
    for (int i = 0; i < 300; i++) {
        aq_status status = aq_event_buffer_start_flusher(m->buffer);
        if (status == AQ_OK)
            __atomic_fetch_add(&m->starts, 1, __ATOMIC_SEQ_CST);
        else
            CHECK_STATUS(status, AQ_E_STATE);
        CHECK_OK(aq_event_buffer_stop_flusher(m->buffer));
    }
    return NULL;
}

static void starts_and_stops_at_the_same_time(void)
{
    struct meeting m = {NULL, 0, 0, 0};
    pthread_t threads[3];
    m.buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    CHECK_OK(aq_event_buffer_add_callback_sink(m.buffer, meet, &m, NULL, 1, NULL));
    put_text(m.buffer, "x");
    CHECK_EQ(pthread_create(&threads[0], NULL, start_it, &m), 0);
    flushes(m.buffer, 1, 1);
    CHECK_EQ(pthread_join(threads[0], NULL), 0);
    CHECK_EQ(is_running(m.buffer, AQ_OK), 1);
    CHECK_OK(aq_event_buffer_stop_flusher(m.buffer));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, start_and_stop, &m), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(m.starts >= 1);
    CHECK_EQ(is_running(m.buffer, AQ_OK), 0);
    CHECK_OK(aq_event_buffer_free(m.buffer));
}

int main(void)
{
    results();
    when_it_is_due();
    a_failed_flush();
    flusher();
    a_failing_flusher();
    behind_a_slot();
    starts_and_stops_at_the_same_time();
    return check_done();
}

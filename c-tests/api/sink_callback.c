/* Functions of the program in sinks: formats, write functions, what they may call, and when user_free runs. */
#include "events.h"

/* ---- Format functions ---- */

struct formatter {
    int freed; /* first, for count_free */
    int calls;
    size_t capacities[8];
    int64_t fails; /* what it answers to packets that begin with '!' */
    size_t beyond; /* where it writes a byte too much for packets that begin with '>'; 0: nowhere */
};

/* "<number packet>\n"; '-' is left out, '+' becomes 9000 bytes, '*' asks for more every time. */
static int64_t format(const aq_event_packet *packet, char *text, size_t capacity, void *user)
{
    struct formatter *f = (struct formatter *)user;
    const char *data = (const char *)packet->data;
    f->capacities[f->calls++ % 8] = capacity;
    CHECK_EQ(packet->lost_packets + packet->lost_bytes, 0);
    switch (packet->size > 0 ? data[0] : 0) {
    case '-': return AQ_FORMAT_SKIP;
    case '!': return f->fails;
    case '*': return (int64_t)capacity + 1;
    case '>': text[f->beyond] = 'X'; return 1;
    case '0': return 0;
    case '+':
        if (capacity < 9000)
            return 9000;
        memset(text, '+', 9000);
        return 9000;
    default: return snprintf(text, capacity, "<%d %.*s>\n", (int)packet->number, (int)packet->size, data);
    }
}

static void text(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct formatter f = {0, 0, {0}, 0, 0}, g = f;
    aq_sink_config config = sink_config(below("also"), AQ_WRITE_BINARY);
    aq_sink_stats stats;
    size_t size;
    char *content;
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    CHECK_OK(aq_event_buffer_add_custom_sink(buffer, below("text"), AQ_WRITE_TEXT, format, &f, count_free, NULL, 0));
    config.format = format; /* bytes or text: the same */
    config.format_user = &g;
    add_sink(buffer, &config, 1);
    put_text(buffer, "one");
    put_text(buffer, "-");
    put_text(buffer, "0");
    put_text(buffer, "four");
    flushes(buffer, 4, 9 + 2 * 17);
    CHECK(file_is_text(below("primary"), "one-0four"));
    CHECK(file_is_text(below("text"), "<0 one>\n<3 four>\n"));
    CHECK(file_is_text(below("also"), "<0 one>\n<3 four>\n"));
    stats = sink_stats(buffer, 0);
    CHECK_EQ(stats.packets, 3); /* that of no text, too */
    CHECK_EQ(stats.skipped, 1);
    CHECK_EQ(stats.bytes, 17);

    /* more memory, which it then has */
    f.calls = 0;
    put_text(buffer, "+");
    put_text(buffer, "x");
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK_EQ(f.calls, 3);
    CHECK(f.capacities[0] < 9000 && f.capacities[1] >= 9000 && f.capacities[2] >= 9000);
    content = file_content(below("text"), &size);
    CHECK_EQ(size, 17 + 9000 + 6);
    CHECK(content[17] == '+' && content[17 + 8999] == '+' && strcmp(content + 9017, "<5 x>\n") == 0);
    free(content);
    CHECK_EQ(f.freed, 0);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_EQ(f.freed, 1);
    folder_empty();
}

/* What is wrong with one packet keeps those before it, and the packet comes again. */
static void text_that_fails(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    struct formatter f = {0, 0, {0}, AQ_E_UNSUPPORTED, 0};
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    CHECK_OK(aq_event_buffer_add_custom_sink(buffer, below("text"), AQ_WRITE_TEXT, format, &f, count_free, NULL, 0));
    put_text(buffer, "a");
    put_text(buffer, "!");
    put_text(buffer, "c");
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_UNSUPPORTED,
                "text: packet 1: the program's function answered -7");
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_UNSUPPORTED, below("text"));
    CHECK(file_is_text(below("text"), "<0 a>\n"));
    CHECK(file_is_text(below("primary"), "a!c"));
    CHECK_EQ(sink_stats(buffer, 0).errors, 2);
    CHECK_EQ(sink_stats(buffer, 0).packets, 1);
    CHECK_EQ(ledger(buffer).flushed + ledger(buffer).waiting, 3);
    f.fails = -12345; /* no status: AQ_E_IO */
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_IO, "answered -12345");
    f.fails = INT64_MIN;
    CHECK_STATUS(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_IO);
    f.fails = 0;
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("text"), "<0 a>\n<2 c>\n"));

    put_text(buffer, "*"); /* never content */
    f.calls = 0;
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_INVALID,
                "the format function asks for 4098 bytes after it was given the 4097 that it asked for, for packet 3");
    CHECK_EQ(f.calls, 2);
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    put_text(buffer, "!");
    f.fails = (16 << 20) + 1;
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_INVALID, "wants 16777217 bytes of at most 16777216");
    CHECK_OK(aq_event_buffer_clear(buffer, NULL));
    put_text(buffer, ">");
    f.beyond = f.capacities[0] + 1;
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_INVALID, "text: the format function wrote beyond its 40");
    CHECK(file_is_text(below("text"), "<0 a>\n<2 c>\n"));
    f.beyond = 0;
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("text"), "<0 a>\n<2 c>\nX"));
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_EQ(f.freed, 1);
    folder_empty();
}

/* ---- Write functions ---- */

enum { SEEN = 2000 };

struct writer {
    int freed; /* first, for count_free */
    int calls;
    size_t most;
    aq_status answer; /* to calls from number fail_from on */
    int fail_from;
    uint64_t n_seen, numbers[SEEN], lost[SEEN], lost_bytes[SEEN];
    char *log, name; /* what sinks share, and the letter that a call adds to it */
};

static struct writer writer_of(char *log, char name)
{
    struct writer w;
    memset(&w, 0, sizeof w);
    w.fail_from = INT32_MAX;
    w.log = log;
    w.name = name;
    return w;
}

static aq_status write_packets(const aq_event_packet *packets, size_t n_packets, void *user)
{
    struct writer *w = (struct writer *)user;
    if (w->log != NULL)
        strncat(w->log, &w->name, 1);
    if (w->calls++ >= w->fail_from)
        return w->answer;
    if (n_packets > w->most)
        w->most = n_packets;
    for (size_t i = 0; i < n_packets && w->n_seen < SEEN; i++) {
        w->numbers[w->n_seen] = packets[i].number;
        w->lost[w->n_seen] = packets[i].lost_packets;
        w->lost_bytes[w->n_seen++] = packets[i].lost_bytes;
        CHECK_EQ(packets[i].size, 2);
        CHECK(packets[i].time_ns > 0);
    }
    return AQ_OK;
}

static void add_writer(aq_event_buffer *buffer, struct writer *w, int32_t primary, int64_t expected_index)
{
    int64_t index = INT64_MIN;
    CHECK_OK(aq_event_buffer_add_callback_sink(buffer, write_packets, w, count_free, primary, &index));
    CHECK_EQ(index, expected_index);
}

static void losses(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_CIRCULAR, AQ_OVERFLOW_BY_KIND, 2, 0);
    struct writer w = writer_of(NULL, 'w');
    add_writer(buffer, &w, 1, AQ_PRIMARY_SINK);
    for (int i = 0; i < 5; i++)
        put_text(buffer, "ab");
    w.fail_from = 0;
    w.answer = AQ_E_FORMAT;
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_FORMAT, "the program's function answered -5");
    put_text(buffer, "ab"); /* one more is lost meanwhile */
    w.fail_from = INT32_MAX;
    flushes(buffer, 2, 4);
    CHECK_EQ(w.n_seen, 2);
    CHECK(w.numbers[0] == 4 && w.lost[0] == 4 && w.lost_bytes[0] == 8);
    CHECK(w.numbers[1] == 5 && w.lost[1] == 0);
    flushes(buffer, 0, 0);
    CHECK_EQ(w.calls, 2); /* not called with nothing */
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).lost, 4);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).lost_bytes, 8);
    CHECK_EQ(sink_stats(buffer, AQ_PRIMARY_SINK).errors, 1);
    CHECK_EQ(ledger(buffer).overflow_oldest, 4);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_EQ(w.freed, 1);

    w = writer_of(NULL, 'w');
    buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_DROP_NEWEST, 2, 0);
    add_writer(buffer, &w, 1, AQ_PRIMARY_SINK);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5; i++)
            put_text(buffer, "ab");
        flushes(buffer, 2, 4);
    }
    CHECK_EQ(w.n_seen, 4);
    CHECK(w.numbers[0] == 0 && w.numbers[1] == 1 && w.numbers[2] == 5 && w.numbers[3] == 6);
    CHECK(w.lost[0] == 0 && w.lost[1] == 0 && w.lost[2] == 3 && w.lost_bytes[2] == 6 && w.lost[3] == 0);
    CHECK_EQ(ledger(buffer).overflow_newest, 6);
    CHECK_OK(aq_event_buffer_free(buffer));
}

/* The others in their order, then the primary one; up to 256 packets at a time; one that fails half-way goes on where it was. */
static void order_and_batches(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    char log[64] = "", packets[2 * 600];
    struct writer p = writer_of(log, 'p'), a = writer_of(log, 'a'), b = writer_of(log, 'b');
    memset(packets, 'x', sizeof packets);
    add_writer(buffer, &p, 1, AQ_PRIMARY_SINK);
    add_writer(buffer, &a, 0, 0);
    add_writer(buffer, &b, 0, 1);
    CHECK_OK(aq_event_buffer_put_many(buffer, packets, 2, 600, 0, NULL));
    a.fail_from = 1;
    a.answer = AQ_E_IO;
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_IO, "answered -4");
    CHECK_TEXT(log, "aabbbppp"); /* a failed in its second call; the others go on */
    CHECK_EQ(a.most, 256);
    CHECK_EQ(a.n_seen, 256);
    CHECK_EQ(b.n_seen + p.n_seen, 1200);
    a.fail_from = INT32_MAX;
    flushes(buffer, 0, 2 * 344); /* the primary had them all */
    CHECK_TEXT(log, "aabbbpppaa");
    CHECK_EQ(a.n_seen, 600);
    for (uint64_t i = 0; i < 600; i++)
        CHECK(a.numbers[i] == i && b.numbers[i] == i && p.numbers[i] == i);
    CHECK_EQ(ledger(buffer).flushed, 600);
    CHECK_EQ(ledger(buffer).written_bytes, 3600);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK(p.freed == 1 && a.freed == 1 && b.freed == 1);
}

/* ---- What they may call ---- */

struct reentry {
    aq_event_buffer *buffer;
    int calls, freed;
};

static void refused_inside(aq_event_buffer *buffer)
{
    char packet[4];
    size_t size = 0, count = 0;
    aq_sink_stats stats;
    aq_sink_config config = sink_config(below("never"), AQ_WRITE_BINARY);
    const char *cannot = "a function that";
    CHECK_OK(aq_sink_stats_init(&stats, sizeof stats));
    CHECK_ERROR(aq_event_buffer_flush(buffer, NULL, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_pop(buffer, 0, packet, 4, &size, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_pop(buffer, AQ_WAIT_FOREVER, packet, 4, &size, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_peek(buffer, 0, packet, 4, &size, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_clear(buffer, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, below("never")), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_add_sink(buffer, &config, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, below("never"), AQ_WRITE_BINARY, NULL, NULL, NULL, NULL, 0),
                AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_add_callback_sink(buffer, write_packets, NULL, NULL, 0, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_disconnect_sinks(buffer), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_sink_count(buffer, &count, NULL), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, 0, &stats), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_start_flusher(buffer), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_stop_flusher(buffer), AQ_E_STATE, cannot);
    CHECK_ERROR(aq_event_buffer_free(buffer), AQ_E_STATE, cannot);
    CHECK(!file_exists(below("never")));
}

static aq_status reenter(const aq_event_packet *packets, size_t n_packets, void *user)
{
    struct reentry *r = (struct reentry *)user;
    aq_event_buffer *other = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_event_slot slot;
    uint64_t number = 99;
    int32_t yes = -1;
    refused_inside(r->buffer);
    /* what is allowed: putting, looking, and all of other buffers */
    if (r->calls++ == 0) {
        CHECK_OK(aq_event_buffer_put(r->buffer, "again", 5, 0));
        CHECK_OK(aq_event_buffer_reserve(r->buffer, 1, 0, &slot));
        CHECK_OK(aq_event_buffer_cancel(r->buffer, slot.number));
        CHECK_OK(aq_event_buffer_size(r->buffer, &number));
        CHECK_EQ(number, n_packets + 1);
    }
    CHECK_OK(aq_event_buffer_flush_needed(r->buffer, &yes));
    CHECK_OK(aq_event_buffer_configure(r->buffer, 0, AQ_WAIT_FOREVER));
    CHECK_OK(aq_event_buffer_flusher_status(r->buffer, NULL));
    ledger(r->buffer);
    CHECK_OK(aq_event_buffer_put(other, packets[0].data, packets[0].size, 0));
    CHECK_OK(aq_event_buffer_clear(other, NULL));
    CHECK_OK(aq_event_buffer_free(other));
    return AQ_OK;
}

static void reentry_freed(void *user)
{
    struct reentry *r = (struct reentry *)user;
    r->freed++;
    if (r->buffer != NULL) /* while the buffer lives */
        refused_inside(r->buffer);
}

static void calls_from_inside(void)
{
    struct reentry r = {NULL, 0, 0};
    r.buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    CHECK_OK(aq_event_buffer_add_callback_sink(r.buffer, reenter, &r, reentry_freed, 1, NULL));
    put_text(r.buffer, "one");
    flushes(r.buffer, 1, 3);
    CHECK_EQ(r.calls, 1);
    /* in the flusher's thread, too */
    CHECK_OK(aq_event_buffer_start_flusher(r.buffer));
    put_text(r.buffer, "two");
    CHECK_OK(aq_event_buffer_stop_flusher(r.buffer));
    CHECK(r.calls >= 2);
    CHECK_EQ(ledger(r.buffer).flushed, 3);
    CHECK_OK(aq_event_buffer_disconnect_sinks(r.buffer));
    CHECK_EQ(r.freed, 1);
    CHECK_OK(aq_event_buffer_free(r.buffer));
}

/* ---- user_free ---- */

static void freed_once(void)
{
    aq_event_buffer *buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    aq_sink_config config;
    int freed[4] = {0, 0, 0, 0}, failed = 0, expected = 0;
    int64_t index = 77;

    /* replaced, disconnected, freed with the buffer */
    CHECK_OK(aq_event_buffer_add_callback_sink(buffer, write_packets, &freed[0], count_free, 1, NULL));
    config = sink_config(below("a"), AQ_WRITE_TEXT);
    config.primary = 1;
    config.format = format;
    config.format_user = &freed[1];
    config.format_user_free = count_free;
    add_sink(buffer, &config, AQ_PRIMARY_SINK);
    CHECK_EQ(freed[0], 1);
    CHECK_EQ(freed[1], 0);
    CHECK_OK(aq_event_buffer_disconnect_sinks(buffer));
    CHECK_EQ(freed[1], 1);
    CHECK_OK(aq_event_buffer_add_custom_sink(buffer, below("b"), AQ_WRITE_TEXT, format, &freed[2], count_free, NULL, 0));

    /* calls that fail */
#define FAILS(call) (CHECK((call) < 0), CHECK_EQ(failed, ++expected))
    FAILS(aq_event_buffer_add_callback_sink(NULL, write_packets, &failed, count_free, 0, NULL));
    FAILS(aq_event_buffer_add_callback_sink(buffer, NULL, &failed, count_free, 0, NULL));
    FAILS(aq_event_buffer_add_callback_sink(buffer, write_packets, &failed, count_free, 2, NULL));
    FAILS(aq_event_buffer_add_custom_sink(NULL, below("c"), AQ_WRITE_TEXT, format, &failed, count_free, NULL, 0));
    FAILS(aq_event_buffer_add_custom_sink(buffer, NULL, AQ_WRITE_TEXT, format, &failed, count_free, NULL, 0));
    FAILS(aq_event_buffer_add_custom_sink(buffer, below("b"), AQ_WRITE_TEXT, format, &failed, count_free, NULL, 0));
    FAILS(aq_event_buffer_add_custom_sink(buffer, below("c"), AQ_WRITE_TEXT, NULL, &failed, count_free, NULL, 0));
    FAILS(aq_event_buffer_add_custom_sink(buffer, below("c"), AQ_WRITE_FRAMED, format, &failed, count_free, NULL, 0));
    FAILS(aq_event_buffer_add_custom_sink(buffer, below("c"), 99, format, &failed, count_free, NULL, 0));
    FAILS(aq_event_buffer_add_custom_sink(buffer, below("c"), AQ_WRITE_TEXT, format, &failed, count_free, NULL, 1));
    config.path = below("c");
    config.format_user = &failed;
    FAILS(aq_event_buffer_add_sink(NULL, &config, &index));
    config.primary = 2;
    FAILS(aq_event_buffer_add_sink(buffer, &config, &index));
    config.primary = 0;
    config.reserved = 1; /* a newer version's */
    FAILS(aq_event_buffer_add_sink(buffer, &config, &index));
    config.reserved = 0;
    config.durability = 3;
    FAILS(aq_event_buffer_add_sink(buffer, &config, &index));
    config.durability = AQ_DURABILITY_SYSTEM;
    config.path = below("no/such/folder");
    FAILS(aq_event_buffer_add_sink(buffer, &config, &index));
    config.struct_size = 1; /* cannot be read: nothing was passed */
    CHECK_STATUS(aq_event_buffer_add_sink(buffer, &config, &index), AQ_E_INVALID);
    CHECK_STATUS(aq_event_buffer_add_sink(buffer, NULL, &index), AQ_E_INVALID);
    CHECK_EQ(failed, expected);
    CHECK_EQ(index, 77);
    CHECK(!file_exists(below("c")));

    /* a function of its own is not needed with it */
    config = sink_config(below("d"), AQ_WRITE_BINARY);
    config.format_user = &freed[3];
    config.format_user_free = count_free;
    add_sink(buffer, &config, 1);
    CHECK_EQ(freed[2], 0);
    CHECK_OK(aq_event_buffer_free(buffer));
    CHECK_EQ(freed[0] + freed[1] + freed[2] + freed[3], 4);
    CHECK_EQ(folder_empty(), 3);
}

int main(void)
{
    folder_make();
    text();
    text_that_fails();
    losses();
    order_and_batches();
    calls_from_inside();
    freed_once();
    folder_remove();
    return check_done();
}

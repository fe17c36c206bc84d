/* Receives SPEAD heaps over UDP into chunks: the program to start from.
 *
 *   receive_chunks HOST PORT ITEM STEP HEAP_SIZE HEAPS_PER_CHUNK [FILE]
 *
 * Every heap carries a counter item (a timestamp, say) whose value grows by STEP from heap to heap; its payload has
 * HEAP_SIZE bytes. A chunk is HEAPS_PER_CHUNK heaps in a row. The place callback says where each heap goes; the library
 * copies payloads there, straight from the network, and hands the chunk over when newer ones have begun.
 *
 *   receive_chunks 127.0.0.1 0 0x1600 4096 8192 8
 *
 * With port 0 the system chooses one; the program says which. With FILE, which must not exist yet, the chunks' data are
 * written there, zeros for heaps that did not come. It ends at a stop item, or at ctrl-C, and prints the ledger: what became
 * of every packet.
 */
#define _POSIX_C_SOURCE 200809L /* sigaction, pipe */
#include <aqueduct/aqueduct.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNKS = 8 }; /* in circulation: the window's, those on the data ring, and those being processed */

/* What the place callback knows about the data. */
struct layout {
    int64_t step;
    int64_t heaps_per_chunk;
    size_t heap_size;
};

/* Called once per heap, on the stream's worker thread: where does this heap go? */
static void place(aq_chunk_place_data *data, size_t data_size, void *user)
{
    const struct layout *l = (const struct layout *)user;
    (void)data_size;
    if (data->items[0] < 0 || data->items[1] != (int64_t)l->heap_size)
        return; /* no counter item, or a wrong size: the heap is rejected, and counted */
    int64_t heap = data->items[0] / l->step;
    data->chunk_id = heap / l->heaps_per_chunk;
    data->heap_index = (size_t)(heap % l->heaps_per_chunk);
    data->heap_offset = data->heap_index * l->heap_size;
}

/* Every call answers a status; after an error, aq_last_error() says in one sentence what was wrong. */
static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

/* ctrl-C writes a byte into a pipe, which the main loop polls beside the data ring. */
static int interrupted[2];

static void on_signal(int signal)
{
    int saved = errno;
    ssize_t written = write(interrupted[1], "", 1);
    (void)written;
    (void)signal;
    errno = saved;
}

/* What a real program would do with a chunk: here it counts heaps, hashes (FNV-1a) what has come, and writes it to a file
 * if there is one. */
static void process(const aq_chunk *chunk, const struct layout *l, FILE *file)
{
    uint8_t *data = (uint8_t *)aq_chunk_data(chunk);
    const uint8_t *present = aq_chunk_present(chunk);
    int64_t complete = 0;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int64_t i = 0; i < l->heaps_per_chunk; i++) {
        uint8_t *heap = data + (size_t)i * l->heap_size;
        if (present[i]) {
            complete++;
            for (size_t byte = 0; byte < l->heap_size; byte++)
                hash = (hash ^ heap[byte]) * UINT64_C(0x100000001b3);
        } else {
            memset(heap, 0, l->heap_size); /* not (completely) received: its bytes mean nothing */
        }
    }
    if (file != NULL && fwrite(data, l->heap_size, (size_t)l->heaps_per_chunk, file) != (size_t)l->heaps_per_chunk) {
        perror("writing the file");
        exit(1);
    }
    printf("chunk %" PRId64 ": %" PRId64 " of %" PRId64 " heaps, fnv1a %016" PRIx64 "\n", aq_chunk_id(chunk), complete,
           l->heaps_per_chunk, hash);
}

/* Prints every statistic that is not zero. */
static void print_ledger(aq_recv_stream *stream)
{
    size_t count;
    CHECK(aq_recv_stream_stat_count(stream, &count));
    printf("ledger:\n");
    for (size_t i = 0; i < count; i++) {
        const char *name;
        uint64_t value;
        CHECK(aq_recv_stream_stat_name(stream, i, &name));
        CHECK(aq_recv_stream_stat_value(stream, i, &value));
        if (value != 0)
            printf("  %-28s %12" PRIu64 "\n", name, value);
    }
}

/* A number from the command line, in decimal or (0x) hexadecimal. */
static int64_t number(const char *text, int64_t smallest, int64_t largest, const char *name)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || value < smallest || value > largest) {
        fprintf(stderr, "%s must be a number from %" PRId64 " to %" PRId64 " (got %s)\n", name, smallest, largest, text);
        exit(2);
    }
    return (int64_t)value;
}

int main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: %s HOST PORT ITEM STEP HEAP_SIZE HEAPS_PER_CHUNK [FILE]\n", argv[0]);
        return 2;
    }
    uint64_t item = (uint64_t)number(argv[3], 1, INT64_C(1) << 55, "ITEM");
    struct layout layout;
    layout.step = number(argv[4], 1, INT64_MAX, "STEP");
    layout.heap_size = (size_t)number(argv[5], 1, 1 << 30, "HEAP_SIZE");
    layout.heaps_per_chunk = number(argv[6], 1, 1 << 20, "HEAPS_PER_CHUNK");
    FILE *file = NULL;
    if (argc == 8) {
        int fd = open(argv[7], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        file = fd < 0 ? NULL : fdopen(fd, "wb");
        if (file == NULL) {
            perror(argv[7]);
            return 1;
        }
    }

    /* A worker thread to receive with, a ring for filled chunks and a ring for empty ones. */
    aq_thread_pool *pool;
    aq_chunk_ring *data, *free_ring;
    CHECK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK(aq_chunk_ring_new(CHUNKS, &data));
    CHECK(aq_chunk_ring_new(CHUNKS, &free_ring));

    /* The stream between the rings. */
    aq_recv_stream_config config;
    CHECK(aq_recv_stream_config_init(&config, sizeof config));
    config.max_heaps = 16;         /* heaps that may be in progress at the same time */
    config.allow_out_of_order = 1; /* a network may swap packets */

    aq_chunk_stream_config chunks;
    CHECK(aq_chunk_stream_config_init(&chunks, sizeof chunks));
    const uint64_t items[2] = {item, 2}; /* what place finds in its items: the counter, and the heap's length */
    chunks.items = items; /* copied in */
    chunks.n_items = 2;
    chunks.place = place;
    chunks.place_user = &layout; /* must live as long as the stream */

    aq_recv_stream *stream;
    CHECK(aq_chunk_ring_stream_new(pool, &config, &chunks, data, free_ring, &stream));

    /* Empty chunks. They circulate: free ring, stream, data ring, this program, free ring. */
    for (int i = 0; i < CHUNKS; i++) {
        aq_chunk *chunk;
        CHECK(aq_chunk_new_alloc(NULL, (size_t)layout.heaps_per_chunk * layout.heap_size, (size_t)layout.heaps_per_chunk, 0,
                                 &chunk));
        CHECK(aq_recv_stream_add_free_chunk(stream, chunk));
    }

    /* Before anybody can be told that it runs. */
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    if (pipe(interrupted) != 0 || sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) {
        perror("setting up ctrl-C");
        return 1;
    }

    /* Where packets come from. The stream could have more readers, and other kinds of them. */
    aq_udp_reader_config udp;
    uint16_t port;
    CHECK(aq_udp_reader_config_init(&udp, sizeof udp));
    udp.host = argv[1];
    udp.port = (uint16_t)number(argv[2], 0, 65535, "PORT");
    CHECK(aq_recv_stream_add_udp_reader(stream, &udp));
    CHECK(aq_recv_stream_reader_port(stream, 0, &port));
    fprintf(stderr, "listening on %s:%u\n", argv[1], port);

    /* The data ring's descriptor fits into any event loop: readable while there is a chunk, or no more will come. */
    struct pollfd wait[2];
    CHECK(aq_chunk_ring_data_fd(data, &wait[0].fd));
    wait[1].fd = interrupted[0];
    wait[0].events = wait[1].events = POLLIN;
    for (;;) {
        aq_chunk *chunk;
        aq_status status = aq_chunk_ring_get(data, 0, &chunk);
        if (status == AQ_OK) {
            process(chunk, &layout, file);
            CHECK(aq_recv_stream_add_free_chunk(stream, chunk)); /* to be filled again */
        } else if (status == AQ_STOPPED) {
            break; /* the stream has ended, and this program has had all of it */
        } else {
            check(status == AQ_EMPTY ? AQ_OK : status, "aq_chunk_ring_get");
            fflush(stdout);
            if (poll(wait, 2, -1) < 0 && errno != EINTR) {
                perror("poll");
                return 1;
            }
            if (wait[1].revents != 0) {
                wait[1].fd = -1; /* once is enough */
                wait[1].revents = 0;
                CHECK(aq_recv_stream_stop(stream)); /* what is there goes to the data ring, which then stops */
            }
        }
    }

    /* Why did it end, and what became of every packet? */
    int32_t reason;
    char message[256];
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stream_end_reason(stream, &reason, NULL, message, sizeof message));
    fprintf(stderr, "the stream ended: %s%s%s\n", aq_end_reason_string(reason), *message ? ": " : "", message);

    aq_recv_stats stats;
    CHECK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK(aq_recv_stream_get_stats(stream, &stats));
    print_ledger(stream);
    printf("%" PRIu64 " of %" PRIu64 " packets delivered in %" PRIu64 " heaps, ledger closed: %s\n", stats.packets_delivered,
           stats.packets, stats.complete_heaps, stats.ledger_closed ? "yes" : "no");

    if (file != NULL && fclose(file) != 0) {
        perror("writing the file");
        return 1;
    }
    /* In any order: handles keep alive what they need. */
    aq_thread_pool_free(pool);
    aq_chunk_ring_free(data);
    aq_chunk_ring_free(free_ring);
    aq_recv_stream_free(stream);
    return stats.ledger_closed && reason != AQ_END_ERROR ? 0 : 1;
}

/* Receives a self-describing SPEAD stream and prints it item by item.
 *
 *   receive_heaps udp HOST PORT
 *   receive_heaps tcp HOST PORT      (listens; a sender connects)
 *   receive_heaps pcap FILE
 *
 * Senders describe their items: name, type, shape. An item group learns that from the heaps and keeps the latest value of each
 * item, in this machine's byte order. The program prints which items each heap has changed. It ends at a stop item, or where the
 * source ends; receive_epoll.c shows how to end in order at ctrl-C.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every call answers a status; after an error, aq_last_error() says in one sentence what was wrong. */
static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

/* Opens what the command line names. A stream may have several readers. */
static void add_reader(aq_recv_stream *stream, int argc, char **argv)
{
    uint16_t port = 0;
    if (argc == 3 && strcmp(argv[1], "pcap") == 0) {
        CHECK(aq_recv_stream_add_pcap_reader(stream, argv[2], NULL));
        return;
    }
    if (argc == 4 && strcmp(argv[1], "udp") == 0) {
        aq_udp_reader_config udp;
        CHECK(aq_udp_reader_config_init(&udp, sizeof udp));
        udp.host = argv[2];
        udp.port = (uint16_t)atoi(argv[3]);
        CHECK(aq_recv_stream_add_udp_reader(stream, &udp));
    } else if (argc == 4 && strcmp(argv[1], "tcp") == 0) {
        aq_tcp_reader_config tcp;
        CHECK(aq_tcp_reader_config_init(&tcp, sizeof tcp));
        tcp.host = argv[2];
        tcp.port = (uint16_t)atoi(argv[3]);
        CHECK(aq_recv_stream_add_tcp_reader(stream, &tcp));
    } else {
        fprintf(stderr, "usage: %s udp HOST PORT | tcp HOST PORT | pcap FILE\n", argv[0]);
        exit(2);
    }
    CHECK(aq_recv_stream_reader_port(stream, 0, &port));
    fprintf(stderr, "listening on %s:%u\n", argv[2], port);
}

static void print_item(const aq_item *item)
{
    int64_t integer;
    double real;
    printf("  0x%" PRIx64 " %s: %s", item->id, item->name, item->dtype);
    for (size_t i = 0; i < item->n_dims; i++)
        printf("%s%zu", i == 0 ? " [" : ", ", item->shape[i]);
    if (item->n_dims > 0)
        printf("]");
    /* Single numbers come through a getter of the type that the program wants; arrays stand at item->data. */
    if (aq_item_i64(item, &integer) == AQ_OK)
        printf(" = %" PRId64, integer);
    else if (aq_item_f64(item, &real) == AQ_OK)
        printf(" = %g", real);
    else if (strcmp(item->dtype, "<f4") == 0 && item->size >= sizeof(float)) {
        float first; /* data need not be aligned for its type */
        memcpy(&first, item->data, sizeof first);
        printf(", the first is %g", (double)first);
    }
    printf("\n");
}

static void print_heap(const aq_heap *heap, aq_item_group *group)
{
    uint64_t cnt, received;
    int32_t complete;
    aq_item item;
    size_t changed, errors;
    CHECK(aq_heap_cnt(heap, &cnt));
    CHECK(aq_heap_received_length(heap, &received));
    CHECK(aq_heap_is_complete(heap, &complete));
    if (!complete) {
        /* Packets were lost. What came of the payload is there, but items may lie in the gaps: they are left alone. */
        printf("heap %" PRIu64 ": incomplete, %" PRIu64 " bytes came\n", cnt, received);
        return;
    }
    printf("heap %" PRIu64 ": %" PRIu64 " bytes\n", cnt, received);
    CHECK(aq_item_group_update(group, heap));
    CHECK(aq_item_init(&item, sizeof item));
    CHECK(aq_item_group_changed_count(group, &changed));
    for (size_t i = 0; i < changed; i++) {
        CHECK(aq_item_group_changed(group, i, &item));
        print_item(&item);
    }
    /* An item that does not fit its description stays as it was; the others are updated. */
    CHECK(aq_item_group_error_count(group, &errors));
    for (size_t i = 0; i < errors; i++) {
        aq_item_error error;
        CHECK(aq_item_group_error(group, i, &error));
        printf("  0x%" PRIx64 ": %s\n", error.id, error.message);
    }
}

int main(int argc, char **argv)
{
    aq_thread_pool *pool;
    aq_recv_stream *stream;
    aq_item_group *group;
    aq_heap *heap;
    aq_status status;

    aq_recv_stream_config config;
    CHECK(aq_recv_stream_config_init(&config, sizeof config));
    config.allow_out_of_order = 1; /* a network may swap packets */

    aq_ring_config ring;
    CHECK(aq_ring_config_init(&ring, sizeof ring));
    ring.heaps = 16;          /* heaps that may wait for this program; then the stream pauses its readers */
    ring.contiguous_only = 0; /* incomplete heaps, too */

    CHECK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK(aq_recv_stream_new(pool, &config, &ring, &stream));
    CHECK(aq_item_group_new(NULL, &group));
    add_reader(stream, argc, argv);

    while ((status = aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap)) == AQ_OK) {
        print_heap(heap, group);
        fflush(stdout);
        CHECK(aq_heap_free(heap)); /* any time later would do: a heap owns its memory */
    }
    check(status == AQ_STOPPED ? AQ_OK : status, "aq_recv_stream_get");

    /* Why did it end, and was anything lost? */
    int32_t reason;
    char message[256];
    aq_recv_stats stats;
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stream_end_reason(stream, &reason, NULL, message, sizeof message));
    CHECK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK(aq_recv_stream_get_stats(stream, &stats));
    printf("%s%s%s: %" PRIu64 " heaps complete, %" PRIu64 " incomplete, %" PRIu64 " of %" PRIu64 " packets delivered\n",
           aq_end_reason_string(reason), *message ? ": " : "", message, stats.complete_heaps,
           stats.incomplete_heaps_evicted + stats.incomplete_heaps_flushed, stats.packets_delivered, stats.packets);

    aq_item_group_free(group);
    aq_recv_stream_free(stream);
    aq_thread_pool_free(pool);
    return stats.ledger_closed && reason != AQ_END_ERROR ? 0 : 1;
}

/* Records the heaps of a SPEAD stream to a file, as they are: headers, items and payload.
 *
 *   record_heaps udp HOST PORT FILE
 *   record_heaps pcap CAPTURE FILE
 *
 * FILE, which must not exist yet, is a framed event file: each record is a heap (aq_heap_record, its items, its payload), with a
 * checksum. It ends at a stop item, or where the source ends. `aqueduct events FILE` lists and checks it; aq_event_file_open() reads it.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

int main(int argc, char **argv)
{
    int is_udp = argc == 5 && strcmp(argv[1], "udp") == 0;
    if (!is_udp && !(argc == 4 && strcmp(argv[1], "pcap") == 0)) {
        fprintf(stderr, "usage: %s udp HOST PORT FILE | pcap CAPTURE FILE\n", argv[0]);
        return 2;
    }

    /* Where heaps go: a buffer whose own thread writes to the file. */
    aq_event_buffer_config buffering;
    aq_event_buffer *buffer;
    aq_sink_config sink;
    CHECK(aq_event_buffer_config_init(&buffering, sizeof buffering));
    buffering.flush_size = 16;
    buffering.flush_timeout_ns = INT64_C(1000000000);
    buffering.capacity_bytes = 256 << 20; /* a disk that is too slow for longer pauses the receiving, heap by heap */
    CHECK(aq_event_buffer_new(&buffering, &buffer));
    CHECK(aq_sink_config_init(&sink, sizeof sink));
    sink.path = argv[argc - 1];
    sink.mode = AQ_WRITE_FRAMED;
    sink.primary = 1;
    CHECK(aq_event_buffer_add_sink(buffer, &sink, NULL));
    CHECK(aq_event_buffer_start_flusher(buffer));

    /* Where they come from. */
    aq_thread_pool *pool;
    aq_recv_stream *stream;
    aq_recv_stream_config config;
    CHECK(aq_recv_stream_config_init(&config, sizeof config));
    config.allow_out_of_order = 1; /* a network may swap packets */
    CHECK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK(aq_recv_stream_new(pool, &config, NULL, &stream));
    if (is_udp) {
        uint16_t port;
        aq_udp_reader_config udp;
        CHECK(aq_udp_reader_config_init(&udp, sizeof udp));
        udp.host = argv[2];
        udp.port = (uint16_t)atoi(argv[3]);
        CHECK(aq_recv_stream_add_udp_reader(stream, &udp));
        CHECK(aq_recv_stream_reader_port(stream, 0, &port));
        fprintf(stderr, "listening on %s:%u\n", argv[2], port);
    } else {
        CHECK(aq_recv_stream_add_pcap_reader(stream, argv[2], NULL));
    }

    aq_heap *heap;
    aq_status status;
    while ((status = aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap)) == AQ_OK) {
        CHECK(aq_event_buffer_put_heap(buffer, heap, AQ_WAIT_FOREVER)); /* a copy */
        CHECK(aq_heap_free(heap));
    }
    check(status == AQ_STOPPED ? AQ_OK : status, "aq_recv_stream_get");
    CHECK(aq_event_buffer_stop_flusher(buffer)); /* writes what is left */

    aq_recv_stats received;
    aq_event_buffer_stats recorded;
    CHECK(aq_recv_stream_stop(stream)); /* it has ended; this waits for its last word */
    CHECK(aq_recv_stats_init(&received, sizeof received));
    CHECK(aq_recv_stream_get_stats(stream, &received));
    CHECK(aq_event_buffer_stats_init(&recorded, sizeof recorded));
    CHECK(aq_event_buffer_get_stats(buffer, &recorded));
    printf("%" PRIu64 " heaps complete, %" PRIu64 " incomplete, %" PRIu64 " recorded in %" PRIu64 " bytes\n",
           received.complete_heaps, received.incomplete_heaps_evicted + received.incomplete_heaps_flushed, recorded.flushed,
           recorded.flushed_bytes);

    CHECK(aq_event_buffer_free(buffer)); /* ends and closes the file */
    aq_recv_stream_free(stream);
    aq_thread_pool_free(pool);
    return recorded.flushed == received.complete_heaps && received.ledger_closed ? 0 : 1;
}

/* Sends a self-describing SPEAD stream over UDP or TCP, or into a file, at a rate.
 *
 *   send udp HOST PORT HEAPS [RATE]      RATE in bytes per second; as fast as it goes without it
 *   send tcp HOST PORT HEAPS [RATE]
 *   send file PATH HEAPS                 packets, one behind the other
 *   send pcap PATH HEAPS                 a capture
 *
 * Each heap has a count, a temperature and 65536 samples. The samples are sent from where they are, without a copy: from a few buffers that circulate. A buffer
 * may be filled anew when the library releases it, which it does when neither the heap nor a value of the group needs it.
 * The last heap ends the stream. The program prints what became of all heaps; its exit status is 1 if any was not sent.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 65536, BUFFERS = 6, COUNT = 0x1000, TEMPERATURE = 0x1001, SAMPLES_ID = 0x1002 };

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

/* A ring of free buffers: any thread may put one back, and getting one waits. */
static aq_ring *free_buffers;

static void put_back(void *buffer)
{
    aq_ring_put(free_buffers, buffer, AQ_WAIT_FOREVER); /* there is always space */
}

static aq_send_stream *open_stream(int argc, char **argv, long *heaps)
{
    aq_send_stream_config config;
    aq_send_stream *stream = NULL;
    CHECK(aq_send_stream_config_init(&config, sizeof config));
    config.max_heaps = BUFFERS - 2; /* one buffer is being filled, and one is the latest value of the group */
    if (argc >= 5 && (strcmp(argv[1], "udp") == 0 || strcmp(argv[1], "tcp") == 0)) {
        aq_send_destination to = {argv[2], (uint16_t)atoi(argv[3]), {0, 0, 0}};
        *heaps = atol(argv[4]);
        if (argc > 5)
            config.rate = atof(argv[5]);
        if (argv[1][0] == 'u') {
            aq_udp_sender_config udp;
            CHECK(aq_udp_sender_config_init(&udp, sizeof udp));
            udp.destinations = &to;
            udp.n_destinations = 1;
            CHECK(aq_send_stream_new_udp(&config, &udp, &stream));
        } else {
            aq_tcp_sender_config tcp;
            CHECK(aq_tcp_sender_config_init(&tcp, sizeof tcp));
            tcp.destinations = &to;
            tcp.n_destinations = 1;
            CHECK(aq_send_stream_new_tcp(&config, &tcp, &stream));
        }
    } else if (argc == 4 && (strcmp(argv[1], "file") == 0 || strcmp(argv[1], "pcap") == 0)) {
        *heaps = atol(argv[3]);
        CHECK(aq_send_stream_new_file(&config, argv[2], argv[1][0] == 'f' ? AQ_SEND_FILE_RAW : AQ_SEND_FILE_PCAP, &stream));
    } else {
        fprintf(stderr, "usage: %s udp|tcp HOST PORT HEAPS [RATE] | file|pcap PATH HEAPS\n", argv[0]);
        exit(2);
    }
    return stream;
}

/* What items are called, and of which type they are: a receiver learns that from the first heap. */
static void describe(aq_send_group *group)
{
    const int64_t shape[] = {SAMPLES};
    aq_descriptor d;
    CHECK(aq_descriptor_init(&d, sizeof d));
    d.id = COUNT;
    d.name = "count";
    d.description = "heaps since the start";
    d.dtype = "<u4";
    CHECK(aq_send_group_add(group, &d));
    d.id = TEMPERATURE;
    d.name = "temperature";
    d.description = "of the digitiser, in degrees Celsius";
    d.dtype = "<f8";
    CHECK(aq_send_group_add(group, &d));
    d.id = SAMPLES_ID;
    d.name = "samples";
    d.description = "voltages";
    d.dtype = "<i2";
    d.shape = shape;
    d.n_dims = 1;
    CHECK(aq_send_group_add(group, &d));
}

int main(int argc, char **argv)
{
    long heaps = 0;
    aq_send_stream *stream = open_stream(argc, argv, &heaps);
    aq_send_group *group = NULL;
    aq_send_heap *heap = NULL;
    aq_send_stats stats;
    void *item = NULL;
    CHECK(aq_ring_new(BUFFERS, NULL, NULL, NULL, &free_buffers));
    for (int i = 0; i < BUFFERS; i++)
        CHECK(aq_ring_put(free_buffers, malloc(SAMPLES * sizeof(int16_t)), 0));
    CHECK(aq_send_group_new(NULL, &group));
    describe(group);
    for (uint32_t count = 0; count < (uint32_t)heaps; count++) {
        int16_t *samples;
        double temperature = 40 + (count / 10) % 5; /* it seldom changes, and is sent when it does */
        CHECK(aq_ring_get(free_buffers, AQ_WAIT_FOREVER, &item));
        samples = (int16_t *)item;
        for (int i = 0; i < SAMPLES; i++)
            samples[i] = (int16_t)(count + (uint32_t)i);
        CHECK(aq_send_group_set(group, COUNT, &count, sizeof count));
        if (count % 10 == 0)
            CHECK(aq_send_group_set(group, TEMPERATURE, &temperature, sizeof temperature));
        CHECK(aq_send_group_set_reference(group, SAMPLES_ID, (const uint8_t *)samples, SAMPLES * sizeof(int16_t), samples,
                                          put_back));
        CHECK(aq_send_group_heap(group, NULL, &heap));
        CHECK(aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
        CHECK(aq_send_heap_free(heap)); /* the stream has what it needs */
    }
    CHECK(aq_send_heap_new(NULL, &heap));
    CHECK(aq_send_heap_add_control(heap, AQ_SEND_CONTROL_STOP));
    CHECK(aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK(aq_send_heap_free(heap));
    CHECK(aq_send_stream_flush(stream, AQ_WAIT_FOREVER));
    CHECK(aq_send_stats_init(&stats, sizeof stats));
    CHECK(aq_send_stream_get_stats(stream, &stats));
    printf("%" PRIu64 " of %" PRIu64 " heaps sent, %" PRIu64 " failed; %" PRIu64 " packets, %" PRIu64 " bytes\n", stats.heaps_sent,
           stats.heaps, stats.heaps_failed, stats.packets_sent, stats.bytes_sent);
    CHECK(aq_send_stream_free(stream));
    CHECK(aq_send_group_free(group)); /* releases the last samples */
    for (int i = 0; i < BUFFERS; i++) {
        CHECK(aq_ring_get(free_buffers, AQ_WAIT_FOREVER, &item));
        free(item);
    }
    CHECK(aq_ring_free(free_buffers));
    return stats.heaps_sent == stats.heaps ? 0 : 1;
}

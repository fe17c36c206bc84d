/* send_aqueduct udp|tcp PORT HEAPS HEAP_SIZE PACKET_SIZE RATE: sends HEAPS heaps of HEAP_SIZE bytes to 127.0.0.1:PORT in packets of PACKET_SIZE bytes at RATE bytes
 * per second (0: as fast as it goes), with up to 4 heaps queued, by reference from one block of memory. Prints a JSON line: wall clock and CPU seconds from the first
 * submission to the end of the last heap, bytes and heaps sent. */
#include <aqueduct/aqueduct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void check(aq_status status, const char *call)
{
    if (status != AQ_OK) {
        fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
        exit(1);
    }
}
#define CHECK(call) check((call), #call)

int main(int argc, char **argv)
{
    aq_send_stream_config config;
    aq_send_stream *stream = NULL;
    aq_send_stats stats;
    aq_send_destination to = {"127.0.0.1", 0, {0, 0, 0}};
    if (argc != 7)
        return 2;
    to.port = (uint16_t)atoi(argv[2]);
    long heaps = atol(argv[3]);
    size_t heap_size = (size_t)atol(argv[4]);
    CHECK(aq_send_stream_config_init(&config, sizeof config));
    config.max_packet_size = (size_t)atol(argv[5]);
    config.rate = atof(argv[6]);
    if (strcmp(argv[1], "udp") == 0) {
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
    uint8_t *data = malloc(heap_size);
    memset(data, 1, heap_size);
    double start = now(), cpu_start = cpu();
    for (long i = 0; i < heaps; i++) {
        aq_send_heap *heap = NULL;
        CHECK(aq_send_heap_new(NULL, &heap));
        CHECK(aq_send_heap_add_immediate(heap, 0x1600, (uint64_t)i));
        CHECK(aq_send_heap_add_item(heap, 0x4300, data, heap_size, NULL, NULL));
        CHECK(aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
        CHECK(aq_send_heap_free(heap));
    }
    CHECK(aq_send_stream_flush(stream, AQ_WAIT_FOREVER));
    double seconds = now() - start, cpu_seconds = cpu() - cpu_start;
    CHECK(aq_send_stats_init(&stats, sizeof stats));
    CHECK(aq_send_stream_get_stats(stream, &stats));
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"bytes\": %llu, \"heaps\": %llu}\n", seconds, cpu_seconds,
           (unsigned long long)stats.bytes_sent, (unsigned long long)stats.heaps_sent);
    CHECK(aq_send_stream_free(stream));
    free(data);
    return 0;
}

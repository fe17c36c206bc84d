/* Simulates an F-engine, to test a receiver with: antennas that send spectra, a heap each, interleaved and at a rate; and, if asked, with losses.
 *
 *   simulate_instrument HOST PORT [NAME=VALUE ...]
 *
 *   antennas=4  channels=256  spectra=32     a heap has 2 * channels * spectra bytes: 8-bit complex samples
 *   heaps=1000          of each antenna
 *   rate=0              bytes of packets per second, of all antennas together; 0: as fast as it goes
 *   packet=1472         bytes of a packet
 *   lose=0 swap=0 repeat=0      of 1000 heaps, so many lose a packet, have two change places, have one sent twice
 *   seed=1              of these
 *
 * Each heap has the items 0x1600 (timestamp: 2 * channels * spectra times the number of the heap), 0x4101 (antenna) and 0x4300 (samples). All packets have all
 * item pointers, as those of F-engines do, so that a receiver knows where any packet belongs. The i-th byte of samples is
 * (number of the heap + antenna + i) mod 256. A last heap ends the stream.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMESTAMP = 0x1600, ANTENNA = 0x4101, SAMPLES = 0x4300, MAX_ANTENNAS = 64 };

static struct setting {
    const char *name;
    long value;
} settings[] = {{"antennas", 4}, {"channels", 256}, {"spectra", 32}, {"heaps", 1000}, {"rate", 0},
                {"packet", 1472}, {"lose", 0}, {"swap", 0}, {"repeat", 0}, {"seed", 1}};

static long *setting(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (strlen(settings[i].name) == length && strncmp(settings[i].name, name, length) == 0)
            return &settings[i].value;
    fprintf(stderr, "there is no setting \"%.*s\"\n", (int)length, name);
    exit(2);
}
#define SETTING(name) (*setting(name, strlen(name)))

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

static uint64_t drawn; /* a generator of numbers: xorshift64* */

static int draw(long per_thousand)
{
    drawn ^= drawn >> 12;
    drawn ^= drawn << 25;
    drawn ^= drawn >> 27;
    return (long)((drawn * 2685821657736338717u >> 33) % 1000) < per_thousand;
}

static long lost, swapped, repeated;

/* Sends a heap packet by packet, with what is to go wrong. All packets of a heap but its last have the same length: the largest multiple of 8. */
static void send_damaged(int fd, const aq_send_heap *heap, uint64_t cnt, int lose, int swap, int repeat)
{
    size_t size = 0, step = (size_t)SETTING("packet") / 8 * 8, n, victim;
    uint8_t *packets;
    aq_send_heap_encode(heap, cnt, (size_t)SETTING("packet"), NULL, 0, &size);
    packets = (uint8_t *)malloc(size);
    CHECK(aq_send_heap_encode(heap, cnt, (size_t)SETTING("packet"), packets, size, &size));
    n = (size + step - 1) / step;
    victim = (size_t)cnt % n;
    swap = swap && victim + 1 < n;
    for (size_t i = 0; i < n; i++) {
        size_t which = swap && i == victim ? i + 1 : swap && i == victim + 1 ? i - 1 : i;
        size_t length = which + 1 < n ? step : size - which * step;
        if (lose && which == victim)
            continue;
        for (int times = repeat && which == victim ? 2 : 1; times > 0; times--)
            if (send(fd, packets + which * step, length, 0) < 0)
                perror("send");
    }
    lost += lose, swapped += swap, repeated += repeat;
    free(packets);
}

static aq_send_heap *new_heap(uint64_t number, long antenna, const uint8_t *pattern, size_t size)
{
    aq_send_heap_config config;
    aq_send_heap *heap = NULL;
    CHECK(aq_send_heap_config_init(&config, sizeof config));
    config.repeat_pointers = 1;
    CHECK(aq_send_heap_new(&config, &heap));
    CHECK(aq_send_heap_add_immediate(heap, TIMESTAMP, (number * size) & (((uint64_t)1 << 48) - 1)));
    CHECK(aq_send_heap_add_immediate(heap, ANTENNA, (uint64_t)antenna));
    /* The pattern repeats after 256 bytes: every heap is a stretch of one piece of memory, and nothing is ever copied. */
    CHECK(aq_send_heap_add_item(heap, SAMPLES, pattern + (number + (uint64_t)antenna) % 256, size, NULL, NULL));
    return heap;
}

static int connected_socket(const char *host, const char *port)
{
    struct addrinfo *address = NULL;
    int fd, error = getaddrinfo(host, port, NULL, &address);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
        exit(1);
    }
    fd = socket(address->ai_family, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        perror(host);
    freeaddrinfo(address);
    return fd;
}

int main(int argc, char **argv)
{
    aq_send_destination to = {argc > 2 ? argv[1] : NULL, 0, {0, 0, 0}};
    aq_udp_sender_config udp;
    aq_send_stream_config config;
    aq_send_options options;
    aq_send_stream *stream = NULL;
    aq_send_heap *stop = NULL;
    aq_send_stats stats;
    if (argc < 3) {
        fprintf(stderr, "usage: %s HOST PORT [NAME=VALUE ...]\n", argv[0]);
        return 2;
    }
    to.port = (uint16_t)atoi(argv[2]);
    for (int i = 3; i < argc; i++) {
        size_t length = strcspn(argv[i], "=");
        *setting(argv[i], length) = atol(argv[i] + length + (argv[i][length] == '='));
    }
    long antennas = SETTING("antennas");
    size_t size = 2 * (size_t)SETTING("channels") * (size_t)SETTING("spectra");
    if (antennas < 1 || antennas > MAX_ANTENNAS || size == 0) {
        fprintf(stderr, "antennas must be between 1 and %d, channels and spectra at least 1\n", MAX_ANTENNAS);
        return 2;
    }
    drawn = (uint64_t)SETTING("seed") * 0x9e3779b97f4a7c15u | 1;
    uint8_t *pattern = (uint8_t *)malloc(size + 256);
    for (size_t i = 0; i < size + 256; i++)
        pattern[i] = (uint8_t)i;

    CHECK(aq_send_stream_config_init(&config, sizeof config));
    config.max_packet_size = (size_t)SETTING("packet");
    config.rate = (double)SETTING("rate");
    config.max_heaps = 2 * MAX_ANTENNAS;
    CHECK(aq_udp_sender_config_init(&udp, sizeof udp));
    udp.destinations = &to;
    udp.n_destinations = 1;
    CHECK(aq_send_stream_new_udp(&config, &udp, &stream));
    CHECK(aq_send_options_init(&options, sizeof options));
    options.order = AQ_SEND_ROUND_ROBIN;
    int fd = connected_socket(argv[1], argv[2]);
    for (uint64_t number = 0; number < (uint64_t)SETTING("heaps"); number++) {
        aq_send_member members[MAX_ANTENNAS];
        size_t n = 0;
        for (long antenna = 0; antenna < antennas; antenna++) {
            aq_send_heap *heap = new_heap(number, antenna, pattern, size);
            int lose = draw(SETTING("lose")), swap = draw(SETTING("swap")), repeat = draw(SETTING("repeat"));
            if (lose || swap || repeat) {
                CHECK(aq_send_stream_flush(stream, AQ_WAIT_FOREVER));
                send_damaged(fd, heap, number * (uint64_t)antennas + (uint64_t)antenna + 1, lose, swap, repeat);
                CHECK(aq_send_heap_free(heap));
            } else {
                members[n].heap = heap;
                members[n++].substream = 0;
            }
        }
        /* No two heaps have the same number: those of damaged ones are below 2^40. */
        options.cnt = (int64_t)(number * (uint64_t)antennas + 1 + ((uint64_t)1 << 40));
        if (n > 0)
            CHECK(aq_send_stream_submit_group(stream, members, n, &options, AQ_WAIT_FOREVER, NULL));
        for (size_t i = 0; i < n; i++)
            CHECK(aq_send_heap_free(members[i].heap));
    }
    CHECK(aq_send_heap_new(NULL, &stop));
    CHECK(aq_send_heap_add_control(stop, AQ_SEND_CONTROL_STOP));
    CHECK(aq_send_stream_submit(stream, stop, NULL, AQ_WAIT_FOREVER, NULL));
    CHECK(aq_send_heap_free(stop));
    CHECK(aq_send_stream_flush(stream, AQ_WAIT_FOREVER));
    CHECK(aq_send_stats_init(&stats, sizeof stats));
    CHECK(aq_send_stream_get_stats(stream, &stats));
    printf("%" PRIu64 " of %" PRIu64 " heaps sent, %" PRIu64 " packets, %" PRIu64 " bytes; and %ld packets lost, %ld swapped, %ld repeated\n",
           stats.heaps_sent, stats.heaps, stats.packets_sent, stats.bytes_sent, lost, swapped, repeated);
    CHECK(aq_send_stream_free(stream));
    close(fd);
    free(pattern);
    return stats.heaps_sent == stats.heaps ? 0 : 1;
}

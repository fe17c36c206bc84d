/* scatter PORT HOW PACKET_SIZE GRO WAIT_US SECONDS: what predicted placement could save at the very best.
 *
 * Receives datagrams of PACKET_SIZE bytes from send_udp, in turns of one recvmmsg with WAIT_US of sleep between them, as the library's UDP
 * reader does, and has the payloads end back to back in 128 MiB of huge pages. HOW:
 *
 *     none     they stay in the receive buffers, which are used again and again
 *     std      copied there with memcpy
 *     stream   copied there past the caches (AVX2 streaming stores: the library's AQ_MEMCPY_NONTEMPORAL)
 *     scatter  read there by the kernel, headers apart: every prediction is taken to be right, nothing is checked or repaired
 *
 *     cc -O2 -mavx2 -o scatter scatter.c && (./scatter 7399 scatter 8972 1 500 2 & sleep 0.2; taskset -c 0 send_udp 7399 1200 1048576 8972 4e9 7 1)
 *
 * Prints CPU seconds per GB. */
#define _GNU_SOURCE
#include "packets.h"
#include <arpa/inet.h>
#include <immintrin.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define MEMORY ((size_t)128 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define MESSAGES 64
#define MESSAGE 65536
#define STRIDE (MESSAGE + 9 * 1024 + 64)
#define MAX_SEGMENTS 50

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stream(uint8_t *to, const uint8_t *from, size_t n)
{
    size_t head = (64 - ((uintptr_t)to & 63)) & 63;
    if (head > n)
        head = n;
    memcpy(to, from, head);
    for (to += head, from += head, n -= head; n >= 128; to += 128, from += 128, n -= 128)
        for (int i = 0; i < 128; i += 32)
            _mm256_stream_si256((__m256i *)(to + i), _mm256_loadu_si256((const __m256i *)(from + i)));
    memcpy(to, from, n);
}

static uint8_t *huge(size_t size)
{
    uint8_t *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) { perror("mmap"); exit(1); }
    p = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    madvise(p, size, MADV_HUGEPAGE);
    memset(p, 1, size);
    return p;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: scatter PORT none|std|stream|scatter PACKET_SIZE GRO WAIT_US SECONDS\n");
        return 2;
    }
    const char *how = argv[2];
    int scatter = strcmp(how, "scatter") == 0, gro = atoi(argv[4]);
    size_t payload = strtoull(argv[3], NULL, 0) - PACKET_HEADER, segment = payload + PACKET_HEADER;
    int segments = gro ? (int)(65507 / segment) : 1;
    useconds_t wait = (useconds_t)atoi(argv[5]);
    double seconds = atof(argv[6]), begin = 0;
    if (payload > 65507 || segments < 1 || segments > MAX_SEGMENTS) {
        fprintf(stderr, "scatter: PACKET_SIZE must be at most 65507 and, with GRO, at least 1311\n");
        return 2;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(1, &set);
    sched_setaffinity(0, sizeof set, &set);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_UDP, UDP_GRO, &gro, sizeof gro);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) { perror("bind"); return 1; }

    uint8_t *memory = huge(MEMORY), *buffers = huge((size_t)STRIDE * MESSAGES);
    static struct mmsghdr message[MESSAGES];
    static struct iovec vector[MESSAGES][2 * MAX_SEGMENTS];
    size_t next = 0;
    unsigned long long bytes = 0, packets = 0, turns = 0;
    struct rusage r0, r1;
    while (begin == 0 || now() < begin + seconds) {
        size_t place = next;
        for (int i = 0; i < MESSAGES; i++) {
            uint8_t *buffer = buffers + (size_t)i * STRIDE;
            size_t n = 0;
            vector[i][n++] = (struct iovec){ buffer, scatter ? PACKET_HEADER : MESSAGE };
            for (int s = 0; scatter && s < segments; s++) {
                if (s > 0)
                    vector[i][n++] = (struct iovec){ buffer + 64 * s, PACKET_HEADER };
                if (place + payload > MEMORY)
                    place = 0;
                vector[i][n++] = (struct iovec){ memory + place, payload };
                place += payload;
            }
            message[i].msg_hdr = (struct msghdr){ .msg_iov = vector[i], .msg_iovlen = n };
        }
        int got = recvmmsg(fd, message, MESSAGES, MSG_DONTWAIT, NULL);
        if (got > 0 && begin == 0) {
            begin = now();
            getrusage(RUSAGE_SELF, &r0);
        }
        turns += got > 0;
        for (int i = 0; i < got; i++) {
            size_t n = (message[i].msg_len + segment - 1) / segment;
            bytes += message[i].msg_len;
            packets += n;
            for (size_t s = 0; s < n; s++) {
                if (next + payload > MEMORY)
                    next = 0;
                const uint8_t *from = buffers + (size_t)i * STRIDE + s * segment + PACKET_HEADER;
                if (strcmp(how, "std") == 0)
                    memcpy(memory + next, from, payload);
                else if (strcmp(how, "stream") == 0)
                    stream(memory + next, from, payload);
                next += payload;
            }
        }
        if (got < MESSAGES)
            usleep(wait);
    }
    getrusage(RUSAGE_SELF, &r1);
    double user = (double)(r1.ru_utime.tv_sec - r0.ru_utime.tv_sec) + 1e-6 * (double)(r1.ru_utime.tv_usec - r0.ru_utime.tv_usec);
    double sys = (double)(r1.ru_stime.tv_sec - r0.ru_stime.tv_sec) + 1e-6 * (double)(r1.ru_stime.tv_usec - r0.ru_stime.tv_usec);
    double gigabytes = (double)bytes * 1e-9;
    printf("%s, gro %d: %.3f Gb/s, user %.3f + system %.3f = %.3f s/GB, %.1f packets a turn\n", how, gro, gigabytes * 8 / seconds, user / gigabytes,
           sys / gigabytes, (user + sys) / gigabytes, (double)packets / (double)turns);
    return 0;
}

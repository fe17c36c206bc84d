/* send_udp PORT HEAPS HEAP_SIZE PACKET_SIZE RATE BATCH GSO: sends HEAPS heaps to 127.0.0.1:PORT in UDP datagrams of
 * PACKET_SIZE bytes (the last of a heap may be shorter) at RATE bits of datagram payload per second, in bursts of BATCH
 * packets: one sendmmsg each (GSO 0), or one UDP_SEGMENT send each (GSO 1). Then, after a pause, three stop heaps.
 * A late burst is sent at once, so the mean rate holds, but no more than MAX_LATE seconds are made up for: a sender that
 * lost its processor must not answer with a burst that no socket buffer holds. The JSON line at the end says how long
 * the schedule slipped in all. */
#define _GNU_SOURCE
#include "packets.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define MAX_BATCH 64
#define MAX_LATE 0.002

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void send_all(int fd, struct mmsghdr *m, int n)
{
    for (int sent = 0; sent < n;) {
        int r = sendmmsg(fd, m + sent, (unsigned)(n - sent), 0);
        if (r > 0)
            sent += r;
        else if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED) {
            perror("sendmmsg");
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: send_udp PORT HEAPS HEAP_SIZE PACKET_SIZE RATE BATCH GSO\n");
        return 2;
    }
    uint64_t heaps = strtoull(argv[2], NULL, 0), heap_size = strtoull(argv[3], NULL, 0), packet_size = strtoull(argv[4], NULL, 0);
    double rate = strtod(argv[5], NULL) / 8;
    int batch = atoi(argv[6]), gso = atoi(argv[7]);
    if (batch < 1 || batch > MAX_BATCH || packet_size <= PACKET_HEADER || (gso && (uint64_t)batch * packet_size > 65507)) {
        fprintf(stderr, "send_udp: BATCH must be 1 to %d and, with GSO, fit in 65507 bytes\n", MAX_BATCH);
        return 2;
    }
    uint64_t part = packet_size - PACKET_HEADER;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) { perror("socket"); return 1; }
    int segment = (int)packet_size;
    if (gso && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0) { perror("UDP_SEGMENT"); return 1; }

    uint8_t *payload = malloc(heap_size);
    for (uint64_t j = 0; j < heap_size; j++)
        payload[j] = payload_byte(j);

    static uint8_t head[MAX_BATCH][PACKET_HEADER + 8];
    static struct iovec iov[MAX_BATCH][2];
    static struct mmsghdr msg[MAX_BATCH];
    uint64_t heap = 0, off = 0, packets = 0, bytes = 0;
    double begin = now(), start = begin, slipped = 0;
    while (heap < heaps) {
        uint64_t burst = 0;
        int n = 0;
        while (n < batch && heap < heaps) {
            uint64_t len = heap_size - off < part ? heap_size - off : part;
            put_header(head[n], heap, heap_size, off, len);
            uint64_t first = 0;
            if (off == 0) {                      /* the heap number goes into the first 8 bytes of the heap */
                first = len < 8 ? len : 8;
                for (uint64_t i = 0; i < first; i++) head[n][PACKET_HEADER + i] = payload[i] ^ (uint8_t)(heap >> (8 * i));
            }
            iov[n][0] = (struct iovec){ head[n], PACKET_HEADER + first };
            iov[n][1] = (struct iovec){ payload + off + first, len - first };
            msg[n].msg_hdr = (struct msghdr){ .msg_iov = iov[n], .msg_iovlen = 2 };
            n++;
            burst += PACKET_HEADER + len;
            off += len;
            if (off == heap_size) {
                off = 0;
                heap++;
                if (gso) break;                  /* only the last segment may be short */
            }
        }
        double due = start + (double)bytes / rate, t;
        while ((t = now()) < due)
            ;
        if (t - due > MAX_LATE) {
            slipped += t - due - MAX_LATE;
            start += t - due - MAX_LATE;
        }
        if (gso) {
            struct mmsghdr one = { .msg_hdr = { .msg_iov = iov[0], .msg_iovlen = 2 * (size_t)n } };
            send_all(fd, &one, 1);
        } else {
            send_all(fd, msg, n);
        }
        packets += (uint64_t)n;
        bytes += burst;
    }
    double seconds = now() - begin;
    int off_ = 0;
    if (gso) setsockopt(fd, SOL_UDP, UDP_SEGMENT, &off_, sizeof off_);
    for (int i = 0; i < 3; i++) {
        usleep(100000);
        uint8_t stop[STOP_PACKET];
        put_stop(stop, heaps);
        if (send(fd, stop, sizeof stop, 0) < 0 && errno == ECONNREFUSED)
            break;                               /* the receiver has stopped */
    }
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    printf("{\"packets\": %llu, \"heaps\": %llu, \"bytes\": %llu, \"payload\": %llu, \"seconds\": %.6f, \"slipped\": %.6f, \"sys\": %.3f}\n",
           (unsigned long long)packets, (unsigned long long)heaps, (unsigned long long)bytes, (unsigned long long)(heaps * heap_size), seconds, slipped,
           (double)r.ru_stime.tv_sec + 1e-6 * (double)r.ru_stime.tv_usec);
    return 0;
}

/* send_tcp PORT HEAPS HEAP_SIZE PACKET_SIZE RATE: sends HEAPS heaps to 127.0.0.1:PORT over TCP in packets of PACKET_SIZE bytes (the
 * last of a heap may be shorter) at RATE bits per second, in writes of 64 KiB; then a stop heap. */
#define _GNU_SOURCE
#include "packets.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0) {
            perror("send");
            exit(1);
        }
        bytes += n;
        size -= (size_t)n;
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: send_tcp PORT HEAPS HEAP_SIZE PACKET_SIZE RATE\n");
        return 2;
    }
    uint64_t heaps = strtoull(argv[2], NULL, 0), heap_size = strtoull(argv[3], NULL, 0), part = strtoull(argv[4], NULL, 0) - PACKET_HEADER;
    double rate = strtod(argv[5], NULL) / 8;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) { perror("connect"); return 1; }

    /* the packets of one heap; its number is written into them again and again */
    uint64_t n = (heap_size + part - 1) / part, size = heap_size + n * PACKET_HEADER;
    uint8_t *packets = malloc(size), first[8];
    for (uint64_t j = 0; j < heap_size; j++)
        packets[j + (j / part + 1) * PACKET_HEADER] = payload_byte(j);
    memcpy(first, packets + PACKET_HEADER, 8);
    uint64_t sent = 0;
    double start = now();
    for (uint64_t heap = 0; heap < heaps; heap++) {
        for (uint64_t i = 0; i < n; i++)
            put_header(packets + i * (part + PACKET_HEADER), heap, heap_size, i * part, heap_size - i * part < part ? heap_size - i * part : part);
        for (int i = 0; i < 8; i++)
            packets[PACKET_HEADER + i] = first[i] ^ (uint8_t)(heap >> (8 * i));
        for (uint64_t at = 0; at < size; at += PIECE) {
            uint64_t piece = size - at < PIECE ? size - at : PIECE;
            while (now() < start + (double)sent / rate)
                ;
            send_all(fd, packets + at, piece);
            sent += piece;
        }
    }
    double seconds = now() - start;
    uint8_t stop[STOP_PACKET];
    put_stop(stop, heaps);
    send_all(fd, stop, sizeof stop);
    shutdown(fd, SHUT_WR);
    char end;
    while (recv(fd, &end, 1, 0) > 0)             /* until the receiver has closed it */
        ;
    printf("{\"packets\": %llu, \"heaps\": %llu, \"bytes\": %llu, \"payload\": %llu, \"seconds\": %.6f}\n", (unsigned long long)(heaps * n),
           (unsigned long long)heaps, (unsigned long long)sent, (unsigned long long)(heaps * heap_size), seconds);
    return 0;
}

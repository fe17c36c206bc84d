/* make_input buffer|pcap FILE HEAP_SIZE PAYLOAD TOTAL: writes heaps of HEAP_SIZE in packets of PAYLOAD payload bytes
 * until TOTAL bytes of heaps are written, bare (buffer) or as Ethernet/IPv4/UDP frames in a pcap file. */
#include "packets.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_le32(uint8_t *p, uint32_t v) { for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i)); }
static void put_be16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: make_input buffer|pcap FILE HEAP_SIZE PAYLOAD TOTAL\n");
        return 2;
    }
    int pcap = strcmp(argv[1], "pcap") == 0;
    uint64_t heap_size = strtoull(argv[3], NULL, 0), part = strtoull(argv[4], NULL, 0), total = strtoull(argv[5], NULL, 0);
    FILE *f = fopen(argv[2], "wb");
    if (!f) { perror(argv[2]); return 1; }
    setvbuf(f, NULL, _IOFBF, 1 << 20);
    if (pcap) {
        uint8_t h[24] = { 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0 };
        put_le32(h + 16, 262144);
        put_le32(h + 20, 1);           /* Ethernet */
        fwrite(h, 1, sizeof h, f);
    }
    uint8_t *payload = malloc(heap_size);
    for (uint64_t j = 0; j < heap_size; j++)
        payload[j] = payload_byte(j);
    uint64_t packets = 0, heaps = total / heap_size;
    for (uint64_t heap = 0; heap < heaps; heap++)
        for (uint64_t off = 0; off < heap_size; off += part, packets++) {
            uint64_t n = heap_size - off < part ? heap_size - off : part;
            uint8_t head[16 + 42 + PACKET_HEADER], *p = head;
            if (pcap) {
                uint32_t udp = 8 + PACKET_HEADER + (uint32_t)n, ip = 20 + udp, frame = 14 + ip;
                memset(p, 0, 58);
                put_le32(p, 1700000000u + (uint32_t)(packets / 1000000));
                put_le32(p + 4, (uint32_t)(packets % 1000000));
                put_le32(p + 8, frame);
                put_le32(p + 12, frame);
                p += 16;
                memcpy(p, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0", 14);
                p += 14;
                p[0] = 0x45;
                put_be16(p + 2, ip);
                put_be16(p + 6, 0x4000);
                p[8] = 64;
                p[9] = 17;
                memcpy(p + 12, "\x7f\0\0\x01\x7f\0\0\x01", 8);
                uint32_t sum = 0;
                for (int i = 0; i < 20; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
                while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
                put_be16(p + 10, ~sum & 0xffff);
                p += 20;
                put_be16(p, 7149);
                put_be16(p + 2, 7148);
                put_be16(p + 4, udp);
                p += 8;
            }
            put_header(p, heap, heap_size, off, n);
            p += PACKET_HEADER;
            fwrite(head, 1, (size_t)(p - head), f);
            if (off == 0) {
                uint8_t first[8];
                for (int i = 0; i < 8; i++) first[i] = payload[i] ^ (uint8_t)(heap >> (8 * i));
                size_t k = n < 8 ? n : 8;
                fwrite(first, 1, k, f);
                fwrite(payload + k, 1, n - k, f);
            } else {
                fwrite(payload + off, 1, n, f);
            }
        }
    if (ferror(f) | fclose(f)) { perror(argv[2]); return 1; }
    printf("{\"packets\": %llu, \"heaps\": %llu, \"bytes\": %llu}\n", (unsigned long long)packets, (unsigned long long)heaps,
           (unsigned long long)(heaps * heap_size));
    return 0;
}

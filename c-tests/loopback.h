/* Sockets of this host for the test programs. */
#ifndef AQ_LOOPBACK_H
#define AQ_LOOPBACK_H

#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A socket (SOCK_DGRAM, SOCK_STREAM) on a port of the system's choice. */
static inline int bound_socket(int type, uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, type, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* A TCP connection; -1 when nobody listens. */
static inline int connected_socket(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline void send_all(int fd, const void *bytes, size_t size)
{
    CHECK_EQ(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size); /* a blocking socket takes it all */
}

#endif

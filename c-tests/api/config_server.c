/* Params by request: what pyacq's relay node asks, over ZeroMQ's protocol (ZMTP 3.0, NULL mechanism) by hand. */
#include "check.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_all(int fd, unsigned char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = read(fd, bytes + done, size - done);
        if (n <= 0)
            return 0;
        done += (size_t)n;
    }
    return 1;
}

static void write_all(int fd, const void *bytes, size_t size)
{
    CHECK_EQ(write(fd, bytes, size), size);
}

/* A frame's flags; its body goes to text, as a string. */
static int read_frame(int fd, char *text, size_t room)
{
    unsigned char head[9];
    size_t size;
    if (!CHECK(read_all(fd, head, 2)))
        return -1;
    size = head[1];
    if (head[0] & 2) { /* eight bytes of size, of which there is the first */
        if (!CHECK(read_all(fd, head + 2, 7)))
            return -1;
        size = 0;
        for (int i = 1; i < 9; i++)
            size = size << 8 | head[i];
    }
    if (!CHECK(size < room && read_all(fd, (unsigned char *)text, size)))
        return -1;
    text[size] = 0;
    return head[0];
}

/* A REQ socket that is connected to "tcp://127.0.0.1:PORT". */
static int connect_req(const char *address)
{
    static const unsigned char ready[] = "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ";
    unsigned char greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    struct sockaddr_in to;
    char text[1000];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    write_all(fd, greeting, sizeof greeting);
    CHECK(read_all(fd, greeting, sizeof greeting));
    write_all(fd, ready, sizeof ready - 1);
    CHECK_EQ(read_frame(fd, text, sizeof text), 4);
    return fd;
}

static void ask(int fd, const char *request, char *answer, size_t room)
{
    const unsigned char empty[] = {1, 0};
    unsigned char head[2];
    head[0] = 0;
    head[1] = (unsigned char)strlen(request);
    write_all(fd, empty, sizeof empty);
    write_all(fd, head, sizeof head);
    write_all(fd, request, strlen(request));
    CHECK_EQ(read_frame(fd, answer, room), 1); /* empty, too */
    CHECK_EQ(read_frame(fd, answer, room) & ~2, 0);
}

struct seen {
    aq_config_server *server;
    int starts, stops, freed;
};

static aq_status control(int32_t start, void *user)
{
    struct seen *seen = (struct seen *)user;
    if (start) {
        seen->starts++;
        return AQ_OK;
    }
    seen->stops++;
    CHECK_ERROR(aq_config_server_free(seen->server), AQ_E_STATE, "cannot be freed by its own callback");
    return seen->stops > 1 ? AQ_E_STATE : AQ_OK;
}

static void freed(void *user)
{
    ((struct seen *)user)->freed++;
}

int main(void)
{
    aq_output_stream_config config;
    aq_output_stream *output = NULL;
    aq_config_server *server = NULL;
    struct seen seen = {NULL, 0, 0, 0};
    char address[64] = "", params[4096], answer[4096];
    aq_status status;
    int fd;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    CHECK_OK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = AQ_PROTOCOL_INPROC;
    config.sample_rate = 250;
    CHECK_OK(aq_output_stream_new(&config, &output));
    CHECK_OK(aq_output_stream_params_json(output, params, sizeof params, NULL));
    status = aq_output_stream_serve_config(output, NULL, 0, control, &seen, freed, &server);
    if (!aq_has_feature("zmq")) {
        CHECK_EQ(status, AQ_E_UNSUPPORTED);
        CHECK_EQ(seen.freed, 1);
        CHECK_OK(aq_output_stream_free(output));
        return check_done();
    }
    CHECK_OK(status);
    seen.server = server;
    CHECK_OK(aq_config_server_address(server, address, sizeof address, NULL));
    CHECK_EQ(strncmp(address, "tcp://127.0.0.1:", 16), 0);
    CHECK_OK(aq_output_stream_free(output)); /* the server keeps it */

    fd = connect_req(address);
    ask(fd, "config", answer, sizeof answer);
    CHECK_TEXT(answer, params);
    ask(fd, "start", answer, sizeof answer);
    CHECK_TEXT(answer, "ok");
    ask(fd, "stop", answer, sizeof answer);
    CHECK_TEXT(answer, "ok");
    ask(fd, "stop", answer, sizeof answer);
    CHECK_EQ(strncmp(answer, "error: ", 7), 0);
    ask(fd, "eval", answer, sizeof answer);
    CHECK_TEXT(answer, "error: a request must be config, start or stop");
    close(fd);
    CHECK_EQ(seen.starts, 1);
    CHECK_EQ(seen.stops, 2);
    CHECK_EQ(seen.freed, 0);
    CHECK_OK(aq_config_server_free(server));
    CHECK_EQ(seen.freed, 1);

    /* Without a function both are fine. */
    CHECK_OK(aq_output_stream_new(&config, &output));
    CHECK_OK(aq_output_stream_serve_config(output, "127.0.0.1", 0, NULL, NULL, NULL, &server));
    CHECK_OK(aq_config_server_address(server, address, sizeof address, NULL));
    fd = connect_req(address);
    ask(fd, "start", answer, sizeof answer);
    CHECK_TEXT(answer, "ok");
    close(fd);
    CHECK_OK(aq_config_server_free(server));
    CHECK_OK(aq_output_stream_free(output));
    return check_done();
}

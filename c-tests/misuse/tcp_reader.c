/* What a caller can get wrong with the TCP reader. */
#include "loopback.h"
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;

static aq_status use_config(const void *config)
{
    return aq_recv_stream_add_tcp_reader(objects.receiver.stream, (const aq_tcp_reader_config *)config);
}

static aq_tcp_reader_config good_config(void)
{
    aq_tcp_reader_config config;
    CHECK_OK(aq_tcp_reader_config_init(&config, sizeof config));
    config.host = "127.0.0.1";
    config.buffer_size = 0;
    return config;
}

static void settings(void)
{
    aq_tcp_reader_config config = good_config();
    CHECK_SIZED_INIT(aq_tcp_reader_config, aq_tcp_reader_config_init);
    check_sized_input(&config, sizeof config, use_config);
    CHECK_ERROR(aq_recv_stream_add_tcp_reader(NULL, &config), AQ_E_INVALID, "stream must not be NULL");
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream", aq_recv_stream_add_tcp_reader(wrong, &config));
    config.max_size = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_size must be between 1 and 1073741824 (got 0)");
    config.max_size = ((size_t)1 << 30) + 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_size must be between 1 and 1073741824 (got 1073741825)");
    config.max_size = (size_t)1 << 30;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.batch_delay_ns = 1000001;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "batch_delay_ns must be at most 1000000 (got 1000001)");
    config.batch_delay_ns = UINT64_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "batch_delay_ns must be at most 1000000");
    config = good_config();
    config.reconnect = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "reconnect must be 0 or 1 (got 2)");
    config = good_config();
    config.on_garbage = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "on_garbage must be one of AQ_GARBAGE_* (got 2)");
    config.on_garbage = -1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "on_garbage must be one of AQ_GARBAGE_* (got -1)");
    config = good_config();
    config.reserved[1] = 1;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "config: reserved must be 0 (got 1)");
    config = good_config();
    config.timestamps = 3;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "timestamps must be one of AQ_TIMESTAMPS_* (got 3)");
    config = good_config();
    config.source_filter = "10.0.0.0/8, x";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "source_filter: \"x\" is no address");
    config = good_config();
    config.host = "\xff";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "host must be UTF-8");
    config.host = "not a host";
    CHECK_ERROR(use_config(&config), AQ_E_IO, "not a host");
    config.host = "192.0.2.1"; /* of no machine on earth */
    CHECK_ERROR(use_config(&config), AQ_E_IO, "192.0.2.1:0");
    config = good_config();
    config.buffer_size = SIZE_MAX; /* what the kernel does not grant is a warning */
    CHECK_OK(use_config(&config));
}

static void sockets(void)
{
    aq_tcp_reader_config config = good_config();
    uint16_t port = 0;
    char text[32];
    int fd;
    config.acceptor_fd = -2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "acceptor_fd must be -1 or a descriptor (got -2)");
    config.acceptor_fd = 1 << 30;
    CHECK_ERROR(use_config(&config), AQ_E_IO, "acceptor_fd: duplicating descriptor 1073741824");
    config.acceptor_fd = bound_socket(SOCK_DGRAM, &port);
    CHECK_STATUS(use_config(&config), AQ_E_INVALID);
    CHECK(strstr(aq_last_error(), "acceptor_fd") != NULL);
    close(config.acceptor_fd);
    config.acceptor_fd = bound_socket(SOCK_STREAM, &port); /* does not listen */
    CHECK_STATUS(use_config(&config), AQ_E_INVALID);
    CHECK(strstr(aq_last_error(), "acceptor_fd") != NULL);
    close(config.acceptor_fd);

    config = good_config();
    fd = bound_socket(SOCK_STREAM, &port);
    CHECK_EQ(listen(fd, 1), 0);
    config.port = port;
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    CHECK_ERROR(use_config(&config), AQ_E_IO, text);
    CHECK_ERROR(use_config(&config), AQ_E_IO, "in use");
    close(fd);
    CHECK_OK(use_config(&config));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    settings();
    sockets();
    handles_close(&objects);
    return check_done();
}

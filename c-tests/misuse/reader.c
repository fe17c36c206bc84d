/* What a caller can get wrong with readers. */
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;

static void count(void *user)
{
    ++*(int *)user;
}

static aq_status use_config(const void *config)
{
    return aq_recv_stream_add_udp_reader(objects.receiver.stream, (const aq_udp_reader_config *)config);
}

static aq_udp_reader_config good_config(void)
{
    aq_udp_reader_config config;
    CHECK_OK(aq_udp_reader_config_init(&config, sizeof config));
    config.host = "127.0.0.1";
    config.buffer_size = 0;
    return config;
}

static void nulls_and_handles(void)
{
    aq_recv_stream *stream = objects.receiver.stream;
    aq_udp_reader_config config = good_config();
    uint16_t port = 77;
    int released = 0;
    CHECK_ERROR(aq_recv_stream_add_buffer_reader(NULL, "", 0, count, &released), AQ_E_INVALID,
                "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_add_buffer_reader(stream, NULL, 1, count, &released), AQ_E_INVALID,
                "data must not be NULL when its size is 1");
    CHECK_ERROR(aq_recv_stream_add_buffer_reader(stream, "", SIZE_MAX, count, &released), AQ_E_INVALID, "data");
    CHECK_EQ(released, 3); /* whatever is wrong, user was passed */
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream",
                        aq_recv_stream_add_buffer_reader(wrong, "", 0, count, &released));
    CHECK_EQ(released, 3 + KINDS - 1);
    CHECK_ERROR(aq_recv_stream_add_udp_reader(NULL, &config), AQ_E_INVALID, "stream must not be NULL");
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream", aq_recv_stream_add_udp_reader(wrong, &config));
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(NULL, "a", NULL), AQ_E_INVALID, "stream must not be NULL");
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream", aq_recv_stream_add_pcap_reader(wrong, "a", NULL));
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(stream, NULL, NULL), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(stream, "", NULL), AQ_E_INVALID, "path must not be empty");
    CHECK_ERROR(aq_recv_stream_add_pcap_reader(stream, "a", "\xff"), AQ_E_INVALID, "filter must be UTF-8");
    CHECK_ERROR(aq_recv_stream_reader_port(NULL, 0, &port), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_reader_port(stream, 0, NULL), AQ_E_INVALID, "port must not be NULL");
    CHECK_ERROR(aq_recv_stream_reader_port(stream, SIZE_MAX, &port), AQ_E_NOT_FOUND, "reader 18446744073709551615");
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream", aq_recv_stream_reader_port(wrong, 0, &port));
    CHECK_EQ(port, 77);
}

static void settings(void)
{
    aq_udp_reader_config config = good_config();
    CHECK_SIZED_INIT(aq_udp_reader_config, aq_udp_reader_config_init);
    check_sized_input(&config, sizeof config, use_config);
    config.max_size = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_size must be between 1 and 65535 (got 0)");
    config.max_size = 65536;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_size must be between 1 and 65535 (got 65536)");
    config.max_size = SIZE_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_size must be between 1 and 65535");
    config.max_size = 65535;
    CHECK_OK(use_config(&config));
    config.max_size = 1;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.socket_fd = -2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "socket_fd must be -1 or a descriptor (got -2)");
    config.socket_fd = 1 << 30;
    CHECK_ERROR(use_config(&config), AQ_E_IO, "socket_fd: duplicating descriptor 1073741824");
    config = good_config();
    config.host = "\xff";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "host must be UTF-8");
    config = good_config();
    config.timestamps = -1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "timestamps must be one of AQ_TIMESTAMPS_* (got -1)");
    config = good_config();
    config.source_filter = "localhost";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "source_filter: \"localhost\" is no address");
    config.source_filter = "\xff";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "source_filter must be UTF-8");
    config = good_config();
    config.reuse_address = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "reuse_address must be 0 or 1 (got 2)");
    config = good_config();
    config.reuse_port = -1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "reuse_port must be 0 or 1 (got -1)");
    config = good_config();
    config.interface_address = "lo";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "are for multicast groups, which host \"127.0.0.1\" is not");
    config.host = "239.255.77.1";
    config.interface_address = "no such interface";
    CHECK_ERROR(use_config(&config), AQ_E_IO, "no such interface");
    config.interface_index = 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "only one of interface_address and interface_index may be set");
    config.interface_address = "127.0.0.1";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "only one of interface_address and interface_index may be set");
    config.interface_index = 0;
    CHECK_OK(use_config(&config));
    config.host = "ff02::77";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "must be the name of an interface (got 127.0.0.1)");
    config = good_config();
    config.batch_delay_ns = 1000001;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "batch_delay_ns must be at most 1000000 (got 1000001)");
    config.batch_delay_ns = UINT64_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "batch_delay_ns must be at most 1000000");
    config.batch_delay_ns = 1000000;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.coalesce_ns = 1000001;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "coalesce_ns must be AQ_COALESCE_ADAPTIVE or 0 to 1000000 (got 1000001)");
    config.coalesce_ns = -2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "coalesce_ns must be AQ_COALESCE_ADAPTIVE or 0 to 1000000 (got -2)");
    config.coalesce_ns = 1000000;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.gro = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "gro must be 0 or 1 (got 2)");
    config.gro = 0;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.reserved[2] = 1;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "config: reserved must be 0 (got 1)");
    config = good_config();
    config.buffer_size = SIZE_MAX; /* what the kernel does not grant is a warning */
    CHECK_OK(use_config(&config));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    nulls_and_handles();
    settings();
    handles_close(&objects);
    return check_done();
}

/* What a caller can get wrong with live capture. */
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;

static aq_status use_config(const void *config)
{
    return aq_recv_stream_add_pcap_live_reader(objects.receiver.stream, (const aq_pcap_live_reader_config *)config);
}

static aq_pcap_live_reader_config good_config(void)
{
    aq_pcap_live_reader_config config;
    CHECK_OK(aq_pcap_live_reader_config_init(&config, sizeof config));
    config.device = "lo";
    config.filter = "udp dst port 9 and udp src port 9";
    config.buffer_size = 1 << 16;
    return config;
}

static void settings(void)
{
    aq_pcap_live_reader_config config = good_config();
    CHECK_SIZED_INIT(aq_pcap_live_reader_config, aq_pcap_live_reader_config_init);
    CHECK_ERROR(aq_recv_stream_add_pcap_live_reader(NULL, &config), AQ_E_INVALID, "stream must not be NULL");
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream",
                        aq_recv_stream_add_pcap_live_reader(wrong, &config));
    config.promiscuous = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "promiscuous must be 0 or 1 (got 2)");
    config = good_config();
    config.outgoing = -1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "outgoing must be 0 or 1 (got -1)");
    config = good_config();
    config.device = NULL;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "device must not be NULL");
    config.device = "\xff";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "device must be UTF-8");
    config = good_config();
    config.filter = "\xff";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "filter must be UTF-8");
}

static void captures(void)
{
    const size_t sizes[] = {0, 65535, (size_t)INT32_MAX + 1, SIZE_MAX};
    aq_pcap_live_reader_config config = good_config();
    aq_status status = use_config(&config);
    if (status == AQ_E_UNSUPPORTED) {
        printf("SKIPPED: %s\n", aq_last_error());
        CHECK(!aq_has_feature("pcap"));
        return;
    }
    config.device = "";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "device must not be empty");
    config = good_config();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        config.buffer_size = sizes[i];
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, "buffer_size must be between 65536 and 2147483647");
    }
    config = good_config();
    config.device = "aqueduct-none0";
    CHECK_ERROR(use_config(&config), AQ_E_IO, "live capture on \"aqueduct-none0\"");
    if (status != AQ_OK) {
        printf("SKIPPED: no privilege to capture\n");
        CHECK(getenv("CI") == NULL);
        return;
    }
    config = good_config();
    check_sized_input(&config, sizeof config, use_config);
    config.filter = "udp dst prot 7148";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "filter \"udp dst prot 7148\" for \"lo\"");
    config.filter = NULL;
    CHECK_OK(use_config(&config));
    CHECK_OK(aq_recv_stream_stop(objects.receiver.stream));
    CHECK_STATUS(use_config(&config), AQ_STOPPED);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    settings();
    captures();
    handles_close(&objects);
    return check_done();
}

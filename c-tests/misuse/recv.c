/* What a caller can get wrong with receiving streams and their settings. */
#include "misuse/handles.h"
#include "sized.h"

static void nulls(void)
{
    struct handles h;
    aq_recv_stream *stream;
    aq_recv_stream_config config;
    aq_chunk *chunk;
    aq_chunk_ring *ring = NULL;
    const char *name = NULL;
    int32_t reason = 77;
    size_t n = 99;
    uint64_t value = 99;
    handles_open(&h);
    stream = h.receiver.stream;
    chunk = (aq_chunk *)h.of[CHUNK];
    CHECK_OK(aq_recv_stream_config_init(&config, sizeof config));
    CHECK_ERROR(aq_recv_stream_config_add_stat(NULL, "a", AQ_STAT_COUNTER, &n), AQ_E_INVALID, "config must not be NULL");
    CHECK_ERROR(aq_recv_stream_config_add_stat(&config, NULL, AQ_STAT_COUNTER, &n), AQ_E_INVALID,
                "name must not be NULL");
    CHECK_EQ(config.n_custom_stats, 0);
    CHECK_ERROR(aq_recv_stream_start(NULL), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_stop(NULL), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_end_reason(NULL, &reason, NULL, NULL, 0), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_end_reason(stream, NULL, NULL, NULL, 0), AQ_E_INVALID, "reason must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_count(NULL, &n), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_count(stream, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_name(NULL, 0, &name), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_name(stream, 0, NULL), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_index(NULL, "heaps", &n), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_index(stream, NULL, &n), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_index(stream, "heaps", NULL), AQ_E_INVALID, "index must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_index(stream, "\xff", &n), AQ_E_INVALID, "name must be UTF-8");
    CHECK_ERROR(aq_recv_stream_stat_value(NULL, 0, &value), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_value(stream, 0, NULL), AQ_E_INVALID, "value must not be NULL");
    CHECK_ERROR(aq_recv_stream_stat_value(stream, SIZE_MAX, &value), AQ_E_NOT_FOUND, "18446744073709551615");
    CHECK_ERROR(aq_recv_stream_stat_name(stream, SIZE_MAX, &name), AQ_E_NOT_FOUND, "18446744073709551615");
    CHECK_ERROR(aq_recv_stream_add_free_chunk(NULL, chunk), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_add_free_chunk(stream, NULL), AQ_E_INVALID, "chunk must not be NULL");
    CHECK_ERROR(aq_recv_stream_data_ring(NULL, &ring), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_data_ring(stream, NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK_ERROR(aq_recv_stream_free_ring(NULL, &ring), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_free_ring(stream, NULL), AQ_E_INVALID, "ring must not be NULL");
    CHECK(reason == 77 && n == 99 && value == 99 && name == NULL && ring == NULL);
    CHECK_EQ(aq_chunk_data_size(chunk), 1); /* still the caller's */
    handles_close(&h);
}

static void wrong_handles(void)
{
    struct handles h;
    aq_recv_stream *stream;
    aq_chunk *chunk;
    aq_chunk_ring *ring = NULL;
    const char *name;
    int32_t reason;
    size_t n;
    uint64_t value;
    handles_open(&h);
    stream = h.receiver.stream;
    chunk = (aq_chunk *)h.of[CHUNK];
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_start(wrong));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_stop(wrong));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_free(wrong));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_end_reason(wrong, &reason, NULL, NULL, 0));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_stat_count(wrong, &n));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_stat_name(wrong, 0, &name));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_stat_index(wrong, "heaps", &n));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_stat_value(wrong, 0, &value));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_add_free_chunk(wrong, chunk));
    CHECK_WRONG_HANDLES(h, CHUNK, aq_chunk, "chunk", aq_recv_stream_add_free_chunk(stream, wrong));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_data_ring(wrong, &ring));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_free_ring(wrong, &ring));
    CHECK(ring == NULL);
    CHECK_EQ(aq_chunk_data_size(chunk), 1); /* still the caller's */
    handles_close(&h);
}

/* Makes a stream with these settings. */
static struct handles objects;

static aq_status use_config(const void *config)
{
    aq_recv_stream *stream = NULL;
    aq_chunk_stream_config chunks = objects.receiver.chunk_config;
    aq_status status;
    chunks.place_user_free = NULL;
    status = aq_chunk_ring_stream_new(objects.receiver.pool, (const aq_recv_stream_config *)config, &chunks,
                                      objects.receiver.data, objects.receiver.free_ring, &stream);
    aq_recv_stream_free(stream);
    return status;
}

static aq_status use_add_stat(const void *config)
{
    union {
        aq_recv_stream_config config;
        unsigned char bytes[sizeof(aq_recv_stream_config) + SIZED_TAIL];
    } copy;
    if (config == NULL)
        return aq_recv_stream_config_add_stat(NULL, "a", AQ_STAT_COUNTER, NULL);
    memcpy(&copy, config, sizeof copy);
    return aq_recv_stream_config_add_stat(&copy.config, "a", AQ_STAT_COUNTER, NULL);
}

static aq_recv_stream_config good_config(void)
{
    aq_recv_stream_config config;
    CHECK_OK(aq_recv_stream_config_init(&config, sizeof config));
    return config;
}

static void settings(void)
{
    aq_recv_stream_config config = good_config();
    size_t index = 99;
    int32_t *flags[] = {&config.allow_out_of_order, &config.allow_unsized_heaps, &config.stop_on_stop_item,
                        &config.explicit_start};
    const char *names[] = {"allow_out_of_order", "allow_unsized_heaps", "stop_on_stop_item", "explicit_start"};
    CHECK_SIZED_INIT(aq_recv_stream_config, aq_recv_stream_config_init);
    handles_open(&objects);
    /* as it is NULL for the defaults, check_sized_input's first check is not for it */
    check_sized_input(&config, sizeof config, use_add_stat);
    CHECK_OK(use_config(NULL));
    CHECK_OK(use_config(&config));
    config.struct_size = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "config: struct_size 0 is not the size of any aq_recv_stream_config");
    config.struct_size = sizeof config + 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "struct_size");

    for (int i = 0; i < 4; i++) {
        char text[64];
        config = good_config();
        *flags[i] = 2;
        snprintf(text, sizeof text, "%s must be 0 or 1 (got 2)", names[i]);
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, text);
        *flags[i] = -1;
        snprintf(text, sizeof text, "%s must be 0 or 1 (got -1)", names[i]);
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, text);
        *flags[i] = i == 0;
        CHECK_OK(use_config(&config));
    }
    config = good_config();
    config.max_heap_size = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heap_size must be at least 1 (got 0)");
    config.max_heap_size = UINT64_MAX;
    CHECK_OK(use_config(&config));
    config.max_heaps = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heaps must be between 1 and 1048576 (got 0)");
    config.max_heaps = (1 << 20) + 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heaps must be between 1 and 1048576 (got 1048577)");
    config.max_heaps = SIZE_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heaps must be between 1 and 1048576");
    config.max_heaps = 1 << 20;
    CHECK_OK(use_config(&config));
    config.substreams = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heaps * substreams must be at most 1048576 (got 1048576 * 2)");
    config.max_heaps = 1;
    config.substreams = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "substreams must be between 1 and 1048576 (got 0)");
    config.substreams = SIZE_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "substreams must be between 1 and 1048576");

    config = good_config();
    config.memcpy = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "memcpy must be AQ_MEMCPY_STD or AQ_MEMCPY_NONTEMPORAL (got 2)");
    config.memcpy = -1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "(got -1)");

    /* statistics of the program's own */
    config = good_config();
    CHECK_ERROR(aq_recv_stream_config_add_stat(&config, "a", 2, &index), AQ_E_INVALID,
                "mode must be AQ_STAT_COUNTER or AQ_STAT_MAXIMUM (got 2)");
    CHECK_ERROR(aq_recv_stream_config_add_stat(&config, "a", -1, &index), AQ_E_INVALID, "(got -1)");
    CHECK_ERROR(aq_recv_stream_config_add_stat(&config, "\xff", 0, &index), AQ_E_INVALID, "name must be UTF-8");
    CHECK_EQ(config.n_custom_stats, 0);
    CHECK_EQ(index, 99);
    CHECK_OK(aq_recv_stream_config_add_stat(&config, "a", AQ_STAT_COUNTER, &index));
    CHECK_OK(aq_recv_stream_config_add_stat(&config, "a", AQ_STAT_COUNTER, &index));
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "custom_stats[1].name must be new and not empty (got \"a\")");
    config.custom_stats[1].name = "";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "custom_stats[1].name must be new and not empty (got \"\")");
    config.custom_stats[1].name = "packets";
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "custom_stats[1].name must be new and not empty (got \"packets\")");
    config.custom_stats[1].name = NULL;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "custom_stats[1].name must not be NULL");
    config.custom_stats[1].name = "b";
    config.custom_stats[1].mode = 2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID,
                "custom_stats[1].mode must be AQ_STAT_COUNTER or AQ_STAT_MAXIMUM (got 2)");
    config.custom_stats[1].mode = 1;
    config.custom_stats[1].reserved = 3;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "custom_stats[1].reserved must be 0 (got 3)");
    config.custom_stats[1].reserved = 0;
    CHECK_OK(use_config(&config));

    config = good_config();
    for (int i = 0; i < AQ_MAX_CUSTOM_STATS; i++) {
        static char names_of_stats[AQ_MAX_CUSTOM_STATS][16];
        snprintf(names_of_stats[i], sizeof names_of_stats[i], "stat %d", i);
        CHECK_OK(aq_recv_stream_config_add_stat(&config, names_of_stats[i], AQ_STAT_COUNTER, NULL));
    }
    CHECK_ERROR(aq_recv_stream_config_add_stat(&config, "one too many", AQ_STAT_COUNTER, NULL), AQ_E_INVALID,
                "n_custom_stats must be at most 32 (got 33)");
    CHECK_EQ(config.n_custom_stats, AQ_MAX_CUSTOM_STATS);
    CHECK_OK(use_config(&config));
    config.n_custom_stats = SIZE_MAX;
    CHECK_ERROR(aq_recv_stream_config_add_stat(&config, "a", AQ_STAT_COUNTER, NULL), AQ_E_INVALID, "n_custom_stats");
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "n_custom_stats must be at most 32 (got 18446744073709551615)");
    handles_close(&objects);
}

int main(void)
{
    nulls();
    wrong_handles();
    settings();
    return check_done();
}

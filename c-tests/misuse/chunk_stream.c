/* What a caller can get wrong when making a chunk stream. */
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;
static int freed;

static void count(void *user)
{
    ++*(int *)user;
}

static aq_chunk_stream_config good_config(void)
{
    aq_chunk_stream_config config;
    CHECK_OK(aq_chunk_stream_config_init(&config, sizeof config));
    CHECK(config.place == NULL && config.place_user == NULL && config.place_user_free == NULL);
    CHECK(config.items == NULL && config.n_items == 0);
    config.place = place_by_counter;
    config.place_user = &freed;
    config.place_user_free = count;
    return config;
}

static aq_status make(aq_thread_pool *pool, aq_chunk_ring *data, aq_chunk_ring *free_ring, aq_recv_stream **out)
{
    aq_chunk_stream_config config = good_config();
    return aq_chunk_ring_stream_new(pool, NULL, &config, data, free_ring, out);
}

static aq_status use_config(const void *config)
{
    aq_recv_stream *stream = NULL;
    aq_chunk_ring *data = NULL, *free_ring = NULL; /* as its end stops them */
    aq_thread_pool *pool = NULL;                    /* as its end is the callback's */
    aq_status status;
    CHECK_OK(aq_thread_pool_new(1, NULL, 0, &pool));
    CHECK_OK(aq_chunk_ring_new(1, &data));
    CHECK_OK(aq_chunk_ring_new(1, &free_ring));
    status = aq_chunk_ring_stream_new(pool, NULL, (const aq_chunk_stream_config *)config, data, free_ring, &stream);
    aq_recv_stream_free(stream);
    aq_chunk_ring_free(data);
    aq_chunk_ring_free(free_ring);
    aq_thread_pool_free(pool);
    return status;
}

static void arguments(void)
{
    aq_thread_pool *pool = objects.receiver.pool;
    aq_chunk_ring *data = objects.receiver.data, *free_ring = objects.receiver.free_ring;
    aq_recv_stream *stream = NULL;
    int before = freed;
    CHECK_ERROR(make(NULL, data, free_ring, &stream), AQ_E_INVALID, "pool must not be NULL");
    CHECK_ERROR(make(pool, NULL, free_ring, &stream), AQ_E_INVALID, "data_ring must not be NULL");
    CHECK_ERROR(make(pool, data, NULL, &stream), AQ_E_INVALID, "free_ring must not be NULL");
    CHECK_ERROR(make(pool, data, free_ring, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_EQ(freed, before + 4); /* whatever is wrong, place_user was passed */
    CHECK_WRONG_HANDLES(objects, POOL, aq_thread_pool, "pool", make(wrong, data, free_ring, &stream));
    CHECK_WRONG_HANDLES(objects, CHUNK_RING, aq_chunk_ring, "data_ring", make(pool, wrong, free_ring, &stream));
    CHECK_WRONG_HANDLES(objects, CHUNK_RING, aq_chunk_ring, "free_ring", make(pool, data, wrong, &stream));
    CHECK_EQ(freed, before + 4 + 3 * (KINDS - 1));
    CHECK(stream == NULL);
}

static void sizes(void)
{
    aq_chunk_stream_config config = good_config();
    int before = freed;
    CHECK_SIZED_INIT(aq_chunk_stream_config, aq_chunk_stream_config_init);
    check_sized_input(&config, sizeof config, use_config);
    /* a struct that cannot be read passes nothing; the two that are fine, and one with an unknown tail, do */
    CHECK_EQ(freed, before + 3);
}

static void settings(void)
{
    static uint64_t items[(1 << 16) + 1];
    aq_chunk_stream_config config = good_config();
    int before = freed;
    config.place = NULL;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "chunk_config: place must not be NULL");
    config = good_config();
    config.n_items = 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "chunk_config: items must not be NULL");
    config.items = (const uint64_t *)(const void *)((const char *)items + 1);
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "chunk_config: items");
    config.items = items;
    config.n_items = SIZE_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "chunk_config: items");
    config.n_items = (1 << 16) + 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "n_items must be at most 65536 (got 65537)");
    config.n_items = 1 << 16;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.max_chunks = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_chunks must be between 1 and 1048576 (got 0)");
    config.max_chunks = (1 << 20) + 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_chunks must be between 1 and 1048576 (got 1048577)");
    config.max_chunks = SIZE_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_chunks must be between 1 and 1048576");
    config.max_chunks = 1 << 20;
    CHECK_OK(use_config(&config));
    config.max_heap_extra = (1 << 24) + 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heap_extra must be at most 16777216 (got 16777217)");
    config.max_heap_extra = SIZE_MAX;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_heap_extra must be at most 16777216");
    config.max_heap_extra = 1 << 24;
    CHECK_OK(use_config(&config));
    config = good_config();
    config.reserved = 7;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "chunk_config: reserved must be 0 (got 7)");
    config = good_config(); /* of these, all numbers will do */
    config.packet_presence_payload_size = SIZE_MAX;
    config.max_jump = UINT64_MAX;
    config.jump_confirm = UINT32_MAX;
    CHECK_OK(use_config(&config));
    CHECK_EQ(freed, before + 15);
}

int main(void)
{
    handles_open(&objects);
    arguments();
    sizes();
    settings();
    handles_close(&objects);
    return check_done();
}

/* Streamers and their queues: every block with its rows, in order and not, cyclic, the remainder, fields, errors of one block, progress, the descriptor. */
#include "blocks.h"
#include <poll.h>
#include <pthread.h>

static aq_streamer *streamer;

static aq_block_queue *open_queue(const char *dataset, const aq_block_queue_config *config)
{
    aq_block_queue *queue = NULL;
    CHECK_OK(aq_streamer_get_queue(streamer, dataset, config, &queue));
    return queue;
}

static uint64_t rows_of(aq_block *block) { uint64_t n = 0; CHECK_OK(aq_block_rows(block, &n)); return n; }
static uint64_t first_of(aq_block *block) { uint64_t n = 0; CHECK_OK(aq_block_first_row(block, &n)); return n; }
static uint64_t number_of(aq_block *block) { uint64_t n = 0; CHECK_OK(aq_block_number(block, &n)); return n; }

/* Whether the block has these rows of 4 numbers; behind the joint, the rows from 0 on. */
static int has_rows(aq_block *block, uint64_t first, uint64_t rows)
{
    const void *data = NULL;
    size_t size = 0, ndim = 0;
    uint64_t shape[2] = {0, 0};
    const int32_t *numbers;
    CHECK_OK(aq_block_data(block, &data, &size));
    CHECK_OK(aq_block_shape(block, shape, 2, &ndim));
    if (ndim != 2 || shape[0] != rows || shape[1] != 4 || size != rows * 16 || rows_of(block) != rows
        || first_of(block) != first)
        return 0;
    numbers = (const int32_t *)data;
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t row = 0;
        CHECK_OK(aq_block_row_number(block, i, &row));
        if (row != (first + i) % 103)
            return 0;
        for (uint64_t j = 0; j < 4; j++)
            if (numbers[4 * i + j] != (int32_t)(4 * row + j))
                return 0;
    }
    return 1;
}

static void in_order(void)
{
    aq_block_queue_config config = queue_config();
    aq_block_queue *queue;
    aq_block *block = NULL;
    aq_block_queue_progress progress;
    uint64_t size = 0;
    config.ordered = config.remainder = 1;
    config.n_threads = 2;
    queue = open_queue("/rows", &config);
    CHECK_OK(aq_block_queue_block_size(queue, &size));
    CHECK_EQ(size, 10);
    for (uint64_t i = 0; i < 11; i++) {
        CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
        CHECK_EQ(number_of(block), i);
        CHECK(has_rows(block, 10 * i, i < 10 ? 10 : 3));
        CHECK_OK(aq_block_release(block));
    }
    CHECK_STATUS(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block), AQ_STOPPED);
    CHECK_STATUS(aq_block_queue_get(queue, 0, &block), AQ_STOPPED);
    CHECK_OK(aq_block_queue_progress_init(&progress, sizeof progress));
    CHECK_OK(aq_block_queue_get_progress(queue, &progress));
    CHECK_EQ(progress.rows, 103);
    CHECK_EQ(progress.rows_done, 103);
    CHECK_EQ(progress.blocks_done, 11);
    CHECK_EQ(progress.blocks_failed, 0);
    CHECK_EQ(progress.blocks_ready, 0);
    CHECK_EQ(progress.chunks_decoded, 11);
    CHECK(progress.bytes_read > 100 && progress.bytes_read < 103 * 16 && progress.decode_time_ns > 0);
    CHECK_OK(aq_block_queue_free(queue));
}

static void as_they_are_read(void)
{
    aq_block_queue *queue = open_queue("rows", NULL);
    aq_block *block = NULL;
    int seen[10] = {0};
    for (int i = 0; i < 10; i++) {
        uint64_t number;
        CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
        number = number_of(block);
        CHECK(number < 10 && !seen[number]++ && has_rows(block, 10 * number, 10));
        CHECK_OK(aq_block_release(block));
    }
    /* The 3 rows behind are left out. */
    CHECK_STATUS(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block), AQ_STOPPED);
    CHECK_OK(aq_block_queue_free(queue));
}

static void cyclic(void)
{
    aq_block_queue_config config = queue_config();
    aq_block_queue *queue;
    aq_block *block = NULL;
    config.ordered = config.cyclic = 1;
    config.block_size = 40;
    config.read_ahead = 2;
    queue = open_queue("rows", &config);
    for (uint64_t i = 0; i < 20; i++) {
        CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
        CHECK(has_rows(block, 40 * i % 103, 40));
        CHECK_OK(aq_block_release(block));
    }
    CHECK_OK(aq_block_queue_free(queue));
}

static void fields(void)
{
    aq_block_queue_config config = queue_config();
    aq_block_queue *queue;
    aq_block *block = NULL;
    aq_element_type type;
    const void *data = NULL;
    size_t size = 0, ndim = 0;
    uint64_t shape[1] = {0};
    CHECK_OK(aq_element_type_init(&type, sizeof type));
    queue = open_queue("table", &config);
    CHECK_OK(aq_block_queue_dtype(queue, &type));
    CHECK_EQ(type.kind, AQ_ELEMENT_RECORD);
    CHECK_EQ(type.size, 10);
    CHECK_EQ(type.n_fields, 2);
    CHECK_OK(aq_block_queue_field(queue, 1, &type));
    CHECK_TEXT(type.name, "wave");
    CHECK_EQ(type.offset, 4);
    CHECK_ERROR(aq_block_queue_field(queue, 2, &type), AQ_E_NOT_FOUND, "less than 2");
    CHECK_OK(aq_block_queue_free(queue));
    config.field = "wave";
    config.ordered = config.native = 1;
    queue = open_queue("table", &config);
    for (int16_t i = 0; i < 2; i++) {
        CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
        CHECK_OK(aq_block_dtype(block, &type));
        CHECK_TEXT(type.dtype, ">i2"); /* as in the file; the bytes are native */
        CHECK_EQ(type.shape[0], 3);
        CHECK_OK(aq_block_shape(block, shape, 1, &ndim));
        CHECK_EQ(shape[0], 16);
        CHECK_OK(aq_block_data(block, &data, &size));
        CHECK_EQ(size, 16 * 6);
        for (int16_t j = 0; j < 48; j++)
            CHECK_EQ(((const int16_t *)data)[j], 48 * i + j);
        CHECK_OK(aq_block_release(block));
    }
    CHECK_OK(aq_block_queue_free(queue));
}

static void remainder_rows(void)
{
    int32_t rows[3][4] = {{0}};
    size_t needed = 7;
    CHECK_ERROR(aq_streamer_get_remainder(streamer, "rows", 10, NULL, rows, 47, &needed), AQ_E_TRUNCATED,
                "size must be at least 48");
    CHECK_EQ(needed, 48);
    CHECK_EQ(rows[2][3], 0);
    CHECK_OK(aq_streamer_get_remainder(streamer, "rows", 10, NULL, rows, sizeof rows, &needed));
    for (int i = 0; i < 12; i++)
        CHECK_EQ(rows[i / 4][i % 4], 400 + i);
    CHECK_OK(aq_streamer_get_remainder(streamer, "flat", 10, NULL, NULL, 0, &needed));
    CHECK_EQ(needed, 0);
    CHECK_OK(aq_streamer_get_remainder(streamer, "table", 39, "n", rows, sizeof rows, NULL));
    CHECK_EQ(rows[0][0], 39);
    CHECK_ERROR(aq_streamer_get_remainder(streamer, "rows", 0, NULL, NULL, 0, NULL), AQ_E_INVALID, "block_size");
}

/* A chunk is damaged: its block says so, and the others come. */
static void damage(void)
{
    aq_block_queue_config config = queue_config();
    aq_block_queue *queue;
    aq_block *block = NULL;
    aq_block_queue_progress progress;
    config.ordered = 1;
    queue = open_queue("damaged", &config);
    for (uint64_t i = 0; i < 4; i++) {
        const void *data = &progress;
        size_t size = 7;
        CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
        CHECK_EQ(first_of(block), 10 * i);
        CHECK_EQ(rows_of(block), 10);
        if (i == 1) {
            CHECK_ERROR(aq_block_data(block, &data, &size), AQ_E_FORMAT, "checksum");
            CHECK(data == &progress && size == 7);
        } else {
            CHECK_OK(aq_block_data(block, &data, &size));
            CHECK_EQ(((const int32_t *)data)[0], (int32_t)(40 * i));
        }
        CHECK_OK(aq_block_release(block));
    }
    CHECK_OK(aq_block_queue_progress_init(&progress, sizeof progress));
    CHECK_OK(aq_block_queue_get_progress(queue, &progress));
    CHECK_EQ(progress.blocks_failed, 1);
    CHECK_EQ(progress.rows_done, 30);
    CHECK_OK(aq_block_queue_free(queue));
}

/* All blocks by the descriptor alone, never waiting in a get. */
static void by_poll(void)
{
    aq_block_queue *queue = open_queue("rows", NULL);
    aq_block *block = NULL;
    struct pollfd polled = {-1, POLLIN, 0};
    aq_status status;
    int blocks = 0;
    CHECK_OK(aq_block_queue_data_fd(queue, &polled.fd));
    do {
        CHECK_EQ(poll(&polled, 1, 60000), 1);
        status = aq_block_queue_get(queue, 0, &block);
        CHECK(status == AQ_OK || status == AQ_STOPPED);
        if (status == AQ_OK) {
            blocks++;
            CHECK_OK(aq_block_release(block));
        }
    } while (status == AQ_OK);
    CHECK_EQ(blocks, 10);
    CHECK_EQ(poll(&polled, 1, 0), 1);
    CHECK_OK(aq_block_queue_free(queue));
}

static void *release(void *block)
{
    CHECK_OK(aq_block_release((aq_block *)block));
    return NULL;
}

static void *wait_for_end(void *queue)
{
    aq_block *block = NULL;
    CHECK_STATUS(aq_block_queue_get((aq_block_queue *)queue, AQ_WAIT_FOREVER, &block), AQ_STOPPED);
    return NULL;
}

/* Blocks that are held stall the queue until any thread releases one; a close wakes who waits; blocks outlive everything. */
static void held(void)
{
    aq_block_queue_config config = queue_config();
    aq_block_queue *queue;
    aq_block *blocks[2] = {NULL, NULL}, *other = NULL;
    pthread_t thread;
    config.read_ahead = 2;
    config.ordered = 1;
    queue = open_queue("rows", &config);
    for (int i = 0; i < 2; i++)
        CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &blocks[i]));
    CHECK_STATUS(aq_block_queue_get(queue, 0, &other), AQ_EMPTY);
    CHECK_STATUS(aq_block_queue_get(queue, 1000000, &other), AQ_TIMEOUT);
    CHECK(other == NULL);
    CHECK_EQ(pthread_create(&thread, NULL, release, blocks[0]), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &other));
    CHECK(has_rows(other, 20, 10));
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_end, queue), 0);
    CHECK_OK(aq_block_queue_close(queue));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_block_queue_close(queue));
    CHECK_OK(aq_block_queue_free(queue));
    CHECK(has_rows(blocks[1], 10, 10) && has_rows(other, 20, 10));
    CHECK_OK(aq_block_release(blocks[1]));
    CHECK_OK(aq_block_release(other));
    /* At any time: with threads that read, and blocks that nobody took. */
    for (int i = 0; i < 50; i++)
        CHECK_OK(aq_block_queue_free(open_queue("rows", NULL)));
}

static void row_by_row(void)
{
    aq_block_queue_config config = queue_config();
    aq_row_iter *rows = NULL;
    aq_element_type type;
    const void *row = NULL;
    uint64_t number = 0;
    size_t size = 0;
    config.ordered = 1;
    CHECK_OK(aq_row_iter_new(streamer, "rows", &config, &rows));
    CHECK_OK(aq_element_type_init(&type, sizeof type));
    CHECK_OK(aq_row_iter_dtype(rows, &type));
    CHECK_TEXT(type.dtype, "<i4");
    for (uint64_t i = 0; i < 103; i++) {
        CHECK_OK(aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, &size, &number));
        CHECK(number == i && size == 16 && ((const int32_t *)row)[3] == (int32_t)(4 * i + 3));
    }
    CHECK_STATUS(aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, NULL, NULL), AQ_STOPPED);
    CHECK_OK(aq_row_iter_free(rows));
    /* The rows of a block that cannot be read are one error. */
    CHECK_OK(aq_row_iter_new(streamer, "damaged", &config, &rows));
    for (uint64_t i = 0; i < 31; i++) {
        if (i == 10) {
            CHECK_ERROR(aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, &size, &number), AQ_E_FORMAT, "checksum");
            continue;
        }
        CHECK_OK(aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, &size, &number));
        CHECK_EQ(number, i < 10 ? i : i + 9);
    }
    CHECK_STATUS(aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, &size, &number), AQ_STOPPED);
    CHECK_OK(aq_row_iter_free(rows));
    CHECK_OK(aq_row_iter_new(streamer, "flat", NULL, &rows));
    CHECK_OK(aq_row_iter_free(rows));
}

int main(void)
{
    aq_streamer_config config;
    aq_block_queue *queue;
    aq_block *block = NULL;
    CHECK_OK(aq_streamer_config_init(&config, sizeof config));
    if (!blocks_supported())
        return check_done();
    CHECK_OK(aq_streamer_open(blocks_path(), &config, &streamer));
    in_order();
    as_they_are_read();
    cyclic();
    fields();
    remainder_rows();
    damage();
    by_poll();
    held();
    row_by_row();
    /* Queues go on without the streamer. */
    queue = open_queue("rows", NULL);
    CHECK_OK(aq_streamer_free(streamer));
    CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
    CHECK_OK(aq_block_release(block));
    CHECK_OK(aq_block_queue_free(queue));
    return check_done();
}

/* What a caller can get wrong with streamers, block queues and rows. */
#include "blocks.h"
#include "misuse/handles.h"

static struct handles objects;
static aq_streamer *streamer;

static aq_status get_queue(aq_block_queue_config config)
{
    aq_block_queue *queue = NULL;
    aq_status status = aq_streamer_get_queue(streamer, "table", &config, &queue);
    CHECK(queue == NULL);
    return status;
}

static void configs(void)
{
    const aq_block_queue_config good = queue_config();
    aq_block_queue_config bad;
    aq_streamer_config config;
    aq_streamer *out = NULL;
#define BAD(field, value, kind, text) \
    do { \
        bad = good; \
        bad.field = value; \
        CHECK_ERROR(get_queue(bad), kind, text); \
    } while (0)
    BAD(n_threads, 0, AQ_E_INVALID, "n_threads must be between 1 and 4096 (got 0)");
    BAD(n_threads, 4097, AQ_E_INVALID, "n_threads must be between 1 and 4096 (got 4097)");
    BAD(read_ahead, SIZE_MAX, AQ_E_NOMEM, "cannot allocate");
    BAD(cyclic, 2, AQ_E_INVALID, "cyclic must be 0 or 1 (got 2)");
    BAD(ordered, -1, AQ_E_INVALID, "ordered must be 0 or 1 (got -1)");
    BAD(remainder, 2, AQ_E_INVALID, "remainder must be 0 or 1");
    BAD(native, 2, AQ_E_INVALID, "native must be 0 or 1");
    BAD(field, "none", AQ_E_NOT_FOUND, "n, wave (got none)");
    BAD(field, "\xff", AQ_E_INVALID, "field must be UTF-8");
    BAD(struct_size, 0, AQ_E_INVALID, "aq_block_queue_config");
    CHECK_ERROR(aq_block_queue_config_init(NULL, sizeof bad), AQ_E_INVALID, "config must not be NULL");
    CHECK_ERROR(aq_block_queue_config_init(&bad, 3), AQ_E_INVALID, "config");
    CHECK_ERROR(aq_streamer_config_init(NULL, sizeof config), AQ_E_INVALID, "config must not be NULL");
    CHECK_OK(aq_streamer_config_init(&config, sizeof config));
    config.reserved = 1;
    CHECK_ERROR(aq_streamer_open(blocks_path(), &config, &out), AQ_E_VERSION, "config must be 0 (got 1)");
    CHECK(out == NULL);
}

static void files(void)
{
    aq_streamer *out = NULL;
    CHECK_ERROR(aq_streamer_open(NULL, NULL, &out), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_streamer_open("", NULL, &out), AQ_E_INVALID, "path must not be empty");
    CHECK_ERROR(aq_streamer_open(blocks_path(), NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_streamer_open("/none/none.h5", NULL, &out), AQ_E_IO, "/none/none.h5");
    CHECK_ERROR(aq_streamer_open("/", NULL, &out), AQ_E_INVALID, "path must be that of a file");
    CHECK_ERROR(aq_streamer_open(__FILE__, NULL, &out), AQ_E_FORMAT, "cannot be opened as an HDF5 file");
    CHECK(out == NULL);
}

static void datasets(void)
{
    aq_block_queue *queue = NULL;
    aq_row_iter *rows = NULL;
    CHECK_ERROR(aq_streamer_get_queue(NULL, "rows", NULL, &queue), AQ_E_INVALID, "streamer must not be NULL");
    CHECK_ERROR(aq_streamer_get_queue(streamer, NULL, NULL, &queue), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_streamer_get_queue(streamer, "rows", NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_streamer_get_queue(streamer, "none", NULL, &queue), AQ_E_NOT_FOUND, "none");
    CHECK_ERROR(aq_streamer_get_queue(streamer, "texts", NULL, &queue), AQ_E_UNSUPPORTED, "cannot be streamed");
    CHECK_ERROR(aq_streamer_get_queue(streamer, "empty", NULL, &queue), AQ_E_INVALID, "must have rows");
    CHECK(queue == NULL);
    CHECK_ERROR(aq_row_iter_new(NULL, "rows", NULL, &rows), AQ_E_INVALID, "streamer must not be NULL");
    CHECK_ERROR(aq_row_iter_new(streamer, NULL, NULL, &rows), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_row_iter_new(streamer, "rows", NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_row_iter_new(streamer, "none", NULL, &rows), AQ_E_NOT_FOUND, "none");
    CHECK(rows == NULL);
    CHECK_ERROR(aq_streamer_get_remainder(NULL, "rows", 1, NULL, NULL, 0, NULL), AQ_E_INVALID, "streamer");
    CHECK_ERROR(aq_streamer_get_remainder(streamer, NULL, 1, NULL, NULL, 0, NULL), AQ_E_INVALID, "dataset");
    CHECK_ERROR(aq_streamer_get_remainder(streamer, "rows", 10, NULL, NULL, 99, NULL), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_streamer_get_remainder(streamer, "rows", 10, "x", NULL, 0, NULL), AQ_E_NOT_FOUND, "(got x)");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_streamer, "streamer", aq_streamer_get_queue(wrong, "rows", NULL, &queue));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_streamer, "streamer", aq_row_iter_new(wrong, "rows", NULL, &rows));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_streamer, "streamer", aq_streamer_free(wrong));
}

static void queues(void)
{
    aq_block_queue *queue = NULL;
    aq_block *block = NULL, *kept;
    aq_element_type type;
    aq_block_queue_progress progress;
    const void *data = NULL;
    uint64_t number = 7, shape[1] = {7};
    size_t ndim = 0;
    int fd = -7;
    CHECK_OK(aq_streamer_get_queue(streamer, "rows", NULL, &queue));
    CHECK_OK(aq_element_type_init(&type, sizeof type));
    CHECK_ERROR(aq_block_queue_get(NULL, 0, &block), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_block_queue_get(queue, 0, NULL), AQ_E_INVALID, "block must not be NULL");
    CHECK_ERROR(aq_block_queue_get(queue, -2, &block), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_block_queue_data_fd(NULL, &fd), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_block_queue_data_fd(queue, NULL), AQ_E_INVALID, "fd must not be NULL");
    CHECK_ERROR(aq_block_queue_block_size(NULL, &number), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_block_queue_block_size(queue, NULL), AQ_E_INVALID, "rows must not be NULL");
    CHECK_ERROR(aq_block_queue_dtype(NULL, &type), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_block_queue_dtype(queue, NULL), AQ_E_INVALID, "element must not be NULL");
    CHECK_ERROR(aq_block_queue_field(queue, 0, &type), AQ_E_NOT_FOUND, "less than 0");
    CHECK_ERROR(aq_block_queue_progress_init(NULL, sizeof progress), AQ_E_INVALID, "progress must not be NULL");
    CHECK_OK(aq_block_queue_progress_init(&progress, sizeof progress));
    CHECK_ERROR(aq_block_queue_get_progress(NULL, &progress), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_block_queue_get_progress(queue, NULL), AQ_E_INVALID, "progress must not be NULL");
    CHECK_ERROR(aq_block_queue_close(NULL), AQ_E_INVALID, "queue must not be NULL");
    CHECK_EQ(fd, -7);
    CHECK_EQ(number, 7);
    CHECK(block == NULL);
    CHECK_OK(aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block));
    kept = block;
    CHECK_ERROR(aq_block_data(NULL, &data, NULL), AQ_E_INVALID, "block must not be NULL");
    CHECK_ERROR(aq_block_data(block, NULL, NULL), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_block_shape(block, NULL, 1, &ndim), AQ_E_INVALID, "shape must not be NULL");
    CHECK_ERROR(aq_block_shape(block, shape, 1, &ndim), AQ_E_TRUNCATED, "capacity must be at least 2 (got 1)");
    CHECK(ndim == 2 && shape[0] == 7);
    CHECK_ERROR(aq_block_shape(block, shape, 1, NULL), AQ_E_INVALID, "ndim must not be NULL");
    CHECK_ERROR(aq_block_dtype(block, NULL), AQ_E_INVALID, "element must not be NULL");
    CHECK_ERROR(aq_block_rows(NULL, &number), AQ_E_INVALID, "block must not be NULL");
    CHECK_ERROR(aq_block_rows(block, NULL), AQ_E_INVALID, "rows must not be NULL");
    CHECK_ERROR(aq_block_first_row(block, NULL), AQ_E_INVALID, "row must not be NULL");
    CHECK_ERROR(aq_block_row_number(block, 10, &number), AQ_E_INVALID, "index must be less than 10, its rows (got 10)");
    CHECK_ERROR(aq_block_number(block, NULL), AQ_E_INVALID, "number must not be NULL");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_block_queue, "queue", aq_block_queue_get(wrong, 0, &block));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_block_queue, "queue", aq_block_queue_free(wrong));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_block, "block", aq_block_data(wrong, &data, NULL));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_block, "block", aq_block_release(wrong));
    CHECK(block == kept);
    CHECK_OK(aq_block_release(NULL));
    CHECK_OK(aq_block_queue_free(NULL));
    CHECK_OK(aq_block_release(block));
    CHECK_OK(aq_block_queue_free(queue));
}

static void rows(void)
{
    aq_row_iter *rows = NULL;
    aq_element_type type;
    const void *row = NULL;
    CHECK_OK(aq_row_iter_new(streamer, "rows", NULL, &rows));
    CHECK_OK(aq_element_type_init(&type, sizeof type));
    CHECK_ERROR(aq_row_iter_next(NULL, 0, &row, NULL, NULL), AQ_E_INVALID, "rows must not be NULL");
    CHECK_ERROR(aq_row_iter_next(rows, 0, NULL, NULL, NULL), AQ_E_INVALID, "row must not be NULL");
    CHECK_ERROR(aq_row_iter_next(rows, -3, &row, NULL, NULL), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_row_iter_dtype(NULL, &type), AQ_E_INVALID, "rows must not be NULL");
    CHECK_ERROR(aq_row_iter_dtype(rows, NULL), AQ_E_INVALID, "element must not be NULL");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_row_iter, "rows", aq_row_iter_next(wrong, 0, &row, NULL, NULL));
    CHECK(row == NULL);
    CHECK_OK(aq_row_iter_free(NULL));
    CHECK_OK(aq_row_iter_free(rows));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    if (!blocks_supported())
        return check_done();
    handles_open(&objects);
    CHECK_OK(aq_streamer_open(blocks_path(), NULL, &streamer));
    configs();
    files();
    datasets();
    queues();
    rows();
    CHECK_OK(aq_streamer_free(NULL));
    CHECK_OK(aq_streamer_free(streamer));
    handles_close(&objects);
    return check_done();
}

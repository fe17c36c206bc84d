/* Reading datasets at random: requests, stages, futures, request pools, and the end of a reader. */
#include "datasets.h"
#include <poll.h>
#include <pthread.h>

enum { ROWS = 10, MANY = 500 };

static void are_rows(const int32_t *items, int64_t first, size_t rows)
{
    size_t wrong = 0;
    for (size_t i = 0; i < rows * ROW_ITEMS; i++)
        wrong += items[i] != (int32_t)(first * ROW_ITEMS + (int64_t)i);
    CHECK_EQ(wrong, 0);
}

static void look(const aq_array_view *view, void *user)
{
    CHECK_EQ(view->ndim, 2);
    CHECK(view->shape[0] == 2 && view->shape[1] == ROW_ITEMS && view->frames == 2);
    CHECK(view->strides[0] == 4 * ROW_ITEMS && view->strides[1] == 4 && view->contiguous == 1);
    CHECK_EQ(view->size, 2 * 4 * ROW_ITEMS);
    are_rows((const int32_t *)view->data, 100, 2);
    *(int *)user += 1;
}

/* The four ways to take a result, and that the stage is free after each. */
static void results(void)
{
    aq_reader *reader = open_reader(2);
    aq_dataset *dataset = open_dataset(reader, "gzip");
    aq_stage *stage = stage_of_rows(dataset, 2);
    aq_selection *rows = select_rows(100, 102, 1);
    aq_future *future = NULL, *second = NULL;
    aq_array_view view;
    int32_t items[2 * ROW_ITEMS];
    uint64_t shape[2] = {0, 0};
    size_t size = 0, ndim = 0;
    int calls = 0;
    CHECK_OK(aq_array_view_init(&view, sizeof view));
    CHECK_OK(aq_stage_size(stage, &size));
    CHECK_EQ(size, sizeof items);

    CHECK_OK(aq_reader_request(reader, dataset, rows, stage, &future));
    CHECK_ERROR(aq_reader_request(reader, dataset, rows, stage, &second), AQ_E_STATE, "stage is in use");
    CHECK_OK(aq_future_shape(future, shape, 2, &ndim));
    CHECK(ndim == 2 && shape[0] == 2 && shape[1] == ROW_ITEMS);
    CHECK_OK(aq_future_size(future, &size));
    CHECK_EQ(size, sizeof items);
    CHECK_ERROR(aq_future_get(future, AQ_WAIT_FOREVER, items, 39), AQ_E_INVALID, "at least 40");
    CHECK_OK(aq_future_get(future, AQ_WAIT_FOREVER, items, sizeof items));
    are_rows(items, 100, 2);
    CHECK_ERROR(aq_future_get(future, 0, items, sizeof items), AQ_E_STATE, "was taken before");
    CHECK_ERROR(aq_future_acquire(future, 0, &view), AQ_E_STATE, "was taken before");
    CHECK_OK(aq_future_free(future));

    CHECK_OK(aq_reader_request(reader, dataset, rows, stage, &future));
    CHECK_OK(aq_future_get_direct(future, AQ_WAIT_FOREVER, look, &calls));
    CHECK_EQ(calls, 1);
    CHECK_OK(aq_future_free(future));

    CHECK_OK(aq_reader_request(reader, dataset, rows, stage, &future));
    CHECK_OK(aq_future_acquire(future, AQ_WAIT_FOREVER, &view));
    CHECK_OK(aq_future_free(future));
    look(&view, &calls);
    CHECK_EQ(view.index, 0);
    CHECK_OK(aq_array_view_check(&view));
    CHECK_ERROR(aq_reader_request(reader, dataset, rows, stage, &second), AQ_E_STATE, "stage is in use");
    CHECK_OK(aq_array_view_release(&view));

    /* Given up: free as soon as nobody writes it, which is when the reader is through with it. */
    CHECK_OK(aq_reader_request(reader, dataset, rows, stage, &future));
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_reader_close(reader, AQ_WAIT_FOREVER));
    CHECK_EQ(aq_reader_request(reader, dataset, rows, stage, &future), AQ_STOPPED);
    CHECK_OK(aq_reader_free(reader));
    reader = open_reader(1);
    CHECK_OK(aq_reader_request(reader, dataset, rows, stage, &future)); /* a dataset of another reader */

    /* Any order of freeing. */
    CHECK_OK(aq_dataset_free(dataset));
    CHECK_OK(aq_stage_free(stage));
    CHECK_OK(aq_selection_free(rows));
    CHECK_OK(aq_future_acquire(future, AQ_WAIT_FOREVER, &view));
    CHECK_OK(aq_reader_free(reader));
    CHECK_OK(aq_future_free(future));
    look(&view, &calls);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_future_free(NULL));
    CHECK_OK(aq_stage_free(NULL));
    CHECK_OK(aq_reader_free(NULL));
}

/* What cannot be asked for, and files that are damaged. */
static void errors(void)
{
    aq_reader *reader = open_reader(1), *none = NULL;
    aq_dataset *dataset = open_dataset(reader, "chunked"), *damaged = open_dataset(reader, "damaged");
    aq_stage *stage = stage_of_rows(dataset, 2);
    aq_selection *rows = select_rows(0, 3, 1), *chunk = select_rows(20, 30, 1);
    aq_future *future = NULL;
    aq_reader_stats stats;
    int32_t items[10];
    CHECK_ERROR(aq_reader_request(reader, dataset, rows, stage, &future), AQ_E_INVALID,
                "stage must have at least 60 bytes for a result of [3, 5] items of 4 bytes (got 40)");
    CHECK_OK(aq_selection_index(rows, 0, DATASET_ROWS));
    CHECK_ERROR(aq_reader_request(reader, dataset, rows, stage, &future), AQ_E_INVALID, "-300 to 299 (got 300)");
    CHECK_OK(aq_selection_field(rows, "x"));
    CHECK_ERROR(aq_reader_request(reader, dataset, rows, stage, &future), AQ_E_NOT_FOUND, "none (got x)");
    CHECK_OK(aq_reader_request(reader, damaged, chunk, stage, &future));
    CHECK_ERROR(aq_future_get(future, AQ_WAIT_FOREVER, items, sizeof items), AQ_E_FORMAT, "the chunk of elements [20]");
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_selection_slice(chunk, 0, 39, 29, -1)); /* its neighbour */
    CHECK_OK(aq_reader_request(reader, damaged, chunk, stage, &future));
    CHECK_OK(aq_future_get(future, AQ_WAIT_FOREVER, items, sizeof items));
    CHECK(items[0] == 39 && items[9] == 30);
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_reader_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_reader_get_stats(reader, &stats));
    CHECK_EQ(stats.requests, 2);
    CHECK_EQ(stats.done, 1);
    CHECK_EQ(stats.failed, 1);
    CHECK_EQ(stats.stopped + stats.dropped + stats.pending, 0);
    CHECK(stats.bytes_read > 0);
    CHECK_EQ(stats.chunks_decoded, 1);
    CHECK_ERROR(aq_reader_open(data_path("nothing.h5"), NULL, &none), AQ_E_IO, "nothing.h5");
    CHECK_ERROR(aq_reader_open(data_path("../check.h"), NULL, &none), AQ_E_FORMAT, "cannot be opened as an HDF5 file");
    CHECK_ERROR(aq_reader_open("/", NULL, &none), AQ_E_INVALID, "path must be that of a file");
    CHECK(none == NULL);
    CHECK_OK(aq_selection_free(rows));
    CHECK_OK(aq_selection_free(chunk));
    CHECK_OK(aq_stage_free(stage));
    CHECK_OK(aq_dataset_free(dataset));
    CHECK_OK(aq_dataset_free(damaged));
    CHECK_OK(aq_reader_free(reader));
}

struct ordered {
    aq_reader *reader;
    aq_dataset *dataset;
    aq_stage_pool *stages;
    aq_request_pool *requests;
};

static int64_t row_of(int i)
{
    return (int64_t)i * 131 % (DATASET_ROWS - ROWS);
}

static void *ask(void *data)
{
    struct ordered *o = (struct ordered *)data;
    aq_selection *selection = select_rows(0, 1, 1);
    for (int i = 0; i < MANY; i++) {
        aq_future *future = NULL;
        CHECK_OK(aq_selection_slice(selection, 0, row_of(i), row_of(i) + ROWS, 1));
        CHECK_OK(aq_reader_request_pooled(o->reader, o->dataset, selection, o->stages, AQ_WAIT_FOREVER, &future));
        CHECK_OK(aq_request_pool_add(o->requests, future));
    }
    CHECK_OK(aq_request_pool_close(o->requests));
    CHECK_OK(aq_selection_free(selection));
    return NULL;
}

/* One thread asks, another takes the results in the same order, waiting with poll. */
static void pools(void)
{
    struct ordered o = {open_reader(2), NULL, NULL, NULL};
    const int64_t rows = ROWS;
    aq_future *future = NULL;
    aq_selection *selection;
    pthread_t thread;
    struct pollfd fd = {-1, POLLIN, 0};
    int32_t items[ROWS * ROW_ITEMS];
    size_t count = 0;
    aq_status status;
    int taken = 0;
    o.dataset = open_dataset(o.reader, "gzip");
    CHECK_OK(aq_stage_pool_new(o.dataset, &rows, 1, 3, &o.stages));
    CHECK_OK(aq_request_pool_new(&o.requests));
    CHECK_EQ(aq_request_pool_next(o.requests, 0, &future), AQ_EMPTY);
    CHECK_EQ(aq_request_pool_next(o.requests, 1000, &future), AQ_TIMEOUT);
    CHECK_OK(aq_request_pool_fd(o.requests, &fd.fd));
    CHECK_EQ(poll(&fd, 1, 0), 0);
    pthread_create(&thread, NULL, ask, &o);
    for (;;) {
        CHECK_EQ(poll(&fd, 1, 60000), 1);
        status = aq_request_pool_next(o.requests, 0, &future);
        if (status != AQ_OK)
            break;
        CHECK_OK(aq_future_get(future, 0, items, sizeof items));
        are_rows(items, row_of(taken), ROWS);
        CHECK_OK(aq_future_free(future));
        taken++;
    }
    CHECK_EQ(status, AQ_STOPPED);
    CHECK_EQ(taken, MANY);
    pthread_join(thread, NULL);
    CHECK_OK(aq_stage_pool_free_count(o.stages, &count));
    CHECK_EQ(count, 3);

    /* All stages taken. */
    selection = select_rows(0, 1, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(aq_reader_request_pooled(o.reader, o.dataset, selection, o.stages, 0, &future));
        if (i < 2)
            CHECK_OK(aq_future_free(future));
        if (i < 2)
            CHECK_OK(aq_reader_request_pooled(o.reader, o.dataset, selection, o.stages, AQ_WAIT_FOREVER, &future));
        CHECK_EQ(aq_request_pool_add(o.requests, future), AQ_STOPPED); /* closed; the future is ours still */
        if (i < 2)
            CHECK_OK(aq_future_free(future));
    }
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_reader_close(o.reader, 0));
    CHECK_EQ(aq_reader_request_pooled(o.reader, o.dataset, selection, o.stages, AQ_WAIT_FOREVER, &future), AQ_STOPPED);
    CHECK_OK(aq_selection_free(selection));
    CHECK_OK(aq_request_pool_free(o.requests));
    CHECK_OK(aq_request_pool_free(NULL));
    CHECK_OK(aq_stage_pool_free(o.stages));
    CHECK_OK(aq_stage_pool_free(NULL));
    CHECK_OK(aq_dataset_free(o.dataset));
    CHECK_OK(aq_reader_free(o.reader));
}

/* Requests that are pending when the reader ends: each is answered, and each stage comes back. */
static void ends(int stop)
{
    enum { STAGES = 64 };
    aq_reader *reader = open_reader(1);
    aq_dataset *dataset = open_dataset(reader, "gzip");
    aq_stage_pool *stages = NULL;
    aq_future *futures[STAGES];
    aq_reader_stats stats;
    size_t count = 0, stopped = 0;
    int32_t *items = (int32_t *)malloc(DATASET_ROWS * ROW_ITEMS * sizeof *items);
    CHECK_OK(aq_stage_pool_new(dataset, NULL, 0, STAGES, &stages));
    for (int i = 0; i < STAGES; i++)
        CHECK_OK(aq_reader_request_pooled(reader, dataset, NULL, stages, 0, &futures[i]));
    CHECK_EQ(aq_reader_request_pooled(reader, dataset, NULL, stages, 0, &futures[0]), AQ_EMPTY);
    CHECK_EQ(aq_reader_request_pooled(reader, dataset, NULL, stages, 1000, &futures[0]), AQ_TIMEOUT);
    if (stop)
        CHECK_OK(aq_reader_stop(reader));
    else
        CHECK_OK(aq_reader_close(reader, AQ_WAIT_FOREVER));
    for (int i = 0; i < STAGES; i++) {
        aq_status status = aq_future_get(futures[i], AQ_WAIT_FOREVER, items, DATASET_ROWS * ROW_ITEMS * sizeof *items);
        if (status == AQ_STOPPED)
            stopped++;
        else if (CHECK_OK(status))
            are_rows(items, 0, DATASET_ROWS);
        CHECK_OK(aq_future_free(futures[i]));
    }
    CHECK_OK(aq_reader_close(reader, AQ_WAIT_FOREVER));
    CHECK_OK(aq_reader_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_reader_get_stats(reader, &stats));
    CHECK_EQ(stats.requests, STAGES);
    CHECK_EQ(stats.stopped, stopped);
    CHECK_EQ(stats.done, STAGES - stopped);
    CHECK(stop || stopped == 0);
    CHECK_OK(aq_stage_pool_free_count(stages, &count));
    CHECK_EQ(count, STAGES);
    CHECK_OK(aq_stage_pool_free(stages));
    CHECK_OK(aq_dataset_free(dataset));
    CHECK_OK(aq_reader_free(reader));
    free(items);
}

/* All futures freed unread, then the reader, while requests are pending. */
static void dropped(void)
{
    aq_reader *reader = open_reader(2);
    aq_dataset *dataset = open_dataset(reader, "gzip");
    aq_stage_pool *stages = NULL;
    aq_future *future = NULL;
    size_t count = 0;
    CHECK_OK(aq_stage_pool_new(dataset, NULL, 0, 32, &stages));
    for (int i = 0; i < 32; i++) {
        CHECK_OK(aq_reader_request_pooled(reader, dataset, NULL, stages, AQ_WAIT_FOREVER, &future));
        CHECK_OK(aq_future_free(future));
    }
    CHECK_OK(aq_reader_free(reader));
    CHECK_OK(aq_stage_pool_free_count(stages, &count));
    CHECK_EQ(count, 32);
    CHECK_OK(aq_stage_pool_free(stages));
    CHECK_OK(aq_dataset_free(dataset));
}

/* A field, the other byte order, and a result without axes. */
static void parts(void)
{
    aq_reader_config config;
    aq_reader *reader = NULL;
    aq_dataset *table, *big;
    aq_stage *stage;
    aq_selection *selection = select_rows(48, AQ_SLICE_OPEN, 1);
    aq_future *future = NULL;
    aq_array_view view;
    double times[2] = {0, 0};
    int16_t number = 0;
    CHECK_OK(aq_reader_config_init(&config, sizeof config));
    CHECK_EQ(config.n_threads, 4);
    CHECK_EQ(config.cache_bytes, 64 << 20);
    CHECK_EQ(config.native, 0);
    config.native = 1;
    CHECK_OK(aq_reader_open(data_path("random.h5"), &config, &reader));
    table = open_dataset(reader, "table");
    big = open_dataset(reader, "big");
    stage = stage_of_rows(table, 2);
    CHECK_OK(aq_selection_field(selection, "time"));
    CHECK_OK(aq_reader_request(reader, table, selection, stage, &future));
    CHECK_OK(aq_future_get(future, AQ_WAIT_FOREVER, times, sizeof times));
    CHECK(times[0] == 24 && times[1] == 24.5);
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_selection_field(selection, NULL));
    CHECK_OK(aq_selection_index(selection, 0, -2));
    CHECK_OK(aq_reader_request(reader, big, selection, stage, &future));
    CHECK_OK(aq_array_view_init(&view, sizeof view));
    CHECK_OK(aq_future_acquire(future, AQ_WAIT_FOREVER, &view));
    CHECK_EQ(view.ndim, 0);
    CHECK_EQ(view.size, sizeof number);
    memcpy(&number, view.data, sizeof number);
    CHECK_EQ(number, 18);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_future_free(future));
    CHECK_OK(aq_selection_free(selection));
    CHECK_OK(aq_stage_free(stage));
    CHECK_OK(aq_dataset_free(table));
    CHECK_OK(aq_dataset_free(big));
    CHECK_OK(aq_reader_free(reader));
}

int main(void)
{
    if (!datasets_are_there()) {
        aq_reader *reader = NULL;
        CHECK_ERROR(aq_reader_open(data_path("random.h5"), NULL, &reader), AQ_E_UNSUPPORTED, "hdf5");
        return check_done();
    }
    results();
    errors();
    pools();
    ends(0);
    ends(1);
    dropped();
    parts();
    return check_done();
}

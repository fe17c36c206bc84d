/* What a caller can get wrong with recorders and replays of datasets. */
#include "misuse/handles.h"
#include "recording.h"
#include "sized.h"

static struct handles h;

static aq_status use_config(const void *config)
{
    aq_dataset_recorder *recorder = NULL;
    aq_status status;
    if (config == NULL) /* is fine here, but check_sized_input wants it to be refused */
        return aq_dataset_recorder_new(NULL, NULL, NULL, NULL);
    status =
        aq_dataset_recorder_new(recording_path("used.h5"), "data", (const aq_dataset_recorder_config *)config, &recorder);
    aq_dataset_recorder_free(recorder);
    return status;
}

static aq_status use_replay_config(const void *config)
{
    aq_dataset_replay *replay = NULL;
    aq_status status =
        aq_dataset_replay_new_on_output(recording_path("there.h5"), "a/data", (const aq_dataset_replay_config *)config,
                                        (aq_output_stream *)h.of[OUTPUT_STREAM], &replay);
    aq_dataset_replay_free(replay);
    return status;
}

#define REFUSES(field, value, text)                                                                                   \
    do {                                                                                                              \
        aq_dataset_recorder_config bad = recording_config();                                                          \
        bad.overwrite = 1;                                                                                            \
        bad.field = value;                                                                                            \
        CHECK_ERROR(use_config(&bad), AQ_E_INVALID, text);                                                            \
    } while (0)

static void settings(void)
{
    aq_dataset_recorder_config config = recording_config();
    const size_t none[] = {0};
    config.overwrite = 1;
    CHECK_SIZED_INIT(aq_dataset_recorder_config, aq_dataset_recorder_config_init);
    CHECK_SIZED_INIT(aq_dataset_recorder_stats, aq_dataset_recorder_stats_init);
    CHECK_SIZED_INIT(aq_dataset_replay_config, aq_dataset_replay_config_init);
    CHECK_SIZED_INIT(aq_dataset_replay_stats, aq_dataset_replay_stats_init);
    check_sized_input(&config, sizeof config, use_config);
    REFUSES(packing, 6, "packing must be one of AQ_PACK_* (got 6)");
    REFUSES(packing, -1, "packing must be one of AQ_PACK_* (got -1)");
    REFUSES(shuffle, 2, "shuffle must be 0 or 1 (got 2)");
    REFUSES(overwrite, -1, "overwrite must be 0 or 1 (got -1)");
    REFUSES(swmr, 3, "swmr must be 0 or 1 (got 3)");
    REFUSES(sync, 3, "sync must be 0 or 1 (got 3)");
    REFUSES(n_threads, 0, "threads must be between 1 and 4096 (got 0)");
    REFUSES(n_threads, SIZE_MAX, "threads must be between 1 and 4096");
    REFUSES(queue_blocks, 1, "queue_blocks must be at least 2 (got 1)");
    REFUSES(flush_interval_ns, -2, "flush_interval_ns must be AQ_WAIT_FOREVER, 0 or positive (got -2)");
    REFUSES(block_rows, UINT64_MAX, "a block must have at most");
    REFUSES(row_shape, none, "must be positive (got [0])");
    REFUSES(row_ndim, 65, "row_shape must have 1 to 64 axes (got 65)");
    config.packing = AQ_PACK_DEFLATE;
    config.level = 10;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "level must be 0 to 9 (got 10)");
    config.level = -2;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "level must be -1 or the packing's (got -2)");
    config = recording_config();
    config.dtype = "no type";
    CHECK_ERROR(use_config(&config), AQ_E_FORMAT, "dtype");
    config = recording_config();
    CHECK_ERROR(use_config(&config), AQ_E_IO, "used.h5: File exists");
    recording_remove("used.h5");
}

static void recorders(void)
{
    aq_dataset_recorder_config config = recording_config();
    aq_dataset_recorder *recorder = NULL, *none = NULL;
    aq_dataset_recorder_stats stats = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const char *path = "/nowhere/at/all.h5";
    aq_chunk_ring *ring = (aq_chunk_ring *)h.of[CHUNK_RING];
    int16_t row[CHANNELS] = {1, 2};
    uint64_t taken = 7;
    CHECK_ERROR(aq_dataset_recorder_new(NULL, "data", &config, &none), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new("", "data", &config, &none), AQ_E_INVALID, "path must not be empty");
    CHECK_ERROR(aq_dataset_recorder_new(path, NULL, &config, &none), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new(path, "\xff", &config, &none), AQ_E_INVALID, "dataset must be UTF-8");
    CHECK_ERROR(aq_dataset_recorder_new(path, "/", &config, &none), AQ_E_INVALID, "dataset must be a path");
    CHECK_ERROR(aq_dataset_recorder_new(path, "data", &config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new(path, "data", &config, &none), AQ_E_IO, "/nowhere/at/all.h5: No such file");
    CHECK_ERROR(aq_dataset_recorder_new_chunks(path, "data", &config, NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new_on_input(path, "data", &config, NULL, &none), AQ_E_INVALID, "input must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new_on_input(path, "data", &config, (aq_input_stream *)h.of[INPUT_STREAM], NULL),
                AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new_on_ring(path, "data", &config, NULL, NULL, &none), AQ_E_INVALID, "data_ring must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_new_on_ring(path, "data", &config, ring, ring, &none), AQ_E_INVALID, "must be two rings");
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "free_ring", aq_dataset_recorder_new_chunks(path, "data", &config, wrong, &none));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "data_ring", aq_dataset_recorder_new_on_ring(path, "data", &config, wrong, NULL, &none));
    CHECK_WRONG_HANDLES(h, INPUT_STREAM, aq_input_stream, "input", aq_dataset_recorder_new_on_input(path, "data", &config, wrong, &none));
    CHECK(none == NULL);

    CHECK_OK(aq_dataset_recorder_new(recording_path("rows.h5"), "data", &config, &recorder));
    CHECK_ERROR(aq_dataset_recorder_put_rows(NULL, row, 1, 0, &taken), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_put_rows(recorder, NULL, 1, 0, &taken), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_put_rows(recorder, row, UINT64_MAX, 0, &taken), AQ_E_INVALID, "rows must be some that memory holds");
    CHECK_ERROR(aq_dataset_recorder_put_rows(recorder, row, 1, 0, NULL), AQ_E_INVALID, "taken must not be NULL unless");
    CHECK_ERROR(aq_dataset_recorder_put_rows(recorder, row, 1, -2, &taken), AQ_E_INVALID, "timeout_ns must be");
    CHECK_EQ(taken, 7);
    CHECK_OK(aq_dataset_recorder_put_rows(recorder, NULL, 0, 0, &taken));
    CHECK_EQ(taken, 0);
    CHECK_ERROR(aq_dataset_recorder_put_chunk(NULL, (aq_chunk *)h.of[CHUNK], 0), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_put_chunk(recorder, NULL, 0), AQ_E_INVALID, "chunk must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_put_chunk(recorder, (aq_chunk *)h.of[CHUNK], -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_dataset_recorder_put_chunk(recorder, (aq_chunk *)h.of[CHUNK], 0), AQ_E_INVALID, "it takes rows, not chunks");
    CHECK_ERROR(aq_dataset_recorder_set_ledger(recorder, NULL), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_flush(NULL, 0), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_flush(recorder, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_dataset_recorder_wait(NULL, 0), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_wait(recorder, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_dataset_recorder_stop(NULL), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_get_stats(recorder, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_dataset_recorder_get_stats(recorder, &stats), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_dataset_recorder_free(NULL));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_put_rows(wrong, row, 1, 0, &taken));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_set_ledger(wrong, (aq_recv_stream *)h.of[STREAM]));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_dataset_recorder_set_ledger(recorder, wrong));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_flush(wrong, 0));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_wait(wrong, 0));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_stop(wrong));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_get_stats(wrong, &stats));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_recorder, "recorder", aq_dataset_recorder_free(wrong));
    CHECK_OK(aq_dataset_recorder_free(recorder));
    recording_remove("rows.h5");
}

static void replays(void)
{
    aq_dataset_recorder_config config = recording_config();
    aq_output_stream_config output_config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&output_config), *none_output = NULL;
    aq_chunk_ring *ring = (aq_chunk_ring *)h.of[CHUNK_RING];
    aq_dataset_replay *replay = NULL, *none = NULL;
    aq_dataset_replay_config play;
    aq_dataset_replay_stats stats = {0, 0, 0, 0, 0, 0};
    char path[128];
    record_frames("there.h5", &config, 10);
    snprintf(path, sizeof path, "%s", recording_path("there.h5"));
    CHECK_OK(aq_dataset_replay_config_init(&play, sizeof play));
    play.rate = INFINITY;
    CHECK_ERROR(use_replay_config(&play), AQ_E_INVALID, "the output must have frames of shape [2]");
    CHECK_ERROR(aq_dataset_replay_new(NULL, "a/data", &play, &output_config, &none), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new(path, NULL, &play, &output_config, &none), AQ_E_INVALID, "dataset must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new(path, "a/data", &play, &output_config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new(path, "b", &play, &output_config, &none), AQ_E_NOT_FOUND, "dataset b of");
    CHECK_ERROR(aq_dataset_replay_new("/nowhere.h5", "b", &play, &output_config, &none), AQ_E_IO, "No such file");
    CHECK_ERROR(aq_dataset_replay_new_on_output(path, "a/data", &play, NULL, &none), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new_on_output(path, "a/data", &play, output, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new_on_ring(path, "a/data", &play, NULL, ring, &none), AQ_E_INVALID, "data_ring must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new_on_ring(path, "a/data", &play, ring, NULL, &none), AQ_E_INVALID, "free_ring must not be NULL");
    CHECK_ERROR(aq_dataset_replay_new_on_ring(path, "a/data", &play, ring, ring, &none), AQ_E_INVALID, "must be two rings");
    CHECK_ERROR(aq_dataset_replay_new_on_ring(path, "a/data", &play, ring, ring, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_WRONG_HANDLES(h, OUTPUT_STREAM, aq_output_stream, "output", aq_dataset_replay_new_on_output(path, "a/data", &play, wrong, &none));
    CHECK_WRONG_HANDLES(h, CHUNK_RING, aq_chunk_ring, "data_ring", aq_dataset_replay_new_on_ring(path, "a/data", &play, wrong, ring, &none));
    play.rate = -1;
    CHECK_ERROR(aq_dataset_replay_new(path, "a/data", &play, &output_config, &none), AQ_E_INVALID, "rate must be positive (got -1)");
    play.rate = NAN;
    CHECK_ERROR(aq_dataset_replay_new(path, "a/data", &play, &output_config, &none), AQ_E_INVALID, "rate must be positive (got NaN)");
    play.rate = 0;
    play.n_threads = 0;
    CHECK_ERROR(aq_dataset_replay_new(path, "a/data", &play, &output_config, &none), AQ_E_INVALID, "threads must be");
    play.n_threads = 1;
    play.end_row = 11;
    CHECK_ERROR(aq_dataset_replay_new(path, "a/data", &play, &output_config, &none), AQ_E_INVALID, "within 0 to 10");
    play.end_row = 0;
    CHECK(none == NULL);

    CHECK_OK(aq_dataset_replay_new_on_output(path, "a/data", &play, output, &replay));
    CHECK_ERROR(aq_dataset_replay_get_output(NULL, &none_output), AQ_E_INVALID, "replay must not be NULL");
    CHECK_ERROR(aq_dataset_replay_get_output(replay, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_dataset_replay_start(NULL), AQ_E_INVALID, "replay must not be NULL");
    CHECK_ERROR(aq_dataset_replay_stop(NULL), AQ_E_INVALID, "replay must not be NULL");
    CHECK_ERROR(aq_dataset_replay_wait(NULL, 0), AQ_E_INVALID, "replay must not be NULL");
    CHECK_ERROR(aq_dataset_replay_wait(replay, -2), AQ_E_INVALID, "timeout_ns must be");
    CHECK_ERROR(aq_dataset_replay_get_stats(replay, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_dataset_replay_get_stats(replay, &stats), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_dataset_replay_free(NULL));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_replay, "replay", aq_dataset_replay_get_output(wrong, &none_output));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_replay, "replay", aq_dataset_replay_start(wrong));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_replay, "replay", aq_dataset_replay_stop(wrong));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_replay, "replay", aq_dataset_replay_wait(wrong, 0));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_replay, "replay", aq_dataset_replay_get_stats(wrong, &stats));
    CHECK_WRONG_HANDLES(h, KINDS, aq_dataset_replay, "replay", aq_dataset_replay_free(wrong));
    CHECK_OK(aq_dataset_replay_free(replay));
    CHECK_OK(aq_output_stream_free(output));
    recording_remove("there.h5");
}

int main(void)
{
    if (aq_has_feature("hdf5")) {
        handles_open(&h);
        settings();
        recorders();
        replays();
        handles_close(&h);
        recording_end();
    } else {
        CHECK_SIZED_INIT(aq_dataset_recorder_config, aq_dataset_recorder_config_init);
    }
    return check_done();
}

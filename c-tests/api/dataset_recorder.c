/* Recorders, of rows, frames and chunks; what they wrote is played again and compared. */
#include "recording.h"
#include "receive.h"

static int without_hdf5(void)
{
    aq_dataset_recorder_config config = recording_config();
    aq_dataset_recorder *recorder = NULL;
    if (aq_has_feature("hdf5"))
        return 0;
    CHECK_ERROR(aq_dataset_recorder_new(recording_path("none.h5"), "data", &config, &recorder), AQ_E_UNSUPPORTED,
                "hdf5");
    CHECK(recorder == NULL);
    return 1;
}

/* All that is in the file, as a stream: frames 0 to before `frames`. */
static void plays(const char *name, int64_t frames)
{
    aq_dataset_replay_config config;
    aq_output_stream_config output_config;
    aq_dataset_replay *replay = NULL;
    aq_output_stream *output = NULL;
    aq_input_stream *input;
    CHECK_OK(aq_dataset_replay_config_init(&config, sizeof config));
    config.rate = INFINITY;
    config.chunk_rows = (uint64_t)frames;
    CHECK_OK(aq_output_stream_config_init(&output_config, sizeof output_config));
    output_config.protocol = AQ_PROTOCOL_INPROC;
    if (!CHECK_OK(aq_dataset_replay_new(recording_path(name), "a/data", &config, &output_config, &replay)))
        return;
    CHECK_OK(aq_dataset_replay_get_output(replay, &output));
    input = signal_input(output, NULL);
    CHECK_OK(aq_dataset_replay_start(replay));
    signal_receive(input, 0, frames, 0);
    CHECK_OK(aq_dataset_replay_wait(replay, GUARD_NS));
    CHECK_OK(aq_dataset_replay_free(replay));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_input_stream_free(input));
}

static void rows(void)
{
    static const int32_t packings[] = {AQ_PACK_NONE, AQ_PACK_DEFLATE,   AQ_PACK_LZ4,
                                       AQ_PACK_ZSTD, AQ_PACK_BLOSC_LZ4, AQ_PACK_BLOSC_ZSTD};
    for (size_t i = 0; i < 2 * sizeof packings / sizeof *packings; i++) {
        aq_dataset_recorder_config config = recording_config();
        config.packing = packings[i / 2];
        config.shuffle = i % 2;
        config.swmr = i % 3 == 0;
        config.sync = i == 5;
        config.overwrite = 1;
        record_frames("rows.h5", &config, 100);
        plays("rows.h5", 100);
    }
    recording_remove("rows.h5");
}

/* What waits in an input, and what comes. */
static void frames(void)
{
    aq_output_stream_config output_config = signal_config(AQ_PROTOCOL_INPROC);
    aq_dataset_recorder_config config = recording_config();
    aq_output_stream *output = signal_output(&output_config);
    aq_input_stream *input = signal_input(output, NULL);
    aq_dataset_recorder *recorder = NULL;
    aq_dataset_recorder_stats stats;
    config.dtype = "none of what it says counts";
    CHECK_OK(signal_send(output, 30, GUARD_NS));
    CHECK_OK(aq_dataset_recorder_new_on_input(recording_path("frames.h5"), "a/data", &config, input, &recorder));
    CHECK_OK(signal_send(output, 20, GUARD_NS));
    CHECK_OK(aq_output_stream_free(output)); /* the recording's end */
    CHECK_OK(aq_dataset_recorder_wait(recorder, GUARD_NS));
    stats = recording_stats(recorder);
    CHECK_EQ(stats.rows_written, 50);
    CHECK_EQ(stats.segments, 1);
    CHECK_EQ(stats.blocks_waiting, 0);
    CHECK_OK(aq_dataset_recorder_free(recorder));
    CHECK_OK(aq_input_stream_free(input));
    plays("frames.h5", 50);
    recording_remove("frames.h5");
}

static void chunk_is(const aq_chunk *chunk, int64_t id)
{
    CHECK_EQ(aq_chunk_id(chunk), id);
    for (int64_t i = 0; i < HEAPS_PER_CHUNK; i++) {
        CHECK_EQ(aq_chunk_present(chunk)[i], 1);
        CHECK(spead_is((const uint8_t *)aq_chunk_data(chunk) + i * HEAP_SIZE, (uint64_t)(id * HEAPS_PER_CHUNK + i), 0,
                       HEAP_SIZE));
    }
}

/* Chunks of a receiver; its counts are the ledger. */
static void chunks(void)
{
    struct receiver r;
    struct packets p = no_packets();
    aq_dataset_recorder_config config = recording_config();
    aq_dataset_recorder *recorder = NULL;
    aq_dataset_replay_config play;
    aq_dataset_replay_stats played;
    aq_dataset_replay *replay = NULL;
    aq_output_stream *output = NULL;
    aq_chunk_ring *data = NULL, *free_ring = NULL;
    aq_chunk *chunk = NULL;
    config.dtype = "|u1";
    config.row_shape = NULL;
    config.row_ndim = 0;
    config.block_rows = HEAPS_PER_CHUNK * HEAP_SIZE;
    config.present_size = HEAPS_PER_CHUNK;
    receiver_init(&r);
    receiver_open(&r, 4);
    CHECK_OK(aq_dataset_recorder_new_on_ring(recording_path("chunks.h5"), "heaps", &config, r.data, r.free_ring, &recorder));
    for (uint64_t i = 0; i < 12; i++)
        spead_heap(&p, i, HEAP_SIZE, HEAP_SIZE);
    spead_stop(&p, 12);
    receiver_feed(&r, &p);
    CHECK_OK(aq_dataset_recorder_wait(recorder, GUARD_NS)); /* the stream has ended, and stopped its ring */
    CHECK_OK(aq_recv_stream_stop(r.stream));
    CHECK_EQ(recording_stats(recorder).rows_written, 3 * HEAPS_PER_CHUNK * HEAP_SIZE);
    CHECK_OK(aq_dataset_recorder_set_ledger(recorder, r.stream));
    CHECK_OK(aq_dataset_recorder_free(recorder));

    /* One by one, and what does not fit. */
    CHECK_OK(aq_dataset_recorder_new_chunks(recording_path("one.h5"), "heaps", &config, NULL, &recorder));
    CHECK_OK(aq_dataset_recorder_set_ledger(recorder, r.stream));
    CHECK_OK(aq_chunk_new_alloc(NULL, 8, HEAPS_PER_CHUNK, 0, &chunk));
    CHECK_ERROR(aq_dataset_recorder_put_chunk(recorder, chunk, 0), AQ_E_INVALID,
                "data of a chunk must have 1024 bytes (got 8)");
    CHECK_OK(aq_chunk_free(chunk)); /* ours still */
    CHECK_OK(aq_chunk_new_alloc(NULL, 1024, HEAPS_PER_CHUNK, 0, &chunk));
    memset(aq_chunk_data(chunk), 77, 1024);
    CHECK_OK(aq_dataset_recorder_put_chunk(recorder, chunk, GUARD_NS));
    CHECK_ERROR(aq_dataset_recorder_put_rows(recorder, &p, 1, AQ_WAIT_FOREVER, NULL), AQ_E_INVALID, "it takes chunks, not rows");
    CHECK_OK(aq_dataset_recorder_stop(recorder));
    CHECK_EQ(recording_stats(recorder).rows_written, 1024);
    CHECK_OK(aq_dataset_recorder_free(recorder));
    recording_remove("one.h5");

    /* And out again. */
    CHECK_OK(aq_chunk_ring_new(4, &data));
    CHECK_OK(aq_chunk_ring_new(4, &free_ring));
    CHECK_OK(aq_dataset_replay_config_init(&play, sizeof play));
    play.rate = 1e6;
    CHECK_OK(aq_dataset_replay_new_on_ring(recording_path("chunks.h5"), "heaps", &play, data, free_ring, &replay));
    CHECK_ERROR(aq_dataset_replay_get_output(replay, &output), AQ_E_INVALID, "it plays into a ring");
    CHECK_OK(aq_dataset_replay_start(replay));
    for (int64_t id = 0; id < 3; id++) {
        CHECK_OK(aq_chunk_new_alloc(NULL, 1024, HEAPS_PER_CHUNK, 0, &chunk));
        CHECK_OK(aq_chunk_ring_put(free_ring, chunk, 0));
        CHECK_OK(aq_chunk_ring_get(data, GUARD_NS, &chunk));
        chunk_is(chunk, id);
        CHECK_OK(aq_chunk_free(chunk));
    }
    CHECK_STATUS(aq_chunk_ring_get(data, GUARD_NS, &chunk), AQ_STOPPED);
    CHECK_OK(aq_dataset_replay_wait(replay, GUARD_NS));
    CHECK_OK(aq_dataset_replay_stats_init(&played, sizeof played));
    CHECK_OK(aq_dataset_replay_get_stats(replay, &played));
    CHECK_EQ(played.rows, 3072);
    CHECK_EQ(played.bytes, 3072);
    CHECK_EQ(played.chunks, 3);
    CHECK_EQ(played.loops, 1);
    CHECK_OK(aq_dataset_replay_free(replay));
    CHECK_OK(aq_chunk_ring_free(data));
    CHECK_OK(aq_chunk_ring_free(free_ring));
    recording_remove("chunks.h5");
    receiver_close(&r);
    spead_free(&p);
}

int main(void)
{
    if (!without_hdf5()) {
        rows();
        frames();
        chunks();
    }
    recording_end();
    return check_done();
}

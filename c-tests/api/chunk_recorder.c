/* Recording chunks, by a stream and by hand, and reading them again. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#define _DEFAULT_SOURCE
#include "receive.h"
#include "chunk_recording.h"

enum { CHUNKS = 10 };

struct told {
    int count, freed; /* atomics */
    aq_chunk_report reports[CHUNKS];
    aq_chunk_recorder *recorder;
    aq_status stop, wait, free;
};

static void tell(const aq_chunk_report *report, size_t size, void *user)
{
    struct told *told = (struct told *)user;
    int count = load(&told->count);
    CHECK_EQ(size, sizeof *report);
    CHECK_TEXT(report->message, "");
    if (count < CHUNKS)
        told->reports[count] = *report;
    if (count == CHUNKS - 1 && told->recorder != NULL) {
        told->stop = aq_chunk_recorder_stop(told->recorder, 0);
        told->wait = aq_chunk_recorder_wait(told->recorder, AQ_WAIT_FOREVER);
        told->free = aq_chunk_recorder_free(told->recorder);
    }
    __atomic_fetch_add(&told->count, 1, __ATOMIC_SEQ_CST);
}

static void told_free(void *user)
{
    __atomic_fetch_add(&((struct told *)user)->freed, 1, __ATOMIC_SEQ_CST);
}

static void by_hand(void)
{
    char folder[32], path[128];
    struct told told;
    aq_chunk_ring *data = NULL, *free_ring = NULL;
    aq_chunk_recorder_config config;
    aq_chunk_recorder_stats stats;
    aq_chunk_recorder *recorder = NULL;
    int32_t running = 7;
    memset(&told, 0, sizeof told);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/run-%%03n.aqc", folder);
    CHECK_OK(aq_chunk_ring_new(CHUNKS, &data));
    CHECK_OK(aq_chunk_ring_new(CHUNKS, &free_ring));
    CHECK_OK(aq_chunk_recorder_config_init(&config, sizeof config));
    CHECK_OK(aq_chunk_recorder_stats_init(&stats, sizeof stats));
    CHECK_EQ(config.in_flight, 3);
    CHECK_EQ(config.direct, AQ_DIRECT_AUTO);
    CHECK_EQ(config.durability, AQ_DURABILITY_SYSTEM);
    config.path = path;
    config.header = "run 12";
    config.header_size = 6;
    config.rotate_bytes = 4096 + 7 * 16384; /* a record takes 16 KiB: seven in the first file */
    config.durability = AQ_DURABILITY_FLUSH;
    config.report = tell;
    config.report_user = &told;
    config.report_user_free = told_free;
    CHECK_OK(aq_chunk_recorder_new(data, free_ring, &config, &recorder));
    told.recorder = recorder; /* before there is a chunk to tell of */
    for (int i = 0; i < CHUNKS; i++)
        CHECK_OK(aq_chunk_ring_put(data, make_chunk(i), 0));
    while (load(&told.count) < CHUNKS)
        usleep(1000);
    CHECK_EQ(told.stop, AQ_E_STATE);
    CHECK_EQ(told.wait, AQ_E_STATE);
    CHECK_EQ(told.free, AQ_E_STATE);
    CHECK_OK(aq_chunk_recorder_status(recorder, &running));
    CHECK_EQ(running, 1);
    CHECK_STATUS(aq_chunk_recorder_wait(recorder, 0), AQ_FULL);
    CHECK_STATUS(aq_chunk_recorder_wait(recorder, 1000 * 1000), AQ_TIMEOUT);
    CHECK_OK(aq_chunk_recorder_stop(recorder, AQ_WAIT_FOREVER));
    CHECK_OK(aq_chunk_recorder_wait(recorder, 0));
    CHECK_OK(aq_chunk_recorder_status(recorder, &running));
    CHECK_EQ(running, 0);
    CHECK_OK(aq_chunk_recorder_get_stats(recorder, &stats));
    CHECK_EQ(stats.given, CHUNKS);
    CHECK_EQ(stats.written, CHUNKS);
    CHECK_EQ(stats.durable, CHUNKS);
    CHECK_EQ(stats.failed_full + stats.failed_io + stats.failed_file + stats.in_flight + stats.freed + stats.sync_errors, 0);
    CHECK_EQ(stats.data_bytes, CHUNKS * DATA_SIZE);
    CHECK_EQ(stats.file_bytes, CHUNKS * (16384 + 168));
    CHECK_EQ(stats.files, 2);
    CHECK_OK(aq_chunk_recorder_free(recorder));
    CHECK_EQ(load(&told.freed), 1);
    for (int i = 0; i < CHUNKS; i++) {
        const aq_chunk_report *report = &told.reports[i];
        CHECK_EQ(report->sequence, i);
        CHECK_EQ(report->chunk_id, -1);
        CHECK_EQ(report->file, i >= 7);
        CHECK_EQ(report->offset, 4096 + 16384 * (i % 7));
        CHECK_EQ(report->data_size, DATA_SIZE);
        CHECK_EQ(report->status, AQ_OK);
        CHECK_EQ(report->durable, 1);
    }
    size_t size = 0;
    CHECK_OK(aq_chunk_ring_size(free_ring, &size));
    CHECK_EQ(size, CHUNKS);
    CHECK_OK(aq_chunk_ring_free(data));
    CHECK_OK(aq_chunk_ring_free(free_ring));

    aq_chunk_recording *recording = NULL;
    aq_chunk_recording_info info;
    aq_chunk_recording_file file;
    aq_recorded_chunk chunk;
    uint64_t count = 0, number = 0;
    CHECK_OK(aq_chunk_recording_info_init(&info, sizeof info));
    CHECK_OK(aq_chunk_recording_file_init(&file, sizeof file));
    CHECK_OK(aq_recorded_chunk_init(&chunk, sizeof chunk));
    snprintf(path, sizeof path, "%s/run-001.aqc.index", folder);
    CHECK_OK(aq_chunk_recording_open(path, &recording));
    CHECK_OK(aq_chunk_recording_count(recording, &count));
    CHECK_EQ(count, CHUNKS);
    CHECK_OK(aq_chunk_recording_get_info(recording, &info));
    CHECK_EQ(info.chunks, CHUNKS);
    CHECK_EQ(info.files, 2);
    CHECK_EQ(info.whole, 1);
    CHECK_EQ(info.recovered + info.failed, 0);
    CHECK(info.created_ns > UINT64_C(1600000000000000000));
    CHECK(info.header_size == 6 && memcmp(info.header, "run 12", 6) == 0);
    CHECK_OK(aq_chunk_recording_get_file(recording, 1, &file));
    CHECK_EQ(file.number, 1);
    CHECK_EQ(file.chunks, 3);
    CHECK_EQ(file.size, 4096 + 3 * 16384);
    CHECK_EQ(file.data_end, file.size);
    CHECK_EQ(file.closed, 1);
    CHECK_EQ(file.recovered + file.torn_bytes + file.torn_offset, 0);
    CHECK_TEXT(file.index_problem, "");
    snprintf(path, sizeof path, "%s/run-001.aqc", folder);
    CHECK_TEXT(file.path, path);
    for (uint64_t i = 0; i < count; i++) {
        check_chunk(recording, i, (int64_t)i);
        CHECK_OK(aq_chunk_recording_chunk(recording, i, &chunk));
        CHECK_EQ(chunk.sequence, i);
        CHECK_EQ(chunk.data_size, DATA_SIZE);
        CHECK_EQ(chunk.present_size, PRESENT_SIZE);
        CHECK_EQ(chunk.extra_size, EXTRA_SIZE);
        CHECK_EQ(chunk.data_offset, chunk.offset + 4096);
        CHECK_EQ(chunk.has_ledger + chunk.recovered, 0);
    }
    CHECK_OK(aq_chunk_recording_find(recording, -1, 4, &number));
    CHECK_EQ(number, 4);
    CHECK_STATUS(aq_chunk_recording_find(recording, 0, 0, &number), AQ_E_NOT_FOUND);
    CHECK_OK(aq_chunk_recording_free(recording));
    remove_in(folder, "run-000.aqc");
    remove_in(folder, "run-000.aqc.index");
    remove_in(folder, "run-001.aqc");
    remove_in(folder, "run-001.aqc.index");
    CHECK_EQ(rmdir(folder), 0);
}

/* A stream fills chunks, the recorder writes them and gives them back: more than there are in circulation. */
static void of_a_stream(void)
{
    struct receiver r;
    struct packets p = no_packets();
    char folder[32], path[64];
    aq_chunk_recorder_config config;
    aq_chunk_recorder *recorder = NULL;
    aq_chunk_recording *recording = NULL;
    aq_recorded_chunk chunk;
    uint64_t number = 0;
    make_folder(folder);
    snprintf(path, sizeof path, "%s/run.aqc", folder);
    receiver_init(&r);
    r.config.stream_id = 12;
    for (uint64_t cnt = 0; cnt < 100; cnt++)
        if (cnt != 41)
            spead_heap(&p, cnt, HEAP_SIZE, HEAP_SIZE);
    receiver_open(&r, 4);
    CHECK_OK(aq_chunk_recorder_config_init(&config, sizeof config));
    config.path = path;
    config.stream = r.stream;
    CHECK_OK(aq_chunk_recorder_new(r.data, r.free_ring, &config, &recorder));
    receiver_feed(&r, &p);
    CHECK_OK(aq_chunk_recorder_wait(recorder, AQ_WAIT_FOREVER));
    CHECK_OK(aq_chunk_recorder_free(recorder));
    receiver_close(&r);
    CHECK_OK(aq_recorded_chunk_init(&chunk, sizeof chunk));
    CHECK_OK(aq_chunk_recording_open(path, &recording));
    CHECK_OK(aq_chunk_recording_count(recording, &number));
    CHECK_EQ(number, 25);
    for (int64_t id = 0; id < 25; id++) {
        uint8_t present[HEAPS_PER_CHUNK];
        CHECK_OK(aq_chunk_recording_find(recording, id, 0, &number));
        CHECK_EQ(number, id);
        CHECK_OK(aq_chunk_recording_chunk(recording, number, &chunk));
        CHECK_EQ(chunk.chunk_id, id);
        CHECK_EQ(chunk.stream_id, 12);
        CHECK_EQ(chunk.complete_heaps, HEAPS_PER_CHUNK - (id == 10));
        CHECK_EQ(chunk.has_ledger, 1);
        CHECK(chunk.packets <= 99); /* published once per batch, and noted by several threads: in no order */
        CHECK_EQ(chunk.packets_lost, 0);
        CHECK_OK(aq_chunk_recording_read(recording, number, NULL, 0, present, sizeof present, NULL, 0));
        for (int i = 0; i < HEAPS_PER_CHUNK; i++)
            CHECK_EQ(present[i], 4 * id + i != 41);
        CHECK_OK(aq_chunk_recording_verify(recording, number));
    }
    CHECK_OK(aq_chunk_recording_free(recording));
    spead_free(&p);
    remove_in(folder, "run.aqc");
    remove_in(folder, "run.aqc.index");
    CHECK_EQ(rmdir(folder), 0);
}

int main(void)
{
    by_hand();
    of_a_stream();
    return check_done();
}

/* What a caller can get wrong with chunk recorders and recordings. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "misuse/handles.h"
#include "chunk_recording.h"
#include "sized.h"

static char folder[32], path[64];
static aq_chunk_ring *data_ring, *free_ring;
static int freed;

static void count_free(void *user)
{
    ++*(int *)user;
}

static void ignore(const aq_chunk_report *report, size_t size, void *user)
{
    (void)report;
    (void)size;
    (void)user;
}

/* A whole use; what it has made is removed. */
static aq_status use_config(const void *config)
{
    aq_chunk_recorder *recorder = NULL;
    aq_status status = aq_chunk_recorder_new(data_ring, free_ring, (const aq_chunk_recorder_config *)config, &recorder);
    CHECK_EQ(status == AQ_OK, recorder != NULL);
    CHECK_OK(aq_chunk_recorder_free(recorder));
    if (status == AQ_OK) {
        remove_in(folder, "run.aqc");
        remove_in(folder, "run.aqc.index");
    }
    return status;
}

static void configs(void)
{
    aq_chunk_recorder_config valid, config;
    aq_chunk_recorder *recorder = NULL;
    static char big[(1 << 20) + 1];
    char text[128];
    CHECK_SIZED_INIT(aq_chunk_recorder_config, aq_chunk_recorder_config_init);
    CHECK_SIZED_INIT(aq_chunk_recorder_stats, aq_chunk_recorder_stats_init);
    CHECK_OK(aq_chunk_recorder_config_init(&valid, sizeof valid));
    CHECK_ERROR(use_config(&valid), AQ_E_INVALID, "path must not be NULL");
    valid.path = path;
    check_sized_input(&valid, sizeof valid, use_config);

    valid.report = ignore;
    valid.report_user = &freed;
    valid.report_user_free = count_free;
    freed = 0;
    CHECK_OK(use_config(&valid));
    CHECK_EQ(freed, 1);
#define REFUSED(change, status, message)                                                                              \
    do {                                                                                                              \
        config = valid;                                                                                               \
        change;                                                                                                       \
        freed = 0;                                                                                                    \
        CHECK_ERROR(use_config(&config), status, message);                                                            \
        CHECK_EQ(freed, 1);                                                                                           \
    } while (0)
    REFUSED(config.path = "", AQ_E_INVALID, "path must not be empty");
    REFUSED(config.path = folder, AQ_E_INVALID, "path must be a file's (got the folder");
    REFUSED(config.path = "/no/such/run.aqc", AQ_E_IO, "/no/such/run.aqc: creating it: No such file");
    REFUSED(config.rotate_bytes = 1, AQ_E_INVALID, "%n for the number");
    REFUSED(config.header_size = 1, AQ_E_INVALID, "header must not be NULL");
    REFUSED((config.header = big, config.header_size = sizeof big), AQ_E_INVALID, "header_size must be at most 1048576 (got 1048577)");
    REFUSED(config.durability = 9, AQ_E_INVALID, "durability must be one of AQ_DURABILITY_* (got 9)");
    REFUSED(config.direct = -1, AQ_E_INVALID, "direct must be one of AQ_DIRECT_* (got -1)");
    REFUSED(config.in_flight = 0, AQ_E_INVALID, "in_flight must be between 1 and 64 (got 0)");
    REFUSED(config.in_flight = 65, AQ_E_INVALID, "(got 65)");
    REFUSED(config.reserved = 1, AQ_E_VERSION, "reserved");
    REFUSED(config.stream = (const aq_recv_stream *)data_ring, AQ_E_INVALID, "stream: not an aq_recv_stream");

    freed = 0;
    CHECK_ERROR(aq_chunk_recorder_new(NULL, free_ring, &valid, &recorder), AQ_E_INVALID, "data_ring must not be NULL");
    CHECK_ERROR(aq_chunk_recorder_new(data_ring, data_ring, &valid, &recorder), AQ_E_INVALID, "must be two rings");
    CHECK_ERROR(aq_chunk_recorder_new(data_ring, free_ring, &valid, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_EQ(freed, 3);
    CHECK(recorder == NULL);
    snprintf(text, sizeof text, "%s/run.aqc.index", folder);
    fclose(fopen(text, "w"));
    REFUSED((void)0, AQ_E_IO, "run.aqc.index: creating it: ");
    CHECK_EQ(remove(text), 0);
}

static void recorders(struct handles *h)
{
    aq_chunk_recorder_config config;
    aq_chunk_recorder_stats stats;
    aq_chunk_recorder *recorder = NULL;
    int32_t running = 7;
    CHECK_OK(aq_chunk_recorder_stats_init(&stats, sizeof stats));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recorder, "recorder", aq_chunk_recorder_get_stats(wrong, &stats));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recorder, "recorder", aq_chunk_recorder_status(wrong, &running));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recorder, "recorder", aq_chunk_recorder_wait(wrong, 0));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recorder, "recorder", aq_chunk_recorder_stop(wrong, 0));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recorder, "recorder", aq_chunk_recorder_free(wrong));
    CHECK_ERROR(aq_chunk_recorder_get_stats(NULL, &stats), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_chunk_recorder_status(NULL, &running), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_chunk_recorder_wait(NULL, 0), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_ERROR(aq_chunk_recorder_stop(NULL, 0), AQ_E_INVALID, "recorder must not be NULL");
    CHECK_OK(aq_chunk_recorder_free(NULL));
    CHECK_EQ(running, 7);

    CHECK_OK(aq_chunk_recorder_config_init(&config, sizeof config));
    config.path = path;
    CHECK_OK(aq_chunk_recorder_new(data_ring, free_ring, &config, &recorder));
    CHECK_ERROR(aq_chunk_recorder_get_stats(recorder, NULL), AQ_E_INVALID, "stats must not be NULL");
    stats.struct_size = 0;
    CHECK_ERROR(aq_chunk_recorder_get_stats(recorder, &stats), AQ_E_INVALID, "struct_size 0");
    CHECK_OK(aq_chunk_recorder_status(recorder, NULL));
    CHECK_ERROR(aq_chunk_recorder_wait(recorder, -2), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_chunk_recorder_stop(recorder, -2), AQ_E_INVALID, "timeout_ns");
    CHECK_OK(aq_chunk_ring_put(data_ring, make_chunk(3), 0));
    CHECK_OK(aq_chunk_recorder_stop(recorder, AQ_WAIT_FOREVER));
    CHECK_OK(aq_chunk_recorder_stop(recorder, 0)); /* again */
    CHECK_OK(aq_chunk_recorder_free(recorder));
}

/* The recording of one chunk that `recorders` has left. */
static void recordings(struct handles *h)
{
    aq_chunk_recording_info info;
    aq_chunk_recording_file file;
    aq_recorded_chunk chunk;
    aq_chunk_recording *recording = NULL;
    uint64_t number = 7;
    char data[DATA_SIZE];
    uint8_t present[PRESENT_SIZE];
    CHECK_SIZED_INIT(aq_chunk_recording_info, aq_chunk_recording_info_init);
    CHECK_SIZED_INIT(aq_chunk_recording_file, aq_chunk_recording_file_init);
    CHECK_SIZED_INIT(aq_recorded_chunk, aq_recorded_chunk_init);
    CHECK_OK(aq_chunk_recording_info_init(&info, sizeof info));
    CHECK_OK(aq_chunk_recording_file_init(&file, sizeof file));
    CHECK_OK(aq_recorded_chunk_init(&chunk, sizeof chunk));
#define READ(r) aq_chunk_recording_read(r, 0, data, sizeof data, present, sizeof present, NULL, 0)
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_count(wrong, &number));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_get_info(wrong, &info));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_get_file(wrong, 0, &file));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_chunk(wrong, 0, &chunk));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_find(wrong, 0, 0, &number));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", READ(wrong));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_verify(wrong, 0));
    CHECK_WRONG_HANDLES(*h, KINDS, aq_chunk_recording, "recording", aq_chunk_recording_free(wrong));
    CHECK_ERROR(aq_chunk_recording_count(NULL, &number), AQ_E_INVALID, "recording must not be NULL");
    CHECK_OK(aq_chunk_recording_free(NULL));
    CHECK_ERROR(aq_chunk_recording_open(NULL, &recording), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_chunk_recording_open("", &recording), AQ_E_INVALID, "path must not be empty");
    CHECK_ERROR(aq_chunk_recording_open("/no/such", &recording), AQ_E_IO, "open /no/such: No such file");
    CHECK_ERROR(aq_chunk_recording_open(folder, &recording), AQ_E_INVALID, "must be a regular file");
    CHECK_ERROR(aq_chunk_recording_open("/dev/zero", &recording), AQ_E_INVALID, "must be a regular file");
    CHECK_ERROR(aq_chunk_recording_open("/proc/self/exe", &recording), AQ_E_FORMAT, "it is no chunk file");
    CHECK_ERROR(aq_chunk_recording_open(path, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK(recording == NULL);

    CHECK_OK(aq_chunk_recording_open(path, &recording));
    CHECK_ERROR(aq_chunk_recording_count(recording, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_chunk_recording_get_info(recording, NULL), AQ_E_INVALID, "info must not be NULL");
    CHECK_ERROR(aq_chunk_recording_get_file(recording, 0, NULL), AQ_E_INVALID, "file must not be NULL");
    CHECK_ERROR(aq_chunk_recording_chunk(recording, 0, NULL), AQ_E_INVALID, "chunk must not be NULL");
    CHECK_ERROR(aq_chunk_recording_find(recording, -1, 0, NULL), AQ_E_INVALID, "number must not be NULL");
    CHECK_ERROR(aq_chunk_recording_get_file(recording, 1, &file), AQ_E_NOT_FOUND, "index must be less than 1, the files of the recording (got 1)");
    CHECK_ERROR(aq_chunk_recording_chunk(recording, 1, &chunk), AQ_E_NOT_FOUND, "number must be less than 1");
    CHECK_ERROR(aq_chunk_recording_verify(recording, UINT64_MAX), AQ_E_NOT_FOUND, "number must be less than 1");
    CHECK_ERROR(aq_chunk_recording_find(recording, 5, 0, &number), AQ_E_NOT_FOUND, "there is no chunk 5 from number 0 on");
    CHECK_ERROR(aq_chunk_recording_find(recording, -1, 1, &number), AQ_E_NOT_FOUND, "no chunk -1 from number 1 on");
    CHECK_EQ(number, 7);
    CHECK_ERROR(aq_chunk_recording_read(recording, 1, NULL, 0, NULL, 0, NULL, 0), AQ_E_NOT_FOUND, "number must be less than 1");
    CHECK_ERROR(aq_chunk_recording_read(recording, 0, data, 9, NULL, 0, NULL, 0), AQ_E_INVALID, "data_size must be 10000, as chunk 0 has it, or 0 (got 9)");
    CHECK_ERROR(aq_chunk_recording_read(recording, 0, NULL, DATA_SIZE, NULL, 0, NULL, 0), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_chunk_recording_read(recording, 0, NULL, 0, NULL, 5, NULL, 0), AQ_E_INVALID, "present must not be NULL");
    CHECK_ERROR(aq_chunk_recording_read(recording, 0, NULL, 0, NULL, 0, NULL, SIZE_MAX), AQ_E_INVALID, "extra_size must be 3");
    CHECK_OK(READ(recording));
    check_chunk(recording, 0, 3);
    CHECK_OK(aq_chunk_recording_free(recording));
    remove_in(folder, "run.aqc");
    remove_in(folder, "run.aqc.index");
}

int main(void)
{
    struct handles h;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&h);
    make_folder(folder);
    snprintf(path, sizeof path, "%s/run.aqc", folder);
    CHECK_OK(aq_chunk_ring_new(4, &data_ring));
    CHECK_OK(aq_chunk_ring_new(4, &free_ring));
    configs();
    recorders(&h);
    recordings(&h);
    CHECK_OK(aq_chunk_ring_free(data_ring));
    CHECK_OK(aq_chunk_ring_free(free_ring));
    CHECK_EQ(rmdir(folder), 0);
    handles_close(&h);
    return check_done();
}

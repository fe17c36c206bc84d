/* A folder for files that a program records, and what both kinds of tests record. */
#ifndef AQ_RECORDING_H
#define AQ_RECORDING_H

#include "streams.h"
#include <unistd.h>

/* The path of a file in a folder of this program's own, until the next call. */
static char recording_folder[64];

static inline const char *recording_path(const char *name)
{
    static char path[128];
    if (recording_folder[0] == '\0') {
        strcpy(recording_folder, "/tmp/aqueduct-recording-XXXXXX");
        CHECK(mkdtemp(recording_folder) != NULL);
    }
    snprintf(path, sizeof path, "%s/%s", recording_folder, name);
    return path;
}

static inline void recording_remove(const char *name)
{
    CHECK_EQ(unlink(recording_path(name)), 0);
}

static inline void recording_end(void)
{
    if (recording_folder[0] != '\0')
        CHECK_EQ(rmdir(recording_folder), 0);
}

static const size_t recording_shape[] = {CHANNELS};

static inline aq_dataset_recorder_config recording_config(void)
{
    aq_dataset_recorder_config config;
    CHECK_OK(aq_dataset_recorder_config_init(&config, sizeof config));
    config.dtype = "<i2";
    config.row_shape = recording_shape;
    config.row_ndim = 1;
    config.block_rows = 16;
    config.sample_rate = 30000;
    config.units = "V";
    return config;
}

static inline aq_dataset_recorder_stats recording_stats(const aq_dataset_recorder *recorder)
{
    aq_dataset_recorder_stats stats;
    CHECK_OK(aq_dataset_recorder_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_dataset_recorder_get_stats(recorder, &stats));
    return stats;
}

/* Records the frames 0 to before `frames` of streams.h as rows. */
static inline void record_frames(const char *name, const aq_dataset_recorder_config *config, size_t frames)
{
    aq_dataset_recorder *recorder = NULL;
    aq_dataset_recorder_stats stats;
    uint64_t taken = 0;
    int16_t *data = signal_frames(0, frames);
    CHECK_OK(aq_dataset_recorder_new(recording_path(name), "a/data", config, &recorder));
    CHECK_OK(aq_dataset_recorder_put_rows(recorder, data, frames / 2, GUARD_NS, &taken));
    CHECK_EQ(taken, frames / 2);
    CHECK_OK(aq_dataset_recorder_flush(recorder, GUARD_NS));
    stats = recording_stats(recorder);
    CHECK_EQ(stats.rows_flushed, frames / 2);
    CHECK_OK(aq_dataset_recorder_put_rows(recorder, data + CHANNELS * (frames / 2), frames - frames / 2,
                                          AQ_WAIT_FOREVER, NULL));
    CHECK_STATUS(aq_dataset_recorder_wait(recorder, 0), AQ_EMPTY);
    CHECK_STATUS(aq_dataset_recorder_wait(recorder, 1), AQ_TIMEOUT);
    CHECK_OK(aq_dataset_recorder_stop(recorder));
    CHECK_OK(aq_dataset_recorder_stop(recorder));
    CHECK_OK(aq_dataset_recorder_wait(recorder, 0));
    CHECK_OK(aq_dataset_recorder_flush(recorder, 0));
    CHECK_ERROR(aq_dataset_recorder_put_rows(recorder, data, 1, 0, &taken), AQ_E_STATE, "it is stopped");
    stats = recording_stats(recorder);
    CHECK_EQ(stats.rows_given, frames);
    CHECK_EQ(stats.rows_written, frames);
    CHECK_EQ(stats.rows_lost, 0);
    CHECK_EQ(stats.bytes_written, frames * CHANNELS * 2);
    CHECK_OK(aq_dataset_recorder_free(recorder));
    free(data);
}

#endif

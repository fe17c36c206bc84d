/* Histories: windows and slices by index, gaps, what is overwritten, and several processes that look at one. */
#include "streams.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAMES = 100 };

static aq_history *new_history(const size_t *axisorder, int32_t shared)
{
    static const size_t shape[] = {FRAMES, CHANNELS};
    aq_history_config config;
    aq_history *history = NULL;
    CHECK_OK(aq_history_config_init(&config, sizeof config));
    config.dtype = "<i2";
    config.shape = shape;
    config.ndim = 2;
    config.axisorder = axisorder;
    config.shared = shared;
    CHECK_OK(aq_history_new(&config, &history));
    return history;
}

static void append(aq_history *history, size_t frames, int64_t index)
{
    int64_t start = index - (int64_t)frames;
    int16_t *data;
    if (index == AQ_INDEX_NEXT)
        CHECK_OK(aq_history_index(history, &start));
    data = signal_frames(start, frames);
    CHECK_OK(aq_history_append(history, data, frames, index));
    free(data);
}

static void defaults(void)
{
    aq_history_config config;
    aq_history *history = new_history(NULL, 0);
    CHECK_OK(aq_history_config_init(&config, sizeof config));
    CHECK(config.dtype == NULL && config.shape == NULL && config.axisorder == NULL && isnan(config.fill));
    CHECK_EQ(config.ndim, 0);
    CHECK_EQ(config.shared, 0);
    CHECK_OK(aq_history_get_config(history, &config));
    CHECK_TEXT(config.dtype, "<i2");
    CHECK_EQ(config.ndim, 2);
    CHECK_EQ(config.shape[0], FRAMES);
    CHECK_EQ(config.shape[1], CHANNELS);
    CHECK_EQ(config.shared, 0);
    CHECK_ERROR(aq_history_name(history, NULL, 0, NULL), AQ_E_STATE, "it is not shared");
    CHECK_OK(aq_history_free(history));
    CHECK_OK(aq_history_free(NULL));
}

static void windows(const size_t *axisorder, int32_t shared)
{
    aq_history *history = new_history(axisorder, shared);
    aq_array_view view = signal_view();
    int16_t copy[CHANNELS * FRAMES];
    int64_t first = 0, index = -1;
    CHECK_OK(aq_history_first_index(history, &first));
    CHECK_OK(aq_history_index(history, &index));
    CHECK_EQ(first, -FRAMES);
    CHECK_EQ(index, 0);
    append(history, 60, AQ_INDEX_NEXT);
    append(history, 60, AQ_INDEX_NEXT);
    CHECK_OK(aq_history_first_index(history, &first));
    CHECK_EQ(first, 20);
    CHECK_OK(aq_history_get(history, 20, 120, &view)); /* across the end of the ring, in one piece */
    CHECK_EQ(view.contiguous, axisorder == NULL);
    CHECK_EQ(view.gap_start + view.gap_end, 0);
    signal_is(&view, 20, 120);
    CHECK_OK(aq_array_view_check(&view));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_history_latest(history, 7, &view));
    signal_is(&view, 113, 120);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_history_copy(history, 118, 120, copy, sizeof copy));
    CHECK_EQ(copy[0], signal_value(118, 0));
    CHECK_EQ(copy[3], signal_value(119, 1));
    CHECK_OK(aq_history_copy(history, 118, 118, NULL, 0));
    CHECK_OK(aq_history_get(history, 50, 50, &view));
    CHECK_EQ(view.frames, 0);
    CHECK_EQ(view.size, 0);
    CHECK_OK(aq_array_view_release(&view));
    /* A gap is filled. */
    append(history, 10, 135);
    CHECK_OK(aq_history_get(history, 118, 127, &view));
    for (size_t i = 0; i < 9; i++)
        CHECK_EQ(signal_at(&view, i, 1), i < 2 || i >= 7 ? signal_value(118 + (int64_t)i, 1) : 0);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_history_free(history));
}

static void slice_is(const aq_history *history, int64_t start, int64_t stop, int64_t step, int64_t first, size_t frames)
{
    aq_array_view view = signal_view();
    CHECK_OK(aq_history_get_slice(history, start, stop, step, &view));
    CHECK_EQ(view.frames, frames);
    CHECK_EQ(view.contiguous, step == 1 || frames < 2);
    for (size_t i = 0; i < view.frames; i++)
        CHECK_EQ(signal_at(&view, i, 0), signal_value(first + (int64_t)i * step, 0));
    CHECK_OK(aq_array_view_release(&view));
}

static void slices(void)
{
    aq_history *history = new_history(NULL, 0);
    aq_array_view view = signal_view();
    append(history, 80, AQ_INDEX_NEXT);
    append(history, 80, AQ_INDEX_NEXT);
    slice_is(history, AQ_SLICE_ALL, AQ_SLICE_ALL, 1, 60, 100);
    slice_is(history, -5, AQ_SLICE_ALL, 1, 155, 5);
    slice_is(history, 100, 110, 3, 100, 4);
    slice_is(history, AQ_SLICE_ALL, AQ_SLICE_ALL, -1, 159, 100);
    slice_is(history, -1, -10, -4, 159, 3);
    slice_is(history, 100, AQ_SLICE_ALL, -20, 100, 3);
    slice_is(history, 110, 100, 1, 0, 0);
    CHECK_ERROR(aq_history_get_slice(history, 59, 70, 1, &view), AQ_E_NOT_FOUND, "has frames 60 to 160 (got [59:70:1])");
    CHECK_ERROR(aq_history_get_slice(history, -101, AQ_SLICE_ALL, 1, &view), AQ_E_NOT_FOUND, "has frames 60 to 160");
    CHECK_ERROR(aq_history_get_slice(history, 70, 80, 0, &view), AQ_E_INVALID, "step must not be 0");
    CHECK_OK(aq_history_free(history));
}

/* What is overwritten while somebody looks is told, and nothing else. */
static void overwritten(void)
{
    aq_history *history = new_history(NULL, 0);
    aq_array_view old = signal_view(), recent = signal_view(), before = signal_view();
    append(history, 100, AQ_INDEX_NEXT);
    CHECK_OK(aq_history_get(history, 0, 10, &old));
    CHECK_OK(aq_history_get(history, 90, 100, &recent));
    CHECK_OK(aq_array_view_check(&old));
    for (int i = 0; i < 50; i++) /* the ring is larger than what was asked for, as it fills pages */
        append(history, 100, AQ_INDEX_NEXT);
    CHECK_ERROR(aq_array_view_check(&old), AQ_E_NOT_FOUND, "frames from 0 on were overwritten");
    CHECK_ERROR(aq_array_view_release(&old), AQ_E_NOT_FOUND, "frames from 0 on were overwritten");
    CHECK(old.held == NULL); /* released in any case */
    CHECK_OK(aq_array_view_release(&old));
    CHECK_ERROR(aq_array_view_release(&recent), AQ_E_NOT_FOUND, "frames from 90 on were overwritten");
    CHECK_OK(aq_history_latest(history, 10, &before));
    CHECK_OK(aq_history_reset(history));
    CHECK_ERROR(aq_array_view_release(&before), AQ_E_NOT_FOUND, "were overwritten");
    append(history, 3, AQ_INDEX_NEXT);
    CHECK_OK(aq_history_latest(history, 3, &old));
    signal_is(&old, 0, 3);
    CHECK_OK(aq_history_free(history)); /* a view outlives its history */
    signal_is(&old, 0, 3);
    CHECK_OK(aq_array_view_release(&old));
}

static void *append_slowly(void *argument)
{
    for (int i = 0; i < 50; i++)
        append((aq_history *)argument, 2, AQ_INDEX_NEXT);
    return NULL;
}

static void waiting(void)
{
    aq_history *history = new_history(NULL, 0);
    pthread_t thread;
    CHECK_STATUS(aq_history_wait(history, 1, 0), AQ_EMPTY);
    CHECK_STATUS(aq_history_wait(history, 1, 1000000), AQ_TIMEOUT);
    CHECK_OK(aq_history_wait(history, 0, 0));
    CHECK_EQ(pthread_create(&thread, NULL, append_slowly, history), 0);
    CHECK_OK(aq_history_wait(history, 100, AQ_WAIT_FOREVER));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_history_free(history));
}

/* A second process, run by exec, looks at the frames of the first; when it has seen 100 it says so, and goes on until the first has ended. */
static int look(const char *name, int told)
{
    aq_history *history = NULL;
    aq_array_view view = signal_view();
    aq_history_config config;
    int64_t frames = 50;
    CHECK_OK(aq_history_open(name, &history));
    CHECK_OK(aq_history_config_init(&config, sizeof config));
    CHECK_OK(aq_history_get_config(history, &config));
    CHECK_TEXT(config.dtype, "<i2");
    CHECK_EQ(config.shape[0], FRAMES);
    CHECK_EQ(config.shared, 1);
    for (; aq_history_wait(history, frames, GUARD_NS) == AQ_OK; frames += 50) {
        CHECK_OK(aq_history_get(history, frames - 50, frames, &view));
        signal_is(&view, frames - 50, frames);
        CHECK_OK(aq_array_view_release(&view));
        if (frames == 100)
            CHECK_EQ(write(told, "!", 1), 1);
    }
    CHECK_EQ(frames, 150);
    CHECK_STATUS(aq_history_wait(history, frames, 0), AQ_STOPPED);
    CHECK_OK(aq_history_latest(history, 100, &view)); /* still there */
    signal_is(&view, 0, 100);
    CHECK_OK(aq_array_view_release(&view));
    CHECK_ERROR(aq_history_append(history, NULL, 0, AQ_INDEX_NEXT), AQ_E_STATE, "it is another process's");
    CHECK_ERROR(aq_history_reset(history), AQ_E_STATE, "it is another process's");
    CHECK_OK(aq_history_free(history));
    return check_done();
}

static void another_process(char *program)
{
    aq_history *history = new_history(NULL, 1);
    char name[100], number[20], told;
    int status = -1, ends[2];
    pid_t child;
    size_t needed = 0;
    CHECK_ERROR(aq_history_name(history, name, 3, &needed), AQ_E_TRUNCATED, "size must be at least");
    CHECK_OK(aq_history_name(history, name, needed, NULL));
    append(history, 50, AQ_INDEX_NEXT);
    CHECK_EQ(pipe(ends), 0);
    snprintf(number, sizeof number, "%d", ends[1]);
    child = fork();
    if (child == 0) {
        char *const arguments[] = {program, name, number, NULL};
        execv(program, arguments);
        _exit(9);
    }
    append(history, 50, AQ_INDEX_NEXT);
    CHECK_EQ(close(ends[1]), 0);
    CHECK_EQ(read(ends[0], &told, 1), 1);
    CHECK_EQ(close(ends[0]), 0);
    CHECK_OK(aq_history_free(history));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_ERROR(aq_history_open(name, &history), AQ_E_NOT_FOUND, "there is none of that name");
}

int main(int argc, char **argv)
{
    static const size_t channels_apart[] = {1, 0};
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    if (argc > 2)
        return look(argv[1], atoi(argv[2]));
    defaults();
    windows(NULL, 0);
    windows(channels_apart, 0);
    windows(NULL, 1);
    windows(channels_apart, 1);
    slices();
    overwritten();
    waiting();
    another_process(argv[0]);
    return check_done();
}

/* Nodes for the programs that test them: streams of streams.h, and a poll thread's function that keeps what it sees. */
#ifndef AQ_NODES_H
#define AQ_NODES_H

#include "streams.h"
#include <semaphore.h>
#include <time.h>

/* Chunks that came, in order. Those of more than one channel must have the values of streams.h. */
struct seen {
    sem_t came;
    size_t chunks;
    int64_t start[64], index[64], gap[64];
    int answer; /* of the function */
    int freed;
};

static inline aq_status see(aq_array_view *view, void *user)
{
    struct seen *seen = (struct seen *)user;
    if (CHECK(seen->chunks < 64)) {
        seen->start[seen->chunks] = view->index - (int64_t)view->frames;
        seen->index[seen->chunks] = view->index;
        seen->gap[seen->chunks++] = view->gap_end - view->gap_start;
    }
    if (view->shape[1] == CHANNELS)
        signal_is(view, view->index - (int64_t)view->frames, view->index);
    sem_post(&seen->came);
    return seen->answer;
}

static inline void seen_free(void *user)
{
    ((struct seen *)user)->freed++;
}

static inline void seen_init(struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    sem_init(&seen->came, 0, 0);
}

/* Waits for a post. */
static inline int await(sem_t *semaphore)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GUARD_S;
    return CHECK_EQ(sem_timedwait(semaphore, &until), 0);
}

/* Chunk `i` has these frames, and so many are missing before it. */
static inline void seen_is(const struct seen *seen, size_t i, int64_t start, int64_t index, int64_t gap)
{
    if (!CHECK(i < seen->chunks))
        return;
    CHECK_EQ(seen->start[i], start);
    CHECK_EQ(seen->index[i], index);
    CHECK_EQ(seen->gap[i], gap);
}

static inline aq_poll_thread *see_input(const aq_input_stream *input, struct seen *seen)
{
    aq_poll_thread *thread = NULL;
    CHECK_OK(aq_poll_thread_new(input, see, seen, seen_free, &thread));
    return thread;
}

static inline aq_poll_thread *see_output(const aq_output_stream *output, struct seen *seen)
{
    aq_poll_thread *thread = NULL;
    CHECK_OK(aq_poll_thread_new_on_output(output, see, seen, seen_free, &thread));
    return thread;
}

/* Sends frames, those before `start` being missing. */
static inline void send_frames(aq_output_stream *output, int64_t start, size_t frames)
{
    int16_t *data = signal_frames(start, frames);
    CHECK_OK(aq_output_stream_send(output, data, frames, start + (int64_t)frames, GUARD_NS));
    free(data);
}

static inline aq_stream_node_stats node_stats(void)
{
    aq_stream_node_stats stats;
    CHECK_OK(aq_stream_node_stats_init(&stats, sizeof stats));
    return stats;
}

#endif

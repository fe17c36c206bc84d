/* Handles of the wrong kind: what a caller has who mixes up two pointers. One object of each kind, and noise. */
#ifndef AQ_HANDLES_H
#define AQ_HANDLES_H

#include "receive.h"

enum { POOL, ALLOCATOR, RING, CHUNK_RING, CHUNK, STREAM, EVENT_BUFFER, OUTPUT_STREAM, INPUT_STREAM, HISTORY, ZEROS, ONES, ODD, KINDS };

struct handles {
    void *of[KINDS];
    struct receiver receiver;
};

static inline void handles_open(struct handles *h)
{
    static union {
        unsigned char bytes[512];
        uint64_t aligned;
        double number;
    } zeros, ones;
    aq_allocator *allocator = NULL;
    aq_ring *ring = NULL;
    aq_chunk *chunk = NULL;
    aq_event_buffer *event_buffer = NULL;
    aq_output_stream_config output_config;
    aq_output_stream *output = NULL;
    aq_input_stream *input = NULL;
    aq_history_config history_config;
    aq_history *history = NULL;
    const size_t shape[] = {1};
    char json[4096];
    memset(&ones, 0xff, sizeof ones);
    receiver_init(&h->receiver);
    receiver_open(&h->receiver, 2);
    CHECK_OK(aq_allocator_default(&allocator));
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    CHECK_OK(aq_chunk_new_alloc(NULL, 1, 1, 0, &chunk));
    CHECK_OK(aq_event_buffer_new(NULL, &event_buffer));
    CHECK_OK(aq_output_stream_config_init(&output_config, sizeof output_config));
    output_config.protocol = AQ_PROTOCOL_INPROC;
    CHECK_OK(aq_output_stream_new(&output_config, &output));
    CHECK_OK(aq_output_stream_params_json(output, json, sizeof json, NULL));
    CHECK_OK(aq_input_stream_connect(json, NULL, &input));
    CHECK_OK(aq_history_config_init(&history_config, sizeof history_config));
    history_config.shape = shape;
    history_config.ndim = 1;
    CHECK_OK(aq_history_new(&history_config, &history));
    h->of[OUTPUT_STREAM] = output;
    h->of[INPUT_STREAM] = input;
    h->of[HISTORY] = history;
    h->of[POOL] = h->receiver.pool;
    h->of[ALLOCATOR] = allocator;
    h->of[RING] = ring;
    h->of[CHUNK_RING] = h->receiver.data;
    h->of[CHUNK] = chunk;
    h->of[STREAM] = h->receiver.stream;
    h->of[EVENT_BUFFER] = event_buffer;
    h->of[ZEROS] = &zeros;
    h->of[ONES] = &ones;
    h->of[ODD] = &zeros.bytes[1];
}

static inline void handles_close(struct handles *h)
{
    CHECK_OK(aq_allocator_free((aq_allocator *)h->of[ALLOCATOR]));
    CHECK_OK(aq_ring_free((aq_ring *)h->of[RING]));
    CHECK_OK(aq_chunk_free((aq_chunk *)h->of[CHUNK]));
    CHECK_OK(aq_event_buffer_free((aq_event_buffer *)h->of[EVENT_BUFFER]));
    CHECK_OK(aq_output_stream_free((aq_output_stream *)h->of[OUTPUT_STREAM]));
    CHECK_OK(aq_input_stream_free((aq_input_stream *)h->of[INPUT_STREAM]));
    CHECK_OK(aq_history_free((aq_history *)h->of[HISTORY]));
    receiver_close(&h->receiver);
}

/* `call` uses `wrong`, which is any object but one of `kind`; it fails and says that it is "not an TYPE". */
#define CHECK_WRONG_HANDLES(handles, kind, type, text, call)                                                          \
    do {                                                                                                              \
        for (int wrong_i = 0; wrong_i < KINDS; wrong_i++) {                                                           \
            type *wrong = (type *)(handles).of[wrong_i];                                                              \
            if (wrong_i != (kind))                                                                                    \
                CHECK_ERROR(call, AQ_E_INVALID, text ": not an " #type);                                              \
        }                                                                                                             \
    } while (0)

#endif

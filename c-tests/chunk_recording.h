/* Chunks to record, and whether they come back. */
#ifndef AQ_CHUNK_RECORDING_H
#define AQ_CHUNK_RECORDING_H

#include "check.h"
#include <stdlib.h>
#include <unistd.h>

enum { DATA_SIZE = 10000, PRESENT_SIZE = 5, EXTRA_SIZE = 3 };

static inline unsigned char chunk_byte(int64_t id, size_t i)
{
    return (unsigned char)(id * 31 + (int64_t)(i * i >> 3));
}

/* Chunk with data that follow from a number, which its first byte of extra data has. (The program cannot set a chunk's id.) */
static inline aq_chunk *make_chunk(int64_t number)
{
    aq_chunk *chunk = NULL;
    CHECK_OK(aq_chunk_new_alloc(NULL, DATA_SIZE, PRESENT_SIZE, EXTRA_SIZE, &chunk));
    unsigned char *data = (unsigned char *)aq_chunk_data(chunk);
    for (size_t i = 0; i < DATA_SIZE; i++)
        data[i] = chunk_byte(number, i);
    for (size_t i = 0; i < PRESENT_SIZE; i++)
        aq_chunk_present(chunk)[i] = (uint8_t)(i % 2);
    memset(aq_chunk_extra(chunk), (int)number, EXTRA_SIZE);
    return chunk;
}

/* The recording's chunk is that of make_chunk. */
static inline void check_chunk(const aq_chunk_recording *recording, uint64_t number, int64_t made)
{
    static unsigned char data[DATA_SIZE];
    uint8_t present[PRESENT_SIZE];
    unsigned char extra[EXTRA_SIZE];
    size_t wrong = 0;
    memset(data, 0xee, sizeof data);
    CHECK_OK(aq_chunk_recording_read(recording, number, data, sizeof data, present, sizeof present, extra, sizeof extra));
    for (size_t i = 0; i < DATA_SIZE; i++)
        wrong += data[i] != chunk_byte(made, i);
    for (size_t i = 0; i < PRESENT_SIZE; i++)
        wrong += present[i] != i % 2;
    for (size_t i = 0; i < EXTRA_SIZE; i++)
        wrong += extra[i] != (unsigned char)made;
    CHECK_EQ(wrong, 0);
    CHECK_OK(aq_chunk_recording_verify(recording, number));
}

/* A folder for files of a test. */
static inline void make_folder(char folder[32])
{
    strcpy(folder, "/tmp/aq-recording-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
}

static inline void remove_in(const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_EQ(remove(path), 0);
}

#endif

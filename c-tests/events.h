/* Event buffers and their files, for test programs:
 *
 *     folder_make();                                    // an empty folder; its files are below(name)
 *     buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BY_KIND, 0, 0);
 *     stats = ledger(buffer);                           // which closes
 *     file_is(below("a.dat"), "content", 7);
 *     folder_remove();                                  // with all that is in it
 */
#ifndef AQ_EVENTS_H
#define AQ_EVENTS_H

#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 128, SECOND = 1000000000 };

/* Longer than anything takes that comes at all. */
#define LONG_TIME (INT64_C(30) * SECOND)

static char folder[PATH_SIZE];

static inline void folder_make(void)
{
    const char *place = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.60s/aqueduct-events-XXXXXX", place != NULL ? place : "/tmp");
    if (!CHECK(mkdtemp(folder) != NULL))
        exit(check_done());
}

/* The path of a file in the folder; valid until the 16th call after it. */
static inline const char *below(const char *name)
{
    static char paths[16][2 * PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Removes the files in the folder; answers how many there were. */
static inline int folder_empty(void)
{
    DIR *open = opendir(folder);
    struct dirent *entry;
    int count = 0;
    if (!CHECK(open != NULL))
        return 0;
    while ((entry = readdir(open)) != NULL)
        if (entry->d_name[0] != '.') {
            CHECK_EQ(remove(below(entry->d_name)), 0);
            count++;
        }
    closedir(open);
    return count;
}

static inline void folder_remove(void)
{
    folder_empty();
    CHECK_EQ(rmdir(folder), 0);
}

static inline int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* All of a file, and a NUL; free it. */
static inline char *file_content(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *content = NULL;
    long length;
    *size = 0;
    if (!CHECK(file != NULL))
        return (char *)calloc(1, 1);
    CHECK_EQ(fseek(file, 0, SEEK_END), 0);
    length = ftell(file);
    CHECK_EQ(fseek(file, 0, SEEK_SET), 0);
    content = (char *)calloc(1, (size_t)length + 1);
    CHECK_EQ(fread(content, 1, (size_t)length, file), length);
    fclose(file);
    *size = (size_t)length;
    return content;
}

static inline int file_is(const char *path, const void *expected, size_t expected_size)
{
    size_t size;
    char *content = file_content(path, &size);
    int same = CHECK_EQ(size, expected_size) && CHECK(memcmp(content, expected, size) == 0);
    if (!same)
        printf("%s is \"%.200s\"\n", path, content);
    free(content);
    return same;
}

static inline int file_is_text(const char *path, const char *expected)
{
    return file_is(path, expected, strlen(expected));
}

/* Never flushes by time. */
static inline aq_event_buffer *new_buffer(int32_t kind, int32_t overflow, uint64_t capacity, uint64_t capacity_bytes)
{
    aq_event_buffer_config config;
    aq_event_buffer *buffer = NULL;
    CHECK_OK(aq_event_buffer_config_init(&config, sizeof config));
    config.kind = kind;
    config.overflow = overflow;
    config.capacity = capacity;
    config.capacity_bytes = capacity_bytes;
    config.flush_timeout_ns = AQ_WAIT_FOREVER;
    if (!CHECK_OK(aq_event_buffer_new(&config, &buffer)))
        exit(check_done());
    return buffer;
}

static inline aq_event_buffer_stats ledger(const aq_event_buffer *buffer)
{
    aq_event_buffer_stats s;
    CHECK_OK(aq_event_buffer_stats_init(&s, sizeof s));
    CHECK_OK(aq_event_buffer_get_stats(buffer, &s));
    CHECK_EQ(s.put, s.waiting + s.flushed + s.popped + s.cleared + s.overflow_oldest + s.overflow_newest);
    CHECK_EQ(s.put_bytes, s.waiting_bytes + s.flushed_bytes + s.popped_bytes + s.cleared_bytes + s.overflow_oldest_bytes +
                              s.overflow_newest_bytes);
    return s;
}

static inline void put_text(aq_event_buffer *buffer, const char *text)
{
    CHECK_OK(aq_event_buffer_put(buffer, text, strlen(text), 0));
}

/* The oldest packet is this text. */
static inline void pops(aq_event_buffer *buffer, const char *text)
{
    char packet[256];
    size_t size = 0;
    if (!CHECK_OK(aq_event_buffer_pop(buffer, LONG_TIME, packet, sizeof packet - 1, &size, NULL)))
        return;
    packet[size] = '\0';
    CHECK_TEXT(packet, text);
}

static inline void flushes(aq_event_buffer *buffer, uint64_t packets, uint64_t bytes)
{
    uint64_t n_packets = UINT64_MAX, n_bytes = UINT64_MAX;
    CHECK_OK(aq_event_buffer_flush(buffer, &n_packets, &n_bytes));
    CHECK_EQ(n_packets, packets);
    CHECK_EQ(n_bytes, bytes);
}

static inline aq_sink_stats sink_stats(const aq_event_buffer *buffer, int64_t index)
{
    aq_sink_stats stats;
    CHECK_OK(aq_sink_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_event_buffer_get_sink_stats(buffer, index, &stats));
    return stats;
}

static inline aq_sink_config sink_config(const char *path, int32_t mode)
{
    aq_sink_config config;
    CHECK_OK(aq_sink_config_init(&config, sizeof config));
    config.path = path;
    config.mode = mode;
    return config;
}

static inline void add_sink(aq_event_buffer *buffer, const aq_sink_config *config, int64_t expected_index)
{
    int64_t index = INT64_MIN;
    CHECK_OK(aq_event_buffer_add_sink(buffer, config, &index));
    CHECK_EQ(index, expected_index);
}

/* What user_free is called with: it counts. */
static inline void count_free(void *user)
{
    __atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

static inline int count_of(const int *count)
{
    return __atomic_load_n(count, __ATOMIC_SEQ_CST);
}

#endif

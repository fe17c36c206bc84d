/* Streams a dataset of an HDF5 file in blocks of rows, read ahead by threads, and adds its numbers up.
 *
 *   stream_dataset FILE DATASET [FIELD] [THREADS]
 *
 * FIELD is a field of the dataset's records, or "-" for whole elements; the elements must be numbers. The program waits in poll(), so that it could watch
 * sockets at the same time. A block that cannot be read is reported, and the others go on.
 */
#include <aqueduct/aqueduct.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(aq_status status, const char *call)
{
    if (status == AQ_OK)
        return;
    fprintf(stderr, "%s: %s\n", call, status < 0 ? aq_last_error() : aq_status_string(status));
    exit(1);
}
#define CHECK(call) check((call), #call)

/* Adds all numbers of one C type. memcpy: fields of a file need not be aligned. */
#define ADD(type)                                              \
    for (size_t i = 0; i + sizeof(type) <= size; i += sizeof(type)) { \
        type value;                                            \
        memcpy(&value, bytes + i, sizeof value);               \
        sum += (double)value;                                  \
    }

static double add_up(const aq_element_type *element, const void *data, size_t size)
{
    const char *bytes = (const char *)data;
    double sum = 0;
    switch (element->kind * 100 + (int)element->item_size) {
    case AQ_ELEMENT_INT * 100 + 1: ADD(int8_t) break;
    case AQ_ELEMENT_INT * 100 + 2: ADD(int16_t) break;
    case AQ_ELEMENT_INT * 100 + 4: ADD(int32_t) break;
    case AQ_ELEMENT_INT * 100 + 8: ADD(int64_t) break;
    case AQ_ELEMENT_UINT * 100 + 1: ADD(uint8_t) break;
    case AQ_ELEMENT_UINT * 100 + 2: ADD(uint16_t) break;
    case AQ_ELEMENT_UINT * 100 + 4: ADD(uint32_t) break;
    case AQ_ELEMENT_UINT * 100 + 8: ADD(uint64_t) break;
    case AQ_ELEMENT_FLOAT * 100 + 4: ADD(float) break;
    case AQ_ELEMENT_FLOAT * 100 + 8: ADD(double) break;
    default:
        fprintf(stderr, "cannot add up elements of type %s\n", element->dtype);
        exit(1);
    }
    return sum;
}

int main(int argc, char **argv)
{
    aq_streamer *streamer;
    aq_block_queue_config config;
    aq_block_queue *queue;
    aq_block_queue_progress progress;
    aq_element_type element;
    struct pollfd polled = {-1, POLLIN, 0};
    double sum = 0;
    int failed = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: %s FILE DATASET [FIELD] [THREADS]\n", argv[0]);
        return 2;
    }
    CHECK(aq_block_queue_config_init(&config, sizeof config));
    config.field = argc > 3 && strcmp(argv[3], "-") != 0 ? argv[3] : NULL;
    config.n_threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 2;
    config.remainder = 1; /* all rows, also those behind the last full block */
    config.native = 1;    /* numbers as this machine has them */
    CHECK(aq_streamer_open(argv[1], NULL, &streamer));
    CHECK(aq_streamer_get_queue(streamer, argv[2], &config, &queue));
    CHECK(aq_element_type_init(&element, sizeof element));
    CHECK(aq_block_queue_dtype(queue, &element));
    CHECK(aq_block_queue_data_fd(queue, &polled.fd));

    for (;;) {
        aq_block *block;
        const void *data;
        size_t size;
        aq_status status = aq_block_queue_get(queue, 0, &block);
        if (status == AQ_STOPPED)
            break;
        if (status == AQ_EMPTY) {
            if (poll(&polled, 1, -1) < 0)
                perror("poll");
            continue;
        }
        check(status, "aq_block_queue_get");
        if (aq_block_data(block, &data, &size) == AQ_OK) {
            sum += add_up(&element, data, size);
        } else {
            uint64_t row, rows;
            char why[512];
            snprintf(why, sizeof why, "%s", aq_last_error());
            CHECK(aq_block_first_row(block, &row));
            CHECK(aq_block_rows(block, &rows));
            fprintf(stderr, "rows %" PRIu64 " to %" PRIu64 ": %s\n", row, row + rows, why);
            failed = 1;
        }
        CHECK(aq_block_release(block)); /* its memory is filled again */
    }

    CHECK(aq_block_queue_progress_init(&progress, sizeof progress));
    CHECK(aq_block_queue_get_progress(queue, &progress));
    printf("%" PRIu64 " of %" PRIu64 " rows in %" PRIu64 " blocks, %" PRIu64 " failed, %" PRIu64 " bytes read; sum %.6g\n",
           progress.rows_done, progress.rows, progress.blocks_done, progress.blocks_failed, progress.bytes_read, sum);
    CHECK(aq_block_queue_free(queue));
    CHECK(aq_streamer_free(streamer));
    return failed;
}

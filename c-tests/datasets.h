/* Datasets for the test programs: data/random.h5, which tests/live/h5_random.py has written by h5py. Element number i of each is i. */
#ifndef AQ_DATASETS_H
#define AQ_DATASETS_H

#include "check.h"
#include <stdlib.h>

enum { DATASET_ROWS = 300, ROW_ITEMS = 5 }; /* of "chunked" and "gzip", of int32_t */

/* Programs end at once, successfully, when the library is without the feature. */
static inline int datasets_are_there(void)
{
    return aq_has_feature("hdf5");
}

/* A file of c-tests/data. */
static inline const char *data_path(const char *name)
{
    static char path[4096];
    const char *end = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s/data/%s", end != NULL ? (int)(end - __FILE__) : 1, end != NULL ? __FILE__ : ".", name);
    return path;
}

static inline aq_reader *open_reader(size_t n_threads)
{
    aq_reader_config config;
    aq_reader *reader = NULL;
    CHECK_OK(aq_reader_config_init(&config, sizeof config));
    config.n_threads = n_threads;
    CHECK_OK(aq_reader_open(data_path("random.h5"), &config, &reader));
    return reader;
}

static inline aq_dataset *open_dataset(const aq_reader *reader, const char *name)
{
    aq_dataset *dataset = NULL;
    CHECK_OK(aq_reader_get_dataset(reader, name, &dataset));
    return dataset;
}

static inline aq_selection *select_rows(int64_t start, int64_t stop, int64_t step)
{
    aq_selection *selection = NULL;
    CHECK_OK(aq_selection_new(&selection));
    CHECK_OK(aq_selection_slice(selection, 0, start, stop, step));
    return selection;
}

static inline aq_stage *stage_of_rows(const aq_dataset *dataset, int64_t rows)
{
    aq_stage *stage = NULL;
    CHECK_OK(aq_stage_new(dataset, &rows, 1, &stage));
    return stage;
}

#endif

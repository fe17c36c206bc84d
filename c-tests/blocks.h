/* Datasets for the tests of streams: data/blocks.h5, which tests/live/h5_blocks.py has written by h5py and describes. */
#ifndef AQ_BLOCKS_H
#define AQ_BLOCKS_H

#include "check.h"
#include <stdlib.h>

/* The path of the file, beside the sources. */
static inline const char *blocks_path(void)
{
    static char path[4096];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*sdata/blocks.h5", slash == NULL ? 0 : (int)(slash - __FILE__ + 1), __FILE__);
    return path;
}

/* Whether datasets can be read; else opening one answers AQ_E_UNSUPPORTED, which is checked. */
static inline int blocks_supported(void)
{
    aq_streamer *streamer = NULL;
    if (aq_has_feature("hdf5"))
        return 1;
    CHECK_ERROR(aq_streamer_open(blocks_path(), NULL, &streamer), AQ_E_UNSUPPORTED, "hdf5");
    CHECK(streamer == NULL);
    return 0;
}

static inline aq_block_queue_config queue_config(void)
{
    aq_block_queue_config config;
    CHECK_OK(aq_block_queue_config_init(&config, sizeof config));
    return config;
}

#endif

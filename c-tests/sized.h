/* What every sized struct owes its callers (DESIGN 3.6), for the programs of misuse/:
 *
 *     static aq_status use_config(const void *config)            // a whole use: new and free
 *     {
 *         aq_thing *thing = NULL;
 *         aq_status status = aq_thing_new((const aq_thing_config *)config, &thing);
 *         aq_thing_free(thing);
 *         return status;
 *     }
 *
 *     CHECK_SIZED_INIT(aq_thing_config, aq_thing_config_init);
 *     aq_thing_config_init(&config, sizeof config);              // and what the defaults lack
 *     check_sized_input(&config, sizeof config, use_config);
 *
 * For an outgoing struct (statistics), only the first.
 */
#ifndef AQ_SIZED_H
#define AQ_SIZED_H

#include "check.h"
#include <stdlib.h>

enum { SIZED_TAIL = 64 };

/* _init: writes as much as there is, zeroes what it does not know, refuses NULL and impossible sizes. */
#define CHECK_SIZED_INIT(type, init)                                                                                  \
    do {                                                                                                              \
        union {                                                                                                       \
            type known;                                                                                               \
            unsigned char bytes[sizeof(type) + SIZED_TAIL];                                                           \
        } sized;                                                                                                      \
        memset(&sized, 0xff, sizeof sized);                                                                           \
        CHECK_ERROR(init(NULL, sizeof(type)), AQ_E_INVALID, "must not be NULL");                                      \
        CHECK_ERROR(init(&sized.known, 0), AQ_E_INVALID, "struct_size 0");                                            \
        CHECK_ERROR(init(&sized.known, sizeof(size_t)), AQ_E_INVALID, "struct_size");                                 \
        CHECK_ERROR(init(&sized.known, sizeof(type) + 1), AQ_E_INVALID, "struct_size");                               \
        CHECK_ERROR(init(&sized.known, SIZE_MAX), AQ_E_INVALID, "struct_size");                                       \
        CHECK_EQ(sized.known.struct_size, SIZE_MAX); /* nothing was written */                                        \
        CHECK_OK(init(&sized.known, sizeof(type)));                                                                   \
        CHECK_EQ(sized.known.struct_size, sizeof(type));                                                              \
        CHECK_EQ(sized.bytes[sizeof(type)], 0xff);                                                                    \
        CHECK_OK(init(&sized.known, sizeof sized.bytes));                                                             \
        CHECK_EQ(sized.known.struct_size, sizeof sized.bytes);                                                        \
        for (size_t sized_i = sizeof(type); sized_i < sizeof sized.bytes; sized_i++)                                  \
            CHECK_EQ(sized.bytes[sized_i], 0);                                                                        \
    } while (0)

/* Calls `use` with what older, newer and confused callers pass; `valid` is a struct with which it answers AQ_OK. */
static inline void check_sized_input(const void *valid, size_t size, aq_status (*use)(const void *config))
{
    const size_t impossible[] = {0, 1, sizeof(size_t), size + 1, size + (1 << 20), SIZE_MAX};
    unsigned char *copy = (unsigned char *)calloc(1, size + SIZED_TAIL);
    size_t longer = size + SIZED_TAIL;
    CHECK(copy != NULL);
    if (copy == NULL)
        return;
    CHECK_ERROR(use(NULL), AQ_E_INVALID, "must not be NULL");
    memcpy(copy, valid, size);
    CHECK_OK(use(copy));
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        memcpy(copy, &impossible[i], sizeof(size_t));
        CHECK_ERROR(use(copy), AQ_E_INVALID, "struct_size");
    }
    memcpy(copy, &longer, sizeof longer); /* a newer header, that uses nothing new */
    CHECK_OK(use(copy));
    copy[longer - 1] = 1; /* that does */
    CHECK_ERROR(use(copy), AQ_E_VERSION, "newer version");
    free(copy);
}

#endif

/* A C program as a user would write one: what it checks is that it compiles, links, starts and works. */
#include <aqueduct/aqueduct.h>

#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                                                       \
    do {                                                                                                       \
        if (!(condition)) {                                                                                    \
            fprintf(stderr, "%s:%d: not true: %s (last error: %s)\n", __FILE__, __LINE__, #condition,          \
                    aq_last_error());                                                                          \
            return 1;                                                                                          \
        }                                                                                                      \
    } while (0)

int main(void)
{
    /* The header and the library that the loader has found are of one version. */
    CHECK(strcmp(aq_version(), AQ_VERSION) == 0);
    CHECK(aq_version_number() == AQ_VERSION_NUMBER);

    aq_ring *ring;
    CHECK(aq_ring_new(2, NULL, NULL, NULL, &ring) == AQ_OK);

    int first = 1, second = 2, third = 3;
    CHECK(aq_ring_put(ring, &first, 0) == AQ_OK);
    CHECK(aq_ring_put(ring, &second, AQ_WAIT_FOREVER) == AQ_OK);
    CHECK(aq_ring_put(ring, &third, 0) == AQ_FULL);

    void *item = NULL;
    CHECK(aq_ring_get(ring, 0, &item) == AQ_OK && item == &first);
    CHECK(aq_ring_get(ring, AQ_WAIT_FOREVER, &item) == AQ_OK && item == &second);
    CHECK(aq_ring_get(ring, 0, &item) == AQ_EMPTY && item == &second);
    CHECK(aq_ring_get(ring, 1000, &item) == AQ_TIMEOUT);

    CHECK(aq_ring_stop(ring, NULL) == AQ_OK);
    CHECK(aq_ring_get(ring, AQ_WAIT_FOREVER, &item) == AQ_STOPPED);
    CHECK(aq_ring_free(ring) == AQ_OK);

    CHECK(aq_ring_new(0, NULL, NULL, NULL, &ring) == AQ_E_INVALID);
    CHECK(strlen(aq_last_error()) > 0);

    printf("C: aqueduct %s works\n", aq_version());
    return 0;
}

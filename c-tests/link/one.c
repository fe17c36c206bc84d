/* One program, to be linked in different ways. */
#include "check.h"

int main(void)
{
    aq_ring *ring = NULL;
    CHECK_TEXT(aq_version(), AQ_VERSION);
    CHECK_OK(aq_ring_new(1, NULL, NULL, NULL, &ring));
    CHECK_OK(aq_ring_free(ring));
    return check_done();
}

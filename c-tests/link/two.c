/* Two translation units that both include the header. */
#include "check.h"

aq_status make_ring(aq_ring **ring);

int main(void)
{
    aq_ring *ring = NULL;
    CHECK_OK(make_ring(&ring));
    CHECK_OK(aq_ring_free(ring));
    return check_done();
}

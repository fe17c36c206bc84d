/* See two.c. */
#include <aqueduct/aqueduct.h>

aq_status make_ring(aq_ring **ring);

aq_status make_ring(aq_ring **ring)
{
    return aq_ring_new(1, NULL, NULL, NULL, ring);
}

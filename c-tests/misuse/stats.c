/* What a caller can get wrong with statistics. */
#include "misuse/handles.h"
#include "sized.h"

static void sizes(void)
{
    const size_t impossible[] = {0, 1, sizeof(size_t), sizeof(aq_recv_stats) + 1, SIZE_MAX};
    struct handles h;
    aq_recv_stats stats;
    CHECK_SIZED_INIT(aq_recv_stats, aq_recv_stats_init);
    handles_open(&h);
    CHECK_ERROR(aq_recv_stream_get_stats(NULL, &stats), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_get_stats(h.receiver.stream, NULL), AQ_E_INVALID, "stats must not be NULL");
    /* not initialised: nothing is written */
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        memset(&stats, 0xee, sizeof stats);
        stats.struct_size = impossible[i];
        CHECK_ERROR(aq_recv_stream_get_stats(h.receiver.stream, &stats), AQ_E_INVALID, "aq_recv_stats_init");
        CHECK(stats.packets == UINT64_C(0xeeeeeeeeeeeeeeee));
    }
    CHECK_OK(aq_recv_stats_init(&stats, sizeof stats));
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_get_stats(wrong, &stats));
    CHECK_EQ(stats.ledger_closed, 0);
    handles_close(&h);
}

static void metrics(void)
{
    struct handles h;
    char text[10] = "before";
    const aq_recv_stream *streams[2] = {NULL, NULL};
    size_t needed = 3;
    handles_open(&h);
    CHECK_ERROR(aq_recv_stream_metrics(NULL, text, sizeof text, &needed), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_metrics(h.receiver.stream, NULL, 1, &needed), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_WRONG_HANDLES(h, STREAM, aq_recv_stream, "stream", aq_recv_stream_metrics(wrong, text, sizeof text, &needed));
    CHECK_ERROR(aq_recv_streams_metrics(NULL, 1, text, sizeof text, &needed), AQ_E_INVALID, "streams must not be NULL");
    streams[0] = h.receiver.stream;
    CHECK_ERROR(aq_recv_streams_metrics(streams, 2, text, sizeof text, &needed), AQ_E_INVALID,
                "streams[1] must not be NULL");
    streams[1] = (const aq_recv_stream *)h.of[RING];
    CHECK_ERROR(aq_recv_streams_metrics(streams, 2, text, sizeof text, &needed), AQ_E_INVALID,
                "streams[1]: not an aq_recv_stream");
    CHECK_EQ(needed, 3);
    CHECK_TEXT(text, "before");
    CHECK_STATUS(aq_recv_stream_metrics(h.receiver.stream, text, sizeof text, NULL), AQ_E_TRUNCATED);
    CHECK_TEXT(text, "before");
    handles_close(&h);
}

int main(void)
{
    metrics();
    sizes();
    return check_done();
}

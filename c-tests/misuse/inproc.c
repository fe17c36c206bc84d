/* What a caller can get wrong with in-process queues. */
#include "misuse/handles.h"

static struct handles objects;

int main(void)
{
    aq_inproc_queue *queue = NULL;
    aq_recv_stream *stream;
    size_t size = 7;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    stream = objects.receiver.stream;
    CHECK_ERROR(aq_inproc_queue_new(1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_OK(aq_inproc_queue_new(1, &queue));
    CHECK_ERROR(aq_inproc_queue_add_packet(NULL, NULL, 0, 0), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_inproc_queue_add_packet(queue, NULL, 1, 0), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_inproc_queue_add_packet(queue, (const uint8_t *)"", ((size_t)1 << 30) + 1, 0), AQ_E_INVALID,
                "size must be at most 1073741824 (got 1073741825)");
    CHECK_ERROR(aq_inproc_queue_add_packet(queue, NULL, 0, -2), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_inproc_queue_size(queue, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_inproc_queue_size(NULL, &size), AQ_E_INVALID, "queue must not be NULL");
    CHECK_EQ(size, 7);
    CHECK_ERROR(aq_inproc_queue_stop(NULL), AQ_E_INVALID, "queue must not be NULL");
    CHECK_ERROR(aq_recv_stream_add_inproc_reader(NULL, queue), AQ_E_INVALID, "stream must not be NULL");
    CHECK_ERROR(aq_recv_stream_add_inproc_reader(stream, NULL), AQ_E_INVALID, "queue must not be NULL");
    CHECK_WRONG_HANDLES(objects, STREAM, aq_recv_stream, "stream", aq_recv_stream_add_inproc_reader(wrong, queue));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_inproc_queue, "queue", aq_recv_stream_add_inproc_reader(stream, wrong));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_inproc_queue, "queue", aq_inproc_queue_add_packet(wrong, NULL, 0, 0));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_inproc_queue, "queue", aq_inproc_queue_free(wrong));
    CHECK_OK(aq_inproc_queue_free(NULL));
    CHECK_OK(aq_inproc_queue_free(queue));
    handles_close(&objects);
    return check_done();
}

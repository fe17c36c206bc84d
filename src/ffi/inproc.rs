//! In-process queues
//!
//! A queue brings packets to a stream from other threads of the program, as if they came by a network: from a simulator, from a device
//! that no reader knows, in tests. Any number of threads may add packets; one stream reads them.

use std::sync::Arc;

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice};
use super::reader::add;
use super::recv::aq_recv_stream;
use super::status::aq_status;
use super::wait::wait;
use crate::recv::reader::{InprocQueue, InprocReader};
use crate::ring::PutError;

/// A queue of packets.
pub struct aq_inproc_queue {
    _opaque: [u8; 0],
}

impl Opaque for aq_inproc_queue {
    const NAME: &'static str = "aq_inproc_queue";
    type Inner = Arc<InprocQueue>;
}

/// Makes an empty queue.
///
/// @param capacity packets that it holds at the most; 0 for any number, as far as there is memory
/// @param out receives the queue; free it with aq_inproc_queue_free()
/// @return AQ_OK; AQ_E_IO when there are too many open files
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_inproc_queue_new(capacity: usize, out: *mut *mut aq_inproc_queue) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        out.write(handle::new(Arc::new(InprocQueue::new(capacity)?)));
        Ok(Outcome::Done)
    })
}

/// Adds a packet. What is none is counted by the stream as malformed, as if it came by a network.
///
/// @param queue the queue
/// @param data the packet; copied
/// @param size its bytes: at most 2^30
/// @param timeout_ns how long to wait for space; see Waiting
/// @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_STOPPED when the queue is stopped, or the stream that reads it has ended; AQ_E_INVALID
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_inproc_queue_add_packet(
    queue: *mut aq_inproc_queue,
    data: *const u8,
    size: usize,
    timeout_ns: i64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        InprocQueue::check_size(size)?;
        // SAFETY: NULL or that many bytes by the caller's contract.
        let packet = unsafe { slice(data, size, "data") }?;
        match queue.add_packet(packet, wait(timeout_ns)?) {
            Ok(()) => Ok(Outcome::Done),
            Err(PutError::Full(())) => Ok(Outcome::Full),
            Err(PutError::TimedOut(())) => Ok(Outcome::TimedOut),
            Err(PutError::Stopped(())) => Ok(Outcome::Stopped),
        }
    })
}

/// How many packets have been added and not yet been taken by the stream.
///
/// @param queue the queue
/// @param size receives the number, which others may change at once
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_inproc_queue_size(queue: *const aq_inproc_queue, size: *mut usize) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(size, "size") }?;
        out.write(queue.size());
        Ok(Outcome::Done)
    })
}

/// Ends a queue: no packet can be added any more, and threads that wait for space return. Packets in the queue are still read; then the
/// reader ends, and with its last reader the stream. Stopping again does nothing.
///
/// @param queue the queue
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_inproc_queue_stop(queue: *mut aq_inproc_queue) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let queue = unsafe { handle::borrow(queue, "queue") }?;
        queue.stop();
        Ok(Outcome::Done)
    })
}

/// Frees a queue. A stream that reads it goes on with what is in it, and its reader ends.
///
/// @param queue the queue, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no queue, or freed already as far as that can be seen
///
/// Threads: no other call on this queue may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_inproc_queue_free(queue: *mut aq_inproc_queue) -> aq_status {
    guard(|| {
        if !queue.is_null() {
            // SAFETY: a live handle by the caller's contract.
            unsafe { handle::borrow(queue, "queue") }?.stop();
        }
        // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
        unsafe { handle::free(queue, "queue") }
    })
}

/// Receives packets from a queue. The queue can have one reader; it is stopped when the stream ends.
///
/// @param stream the stream
/// @param queue the queue, which the caller may free afterwards
/// @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_STATE when the queue has, or had, a reader
///
/// Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
///
/// ```c
/// aq_inproc_queue *queue;
/// aq_inproc_queue_new(1024, &queue);
/// aq_recv_stream_add_inproc_reader(stream, queue);
/// while (make_packet(packet, &size))
///     aq_inproc_queue_add_packet(queue, packet, size, AQ_WAIT_FOREVER);
/// aq_inproc_queue_free(queue);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_recv_stream_add_inproc_reader(
    stream: *mut aq_recv_stream,
    queue: *mut aq_inproc_queue,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (stream, queue) = unsafe { (handle::borrow(stream, "stream")?, handle::borrow(queue, "queue")?) };
        if stream.stream().end_reason().is_some() {
            return Ok(Outcome::Stopped);
        }
        add(&stream, Box::new(InprocReader::new(queue.clone())?), 0)
    })
}

//! Poll threads
//!
//! ```c
//! static aq_status show(aq_array_view *view, void *user)
//! {
//!     printf("frames up to %" PRId64 ", %zu of them\n", view->index, view->frames);
//!     return AQ_OK;                                   // AQ_STOPPED: the thread stops; an error: it fails
//! }
//!
//! check(aq_poll_thread_new(input, show, NULL, NULL, &thread));
//! check(aq_poll_thread_start(thread));
//! aq_poll_thread_wait(thread, AQ_WAIT_FOREVER);       // until the input ends
//! aq_poll_thread_free(thread);
//! ```

use std::ffi::c_void;
use std::sync::Arc;

use parking_lot::Mutex;

use super::array_view::{ViewOut, aq_array_view, aq_array_view_release};
use super::callback::{self, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::input_stream::aq_input_stream;
use super::output_stream::aq_output_stream;
use super::pointer::Out;
use super::sized::SizedStruct;
use super::status::{self, AQ_OK, AQ_STOPPED, aq_status};
use super::stream_node::{self, NodeHandle, aq_stream_node_stats, shared_input};
use crate::error::{Error, ErrorKind, Result};
use crate::signal::input::{Input, Received};
use crate::signal::node::poll_thread::{Callback, Event, Then, poll_thread};
use crate::signal::node::thread::Node;
use crate::signal::open::InputConfig;
use crate::signal::shared::SharedInput;

/// A thread that calls a function for each chunk of an input.
pub struct aq_poll_thread {
    _opaque: [u8; 0],
}

impl Opaque for aq_poll_thread {
    const NAME: &'static str = "aq_poll_thread";
    type Inner = PollHandle;
}

/// Takes a chunk.
///
/// - called from: the poll thread, one call at a time
/// - may block: yes; chunks wait in the input meanwhile, or what its output's overflow policy says happens
/// - may call: anything but what would wait for itself: starting, stopping, connecting, waiting for and freeing the same poll thread or its graph, which is
///   AQ_E_STATE
/// - valid until: it returns, the view. To keep the frames, copy the struct and call aq_array_view_init() on the one that was given: the copy is then the
///   program's to release
/// - on error: it answers a negative number (an AQ_E_*): the thread ends with that error. AQ_STOPPED stops it without one; else AQ_OK
pub type aq_poll_thread_fn =
    Option<unsafe extern "C" fn(view: *mut aq_array_view, user: *mut c_void) -> aq_status>;

/// The input has ended, and the thread with it.
pub const AQ_POLL_ENDED: i32 = 0;
/// Something came that was no chunk of the stream. The thread goes on.
pub const AQ_POLL_MALFORMED: i32 = 1;
/// The thread ends by an error: of its function mostly.
pub const AQ_POLL_FAILED: i32 = 2;

/// Hears of what is not a chunk. `event` is one of AQ_POLL_*; `status` AQ_OK, or an error of which aq_last_error() has the sentence.
///
/// - called from: the poll thread, as aq_poll_thread_fn
/// - may block: yes, as aq_poll_thread_fn
/// - may call: as aq_poll_thread_fn
/// - valid until: there is nothing to be
/// - on error: there is no way to report one
pub type aq_poll_event_fn = Option<unsafe extern "C" fn(event: i32, status: aq_status, user: *mut c_void)>;

type ChunkFn = unsafe extern "C" fn(*mut aq_array_view, *mut c_void) -> aq_status;
type EventFn = unsafe extern "C" fn(i32, aq_status, *mut c_void);
/// Who hears of events, if anybody does.
type Listener = Arc<Mutex<Option<Arc<callback::Callback<EventFn>>>>>;

/// What a handle owns.
pub struct PollHandle {
    /// The node.
    pub node: NodeHandle,
    listener: Listener,
}

impl std::ops::Deref for PollHandle {
    type Target = NodeHandle;

    fn deref(&self) -> &NodeHandle {
        &self.node
    }
}

impl AsRef<Node> for PollHandle {
    fn as_ref(&self) -> &Node {
        &self.node.node
    }
}

/// The functions as the core wants them.
struct Functions {
    chunk: callback::Callback<ChunkFn>,
    listener: Listener,
}

impl Callback for Functions {
    fn chunk(&mut self, received: Received) -> Result<Then> {
        let mut view = aq_array_view { struct_size: size_of::<aq_array_view>(), ..aq_array_view::DEFAULT };
        // SAFETY: a view of its size that holds nothing.
        unsafe { ViewOut::new(&raw mut view) }?.received(received)?;
        // SAFETY: as the contract of aq_poll_thread_fn says.
        let answer = unsafe { (self.chunk.function)(&raw mut view, self.chunk.user.pointer()) };
        // SAFETY: what it holds still, which the function may have taken or given back.
        unsafe { aq_array_view_release(&raw mut view) };
        match answer {
            AQ_STOPPED => Ok(Then::Stop),
            0.. => Ok(Then::GoOn),
            _ => {
                let kind = status::kind(answer).unwrap_or(ErrorKind::Io);
                Err(Error::new(kind, format!("poll thread: the program's function answered {answer}")))
            }
        }
    }

    fn event(&mut self, event: Event<'_>) {
        // Not locked while it runs.
        let Some(listener) = self.listener.lock().clone() else { return };
        let (number, error) = match event {
            Event::Ended => (AQ_POLL_ENDED, None),
            Event::Malformed(error) => (AQ_POLL_MALFORMED, Some(error)),
            Event::Failed(error) => (AQ_POLL_FAILED, Some(error)),
        };
        let answer = error.map_or(AQ_OK, |error| {
            status::set_last_error(error.message());
            status::of(error)
        });
        // SAFETY: as the contract of aq_poll_event_fn says.
        unsafe { (listener.function)(number, answer, listener.user.pointer()) }
    }
}

/// A handle of a poll thread that is not started yet.
fn new(input: SharedInput, chunk: callback::Callback<ChunkFn>) -> Result<*mut aq_poll_thread> {
    let listener = Listener::default();
    let functions = Functions { chunk, listener: listener.clone() };
    let node = NodeHandle::new(poll_thread(input, functions)?, Vec::new());
    Ok(handle::new(PollHandle { node, listener }))
}

/// Makes a thread that calls a function for each chunk of an input.
///
/// @param input the input, which it shares
/// @param callback the function
/// @param user passed to it
/// @param user_free releases user, once, after the last call; may be NULL
/// @param out receives the poll thread, not started yet; free it with aq_poll_thread_free()
/// @return AQ_OK; AQ_E_INVALID when callback is NULL; AQ_E_IO when there is no descriptor left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_new(
    input: *const aq_input_stream,
    callback: aq_poll_thread_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_poll_thread,
) -> aq_status {
    // SAFETY: user_free may be called with user by the caller's contract.
    let callback = unsafe { callback::Callback::new(callback, user, user_free) };
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let input = unsafe { shared_input(input) }?;
        out.write(new(input, callback.required("callback")?)?);
        Ok(Outcome::Done)
    })
}

/// Makes a thread that calls a function for each chunk of an output, by an input of its own. It gets what is sent from then on.
///
/// @param output the output
/// @param callback the function
/// @param user passed to it
/// @param user_free releases user, once, after the last call; may be NULL
/// @param out receives the poll thread, not started yet; free it with aq_poll_thread_free()
/// @return AQ_OK; AQ_E_INVALID when callback is NULL; what aq_input_stream_connect() answers
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_new_on_output(
    output: *const aq_output_stream,
    callback: aq_poll_thread_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_poll_thread,
) -> aq_status {
    // SAFETY: user_free may be called with user by the caller's contract.
    let callback = unsafe { callback::Callback::new(callback, user, user_free) };
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let params = unsafe { handle::borrow(output, "output") }?.stream.params();
        let callback = callback.required("callback")?;
        let input = Input::connect((*params).clone(), &InputConfig::default())?;
        out.write(new(SharedInput::new(input), callback)?);
        Ok(Outcome::Done)
    })
}

/// Has a function called when the input ends, when something comes that is no chunk, and when the thread fails.
///
/// @param thread the poll thread
/// @param callback the function, instead of the one before; NULL: none
/// @param user passed to it
/// @param user_free releases user, once, after the last call; may be NULL
/// @return AQ_OK
///
/// Threads: any. A call of the function before may still be running.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_set_event_callback(
    thread: *mut aq_poll_thread,
    callback: aq_poll_event_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
) -> aq_status {
    // SAFETY: user_free may be called with user by the caller's contract.
    let callback = unsafe { callback::Callback::new(callback, user, user_free) };
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let thread = unsafe { handle::borrow(thread, "thread") }?;
        let callback = match callback.function {
            Some(_) => Some(Arc::new(callback.required("callback")?)),
            None => None,
        };
        // Released behind the lock.
        let before = std::mem::replace(&mut *thread.listener.lock(), callback);
        drop(before);
        Ok(Outcome::Done)
    })
}

/// Takes from another input from the next start on: that of a producer that was started anew, say.
///
/// @param thread the poll thread, which does not run
/// @param input the input, of a stream with the same frames
/// @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_connect(
    thread: *mut aq_poll_thread,
    input: *const aq_input_stream,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or live handles by the caller's contract.
        let (thread, input) = unsafe { (handle::borrow(thread, "thread")?, shared_input(input)?) };
        thread.node.node.set_input(input)?;
        Ok(Outcome::Done)
    })
}

/// Starts the thread. What waits in the input comes first.
///
/// @param thread the poll thread
/// @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
///     there is no thread or descriptor left
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_start(thread: *mut aq_poll_thread) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let thread = unsafe { handle::borrow(thread, "thread") }?;
        thread.node.node.start()?;
        Ok(Outcome::Done)
    })
}

/// Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
///
/// @param thread the poll thread
/// @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
///
/// Threads: any; it waits for a start or stop by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_stop(thread: *mut aq_poll_thread) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let thread = unsafe { handle::borrow(thread, "thread") }?;
        thread.node.node.stop()?;
        Ok(Outcome::Done)
    })
}

/// Waits until the thread does not run.
///
/// @param thread the poll thread
/// @param timeout_ns how long at most; see "Waiting"
/// @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
///     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_wait(thread: *const aq_poll_thread, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::borrow(thread, "thread") }?.wait(timeout_ns)
    })
}

/// How the thread is doing.
///
/// @param thread the poll thread
/// @param running receives 1 if it runs, else 0; may be NULL
/// @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
///     written nevertheless
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_status(
    thread: *const aq_poll_thread,
    running: *mut i32,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let thread = unsafe { handle::borrow(thread, "thread") }?;
        // SAFETY: NULL or writable by the caller's contract.
        unsafe { thread.status(running) }
    })
}

/// What was counted.
///
/// @param thread the poll thread
/// @param stats receives it; initialised with aq_stream_node_stats_init()
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_get_stats(
    thread: *const aq_poll_thread,
    stats: *mut aq_stream_node_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let thread = unsafe { handle::borrow(thread, "thread") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { thread.stats(stats) }
    })
}

/// Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
///
/// @param thread the poll thread, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this handle may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_poll_thread_free(thread: *mut aq_poll_thread) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { stream_node::free(thread, "thread") }
    })
}

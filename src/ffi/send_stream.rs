//! Streams that send
//!
//! A stream has a queue of heaps and a thread that cuts them into packets and sends these, at a rate or as fast as it goes. What became of a heap is told in one
//! of these ways:
//!
//! - aq_send_stream_send() waits for it;
//! - a function is called (`done` of aq_send_options);
//! - the result is kept (`keep_result`) until aq_send_stream_next_result() fetches it; aq_send_stream_results_fd() is readable while there is one;
//! - or only the counters of aq_send_stats tell.
//!
//! An error (nobody listens, a packet larger than the path allows, a broken connection) is one of the heap concerned, and the stream goes on with the next.
//! Every heap and every packet is in exactly one counter.
//!
//! aq_send_stream_stop() and aq_send_stream_free() give up what is queued: call aq_send_stream_flush() before.
//!
//! ```c
//! aq_udp_sender_config udp; aq_udp_sender_config_init(&udp, sizeof udp);
//! aq_send_destination to = {"10.1.0.7", 7148, {0}};
//! udp.destinations = &to; udp.n_destinations = 1;
//! aq_send_stream_config config; aq_send_stream_config_init(&config, sizeof config);
//! config.rate = 500e6;                                          // 4 Gb/s
//! aq_send_stream_new_udp(&config, &udp, &stream);
//! for (i = 0; i < n; i++)
//!     aq_send_stream_submit(stream, heaps[i], NULL, AQ_WAIT_FOREVER, NULL);
//! aq_send_stream_flush(stream, AQ_WAIT_FOREVER);
//! aq_send_stream_free(stream);
//! ```

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use super::callback::{Callback, aq_user_free_fn};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::pointer::{Out, slice};
use super::send_heap::aq_send_heap;
use super::send_stats::{aq_send_result, aq_send_stats, result};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::wait::wait;
use crate::error::{Error, Result};
use crate::ring::GetError;
use crate::send::pace::{Pace, Pacing};
use crate::send::{DoneFn, End, HeapResult, Order, Report, Request, SendConfig, SendStream, SubmitError};

/// A stream that sends.
pub struct aq_send_stream {
    _opaque: [u8; 0],
}

impl Opaque for aq_send_stream {
    const NAME: &'static str = "aq_send_stream";
    type Inner = SendStream;
}

/// Heaps of a group go one after the other.
pub const AQ_SEND_SERIAL: i32 = 0;
/// A packet of each heap of a group goes in turn.
pub const AQ_SEND_ROUND_ROBIN: i32 = 1;

/// The stream spaces packets, burst by burst.
pub const AQ_PACING_SOFTWARE: i32 = 0;
/// The kernel spaces the packets of a burst, too.
pub const AQ_PACING_KERNEL: i32 = 1;

/// How a stream sends. Fill it with aq_send_stream_config_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_stream_config {
    /// Set by aq_send_stream_config_init().
    pub struct_size: usize,
    /// Bytes of a packet at the most, without the headers of IP and UDP: 56 .. 524288, over UDP 65507; 1472 by default. All packets of a heap but the last
    /// are as large as the largest multiple of 8 in it.
    pub max_packet_size: usize,
    /// Heaps that are queued or on their way, or whose result is kept, at the most: 1 .. 1048576; 4 by default.
    pub max_heaps: usize,
    /// Number of the first heap that is submitted without one; 1 by default.
    pub first_cnt: u64,
    /// How much that grows with each; 1 by default. Several streams to one receiver use different first numbers and the same step.
    pub cnt_step: u64,
    /// Bytes of packets per second: at least 1; 0 (default) for no limit.
    pub rate: f64,
    /// Bytes that may leave at once, at least 1; 65536 by default. At least one packet does.
    pub burst_size: usize,
    /// How much faster than the rate a stream may be that has fallen behind: 1 .. 1000000; 1.05 by default.
    pub burst_rate_ratio: f64,
    /// AQ_PACING_SOFTWARE (default), or AQ_PACING_KERNEL, which needs a rate: the kernel lets the packets of a burst go at burst_rate_ratio times the rate, and not at once. Over TCP, and over
    /// UDP where the device's queueing discipline is fq; where it cannot, a warning is logged, and bursts leave at once. Heaps with a rate of their own get no more than that.
    pub pacing: i32,
    /// Must be 0; anything else is AQ_E_VERSION.
    pub reserved: i32,
}

// SAFETY: numbers of 64 bits, and two of 32; any bytes are valid.
unsafe impl SizedStruct for aq_send_stream_config {
    const NAME: &'static str = "aq_send_stream_config";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        max_packet_size: 1472,
        max_heaps: 4,
        first_cnt: 1,
        cnt_step: 1,
        rate: 0.0,
        burst_size: 65_536,
        burst_rate_ratio: 1.05,
        pacing: AQ_PACING_SOFTWARE,
        reserved: 0,
    };
}

/// Called with what came of a heap.
///
/// @param result what came of it
/// @param result_size sizeof *result in the library that calls, which may be newer and have more fields at its end
/// @param user the options' done_user
///
/// - called from: the stream's thread, once for each heap, one call at a time; with heaps that are stopped before the end of the stop
/// - may block: shortly; nothing is sent meanwhile
/// - may call: any function that does not wait, aq_send_stream_submit() of the same stream among them; what would wait for the stream itself answers AQ_E_STATE
/// - valid until: result is valid until it returns
/// - on error: there is no way to report one
pub type aq_send_done_fn =
    Option<unsafe extern "C" fn(result: *const aq_send_result, result_size: usize, user: *mut c_void)>;

/// How heaps are sent. Fill it with aq_send_options_init() first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_options {
    /// Set by aq_send_options_init().
    pub struct_size: usize,
    /// The heap's number, less than 2^heap_address_bits; -1 (default) for the stream's next one. Of a group, that of the first; the others count on from it.
    pub cnt: i64,
    /// Which destination: 0 (default) for the first. Not looked at for a group.
    pub substream: usize,
    /// Bytes per second while the heap is sent, 0 for no limit; -1 (default) for the stream's rate.
    pub rate: f64,
    /// Told about each heap; NULL (default) for nobody.
    pub done: aq_send_done_fn,
    /// What done is called with.
    pub done_user: *mut c_void,
    /// Called with done_user, once, after the last call of done, also when the heaps are not taken.
    pub done_user_free: aq_user_free_fn,
    /// 1: keep the results for aq_send_stream_next_result(); 0 (default). Only without done.
    pub keep_result: i32,
    /// Of a group: AQ_SEND_SERIAL (default) or AQ_SEND_ROUND_ROBIN.
    pub order: i32,
}

// SAFETY: numbers and pointers of 64 bits, and two numbers of 32; C fills functions or NULL.
unsafe impl SizedStruct for aq_send_options {
    const NAME: &'static str = "aq_send_options";
    const FIRST_SIZE: usize = 64;
    const DEFAULT: Self = Self {
        struct_size: 0,
        cnt: -1,
        substream: 0,
        rate: -1.0,
        done: None,
        done_user: std::ptr::null_mut(),
        done_user_free: None,
        keep_result: 0,
        order: AQ_SEND_SERIAL,
    };
}

/// A heap of a group, and where it goes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_send_member {
    /// The heap.
    pub heap: *mut aq_send_heap,
    /// Which destination: 0 for the first.
    pub substream: usize,
}

/// The configuration of a stream, as the functions that make one take it.
///
/// # Safety
/// `pointer` is NULL or a struct of its struct_size.
pub(super) unsafe fn stream_config(pointer: *const aq_send_stream_config) -> Result<SendConfig> {
    // SAFETY: the caller's promise.
    let c = unsafe { sized::read_or_default(pointer, "config") }?;
    sized::reserved(c.reserved, "config: reserved")?;
    let pacing = match c.pacing {
        AQ_PACING_SOFTWARE => Pacing::Software,
        AQ_PACING_KERNEL => Pacing::Kernel,
        got => {
            let rule = "pacing must be AQ_PACING_SOFTWARE or AQ_PACING_KERNEL";
            return Err(Error::invalid(format!("{rule} (got {got})")));
        }
    };
    Ok(SendConfig {
        max_packet_size: c.max_packet_size,
        max_heaps: c.max_heaps,
        first_cnt: c.first_cnt,
        cnt_step: c.cnt_step,
        pace: Pace { rate: c.rate, burst_size: c.burst_size, burst_rate_ratio: c.burst_rate_ratio, pacing },
    })
}

fn refused(error: SubmitError) -> Result<Outcome> {
    match error {
        SubmitError::Full => Ok(Outcome::Full),
        SubmitError::TimedOut => Ok(Outcome::TimedOut),
        SubmitError::Stopped => Ok(Outcome::Stopped),
        SubmitError::Invalid(error) => Err(error),
    }
}

/// What an [`aq_send_options`] says.
struct Options {
    cnt: Option<u64>,
    substream: usize,
    rate: Option<f64>,
    report: Report,
    order: Order,
}

/// # Safety
/// `pointer` is NULL or a struct of its struct_size, whose user is taken over.
unsafe fn options(pointer: *const aq_send_options) -> Result<Options> {
    let (c, tail) = match pointer.is_null() {
        true => (aq_send_options::DEFAULT, Ok(())),
        // SAFETY: the caller's promise.
        false => unsafe { sized::read_known(pointer, "options") }?,
    };
    // First, for it takes over done_user.
    // SAFETY: the contract of the struct: done_user_free may be called once with done_user.
    let done = unsafe { Callback::new(c.done, c.done_user, c.done_user_free) };
    tail?;
    let cnt = match c.cnt {
        -1 => None,
        cnt => Some(
            u64::try_from(cnt)
                .map_err(|_| Error::invalid(format!("options: cnt must be -1 or at least 0 (got {cnt})")))?,
        ),
    };
    let order = match c.order {
        AQ_SEND_SERIAL => Order::Serial,
        AQ_SEND_ROUND_ROBIN => Order::RoundRobin,
        order => {
            let rule = "options: order must be AQ_SEND_SERIAL or AQ_SEND_ROUND_ROBIN";
            return Err(Error::invalid(format!("{rule} (got {order})")));
        }
    };
    let report = match (done.function, sized::flag(c.keep_result, "options: keep_result")?) {
        (None, false) => Report::Nobody,
        (None, true) => Report::Keep,
        (Some(_), true) => return Err(Error::invalid("options: keep_result must be 0 where done is set")),
        (Some(function), false) => {
            let user = done.user;
            let call: Arc<DoneFn> = Arc::new(move |heap: &HeapResult| {
                let result = result(heap);
                // SAFETY: the caller promised a function of this contract; the result is live for the call.
                unsafe { function(&result, size_of::<aq_send_result>(), user.pointer()) }
            });
            Report::Call(call)
        }
    };
    let rate = if c.rate == -1.0 { None } else { Some(c.rate) };
    Ok(Options { cnt, substream: c.substream, rate, report, order })
}

/// Writes the defaults.
///
/// @param config the struct
/// @param struct_size sizeof *config
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_config_init(
    config: *mut aq_send_stream_config,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(config, struct_size, "config") })
}

/// Writes the defaults.
///
/// @param options the struct
/// @param struct_size sizeof *options
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_options_init(
    options: *mut aq_send_options,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(options, struct_size, "options") })
}

/// Queues a heap.
///
/// @param stream the stream
/// @param heap the heap, which may be freed, or queued again, but not changed before it is sent
/// @param options how it is sent and who is told; NULL for the defaults
/// @param timeout_ns how long to wait for space; see Waiting
/// @param ticket receives a number by which its result is known; NULL if nobody wants it
/// @return AQ_OK; AQ_FULL, AQ_TIMEOUT, AQ_STOPPED: the heap is not queued; AQ_E_INVALID when it cannot be sent like this; AQ_E_STATE when a function of
///     the stream's own (done) would have to wait
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_submit(
    stream: *mut aq_send_stream,
    heap: *const aq_send_heap,
    options: *const aq_send_options,
    timeout_ns: i64,
    ticket: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's contract.
        let options = unsafe { self::options(options) }?;
        // SAFETY: NULL or live handles by the caller's contract.
        let (stream, heap) = unsafe { (handle::borrow(stream, "stream")?, handle::borrow(heap, "heap")?) };
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(ticket, "ticket") }?;
        let heap = heap.lock().clone();
        let Options { cnt, substream, rate, report, .. } = options;
        match stream.submit(Request { heap, cnt, substream, rate }, report, wait(timeout_ns)?) {
            Ok(ticket) => {
                out.into_iter().for_each(|out| out.write(ticket));
                Ok(Outcome::Done)
            }
            Err(error) => refused(error),
        }
    })
}

/// Queues several heaps together, all or none: to leave one after the other, or a packet of each in turn.
///
/// @param stream the stream
/// @param members the heaps and where they go; copied
/// @param n_members how many: 1 .. max_heaps
/// @param options how they are sent and who is told of each; NULL for the defaults
/// @param timeout_ns how long to wait for space; see Waiting
/// @param ticket receives the number by which the first one's result is known; those of the others count on from it. NULL if nobody wants it
/// @return as aq_send_stream_submit()
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_submit_group(
    stream: *mut aq_send_stream,
    members: *const aq_send_member,
    n_members: usize,
    options: *const aq_send_options,
    timeout_ns: i64,
    ticket: *mut u64,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's contract.
        let options = unsafe { self::options(options) }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or an array by the caller's contract.
        let members = unsafe { slice(members, n_members, "members") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::optional(ticket, "ticket") }?;
        let Options { cnt, rate, report, order, .. } = options;
        let request = |(i, member): (usize, &aq_send_member)| {
            // SAFETY: NULL or a live handle by the caller's contract.
            let heap = unsafe { handle::borrow(member.heap, "members: heap") }?.lock().clone();
            let cnt = cnt.map(|cnt| cnt.saturating_add(i as u64));
            Ok(Request { heap, cnt, substream: member.substream, rate })
        };
        let requests = members.iter().enumerate().map(request).collect::<Result<Vec<_>>>()?;
        match stream.submit_group(requests, order, report, wait(timeout_ns)?) {
            Ok(ticket) => {
                out.into_iter().for_each(|out| out.write(ticket));
                Ok(Outcome::Done)
            }
            Err(error) => refused(error),
        }
    })
}

/// Sends a heap and waits until all its packets have been handed over.
///
/// @param stream the stream
/// @param heap the heap
/// @param options how it is sent; without done and keep_result. NULL for the defaults
/// @param timeout_ns how long to wait, for space and then for the heap; see Waiting
/// @param result receives what came of it, initialised with aq_send_result_init(); NULL if nobody wants it
/// @return AQ_OK: it was sent; AQ_FULL, AQ_TIMEOUT: it was not sent, or not all of it, and is given up; AQ_STOPPED likewise, as the stream is stopped;
///     AQ_E_IO and other errors that the heap came to; AQ_E_INVALID when it cannot be sent like this; AQ_E_STATE from a function of the stream's own (done)
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_send(
    stream: *mut aq_send_stream,
    heap: *const aq_send_heap,
    options: *const aq_send_options,
    timeout_ns: i64,
    result: *mut aq_send_result,
) -> aq_status {
    guard(|| {
        // SAFETY: the caller's contract.
        let options = unsafe { self::options(options) }?;
        // SAFETY: NULL or live handles by the caller's contract.
        let (stream, heap) = unsafe { (handle::borrow(stream, "stream")?, handle::borrow(heap, "heap")?) };
        let Options { cnt, substream, rate, report, .. } = options;
        if !matches!(report, Report::Nobody) {
            return Err(Error::invalid("options: done and keep_result are not for a call that waits"));
        }
        if !result.is_null() {
            // SAFETY: a struct of its struct_size by the caller's contract.
            unsafe { sized::writable(result, "result") }?;
        }
        let heap = heap.lock().clone();
        let sent = match stream.send(Request { heap, cnt, substream, rate }, wait(timeout_ns)?) {
            Ok(sent) => sent,
            Err(error) => return refused(error),
        };
        match &sent.end {
            End::Failed(error) => Err(error.clone()),
            End::Cancelled => Ok(Outcome::Stopped),
            End::Sent if result.is_null() => Ok(Outcome::Done),
            // SAFETY: a struct of its struct_size by the caller's contract.
            End::Sent => unsafe { sized::write(result, &self::result(&sent), "result") },
        }
    })
}

/// Fetches the result of a heap that was submitted with keep_result, in the order in which they came to their end.
///
/// @param stream the stream
/// @param timeout_ns how long to wait for one; see Waiting
/// @param result receives it, initialised with aq_send_result_init()
/// @return AQ_OK, also for a heap with an error, of which result->status and aq_last_error() tell; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the stream is stopped
///     and there are no more; AQ_E_STATE when a function of the stream's own (done) would have to wait
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_next_result(
    stream: *mut aq_send_stream,
    timeout_ns: i64,
    result: *mut aq_send_result,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // Before one is taken, which would be lost.
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::writable(result, "result") }?;
        let wait = wait(timeout_ns)?;
        if wait != crate::ring::Wait::No && stream.is_own_thread() {
            return Err(Error::state("send stream: its own callback cannot wait for a result"));
        }
        match stream.next_result(wait) {
            // SAFETY: as before.
            Ok(heap) => unsafe { sized::write(result, &self::result(&heap), "result") },
            Err(GetError::Empty) => Ok(Outcome::Empty),
            Err(GetError::TimedOut) => Ok(Outcome::TimedOut),
            Err(GetError::Stopped) => Ok(Outcome::Stopped),
        }
    })
}

/// A descriptor that is readable while aq_send_stream_next_result() would not wait for a result. For poll, select or epoll; never read it, write to it
/// or close it.
///
/// @param stream the stream
/// @param fd receives the descriptor, valid until the stream is freed
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_results_fd(
    stream: *const aq_send_stream,
    fd: *mut c_int,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.write(stream.results_fd().as_fd().as_raw_fd());
        Ok(Outcome::Done)
    })
}

/// Waits until all heaps that were submitted have come to their end, and all functions have been called with their results.
///
/// @param stream the stream
/// @param timeout_ns how long to wait; see Waiting
/// @return AQ_OK; AQ_TIMEOUT, with 0 AQ_FULL: there are heaps left; AQ_E_STATE from a function of the stream's own (done)
///
/// Threads: any number at the same time. Heaps that others submit meanwhile are waited for, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_flush(stream: *mut aq_send_stream, timeout_ns: i64) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        Ok(match stream.flush(wait(timeout_ns)?)? {
            true => Outcome::Done,
            false if timeout_ns == 0 => Outcome::Full,
            false => Outcome::TimedOut,
        })
    })
}

/// Sets the number of the next heap that is submitted without one, and how much it grows with each.
///
/// @param stream the stream
/// @param next the number; of it, as many bits are taken as the heap's flavour has for an address
/// @param step how much it grows
/// @return AQ_OK
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_set_cnt_sequence(
    stream: *mut aq_send_stream,
    next: u64,
    step: u64,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        stream.set_cnt_sequence(next, step);
        Ok(Outcome::Done)
    })
}

/// What a stream was made with.
///
/// @param stream the stream
/// @param config receives it; initialised with aq_send_stream_config_init()
/// @return AQ_OK; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_get_config(
    stream: *const aq_send_stream,
    config: *mut aq_send_stream_config,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        let c = stream.config();
        let value = aq_send_stream_config {
            struct_size: 0,
            max_packet_size: c.max_packet_size,
            max_heaps: c.max_heaps,
            first_cnt: c.first_cnt,
            cnt_step: c.cnt_step,
            rate: c.pace.rate,
            burst_size: c.pace.burst_size,
            burst_rate_ratio: c.pace.burst_rate_ratio,
            pacing: match c.pace.pacing {
                Pacing::Software => AQ_PACING_SOFTWARE,
                Pacing::Kernel => AQ_PACING_KERNEL,
            },
            reserved: 0,
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(config, &value, "config") }
    })
}

/// What became of all heaps and packets so far, all at one moment.
///
/// @param stream the stream
/// @param stats receives it; initialised with aq_send_stats_init()
/// @return AQ_OK; AQ_E_INVALID
///
/// Threads: any, also after aq_send_stream_stop().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_get_stats(
    stream: *const aq_send_stream,
    stats: *mut aq_send_stats,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(stats, &stream.stats().into(), "stats") }
    })
}

/// Stops a stream: heaps that are queued or half-way are given up, told about and counted (heaps_cancelled), and the thread ends. Nothing can be submitted any more.
/// Results that are kept can still be fetched. Stopping again does nothing.
///
/// @param stream the stream
/// @return AQ_OK; AQ_E_STATE from a function of the stream's own (done)
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_stop(stream: *mut aq_send_stream) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let stream = unsafe { handle::borrow(stream, "stream") }?;
        stream.stop()?;
        Ok(Outcome::Done)
    })
}

/// Stops a stream, and frees it. Results that were not fetched are gone.
///
/// @param stream the stream, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE from a function of the stream's own (done); AQ_E_INVALID when it is none, or freed already as far as that can be seen
///
/// Threads: no other call on this stream may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_send_stream_free(stream: *mut aq_send_stream) -> aq_status {
    guard(|| {
        if !stream.is_null() {
            // SAFETY: a live handle by the caller's contract.
            let borrowed = unsafe { handle::borrow(stream, "stream") };
            // One that a panic has poisoned is freed all the same; what is no stream is refused below.
            if let Ok(stream) = borrowed {
                stream.stop()?;
            }
        }
        // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
        unsafe { handle::free(stream, "stream") }
    })
}

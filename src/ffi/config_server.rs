//! Params by request
//!
//! pyacq's relay node asks a REQ socket of ZeroMQ for a stream: "config" is answered by the params as JSON, "start" and "stop" by "ok",
//! anything else by "error: " and a reason. A server of this protocol answers for one output. Anybody who can connect may ask.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::callback::{Callback, aq_user_free_fn, inside, is_inside};
use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::output_stream::aq_output_stream;
use super::pointer::{Out, write_whole_text};
use super::status::{aq_status, kind};
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::rep::{Handler, RepServer};
use crate::signal::shared::SharedOutput;

/// Somebody wants the stream to begin, or to pause.
///
/// - called from: the server's thread, one call at a time
/// - may block: yes; the server answers nothing else meanwhile, and aq_config_server_free() waits
/// - may call: any function but aq_config_server_free() of the same server, which is AQ_E_STATE
/// - valid until: it has no arguments to keep
/// - on error: it answers a negative number (an AQ_E_*): who asked gets "error: " with its text instead of "ok"
///
/// `start` is 1 for "start", 0 for "stop".
pub type aq_stream_control_fn = Option<unsafe extern "C" fn(start: i32, user: *mut c_void) -> aq_status>;

/// A server that answers for an output.
pub struct aq_config_server {
    _opaque: [u8; 0],
}

impl Opaque for aq_config_server {
    const NAME: &'static str = "aq_config_server";
    type Inner = ConfigServer;
}

/// What a handle owns.
pub struct ConfigServer {
    server: RepServer,
    /// Its address tells the server's callback from others.
    key: Arc<u8>,
}

type ControlFn = unsafe extern "C" fn(i32, *mut c_void) -> aq_status;

/// Answers for an output.
struct Answers {
    output: SharedOutput,
    control: Callback<Option<ControlFn>>,
    key: Arc<u8>,
}

impl Answers {
    fn control(&self, start: bool) -> Result<()> {
        let Callback { function: Some(function), user } = &self.control else { return Ok(()) };
        // SAFETY: the maker of the server promised a function of this contract.
        let status = inside(Arc::as_ptr(&self.key), || unsafe { function(start.into(), user.pointer()) });
        match status {
            0.. => Ok(()),
            status => {
                let kind = kind(status).unwrap_or(ErrorKind::Io);
                Err(Error::new(kind, format!("the program answered {status}")))
            }
        }
    }
}

impl Handler for Answers {
    fn config(&mut self) -> Result<String> {
        Ok(self.output.params().to_json())
    }

    fn start(&mut self) -> Result<()> {
        self.control(true)
    }

    fn stop(&mut self) -> Result<()> {
        self.control(false)
    }
}

/// Answers requests for the params of an output, by a thread of its own. It keeps the output open.
///
/// @param output the output
/// @param interface the address to listen at, and no other; NULL: "127.0.0.1"
/// @param port the TCP port, 1 to 65535; 0: one that the system chooses
/// @param control called for "start" and "stop"; NULL: both are answered by "ok", and do nothing
/// @param user what `control` is called with
/// @param user_free releases it
/// @param out receives the server; free it with aq_config_server_free()
/// @return AQ_OK; AQ_E_INVALID; AQ_E_IO when the port is taken, or the address is not this machine's; AQ_E_UNSUPPORTED when this build lacks
///     the feature zmq
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_output_stream_serve_config(
    output: *const aq_output_stream,
    interface: *const c_char,
    port: i32,
    control: aq_stream_control_fn,
    user: *mut c_void,
    user_free: aq_user_free_fn,
    out: *mut *mut aq_config_server,
) -> aq_status {
    // SAFETY: the caller's contract.
    let control = unsafe { Callback::new(control, user, user_free) };
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?.stream.clone();
        // SAFETY: NULL or a string by the caller's contract.
        let interface = unsafe { text::optional(interface, "interface") }?.unwrap_or("127.0.0.1");
        let port = match port {
            0 => "*".to_owned(),
            1..=65535 => port.to_string(),
            _ => return Err(Error::invalid(format!("port must be 0 to 65535 (got {port})"))),
        };
        let key = Arc::new(0);
        let answers = Answers { output, control, key: key.clone() };
        let server = RepServer::start(interface, &port, Box::new(answers))?;
        out.write(handle::new(ConfigServer { server, key }));
        Ok(Outcome::Done)
    })
}

/// Where a server listens: "tcp://127.0.0.1:5000".
///
/// @param server the server
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes; 64 suffice for numeric addresses
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_config_server_address(
    server: *const aq_config_server,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let server = unsafe { handle::borrow(server, "server") }?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(server.server.address(), buffer, size, needed) }
    })
}

/// Ends a server, and waits for a call of its callback in flight.
///
/// @param server the server, or NULL, which does nothing
/// @return AQ_OK; AQ_E_STATE from inside its own callback; AQ_E_INVALID when it is no server, or freed already as far as that can be seen
///
/// Threads: no other call on this server may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_config_server_free(server: *mut aq_config_server) -> aq_status {
    guard(|| {
        if !server.is_null() {
            // SAFETY: a live handle by the caller's contract.
            let server = unsafe { handle::borrow(server, "server") }?;
            if is_inside(Arc::as_ptr(&server.key)) {
                return Err(Error::state("server: it cannot be freed by its own callback"));
            }
        }
        // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
        unsafe { handle::free(server, "server") }
    })
}

//! Registry of signal streams
//!
//! A registry holds the params of outputs under names, so that inputs in other processes and on other hosts find them. It carries no samples.
//! `aqueduct stream serve` is one, `aqueduct stream ls` shows what is in it; a program can have its own. Its protocol, a line of JSON for
//! each request, is described in docs/registry.md. Whoever can connect to a registry may look, publish and hold names: let it listen only
//! where that is fine.
//!
//! `endpoint` is "HOST:PORT", with brackets around an IPv6 address; NULL is "127.0.0.1:7145".
//!
//! ```c
//! aq_publication *publication;                                 // the producer
//! check(aq_registry_publish("daq-1:7145", "eeg", output, &publication));
//!
//! char params[AQ_REGISTRY_PARAMS_SIZE];                        // the consumer, on another host
//! check(aq_registry_lookup("daq-1:7145", "eeg", 10000000000, params, sizeof params, NULL));
//! check(aq_input_stream_connect(params, NULL, &input));
//! ```

use std::ffi::{CString, c_char};

use super::guard::{Outcome, guard};
use super::handle::{self, Opaque};
use super::output_stream::aq_output_stream;
use super::pointer::{Out, write_whole_text};
use super::sized::{self, SizedStruct};
use super::status::aq_status;
use super::text;
use super::wait::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::registry::{
    DEFAULT_ENDPOINT, Entry, Limits, MOST_PARAMS, Publication, RegistryServer, list, lookup,
};
use crate::signal::shared::SharedOutput;

/// Bytes of the params of any stream that is published, with their NUL, at the most.
pub const AQ_REGISTRY_PARAMS_SIZE: usize = 65537;
const _: () = assert!(AQ_REGISTRY_PARAMS_SIZE == MOST_PARAMS + 1);

/// A registry of this process.
pub struct aq_registry {
    _opaque: [u8; 0],
}

impl Opaque for aq_registry {
    const NAME: &'static str = "aq_registry";
    type Inner = RegistryServer;
}

/// An output that is published under a name.
pub struct aq_publication {
    _opaque: [u8; 0],
}

impl Opaque for aq_publication {
    const NAME: &'static str = "aq_publication";
    type Inner = Published;
}

/// What a publication owns. In this order: the name goes before what it stands for.
pub struct Published {
    publication: Publication,
    _output: SharedOutput,
}

/// What a registry held at a time.
pub struct aq_registry_entries {
    _opaque: [u8; 0],
}

impl Opaque for aq_registry_entries {
    const NAME: &'static str = "aq_registry_entries";
    type Inner = Vec<Texts>;
}

/// An entry as C sees it.
pub struct Texts {
    name: CString,
    params: CString,
    holder: CString,
}

/// A stream in a registry. Initialise it with aq_registry_entry_init(). What it points to is valid until the list is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aq_registry_entry {
    /// Set by aq_registry_entry_init().
    pub struct_size: usize,
    /// The name.
    pub name: *const c_char,
    /// Its params, as aq_input_stream_connect() takes them.
    pub params_json: *const c_char,
    /// Who publishes it, for people: "10.1.2.3:40312 (producer, pid 4711)".
    pub holder: *const c_char,
}

// SAFETY: a usize and pointers without padding; any bytes are valid.
unsafe impl SizedStruct for aq_registry_entry {
    const NAME: &'static str = "aq_registry_entry";
    const FIRST_SIZE: usize = 32;
    const DEFAULT: Self = Self {
        struct_size: 0,
        name: std::ptr::null(),
        params_json: std::ptr::null(),
        holder: std::ptr::null(),
    };
}

/// The endpoint of an argument.
///
/// # Safety
/// `endpoint` is NULL or a string that nobody changes during `'a`.
unsafe fn endpoint_of<'a>(endpoint: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text::optional(endpoint, "endpoint") }?.unwrap_or(DEFAULT_ENDPOINT))
}

/// Serves a registry, by a thread of its own, at an address and no other. What clients can make it keep is bounded: 1024 connections, 4096
/// names, 64 MiB of params.
///
/// @param endpoint where to listen; port 0: one that the system chooses; copied
/// @param out receives the registry; free it with aq_registry_free()
/// @return AQ_OK; AQ_E_INVALID when endpoint is none; AQ_E_IO when the port is taken, or the address is not this machine's
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_serve(endpoint: *const c_char, out: *mut *mut aq_registry) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let endpoint = unsafe { endpoint_of(endpoint) }?;
        out.write(handle::new(RegistryServer::start(endpoint, Limits::default())?));
        Ok(Outcome::Done)
    })
}

/// Where a registry listens, as other functions take it: "127.0.0.1:7145".
///
/// @param registry the registry
/// @param buffer receives the text and its NUL; may be NULL when size is 0
/// @param size its bytes; 64 suffice
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_endpoint(
    registry: *const aq_registry,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let registry = unsafe { handle::borrow(registry, "registry") }?;
        // SAFETY: NULL or writable, that many bytes, by the caller's contract.
        unsafe { write_whole_text(&registry.address().to_string(), buffer, size, needed) }
    })
}

/// The port that a registry listens at.
///
/// @param registry the registry
/// @param port receives it: 1 to 65535
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_port(registry: *const aq_registry, port: *mut i32) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let registry = unsafe { handle::borrow(registry, "registry") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(port, "port") }?;
        out.write(registry.address().port().into());
        Ok(Outcome::Done)
    })
}

/// Ends a registry. Publications in it look for another one at the same endpoint.
///
/// @param registry the registry, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no registry, or freed already as far as that can be seen
///
/// Threads: no other call on this registry may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_free(registry: *mut aq_registry) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
        unsafe { handle::free(registry, "registry") }
    })
}

/// Publishes an output under a name, until the publication is freed or this process ends in any way. A thread of its own watches the connection: when
/// the registry is restarted, it publishes again, after 2 s at the latest.
///
/// An output that listens at all addresses of its host ("*", "0.0.0.0", "::") is published with the one from which this host reaches the registry. Params
/// are published as they are now: add filters first. The publication keeps the output open.
///
/// @param endpoint where the registry is; copied
/// @param name 1 to 255 bytes without control characters; copied
/// @param output the output
/// @param out receives the publication; free it with aq_publication_free()
/// @return AQ_OK; AQ_E_STATE when the name is taken: aq_last_error() says by whom; AQ_E_IO when there is no registry, or it does not answer within
///     seconds; AQ_E_NOMEM when it is full; AQ_E_VERSION or AQ_E_FORMAT when there is something else; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_publish(
    endpoint: *const c_char,
    name: *const c_char,
    output: *const aq_output_stream,
    out: *mut *mut aq_publication,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or strings by the caller's contract.
        let (endpoint, name) = unsafe { (endpoint_of(endpoint)?, text::required(name, "name")?) };
        // SAFETY: NULL or a live handle by the caller's contract.
        let output = unsafe { handle::borrow(output, "output") }?.stream.clone();
        let publication = Publication::new(endpoint, name, &output.params())?;
        out.write(handle::new(Published { publication, _output: output }));
        Ok(Outcome::Done)
    })
}

/// Whether the registry has the name at the moment.
///
/// @param publication the publication
/// @return AQ_OK; else why not: AQ_E_STATE when the registry has gone or another has the name meanwhile, AQ_E_IO when there is none,
///     and as for aq_registry_publish(). It is tried again by itself.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_publication_status(publication: *const aq_publication) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let published = unsafe { handle::borrow(publication, "publication") }?;
        published.publication.trouble().map_or(Ok(Outcome::Done), Err)
    })
}

/// Ends a publication: when it returns, the name is free, if the registry answers within a second.
///
/// @param publication the publication, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no publication, or freed already as far as that can be seen
///
/// Threads: no other call on this publication may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_publication_free(publication: *mut aq_publication) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
        unsafe { handle::free(publication, "publication") }
    })
}

/// Looks up the params of a stream by its name, and waits for it to be published if it must.
///
/// @param endpoint where the registry is
/// @param name the name
/// @param timeout_ns how long to wait for the name to be published; see Waiting. That there is no registry is not waited for
/// @param buffer receives the params, a JSON text, and their NUL; may be NULL when size is 0
/// @param size its bytes; AQ_REGISTRY_PARAMS_SIZE always suffice
/// @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
/// @return AQ_OK; AQ_E_NOT_FOUND when timeout_ns is 0 and nothing is published under that name; AQ_TIMEOUT when nothing was within the time;
///     AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer; AQ_E_IO when no registry is there, or it does not answer within
///     seconds; AQ_E_VERSION or AQ_E_FORMAT when there is something else; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_lookup(
    endpoint: *const c_char,
    name: *const c_char,
    timeout_ns: i64,
    buffer: *mut c_char,
    size: usize,
    needed: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or strings by the caller's contract.
        let (endpoint, name) = unsafe { (endpoint_of(endpoint)?, text::required(name, "name")?) };
        let wait = wait(timeout_ns)?;
        match lookup(endpoint, name, wait)? {
            // SAFETY: NULL or writable, that many bytes, by the caller's contract.
            Some(entry) => unsafe { write_whole_text(&entry.params, buffer, size, needed) },
            None if wait == Wait::No => {
                let reason = format!("registry {endpoint}: no stream is published as {name:?}");
                Err(Error::new(ErrorKind::NotFound, reason))
            }
            None => Ok(Outcome::TimedOut),
        }
    })
}

/// Lists what is published now, by name.
///
/// @param endpoint where the registry is
/// @param out receives the list; free it with aq_registry_entries_free()
/// @return AQ_OK; AQ_E_IO when no registry is there, or it does not answer within seconds; AQ_E_VERSION or AQ_E_FORMAT when there is something
///     else; AQ_E_INVALID
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_list(
    endpoint: *const c_char,
    out: *mut *mut aq_registry_entries,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(out, "out") }?;
        // SAFETY: NULL or a string by the caller's contract.
        let endpoint = unsafe { endpoint_of(endpoint) }?;
        // None of them has a zero byte: names and holders have no control characters, and in JSON it is written otherwise.
        let text = |text: String| CString::new(text).unwrap_or_default();
        let texts = |Entry { name, params, holder }: Entry| Texts {
            name: text(name),
            params: text(params),
            holder: text(holder),
        };
        let entries: Vec<Texts> = list(endpoint)?.into_iter().map(texts).collect();
        out.write(handle::new(entries));
        Ok(Outcome::Done)
    })
}

/// How many streams are in a list.
///
/// @param entries the list
/// @param count receives the number
/// @return AQ_OK
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_entries_count(
    entries: *const aq_registry_entries,
    count: *mut usize,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let entries = unsafe { handle::borrow(entries, "entries") }?;
        // SAFETY: NULL or writable by the caller's contract.
        let out = unsafe { Out::new(count, "count") }?;
        out.write(entries.len());
        Ok(Outcome::Done)
    })
}

/// Writes zeros, and the struct's size.
///
/// @param entry the struct
/// @param struct_size sizeof *entry
/// @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_entry_init(
    entry: *mut aq_registry_entry,
    struct_size: usize,
) -> aq_status {
    // SAFETY: NULL or struct_size writable bytes by the caller's contract.
    guard(|| unsafe { sized::init(entry, struct_size, "entry") })
}

/// A stream of a list.
///
/// @param entries the list
/// @param index 0 to count - 1
/// @param entry receives it; initialised with aq_registry_entry_init()
/// @return AQ_OK; AQ_E_NOT_FOUND when there is none of that index
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_entries_get(
    entries: *const aq_registry_entries,
    index: usize,
    entry: *mut aq_registry_entry,
) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        let entries = unsafe { handle::borrow(entries, "entries") }?;
        let found = entries.get(index).ok_or_else(|| {
            let reason = format!("index must be below {} (got {index})", entries.len());
            Error::new(ErrorKind::NotFound, reason)
        })?;
        let value = aq_registry_entry {
            struct_size: 0,
            name: found.name.as_ptr(),
            params_json: found.params.as_ptr(),
            holder: found.holder.as_ptr(),
        };
        // SAFETY: NULL or a struct of its struct_size by the caller's contract.
        unsafe { sized::write(entry, &value, "entry") }
    })
}

/// Frees a list.
///
/// @param entries the list, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no list, or freed already as far as that can be seen
///
/// Threads: no other call on this list may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_registry_entries_free(entries: *mut aq_registry_entries) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle that is not used any more, by the caller's contract.
        unsafe { handle::free(entries, "entries") }
    })
}

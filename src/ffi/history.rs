//! Histories
//!
//! A history keeps the latest frames of a stream by their index, and gives any window of them in one piece, without a copy. One thread
//! appends at a time, any number look.

use std::sync::Arc;

use super::guard::guard;
use super::handle::{self, Opaque};
use super::status::aq_status;
use crate::signal::history::History;

/// A history.
pub struct aq_history {
    _opaque: [u8; 0],
}

impl Opaque for aq_history {
    const NAME: &'static str = "aq_history";
    type Inner = Arc<History>;
}

/// Frees a history. Views that are held stay valid.
///
/// @param history the history, or NULL, which does nothing
/// @return AQ_OK; AQ_E_INVALID when it is no history, or freed already as far as that can be seen
///
/// Threads: no other call on this history may be running or follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aq_history_free(history: *mut aq_history) -> aq_status {
    guard(|| {
        // SAFETY: NULL or a live handle by the caller's contract.
        unsafe { handle::free(history, "history") }
    })
}

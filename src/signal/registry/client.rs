//! Looking up what is published. Each call has a connection of its own; any thread.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::link::{Link, PATIENCE};
use super::protocol::{MOST_PARAMS, MOST_WAIT, Request, check_name};
use super::{endpoint, protocol};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::params::Params;

/// A stream that is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its params, as the publisher gave them: JSON.
    pub params: String,
    /// Who publishes it, as people read it: the address as the registry sees it, and what the publisher says of itself.
    pub holder: String,
}

impl Entry {
    /// What an input needs.
    pub fn params(&self) -> Result<Params> {
        Params::from_json(&self.params)
    }

    fn of(answer: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        let params = answer.get("params").filter(|params| params.is_object())?.to_string();
        if params.len() > MOST_PARAMS {
            return None;
        }
        let holder = text("holder").unwrap_or_default().replace(char::is_control, "");
        Some(Self { name: text("name").filter(|name| check_name(name).is_ok())?, params, holder })
    }
}

fn unexpected(endpoint: &str) -> Error {
    Error::new(ErrorKind::Format, format!("registry {endpoint}: an answer to something else"))
}

/// What is published under `name`; `None` if nothing is within the time that `wait` allows.
///
/// # Errors
/// `Invalid`: endpoint or name. `Io`: no registry is there, or it does not answer within 5 seconds more. `Version`, `Format`: what is there is another
/// version, or no registry.
pub fn lookup(endpoint: &str, name: &str, wait: Wait) -> Result<Option<Entry>> {
    check_name(name).map_err(Error::invalid)?;
    let mut link = Link::connect(endpoint, &endpoint::addresses(endpoint, false)?)?;
    let deadline = wait.end();
    loop {
        let now = Instant::now();
        let left = deadline.map_or(MOST_WAIT, |deadline| deadline.saturating_duration_since(now));
        // Whole milliseconds go over the wire: rounded up, or the last one would be asked for again and again.
        let wait = Duration::from_millis(left.as_nanos().div_ceil(1_000_000) as u64).min(MOST_WAIT);
        let request = Request::Lookup { name: name.into(), wait };
        match link.ask(&request, now + wait + PATIENCE, None) {
            Ok(answer) => {
                let entry = answer.get("stream").and_then(Value::as_object).and_then(Entry::of);
                return entry
                    .filter(|entry| entry.name == name)
                    .map(Some)
                    .ok_or_else(|| unexpected(endpoint));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// All that is published, by name.
///
/// # Errors
/// As for [`lookup`].
pub fn list(endpoint: &str) -> Result<Vec<Entry>> {
    let mut link = Link::connect(endpoint, &endpoint::addresses(endpoint, false)?)?;
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map(|entry| entry.name.clone()).unwrap_or_default();
        let answer = link.ask(&Request::List { after }, Instant::now() + PATIENCE, None)?;
        let page = answer.get("streams").and_then(Value::as_array).ok_or_else(|| unexpected(endpoint))?;
        for entry in page {
            let entry = entry.as_object().and_then(Entry::of).ok_or_else(|| unexpected(endpoint))?;
            // What goes back would go on for ever.
            if entries.last().is_some_and(|last| last.name >= entry.name) {
                return Err(unexpected(endpoint));
            }
            entries.push(entry);
        }
        if page.is_empty() || answer.get("more").and_then(Value::as_bool) != Some(true) {
            return Ok(entries);
        }
        if entries.len() > protocol::MOST_LISTED {
            let most = protocol::MOST_LISTED;
            let reason = format!("registry {endpoint}: more than {most} names");
            return Err(Error::new(ErrorKind::Format, reason));
        }
    }
}

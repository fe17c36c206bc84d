//! Requests and answers: a line of JSON each, described in docs/registry.md. Nothing here does I/O; what is parsed may come from anybody.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};

/// The version of the protocol, in every line.
pub const VERSION: u64 = 1;
/// Where a registry is if nobody says otherwise.
pub const DEFAULT_ENDPOINT: &str = "127.0.0.1:7145";
/// Bytes of a request at the most, without its end.
pub const MOST_LINE: usize = 128 << 10;
/// Bytes of a name at the most.
pub const MOST_NAME: usize = 255;
/// Bytes of a publication's params at the most, as JSON without blanks.
pub const MOST_PARAMS: usize = 64 << 10;

/// Bytes of an answer at the most, for clients. A page of a list is at most twice [`MOST_PARAMS`] and a little.
pub(super) const MOST_ANSWER: usize = 512 << 10;
/// Names that a client lists at the most, so that no registry can keep it busy for ever.
pub(super) const MOST_LISTED: usize = 1 << 16;
/// A lookup may wait for so long; who wants to wait longer asks again.
pub(super) const MOST_WAIT: Duration = Duration::from_secs(60);

/// Why a request is refused. The names are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Version,
    Malformed,
    Invalid,
    Taken,
    NotFound,
    Full,
}

impl Code {
    const ALL: [(Self, &str, ErrorKind); 6] = [
        (Self::Version, "version", ErrorKind::Version),
        (Self::Malformed, "malformed", ErrorKind::Format),
        (Self::Invalid, "invalid", ErrorKind::Invalid),
        (Self::Taken, "taken", ErrorKind::State),
        (Self::NotFound, "not_found", ErrorKind::NotFound),
        (Self::Full, "full", ErrorKind::NoMemory),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(code, ..)| *code == self).map_or("", |(_, name, _)| name)
    }
}

/// A request that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: Code,
    pub message: String,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The answer.
    pub fn line(&self) -> String {
        line(json!({ "ok": false, "error": self.code.name(), "message": self.message }))
    }
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// `params` is a JSON object without blanks; `who` says to people who publishes.
    Publish {
        name: String,
        params: String,
        who: String,
    },
    Unpublish {
        name: String,
    },
    Lookup {
        name: String,
        wait: Duration,
    },
    /// The names behind `after`, in the order of their bytes.
    List {
        after: String,
    },
}

/// A name is of 1 to [`MOST_NAME`] bytes, without control characters.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if !(1..=MOST_NAME).contains(&name.len()) {
        return Err(format!("name must be of 1 to {MOST_NAME} bytes (got {})", name.len()));
    }
    if name.contains(char::is_control) {
        return Err(format!("name must be without control characters (got {name:?})"));
    }
    Ok(())
}

/// A line of an object, with the version in it.
fn line(mut value: Value) -> String {
    value["v"] = json!(VERSION);
    format!("{value}\n")
}

impl Request {
    /// The line.
    pub fn line(&self) -> String {
        line(match self {
            Self::Publish { name, params, who } => {
                // They are params of ours, or were parsed.
                let params: Value = serde_json::from_str(params).unwrap_or_default();
                json!({ "op": "publish", "name": name, "params": params, "who": who })
            }
            Self::Unpublish { name } => json!({ "op": "unpublish", "name": name }),
            Self::Lookup { name, wait } => {
                json!({ "op": "lookup", "name": name, "wait_ms": wait.as_millis() as u64 })
            }
            Self::List { after } => json!({ "op": "list", "after": after }),
        })
    }

    /// Reads a line, without its end.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: String| Refusal::new(Code::Malformed, what);
        let invalid = |what: String| Refusal::new(Code::Invalid, what);
        let value: Value = serde_json::from_slice(line)
            .map_err(|reason| malformed(format!("a request must be a line of JSON ({reason})")))?;
        let Value::Object(mut all) = value else {
            return Err(malformed("a request must be a JSON object".into()));
        };
        // First: another version may mean anything by the rest.
        check_version(&all, "this registry").map_err(|what| Refusal::new(Code::Version, what))?;
        let mut text = |key: &str, default: Option<&str>| match all.remove(key) {
            Some(Value::String(text)) => Ok(text),
            None if default.is_some() => Ok(default.unwrap_or_default().to_owned()),
            None => Err(invalid(format!("{key} must be there"))),
            Some(other) => Err(invalid(format!("{key} must be a text (got {})", kind(&other)))),
        };
        let op = text("op", None)?;
        let mut name = || {
            let name = text("name", None)?;
            check_name(&name).map_err(invalid)?;
            Ok(name)
        };
        match op.as_str() {
            "publish" => {
                let name = name()?;
                let who = text("who", Some(""))?;
                if who.len() > MOST_NAME || who.contains(char::is_control) {
                    let rule = format!("who must be of at most {MOST_NAME} bytes without control characters");
                    return Err(invalid(rule));
                }
                let params = match all.remove("params") {
                    Some(params @ Value::Object(_)) => params.to_string(),
                    Some(other) => {
                        return Err(invalid(format!("params must be an object (got {})", kind(&other))));
                    }
                    None => return Err(invalid("params must be there".into())),
                };
                // Numbers may be longer than they were written.
                if params.len() > MOST_PARAMS {
                    let rule = format!("params must be at most {MOST_PARAMS} bytes (got {})", params.len());
                    return Err(invalid(rule));
                }
                Ok(Self::Publish { name, params, who })
            }
            "unpublish" => Ok(Self::Unpublish { name: name()? }),
            "lookup" => {
                let name = name()?;
                let wait = match all.get("wait_ms") {
                    None => Some(0),
                    Some(wait) => wait.as_u64().filter(|&ms| Duration::from_millis(ms) <= MOST_WAIT),
                };
                let wait = wait.map(Duration::from_millis).ok_or_else(|| {
                    let most = MOST_WAIT.as_millis();
                    invalid(format!("wait_ms must be 0 to {most} milliseconds (got {})", all["wait_ms"]))
                })?;
                Ok(Self::Lookup { name, wait })
            }
            "list" => Ok(Self::List { after: text("after", Some(""))? }),
            other => {
                let shown: String = other.chars().take(40).collect();
                let rule = "op must be publish, unpublish, lookup or list";
                Err(invalid(format!("{rule} (got {shown:?})")))
            }
        }
    }
}

/// What a JSON value is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn check_version(all: &Map<String, Value>, who: &str) -> Result<(), String> {
    match all.get("v") {
        Some(v) if v.as_u64() == Some(VERSION) => Ok(()),
        Some(v @ Value::Number(_)) => {
            Err(format!("{who} speaks version {VERSION} of the protocol (got version {v})"))
        }
        Some(_) => Err(format!("{who} speaks version {VERSION} of the protocol (v is no number)")),
        None => Err(format!("{who} speaks version {VERSION} of the protocol (v is missing)")),
    }
}

/// The answer to what has been done.
pub(super) fn done_line() -> String {
    line(json!({ "ok": true }))
}

/// A stream, in an answer.
pub(super) fn entry(name: &str, params: &str, holder: &str) -> Value {
    // They were made by Request::parse.
    let params: Value = serde_json::from_str(params).unwrap_or_default();
    json!({ "name": name, "params": params, "holder": holder })
}

/// The answer to a lookup.
pub(super) fn found_line(entry: Value) -> String {
    line(json!({ "ok": true, "stream": entry }))
}

/// The answer to a list; `more`: there are others behind the last of these.
pub(super) fn list_line(entries: Vec<Value>, more: bool) -> String {
    line(json!({ "ok": true, "streams": entries, "more": more }))
}

/// Reads an answer's line. The inner error is the registry's refusal; the outer one says that this is no answer, and what was found instead.
pub(super) fn parse_answer(line: &[u8]) -> Result<Result<Map<String, Value>, Error>, String> {
    let value = serde_json::from_slice(line).map_err(|_| {
        let shown: String = String::from_utf8_lossy(line).chars().take(60).collect();
        format!("not an answer of a registry: {shown:?}")
    })?;
    let Value::Object(all) = value else {
        return Err("not an answer of a registry: JSON, but no object".into());
    };
    let message = || {
        let message = all.get("message").and_then(Value::as_str).unwrap_or("it gives no reason");
        message.chars().filter(|c| !c.is_control()).take(1000).collect::<String>()
    };
    let refused = all.get("error").and_then(Value::as_str);
    // A registry of another version says so itself, in a form that does not change.
    if refused != Some("version")
        && let Err(reason) = check_version(&all, "this library")
    {
        return Ok(Err(Error::new(ErrorKind::Version, reason)));
    }
    match all.get("ok") {
        Some(Value::Bool(true)) => Ok(Ok(all)),
        Some(Value::Bool(false)) => {
            let kind = Code::ALL.iter().find(|(_, name, _)| Some(*name) == refused);
            Ok(Err(Error::new(kind.map_or(ErrorKind::Io, |(.., kind)| *kind), message())))
        }
        _ => Err("not an answer of a registry: it has no ok".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> (Code, String) {
        let refusal = Request::parse(line.as_bytes()).unwrap_err();
        (refusal.code, refusal.message)
    }

    #[test]
    fn requests_there_and_back() {
        let name = || "eeg \"1\" ä".to_owned();
        let wait = Duration::from_millis(1500);
        for request in [
            Request::Publish { name: name(), params: r#"{"a":[1,2.5],"b":null}"#.into(), who: "me".into() },
            Request::Unpublish { name: name() },
            Request::Lookup { name: name(), wait },
            Request::List { after: String::new() },
        ] {
            let line = request.line();
            assert_eq!(line.find('\n'), Some(line.len() - 1));
            assert_eq!(Request::parse(line.trim_end().as_bytes()), Ok(request));
        }
        // What may be left out, and what is unknown.
        let short = Request::parse(br#" {"v":1,"op":"lookup","name":"a","new":{}} "#);
        assert_eq!(short, Ok(Request::Lookup { name: "a".into(), wait: Duration::ZERO }));
        assert_eq!(Request::parse(br#"{"v":1,"op":"list"}"#), Ok(Request::List { after: String::new() }));
    }

    #[test]
    fn what_is_no_request() {
        for (line, code, what) in [
            ("", Code::Malformed, "a line of JSON"),
            ("GET / HTTP/1.1", Code::Malformed, "a line of JSON"),
            ("[1]", Code::Malformed, "JSON object"),
            (&"[".repeat(100_000), Code::Malformed, "recursion limit"),
            (r#"{"op":"list"}"#, Code::Version, "speaks version 1 of the protocol (v is missing)"),
            (r#"{"v":2,"op":"newer"}"#, Code::Version, "speaks version 1 of the protocol (got version 2)"),
            (r#"{"v":"1"}"#, Code::Version, "v is no number"),
            (r#"{"v":1}"#, Code::Invalid, "op must be there"),
            (
                r#"{"v":1,"op":"eval"}"#,
                Code::Invalid,
                "op must be publish, unpublish, lookup or list (got \"eval\")",
            ),
            (r#"{"v":1,"op":"lookup"}"#, Code::Invalid, "name must be there"),
            (r#"{"v":1,"op":"lookup","name":7}"#, Code::Invalid, "name must be a text (got a number)"),
            (r#"{"v":1,"op":"lookup","name":""}"#, Code::Invalid, "name must be of 1 to 255 bytes (got 0)"),
            (r#"{"v":1,"op":"lookup","name":"a\u001b[2J"}"#, Code::Invalid, "without control characters"),
            (r#"{"v":1,"op":"lookup","name":"a","wait_ms":60001}"#, Code::Invalid, "(got 60001)"),
            (r#"{"v":1,"op":"lookup","name":"a","wait_ms":-1}"#, Code::Invalid, "(got -1)"),
            (r#"{"v":1,"op":"publish","name":"a"}"#, Code::Invalid, "params must be there"),
            (
                r#"{"v":1,"op":"publish","name":"a","params":[]}"#,
                Code::Invalid,
                "params must be an object (got a list)",
            ),
            (r#"{"v":1,"op":"publish","name":"a","params":{},"who":"\n"}"#, Code::Invalid, "who must be"),
        ] {
            let (found, message) = refused(line);
            assert_eq!(found, code, "{message}");
            assert!(message.contains(what), "{message}");
        }
        let long = "x".repeat(256);
        assert!(
            refused(&format!(r#"{{"v":1,"op":"lookup","name":"{long}"}}"#)).1.contains("255 bytes (got 256)")
        );
        // Short as written, long as they are kept.
        let numbers = "1e15,".repeat(10_000) + "1";
        let line = format!(r#"{{"v":1,"op":"publish","name":"a","params":{{"x":[{numbers}]}}}}"#);
        assert!(line.len() < MOST_LINE);
        assert!(refused(&line).1.contains("params must be at most 65536 bytes"));
    }

    #[test]
    fn answers() {
        let answer = |line: &str| parse_answer(line.as_bytes());
        assert_eq!(answer(done_line().trim_end()).unwrap().unwrap()["ok"], true);
        for (code, name, kind) in Code::ALL {
            let line = Refusal::new(code, format!("for {name}")).line();
            let error = answer(line.trim_end()).unwrap().unwrap_err();
            assert_eq!((error.kind(), error.message()), (kind, format!("for {name}").as_str()));
        }
        let newer = answer(r#"{"v":2,"ok":true}"#).unwrap().unwrap_err();
        assert_eq!(newer.kind(), ErrorKind::Version);
        let refused = answer(r#"{"v":2,"ok":false,"error":"version","message":"I am 2"}"#).unwrap();
        assert_eq!(refused.unwrap_err().message(), "I am 2");
        assert!(answer("HTTP/1.1 400 Bad Request").unwrap_err().contains("HTTP/1.1 400"));
        assert!(answer("[]").is_err() && answer(r#"{"v":1}"#).is_err());
    }
}

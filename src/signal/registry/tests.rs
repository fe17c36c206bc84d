//! Server and clients together: names, restarts, and clients that mean no good.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::ring::Wait;
use crate::signal::numpy::parse_dtype;
use crate::signal::params::Params;

/// Longer, and it hangs.
const GUARD: Duration = Duration::from_secs(60);

fn serve() -> RegistryServer {
    RegistryServer::start("127.0.0.1:0", Limits::default()).unwrap()
}

fn serve_with(limits: Limits) -> RegistryServer {
    RegistryServer::start("127.0.0.1:0", limits).unwrap()
}

fn params(rate: f64) -> Params {
    let mut params = Params::new(parse_dtype("<f4").unwrap(), &[-1, 4]);
    params.port = "5000".into();
    params.sample_rate = rate;
    params
}

/// A client that writes and reads lines as it likes.
struct Raw(BufReader<TcpStream>);

impl Raw {
    fn new(server: &RegistryServer) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next answer; null at the end.
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) | Err(_) => Value::Null,
            Ok(_) => serde_json::from_str(&line).unwrap(),
        }
    }

    fn ask(&mut self, request: Value) -> Value {
        self.send(format!("{request}\n"));
        self.answer()
    }

    fn publish(&mut self, name: &str) -> Value {
        self.ask(json!({"v": 1, "op": "publish", "name": name, "params": {"n": name}}))
    }

    fn names(&mut self) -> Vec<String> {
        let answer = self.ask(json!({"v": 1, "op": "list"}));
        let streams = answer["streams"].as_array().unwrap();
        streams.iter().map(|stream| stream["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Asks again until it is so: what another end does arrives when it likes.
fn until(mut so: impl FnMut() -> bool) {
    let guard = Instant::now() + GUARD;
    while !so() {
        assert!(Instant::now() < guard, "it never comes to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn published_looked_up_listed_and_gone() {
    let server = serve();
    let endpoint = server.address().to_string();
    assert_eq!(list(&endpoint).unwrap(), []);
    assert_eq!(lookup(&endpoint, "eeg", Wait::No).unwrap(), None);
    let eeg = Publication::new(&endpoint, "eeg", &params(250.0)).unwrap();
    let lfp = Publication::new(&endpoint, "a \"b\" ä", &params(1000.0)).unwrap();
    let found = lookup(&endpoint, "eeg", Wait::No).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.params().unwrap()), ("eeg", params(250.0)));
    let pid = format!(", pid {})", std::process::id());
    assert!(found.holder.starts_with("127.0.0.1:") && found.holder.ends_with(&pid), "{}", found.holder);
    let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>();
    assert_eq!(names(list(&endpoint).unwrap()), ["a \"b\" ä", "eeg"]);

    let taken = Publication::new(&endpoint, "eeg", &params(1.0)).unwrap_err();
    let expected = format!("registry {endpoint}: name \"eeg\" is taken: {} publishes it", found.holder);
    assert_eq!((taken.kind(), taken.message()), (ErrorKind::State, expected.as_str()));

    drop(eeg);
    // At once: the end was waited for.
    assert_eq!(names(list(&endpoint).unwrap()), ["a \"b\" ä"]);
    Publication::new(&endpoint, "eeg", &params(1.0)).unwrap();
    assert_eq!((lfp.name(), lfp.trouble()), ("a \"b\" ä", None));
}

#[test]
fn an_output_at_all_addresses_is_published_with_one() {
    let server = serve();
    let endpoint = server.address().to_string();
    for interface in ["0.0.0.0", "*", "[::]"] {
        let mut params = params(1.0);
        params.interface = interface.into();
        let _publication = Publication::new(&endpoint, "x", &params).unwrap();
        let found = lookup(&endpoint, "x", Wait::No).unwrap().unwrap().params().unwrap();
        assert_eq!((found.interface.as_str(), found.port.as_str()), ("127.0.0.1", "5000"));
    }
}

#[test]
fn a_lookup_waits_for_the_name() {
    let server = serve();
    let endpoint = server.address().to_string();
    let waiting: Vec<_> = [Wait::Forever, Wait::For(GUARD)]
        .map(|wait| {
            let endpoint = endpoint.clone();
            std::thread::spawn(move || lookup(&endpoint, "late", wait).unwrap().unwrap().params().unwrap())
        })
        .into();
    assert_eq!(lookup(&endpoint, "never", Wait::For(Duration::from_millis(20))).unwrap(), None);
    let _other = Publication::new(&endpoint, "other", &params(1.0)).unwrap();
    let _late = Publication::new(&endpoint, "late", &params(7.0)).unwrap();
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), params(7.0));
    }
}

#[test]
fn a_connection_that_ends_takes_its_names_with_it() {
    let server = serve();
    let (mut producer, mut looker) = (Raw::new(&server), Raw::new(&server));
    assert_eq!(producer.publish("a")["ok"], true);
    assert_eq!(producer.publish("b")["ok"], true);
    assert_eq!(looker.names(), ["a", "b"]);
    assert_eq!(looker.publish("a")["error"], "taken");
    assert_eq!(looker.ask(json!({"v": 1, "op": "unpublish", "name": "a"}))["error"], "taken");
    assert_eq!(producer.ask(json!({"v": 1, "op": "unpublish", "name": "a"})), json!({"v": 1, "ok": true}));
    assert_eq!(looker.publish("a")["ok"], true);
    drop(producer);
    until(|| looker.names() == ["a"]);
    // Only the one way.
    looker.0.get_mut().shutdown(Shutdown::Write).unwrap();
    assert_eq!(looker.answer(), Value::Null);
    assert_eq!(list(&server.address().to_string()).unwrap(), []);
}

#[test]
fn a_client_that_goes_while_its_lookup_waits_takes_its_names_with_it() {
    let server = serve();
    let mut looker = Raw::new(&server);
    let wait = "{\"v\":1,\"op\":\"lookup\",\"name\":\"y\",\"wait_ms\":60000}\n";
    // Before the registry waits, or after.
    for at_once in [true, false] {
        let mut producer = Raw::new(&server);
        assert_eq!(producer.publish("x")["ok"], true);
        producer.send(wait);
        if !at_once {
            // It has been served when another one that came later has been.
            assert_eq!(looker.names(), ["x"]);
        }
        drop(producer);
        let begun = Instant::now();
        until(|| looker.names().is_empty());
        // Not only when the lookup's time, a minute, is over.
        assert!(begun.elapsed() < GUARD / 2);
    }
    // All in one.
    let mut producer = Raw::new(&server);
    producer.send(format!("{{\"v\":1,\"op\":\"publish\",\"name\":\"x\",\"params\":{{}}}}\n{wait}"));
    producer.0.get_mut().shutdown(Shutdown::Write).unwrap();
    assert_eq!(producer.answer()["ok"], true);
    assert_eq!(producer.answer(), Value::Null);
    assert!(looker.names().is_empty());
}

#[test]
fn after_a_restart_of_the_registry_names_come_back() {
    let server = serve();
    let endpoint = server.address().to_string();
    let publication = Publication::new(&endpoint, "x", &params(3.0)).unwrap();
    drop(server);
    until(|| publication.trouble().is_some());
    let down = lookup(&endpoint, "x", Wait::For(GUARD)).unwrap_err();
    assert_eq!(down.kind(), ErrorKind::Io);
    let expected = format!("registry {endpoint}: nobody answers: Connection refused (os error 111)");
    assert_eq!(down.message(), expected);
    let again = RegistryServer::start(&endpoint, Limits::default()).unwrap();
    let found = lookup(&endpoint, "x", Wait::For(GUARD)).unwrap().unwrap();
    assert_eq!(found.params().unwrap(), params(3.0));
    until(|| publication.trouble().is_none());
    // And it ends while there is none.
    drop(again);
    until(|| publication.trouble().is_some());
    drop(publication);
}

#[test]
fn a_name_that_another_has_taken_meanwhile_is_waited_for() {
    let server = serve();
    let endpoint = server.address().to_string();
    let publication = Publication::new(&endpoint, "x", &params(3.0)).unwrap();
    drop(server);
    until(|| publication.trouble().is_some());
    let again = RegistryServer::start(&endpoint, Limits::default()).unwrap();
    let mut thief = Raw::new(&again);
    // The first may have been quicker.
    let stolen = thief.publish("x")["ok"] == true;
    if stolen {
        until(|| publication.trouble().is_some_and(|error| error.message().contains("is taken")));
        drop(thief);
    }
    until(|| publication.trouble().is_none());
}

#[test]
fn a_port_that_is_taken_and_what_is_no_registry() {
    let server = serve();
    let endpoint = server.address().to_string();
    let taken = RegistryServer::start(&endpoint, Limits::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Io);
    let expected = format!("registry: listen on {endpoint}: Address already in use (os error 98)");
    assert_eq!(taken.message(), expected);
    let wrong = RegistryServer::start("127.0.0.1", Limits::default()).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    assert_eq!(lookup(&endpoint, "", Wait::No).unwrap_err().kind(), ErrorKind::Invalid);

    for (says, kind, what) in [
        ("HTTP/1.1 400 Bad Request\r\n", ErrorKind::Format, "not an answer of a registry: \"HTTP/1.1 400"),
        (
            "{\"v\":2,\"ok\":true}\n",
            ErrorKind::Version,
            "this library speaks version 1 of the protocol (got version 2)",
        ),
        ("{\"v\":1,\"ok\":true}\n", ErrorKind::Format, "an answer to something else"),
        ("", ErrorKind::Io, "it closed the connection"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 1000];
            assert!(stream.read(&mut bytes).unwrap() > 0);
            stream.write_all(says.as_bytes()).unwrap();
        });
        let error = lookup(&endpoint, "x", Wait::No).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().starts_with(&format!("registry {endpoint}: {what}")), "{error}");
        other.join().unwrap();
    }
}

#[test]
fn versions_that_differ_are_told() {
    let server = serve();
    let mut raw = Raw::new(&server);
    let answer = raw.ask(json!({"v": 2, "op": "hello"}));
    let expected = "this registry speaks version 1 of the protocol (got version 2)";
    assert_eq!(answer, json!({"v": 1, "ok": false, "error": "version", "message": expected}));
    // It may go on with the other version.
    assert_eq!(
        raw.ask(json!({"v": 1, "op": "list"})),
        json!({"v": 1, "ok": true, "streams": [], "more": false})
    );
}

#[test]
fn what_is_no_request_ends_its_connection_only() {
    let server = serve();
    let mut good = Raw::new(&server);
    assert_eq!(good.publish("good")["ok"], true);
    let mut random = vec![0; 100_000];
    let mut state = 1u64;
    for byte in &mut random {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    let deep = format!("{{\"v\":1,\"op\":{}\n", "[".repeat(100_000));
    let huge = vec![b'x'; MOST_LINE + 1];
    for bytes in
        [&random[..], deep.as_bytes(), &huge, b"\n", b"\xff\xfe\n", b"[]\n", b"GET / HTTP/1.0\r\n\r\n"]
    {
        let mut bad = Raw::new(&server);
        // It may be closed before all is written.
        let _ = bad.0.get_mut().write_all(bytes);
        let _ = bad.0.get_mut().write_all(b"\n");
        let answer = bad.answer();
        // Bytes that were not read make the system forget the answer.
        assert!(answer["error"] == "malformed" || answer.is_null(), "{answer}");
        assert_eq!(bad.answer(), Value::Null);
        assert_eq!(good.names(), ["good"]);
    }
    let mut exact = Raw::new(&server);
    let request = r#"{"v":1,"op":"list"}"#;
    exact.send(format!("{request}{}\n", " ".repeat(MOST_LINE - request.len())));
    assert_eq!(exact.answer()["ok"], true);
    // Cut anywhere, and every byte damaged in turn.
    let line = r#"{"v":1,"op":"publish","name":"cut","params":{"a":[1,2]}}"#;
    for at in 0..line.len() {
        let mut bad = Raw::new(&server);
        bad.send(&line[..at]);
        bad.0.get_mut().shutdown(Shutdown::Write).unwrap();
        assert_eq!(bad.answer(), Value::Null);
        let mut damaged = line.as_bytes().to_vec();
        damaged[at] ^= 1 << (at % 8);
        let mut bad = Raw::new(&server);
        bad.send([&damaged[..], b"\n"].concat());
        assert!(bad.answer().is_object());
    }
    until(|| good.names() == ["good"]);
}

#[test]
fn many_connections_that_are_slow_stall_nobody() {
    let most = 200;
    let limits = Limits { connections: most, patience: GUARD, idle: GUARD, ..Limits::default() };
    let server = serve_with(limits);
    let mut good = Raw::new(&server);
    assert_eq!(good.publish("good")["ok"], true);
    let mut crowd = Vec::new();
    // More than there may be: those that have asked nothing for longest give way.
    for i in 0..2 * most {
        let mut raw = Raw::new(&server);
        // Half lines, and lookups that wait.
        let _ = raw.0.get_mut().write_all(match i % 2 {
            0 => b"{\"v\":1,",
            _ => b"{\"v\":1,\"op\":\"lookup\",\"name\":\"x\",\"wait_ms\":60000}\n",
        });
        crowd.push(raw);
    }
    assert_eq!(good.names(), ["good"]);
    assert_eq!(Raw::new(&server).names(), ["good"]);
    drop(crowd);
    assert_eq!(good.names(), ["good"]);
}

#[test]
fn publishers_do_not_give_way() {
    let server = serve_with(Limits { connections: 2, names: 2, ..Limits::default() });
    let (mut one, mut two) = (Raw::new(&server), Raw::new(&server));
    assert_eq!((one.publish("1")["ok"].clone(), two.publish("2")["ok"].clone()), (json!(true), json!(true)));
    assert_eq!(two.publish("3")["message"], "the registry holds at most 2 names");
    let full = lookup(&server.address().to_string(), "1", Wait::No).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoMemory);
    assert!(full.message().ends_with("the registry has at most 2 connections"), "{full}");
    drop(one);
    until(|| two.names() == ["2"]);
    assert_eq!(Raw::new(&server).names(), ["2"]);
}

#[test]
fn who_takes_too_long_is_left() {
    let patience = Duration::from_millis(50);
    let server = serve_with(Limits { patience, idle: patience, ..Limits::default() });
    // Half a line.
    let mut half = Raw::new(&server);
    half.send("{");
    assert_eq!(half.answer(), Value::Null);
    // Silent without a name; with one it stays.
    let mut producer = Raw::new(&server);
    assert_eq!(producer.publish("x")["ok"], true);
    assert_eq!(Raw::new(&server).answer(), Value::Null);
    // Asks and asks, and takes no answer.
    let mut greedy = Raw::new(&server);
    let requests = "{\"v\":1,\"op\":\"list\"}\n".repeat(10_000);
    while greedy.0.get_mut().write_all(requests.as_bytes()).is_ok() {}
    // A lookup that waits is no silence.
    let late = lookup(&server.address().to_string(), "y", Wait::For(4 * patience)).unwrap();
    assert_eq!((late, producer.names()), (None, vec!["x".to_owned()]));
}

#[test]
fn lists_of_any_length() {
    let server = serve();
    let mut producer = Raw::new(&server);
    let long = "z".repeat(20_000);
    for i in 0..100 {
        let name = format!("{i:03}");
        let request = json!({"v": 1, "op": "publish", "name": name, "params": {"long": long}});
        assert_eq!(producer.ask(request)["ok"], true);
    }
    let names: Vec<String> =
        list(&server.address().to_string()).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, (0..100).map(|i| format!("{i:03}")).collect::<Vec<_>>());
}

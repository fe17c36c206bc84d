//! `aqueduct stream`: a registry in a process of its own, producers that are published there, killed and restarted, and what the commands show of their
//! streams.

mod cli;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aqueduct::error::ErrorKind;
use aqueduct::ring::Wait;
use aqueduct::signal::array::Layout;
use aqueduct::signal::input::{Input, Received};
use aqueduct::signal::open::{InputConfig, OutputConfig};
use aqueduct::signal::output::{Output, Sent};
use aqueduct::signal::params::Params;
use aqueduct::signal::registry::{Publication, list, lookup};
use cli::{Finished, Receiver, aqueduct, run};
use serde_json::{Value, json};

/// Longer, and it hangs.
const GUARD: Duration = Duration::from_secs(60);
const WAIT: Wait = Wait::For(GUARD);

/// The environment variable by which this test binary knows that it is to be the producer: endpoint and params.
const PRODUCER: &str = "AQUEDUCT_TEST_STREAM_PRODUCER";

fn params(changes: Value) -> Params {
    let mut all =
        json!({"protocol": "shm", "dtype": "<i2", "shape": [-1, 2], "sample_rate": 250, "units": "mV"});
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    Params::from_json(&all.to_string()).unwrap()
}

fn open(changes: Value) -> Output {
    Output::open(params(changes), &OutputConfig::default()).unwrap()
}

/// Sends frames of two channels: frame i is i and -i.
fn send(output: &mut Output, range: std::ops::Range<u64>) {
    let data: Vec<u8> =
        range.clone().flat_map(|i| [i as i16, -(i as i16)]).flat_map(i16::to_le_bytes).collect();
    let layout = Layout::c_order(2, &[range.clone().count(), 2]).unwrap();
    let sent = output.send_shared(data.into(), layout, Some(range.end), WAIT).unwrap();
    assert!(matches!(sent, Sent::Taken(published) if !published.timed_out), "{sent:?}");
}

/// Waits for an input.
fn until(mut so: impl FnMut() -> bool) {
    let guard = Instant::now() + GUARD;
    while !so() {
        assert!(Instant::now() < guard, "it never comes to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_for_input(output: &mut Output) {
    until(|| output.input_count().unwrap() > 0);
}

/// The program with arguments that may have blanks in them.
fn stream(arguments: &[&str]) -> Command {
    let mut command = aqueduct("stream");
    command.args(arguments);
    command
}

fn registry(address: &str) -> Receiver {
    Receiver::run(stream(&["serve", "--listen", address]))
}

/// Another process that publishes a stream and sends without end. Killed when dropped.
struct Producer {
    child: Child,
    /// Keeps the pipe open.
    _lines: BufReader<ChildStdout>,
}

impl Producer {
    fn start(endpoint: &str, name: &str, params: &Params) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "producer_process", "--nocapture", "--test-threads=1"])
            .env(PRODUCER, json!([endpoint, name, params.to_json()]).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.ends_with("published\n") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the producer ended early");
        }
        Self { child, _lines: lines }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test by itself.
#[test]
fn producer_process() {
    let Ok(told) = std::env::var(PRODUCER) else { return };
    let told: Vec<String> = serde_json::from_str(&told).unwrap();
    let mut output = Output::open(Params::from_json(&told[2]).unwrap(), &OutputConfig::default()).unwrap();
    let _publication = Publication::new(&told[0], &told[1], output.params()).unwrap();
    println!("published");
    let end = Instant::now() + 2 * GUARD;
    let mut index = 0;
    while Instant::now() < end {
        send(&mut output, index..index + 10);
        index += 10;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn check(received: &Received) {
    let start = received.chunk.start() as i16;
    assert_eq!(received.chunk.data[..2], start.to_le_bytes());
    assert_eq!(received.chunk.data[2..4], (-start).to_le_bytes());
}

#[test]
fn a_producer_is_found_killed_and_found_again() {
    let server = registry("127.0.0.1:0");
    let endpoint = server.address.clone();
    let protocols = if cfg!(feature = "zmq") { &["shm", "tcp"][..] } else { &["shm"] };
    for protocol in protocols {
        let params = params(json!({"protocol": protocol}));
        let producer = Producer::start(&endpoint, "eeg", &params);
        let found = lookup(&endpoint, "eeg", WAIT).unwrap().unwrap();
        assert!(found.holder.contains(&format!(", pid {})", producer.child.id())), "{}", found.holder);
        let mut input = Input::connect(found.params().unwrap(), &InputConfig::default()).unwrap();
        for _ in 0..10 {
            check(&input.receive(WAIT).unwrap());
        }
        let taken = Publication::new(&endpoint, "eeg", &params).unwrap_err();
        assert!(taken.message().contains(&found.holder), "{taken}");
        // By SIGKILL.
        drop(producer);
        until(|| lookup(&endpoint, "eeg", Wait::No).unwrap().is_none());
        assert_eq!(list(&endpoint).unwrap(), []);
    }
}

#[test]
fn a_registry_that_is_killed_and_restarted_has_its_names_again() {
    let server = registry("127.0.0.1:0");
    let endpoint = server.address.clone();
    let _producer = Producer::start(&endpoint, "eeg", &params(json!({})));
    // By SIGKILL.
    drop(server);
    let down = lookup(&endpoint, "eeg", WAIT).unwrap_err();
    assert_eq!(down.kind(), ErrorKind::Io);
    assert!(down.message().contains(&endpoint), "{down}");
    let finished = run(&format!("stream ls --registry {endpoint}"));
    let expected =
        format!("aqueduct: error: registry {endpoint}: nobody answers: Connection refused (os error 111)\n");
    assert_eq!((finished.status, finished.stderr), (1, expected));
    let _again = registry(&endpoint);
    let found = lookup(&endpoint, "eeg", WAIT).unwrap().unwrap();
    let mut input = Input::connect(found.params().unwrap(), &InputConfig::default()).unwrap();
    check(&input.receive(WAIT).unwrap());
}

#[test]
fn serve_says_where_and_why_not() {
    let server = registry("127.0.0.1:0");
    let endpoint = server.address.clone();
    let taken = run(&format!("stream serve --listen {endpoint}"));
    let expected =
        format!("aqueduct: error: registry: listen on {endpoint}: Address already in use (os error 98)\n");
    assert_eq!((taken.status, taken.stderr), (1, expected));
    let wrong = run("stream serve --listen nowhere");
    assert_eq!(wrong.status, 2);
    assert!(wrong.stderr.contains("endpoint must be HOST:PORT"), "{}", wrong.stderr);
    let nobody = run(&format!("stream info eeg --registry {endpoint}"));
    let expected = format!("aqueduct: error: no stream is published as \"eeg\" at {endpoint}\n");
    assert_eq!((nobody.status, nobody.stderr), (1, expected));
    server.signal("INT");
    let (status, lines, stderr) = server.finish();
    assert_eq!((status.code(), lines.len(), stderr.as_str()), (Some(0), 0, ""));
}

#[test]
fn a_thousand_connections() {
    let server = registry("127.0.0.1:0");
    let output = open(json!({}));
    let _publication = Publication::new(&server.address, "eeg", output.params()).unwrap();
    let mut crowd = Vec::new();
    for i in 0..1000 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        // A third half a line, a third noise, a third nothing.
        let bytes: &[u8] = [&b"{\"v\":1,\"op\":"[..], b"\0\xff\n", b""][i % 3];
        stream.write_all(bytes).unwrap();
        crowd.push(stream);
    }
    let found = lookup(&server.address, "eeg", Wait::No).unwrap().unwrap();
    assert_eq!(found.params().unwrap(), *output.params());
    for (i, mut stream) in crowd.into_iter().enumerate().filter(|(i, _)| i % 3 == 1) {
        let mut said = String::new();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.contains("malformed"), "{i}: {said}");
    }
    assert_eq!(list(&server.address).unwrap().len(), 1);
}

#[test]
fn streams_are_listed_and_told_about() {
    let server = registry("127.0.0.1:0");
    let output = open(json!({"channel_info": [{"name": "Fz"}]}));
    let lost = params(json!({"interface": "aqueduct-nobody", "dtype": "<f4", "shape": [-1]}));
    let _eeg = Publication::new(&server.address, "eeg", output.params()).unwrap();
    let _lost = Publication::new(&server.address, "b lost", &lost).unwrap();
    let finished = run(&format!("stream ls --registry {}", server.address));
    let address = output.params().address();
    let width = address.len();
    let expected = format!(
        "NAME    {:width$}  DTYPE  SHAPE    RATE    ALIVE\n\
         b lost  {:width$}  <f4    [-1]     250 Hz  no\n\
         eeg     {:width$}  <i2    [-1, 2]  250 Hz  yes\n",
        "ADDRESS", "shm://aqueduct-nobody", address
    );
    assert_eq!((finished.status, finished.stdout, finished.stderr), (0, expected, String::new()));

    let finished = run(&format!("stream ls --json --registry {}", server.address));
    let lines: Vec<Value> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["name"], &lines[0]["alive"]), (&json!("b lost"), &json!(false)));
    let sent: Value = serde_json::from_str(&output.params().to_json()).unwrap();
    assert_eq!((&lines[1]["params"], &lines[1]["alive"]), (&sent, &json!(true)));
    assert_eq!(lines[1]["address"], address);

    let finished = run(&format!("stream info eeg --registry {}", server.address));
    assert_eq!(finished.status, 0);
    for line in [
        format!("eeg: {address}"),
        "  protocol      shm".into(),
        "  sample_rate   250.0".into(),
        "  units         mV".into(),
        "  shape         [-1,2]".into(),
        "  channel_info  [{\"name\":\"Fz\"}]".into(),
    ] {
        assert!(finished.stdout.lines().any(|found| found == line), "{line:?} in {}", finished.stdout);
    }
    let finished = run(&format!("stream info eeg --json --registry {}", server.address));
    assert_eq!(Params::from_json(&finished.stdout).unwrap(), *output.params());
}

/// Starts `tail` or `plot` of an output, and waits until it is connected.
fn watch(output: &mut Output, arguments: &[&str]) -> Receiver {
    let json = output.params().to_json();
    let watcher = Receiver::run(stream(&[arguments, &[&json]].concat()));
    let expected = format!("{0} at {0}: <i2 [-1, 2], 250 Hz", output.params().address());
    assert_eq!(watcher.address, expected);
    wait_for_input(output);
    watcher
}

#[test]
fn tail_prints_frames_and_gaps() {
    let mut output = open(json!({}));
    let tail = watch(&mut output, &["tail"]);
    send(&mut output, 0..3);
    send(&mut output, 5..6);
    send(&mut output, 1_000..1_001);
    drop(output);
    let (status, lines, stderr) = tail.finish();
    assert_eq!(
        lines,
        [
            "         0  0 0",
            "         1  1 -1",
            "         2  2 -2",
            "       gap  3..5, 2 frames",
            "         5  5 -5",
            "       gap  6..1000, 994 frames",
            "      1000  1000 -1000",
        ]
    );
    let expected = "the stream has ended\n\
                    received 5 frames in 3 chunks, 20 B; 2 gaps, 996 frames missing\n";
    assert_eq!((status.code(), stderr.as_str()), (Some(0), expected));
}

#[test]
fn tail_by_name_as_much_as_is_wanted() {
    let server = registry("127.0.0.1:0");
    let mut output = open(json!({}));
    let mut command = stream(&["tail", "eeg", "-n", "4", "--channels", "1", "--wait", "60"]);
    command.args(["--registry", &server.address]);
    let publish = std::thread::spawn({
        let (address, params) = (server.address.clone(), output.params().clone());
        move || Publication::new(&address, "eeg", &params).unwrap()
    });
    let tail = Receiver::run(command);
    wait_for_input(&mut output);
    send(&mut output, 0..3);
    send(&mut output, 3..9);
    let (status, lines, stderr) = tail.finish();
    assert_eq!(lines, ["         0  0", "         1  -1", "         2  -2", "         3  -3"]);
    assert!(stderr.starts_with("received 9 frames in 2 chunks"), "{stderr}");
    assert_eq!(status.code(), Some(0));
    drop(publish.join().unwrap());
}

#[test]
fn tail_prints_no_more_lines_than_allowed() {
    let mut output = open(json!({}));
    let tail = watch(&mut output, &["tail", "--rate", "3"]);
    send(&mut output, 0..1000);
    drop(output);
    let (_, lines, stderr) = tail.finish();
    let expected =
        ["         0  0 0", "         1  1 -1", "         2  2 -2", " not shown  3..1000, 997 frames"];
    assert_eq!(lines, expected);
    assert!(stderr.ends_with("; 997 frames not shown\n"), "{stderr}");
}

#[test]
fn tail_raw_is_the_bytes_alone() {
    let mut output = open(json!({}));
    let json = output.params().to_json();
    let mut child = stream(&["tail", "--raw", "-n", "4", &json])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_input(&mut output);
    send(&mut output, 0..2);
    send(&mut output, 7..10);
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    let finished = child.wait_with_output().unwrap();
    let expected: Vec<u8> = [0i16, 0, 1, -1, 7, -7, 8, -8].into_iter().flat_map(i16::to_le_bytes).collect();
    assert_eq!(bytes, expected);
    let stderr = String::from_utf8(finished.stderr).unwrap();
    assert!(stderr.lines().any(|line| line == "gap  2..7, 5 frames"), "{stderr}");
}

#[test]
fn tail_ends_cleanly_when_interrupted() {
    let mut output = open(json!({}));
    let mut tail = watch(&mut output, &["tail"]);
    send(&mut output, 0..2);
    for _ in 0..2 {
        tail.stdout.next().unwrap().unwrap();
    }
    tail.signal("INT");
    let (status, lines, stderr) = tail.finish();
    assert_eq!((status.code(), lines.len()), (Some(0), 0));
    assert_eq!(stderr, "received 2 frames in 1 chunks, 8 B; 0 gaps, 0 frames missing\n");
}

/// The numbers of an attribute such as `points`.
fn numbers(text: &str, attribute: &str) -> Vec<Vec<f64>> {
    let before = format!(" {attribute}=\"");
    let parts = text.split(before.as_str()).skip(1);
    parts
        .map(|part| {
            let value = part.split('"').next().unwrap();
            value.split([' ', ',']).map(|number| number.parse().unwrap()).collect()
        })
        .collect()
}

#[test]
fn plots_as_svg() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.svg");
    let mut output = open(json!({"scale": 0.5, "offset": 1.0, "units": "<mV>"}));
    let plot = watch(&mut output, &["plot", "-n", "11", "--svg", path.to_str().unwrap()]);
    send(&mut output, 100..104);
    send(&mut output, 106..111);
    let (status, lines, stderr) = plot.finish();
    assert_eq!((status.code(), lines.len()), (Some(0), 0), "{stderr}");
    let svg = std::fs::read_to_string(&path).unwrap();
    // Two channels, each in two pieces: frames 100 to 103, and 106 to 110.
    let pieces = numbers(&svg, "points");
    assert_eq!(pieces.len(), 4, "{svg}");
    // The field is 90 to 940 wide and 50 to 420 high; 11 frames; from 1 - 55 to 1 + 55.
    let x = |frame: f64| 90.0 + (frame - 100.0) / 10.0 * 850.0;
    let y = |value: f64| 420.0 - (value + 54.0) / 110.0 * 370.0;
    for (piece, (frames, sign)) in
        pieces.iter().zip([(100..104, 1.0), (106..111, 1.0), (100..104, -1.0), (106..111, -1.0)])
    {
        let expected: Vec<f64> =
            frames.flat_map(|frame| [x(f64::from(frame)), y(1.0 + sign * 0.5 * f64::from(frame))]).collect();
        assert_eq!(piece.len(), expected.len());
        let close = piece.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 0.01);
        assert!(close, "{piece:?} {expected:?}");
    }
    for text in ["time / s", "value / &lt;mV&gt;", ">0.400<", ">0.440<", ">-40<", ">40<", "<title>1</title>"]
    {
        assert!(svg.contains(text), "{text:?} in {svg}");
    }
    let json = output.params().to_json();
    let again = stream(&["plot", "--svg", path.to_str().unwrap(), &json]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8(again.stderr).unwrap().contains("exists already"));
}

#[test]
fn plots_as_text_what_there_is() {
    let mut output = open(json!({}));
    let plot = watch(&mut output, &["plot", "-n", "100", "--channels", "1"]);
    send(&mut output, 0..51);
    drop(output);
    let (status, lines, stderr) = plot.finish();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(lines.len(), 20);
    assert!(lines[0].starts_with("  0.0 │⠉") || lines[0].starts_with("  0.0 │⠑"), "{}", lines[0]);
    assert!(lines[16].starts_with("-50.0 │") && !lines[16].ends_with('\u{2800}'), "{}", lines[16]);
    assert!(lines[18].starts_with("       0.00") && lines[18].ends_with("0.20 s"), "{}", lines[18]);
    assert_eq!(lines[19], "       1 / mV");
    assert!(lines.iter().all(|line| !line.contains('\x1b')));
}

#[test]
fn what_cannot_be_watched() {
    let fails = |arguments: &[&str], status: i32, what: &str| {
        let output = stream(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        assert!(stderr.contains(what), "{stderr}");
    };
    fails(&["tail", "{"], 2, "params: not JSON");
    fails(&["tail", r#"{"shape":[0]}"#], 2, "shape must be");
    let gone = r#"{"protocol":"shm","interface":"aqueduct-nobody"}"#;
    fails(&["tail", gone], 1, "aqueduct-nobody");
    fails(&["tail", gone, "--channels", "1"], 2, "there are channels 0 to 0 (got 1)");
    fails(&["plot", r#"{"dtype":"S4"}"#], 1, "there are no numbers to plot");
    fails(&["plot", gone, "-n", "99999999"], 2, "frames * channels must be at most");
    let Finished { status, stdout, .. } = run("stream --help");
    assert_eq!(status, 0);
    for command in ["ls", "info", "tail", "plot", "serve"] {
        assert!(stdout.contains(&format!("\n  {command} ")), "{stdout}");
    }
}

//! `aqueduct h5 play`: what it plays, `aqueduct stream tail` reads, byte for byte.

mod cli;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use aqueduct::dataset::record::{RecordConfig, Recorder};
use aqueduct::ring::Wait;
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::params::Params;
use cli::{aqueduct, run};

/// 1000 rows of two numbers.
fn record(path: &Path) -> Vec<u8> {
    let mut params = Params::new(parse_dtype("<i2").unwrap(), &[-1, 2]);
    (params.sample_rate, params.units) = (1e6, "mV".into());
    let rows: Vec<u8> = (0..2000u16).flat_map(u16::to_le_bytes).collect();
    let recorder = Recorder::new(RecordConfig::of_stream(path, "raw/adc", &params), None).unwrap();
    assert_eq!(recorder.put_rows(&rows, None, Wait::Forever).unwrap(), 1000);
    recorder.stop().unwrap();
    rows
}

/// What `stream tail --raw` writes of what `h5 play` plays.
fn tail(path: &Path, options: &str, frames: u64) -> (Params, Vec<u8>) {
    let mut player = aqueduct(&format!("h5 play {} raw/adc --inputs 1 {options}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(player.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let tail = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(["stream", "tail", line.trim(), "--raw", "-n", &frames.to_string()])
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
    let played = player.wait_with_output().unwrap();
    let said = String::from_utf8(played.stderr).unwrap();
    assert!(played.status.success(), "{said}");
    assert!(said.contains(&format!("{frames} rows in ")), "{said}");
    (Params::from_json(&line).unwrap(), tail.stdout)
}

#[test]
fn what_is_played_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    let rows = record(&path);
    let (params, bytes) = tail(&path, "", 1000);
    assert!(bytes == rows);
    assert_eq!((params.sample_rate, params.units.as_str()), (1e6, "mV"));
    let (params, bytes) = tail(&path, "--rate 50000 --start 10 --stop 110 --loop 3 --chunk 7", 300);
    assert!(bytes == rows[40..440].repeat(3));
    assert_eq!(params.sample_rate, 50000.0);
    if cfg!(feature = "zmq") {
        assert!(tail(&path, "--protocol tcp --rate max", 1000).1 == rows);
        assert!(tail(&path, "--protocol ipc --rate max", 1000).1 == rows);
    }
}

#[test]
fn what_cannot_be_played_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.h5");
    record(&path);
    let path = path.display();
    for (arguments, status, words) in [
        (format!("h5 play {path} none"), 1, "dataset none of "),
        ("h5 play none.h5 none".to_owned(), 1, "open none.h5: No such file"),
        (
            format!("h5 play {path} raw/adc --start 1000"),
            2,
            "within 0 to 1000 of dataset raw/adc (got 1000 to 1000)",
        ),
        (format!("h5 play {path} raw/adc --rate 0"), 2, "must be a positive number of rows per second"),
        (
            format!("h5 play {path} raw/adc --protocol tcp --endpoint here"),
            2,
            "--endpoint must be HOST:PORT (got here)",
        ),
    ] {
        let finished = run(&arguments);
        assert_eq!(finished.status, status, "{arguments}: {}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
}

//! `aqueduct events`: what it says of files that are whole, damaged and torn, and what it makes of their packets.

mod cli;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aqueduct::event::frame::{EndMark, FileHeader, LossMark, packet_header};
use cli::{Finished, aqueduct, run};
use serde_json::{Value, json};
use tempfile::TempDir;

const LAYOUT: &str = "<header:B=170, time:Q, adc:h, level:f";

/// 2026-11-24T23:04:49.461783001Z
const TIME: u64 = 1_795_561_489_461_783_001;

/// A packet of [`LAYOUT`].
fn packet(number: u64) -> Vec<u8> {
    let adc = -(number as i16);
    [&[170][..], &number.to_le_bytes(), &adc.to_le_bytes(), &(number as f32 / 4.0).to_le_bytes()].concat()
}

/// Files of a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn add(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// Header 92 bytes; packets of 15 bytes in records of 31 at 92, 123, 154; a loss at 185; a packet at 225; the end at 256.
fn framed() -> Vec<u8> {
    let header =
        FileHeader { number: 7, created: TIME, layout: LAYOUT.into(), user: b"run 7 of us".to_vec() };
    let mut bytes = header.encode().unwrap();
    assert_eq!(bytes.len(), 92);
    for number in 0..4 {
        if number == 3 {
            let mark = LossMark { packets: 2, bytes: 30, first_time: TIME + 3, last_time: TIME + 4 };
            bytes.extend(mark.encode());
        }
        let data = packet(number);
        bytes.extend(packet_header(TIME + number, &data));
        bytes.extend(data);
    }
    bytes.extend(EndMark { packets: 4, lost: 2, time: TIME + 9 }.encode());
    bytes
}

fn packets(range: std::ops::Range<u64>) -> Vec<u8> {
    range.flat_map(packet).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn succeeds(arguments: &str) -> Finished {
    let finished = run(arguments);
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""), "{}", finished.stdout);
    finished
}

#[test]
fn a_whole_file_is_told_about() {
    let files = Files::new();
    let path = files.add("a.aqe", &framed());
    let finished = succeeds(&format!("events {path}"));
    let expected = format!(
        "{path}: framed, version 1, file 7, created 2026-11-24T23:04:49.461783001Z
  layout        {LAYOUT}
  header        11 bytes: \"run 7 of us\"
  packets       4, 60 bytes
  times         2026-11-24T23:04:49.461783001Z to 2026-11-24T23:04:49.461783004Z
  lost          2 packets, 30 bytes; loss marks: 1
  whole         yes
"
    );
    assert_eq!(finished.stdout, expected);

    let finished = succeeds(&format!("events {path} --json"));
    let expected = json!({
        "file": path, "format": "framed", "size": 288, "packets": 4, "bytes": 60,
        "header": {
            "version": 1, "number": 7, "created_ns": TIME, "layout": LAYOUT, "user_header": "run 7 of us",
        },
        "first_time_ns": TIME, "last_time_ns": TIME + 3,
        "losses": 1, "lost_packets": 2, "lost_bytes": 30,
        "damaged": 0, "damaged_bytes": 0, "damaged_ranges": [], "torn": null,
        "end": { "time_ns": TIME + 9, "agrees": true },
        "reserved": 0, "unfit": 0, "complete": true, "whole": true,
    });
    assert_eq!(lines(&finished.stdout), [expected]);
}

#[test]
fn records_are_listed() {
    let files = Files::new();
    let path = files.add("a.aqe", &framed());
    let finished = succeeds(&format!("events {path} --list --range 2..4"));
    let listed: Vec<&str> = finished.stdout.lines().take(3).collect();
    assert_eq!(
        listed,
        [
            "         2           154  2026-11-24T23:04:49.461783003Z  15 bytes  header=170 time=2 adc=-2 level=0.5",
            "      lost           185  2026-11-24T23:04:49.461783005Z  2 packets, 30 bytes, \
             since 2026-11-24T23:04:49.461783004Z",
            "         3           225  2026-11-24T23:04:49.461783004Z  15 bytes  header=170 time=3 adc=-3 level=0.75",
        ]
    );
    assert!(finished.stdout.lines().nth(3).unwrap().starts_with(&path), "{}", finished.stdout);

    let finished = succeeds(&format!("events {path} --list --json"));
    let listed = lines(&finished.stdout);
    assert_eq!(listed.len(), 7);
    assert_eq!(
        listed[1],
        json!({
            "file": path, "record": "packet", "number": 1, "offset": 123, "time_ns": TIME + 1, "size": 15,
            "values": { "header": 170, "time": 1, "adc": -1, "level": 0.25 },
        })
    );
    assert_eq!(
        listed[3],
        json!({
            "file": path, "record": "loss", "offset": 185, "packets": 2, "bytes": 30,
            "first_time_ns": TIME + 3, "time_ns": TIME + 4,
        })
    );
    assert_eq!(
        listed[5],
        json!({
            "file": path, "record": "end", "offset": 256, "time_ns": TIME + 9,
            "packets": 4, "lost_packets": 2, "agrees": true,
        })
    );
    assert_eq!(listed[6]["whole"], true);
}

#[test]
fn damage_and_tears_have_their_exact_place() {
    let files = Files::new();
    let mut bytes = framed();
    bytes[130] ^= 1;
    bytes.truncate(270);
    let path = files.add("a.aqe", &bytes);
    let finished = run(&format!("events {path} --list --extract {}", files.path("out").display()));
    assert_eq!(finished.status, 1);
    assert_eq!(finished.stderr, "");
    for part in [
        "   damaged           123  31 bytes\n",
        "      torn           256  14 bytes\n",
        "  packets       3, 45 bytes\n",
        "  damaged       31 bytes at byte 123\n",
        "  torn          14 bytes at byte 256\n",
        "  whole         NO: it was not closed\n",
    ] {
        assert!(finished.stdout.contains(part), "{part}{}", finished.stdout);
    }
    let good = [packets(0..1), packets(2..4)].concat();
    assert_eq!(std::fs::read(files.path("out")).unwrap(), good);
    let finished = run(&format!("events {path} --json"));
    let summary = &lines(&finished.stdout)[0];
    assert_eq!(summary["damaged_ranges"], json!([{ "offset": 123, "length": 31 }]));
    assert_eq!(summary["torn"], json!({ "offset": 256, "length": 14 }));
    assert_eq!((finished.status, &summary["whole"]), (1, &json!(false)));

    // Cut between two records, nothing is wrong but that it was not closed.
    let path = files.add("b.aqe", &framed()[..256]);
    let finished = succeeds(&format!("events {path}"));
    assert!(finished.stdout.contains("whole         NO: it was not closed\n"), "{}", finished.stdout);
    // An end that has other numbers.
    let path = files.add("c.aqe", &[&framed()[..225], &framed()[256..]].concat());
    let finished = run(&format!("events {path}"));
    assert_eq!(finished.status, 1);
    assert!(finished.stdout.contains("NO: its end says other numbers of packets\n"), "{}", finished.stdout);
}

#[test]
fn a_header_that_is_damaged_costs_only_itself() {
    let files = Files::new();
    let mut bytes = framed();
    bytes[50] ^= 1;
    let path = files.add("a.aqe", &bytes);
    let finished = run(&format!("events {path}"));
    assert_eq!((finished.status, finished.stdout.as_str()), (1, ""));
    let advice = "file header: damaged: its CRC is wrong; --salvage reads the rest";
    assert!(finished.stderr.contains(advice), "{}", finished.stderr);
    let finished = run(&format!("events {path} --salvage --csv - --layout {}", LAYOUT.replace(' ', "")));
    assert_eq!(finished.status, 1);
    assert_eq!(
        finished.stdout,
        "header,time,adc,level\n170,0,0,0.0\n170,1,-1,0.25\n170,2,-2,0.5\n170,3,-3,0.75\n"
    );
    assert!(finished.stderr.contains("framed, read without its header\n"), "{}", finished.stderr);
    assert!(finished.stderr.contains("damaged       92 bytes at byte 0\n"), "{}", finished.stderr);
}

#[test]
fn packets_are_extracted_and_converted() {
    let files = Files::new();
    let path = files.add("a.aqe", &framed());
    let out = |name: &str| files.path(name).display().to_string();
    succeeds(&format!("events {path} --extract {} --csv {} --text {}", out("raw"), out("csv"), out("text")));
    assert_eq!(std::fs::read(files.path("raw")).unwrap(), packets(0..4));
    let rows = "170,0,0,0.0\n170,1,-1,0.25\n170,2,-2,0.5\n170,3,-3,0.75\n";
    assert_eq!(files.read("csv"), format!("header,time,adc,level\n{rows}"));
    let text = files.read("text");
    assert!(text.starts_with("#Created on 2026-11-24 23:04:49.461783+00:00"), "{text}");
    assert!(text.ends_with(&format!("\n#header, time, adc, level\n{rows}")), "{text}");

    // What was extracted is a raw file.
    let raw = out("raw");
    let layout = LAYOUT.replace(' ', "");
    let again = succeeds(&format!("events {raw} --size 15 --extract {}", out("raw2")));
    assert_eq!(
        again.stdout,
        format!("{raw}: raw, packets of 15 bytes\n  packets       4, 60 bytes\n  whole         yes\n")
    );
    assert_eq!(std::fs::read(files.path("raw2")).unwrap(), packets(0..4));
    let again = run(&format!("events {raw} {path} --layout {layout} --range 1..3 --csv -"));
    assert_eq!(again.status, 0, "{}", again.stderr);
    assert_eq!(again.stdout, format!("header,time,adc,level\n{0}{0}", "170,1,-1,0.25\n170,2,-2,0.5\n"));
    assert!(
        again.stderr.contains("raw, packets of 15 bytes\n  packets       4, 60 bytes\n"),
        "{}",
        again.stderr
    );

    let torn = files.add("torn", &packets(0..4)[..50]);
    let finished = aqueduct(&format!("events {torn} --layout {layout} --extract -")).output().unwrap();
    assert_eq!((finished.status.code(), finished.stdout), (Some(1), packets(0..3)));
    let stderr = String::from_utf8(finished.stderr).unwrap();
    assert!(stderr.contains("torn          5 bytes at byte 45\n"), "{stderr}");
    assert!(stderr.contains("NO: the last packet is torn\n"), "{stderr}");
}

#[test]
fn packets_that_are_not_of_the_layout_are_left_out() {
    let files = Files::new();
    let mut bytes = packets(0..4);
    bytes[15] = 171;
    let path = files.add("raw", &bytes);
    let finished = run(&format!("events {path} --layout {} --csv -", LAYOUT.replace(' ', "")));
    assert_eq!(finished.status, 1);
    assert_eq!(finished.stdout.lines().count(), 4);
    assert_eq!(finished.stderr.matches("warning").count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("packet 1: "), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("left out      1 packets that are not of the layout\n"),
        "{}",
        finished.stderr
    );
}

#[test]
fn nothing_is_overwritten() {
    let files = Files::new();
    let path = files.add("a.aqe", &framed());
    let there = files.add("there", b"precious");
    for option in ["--extract", "--text", "--csv"] {
        for out in [&there, &path] {
            let finished = run(&format!("events {path} {option} {out}"));
            assert_eq!(finished.status, 1);
            let reason = format!("aqueduct: error: {out} exists already; it is not overwritten\n");
            assert_eq!(finished.stderr, reason);
        }
    }
    assert_eq!(files.read("there"), "precious");
    assert_eq!(std::fs::read(&path).unwrap(), framed());
    // Where the first file is not there, no output is made.
    let out = files.path("out");
    let finished = run(&format!("events /no/such --extract {}", out.display()));
    assert_eq!(finished.status, 1);
    assert!(!out.exists());
}

#[test]
fn several_files_each_have_their_say() {
    let files = Files::new();
    let good = files.add("good", &framed());
    let other = FileHeader { layout: "<a:B".into(), ..FileHeader::default() };
    let other = files.add("other", &other.encode().unwrap());
    let finished = run(&format!("events /no/such {good} {other} --json"));
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains("open /no/such: No such file"), "{}", finished.stderr);
    let summaries = lines(&finished.stdout);
    assert_eq!([&summaries[0]["file"], &summaries[1]["file"]], [&json!(good), &json!(other)]);
    // They cannot be one table.
    let finished = run(&format!("events {good} {other} --csv -"));
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains("another layout than those of the first file"), "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().count(), 5);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let files = Files::new();
    let data = packet(1);
    let record = [packet_header(TIME, &data).as_slice(), &data].concat();
    let bytes = [FileHeader::default().encode().unwrap(), record.repeat(200_000)].concat();
    let path = files.add("long", &bytes);
    for arguments in [format!("events {path} --list"), format!("events {path} --extract -")] {
        let mut child = aqueduct(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!String::from_utf8_lossy(&output.stderr).contains("error"));
    }
}

#[test]
fn an_interrupt_ends_it_with_what_is_known() {
    let files = Files::new();
    let path = files.add("endless", b"");
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let arguments = format!("events {path} --size 1000 --extract -");
    let mut child = aqueduct(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // It has begun, and the signal handler is there.
    stdout.read_exact(&mut [0]).unwrap();
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("whole         not known: read up to byte "), "{stderr}");
}

#[test]
fn what_is_wrong_is_explained() {
    let files = Files::new();
    let path = files.add("a.aqe", &framed());
    let raw = files.add("raw", b"something");
    let newer = files.add("newer", b"AQEVENT\n\x02\0\0\0\0\0\0\0");
    let bare = files.add("bare", &FileHeader::default().encode().unwrap());
    let missing = Path::new("/no/such/folder/out").display();
    for (arguments, status, part) in [
        ("events".to_owned(), 2, "<FILE>..."),
        (format!("events {path} --range 3..2"), 2, "must be A..B"),
        (format!("events {path} --size 0"), 2, "must be at least 1"),
        (format!("events {path} --layout nonsense"), 2, "--layout"),
        (format!("events {path} --list --csv -"), 2, "only one of --list"),
        (format!("events {path} --text - --csv -"), 2, "only one of --list"),
        (
            format!("events {raw}"),
            1,
            "not a framed event file, which begins with AQEVENT; --size or --layout",
        ),
        (format!("events {newer}"), 1, "version 2; this library reads versions up to 1"),
        ("events /dev/null".into(), 1, "/dev/null must be a regular file"),
        (format!("events {bare} --csv -"), 1, "its packets' layout is not known; --layout tells it"),
        (format!("events {path} --csv {missing}"), 1, "create /no/such/folder/out: No such file"),
    ] {
        let finished = run(&arguments);
        assert_eq!(finished.status, status, "{arguments}: {}", finished.stderr);
        assert!(finished.stderr.contains(part), "{arguments}: {}", finished.stderr);
    }
}

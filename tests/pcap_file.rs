//! Capture files, written byte by byte or captured by tcpdump, through `PcapFile`.

#![cfg(feature = "pcap")]

#[path = "data/mod.rs"]
mod data;

use std::path::PathBuf;
use std::time::Duration;

use aqueduct::error::ErrorKind;
use aqueduct::recv::reader::pcap::{LinkType, PcapFile, Skip};
use tempfile::TempDir;

/// How a classic file is written.
#[derive(Clone, Copy)]
struct Style {
    big_endian: bool,
    nanoseconds: bool,
    link: u32,
}

const LITTLE: Style = Style { big_endian: false, nanoseconds: false, link: 1 };

impl Style {
    fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| if self.big_endian { w.to_be_bytes() } else { w.to_le_bytes() }).collect()
    }

    fn header(self) -> Vec<u8> {
        let magic = if self.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let version = if self.big_endian { 0x0002_0004 } else { 0x0004_0002 };
        self.words(&[magic, version, 0, 0, 262_144, self.link])
    }

    fn record(self, seconds: u32, fraction: u32, original_len: u32, frame: &[u8]) -> Vec<u8> {
        let mut bytes = self.words(&[seconds, fraction, frame.len() as u32, original_len]);
        bytes.extend(frame);
        bytes
    }

    /// A file of whole frames, one per second.
    fn file(self, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.header();
        for (second, frame) in (1..).zip(frames) {
            bytes.extend(self.record(second, 5, frame.len() as u32, frame));
        }
        bytes
    }
}

/// IPv4 and UDP to `port` around `payload`.
fn packet(port: u16, payload: &[u8]) -> Vec<u8> {
    let udp = (8 + payload.len() as u16).to_be_bytes();
    let ip = (28 + payload.len() as u16).to_be_bytes();
    let port = port.to_be_bytes();
    let header = [0x45, 0, ip[0], ip[1], 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    [&header[..], &[1, 2, port[0], port[1], udp[0], udp[1], 0, 0], payload].concat()
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], packet].concat()
}

fn frame(port: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(&packet(port, payload))
}

/// A directory with one file in it.
struct Saved(TempDir);

impl Saved {
    fn new(bytes: &[u8]) -> Self {
        let saved = Self(tempfile::tempdir().unwrap());
        std::fs::write(saved.path(), bytes).unwrap();
        saved
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("saved.pcap")
    }

    fn open(&self) -> PcapFile {
        PcapFile::open(&self.path(), None).unwrap()
    }

    /// Kind and message of the error from opening; the message names the path.
    fn refusal(&self, filter: Option<&str>) -> (ErrorKind, String) {
        let error = PcapFile::open(&self.path(), filter).err().expect("must be refused");
        let shown = self.path().display().to_string();
        assert!(error.message().contains(&shown), "{error}");
        (error.kind(), error.message().replace(&shown, "FILE"))
    }
}

type Owned = (Result<Vec<u8>, Skip>, Duration, u64);

/// All records up to the end or the error.
fn read(file: &mut PcapFile) -> (Vec<Owned>, Option<(ErrorKind, String)>) {
    let mut records = Vec::new();
    loop {
        match file.next() {
            Ok(Some(record)) => records.push((record.payload.map(<[u8]>::to_vec), record.time, record.index)),
            Ok(None) => {
                assert!(file.next().unwrap().is_none(), "the end stays");
                return (records, None);
            }
            Err(error) => {
                assert_eq!(file.next().err().as_ref(), Some(&error), "the error stays");
                return (records, Some((error.kind(), error.message().to_owned())));
            }
        }
    }
}

#[test]
fn captures() {
    for (name, n) in data::CAPTURES {
        let mut file = PcapFile::open(&data::path(name), None).unwrap();
        assert_eq!(file.link_type(), LinkType::Ethernet);
        let (records, error) = read(&mut file);
        assert_eq!(error, None);
        let payloads: Vec<_> = records.iter().map(|record| record.0.clone().unwrap()).collect();
        assert_eq!(payloads.len(), n, "{name}");
        assert_eq!(payloads, data::datagrams(name), "{name}");
        assert!(records.iter().map(|record| record.2).eq(1..=n as u64), "{name}");
    }
    // As tcpdump shows it: 09:33:19.739879 on the day of capture.
    let mut file = PcapFile::open(&data::path("chunks_1472_48"), None).unwrap();
    let first = file.next().unwrap().unwrap().time;
    assert_eq!((first.as_secs() % 86400, first.subsec_nanos()), (9 * 3600 + 33 * 60 + 19, 739_879_000));
}

#[test]
fn byte_orders_and_resolutions() {
    for big_endian in [false, true] {
        for nanoseconds in [false, true] {
            let style = Style { big_endian, nanoseconds, link: 1 };
            let mut bytes = style.header();
            bytes.extend(style.record(1_700_000_000, 999_999, 50, &frame(7148, b"payload.")));
            bytes.extend(style.record(u32::MAX, u32::MAX, 50, &frame(7148, b"payload.")));
            let saved = Saved::new(&bytes);
            let (records, error) = read(&mut saved.open());
            assert_eq!(error, None);
            let scale = if nanoseconds { 1 } else { 1000 };
            assert_eq!(records[0].0.as_deref(), Ok(&b"payload."[..]));
            assert_eq!(records[0].1, Duration::new(1_700_000_000, 999_999 * scale));
            let nonsense = Duration::from_nanos(u64::from(u32::MAX) * u64::from(scale));
            assert_eq!(records[1].1, Duration::from_secs(u32::MAX.into()) + nonsense);
        }
    }
}

#[test]
fn every_link_type() {
    let packet = packet(7148, b"spead");
    for (number, link, header) in [
        (0, LinkType::Null, vec![2, 0, 0, 0]),
        (1, LinkType::Ethernet, vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 1, 8, 0]),
        (12, LinkType::Raw, vec![]),
        (101, LinkType::Raw, vec![]),
        (108, LinkType::Null, vec![0, 0, 0, 2]),
        (113, LinkType::LinuxSll, vec![0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]),
        (228, LinkType::Raw, vec![]),
        (276, LinkType::LinuxSll2, vec![8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let frame = [header, packet.clone()].concat();
        let saved = Saved::new(&Style { link: number, ..LITTLE }.file(&[frame]));
        // 802.1Q needs a word in the filter; the others take the plain one.
        let filter = if number == 1 { "vlan and udp dst port 7148" } else { "udp dst port 7148" };
        for filter in [None, Some(filter)] {
            let mut file = PcapFile::open(&saved.path(), filter).unwrap();
            assert_eq!(file.link_type(), link);
            let (records, error) = read(&mut file);
            assert_eq!((records.len(), &error), (1, &None), "{number} {filter:?}");
            assert_eq!(records[0].0.as_deref(), Ok(&b"spead"[..]), "{number}");
        }
        let mut file = PcapFile::open(&saved.path(), Some("tcp")).unwrap();
        assert!(file.next().unwrap().is_none(), "{number}");
    }
    let body = [0, 1, 0, 2, 0, 9, 0, 0, 6];
    let ipv6 = [&[0x60, 0, 0, 0, 0, 9, 17, 1], &[0; 32][..], &body].concat();
    let saved = Saved::new(&Style { link: 229, ..LITTLE }.file(&[ipv6]));
    let mut file = PcapFile::open(&saved.path(), Some("udp dst port 2")).unwrap();
    assert_eq!(file.next().unwrap().unwrap().payload, Ok(&[6][..]));
}

#[test]
fn skipped_records_are_records() {
    let whole = frame(7148, b"spead");
    let mut fragment = whole.clone();
    fragment[20] = 0x20;
    let mut lying = whole.clone();
    lying[39] += 1;
    let arp = [&whole[..12], &[8, 6], &whole[14..]].concat();
    let mut bytes = LITTLE.header();
    for (original_len, frame) in [
        (47, &whole[..]),
        (47, &fragment),
        (47, &lying),
        (47, &arp),
        (47, &whole[..46]),
        (1500, &[]),
        (0, &whole),
    ] {
        bytes.extend(LITTLE.record(0, 0, original_len, frame));
    }
    let saved = Saved::new(&bytes);
    let (records, error) = read(&mut saved.open());
    assert_eq!(error, None);
    let payloads: Vec<_> = records.iter().map(|record| record.0.as_deref().map_err(|skip| *skip)).collect();
    let spead = Ok(&b"spead"[..]);
    let skips = [Skip::Fragment, Skip::BadLength, Skip::NotUdp, Skip::Truncated, Skip::Truncated].map(Err);
    assert_eq!(payloads, [&[spead], &skips[..], &[spead]].concat());
    assert!(records.iter().map(|record| record.2).eq(1..=7));
}

#[test]
fn filter() {
    let frames: Vec<_> = (0..20).map(|n| frame(7000 + n % 3, &[n as u8])).collect();
    let saved = Saved::new(&LITTLE.file(&frames));
    let mut file = PcapFile::open(&saved.path(), Some("udp and dst port 7001")).unwrap();
    let (records, error) = read(&mut file);
    assert_eq!(error, None);
    let found: Vec<_> = records.iter().map(|record| (record.0.clone().unwrap()[0], record.2)).collect();
    assert_eq!(found, [(1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (19, 20)]);
}

#[test]
fn refusals() {
    let missing = PcapFile::open(&PathBuf::from("/nonexistent/x.pcap"), None).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert_eq!(missing.message(), "open /nonexistent/x.pcap: No such file or directory (os error 2)");
    let directory = tempfile::tempdir().unwrap();
    let error = PcapFile::open(directory.path(), None).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");

    let good = LITTLE.file(&[frame(1, b"x")]);
    let refusal = |bytes: &[u8]| Saved::new(bytes).refusal(None);
    assert_eq!(refusal(b""), (ErrorKind::Truncated, "FILE: the file is empty".into()));
    for n in 4..24 {
        let message = format!("FILE: the file ends after {n} of its 24 header bytes");
        assert_eq!(refusal(&good[..n]), (ErrorKind::Truncated, message));
    }
    assert_eq!(refusal(b"hello").0, ErrorKind::Format);
    for text in [&b"this is certainly not a capture file"[..], &[0; 4096], &[0xff; 4096]] {
        let (kind, message) = refusal(text);
        assert_eq!(kind, ErrorKind::Format, "{message}");
        assert!(message.starts_with("FILE: not a capture file: "), "{message}");
    }
    for (link, name) in [(105, " (IEEE802_11)"), (147, ""), (60_000, "")] {
        let (kind, message) = refusal(&Style { link, ..LITTLE }.file(&[]));
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(message.starts_with(&format!("FILE: link type {link}{name} is not supported")), "{message}");
    }
    for filter in ["udp port", "no such thing", "(", "port 99999999", "udp\0"] {
        let (kind, message) = Saved::new(&good).refusal(Some(filter));
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(
            message.starts_with(&format!("filter \"{}\" for FILE: ", filter.escape_default())),
            "{message}"
        );
    }
    // The empty filter passes everything, as with tcpdump.
    assert!(PcapFile::open(&Saved::new(&good).path(), Some("")).is_ok());
    // A file without records is a capture.
    assert!(Saved::new(&LITTLE.header()).open().next().unwrap().is_none());
}

#[test]
fn truncated_anywhere() {
    let frames: Vec<_> = (0..3).map(|n| frame(7148, &vec![n; usize::from(n)])).collect();
    let bytes = LITTLE.file(&frames);
    let starts = [24, 24 + 58, 24 + 58 + 59, bytes.len()];
    let saved = Saved::new(&[]);
    for n in 24..=bytes.len() {
        std::fs::write(saved.path(), &bytes[..n]).unwrap();
        let (records, error) = read(&mut saved.open());
        let complete = starts.iter().filter(|start| **start <= n).count() - 1;
        assert_eq!(records.len(), complete, "{n}");
        let expected = (n > starts[complete]).then(|| {
            let got = n - starts[complete];
            let (got, of, what) =
                if got < 16 { (got, 16, "header") } else { (got - 16, frames[complete].len(), "frame") };
            let place =
                format!("{}: record {} at byte {}", saved.path().display(), complete + 1, starts[complete]);
            (ErrorKind::Truncated, format!("{place}: the file ends after {got} of {of} bytes of its {what}"))
        });
        assert_eq!(error, expected, "{n}");
    }
}

#[test]
fn impossible_records() {
    let mut good = LITTLE.file(&[frame(7148, b"spead"), frame(7148, b"spead")]);
    let place = good.len();
    // The longest that libpcap accepts is read, whatever is in it.
    good.extend(LITTLE.record(0, 0, 262_144, &vec![0; 262_144]));
    good.extend(LITTLE.record(0, 0, 60, &frame(7148, b"spead")));
    let saved = Saved::new(&good);
    let (records, error) = read(&mut saved.open());
    assert_eq!((records.len(), error), (4, None));
    assert_eq!(records[2].0, Err(Skip::NotUdp));
    assert_eq!(records[3].0.as_deref(), Ok(&b"spead"[..]));
    for captured in [262_145u32, 1 << 20, u32::MAX] {
        let mut bad = good.clone();
        bad[place + 8..place + 12].copy_from_slice(&captured.to_le_bytes());
        std::fs::write(saved.path(), &bad).unwrap();
        let (records, error) = read(&mut saved.open());
        assert_eq!(records.len(), 2);
        let message = format!(
            "{}: record 3 at byte {place}: its captured length is impossible ({captured} bytes)",
            saved.path().display()
        );
        assert_eq!(error, Some((ErrorKind::Format, message)));
    }
}

/// Records cross the reader's blocks at every kind of place.
#[test]
fn longer_than_a_block() {
    let frames: Vec<_> =
        (0..9000u32).map(|n| frame(7148, &vec![n as u8; (n * 7919 % 1400) as usize])).collect();
    let bytes = LITTLE.file(&frames);
    assert!(bytes.len() > 5_000_000);
    let saved = Saved::new(&bytes);
    let (records, error) = read(&mut saved.open());
    assert_eq!(error, None);
    assert_eq!(records.len(), frames.len());
    for (record, frame) in records.iter().zip(&frames) {
        assert_eq!(record.0.as_deref(), Ok(&frame[42..]));
    }
    // Broken far from the start: the place is still right.
    let last = bytes.len() - frames.last().unwrap().len() - 16;
    std::fs::write(saved.path(), &bytes[..last + 5]).unwrap();
    let (records, error) = read(&mut saved.open());
    assert_eq!(records.len(), frames.len() - 1);
    assert!(error.unwrap().1.contains(&format!("record 9000 at byte {last}: ")));
}

/// A pcapng file: section, interface (Ethernet, with the given resolution), one enhanced packet block per frame.
fn pcapng(resolution: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let total = (12 + body.len() + padding.len()) as u32;
        let (kind, total) = (kind.to_le_bytes(), total.to_le_bytes());
        [&kind, &total, body, &padding, &total].concat()
    }
    let mut bytes =
        block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    bytes.extend(block(1, &[1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]));
    for (n, frame) in (1u64..).zip(frames) {
        let ticks = (n << 32) + 12_345;
        let len = frame.len() as u32;
        let words = [0, (ticks >> 32) as u32, ticks as u32, len, len];
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        body.extend(frame);
        bytes.extend(block(6, &body));
    }
    bytes
}

#[test]
fn pcapng_through_libpcap() {
    let frames: Vec<_> = (0..20).map(|n| frame(7000 + n % 3, &[n as u8; 5])).collect();
    for (resolution, second) in [(6, 1_000_000), (9, 1_000_000_000u64)] {
        let saved = Saved::new(&pcapng(resolution, &frames));
        let (records, error) = read(&mut saved.open());
        assert_eq!((records.len(), error), (20, None));
        for (n, record) in (1u64..).zip(&records) {
            assert_eq!(record.0.as_deref(), Ok(&frames[n as usize - 1][42..]));
            let ticks = (n << 32) + 12_345;
            assert_eq!(record.1, Duration::from_nanos(ticks * (1_000_000_000 / second)));
            assert_eq!(record.2, n);
        }
        let mut file = PcapFile::open(&saved.path(), Some("udp and dst port 7001")).unwrap();
        let found: Vec<_> = read(&mut file).0.iter().map(|record| record.2).collect();
        assert_eq!(found, [2, 5, 8, 11, 14, 17, 20]);
    }
}

#[test]
fn pcapng_truncated_or_corrupt() {
    let bytes = pcapng(6, &(0..3).map(|_| frame(7148, b"spead")).collect::<Vec<_>>());
    let block = 12 + 20 + 48;
    let start = bytes.len() - block;
    let saved = Saved::new(&[]);
    for n in start + 1..bytes.len() {
        std::fs::write(saved.path(), &bytes[..n]).unwrap();
        let (records, error) = read(&mut saved.open());
        let (kind, message) = error.expect("truncated");
        assert_eq!((records.len(), kind), (2, ErrorKind::Truncated), "{n} {message}");
        assert!(message.starts_with(&format!("{}: record 3: ", saved.path().display())), "{message}");
    }
    for length in [0u32, 8, 13, 0xffff_fff0] {
        let mut bad = bytes.clone();
        bad[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        std::fs::write(saved.path(), &bad).unwrap();
        let (records, error) = read(&mut saved.open());
        let (kind, message) = error.expect("corrupt");
        assert_eq!((records.len(), kind), (2, ErrorKind::Format), "{message}");
        assert!(message.contains("record 3: "), "{message}");
    }
    // A header that never gets to an interface.
    for n in 24..47 {
        std::fs::write(saved.path(), &bytes[..n]).unwrap();
        let (kind, message) = saved.refusal(None);
        assert!(matches!(kind, ErrorKind::Truncated | ErrorKind::Format), "{message}");
    }
}

/// Versions that this library does not read itself go to libpcap, which reads older ones than 2.4 and no others.
#[test]
fn other_versions() {
    let good = LITTLE.file(&[frame(7148, b"spead")]);
    for (major, minor, readable) in [(2, 3, true), (2, 4, true), (3, 0, false), (1, 4, false)] {
        let mut bytes = good.clone();
        (bytes[4], bytes[6]) = (major, minor);
        let saved = Saved::new(&bytes);
        if readable {
            assert_eq!(read(&mut saved.open()).0[0].0.as_deref(), Ok(&b"spead"[..]), "{major}.{minor}");
        } else {
            assert_eq!(saved.refusal(None).0, ErrorKind::Format, "{major}.{minor}");
        }
    }
}

#[test]
fn a_reader_can_move_to_another_thread() {
    let mut file = PcapFile::open(&data::path("items_48"), Some("udp")).unwrap();
    let n = std::thread::spawn(move || read(&mut file).0.len()).join().unwrap();
    assert_eq!(n, 26);
}

mod random {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Damage anywhere in a file ends in records, an end or an error; never in a panic or a loop.
        #[test]
        fn damaged_files(
            ng in any::<bool>(),
            filtered in any::<bool>(),
            damage in vec((any::<Index>(), any::<u8>()), 1..8),
            cut in any::<Index>(),
        ) {
            let frames: Vec<_> = (0..6).map(|n| frame(7148, &vec![n; 40 * usize::from(n)])).collect();
            let mut bytes = if ng { pcapng(9, &frames) } else { LITTLE.file(&frames) };
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(bytes.len() - cut.index(bytes.len() / 4));
            let saved = Saved::new(&bytes);
            if let Ok(mut file) = PcapFile::open(&saved.path(), filtered.then_some("udp")) {
                prop_assert!(read(&mut file).0.len() <= bytes.len() / 16);
            }
        }

        #[test]
        fn random_files(magic in 0..6usize, rest in vec(any::<u8>(), 0..400)) {
            let magic: &[u8] = [
                &[][..], &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0], &[0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4],
                &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0], &[0x0a, 0x0d, 0x0d, 0x0a], &[0x34, 0xcd, 0xb2, 0xa1, 2, 0, 4, 0],
            ][magic];
            let saved = Saved::new(&[magic, &rest].concat());
            if let Ok(mut file) = PcapFile::open(&saved.path(), None) {
                read(&mut file);
            }
        }
    }
}

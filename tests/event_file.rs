//! Framed event files: what is written is read, whatever has become of the rest.

use std::path::Path;

use aqueduct::error::ErrorKind;
use aqueduct::event::frame::{EndMark, FileHeader, LossMark, RECORD_HEADER, packet_header};
use aqueduct::event::reader::{Entry, EventFile, Summary};
use proptest::prelude::*;
use proptest::sample::Index;

/// A record to write, or as it was read.
#[derive(Debug, Clone, PartialEq)]
enum Record {
    Packet(u64, Vec<u8>),
    Loss(LossMark),
    End(EndMark, bool),
    Damaged(u64),
    Torn(u64),
}

/// Bytes of a file, and where its records begin and end.
struct Written {
    bytes: Vec<u8>,
    records: Vec<Record>,
    bounds: Vec<usize>,
}

/// Writes a file with an end mark that is right.
fn write(header: &FileHeader, records: &[Record]) -> Written {
    let mut records = records.to_vec();
    let (mut packets, mut lost) = (0, 0);
    for record in &records {
        match record {
            Record::Packet(..) => packets += 1,
            Record::Loss(mark) => lost += mark.packets,
            _ => {}
        }
    }
    records.push(Record::End(EndMark { packets, lost, time: 99 }, true));
    let mut bytes = header.encode().unwrap();
    let mut bounds = vec![bytes.len()];
    for record in &records {
        match record {
            Record::Packet(time, data) => {
                bytes.extend(packet_header(*time, data));
                bytes.extend(data);
            }
            Record::Loss(mark) => bytes.extend(mark.encode()),
            Record::End(mark, _) => bytes.extend(mark.encode()),
            other => panic!("{other:?}"),
        }
        bounds.push(bytes.len());
    }
    Written { bytes, records, bounds }
}

/// All that is in a file, with each entry's offset; checks what every file has to keep.
fn read_all(file: &mut EventFile) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    let mut numbers = 0;
    let mut end = file.offset();
    while let Some(entry) = file.next().unwrap() {
        let (at, length, record) = match entry {
            Entry::Packet { number, offset, time, data } => {
                assert_eq!(number, numbers);
                numbers += 1;
                (offset, RECORD_HEADER + data.len(), Record::Packet(time, data.to_vec()))
            }
            Entry::Loss { offset, mark } => (offset, 40, Record::Loss(mark)),
            Entry::End { offset, mark, agrees } => (offset, 32, Record::End(mark, agrees)),
            Entry::Damaged { offset, length } => (offset, length as usize, Record::Damaged(length)),
            Entry::Torn { offset, length } => (offset, length as usize, Record::Torn(length)),
        };
        assert_eq!(at, end, "every byte is in one entry");
        end = at + length as u64;
        assert_eq!(file.offset(), end);
        records.push((at, record));
    }
    assert_eq!(end, file.size());
    assert_eq!(file.next().unwrap(), None);
    assert_eq!(file.summary().packets, numbers);
    records
}

/// Reads `bytes` as a file.
fn read(bytes: &[u8]) -> (Vec<(u64, Record)>, EventFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut file = EventFile::open(file.path()).unwrap();
    (read_all(&mut file), file)
}

fn packets() -> impl Strategy<Value = Record> {
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        // Zeros and small numbers are the likeliest to look like records.
        prop::collection::vec(0u8..2, 0..300),
        (any::<u8>(), 0usize..200_000).prop_map(|(byte, size)| vec![byte; size]),
    ];
    (any::<u64>(), data).prop_map(|(time, data)| Record::Packet(time, data))
}

fn marks() -> impl Strategy<Value = Record> {
    (0u64..1 << 40, any::<[u64; 3]>()).prop_map(|(packets, [bytes, first_time, last_time])| {
        Record::Loss(LossMark { packets, bytes, first_time, last_time })
    })
}

fn records(n: usize) -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec(prop_oneof![4 => packets(), 1 => marks()], 0..n)
}

fn headers() -> impl Strategy<Value = FileHeader> {
    (any::<u64>(), any::<u64>(), "[^\0\r\n]{0,60}", prop::collection::vec(any::<u8>(), 0..100))
        .prop_map(|(number, created, layout, user)| FileHeader { number, created, layout, user })
}

/// What the bounds and records of a file read as.
fn expected(written: &Written) -> Vec<(u64, Record)> {
    written.bounds.iter().map(|&at| at as u64).zip(written.records.iter().cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(header in headers(), records in records(30)) {
        let written = write(&header, &records);
        let (found, file) = read(&written.bytes);
        prop_assert!(found == expected(&written));
        prop_assert_eq!(file.header(), Some(&header));
        prop_assert!(file.is_whole());
        let summary = file.summary();
        let data = |record: &Record| match record { Record::Packet(_, data) => data.len() as u64, _ => 0 };
        prop_assert_eq!(summary.bytes, records.iter().map(data).sum::<u64>());
        let times: Vec<u64> = records.iter().filter_map(|record| match record {
            Record::Packet(time, _) if *time > 0 => Some(*time),
            _ => None,
        }).collect();
        prop_assert_eq!(summary.first_time, times.first().copied());
        prop_assert_eq!(summary.last_time, times.last().copied());
        prop_assert_eq!((summary.ends, summary.wrong_ends, summary.damaged, summary.torn), (1, 0, 0, None));
    }

    #[test]
    fn only_what_was_touched_is_missing(
        records in records(20),
        flips in prop::collection::vec((any::<Index>(), 0u8..8), 1..6),
    ) {
        let mut written = write(&FileHeader::default(), &records);
        let start = written.bounds[0];
        let mut touched = vec![false; written.records.len()];
        for (at, bit) in flips {
            let at = start + at.index(written.bytes.len() - start);
            written.bytes[at] ^= 1 << bit;
            let index = written.bounds.partition_point(|&bound| bound <= at) - 1;
            // The same bit twice is no damage.
            let now = &written.bytes[written.bounds[index]..written.bounds[index + 1]];
            touched[index] = now != &write(&FileHeader::default(), &records).bytes
                [written.bounds[index]..written.bounds[index + 1]];
        }
        let (found, file) = read(&written.bytes);
        let good: Vec<_> = found
            .iter()
            .filter(|(_, record)| !matches!(record, Record::Damaged(_) | Record::Torn(_)))
            .map(|(at, record)| match record {
                // It cannot agree where packets are missing.
                Record::End(mark, _) => (*at, Record::End(*mark, true)),
                other => (*at, other.clone()),
            })
            .collect();
        let left: Vec<_> = expected(&written)
            .into_iter()
            .zip(&touched)
            .filter_map(|(record, touched)| (!touched).then_some(record))
            .collect();
        prop_assert!(good == left, "{:?}", touched);
        let any = touched.contains(&true);
        prop_assert_eq!(file.is_whole(), !any);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(mut noise in prop::collection::vec(any::<u8>(), 0..5000), zeros in 0usize..5000) {
        noise.resize(noise.len() + zeros, 0);
        let bytes = [FileHeader::default().encode().unwrap(), noise].concat();
        let (found, file) = read(&bytes);
        prop_assert!(found.len() <= 1);
        prop_assert!(!file.is_whole());
    }
}

/// A small file of all kinds of records; its packets are such that their bytes look like records.
fn small() -> Written {
    let inner = [packet_header(5, b"inner").as_slice(), b"inner"].concat();
    let records = [
        Record::Packet(1, b"first".to_vec()),
        Record::Packet(0, Vec::new()),
        Record::Loss(LossMark { packets: 3, bytes: 30, first_time: 2, last_time: 4 }),
        Record::Packet(5, vec![0; 40]),
        Record::Packet(6, inner[..20].to_vec()),
        Record::Packet(7, (0..100).collect()),
    ];
    let header = FileHeader { number: 1, created: 2, layout: "<a:B".into(), user: b"user".to_vec() };
    write(&header, &records)
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_the_tear() {
    let written = small();
    let expected = expected(&written);
    for cut in 0..written.bytes.len() {
        let bytes = &written.bytes[..cut];
        if cut < written.bounds[0] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            assert_eq!(EventFile::open(file.path()).err().unwrap().kind(), ErrorKind::Truncated);
            continue;
        }
        let whole = written.bounds.iter().filter(|&&bound| bound <= cut).count() - 1;
        let torn_at = written.bounds[whole];
        let mut wanted = expected[..whole].to_vec();
        if torn_at < cut {
            wanted.push((torn_at as u64, Record::Torn((cut - torn_at) as u64)));
        }
        let (found, file) = read(bytes);
        assert_eq!(found, wanted, "cut at {cut}");
        assert!(!file.is_whole());
        let torn = (torn_at < cut).then_some(torn_at as u64);
        assert_eq!(file.summary().torn, torn);
        assert_eq!(file.summary().torn_bytes, (cut - torn_at) as u64);
    }
    assert!(read(&written.bytes).1.is_whole());
}

#[test]
fn any_bit_that_flips_costs_its_record_only() {
    let written = small();
    let expected = expected(&written);
    for bit in 8 * written.bounds[0]..8 * written.bytes.len() {
        let mut bytes = written.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let touched = written.bounds.partition_point(|&bound| bound <= bit / 8) - 1;
        let length = (written.bounds[touched + 1] - written.bounds[touched]) as u64;
        let (found, file) = read(&bytes);
        assert_eq!(found.len(), expected.len(), "bit {bit}");
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            if index == touched {
                // The last one may as well be torn, as far as one can see.
                let torn = index + 1 == written.records.len() && found.1 == Record::Torn(length);
                assert!(found.0 == expected.0 && (found.1 == Record::Damaged(length) || torn), "bit {bit}");
            } else if let (Record::End(found, agrees), Record::End(expected, _)) = (&found.1, &expected.1) {
                // The mark of a touched loss or packet is missed by the end mark.
                assert_eq!(found, expected);
                assert!(!agrees);
            } else {
                assert_eq!(found, expected, "bit {bit}");
            }
        }
        assert!(!file.is_whole());
    }
}

#[test]
fn a_damaged_header_can_be_gone_without() {
    let mut written = small();
    written.bytes[20] ^= 1;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &written.bytes).unwrap();
    let error = EventFile::open(file.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().ends_with("file header: damaged: its CRC is wrong"), "{error}");
    assert!(error.message().starts_with(&file.path().display().to_string()), "{error}");
    let mut file = EventFile::salvage(file.path()).unwrap();
    let found = read_all(&mut file);
    assert_eq!(found[0], (0, Record::Damaged(written.bounds[0] as u64)));
    assert_eq!(found[1..], expected(&written));
    assert!(!file.is_whole());
}

#[test]
fn what_follows_an_end_mark_is_read_but_the_file_is_not_whole() {
    let written = small();
    let more = [packet_header(8, b"late").as_slice(), b"late"].concat();
    let (found, file) = read(&[written.bytes.as_slice(), &more].concat());
    assert_eq!(found.last().unwrap().1, Record::Packet(8, b"late".to_vec()));
    assert_eq!(file.summary().ends, 1);
    assert!(!file.is_whole());
    // A mark that does not agree makes no file whole.
    let mark = EndMark { packets: 4, lost: 3, time: 1 }.encode();
    let (found, file) = read(&[&written.bytes[..written.bounds[6]], &mark].concat());
    assert!(matches!(found.last().unwrap().1, Record::End(_, false)));
    assert_eq!((file.summary().ends, file.summary().wrong_ends), (0, 1));
    assert!(!file.is_whole());
}

#[test]
fn a_later_versions_records_are_skipped_and_counted() {
    let written = small();
    let rest = [&(3u32 << 30 | 6).to_le_bytes(), &[0; 8][..], b"future"].concat();
    let reserved = [&crc32c::crc32c(&rest).to_le_bytes(), rest.as_slice()].concat();
    let at = written.bounds[2];
    let bytes = [&written.bytes[..at], &reserved, &written.bytes[at..]].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut file = EventFile::open(file.path()).unwrap();
    let mut entries = 0;
    while file.next().unwrap().is_some() {
        entries += 1;
    }
    assert_eq!((entries, file.summary().reserved), (7, 1));
    assert!(file.is_whole());
}

#[test]
fn sizes_that_lie_cost_neither_time_nor_memory() {
    // Records that claim 32 MiB in a file that has as many, as a hole, with good ones between them.
    let mut bytes = FileHeader::default().encode().unwrap();
    let good = [packet_header(1, b"good").as_slice(), b"good"].concat();
    for _ in 0..200 {
        bytes.extend([1, 2, 3, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(&good);
    }
    let size = bytes.len() as u64;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    file.as_file().set_len(size + (64 << 20)).unwrap();
    let mut file = EventFile::open(file.path()).unwrap();
    let mut entries = 0;
    // What is behind the last good one is all zero, and slow to search without optimisation.
    while file.offset() < size {
        assert!(file.next().unwrap().is_some());
        entries += 1;
    }
    assert_eq!(entries, 400);
    let expected = Summary {
        packets: 200,
        bytes: 800,
        first_time: Some(1),
        last_time: Some(1),
        damaged: 200,
        damaged_bytes: 3200,
        ..Summary::default()
    };
    assert_eq!(file.summary(), &expected);
}

#[test]
fn only_regular_files_are_opened() {
    assert_eq!(EventFile::open(Path::new("/dev/null")).err().unwrap().kind(), ErrorKind::Invalid);
    assert_eq!(EventFile::open(Path::new("/no/such")).err().unwrap().kind(), ErrorKind::Io);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"something else").unwrap();
    let error = EventFile::open(file.path()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().ends_with("not a framed event file, which begins with AQEVENT"), "{error}");
}

/// The bytes of the example in the documentation, and where each of its lines says that it begins.
fn documented() -> Vec<u8> {
    let text = include_str!("../docs/event-files.md");
    let example = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mut bytes = Vec::new();
    for line in example.lines() {
        let (offset, rest) = line.split_at(4);
        assert_eq!(offset.trim().parse::<usize>().unwrap(), bytes.len(), "{line}");
        let hex = rest.trim_start().split("   ").next().unwrap();
        bytes.extend(hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

#[test]
fn the_documentations_example_is_such_a_file() {
    let time = 1_795_561_489_461_783_001;
    let header =
        FileHeader { number: 0, created: time, layout: "<id:B=7,adc:h".into(), user: b"run 12".to_vec() };
    let records = [
        Record::Packet(time + 1000, vec![7, 0xfe, 0xff]),
        Record::Loss(LossMark { packets: 3, bytes: 9, first_time: time + 2000, last_time: time + 9000 }),
        Record::Packet(0, vec![7, 1, 0]),
    ];
    let mut written = write(&header, &records);
    let end = EndMark { packets: 2, lost: 3, time: time + 10_000 };
    written.bytes.truncate(written.bounds[3]);
    written.bytes.extend(end.encode());
    assert_eq!(documented(), written.bytes);
    let (found, file) = read(&documented());
    assert_eq!(found[..3], expected(&written)[..3]);
    assert_eq!(found[3].1, Record::End(end, true));
    assert!(file.is_whole());
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

//! What the fuzz targets do with an input. `tests/fuzz_smoke.rs` does the same on stable Rust.

#![allow(dead_code)]

use aqueduct::event::frame::{EndMark, FileHeader, Kind, LossMark, Parsed, Record, packet_header};
use aqueduct::event::layout::{FieldType, MAX_SIZE, PacketLayout, Value};
use aqueduct::event::reader::{Entry, EventFile};
use aqueduct::recv::reader::pcap::{LinkType, Skip, link::udp_payload};
use aqueduct::signal::array;
use aqueduct::signal::params::Params;
use aqueduct::signal::wire;
use aqueduct::spead::{Flavour, Malformed, Packet, id};

/// What the wire format's text says about `data`, written as slowly and plainly as possible.
fn model(data: &[u8]) -> Result<Model, Malformed> {
    let number = |bytes: &[u8]| bytes.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
    if data.len() < 8 {
        return Err(Malformed::TooShort);
    }
    if data[0] != 0x53 {
        return Err(Malformed::BadMagic);
    }
    if data[1] != 4 {
        return Err(Malformed::BadVersion);
    }
    let (id_width, address_width) = (u32::from(data[2]), u32::from(data[3]));
    if id_width == 0 || address_width == 0 || id_width + address_width != 8 {
        return Err(Malformed::BadWidths);
    }
    let n = number(&data[6..8]) as usize;
    let start = 8 + 8 * n;
    if start > data.len() {
        return Err(Malformed::ItemsOverflow);
    }
    let pointers: Vec<(bool, u64, u64)> = data[8..start]
        .chunks(8)
        .map(|bytes| {
            let word = number(bytes);
            let id = (word % (1 << 63)) >> (8 * address_width);
            (bytes[0] >= 0x80, id as u64, (word % (1 << (8 * address_width))) as u64)
        })
        .collect();
    let last = |id| pointers.iter().rev().find(|p| p.0 && p.1 == id).map(|p| p.2);
    let heap_cnt = last(1).ok_or(Malformed::NoHeapCnt)?;
    let heap_length = last(2);
    let payload_offset = last(3).ok_or(Malformed::NoPayloadOffset)?;
    let payload_length = last(4).ok_or(Malformed::NoPayloadLength)?;
    if start as u128 + u128::from(payload_length) > data.len() as u128 {
        return Err(Malformed::PayloadOverflow);
    }
    if let Some(heap_length) = heap_length {
        if u128::from(payload_offset) + u128::from(payload_length) > u128::from(heap_length) {
            return Err(Malformed::HeapOverflow);
        }
        if pointers.iter().any(|p| !p.0 && p.2 > heap_length) {
            return Err(Malformed::ItemBeyondHeap);
        }
    }
    let flavour = Flavour { version: 4, heap_address_bits: 8 * address_width as u8 };
    Ok(Model { flavour, pointers, heap_cnt, heap_length, payload_offset, payload_length })
}

struct Model {
    flavour: Flavour,
    /// Immediate, identifier, value or address.
    pointers: Vec<(bool, u64, u64)>,
    heap_cnt: u64,
    heap_length: Option<u64>,
    payload_offset: u64,
    payload_length: u64,
}

/// Parses `data` as a packet and checks every accessor against the model.
pub fn packet(data: &[u8]) {
    let (packet, model) = match (Packet::parse(data), model(data)) {
        (Ok(packet), Ok(model)) => (packet, model),
        (packet, model) => {
            assert_eq!(packet.err(), model.err());
            return;
        }
    };
    let start = 8 + 8 * model.pointers.len();
    assert_eq!(packet.flavour(), model.flavour);
    assert_eq!(packet.heap_cnt(), model.heap_cnt);
    assert_eq!(packet.heap_length(), model.heap_length);
    assert_eq!(packet.payload_offset(), model.payload_offset);
    assert_eq!(packet.size(), start + model.payload_length as usize);
    assert_eq!(packet.bytes(), &data[..packet.size()]);
    assert_eq!(packet.pointer_bytes(), &data[8..start]);
    assert_eq!(packet.payload(), &data[start..packet.size()]);
    assert!(
        packet.pointers().map(|p| (p.is_immediate(), p.id(), p.value())).eq(model.pointers.iter().copied())
    );
    let last = |id| model.pointers.iter().rev().find(|p| p.0 && p.1 == id).map(|p| p.2);
    for id in (0..=8).chain(model.pointers.iter().take(20).map(|p| p.1)) {
        assert_eq!(packet.immediate(id), last(id));
    }
    assert_eq!(packet.stream_ctrl(), last(id::STREAM_CTRL));
    assert_eq!(packet.is_stop(), last(id::STREAM_CTRL) == Some(2));
    for pointer in packet.pointers() {
        assert_ne!(pointer.immediate().is_some(), pointer.address().is_some());
    }
    let again = Packet::parse(packet.bytes()).expect("its own bytes");
    assert_eq!(again.bytes(), packet.bytes());
    let _ = format!("{packet:?}");
}

/// Every link type that a frame can have.
pub const LINKS: [LinkType; 5] =
    [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::Null, LinkType::Raw];

/// Decodes `data` as a frame: the first byte chooses the link type, the next two how much of it was cut off.
pub fn link(data: &[u8]) {
    let Some((&[choice, high, low], frame)) = data.split_first_chunk() else { return };
    let link = LINKS[usize::from(choice) % LINKS.len()];
    let len = frame.len() as u32;
    let cut = u32::from(u16::from_be_bytes([high, low]));

    let whole = udp_payload(link, frame, len);
    assert_eq!(udp_payload(link, frame, 0), whole, "a wire length below the frame's is the frame's");
    assert_ne!(whole, Err(Skip::Truncated), "nothing was cut off");
    let in_frame = |payload: &[u8]| {
        let (frame, payload) = (frame.as_ptr_range(), payload.as_ptr_range());
        assert!(frame.start <= payload.start && payload.end <= frame.end);
    };
    if let Ok(payload) = whole {
        in_frame(payload);
        // The length is in the UDP header in front of the payload.
        let at = payload.as_ptr() as usize - frame.as_ptr() as usize;
        assert_eq!(usize::from(u16::from_be_bytes([frame[at - 4], frame[at - 3]])), payload.len() + 8);
        // Cut before the payload's end it is truncated; only a payload's end can be cut without notice.
        for end in 0..at + payload.len() {
            assert_eq!(udp_payload(link, &frame[..end], len), Err(Skip::Truncated));
        }
        assert_eq!(udp_payload(link, &frame[..at + payload.len()], len), whole);
    }
    // A longer frame on the wire turns at most a bad length into a cut.
    let longer = udp_payload(link, frame, len + cut);
    match whole {
        Err(Skip::BadLength) => longer.into_iter().for_each(in_frame),
        whole => assert_eq!(longer, whole),
    }
}

/// What a reader of event files should say of `bytes[at..]`, found by trying every byte: offset, length, and the record where it is good.
fn entries(bytes: &[u8], mut at: usize) -> Vec<(usize, usize, Option<Record<'_>>)> {
    let parse = |at: usize| Record::parse(&bytes[at..]);
    let good = |at: usize| match parse(at) {
        Parsed::Complete(record) => Some(record),
        _ => None,
    };
    let mut found = Vec::new();
    while at < bytes.len() {
        if let Some(record) = good(at) {
            found.push((at, record.size(), Some(record)));
            at += record.size();
            continue;
        }
        // Where the bad one ends, if it tells the truth, and something good is there: the rest ends before that.
        let claimed = bytes[at..].get(4..8).map(|word| {
            at + 16 + (u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize & 0x3fff_ffff)
        });
        let possible = parse(at) != Parsed::Damaged || bytes.len() - at >= 16 && fits(&bytes[at..]);
        let limit = claimed.filter(|&end| possible && end < bytes.len() && good(end).is_some());
        let next = (at + 1..limit.unwrap_or(bytes.len()))
            .find(|&next| {
                good(next).is_some_and(|record| next + record.size() <= limit.unwrap_or(bytes.len()))
            })
            .or(limit)
            .unwrap_or(bytes.len());
        found.push((at, next - at, None));
        at = next;
    }
    found
}

/// Whether marks have the size that marks have.
fn fits(bytes: &[u8]) -> bool {
    let word = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    match word >> 30 {
        1 => word & 0x3fff_ffff == 24,
        2 => word & 0x3fff_ffff == 16,
        _ => true,
    }
}

/// Reads `data` as a framed event file, with its header or, where that is bad, without, and compares with the model. What
/// is good is encoded again. `path` is a file that may be overwritten.
pub fn event_file(data: &[u8], path: &std::path::Path) {
    let header = FileHeader::parse(data);
    if let Ok((header, size)) = &header {
        assert_eq!(header.encode().expect("its own header"), data[..*size]);
    }
    std::fs::write(path, data).expect("a writable file");
    let mut file = match (EventFile::open(path), &header) {
        (Ok(file), Ok((header, size))) => {
            assert_eq!(file.header(), Some(header));
            assert_eq!(file.offset(), *size as u64);
            file
        }
        (Err(error), Err(expected)) => {
            assert_eq!(error.kind(), expected.kind());
            EventFile::salvage(path).expect("a file")
        }
        (file, header) => panic!("{:?} {header:?}", file.err()),
    };
    let (mut packets, mut lost) = (0, 0u64);
    for (at, length, record) in entries(data, file.offset() as usize) {
        let (offset, bytes) = (at as u64, &data[at..at + length]);
        if record.is_some_and(|record| record.kind() == Kind::Reserved) {
            continue;
        }
        let entry = file.next().expect("a file").expect("as many as the model has");
        match entry {
            Entry::Packet { number, offset: found, time, data } => {
                assert_eq!((number, found), (packets, offset));
                packets += 1;
                assert_eq!([&packet_header(time, data), data].concat(), bytes);
            }
            Entry::Loss { offset: found, mark } => {
                assert_eq!(found, offset);
                lost = lost.saturating_add(mark.packets);
                assert_eq!(LossMark::encode(&mark), bytes);
            }
            Entry::End { offset: found, mark, agrees } => {
                assert_eq!(found, offset);
                assert_eq!(agrees, mark.packets == packets && mark.lost == lost);
                assert_eq!(EndMark::encode(&mark), bytes);
            }
            Entry::Damaged { offset: found, length: bad } | Entry::Torn { offset: found, length: bad } => {
                assert!(record.is_none());
                assert_eq!((found, bad), (offset, length as u64));
            }
        }
        assert_eq!(record.is_none(), matches!(entry, Entry::Damaged { .. } | Entry::Torn { .. }));
    }
    assert_eq!(file.next().expect("a file"), None);
    assert_eq!(file.summary().packets, packets);
}

/// Reads `data` up to its first newline as a packet layout, and fills a packet of it with the rest.
pub fn layout(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, rest) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let Ok(text) = std::str::from_utf8(text) else { return };
    let layout = match PacketLayout::parse(text) {
        Ok(layout) => layout,
        Err(error) => {
            assert!(error.message().starts_with("layout: ") && error.message().len() < 500, "{error}");
            return;
        }
    };
    assert_eq!(PacketLayout::parse(&layout.to_string()).expect("what it prints"), layout);
    let mut end = 0;
    for (i, field) in layout.fields().iter().enumerate() {
        assert!(end <= field.offset && matches!(field.size, 1 | 2 | 4 | 8));
        end = field.offset + field.size;
        assert_eq!(layout.find(&field.name), Some(i));
    }
    assert!(end <= layout.size() && layout.size() <= MAX_SIZE);
    if layout.size() > 4096 {
        return;
    }
    let mut packet: Vec<u8> = rest.iter().copied().cycle().take(layout.size()).collect();
    packet.resize(layout.size(), 0);
    let (mut text, mut csv) = (Vec::new(), Vec::new());
    let written = layout.write_text(&packet, "\t", &mut text);
    assert_eq!(layout.check(&packet), written);
    assert_eq!(layout.write_csv(&packet, &mut csv), written);
    assert!(layout.write_text(&[&packet[..], &[0]].concat(), "\t", &mut Vec::new()).is_err());
    if written.is_err() {
        assert!(text.is_empty() && csv.is_empty() && layout.fields().iter().any(|f| f.constant.is_some()));
        return;
    }
    // No value has a tab: what stands between them is its number again.
    let text = String::from_utf8(text).expect("text is UTF-8");
    let texts: Vec<&str> = text.strip_suffix('\n').expect("a line").split('\t').collect();
    assert_eq!(texts.len(), layout.fields().len());
    for (i, text) in texts.into_iter().enumerate() {
        match layout.value(&packet, i).expect("one of its fields") {
            Value::Int(value) => assert_eq!(text.parse(), Ok(value)),
            Value::Uint(value) => assert_eq!(text.parse(), Ok(value)),
            Value::Bool(value) => assert_eq!(text, if value { "True" } else { "False" }),
            Value::Float(value) if value.is_nan() => assert_eq!(text, "nan"),
            Value::Float(value) => {
                assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
                assert!(text.contains(['.', 'e']) || value.is_infinite(), "{text}");
            }
            Value::Char(value) => {
                assert_eq!(layout.fields()[i].kind, FieldType::Char);
                assert!(text.starts_with('b') && text.is_ascii() && (4..=7).contains(&text.len()));
                assert!(!value.is_ascii_alphanumeric() || text == format!("b'{}'", char::from(value)));
            }
        }
    }
    let csv = String::from_utf8(csv).expect("CSV is UTF-8");
    assert!(csv.find('\n') == Some(csv.len() - 1) && csv.matches(',').count() + 1 >= layout.fields().len());
}

/// The first byte is the bytes of an element and the second how much data there is, then a chunk's header; or `{`, and it is a stream's params.
pub fn signal(data: &[u8]) {
    if data.first() == Some(&b'{') {
        let Ok(text) = std::str::from_utf8(data) else { return };
        let Ok(params) = Params::from_json(text) else { return };
        let known = params.check();
        let again = Params::from_json(&params.to_json()).expect("what it wrote itself");
        assert_eq!(again.check(), known);
        assert_eq!(
            (again.dtype.size(), &again.shape, again.address()),
            (params.dtype.size(), &params.shape, params.address())
        );
        return;
    }
    let [item, size, header @ ..] = data else { return };
    let (item, size) = (usize::from(*item), 4 * usize::from(*size));
    let Ok((index, layout)) = wire::parse(header, item, size) else { return };
    assert_eq!(wire::encode(index, &layout), header);
    assert!(layout.extent().end <= size && layout.shape()[0] as u64 <= index);
    // Elements that lie on each other could be more than there is data; who takes chunks in refuses these.
    if layout.size() <= size {
        let content: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let packed = layout.packed();
        let mut copy = vec![0; packed.size()];
        // SAFETY: the layout lies within the content, as was just asserted, and the copy is as large as the packed one.
        unsafe { array::copy(content.as_ptr(), &layout, copy.as_mut_ptr(), &packed) };
        if !layout.is_empty() && item > 0 {
            assert_eq!(copy[packed.offset()], content[layout.offset()]);
        }
    }
}

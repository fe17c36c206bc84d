//! The framed event file, version 1: what its bytes are. docs/event-files.md is the format's specification.
//!
//! A file is a header and then records: packets as they came, marks where packets were lost, and a mark at the end of a file
//! that was closed properly. Each has a CRC-32C, so that whatever a crash or a bad disk leaves can be told from what was
//! written. Pure: bytes in, bytes out. Invariant: what is encoded here is parsed here to the same, and nothing is parsed
//! whose CRC or size is wrong. Any thread.

use crc32c::crc32c;

use super::crc;
use crate::error::{Error, ErrorKind, Result};

/// The first bytes of every framed file.
pub const MAGIC: [u8; 8] = *b"AQEVENT\n";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;
/// The longest file header, in bytes: layout and user header together are 44 bytes shorter.
pub const MAX_FILE_HEADER: usize = 1 << 20;
/// Bytes in front of a record's payload.
pub const RECORD_HEADER: usize = 16;
/// The longest packet, in bytes.
pub const MAX_PACKET: usize = SIZE_MASK as usize;

/// Bytes of a file header in front of the layout.
const FIXED: usize = 40;
/// Bytes of a CRC.
const CRC: usize = 4;
/// A record's word has the payload's size here, and the kind above.
const SIZE_MASK: u32 = (1 << KIND_SHIFT) - 1;
const KIND_SHIFT: u32 = 30;
/// Payload of a loss mark: packets, bytes, first time.
const LOSS: usize = 24;
/// Payload of an end mark: packets, lost packets.
const END: usize = 16;

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Format, format!("file header: {what}"))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// What stands at the beginning of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileHeader {
    /// Which of the files of one run, from 0.
    pub number: u64,
    /// When it was begun, in ns since the Unix epoch.
    pub created: u64,
    /// What a packet's bytes mean, as a packet layout's text on one line; empty if unknown.
    pub layout: String,
    /// The user's own header.
    pub user: Vec<u8>,
}

impl FileHeader {
    /// The bytes. An error if the layout is no single line, or layout and user header are too long.
    pub fn encode(&self) -> Result<Vec<u8>> {
        check_layout(&self.layout).map_err(Error::invalid)?;
        let size = [FIXED, self.layout.len(), self.user.len(), CRC]
            .iter()
            .fold(0, |a: usize, &b| a.saturating_add(b));
        if size > MAX_FILE_HEADER {
            return Err(Error::invalid(format!(
                "layout and header together must be at most {} bytes (got {} and {})",
                MAX_FILE_HEADER - FIXED - CRC,
                self.layout.len(),
                self.user.len()
            )));
        }
        let mut bytes = Vec::with_capacity(size);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((size as u32).to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.created.to_le_bytes());
        bytes.extend((self.layout.len() as u32).to_le_bytes());
        bytes.extend((self.user.len() as u32).to_le_bytes());
        bytes.extend(self.layout.as_bytes());
        bytes.extend(&self.user);
        bytes.extend(crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Reads a header at the beginning of `bytes`; the other value is its size, where the first record begins.
    ///
    /// Errors: `Format` if it is none or damaged, `Truncated` if it goes on after the end of `bytes`, of which
    /// [`MAX_FILE_HEADER`] are always enough, `Version` if it is of a newer version.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize)> {
        let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if !MAGIC.starts_with(magic) {
            return Err(wrong("not a framed event file, which begins with AQEVENT"));
        }
        let cut = || {
            let reason = format!("file header: the file ends after {} bytes, within it", bytes.len());
            Error::new(ErrorKind::Truncated, reason)
        };
        let version = u32_at(bytes, 8).ok_or_else(cut)?;
        if version > VERSION {
            let reason =
                format!("file header: version {version}; this library reads versions up to {VERSION}");
            return Err(Error::new(ErrorKind::Version, reason));
        }
        let size = u32_at(bytes, 12).ok_or_else(cut)? as usize;
        if version == 0 || !(FIXED + CRC..=MAX_FILE_HEADER).contains(&size) {
            return Err(wrong(format_args!("damaged: version {version}, {size} bytes")));
        }
        let (content, crc) = bytes.get(..size).and_then(|bytes| bytes.split_last_chunk()).ok_or_else(cut)?;
        let sizes = (u64_at(content, 16), u64_at(content, 24), u32_at(content, 32), u32_at(content, 36));
        let (Some(number), Some(created), Some(layout), Some(user)) = sizes else { return Err(cut()) };
        if crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(wrong("damaged: its CRC is wrong"));
        }
        if FIXED as u64 + u64::from(layout) + u64::from(user) != content.len() as u64 {
            return Err(wrong(format_args!("{layout} and {user} bytes do not fill its {size}")));
        }
        let texts = content.get(FIXED..).unwrap_or_default();
        let (layout, user) = texts.split_at_checked(layout as usize).ok_or_else(cut)?;
        let layout = String::from_utf8(layout.to_vec()).map_err(|_| wrong("the layout is not UTF-8"))?;
        check_layout(&layout).map_err(wrong)?;
        Ok((Self { number, created, layout, user: user.to_vec() }, size))
    }
}

/// A layout is one line, and C can have it as a string.
fn check_layout(layout: &str) -> Result<(), String> {
    match layout.chars().find(|c| matches!(c, '\0' | '\n' | '\r')) {
        None => Ok(()),
        Some(c) => Err(format!("the layout must be one line of text (got {c:?} in it)")),
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A packet: its payload.
    Packet,
    /// Packets were lost here: a [`LossMark`].
    Loss,
    /// The file was closed properly: an [`EndMark`].
    End,
    /// A later version's; to be skipped.
    Reserved,
}

impl Kind {
    /// Whether `size` can be a payload's of this kind.
    fn allows(self, size: usize) -> bool {
        match self {
            Self::Packet | Self::Reserved => true,
            Self::Loss => size == LOSS,
            Self::End => size == END,
        }
    }
}

/// Appends a packet's whole record.
#[inline]
pub fn append_packet(to: &mut Vec<u8>, time: u64, payload: &[u8]) {
    to.reserve(RECORD_HEADER + payload.len());
    to.extend_from_slice(&packet_header(time, payload));
    to.extend_from_slice(payload);
}

/// What stands in front of a packet of `time` (ns since the Unix epoch, 0 if not taken). `payload` is at most [`MAX_PACKET`]
/// long: who takes a packet in has checked that.
#[inline]
pub fn packet_header(time: u64, payload: &[u8]) -> [u8; RECORD_HEADER] {
    debug_assert!(payload.len() <= MAX_PACKET);
    record_header(Kind::Packet, time, payload)
}

#[inline]
fn record_header(kind: Kind, time: u64, payload: &[u8]) -> [u8; RECORD_HEADER] {
    let word = (payload.len() as u32 & SIZE_MASK) | (kind as u32) << KIND_SHIFT;
    let crc = crc::of_record(word, time, payload);
    let header = u128::from(crc) | u128::from(word) << 32 | u128::from(time) << 64;
    header.to_le_bytes()
}

/// Packets that are missing where this stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LossMark {
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first one's time, as packets have it.
    pub first_time: u64,
    /// The last one's.
    pub last_time: u64,
}

impl LossMark {
    /// Bytes of the record.
    pub const LENGTH: usize = RECORD_HEADER + LOSS;

    /// The record.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut payload = [0; LOSS];
        let (packets, rest) = payload.split_at_mut(8);
        let (bytes, first_time) = rest.split_at_mut(8);
        packets.copy_from_slice(&self.packets.to_le_bytes());
        bytes.copy_from_slice(&self.bytes.to_le_bytes());
        first_time.copy_from_slice(&self.first_time.to_le_bytes());
        record(Kind::Loss, self.last_time, &payload)
    }
}

/// The last record of a file that was closed properly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndMark {
    /// Packets in the file.
    pub packets: u64,
    /// Packets that are missing, the sum of the file's loss marks.
    pub lost: u64,
    /// When it was closed, in ns since the Unix epoch.
    pub time: u64,
}

impl EndMark {
    /// Bytes of the record.
    pub const LENGTH: usize = RECORD_HEADER + END;

    /// The record.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut payload = [0; END];
        let (packets, lost) = payload.split_at_mut(8);
        packets.copy_from_slice(&self.packets.to_le_bytes());
        lost.copy_from_slice(&self.lost.to_le_bytes());
        record(Kind::End, self.time, &payload)
    }
}

/// A whole record of a fixed size, `N`: header and payload.
fn record<const N: usize>(kind: Kind, time: u64, payload: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let (header, rest) = bytes.split_at_mut(RECORD_HEADER);
    header.copy_from_slice(&record_header(kind, time, payload));
    rest.copy_from_slice(payload);
    bytes
}

/// The header of a record that may be one: its size is possible. Only the CRC, over all of the record, tells if it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the CRC of the record without these first four bytes should be.
    pub crc: u32,
    /// What it is.
    pub kind: Kind,
    /// Bytes of payload.
    pub size: usize,
    /// ns since the Unix epoch; 0 if not taken.
    pub time: u64,
}

impl RecordHeader {
    /// The one at the beginning of `bytes`; `None` if it has no possible size.
    pub fn parse(bytes: &[u8; RECORD_HEADER]) -> Option<Self> {
        let crc = u32_at(bytes, 0)?;
        let word = u32_at(bytes, 4)?;
        let kind = match word >> KIND_SHIFT {
            0 => Kind::Packet,
            1 => Kind::Loss,
            2 => Kind::End,
            _ => Kind::Reserved,
        };
        let size = (word & SIZE_MASK) as usize;
        let time = u64_at(bytes, 8)?;
        kind.allows(size).then_some(Self { crc, kind, size, time })
    }

    /// Bytes of the whole record.
    pub fn record_size(&self) -> usize {
        RECORD_HEADER + self.size
    }
}

/// A record whose CRC and size are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    header: RecordHeader,
    payload: &'a [u8],
}

/// What is at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A record.
    Complete(Record<'a>),
    /// The beginning of what may be a record: it takes so many bytes to tell, at the least.
    NeedMore(usize),
    /// No record.
    Damaged,
}

impl<'a> Record<'a> {
    /// What is at the beginning of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Parsed<'a> {
        let Some((head, rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
            return Parsed::NeedMore(RECORD_HEADER);
        };
        let Some(header) = RecordHeader::parse(head) else { return Parsed::Damaged };
        let Some(payload) = rest.get(..header.size) else { return Parsed::NeedMore(header.record_size()) };
        let crc = crc32c(bytes.get(CRC..header.record_size()).unwrap_or_default());
        if crc == header.crc { Parsed::Complete(Self { header, payload }) } else { Parsed::Damaged }
    }

    /// As [`Self::parse`], for bytes that it has found complete before: the CRC is not computed again.
    pub(super) fn trusted(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk()?;
        let header = RecordHeader::parse(head)?;
        Some(Self { header, payload: rest.get(..header.size)? })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// ns since the Unix epoch; 0 if not taken.
    pub fn time(&self) -> u64 {
        self.header.time
    }

    /// A packet's bytes.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of the whole record.
    pub fn size(&self) -> usize {
        self.header.record_size()
    }

    /// What a loss mark says.
    pub fn loss(&self) -> Option<LossMark> {
        let number = |at| u64_at(self.payload, at);
        match self.kind() {
            Kind::Loss => Some(LossMark {
                packets: number(0)?,
                bytes: number(8)?,
                first_time: number(16)?,
                last_time: self.time(),
            }),
            _ => None,
        }
    }

    /// What an end mark says.
    pub fn end(&self) -> Option<EndMark> {
        let number = |at| u64_at(self.payload, at);
        match self.kind() {
            Kind::End => Some(EndMark { packets: number(0)?, lost: number(8)?, time: self.time() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_appended_as_its_header_and_payload() {
        for payload in [&b""[..], b"x", &[7; 1000]] {
            let mut bytes = b"before".to_vec();
            append_packet(&mut bytes, 1 << 60 | 5, payload);
            let (head, rest) = bytes.split_at(6);
            assert_eq!(head, b"before");
            assert_eq!(rest[..RECORD_HEADER], packet_header(1 << 60 | 5, payload));
            assert_eq!(rest[RECORD_HEADER..], *payload);
        }
    }

    /// CRC-32C bit by bit, from its definition.
    fn slow_crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
        })
    }

    fn header() -> FileHeader {
        FileHeader {
            number: 3,
            created: 1_700_000_000_123_456_789,
            layout: "<header:B=170,adc:h".into(),
            user: vec![0, 255, 10],
        }
    }

    #[test]
    fn a_file_header_is_laid_out_as_documented() {
        let header = header();
        let bytes = header.encode().unwrap();
        let layout = header.layout.as_bytes();
        let size = 40 + layout.len() + 3 + 4;
        let content = [
            b"AQEVENT\n".as_slice(),
            &[1, 0, 0, 0],
            &(size as u32).to_le_bytes(),
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &header.created.to_le_bytes(),
            &[layout.len() as u8, 0, 0, 0],
            &[3, 0, 0, 0],
            layout,
            &[0, 255, 10],
        ]
        .concat();
        assert_eq!(bytes, [content.as_slice(), &slow_crc(&content).to_le_bytes()].concat());
        assert_eq!(FileHeader::parse(&bytes).unwrap(), (header, size));
        let longer = [bytes.as_slice(), b"next"].concat();
        assert_eq!(FileHeader::parse(&longer).unwrap().1, size);
        let empty = FileHeader::default();
        assert_eq!(FileHeader::parse(&empty.encode().unwrap()).unwrap(), (empty, 44));
    }

    #[test]
    fn a_file_header_that_is_cut_damaged_or_newer_is_refused() {
        let bytes = header().encode().unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(FileHeader::parse(&bytes[..cut]).unwrap_err().kind(), ErrorKind::Truncated, "{cut}");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let kind = FileHeader::parse(&flipped).unwrap_err().kind();
            match bit / 8 {
                8..12 => assert!(matches!(kind, ErrorKind::Version | ErrorKind::Format), "{bit}"),
                12..16 => assert!(matches!(kind, ErrorKind::Truncated | ErrorKind::Format), "{bit}"),
                _ => assert_eq!(kind, ErrorKind::Format, "{bit}"),
            }
        }
        let mut newer = bytes;
        newer[8] = 2;
        let error = FileHeader::parse(&newer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Version);
        assert_eq!(error.message(), "file header: version 2; this library reads versions up to 1");
    }

    #[test]
    fn a_file_header_that_lies_behind_a_right_crc_is_refused() {
        let lie = |at: usize, value: u32| {
            let mut bytes = header().encode().unwrap();
            bytes.truncate(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let crc = crc32c(&bytes);
            bytes.extend(crc.to_le_bytes());
            FileHeader::parse(&bytes).unwrap_err().message().to_owned()
        };
        assert_eq!(lie(32, 20), "file header: 20 and 3 bytes do not fill its 66");
        assert_eq!(lie(36, u32::MAX), "file header: 19 and 4294967295 bytes do not fill its 66");
        assert_eq!(lie(40, 0x80), "file header: the layout is not UTF-8");
        assert!(lie(40, u32::from(b'\n')).contains("one line of text (got '\\n' in it)"));
    }

    #[test]
    fn a_file_header_that_nobody_could_read_is_not_written() {
        for layout in ["a\nb", "a\0", "\r"] {
            let error = FileHeader { layout: layout.into(), ..header() }.encode().unwrap_err();
            assert!(error.message().contains("must be one line of text"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let longest = FileHeader { user: vec![1; MAX_FILE_HEADER - 44], ..FileHeader::default() };
        let bytes = longest.encode().unwrap();
        assert_eq!(FileHeader::parse(&bytes).unwrap(), (longest.clone(), MAX_FILE_HEADER));
        let error = FileHeader { layout: "x".into(), ..longest }.encode().unwrap_err();
        assert_eq!(
            error.message(),
            "layout and header together must be at most 1048532 bytes (got 1 and 1048532)"
        );
    }

    fn complete(bytes: &[u8]) -> Record<'_> {
        match Record::parse(bytes) {
            Parsed::Complete(record) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_are_laid_out_as_documented() {
        let crc = |rest: &[u8]| [&slow_crc(rest).to_le_bytes(), rest].concat();
        let word = |kind: u32, size: u32| (kind << 30 | size).to_le_bytes();
        let number = |value: u64| value.to_le_bytes();

        let packet = crc(&[word(0, 5).as_slice(), &number(77), b"hello"].concat());
        assert_eq!(packet_header(77, b"hello"), packet[..16]);
        let record = complete(&packet);
        assert_eq!((record.kind(), record.time(), record.payload()), (Kind::Packet, 77, &b"hello"[..]));
        assert_eq!((record.size(), record.loss(), record.end()), (21, None, None));

        let loss = LossMark { packets: 2, bytes: u64::MAX, first_time: 4, last_time: 5 };
        let mark =
            crc(&[word(1, 24).as_slice(), &number(5), &number(2), &number(u64::MAX), &number(4)].concat());
        assert_eq!(loss.encode(), mark[..]);
        assert_eq!((complete(&mark).loss(), complete(&mark).end()), (Some(loss), None));

        let end = EndMark { packets: 9, lost: 2, time: 6 };
        let mark = crc(&[word(2, 16).as_slice(), &number(6), &number(9), &number(2)].concat());
        assert_eq!(end.encode(), mark[..]);
        assert_eq!((complete(&mark).end(), complete(&mark).loss()), (Some(end), None));

        let reserved = crc(&[word(3, 1).as_slice(), &number(0), &[1]].concat());
        assert_eq!((complete(&reserved).kind(), complete(&reserved).size()), (Kind::Reserved, 17));
    }

    #[test]
    fn half_a_record_needs_more_and_a_wrong_bit_is_seen() {
        let packet = [packet_header(1, b"some payload").as_slice(), b"some payload"].concat();
        for cut in 0..packet.len() {
            let needed = if cut < 16 { 16 } else { packet.len() };
            assert_eq!(Record::parse(&packet[..cut]), Parsed::NeedMore(needed));
        }
        for bit in 0..8 * packet.len() {
            let mut flipped = packet.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let parsed = Record::parse(&flipped);
            assert!(!matches!(parsed, Parsed::Complete(_)), "{bit}");
            if !(4..8).contains(&(bit / 8)) {
                assert_eq!(parsed, Parsed::Damaged, "{bit}");
            }
        }
        // A mark of another size is none, though its CRC be right.
        let short = [record_header(Kind::Loss, 1, &[0; 8]).as_slice(), &[0; 8]].concat();
        assert_eq!(Record::parse(&short), Parsed::Damaged);
        assert_eq!(MAX_PACKET, (1 << 30) - 1);
    }
}

//! The bytes of chunk files: their headers and records, as docs/chunk-files.md specifies them. No I/O; parsing is a checked view of any bytes.

use crate::error::{Error, ErrorKind, Result};
use crate::recv::stats::{Snapshot, Stat};

/// What a data file begins with.
pub const DATA_MAGIC: [u8; 8] = *b"AQCHUNK\n";
/// What an index file begins with.
pub const INDEX_MAGIC: [u8; 8] = *b"AQINDEX\n";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;
/// Records of a data file begin at multiples of it, and so does the data within them.
pub const BLOCK: u64 = 4096;
/// The most bytes of a user's header.
pub const MOST_USER: usize = 1 << 20;
/// Bytes of a file's header in front of the user's.
pub const FILE_FIXED: usize = 56;
/// Bytes of a chunk's record in front of its flags.
pub const CHUNK_FIXED: usize = 160;
/// Bytes of an end record.
pub const END_SIZE: usize = 144;

const RECORD_MAGIC: [u8; 4] = *b"AQCR";
const KIND_CHUNK: u16 = 1;
const KIND_END: u16 = 2;
const HAS_LEDGER: u32 = 1;
const LAST_FILE: u32 = 2;

/// `size`, or as much more as makes it a multiple of [`BLOCK`]. Saturates.
pub fn blocks(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

/// Which of the two files of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Chunks with their data.
    Data,
    /// The list of those that are whole.
    Index,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    /// Which recording it is of: a random number that all its files have.
    pub recording: u64,
    /// Which of the files of the recording, from 0.
    pub number: u64,
    /// When it was begun: ns since the Unix epoch.
    pub created: u64,
    /// The user's own header.
    pub user: Vec<u8>,
}

impl FileHeader {
    /// Its bytes. Those of a data file fill whole blocks.
    pub fn encode(&self, kind: FileKind) -> Vec<u8> {
        let size = FILE_FIXED + self.user.len();
        let whole = match kind {
            FileKind::Data => blocks(size as u64) as usize,
            FileKind::Index => size,
        };
        let mut bytes = Vec::with_capacity(whole);
        bytes.extend(match kind {
            FileKind::Data => DATA_MAGIC,
            FileKind::Index => INDEX_MAGIC,
        });
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((whole as u32).to_le_bytes());
        for value in [self.recording, self.number, self.created] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend((BLOCK as u32).to_le_bytes());
        bytes.extend((self.user.len() as u32).to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        // The CRC stands in front of the user's header and is of all but itself.
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes), &self.user);
        bytes.extend(sum.to_le_bytes());
        bytes.extend(&self.user);
        bytes.resize(whole, 0);
        bytes
    }

    /// How many bytes there are of it in all, and which file it begins; from its first [`FILE_FIXED`] bytes.
    pub fn measure(bytes: &[u8; FILE_FIXED]) -> Result<(FileKind, u64)> {
        let kind = match bytes.first_chunk() {
            Some(&DATA_MAGIC) => FileKind::Data,
            Some(&INDEX_MAGIC) => FileKind::Index,
            _ => return Err(format_error("it is no chunk file: it does not begin as one")),
        };
        let version = u32_at(bytes, 8);
        if version > VERSION {
            let reason =
                format!("it is of version {version}, and this library reads up to version {VERSION}");
            return Err(Error::new(ErrorKind::Version, reason));
        }
        let (size, user) = (u64::from(u32_at(bytes, 12)), u64::from(u32_at(bytes, 44)));
        if version == 0 || user > MOST_USER as u64 || size < FILE_FIXED as u64 + user || size > 2 << 20 {
            return Err(format_error("its header is damaged"));
        }
        Ok((kind, size))
    }

    /// Reads a header of as many bytes as [`measure`](Self::measure) said.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = || format_error("its header is damaged");
        let fixed: &[u8; FILE_FIXED] = bytes.first_chunk().ok_or_else(damaged)?;
        let user = bytes.get(FILE_FIXED..FILE_FIXED + u32_at(fixed, 44) as usize).ok_or_else(damaged)?;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&fixed[..52]), user);
        if sum != u32_at(fixed, 52) || u64::from(u32_at(fixed, 40)) != BLOCK {
            return Err(damaged());
        }
        let [recording, number, created] = [16, 24, 32].map(|at| u64_at(fixed, at));
        Ok(Self { recording, number, created, user: user.to_vec() })
    }
}

/// What the stream that filled a chunk had published when the chunk began to be written: a batch of packets may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Packets received.
    pub packets: u64,
    /// Of these, those of complete heaps.
    pub packets_delivered: u64,
    /// Of these, those that neither are in a complete heap nor can still come into one.
    pub packets_lost: u64,
    /// Packets that the kernel dropped before anybody saw them.
    pub kernel_drops: u64,
    /// Heaps that ended.
    pub heaps: u64,
    /// Of these, complete ones.
    pub complete_heaps: u64,
}

impl Ledger {
    /// The ledger of a stream.
    pub fn of(stats: &Snapshot) -> Self {
        let packets = stats[Stat::Packets];
        let well = [Stat::PacketsDelivered, Stat::PacketsControl, Stat::PacketsPending];
        Self {
            packets,
            packets_delivered: stats[Stat::PacketsDelivered],
            packets_lost: well.iter().fold(packets, |rest, &stat| rest.saturating_sub(stats[stat])),
            kernel_drops: stats[Stat::KernelDrops],
            heaps: stats[Stat::Heaps],
            complete_heaps: stats[Stat::CompleteHeaps],
        }
    }

    fn values(self) -> [u64; 6] {
        let Self { packets, packets_delivered, packets_lost, kernel_drops, heaps, complete_heaps } = self;
        [packets, packets_delivered, packets_lost, kernel_drops, heaps, complete_heaps]
    }

    fn at(bytes: &[u8], at: usize) -> Self {
        let [packets, packets_delivered, packets_lost, kernel_drops, heaps, complete_heaps] =
            [0, 8, 16, 24, 32, 40].map(|more| u64_at(bytes, at + more));
        Self { packets, packets_delivered, packets_lost, kernel_drops, heaps, complete_heaps }
    }
}

/// What is noted of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkRecord {
    /// The recording and the number of the file that it is in.
    pub recording: u64,
    /// See `recording`.
    pub file: u32,
    /// Which of the chunks that the recorder was given, from 0. A number that is missing is of a chunk that could not be written.
    pub sequence: u64,
    /// Where its record begins in the data file.
    pub offset: u64,
    /// The chunk's own number.
    pub id: i64,
    /// The number of the stream that filled it.
    pub stream_id: u64,
    /// When the recorder took it: ns since the Unix epoch.
    pub time: u64,
    /// Bytes of data, presence flags and extra data.
    pub data_size: u64,
    /// See `data_size`.
    pub present_size: u64,
    /// See `data_size`.
    pub extra_size: u64,
    /// Heaps that were complete in it.
    pub complete_heaps: u64,
    /// CRC-32C of its data.
    pub data_sum: u32,
    /// CRC-32C of its flags and extra data.
    pub meta_sum: u32,
    /// The ledger of its stream, if the recorder knew it.
    pub ledger: Option<Ledger>,
}

impl ChunkRecord {
    /// Its bytes, which are followed by the flags and the extra data.
    pub fn encode(&self) -> [u8; CHUNK_FIXED] {
        let mut bytes = [0; CHUNK_FIXED];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put_start(&mut put, KIND_CHUNK, CHUNK_FIXED, self.file, self.recording);
        let numbers = [
            self.sequence,
            self.offset,
            self.id as u64,
            self.stream_id,
            self.time,
            self.data_size,
            self.present_size,
            self.extra_size,
            self.complete_heaps,
        ];
        for (i, number) in numbers.into_iter().enumerate() {
            put(24 + 8 * i, &number.to_le_bytes());
        }
        put(96, &self.data_sum.to_le_bytes());
        put(100, &self.meta_sum.to_le_bytes());
        put(104, &if self.ledger.is_some() { HAS_LEDGER } else { 0 }.to_le_bytes());
        for (i, number) in self.ledger.unwrap_or_default().values().into_iter().enumerate() {
            put(112 + 8 * i, &number.to_le_bytes());
        }
        seal(&mut bytes);
        bytes
    }

    /// Bytes of the record in the index, and of its beginning in the data file, which is filled up to a whole block.
    pub fn meta_size(&self) -> u64 {
        (CHUNK_FIXED as u64).saturating_add(self.present_size).saturating_add(self.extra_size)
    }

    /// Where the data begins, in bytes from the beginning of the record in the data file.
    pub fn data_start(&self) -> u64 {
        blocks(self.meta_size())
    }

    /// Bytes that the record takes in the data file.
    pub fn length(&self) -> u64 {
        self.data_start().saturating_add(blocks(self.data_size))
    }
}

/// The end of a pair of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndRecord {
    /// The recording and the number of the file.
    pub recording: u64,
    /// See `recording`.
    pub file: u32,
    /// Chunks that the recorder was given by now.
    pub given: u64,
    /// Bytes of the data file.
    pub data_end: u64,
    /// Chunks in this file.
    pub chunks: u64,
    /// Chunks of the whole recording, up to here, that could not be written: the disk was full,
    pub failed_full: u64,
    /// another error of the disk,
    pub failed_io: u64,
    /// there was no file to write to.
    pub failed_file: u64,
    /// When the file was closed: ns since the Unix epoch.
    pub time: u64,
    /// Whether it is the last file of the recording.
    pub last: bool,
    /// The stream's ledger, if the recorder knew it.
    pub ledger: Option<Ledger>,
}

impl EndRecord {
    /// Chunks that could not be written, for whatever reason. A file may say anything: it saturates.
    pub fn failed(&self) -> u64 {
        self.failed_full.saturating_add(self.failed_io).saturating_add(self.failed_file)
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; END_SIZE] {
        let mut bytes = [0; END_SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put_start(&mut put, KIND_END, END_SIZE, self.file, self.recording);
        let numbers = [
            self.given,
            self.data_end,
            self.chunks,
            self.failed_full,
            self.failed_io,
            self.failed_file,
            self.time,
        ];
        for (i, number) in numbers.into_iter().enumerate() {
            put(24 + 8 * i, &number.to_le_bytes());
        }
        let flags =
            if self.ledger.is_some() { HAS_LEDGER } else { 0 } | if self.last { LAST_FILE } else { 0 };
        put(80, &flags.to_le_bytes());
        for (i, number) in self.ledger.unwrap_or_default().values().into_iter().enumerate() {
            put(88 + 8 * i, &number.to_le_bytes());
        }
        seal(&mut bytes);
        bytes
    }
}

/// The beginning that all records have; the CRC in front of it is put by [`seal`].
fn put_start(put: &mut impl FnMut(usize, &[u8]), kind: u16, size: usize, file: u32, recording: u64) {
    put(4, &RECORD_MAGIC);
    put(8, &kind.to_le_bytes());
    put(10, &(size as u16).to_le_bytes());
    put(12, &file.to_le_bytes());
    put(16, &recording.to_le_bytes());
}

fn seal(bytes: &mut [u8]) {
    let sum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
}

/// What stands at some place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A chunk.
    Chunk(ChunkRecord),
    /// The end.
    End(EndRecord),
    /// Something that a later version has written, of so many bytes.
    Other(u64),
}

impl Record {
    /// Reads the fixed part of a record of that recording and file; `None` if there is no good one. Flags and extra data are not looked at.
    pub fn parse(bytes: &[u8], recording: u64, file: u32) -> Option<Self> {
        if bytes.get(4..8)? != RECORD_MAGIC {
            return None;
        }
        let (kind, size) = (u16_at(bytes, 8)?, usize::from(u16_at(bytes, 10)?));
        let bytes = bytes.get(..size)?;
        if size < 24 || crc32c::crc32c(&bytes[4..]) != u32_at(bytes, 0) {
            return None;
        }
        if u32_at(bytes, 12) != file || u64_at(bytes, 16) != recording {
            return None;
        }
        match kind {
            KIND_CHUNK if size == CHUNK_FIXED => {
                let [
                    sequence,
                    offset,
                    id,
                    stream_id,
                    time,
                    data_size,
                    present_size,
                    extra_size,
                    complete_heaps,
                ] = std::array::from_fn(|i| u64_at(bytes, 24 + 8 * i));
                let has_ledger = u32_at(bytes, 104) & HAS_LEDGER != 0;
                Some(Self::Chunk(ChunkRecord {
                    recording,
                    file,
                    sequence,
                    offset,
                    id: id as i64,
                    stream_id,
                    time,
                    data_size,
                    present_size,
                    extra_size,
                    complete_heaps,
                    data_sum: u32_at(bytes, 96),
                    meta_sum: u32_at(bytes, 100),
                    ledger: has_ledger.then(|| Ledger::at(bytes, 112)),
                }))
            }
            KIND_END if size == END_SIZE => {
                let [given, data_end, chunks, failed_full, failed_io, failed_file, time] =
                    std::array::from_fn(|i| u64_at(bytes, 24 + 8 * i));
                let flags = u32_at(bytes, 80);
                Some(Self::End(EndRecord {
                    recording,
                    file,
                    given,
                    data_end,
                    chunks,
                    failed_full,
                    failed_io,
                    failed_file,
                    time,
                    last: flags & LAST_FILE != 0,
                    ledger: (flags & HAS_LEDGER != 0).then(|| Ledger::at(bytes, 88)),
                }))
            }
            KIND_CHUNK | KIND_END => None,
            _ => Some(Self::Other(size as u64)),
        }
    }
}

fn format_error(reason: &str) -> Error {
    Error::new(ErrorKind::Format, reason)
}

// Where a number is cannot be outside: callers have the fixed size.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::chunk::record) fn chunk() -> ChunkRecord {
        ChunkRecord {
            recording: 0x0102_0304_0506_0708,
            file: 3,
            sequence: 9,
            offset: 8192,
            id: -2,
            stream_id: 77,
            time: 1_795_561_489_461_783_001,
            data_size: 5000,
            present_size: 8,
            extra_size: 3,
            complete_heaps: 7,
            data_sum: 0xdead_beef,
            meta_sum: 0x1234_5678,
            ledger: Some(Ledger { packets: 1, kernel_drops: 4, complete_heaps: 6, ..Ledger::default() }),
        }
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        for ledger in [chunk().ledger, None] {
            let chunk = ChunkRecord { ledger, ..chunk() };
            let bytes = chunk.encode();
            assert_eq!(Record::parse(&bytes, chunk.recording, 3), Some(Record::Chunk(chunk)));
            assert_eq!(Record::parse(&bytes, chunk.recording, 4), None, "another file");
            assert_eq!(Record::parse(&bytes, chunk.recording + 1, 3), None, "another recording");
            assert_eq!(Record::parse(&bytes[..CHUNK_FIXED - 1], chunk.recording, 3), None, "cut");
            for at in 0..CHUNK_FIXED {
                let mut bytes = bytes;
                bytes[at] ^= 1;
                assert_eq!(Record::parse(&bytes, chunk.recording, 3), None, "byte {at}");
            }
        }
        assert_eq!((chunk().meta_size(), chunk().data_start(), chunk().length()), (171, 4096, 12288));
        let end = EndRecord {
            recording: 1,
            file: 0,
            given: 12,
            data_end: 4096,
            chunks: 9,
            failed_full: 1,
            failed_io: 2,
            failed_file: 0,
            time: 5,
            last: true,
            ledger: chunk().ledger,
        };
        assert_eq!(end.failed(), 3);
        assert_eq!(EndRecord { failed_io: u64::MAX, ..end }.failed(), u64::MAX);
        assert_eq!(Record::parse(&end.encode(), 1, 0), Some(Record::End(end)));
        assert_eq!(Record::parse(&[], 1, 0), None);
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        for (kind, user) in
            [(FileKind::Data, vec![7; 5000]), (FileKind::Index, b"run 12".to_vec()), (FileKind::Data, vec![])]
        {
            let header = FileHeader { recording: 5, number: 2, created: 9, user };
            let bytes = header.encode(kind);
            assert!(kind == FileKind::Index || (bytes.len() as u64).is_multiple_of(BLOCK));
            assert_eq!(FileHeader::measure(bytes.first_chunk().unwrap()), Ok((kind, bytes.len() as u64)));
            assert_eq!(FileHeader::parse(&bytes), Ok(header.clone()));
            for at in (0..FILE_FIXED + header.user.len()).filter(|at| !(8..12).contains(at)) {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x10;
                let measured = FileHeader::measure(bytes.first_chunk().unwrap());
                let parsed = measured.and_then(|_| FileHeader::parse(&bytes));
                assert!(parsed.is_err(), "byte {at}");
            }
            let mut newer = bytes.clone();
            newer[8] = 2;
            let error = FileHeader::measure(newer.first_chunk().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Version);
        }
    }
}

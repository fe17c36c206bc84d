//! Reading a framed event file, whatever has become of it.
//!
//! A record is handed out only if its CRC is right. Where one is not, the next good one is searched for byte by byte, and
//! exactly the bytes between are reported as damaged; so is a file that ends within a record as torn. The time is
//! proportional to the file's size (with at most two blocks of 1 KiB read for every damaged byte), whatever the file holds, and the memory
//! to its longest record. Used by one thread at a time.

use std::fs::File;
use std::path::Path;

use super::frame::{
    EndMark, FileHeader, Kind, LossMark, MAX_FILE_HEADER, Parsed, RECORD_HEADER, Record, RecordHeader,
};
use super::search::Search;
use super::window::Window;
use crate::error::{Error, Result};

/// After damage, sizes are not believed: longer records are checked before they are read as a whole.
const BELIEVED: usize = 64 * 1024;

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A packet.
    Packet {
        /// How many good packets are before it in the file.
        number: u64,
        /// Where its record begins, in bytes from the beginning of the file.
        offset: u64,
        /// ns since the Unix epoch; 0 if not taken.
        time: u64,
        /// Its bytes.
        data: &'a [u8],
    },
    /// Packets were lost here before they could be written.
    Loss {
        /// Where the mark begins.
        offset: u64,
        /// What it says.
        mark: LossMark,
    },
    /// The file was closed here.
    End {
        /// Where the mark begins.
        offset: u64,
        /// What it says.
        mark: EndMark,
        /// Whether as many packets were read, and found lost, as it says.
        agrees: bool,
    },
    /// No good record begins in these bytes.
    Damaged {
        /// The first of them.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The last bytes of the file are the beginning of a record.
    Torn {
        /// The first of them.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// What has been read of a file up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Good packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The time of the first packet that has one.
    pub first_time: Option<u64>,
    /// And of the last.
    pub last_time: Option<u64>,
    /// Loss marks.
    pub losses: u64,
    /// Packets that they stand for.
    pub lost_packets: u64,
    /// Those packets' bytes.
    pub lost_bytes: u64,
    /// Damaged ranges.
    pub damaged: u64,
    /// Their bytes.
    pub damaged_bytes: u64,
    /// Where the file is torn.
    pub torn: Option<u64>,
    /// Bytes behind that.
    pub torn_bytes: u64,
    /// Records of a kind that a later version may write, which were skipped.
    pub reserved: u64,
    /// End marks that agree with what was read.
    pub ends: u64,
    /// End marks that do not.
    pub wrong_ends: u64,
}

/// A framed event file, read from its beginning.
pub struct EventFile {
    file: File,
    header: Option<FileHeader>,
    /// Bytes of the file when it was opened, or fewer if it has shrunk.
    size: u64,
    /// The next record.
    offset: u64,
    window: Window,
    search: Search,
    summary: Summary,
    /// The last thing was an end mark that agrees.
    ended: bool,
}

/// What was found at an offset.
enum Found {
    Record(Kind, usize),
    /// Where it ends if its size is right.
    Bad(Option<u64>),
}

/// Opens a regular file: others may never end, or block.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let in_context = |error| Error::io(format_args!("open {}", path.display()), &error);
    let kind = std::fs::metadata(path).map_err(in_context)?;
    if !kind.is_file() {
        return Err(Error::invalid(format!("{} must be a regular file", path.display())));
    }
    let file = File::open(path).map_err(in_context)?;
    let size = file.metadata().map_err(in_context)?.len();
    Ok((file, size))
}

impl EventFile {
    /// Opens a file and reads its header. What others append from now on is not read.
    ///
    /// Errors: `Format` if it is no framed file, or its header is damaged; `Truncated` if it ends within its header; `Version` if a
    /// newer version wrote it; `Io`; `Invalid` if it is no regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut this = Self::salvage(path)?;
        let bytes = this.window.at(&this.file, 0, MAX_FILE_HEADER)?;
        let (header, size) = FileHeader::parse(bytes)
            .map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        this.header = Some(header);
        this.offset = size as u64;
        Ok(this)
    }

    /// Opens a file whose header is damaged: all before the first good record is a damaged range.
    pub fn salvage(path: &Path) -> Result<Self> {
        let (file, size) = open(path)?;
        Ok(Self {
            file,
            header: None,
            size,
            offset: 0,
            window: Window::default(),
            search: Search::new(),
            summary: Summary::default(),
            ended: false,
        })
    }

    /// What stands at its beginning; `None` if it was opened without.
    pub fn header(&self) -> Option<&FileHeader> {
        self.header.as_ref()
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the next entry begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What has been read up to now.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Whether all of the file has been read, nothing was damaged, and it ends with an end mark that agrees with what was read.
    pub fn is_whole(&self) -> bool {
        self.ended && self.offset >= self.size && self.summary.damaged == 0 && self.summary.torn.is_none()
    }

    /// What comes next; `None` at the end. After an error (`Io`, `NoMemory`) it may be tried again.
    #[allow(clippy::should_implement_trait, reason = "an entry borrows the file")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let size = loop {
            if self.offset >= self.size {
                return Ok(None);
            }
            match self.look()? {
                Found::Bad(claimed) => return self.bad(claimed).map(Some),
                Found::Record(Kind::Reserved, size) => {
                    self.summary.reserved += 1;
                    self.offset += size as u64;
                    self.ended = false;
                }
                Found::Record(_, size) => break size,
            }
        };
        let offset = self.offset;
        let bytes = self.window.at(&self.file, offset, size)?;
        self.offset += size as u64;
        self.ended = false;
        Ok(Record::trusted(bytes).and_then(|record| note(&mut self.summary, &mut self.ended, record, offset)))
    }

    /// Whether a good record is next, and how long it is.
    #[inline]
    fn look(&mut self) -> Result<Found> {
        let bytes = self.window.at(&self.file, self.offset, RECORD_HEADER)?;
        // A record that goes on after the file's end goes far.
        let Some(head) = bytes.first_chunk() else { return Ok(Found::Bad(Some(u64::MAX))) };
        let Some(header) = RecordHeader::parse(head) else { return Ok(Found::Bad(None)) };
        let size = header.record_size();
        let bad = Found::Bad(Some(self.offset + size as u64));
        if size as u64 > self.size - self.offset {
            return Ok(bad);
        }
        if size > BELIEVED && self.summary.damaged > 0 {
            self.search.forget_before(self.offset);
            if !self.search.is_record(&self.file, self.offset, self.size)? {
                return Ok(bad);
            }
        }
        let bytes = self.window.at(&self.file, self.offset, size)?;
        Ok(match Record::parse(bytes) {
            Parsed::Complete(record) => Found::Record(record.kind(), size),
            // It was there when the file was opened.
            Parsed::NeedMore(_) => Found::Bad(Some(u64::MAX)),
            Parsed::Damaged => bad,
        })
    }

    /// Damage from here up to the next good record. `claimed` is where the bad one ends if its size is right.
    #[cold]
    fn bad(&mut self, claimed: Option<u64>) -> Result<Entry<'static>> {
        let offset = self.offset;
        let found = self.search.next(&self.file, &mut self.window, offset, claimed, self.size)?;
        let end = found.unwrap_or(self.size);
        let length = end - offset;
        self.offset = end;
        self.ended = false;
        if found.is_none() && claimed.is_some_and(|end| end > self.size) {
            self.summary.torn = Some(offset);
            self.summary.torn_bytes = length;
            Ok(Entry::Torn { offset, length })
        } else {
            self.summary.damaged += 1;
            self.summary.damaged_bytes += length;
            Ok(Entry::Damaged { offset, length })
        }
    }
}

/// Counts a good record, and makes an entry of it.
#[inline]
fn note<'a>(summary: &mut Summary, ended: &mut bool, record: Record<'a>, offset: u64) -> Option<Entry<'a>> {
    match record.kind() {
        Kind::Packet => {
            let (number, time, data) = (summary.packets, record.time(), record.payload());
            summary.packets += 1;
            summary.bytes += data.len() as u64;
            if time != 0 {
                summary.first_time.get_or_insert(time);
                summary.last_time = Some(time);
            }
            Some(Entry::Packet { number, offset, time, data })
        }
        Kind::Loss => {
            let mark = record.loss()?;
            summary.losses += 1;
            // Whoever wrote them: sums of what a file says may be anything.
            summary.lost_packets = summary.lost_packets.saturating_add(mark.packets);
            summary.lost_bytes = summary.lost_bytes.saturating_add(mark.bytes);
            Some(Entry::Loss { offset, mark })
        }
        Kind::End => {
            let mark = record.end()?;
            let agrees = mark.packets == summary.packets && mark.lost == summary.lost_packets;
            *(if agrees { &mut summary.ends } else { &mut summary.wrong_ends }) += 1;
            *ended = agrees;
            Some(Entry::End { offset, mark, agrees })
        }
        Kind::Reserved => None,
    }
}

//! Capture files as a source of UDP payloads.
//!
//! [`PcapFile`] reads the classic format itself, in large blocks, and leaves every other format that
//! libpcap knows, pcapng above all, and the filter language to libpcap. [`link`] takes a frame to its UDP payload.
//! A frame without one is a record with a [`Skip`], so that the caller can count it; a broken file is an error that
//! names the record and its place. Everything belongs to the one thread that calls [`PcapFile::next`].

mod classic;
pub mod link;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::pcap::{BpfProgram, Capture, Linktype, Offline, Precision};

use self::classic::{Broken, Classic, FILE_HEADER, Header};
pub use self::link::{LinkType, Skip};
use crate::error::{Error, ErrorKind, Result};

/// A capture file that is being read.
pub struct PcapFile {
    path: PathBuf,
    source: Source,
    link: LinkType,
    filter: Option<BpfProgram>,
    /// Records read so far, those that the filter rejected included.
    index: u64,
    /// Set by the first error: nothing can be read after it.
    failed: Option<Error>,
}

enum Source {
    Classic(Classic),
    Libpcap {
        capture: Capture<Offline>,
        /// A frame that passed the filter, as libpcap's own may not outlive the loop that looks for it.
        frame: Vec<u8>,
    },
}

/// One record of a capture file.
#[derive(Debug)]
pub struct Record<'a> {
    /// The payload of the UDP datagram, or why there is none.
    pub payload: Result<&'a [u8], Skip>,
    /// When it was captured, since 1970-01-01 00:00 UTC.
    pub time: Duration,
    /// Its number in the file, from 1, as tcpdump and Wireshark count. Records that the filter rejects have one too.
    pub index: u64,
}

impl PcapFile {
    /// Opens a capture file; only records that pass `filter`, in libpcap's language, will be read.
    ///
    /// The filter sees the captured bytes of a frame, also as its length. Errors name the path and the reason: the
    /// file cannot be read ([`ErrorKind::Io`]), is empty or ends in its header ([`ErrorKind::Truncated`]), is not a
    /// capture ([`ErrorKind::Format`]), has a link type other than those of [`LinkType`]
    /// ([`ErrorKind::Unsupported`]); the filter does not compile ([`ErrorKind::Invalid`]).
    pub fn open(path: &Path, filter: Option<&str>) -> Result<Self> {
        let shown = path.display();
        let mut file = File::open(path).map_err(|reason| Error::io(format_args!("open {shown}"), &reason))?;
        let mut bytes = [0; FILE_HEADER];
        let got = read_up_to(&mut file, &mut bytes)
            .map_err(|reason| Error::io(format_args!("read {shown}"), &reason))?;
        if got == 0 {
            return Err(Error::new(ErrorKind::Truncated, format!("{shown}: the file is empty")));
        }
        if got < FILE_HEADER {
            let magic = bytes.first_chunk().copied().unwrap_or_default();
            return Err(match Header::magic(magic) {
                Some(_) => Error::new(
                    ErrorKind::Truncated,
                    format!("{shown}: the file ends after {got} of its {FILE_HEADER} header bytes"),
                ),
                None => Error::new(ErrorKind::Format, format!("{shown}: not a capture file ({got} bytes)")),
            });
        }
        let (number, source) = match Header::parse(&bytes) {
            Some(header) => (header.link, Source::Classic(Classic::new(file, header))),
            None => {
                let capture = open_with_libpcap(path, &file)?;
                // Never negative in a file.
                let number = capture.get_datalink().0 as u32;
                (number, Source::Libpcap { capture, frame: Vec::new() })
            }
        };
        let Some(link) = LinkType::from_number(number) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{shown}: link type {number}{} is not supported; Ethernet, Linux SLL and SLL2, NULL, LOOP and \
                     raw IP are",
                    link_name(number)
                ),
            ));
        };
        let filter = match filter {
            Some(text) => Some(compile(number, text).map_err(|reason| {
                Error::invalid(format!("filter \"{}\" for {shown}: {reason}", text.escape_default()))
            })?),
            None => None,
        };
        Ok(Self { path: path.to_owned(), source, link, filter, index: 0, failed: None })
    }

    /// How the file's frames begin.
    pub fn link_type(&self) -> LinkType {
        self.link
    }

    /// The next record that passes the filter; `None` at the end of the file.
    ///
    /// A file that ends in the middle of a record ([`ErrorKind::Truncated`]) or holds an impossible one
    /// ([`ErrorKind::Format`]) gives an error that names the record's number and, in a classic file, the byte where
    /// it starts. Every later call gives the same error.
    #[expect(clippy::should_implement_trait, reason = "records borrow the reader")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Self { path, source, link, filter, index, failed } = self;
        let passes = |frame: &[u8]| filter.as_ref().is_none_or(|filter| filter.filter(frame));
        match source {
            Source::Classic(classic) => loop {
                let found = match classic.next() {
                    Ok(Some(found)) => found,
                    Ok(None) => return Ok(None),
                    Err(broken) => {
                        return Err(failed
                            .insert(describe(path, *index + 1, classic.offset(), broken))
                            .clone());
                    }
                };
                *index += 1;
                if passes(classic.frame(&found)) {
                    let payload = link::udp_payload(*link, classic.frame(&found), found.original_len);
                    return Ok(Some(Record { payload, time: found.time, index: *index }));
                }
            },
            Source::Libpcap { capture, frame } => loop {
                let packet = match capture.next_packet() {
                    Ok(packet) => packet,
                    Err(::pcap::Error::NoMorePackets) => return Ok(None),
                    Err(reason) => {
                        return Err(failed.insert(describe_libpcap(path, *index + 1, reason)).clone());
                    }
                };
                *index += 1;
                if passes(packet.data) {
                    frame.clear();
                    frame.extend_from_slice(packet.data);
                    let payload = link::udp_payload(*link, frame, packet.header.len);
                    return Ok(Some(Record { payload, time: time(packet.header), index: *index }));
                }
            },
        }
    }
}

/// When a packet was captured, by a libpcap that was opened for nanoseconds: that is what the microseconds are.
pub(super) fn time(header: &::pcap::PacketHeader) -> Duration {
    let nanoseconds = Duration::from_nanos(u64::try_from(header.ts.tv_usec).unwrap_or(0));
    Duration::from_secs(u64::try_from(header.ts.tv_sec).unwrap_or(0)).saturating_add(nanoseconds)
}

/// Fills `bytes` unless the file ends before; tells how much it read.
fn read_up_to(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read(&mut bytes[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Opens any format that libpcap knows. `file` is the same file, already open.
fn open_with_libpcap(path: &Path, file: &File) -> Result<Capture<Offline>> {
    let shown = path.display();
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        let message = format!("{shown}: only the classic pcap format can be read from a pipe or device");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if path.to_str().is_none() {
        let message = format!("{shown}: libpcap reads this format only from a path in UTF-8");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    // To libpcap "-" is the standard input.
    let path = if path == Path::new("-") { Path::new("./-") } else { path };
    Capture::from_file_with_precision(path, Precision::Nano).map_err(|reason| {
        let reason = reason.to_string();
        Error::new(kind_of(&reason), format!("{shown}: not a capture file: {reason}"))
    })
}

/// Compiles a filter for frames with a file's link type number.
fn compile(number: u32, text: &str) -> Result<BpfProgram, ::pcap::Error> {
    // LINKTYPE_RAW is the one number of ours that libpcap calls otherwise: DLT_RAW.
    let number = if number == 101 { 12 } else { number };
    Capture::dead(Linktype(number as i32))?.compile(text, true)
}

fn link_name(number: u32) -> String {
    let name = i32::try_from(number).ok().and_then(|number| Linktype(number).get_name().ok());
    name.map(|name| format!(" ({name})")).unwrap_or_default()
}

#[cold]
fn describe(path: &Path, index: u64, offset: u64, broken: Broken) -> Error {
    let place = format!("{}: record {index} at byte {offset}", path.display());
    match broken {
        Broken::Truncated { what, got, of } => Error::new(
            ErrorKind::Truncated,
            format!("{place}: the file ends after {got} of {of} bytes of its {what}"),
        ),
        Broken::TooLong(captured) => Error::new(
            ErrorKind::Format,
            format!("{place}: its captured length is impossible ({captured} bytes)"),
        ),
        Broken::Io(reason) => Error::io(format_args!("read {place}"), &reason),
    }
}

#[cold]
fn describe_libpcap(path: &Path, index: u64, reason: ::pcap::Error) -> Error {
    let reason = reason.to_string();
    Error::new(kind_of(&reason), format!("{}: record {index}: {reason}", path.display()))
}

/// libpcap tells its errors apart only by their text.
fn kind_of(reason: &str) -> ErrorKind {
    if reason.contains("truncated") {
        ErrorKind::Truncated
    } else if reason.contains("error reading") {
        ErrorKind::Io
    } else {
        ErrorKind::Format
    }
}

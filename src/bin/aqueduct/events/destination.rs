//! Where packets go: new files, or the standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aqueduct::event::layout::PacketLayout;

use super::Options;
use super::source::Source;
use crate::failure::Failure;
use crate::stdout::{BLOCK, Lines};

/// Whether an option names the standard output.
pub fn is_stdout(path: Option<&Path>) -> bool {
    path == Some(Path::new("-"))
}

/// A new file, or the standard output.
enum Output {
    File(PathBuf, BufWriter<File>),
    Stdout(Lines),
}

impl Output {
    fn new(path: &Path) -> Result<Self, Failure> {
        if is_stdout(Some(path)) {
            return Ok(Self::Stdout(Lines::new()));
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
            Failure::Run(match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{} exists already; it is not overwritten", path.display())
                }
                _ => format!("create {}: {error}", path.display()),
            })
        })?;
        Ok(Self::File(path.to_owned(), BufWriter::with_capacity(BLOCK, file)))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::File(path, file) => file.write_all(bytes).map_err(|error| failed(path, &error)),
            Self::Stdout(lines) => lines.write(bytes),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::File(path, mut file) => file.flush().map_err(|error| failed(&path, &error)),
            Self::Stdout(mut lines) => lines.flush(),
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Run(format!("writing to {}: {error}", path.display()))
}

/// How a packet becomes text.
type Format = fn(&PacketLayout, &[u8], &mut Vec<u8>) -> aqueduct::error::Result<()>;

/// Where the packets go.
pub struct Destinations {
    extract: Option<Output>,
    converted: Vec<(Output, Format)>,
    layout: Option<PacketLayout>,
    text: Vec<u8>,
}

impl Destinations {
    /// Makes the files. `first` is the first file that is read.
    pub fn new(options: &Options, first: &Source) -> Result<Self, Failure> {
        let layout = first.layout().cloned();
        let known = || {
            let unknown = || format!("{}: its packets' layout is not known; --layout tells it", first.name());
            layout.as_ref().ok_or_else(|| Failure::Run(unknown()))
        };
        let mut converted: Vec<(Output, Format)> = Vec::new();
        if let Some(path) = &options.text {
            let layout = known()?;
            let created = first.header().map_or_else(SystemTime::now, |header| {
                SystemTime::UNIX_EPOCH
                    .checked_add(Duration::from_nanos(header.created))
                    .unwrap_or(SystemTime::UNIX_EPOCH)
            });
            let mut output = Output::new(path)?;
            output.write(layout.text_header("#", created, None).as_bytes())?;
            converted.push((output, |layout, packet, out| layout.write_text(packet, ",", out)));
        }
        if let Some(path) = &options.csv {
            let layout = known()?;
            let mut output = Output::new(path)?;
            output.write(layout.csv_header().as_bytes())?;
            converted.push((output, |layout, packet, out| layout.write_csv(packet, out)));
        }
        let extract = options.extract.as_deref().map(Output::new).transpose()?;
        Ok(Self { extract, converted, layout, text: Vec::new() })
    }

    /// Whether a file's packets can go where the first one's went.
    pub fn fit(&self, source: &Source) -> bool {
        self.converted.is_empty() || self.layout.as_ref() == source.layout()
    }

    /// Writes a packet everywhere. The inner error is why it has no text.
    pub fn packet(&mut self, data: &[u8]) -> Result<aqueduct::error::Result<()>, Failure> {
        if let Some(extract) = &mut self.extract {
            extract.write(data)?;
        }
        for (output, format) in &mut self.converted {
            let Some(layout) = &self.layout else { continue };
            self.text.clear();
            if let Err(error) = format(layout, data, &mut self.text) {
                return Ok(Err(error));
            }
            output.write(&self.text)?;
        }
        Ok(Ok(()))
    }

    /// Whether the standard output is one of them, and nobody reads it any more.
    pub fn is_closed(&self) -> bool {
        let outputs = self.converted.iter().map(|(output, _)| output).chain(&self.extract);
        outputs.into_iter().any(|output| matches!(output, Output::Stdout(lines) if lines.is_closed()))
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<(), Failure> {
        let outputs = self.converted.into_iter().map(|(output, _)| output).chain(self.extract);
        outputs.into_iter().try_for_each(Output::finish)
    }
}

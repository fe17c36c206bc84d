//! A dataset: what it is, and by which way its rows are read.
//!
//! All is found out when it is opened, and does not change. Any thread may use it; [`Reader`](super::Reader)s of one thread each read it.

use std::fmt;
use std::sync::Arc;

use super::codec::Pipeline;
use super::dtype::{DataType, Odd};
use super::file::File;
use super::index::{self, ChunkTable, Grid};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5::{self, Kind, Layout, Library};

/// By which way rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// From where they are in the file, by us.
    Contiguous,
    /// Chunk by chunk, read and unpacked by us.
    Chunks,
    /// Chunk by chunk, unpacked by us but looked up and read by libhdf5, one at a time.
    LibraryChunks,
    /// By libhdf5, one at a time.
    Library,
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contiguous => "contiguous",
            Self::Chunks => "chunks",
            Self::LibraryChunks => "chunks read by libhdf5",
            Self::Library => "libhdf5",
        })
    }
}

/// Where chunks are.
#[derive(Debug)]
pub(super) enum Places {
    Table(ChunkTable),
    /// libhdf5 knows.
    Library,
}

#[derive(Debug)]
pub(super) enum Way {
    /// From the superblock; `None`: nothing was ever written.
    Contiguous(Option<u64>),
    Chunks(Chunks),
    Library,
}

#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) grid: Grid,
    pub(super) pipeline: Pipeline,
    /// Whether chunks that reach beyond the edge are packed as the others.
    pub(super) filters_edges: bool,
    pub(super) places: Places,
    /// Bytes of a chunk, unpacked.
    pub(super) size: usize,
}

/// A dataset of an open file. Its rows are its elements along the first axis.
#[derive(Debug)]
pub struct Dataset {
    pub(super) file: Arc<File>,
    pub(super) handle: hdf5::Dataset,
    /// The type that libhdf5 reads by.
    pub(super) kind: Kind,
    name: String,
    shape: Vec<u64>,
    max_shape: Vec<Option<u64>>,
    dtype: DataType,
    row_size: usize,
    pub(super) way: Way,
    reason: String,
    /// An element that was never written.
    pub(super) fill: Vec<u8>,
}

/// What we decided of a layout, and why not better.
type Decided = (Way, String);

impl Dataset {
    /// Opens the dataset at `name`, a path in the file. Reads its index of chunks: 2 ms for 10 000.
    ///
    /// # Errors
    /// `NotFound`: there is none. `Unsupported`: a type, or a rank of 0, that cannot be streamed. `Format`: the file is damaged.
    pub fn open(file: &Arc<File>, name: &str) -> Result<Arc<Self>> {
        let library = hdf5::lock();
        let failed = |e: std::io::Error| {
            let reason = e.to_string();
            let kind = if hdf5::is_missing(&reason) { ErrorKind::NotFound } else { ErrorKind::Format };
            Error::new(kind, format!("dataset {name} of {}: {reason}", file.path().display()))
        };
        let unsupported = |what: &str| {
            let dataset = format!("dataset {name} of {}", file.path().display());
            Err(Error::new(ErrorKind::Unsupported, format!("{dataset} cannot be streamed: {what}")))
        };
        let handle = file.library.dataset(&library, name).map_err(failed)?;
        let Some((shape, most)) = handle.extent(&library).map_err(failed)? else {
            return unsupported("it has no elements (a null dataspace)");
        };
        if shape.is_empty() {
            return unsupported("it has one element and no axes");
        }
        let kind = handle.kind(&library).map_err(failed)?;
        let (kind, dtype, odd) = match DataType::new(&library, &kind, 0) {
            Ok(dtype) => (kind, dtype, None),
            Err(Odd::Convert(what)) => {
                let native = kind.native(&library).map_err(failed)?;
                match DataType::new(&library, &native, 0) {
                    Ok(dtype) => (native, dtype, Some(what)),
                    Err(_) => return unsupported(what),
                }
            }
            Err(Odd::No(what)) => return unsupported(what),
            Err(Odd::Failed(e)) => return Err(failed(e)),
        };
        let row_size = shape[1..].iter().try_fold(dtype.size as u64, |all, &n| all.checked_mul(n));
        let row_size =
            row_size.and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= isize::MAX as usize);
        let fits =
            |&size: &usize| shape[0].checked_mul(size as u64).is_some_and(|all| all <= i64::MAX as u64);
        let Some(row_size) = row_size.filter(fits).filter(|_| shape[0] <= i64::MAX as u64) else {
            return unsupported(&format!("its shape {shape:?} is larger than memory"));
        };
        let fill = handle.fill(&library, &kind).map_err(failed)?.unwrap_or_else(|| vec![0; dtype.size]);
        let (way, reason) = match odd {
            Some(what) => (Way::Library, format!("it has {what}")),
            None => decide(&library, file, &handle, &shape, dtype.size, name)?,
        };
        Ok(Arc::new(Self {
            file: file.clone(),
            handle,
            kind,
            name: name.to_owned(),
            max_shape: most.into_iter().map(|n| (n != u64::MAX).then_some(n)).collect(),
            shape,
            dtype,
            row_size,
            way,
            reason,
            fill,
        }))
    }

    /// Its path in the file, as it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that it is in.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Elements along each axis; at least one axis.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// How many it may have; `None`: any number.
    pub fn max_shape(&self) -> &[Option<u64>] {
        &self.max_shape
    }

    /// Rows: elements along the first axis.
    pub fn rows(&self) -> u64 {
        self.shape[0]
    }

    /// Bytes of a row.
    pub fn row_size(&self) -> usize {
        self.row_size
    }

    /// Whether there is not one byte.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// What an element is.
    pub fn dtype(&self) -> &DataType {
        &self.dtype
    }

    /// Elements of a chunk along each axis, if we read it chunk by chunk.
    pub fn chunk_shape(&self) -> Option<&[u64]> {
        match &self.way {
            Way::Chunks(chunks) => Some(chunks.grid.chunk()),
            _ => None,
        }
    }

    /// Bytes of all chunks that share their rows, unpacked; 0 if it is not read by chunks.
    pub fn row_of_chunks(&self) -> usize {
        match &self.way {
            Way::Chunks(chunks) => usize::try_from(chunks.grid.per_row())
                .map_or(usize::MAX, |count| count.saturating_mul(chunks.size)),
            _ => 0,
        }
    }

    /// By which way rows are read.
    pub fn path_kind(&self) -> PathKind {
        match &self.way {
            Way::Contiguous(_) => PathKind::Contiguous,
            Way::Chunks(Chunks { places: Places::Table(_), .. }) => PathKind::Chunks,
            Way::Chunks(_) => PathKind::LibraryChunks,
            Way::Library => PathKind::Library,
        }
    }

    /// Why not by a faster way; empty if there is none.
    pub fn path_reason(&self) -> &str {
        &self.reason
    }

    /// Rows of a block where nobody says: one row of chunks, or 128 KiB.
    pub fn default_block_rows(&self) -> u64 {
        const BYTES: usize = 128 << 10;
        let rows = match self.chunk_shape() {
            Some(chunk) => chunk[0],
            None => (BYTES / self.row_size.max(1)) as u64,
        };
        rows.clamp(1, self.rows().max(1))
    }
}

/// By which way rows are read.
fn decide(
    library: &Library,
    file: &Arc<File>,
    handle: &hdf5::Dataset,
    shape: &[u64],
    element: usize,
    name: &str,
) -> Result<Decided> {
    let failed = |e: std::io::Error| {
        let dataset = format!("dataset {name} of {}", file.path().display());
        Error::new(ErrorKind::Format, format!("{dataset}: {e}"))
    };
    let by_library = |reason: &str| Ok((Way::Library, reason.to_owned()));
    match handle.layout(library).map_err(failed)? {
        Layout::Compact => by_library("its elements are in its header (compact layout)"),
        Layout::Virtual => by_library("its elements are in other datasets (virtual layout)"),
        Layout::Contiguous if handle.is_external(library).map_err(failed)? => {
            by_library("its elements are in other files (external storage)")
        }
        // libhdf5 counts from the start of the file.
        Layout::Contiguous => match handle.offset(library).map(|offset| offset.checked_sub(file.base())) {
            None => Ok((Way::Contiguous(None), String::new())),
            Some(Some(offset)) => Ok((Way::Contiguous(Some(offset)), String::new())),
            Some(None) => by_library("its elements lie before the superblock"),
        },
        Layout::Chunked => {
            let filters = handle.filters(library).map_err(failed)?;
            let chunk = handle.chunk_shape(library, shape.len()).map_err(failed)?;
            let size = chunk.iter().try_fold(element as u64, |all, &n| all.checked_mul(n));
            // The format's own limit.
            let Some(size) = size.filter(|&size| size < 1 << 32) else {
                return by_library("its chunks have 4 GiB or more");
            };
            let pipeline = match Pipeline::new(&filters) {
                Ok(pipeline) => pipeline,
                Err(what) => {
                    return by_library(&format!("its chunks are packed by what we cannot unpack: {what}"));
                }
            };
            let grid = Grid::new(shape, &chunk)?;
            let wide = file.library.widths(library).map_err(failed)? == (8, 8);
            let table = match wide {
                true => index::table(library, handle, &**file, &grid, (file.base(), file.size()?))?,
                false => None,
            };
            let reason = match table {
                Some(_) => "",
                None => "this version of libhdf5 does not list the chunks of the newer file format",
            };
            let places = table.map_or(Places::Library, Places::Table);
            let filters_edges = handle.filters_edges(library).map_err(failed)?;
            let chunks = Chunks { grid, pipeline, filters_edges, places, size: size as usize };
            Ok((Way::Chunks(chunks), reason.to_owned()))
        }
    }
}

//! All that can be told of a dataset without reading it, also of one that cannot be streamed; and its attributes.

use std::sync::Arc;

use super::dataset::{Dataset, PathKind, Places, Way};
use super::dtype::{DataType, Odd};
use super::file::File;
use super::memory::resize;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5::{self, Kind, Library};
pub use crate::sys::hdf5::{Filter, Layout};

/// Elements that an attribute may have to be read.
const MOST_ELEMENTS: u64 = 4096;
/// Bytes of them.
const MOST_BYTES: u64 = 1 << 20;

/// What a dataset is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Elements along each axis; none: one element; `None`: no elements, by type.
    pub shape: Option<Vec<u64>>,
    /// How many there may be; `None`: any number.
    pub max_shape: Vec<Option<u64>>,
    /// What an element is: as [`DataType`] is shown, or in words.
    pub dtype: String,
    /// The same, of what can be read as it is.
    pub data_type: Option<DataType>,
    /// Bytes of an element.
    pub element_size: usize,
    /// How it lies in the file.
    pub layout: Layout,
    /// Elements of a chunk along each axis.
    pub chunk_shape: Option<Vec<u64>>,
    /// What chunks go through when they are written, in this order.
    pub filters: Vec<Filter>,
    /// Bytes that elements take in the file.
    pub stored: u64,
    /// By what chunks are found.
    pub index: Option<&'static str>,
    /// Chunks that there can be.
    pub chunks: Option<u64>,
    /// Chunks that were ever written, where that is known.
    pub chunks_written: Option<u64>,
    /// By which way it is read, and why not by a faster one; an error if it cannot be streamed.
    pub path: Result<(PathKind, String)>,
}

/// A value beside a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What it is called.
    pub name: String,
    /// As of [`Description::shape`].
    pub shape: Option<Vec<u64>>,
    /// What it holds.
    pub value: AttributeValue,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Elements of a type, one behind the other.
    Elements(DataType, Vec<u8>),
    /// Texts of variable length.
    Texts(Vec<String>),
    /// What is not read, and why.
    Unread(String),
}

/// A type in words, or as numpy has it.
fn type_text(library: &Library, kind: &Kind) -> String {
    match DataType::new(library, kind, 0) {
        Ok(dtype) => dtype.to_string(),
        Err(_) if kind.is_variable_text(library) => "text of variable length".to_owned(),
        Err(Odd::Convert(what) | Odd::No(what)) => what.to_owned(),
        Err(Odd::Failed(e)) => e.to_string(),
    }
}

impl File {
    /// Describes the dataset at `name`.
    ///
    /// # Errors
    /// `NotFound`: there is none. `Format`: the file is damaged.
    pub fn describe(self: &Arc<Self>, name: &str) -> Result<Description> {
        let library = hdf5::lock();
        let failed = |e: std::io::Error| self.failed(name, &e);
        let handle = self.library.dataset(&library, name).map_err(failed)?;
        let kind = handle.kind(&library).map_err(failed)?;
        let extent = handle.extent(&library).map_err(failed)?;
        let layout = handle.layout(&library).map_err(failed)?;
        let rank = extent.as_ref().map_or(0, |(shape, _)| shape.len());
        let chunk_shape = match layout {
            Layout::Chunked => Some(handle.chunk_shape(&library, rank).map_err(failed)?),
            _ => None,
        };
        let opened = Dataset::open(self, name);
        let way = opened.as_ref().ok().map(|dataset| &dataset.way);
        let chunks = extent.as_ref().zip(chunk_shape.as_ref()).and_then(|((shape, _), chunk)| {
            let counts = shape.iter().zip(chunk).map(|(all, &chunk)| all.div_ceil(chunk.max(1)));
            counts.into_iter().try_fold(1u64, u64::checked_mul)
        });
        let chunks_written = match (way, &chunk_shape) {
            (_, None) => None,
            (Some(Way::Chunks(chunks)), _) => match &chunks.places {
                Places::Table(table) => Some(table.len() as u64),
                Places::Library => handle.count_chunks(&library),
            },
            _ => handle.count_chunks(&library),
        };
        let (shape, most) = extent.map_or((None, Vec::new()), |(shape, most)| (Some(shape), most));
        Ok(Description {
            shape,
            max_shape: most.into_iter().map(|n| (n != u64::MAX).then_some(n)).collect(),
            dtype: type_text(&library, &kind),
            data_type: DataType::new(&library, &kind, 0).ok(),
            element_size: kind.size(),
            layout,
            index: chunk_shape.as_ref().and_then(|_| handle.index(&library)),
            chunk_shape,
            filters: handle.filters(&library).map_err(failed)?,
            stored: handle.stored(&library),
            chunks,
            chunks_written,
            path: opened.map(|dataset| (dataset.path_kind(), dataset.path_reason().to_owned())),
        })
    }

    /// The attributes of the dataset at `name`, by name. Large ones are not read.
    ///
    /// # Errors
    /// As of [`describe`](Self::describe).
    pub fn attributes(&self, name: &str) -> Result<Vec<Attribute>> {
        let library = hdf5::lock();
        let failed = |e: std::io::Error| self.failed(name, &e);
        let handle = self.library.dataset(&library, name).map_err(failed)?;
        let attributes = handle.attributes(&library).map_err(failed)?;
        attributes
            .iter()
            .map(|attribute| {
                let shape = attribute.extent(&library).map_err(failed)?;
                let value = read(&library, attribute, shape.as_deref());
                let value = value.unwrap_or_else(|e| AttributeValue::Unread(e.message().to_owned()));
                Ok(Attribute { name: attribute.name().to_owned(), shape, value })
            })
            .collect()
    }

    fn failed(&self, name: &str, e: &std::io::Error) -> Error {
        let reason = e.to_string();
        let kind = if hdf5::is_missing(&reason) { ErrorKind::NotFound } else { ErrorKind::Format };
        Error::new(kind, format!("dataset {name} of {}: {reason}", self.path().display()))
    }
}

fn read(library: &Library, attribute: &hdf5::Attribute, shape: Option<&[u64]>) -> Result<AttributeValue> {
    let failed = |e: std::io::Error| Error::new(ErrorKind::Format, e.to_string());
    let kind = attribute.kind(library).map_err(failed)?;
    let Some(shape) = shape else {
        return Ok(AttributeValue::Unread("empty".to_owned()));
    };
    let count = shape.iter().try_fold(1u64, |all, &n| all.checked_mul(n)).filter(|&n| n <= MOST_ELEMENTS);
    let size = count.and_then(|n| n.checked_mul(kind.size() as u64)).filter(|&size| size <= MOST_BYTES);
    let (Some(count), Some(size)) = (count, size) else {
        return Ok(AttributeValue::Unread(type_text(library, &kind)));
    };
    if kind.is_variable_text(library) {
        return Ok(AttributeValue::Texts(attribute.read_texts(library, count as usize).map_err(failed)?));
    }
    match DataType::new(library, &kind, 0) {
        Ok(dtype) => {
            let mut bytes = Vec::new();
            resize(&mut bytes, size as usize)?;
            attribute.read(library, &kind, &mut bytes).map_err(failed)?;
            Ok(AttributeValue::Elements(dtype, bytes))
        }
        Err(_) => Ok(AttributeValue::Unread(type_text(library, &kind))),
    }
}

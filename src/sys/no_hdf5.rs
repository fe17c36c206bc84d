//! What stands for libhdf5 in a build without the feature `hdf5`: nothing can be opened, and there is nothing that anything could be asked of.
//!
//! Invariant: there is no value of [`File`], [`Dataset`] and [`Kind`]; the same functions as those of `hdf5/`. Any thread.

use std::convert::Infallible;
use std::io;

pub use super::hdf5_words::{Class, Extent, Filter, Layout, Links, Target};

/// Whether a reason is that there is no object of that name.
pub fn is_missing(_reason: &str) -> bool {
    false
}

/// The right to call what there is not.
pub struct Library(());

impl Drop for Library {
    // Callers end it as they end the real one.
    fn drop(&mut self) {}
}

/// Waits for nothing.
pub fn lock() -> Library {
    Library(())
}

/// An open file: there is none.
#[derive(Debug)]
pub struct File(Infallible);

/// An open dataset: there is none.
#[derive(Debug)]
pub struct Dataset(Infallible);

/// An open attribute: there is none.
#[derive(Debug)]
pub struct Attribute(Infallible);

/// A type: there is none.
#[derive(Debug)]
pub struct Kind(Infallible);

/// Functions of what there is not.
macro_rules! never {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(
            #[allow(missing_docs, reason = "as in hdf5/")]
            pub fn $name(&self, $(_: $argument),*) -> $result {
                match self.0 {}
            }
        )*
    };
}

impl File {
    /// Says that there is no libhdf5.
    pub fn open(_library: &Library, _path: &[u8]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    never! {
        base(&Library) -> io::Result<u64>;
        widths(&Library) -> io::Result<(usize, usize)>;
        dataset(&Library, &str) -> io::Result<Dataset>;
        links(&Library, &str) -> io::Result<Links>;
    }
}

impl Dataset {
    never! {
        refresh(&Library) -> io::Result<()>;
        extent(&Library) -> io::Result<Option<Extent>>;
        kind(&Library) -> io::Result<Kind>;
        layout(&Library) -> io::Result<Layout>;
        is_external(&Library) -> io::Result<bool>;
        offset(&Library) -> Option<u64>;
        chunk_shape(&Library, usize) -> io::Result<Vec<u64>>;
        filters_edges(&Library) -> io::Result<bool>;
        filters(&Library) -> io::Result<Vec<Filter>>;
        fill(&Library, &Kind) -> io::Result<Option<Vec<u8>>>;
        stored(&Library) -> u64;
        count_chunks(&Library) -> Option<u64>;
        index(&Library) -> Option<&'static str>;
        attributes(&Library) -> io::Result<Vec<Attribute>>;
        header(&Library) -> Option<u64>;
        each_chunk(&Library, usize, impl FnMut(&[u64], u32, u64, u64)) -> io::Result<bool>;
        chunk_size(&Library, &[u64]) -> io::Result<u64>;
        read_chunk(&Library, &[u64], &mut [u8]) -> io::Result<u32>;
        read(&Library, &Kind, &[u64], &[u64], &mut [u8]) -> io::Result<()>;
    }
}

impl Attribute {
    never! {
        name() -> &str;
        extent(&Library) -> io::Result<Option<Vec<u64>>>;
        kind(&Library) -> io::Result<Kind>;
        read(&Library, &Kind, &mut [u8]) -> io::Result<()>;
        read_texts(&Library, usize) -> io::Result<Vec<String>>;
    }
}

impl Kind {
    never! {
        size() -> usize;
        class(&Library) -> io::Result<Class>;
        is_variable_text(&Library) -> bool;
        is_big_endian(&Library) -> io::Result<Option<bool>>;
        is_signed(&Library) -> io::Result<bool>;
        is_full(&Library) -> bool;
        is_ieee(&Library) -> io::Result<bool>;
        base(&Library) -> io::Result<Self>;
        native(&Library) -> io::Result<Self>;
        array_shape(&Library) -> io::Result<Vec<u64>>;
        fields(&Library) -> io::Result<Vec<(String, usize, Self)>>;
    }
}

/// An open file, to write: there is none.
#[derive(Debug)]
pub struct NewFile(Infallible);

/// An open dataset, to write: there is none.
#[derive(Debug)]
pub struct NewDataset(Infallible);

impl NewFile {
    /// Says that there is no libhdf5.
    pub fn create(_library: &Library, _path: &[u8], _swmr: bool) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends what there is not.
    pub fn close(self, _library: &Library) -> io::Result<()> {
        match self.0 {}
    }

    never! {
        start_swmr(&Library) -> io::Result<()>;
        flush(&Library) -> io::Result<()>;
        dataset(&Library, &str, &Kind, &[u64], &[u64], &[Filter]) -> io::Result<NewDataset>;
    }
}

impl NewDataset {
    never! {
        set_extent(&Library, &[u64]) -> io::Result<()>;
        write_chunk(&Library, &[u64], u32, &[u8]) -> io::Result<()>;
        write(&Library, &Kind, &[u64], &[u64], &[u8]) -> io::Result<()>;
        add_number(&Library, &str, f64) -> io::Result<()>;
        add_text(&Library, &str, &str) -> io::Result<()>;
    }
}

/// Types that would be made.
impl Kind {
    /// There is no libhdf5 to make it.
    pub fn integer(_library: &Library, _size: usize, _signed: bool, _big_endian: bool) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no libhdf5 to make it.
    pub fn float(_library: &Library, _size: usize, _big_endian: bool) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no libhdf5 to make it.
    pub fn boolean(_library: &Library) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no libhdf5 to make it.
    pub fn text(_library: &Library, _size: Option<usize>) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no libhdf5 to make it.
    pub fn opaque(_library: &Library, _size: usize, _tag: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There is no libhdf5 to make it.
    pub fn record(_library: &Library, _size: usize, _fields: &[(&str, usize, Self)]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    never! {
        array(&Library, &[u64]) -> io::Result<Self>;
    }
}

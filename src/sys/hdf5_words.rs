//! What libhdf5 tells of files, types and datasets, as plain values. They are the same with the feature `hdf5` and without. Any thread.

/// What a type is, in libhdf5's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An integer.
    Integer,
    /// A floating-point number.
    Float,
    /// Text of a fixed number of bytes.
    Text,
    /// Bits without a meaning.
    Bits,
    /// Bytes without a meaning.
    Opaque,
    /// Named fields.
    Compound,
    /// Named integers.
    Enum,
    /// Several elements of one type.
    Array,
    /// Anything else: sequences and text of variable length, references, times.
    Other,
}

/// How a dataset lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In its header.
    Compact,
    /// In one piece.
    Contiguous,
    /// In chunks.
    Chunked,
    /// In other datasets, or what a later version brings.
    Virtual,
}

/// One step of how chunks are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// As registered with the HDF Group.
    pub id: i32,
    /// What it is called, where the library knows.
    pub name: String,
    /// What it was set up with.
    pub values: Vec<u32>,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A group, and the address of its header, where the library tells it: links of several groups may lead to one.
    Group(Option<u64>),
    /// A dataset.
    Dataset,
    /// A type that was given a name.
    Type,
    /// What a later version of the library brings.
    Other,
    /// A path in this file, which there need not be.
    Path(String),
    /// A path in another file: that file, and the path.
    File(String, String),
    /// It cannot be opened, for this reason.
    Broken(String),
}

/// The links of a group, and the address of its header.
pub type Links = (Option<u64>, Vec<(String, Target)>);

/// Current and largest sizes, row axis first; `u64::MAX`: without limit.
pub type Extent = (Vec<u64>, Vec<u64>);

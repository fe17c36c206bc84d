//! Descriptors: what an item is called and how its bytes are to be read. A sender puts them into a heap as item 5, each a
//! little SPEAD stream of its own.

use std::fmt;
use std::sync::Arc;

use super::dtype::{self, Dtype, Field, MAX_DIMENSIONS, Tuple};
use super::format::{self, Entry};
use super::item::{Item, ItemValue, Items, freeze};
use super::literal::Literal;
use super::{Flavour, Packet, id};
use crate::error::{Error, ErrorKind, Result};

/// In a stream's `bug_compat`: shapes and formats have entries of 8 and 4 bytes, whatever the flavour.
pub const BUG_DESCRIPTOR_WIDTHS: u8 = 1;
/// In a stream's `bug_compat`: a variable dimension is marked by the value 2.
pub const BUG_SHAPE_BIT_1: u8 = 2;
/// In a stream's `bug_compat`: numpy's types are in the other byte order.
pub const BUG_SWAP_ENDIAN: u8 = 4;

/// Entries that a format may have.
const MAX_ENTRIES: usize = 1 << 16;

/// How the bytes of an item stand for its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// As numpy lays them out in memory.
    Numpy {
        /// The type of an element, in the byte order of the wire.
        dtype: Dtype,
        /// The first index runs fastest.
        fortran_order: bool,
    },
    /// Packed bit by bit, the last index fastest.
    Packed(Vec<Entry>),
}

/// The description of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The item's identifier.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Its dimensions; `None` for the one, at most, that follows from the size of a value.
    pub shape: Vec<Option<usize>>,
    /// Its elements.
    pub layout: Layout,
    /// Their type in this machine's byte order: one for all values, as an attacker may make it a large one.
    pub(super) native: Arc<Dtype>,
}

/// Why there is no descriptor: what is known of it all the same, and the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The identifier, if it told one.
    pub id: Option<u64>,
    /// What is wrong.
    pub error: Error,
}

fn wrong(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Format, format!("descriptor: {what}"))
}

impl Descriptor {
    /// Reads the bytes of an item 5. `bug_compat` is that of the stream. `Ok(None)` if it describes no item, as it has no
    /// identifier.
    pub fn parse(bytes: &[u8], bug_compat: u8) -> Result<Option<Self>, Broken> {
        let heap = SmallHeap::read(bytes).map_err(|error| Broken { id: None, error })?;
        let items: Vec<Item<'_>> = Items::new(&heap.pointers, heap.flavour, Some(&heap.payload)).collect();
        let described = items.iter().rev().find_map(|item| match item.value {
            ItemValue::Immediate(value) if item.id == id::DESCRIPTOR_ID => Some(value),
            _ => None,
        });
        let Some(described) = described else { return Ok(None) };
        Self::of(described, &items, heap.flavour, bug_compat)
            .map(Some)
            .map_err(|error| Broken { id: Some(described), error })
    }

    fn of(id: u64, items: &[Item<'_>], flavour: Flavour, bug_compat: u8) -> Result<Self> {
        let width = usize::from(flavour.heap_address_bits / 8);
        let mut immediate = [0; 8];
        let mut find = |wanted| {
            items.iter().rev().find(|item| item.id == wanted).map(|item| match item.value {
                ItemValue::Addressed(bytes) => bytes.to_vec(),
                ItemValue::Immediate(value) => {
                    immediate = value.to_be_bytes();
                    immediate.get(8 - width..).unwrap_or_default().to_vec()
                }
            })
        };
        let name = text(find(id::DESCRIPTOR_NAME), "name")?;
        let description = text(find(id::DESCRIPTOR_DESCRIPTION), "description")?;
        let in_context = |error: Error| wrong(format!("{}: {}", dtype::shorten(&name), error.message()));
        let (shape, layout) = match find(id::DESCRIPTOR_DTYPE) {
            Some(header) => {
                let (shape, dtype, fortran_order) = numpy_header(&header).map_err(in_context)?;
                let dtype = if bug_compat & BUG_SWAP_ENDIAN != 0 { dtype.swapped() } else { dtype };
                (shape.into_iter().map(Some).collect(), Layout::Numpy { dtype, fortran_order })
            }
            None => {
                let widths =
                    if bug_compat & BUG_DESCRIPTOR_WIDTHS != 0 { (8, 4) } else { (1 + width, 9 - width) };
                let flag = if bug_compat & BUG_SHAPE_BIT_1 != 0 { 2 } else { 1 };
                let shape = read_shape(&find(id::DESCRIPTOR_SHAPE).unwrap_or_default(), widths.0, flag);
                let format = read_format(&find(id::DESCRIPTOR_FORMAT).unwrap_or_default(), widths.1);
                (shape.map_err(in_context)?, Layout::Packed(format.map_err(in_context)?))
            }
        };
        let native = Arc::new(match &layout {
            Layout::Numpy { dtype, .. } => dtype.to_native(),
            Layout::Packed(entries) => format::dtype(entries)?,
        });
        Ok(Self { id, name, description, shape, layout, native })
    }

    /// Bytes of memory that it takes to know such an item, beside its value; about.
    pub(super) fn footprint(&self) -> usize {
        let dtype = match &self.layout {
            Layout::Numpy { dtype, .. } => dtype.footprint(),
            Layout::Packed(entries) => entries.len() * size_of::<Field>(),
        };
        // The name is a key, too, and there is the type on the wire and the native one.
        2 * (self.name.len() + dtype) + self.description.len()
    }

    /// The name as messages have it.
    pub(super) fn short_name(&self) -> String {
        dtype::shorten(&self.name)
    }

    /// Whether the first index runs fastest.
    pub fn is_fortran_order(&self) -> bool {
        matches!(self.layout, Layout::Numpy { fortran_order: true, .. })
    }

    /// The type of elements as they are delivered, in this machine's byte order.
    pub fn dtype(&self) -> &Arc<Dtype> {
        &self.native
    }
}

/// Text of a descriptor.
fn text(bytes: Option<Vec<u8>>, what: &str) -> Result<String> {
    let text =
        String::from_utf8(bytes.unwrap_or_default()).map_err(|_| wrong(format!("{what} is not ASCII")))?;
    // C could not have it.
    if text.contains('\0') { Err(wrong(format!("{what} has a zero byte"))) } else { Ok(text) }
}

/// What numpy puts in front of an array in a file: shape, type and whether it is in Fortran order.
fn numpy_header(bytes: &[u8]) -> Result<(Vec<usize>, Dtype, bool)> {
    let rule = || wrong("dtype header must be a dict with the keys descr, fortran_order and shape");
    let Literal::Dict(entries) = Literal::parse(bytes)? else { return Err(rule()) };
    let find = |wanted: &str| {
        let is_wanted = |key: &Literal| matches!(key, Literal::Text(text) if text == wanted);
        entries.iter().find(|(key, _)| is_wanted(key)).map(|(_, value)| value).ok_or_else(rule)
    };
    let dtype = Dtype::from_literal(find("descr")?)?;
    let Literal::Bool(fortran_order) = *find("fortran_order")? else {
        return Err(wrong("fortran_order must be True or False"));
    };
    let Literal::Tuple(dimensions) = find("shape")? else { return Err(wrong("shape must be a tuple")) };
    if entries.len() != 3 {
        return Err(rule());
    }
    Ok((dtype::shape(dimensions)?, dtype, fortran_order))
}

/// Dimensions, each a flag and a big-endian number; what is left over is ignored.
fn read_shape(bytes: &[u8], width: usize, flag: u8) -> Result<Vec<Option<usize>>> {
    let dimension = |entry: &[u8]| match entry.split_first() {
        Some((first, _)) if first & flag != 0 => Ok(None),
        Some((_, size)) => {
            usize::try_from(number(size)).map(Some).map_err(|_| wrong("a dimension is too large"))
        }
        None => Ok(None),
    };
    if bytes.len() / width > MAX_DIMENSIONS {
        return Err(wrong(format!("{} dimensions are more than {MAX_DIMENSIONS}", bytes.len() / width)));
    }
    let shape: Vec<_> = bytes.chunks_exact(width).map(dimension).collect::<Result<_>>()?;
    if shape.iter().filter(|size| size.is_none()).count() > 1 {
        return Err(wrong("more than one dimension is variable"));
    }
    Ok(shape)
}

/// Entries, each a letter and a big-endian number.
fn read_format(bytes: &[u8], width: usize) -> Result<Vec<Entry>> {
    let count = bytes.len() / width;
    if count > MAX_ENTRIES {
        return Err(wrong(format!("a format of {count} entries has more than {MAX_ENTRIES}")));
    }
    let entry = |entry: &[u8]| match entry.split_first() {
        Some((&letter, bits)) => Entry::new(letter, number(bits)),
        None => Err(wrong("an entry of the format is empty")),
    };
    let entries: Vec<_> = bytes.chunks_exact(width).map(entry).collect::<Result<_>>()?;
    if entries.is_empty() { Err(wrong("there is neither a dtype header nor a format")) } else { Ok(entries) }
}

/// A big-endian number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

impl fmt::Display for Layout {
    /// The type as numpy writes it, or the format's entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layout::Numpy { dtype, .. } => dtype.fmt(f),
            Layout::Packed(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|e| format!("('{}', {})", e.letter, e.bits)).collect();
                write!(f, "{}", Tuple(&entries).to_string().replace('(', "[").replace(')', "]"))
            }
        }
    }
}

/// A heap within an item: all of its packets, one behind the other.
struct SmallHeap {
    flavour: Flavour,
    /// Frozen.
    pointers: Vec<u64>,
    payload: Vec<u8>,
}

impl SmallHeap {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let mut heap: Option<(u64, Self)> = None;
        while !rest.is_empty() {
            let packet = match (Packet::parse(rest), &heap) {
                (Ok(packet), _) => packet,
                // What the packets are followed by is of no meaning: padding, most likely.
                (Err(_), Some(_)) => break,
                (Err(kind), None) => return Err(wrong(format!("malformed packet: {}", kind.name()))),
            };
            rest = rest.get(packet.size()..).unwrap_or_default();
            let flavour = packet.flavour();
            let (cnt, heap) = heap.get_or_insert((
                packet.heap_cnt(),
                Self { flavour, pointers: Vec::new(), payload: Vec::new() },
            ));
            if packet.heap_cnt() != *cnt || flavour != heap.flavour {
                return Err(wrong("its packets are not of one heap"));
            }
            if packet.payload_offset() != heap.payload.len() as u64 {
                return Err(wrong("its packets are not in order"));
            }
            heap.payload.extend_from_slice(packet.payload());
            for pointer in packet.pointers() {
                let special = (id::HEAP_CNT..=id::PAYLOAD_LENGTH).contains(&pointer.id());
                if pointer.is_immediate() && special || heap.pointers.contains(&pointer.raw()) {
                    continue;
                }
                heap.pointers.push(pointer.raw());
                // A descriptor has six; this is quadratic.
                if heap.pointers.len() > 64 {
                    return Err(wrong("it has more than 64 items"));
                }
            }
        }
        let (_, mut heap) = heap.ok_or_else(|| wrong("it is empty"))?;
        freeze(&mut heap.pointers, heap.flavour);
        Ok(heap)
    }
}

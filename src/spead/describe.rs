//! The sender's side of descriptors: making them, their bytes in a heap, and values as bytes on the wire.
//!
//! What [`Descriptor::parse`] and [`Descriptor::decode`] read, [`Descriptor::to_bytes`] and [`Descriptor::encode`] write. Plain values; any thread.

use std::borrow::Cow;
use std::sync::Arc;

use super::descriptor::{BUG_DESCRIPTOR_WIDTHS, BUG_SHAPE_BIT_1, BUG_SWAP_ENDIAN, Descriptor, Layout};
use super::dtype::{Dtype, Kind, MAX_DIMENSIONS, Tuple, product};
use super::format::{self, Entry};
use super::{Flavour, id};
use crate::error::{Error, Result};

/// In `bug_compat`: scalars are described by a format, never as numpy describes.
pub const BUG_NO_SCALAR_NUMPY: u8 = 8;

/// Bytes on the wire, and whether they may stand in the item pointer itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The value's bytes.
    pub bytes: Vec<u8>,
    /// The value right-aligned in a number, if its size is fixed, whole bytes, and fits in a pointer of the flavour.
    pub immediate: Option<u64>,
}

impl Descriptor {
    /// A descriptor to send.
    ///
    /// # Errors
    /// Where a receiver could make nothing of it: text that is not ASCII, a variable dimension in a numpy type or two of them, a
    /// format without entries.
    pub fn new(
        id: u64,
        name: &str,
        description: &str,
        shape: Vec<Option<usize>>,
        layout: Layout,
    ) -> Result<Self> {
        for (what, text) in [("name", name), ("description", description)] {
            if !text.is_ascii() || text.contains('\0') {
                return Err(Error::invalid(format!(
                    "{what} must be ASCII, without a zero byte (got {text:?})"
                )));
            }
        }
        let wrong = |what: String| Error::invalid(format!("item {name:?} ({id:#x}): {what}"));
        if shape.len() > MAX_DIMENSIONS {
            return Err(wrong(format!("at most {MAX_DIMENSIONS} dimensions (got {})", shape.len())));
        }
        let variable = shape.iter().filter(|size| size.is_none()).count();
        let native = match &layout {
            Layout::Numpy { dtype, .. } => {
                if variable > 0 {
                    return Err(wrong("a variable dimension needs a format, not a dtype".to_owned()));
                }
                dtype.to_native()
            }
            Layout::Packed(entries) => {
                if entries.is_empty() {
                    return Err(wrong("it needs a dtype or a format".to_owned()));
                }
                if variable > 1 {
                    return Err(wrong(format!("at most one dimension may be variable (got {variable})")));
                }
                format::dtype(entries)?
            }
        };
        let (name, description) = (name.to_owned(), description.to_owned());
        Ok(Self { id, name, description, shape, layout, native: Arc::new(native) })
    }

    /// The same item, described so that a stream with this `bug_compat` has no scalar by a numpy type.
    pub fn for_bug_compat(self, bug_compat: u8) -> Result<Self> {
        let Layout::Numpy { dtype, .. } = &self.layout else { return Ok(self) };
        if bug_compat & BUG_NO_SCALAR_NUMPY == 0 || !self.shape.is_empty() {
            return Ok(self);
        }
        let entry = match dtype {
            Dtype::Scalar(scalar) => match scalar.kind {
                Kind::Uint => Some((b'u', scalar.size * 8)),
                Kind::Int => Some((b'i', scalar.size * 8)),
                Kind::Float if scalar.size == 4 || scalar.size == 8 => Some((b'f', scalar.size * 8)),
                Kind::Bytes if scalar.size == 1 => Some((b'c', 8)),
                Kind::Bool => Some((b'b', 8)),
                _ => None,
            },
            Dtype::Record(..) => None,
        };
        let Some((letter, bits)) = entry else {
            let (name, id) = (&self.name, self.id);
            return Err(Error::invalid(format!(
                "item {name:?} ({id:#x}): a scalar of dtype {dtype} has no format, which bug_compat 8 needs"
            )));
        };
        let layout = Layout::Packed(vec![Entry::new(letter, bits as u64)?]);
        Self::new(self.id, &self.name, &self.description, self.shape, layout)
    }

    /// Its bytes as an item 5 of a heap: a packet of its own.
    pub fn to_bytes(&self, flavour: Flavour, bug_compat: u8) -> Result<Vec<u8>> {
        let mut packet = SmallPacket::new(flavour);
        packet.immediate(id::DESCRIPTOR_ID, self.id)?;
        packet.addressed(id::DESCRIPTOR_NAME, self.name.as_bytes());
        packet.addressed(id::DESCRIPTOR_DESCRIPTION, self.description.as_bytes());
        packet.addressed(id::DESCRIPTOR_SHAPE, &self.shape_bytes(flavour, bug_compat)?);
        match &self.layout {
            Layout::Numpy { dtype, fortran_order } => {
                let dtype = match bug_compat & BUG_SWAP_ENDIAN {
                    0 => Cow::Borrowed(dtype),
                    _ => Cow::Owned(dtype.swapped()),
                };
                let sizes: Vec<usize> = self.shape.iter().flatten().copied().collect();
                packet
                    .addressed(id::DESCRIPTOR_DTYPE, numpy_header(&dtype, *fortran_order, &sizes).as_bytes());
            }
            Layout::Packed(entries) => {
                packet.addressed(id::DESCRIPTOR_FORMAT, &format_bytes(entries, flavour, bug_compat));
            }
        }
        packet.finish()
    }

    fn shape_bytes(&self, flavour: Flavour, bug_compat: u8) -> Result<Vec<u8>> {
        let width = match bug_compat & BUG_DESCRIPTOR_WIDTHS {
            0 => usize::from(flavour.heap_address_bits / 8),
            _ => 7,
        };
        let variable = if bug_compat & BUG_SHAPE_BIT_1 != 0 { 2 } else { 1 };
        let mut bytes = Vec::with_capacity(self.shape.len() * (1 + width));
        for size in &self.shape {
            let number = size.unwrap_or(0) as u64;
            if number >> (8 * width) != 0 {
                let what = format!("a dimension of {number} does not fit in {} bits", 8 * width);
                return Err(Error::invalid(format!("item {:?} ({:#x}): {what}", self.name, self.id)));
            }
            bytes.push(if size.is_none() { variable } else { 0 });
            bytes.extend_from_slice(number.to_be_bytes().get(8 - width..).unwrap_or_default());
        }
        Ok(bytes)
    }

    /// Writes a value: `elements` back to back, of [`dtype`](Self::dtype), in this machine's byte order, in the order of the descriptor.
    /// A variable dimension follows from how many there are.
    pub fn encode(&self, elements: &[u8], flavour: Flavour) -> Result<Encoded> {
        let count = self.count(elements.len())?;
        let wire = match &self.layout {
            Layout::Numpy { dtype, .. } => Some(Cow::Borrowed(dtype)),
            Layout::Packed(entries) => format::wire_dtype(entries).transpose()?.map(Cow::Owned),
        };
        let (bytes, spare_bits) = match (wire, &self.layout) {
            (Some(wire), _) => {
                let mut bytes = elements.to_vec();
                // Turning the bytes of numbers around is the same in both directions.
                wire.make_native(&mut bytes);
                (bytes, 0)
            }
            (None, Layout::Packed(entries)) => {
                let bytes = format::pack(entries, elements, count);
                let spare = bytes.len() * 8 - format::bits(entries) * count;
                (bytes, spare)
            }
            (None, Layout::Numpy { .. }) => (Vec::new(), 0),
        };
        // Receivers do not agree on where the value is in a pointer that it does not fill by whole bytes.
        let immediate = if spare_bits == 0 { self.immediate(&bytes, flavour) } else { None };
        Ok(Encoded { bytes, immediate })
    }

    /// The number that stands in an item pointer for these bytes.
    fn immediate(&self, bytes: &[u8], flavour: Flavour) -> Option<u64> {
        let fits = bytes.len() <= usize::from(flavour.heap_address_bits / 8);
        let fixed = self.shape.iter().all(Option::is_some);
        (fits && fixed).then(|| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// How many elements `size` bytes of them are, which must be as many as the shape says.
    fn count(&self, size: usize) -> Result<usize> {
        let wrong = |what: String| Error::invalid(format!("item {:?} ({:#x}): {what}", self.name, self.id));
        let known: Vec<usize> = self.shape.iter().flatten().copied().collect();
        let known = product(&known).ok_or_else(|| wrong("its shape is larger than memory can be".into()))?;
        let each = self.dtype().size();
        let block =
            known.checked_mul(each).ok_or_else(|| wrong("its shape is larger than memory can be".into()))?;
        let is_variable = self.shape.iter().any(Option::is_none);
        match is_variable {
            false if size == block => Ok(known),
            false => {
                Err(wrong(format!("size must be {block}, for {known} elements of {each} bytes (got {size})")))
            }
            true if block > 0 && size.is_multiple_of(block) => Ok(size / each),
            true if block == 0 && size == 0 => Ok(0),
            true => Err(wrong(format!("size must be a multiple of {block} (got {size})"))),
        }
    }
}

/// Text of a Python dict, as numpy writes it.
fn numpy_header(dtype: &Dtype, fortran_order: bool, shape: &[usize]) -> String {
    let descr = match dtype {
        Dtype::Scalar(scalar) => format!("'{scalar}'"),
        record => record.to_string(),
    };
    let fortran_order = if fortran_order { "True" } else { "False" };
    format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {}}}", Tuple(shape))
}

fn format_bytes(entries: &[Entry], flavour: Flavour, bug_compat: u8) -> Vec<u8> {
    let width = match bug_compat & BUG_DESCRIPTOR_WIDTHS {
        0 => 8 - usize::from(flavour.heap_address_bits / 8),
        _ => 3,
    };
    let mut bytes = Vec::with_capacity(entries.len() * (1 + width));
    for entry in entries {
        bytes.push(entry.letter as u8);
        // At most 64, which fits in a byte.
        bytes.extend_from_slice(u64::from(entry.bits).to_be_bytes().get(8 - width..).unwrap_or_default());
    }
    bytes
}

/// A heap that is one packet.
struct SmallPacket {
    flavour: Flavour,
    pointers: Vec<u64>,
    payload: Vec<u8>,
}

impl SmallPacket {
    fn new(flavour: Flavour) -> Self {
        Self { flavour, pointers: Vec::new(), payload: Vec::new() }
    }

    fn immediate(&mut self, id: u64, value: u64) -> Result<()> {
        let bits = self.flavour.heap_address_bits;
        if value >> bits != 0 {
            return Err(Error::invalid(format!(
                "id {value:#x} must be less than 2^{bits} in {}",
                self.flavour
            )));
        }
        self.pointers.push(1 << 63 | id << bits | value);
        Ok(())
    }

    fn addressed(&mut self, id: u64, bytes: &[u8]) {
        self.pointers.push(id << self.flavour.heap_address_bits | self.payload.len() as u64);
        self.payload.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        let length = self.payload.len() as u64;
        let own = std::mem::take(&mut self.pointers);
        for (id, value) in [
            (id::HEAP_CNT, 1),
            (id::HEAP_LENGTH, length),
            (id::PAYLOAD_OFFSET, 0),
            (id::PAYLOAD_LENGTH, length),
        ] {
            if value >> self.flavour.heap_address_bits != 0 {
                let flavour = self.flavour;
                return Err(Error::invalid(format!(
                    "a descriptor of {length} bytes is too long for {flavour}"
                )));
            }
            self.immediate(id, value)?;
        }
        self.pointers.extend(own);
        let width = self.flavour.heap_address_bits / 8;
        let mut bytes = vec![super::Header::MAGIC, 4, 8 - width, width, 0, 0, 0, self.pointers.len() as u8];
        self.pointers.iter().for_each(|pointer| bytes.extend_from_slice(&pointer.to_be_bytes()));
        bytes.extend_from_slice(&self.payload);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spead::item::ItemValue;

    fn numpy(text: &str, fortran_order: bool) -> Layout {
        let dtype = match text.starts_with('[') {
            true => Dtype::parse_fields(text).unwrap(),
            false => Dtype::parse_scalar(text).unwrap(),
        };
        Layout::Numpy { dtype, fortran_order }
    }

    fn packed(entries: &[(u8, u64)]) -> Layout {
        Layout::Packed(entries.iter().map(|&(letter, bits)| Entry::new(letter, bits).unwrap()).collect())
    }

    fn flavour(heap_address_bits: u8) -> Flavour {
        Flavour { version: 4, heap_address_bits }
    }

    /// All that is described can be read again, whatever the flavour and the bugs.
    #[test]
    fn what_is_written_is_read() {
        let cases = [
            (vec![], numpy("<f4", false)),
            (vec![Some(3), Some(200)], numpy(">u2", true)),
            (vec![Some(2)], numpy("[('a', '<u2'), ('b', '>f8', (2, 3))]", false)),
            (vec![], packed(&[(b'u', 12)])),
            (vec![None], packed(&[(b'c', 8)])),
            (vec![Some(4), None], packed(&[(b'u', 1), (b'i', 33), (b'f', 64)])),
        ];
        for bits in (16..=56).step_by(8) {
            for bug_compat in 0..16 {
                for (shape, layout) in &cases {
                    let id = 1 << (62 - bits);
                    let described = Descriptor::new(id, "name", "what it is", shape.clone(), layout.clone());
                    let described = described.unwrap().for_bug_compat(bug_compat).unwrap();
                    let bytes = described.to_bytes(flavour(bits), bug_compat);
                    if id >> bits != 0 {
                        assert!(bytes.is_err());
                        continue;
                    }
                    let read = Descriptor::parse(&bytes.unwrap(), bug_compat).unwrap().unwrap();
                    assert_eq!(read, described, "{bits} {bug_compat}");
                }
            }
        }
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let record = "[('a', '<u2'), ('b', '>f8', (2,)), ('c', 'S3')]";
        let cases = [
            (vec![], numpy(">f4", false)),
            (vec![Some(5)], numpy(">c16", false)),
            (vec![Some(2)], numpy(record, false)),
            (vec![], packed(&[(b'u', 12)])),
            (vec![], packed(&[(b'u', 12), (b'i', 4)])),
            (vec![Some(3)], packed(&[(b'i', 7), (b'u', 33), (b'b', 1), (b'c', 8)])),
            (vec![None, Some(2)], packed(&[(b'f', 32)])),
            (vec![None], packed(&[(b'u', 64)])),
        ];
        for (shape, layout) in cases {
            let item = Descriptor::new(0x1000, "x", "", shape.clone(), layout).unwrap();
            let count: usize = shape.iter().map(|size| size.unwrap_or(3)).product();
            // Numbers that every width has: 1 in each element and field, or what their bytes say.
            let raw: Vec<u8> = match &item.layout {
                Layout::Numpy { .. } => (0..count * item.dtype().size()).map(|i| i as u8).collect(),
                Layout::Packed(entries) => {
                    let mut one = Vec::new();
                    entries.iter().for_each(|entry| format::tests_unpack(*entry, 1, &mut one));
                    one.repeat(count)
                }
            };
            let encoded = item.encode(&raw, flavour(48)).unwrap();
            let back = item.decode(ItemValue::Addressed(&encoded.bytes), 48).unwrap();
            assert_eq!(back.bytes, raw, "{item:?}");
            if let Some(immediate) = encoded.immediate {
                assert_eq!(item.decode(ItemValue::Immediate(immediate), 48).unwrap().bytes, raw);
            }
            let whole_bytes =
                !matches!(&item.layout, Layout::Packed(entries) if !format::bits(entries).is_multiple_of(8));
            assert_eq!(encoded.immediate.is_some(), shape.is_empty() && whole_bytes);
        }
    }

    #[test]
    fn what_cannot_be_described() {
        let error = |result: Result<Descriptor>| result.unwrap_err().message().to_owned();
        let new = |name: &str, shape, layout| Descriptor::new(0x1000, name, "", shape, layout);
        assert!(error(new("gr\u{fc}n", vec![], numpy("<f4", false))).contains("must be ASCII"));
        assert_eq!(
            error(new("x", vec![None], numpy("<f4", false))),
            "item \"x\" (0x1000): a variable dimension needs a format, not a dtype"
        );
        assert!(error(new("x", vec![None, None], packed(&[(b'u', 8)]))).contains("at most one dimension"));
        assert!(error(new("x", vec![], packed(&[]))).contains("needs a dtype or a format"));
        assert!(error(new("x", vec![Some(1); 65], packed(&[(b'u', 8)]))).contains("at most 64 dimensions"));
        let complex = new("x", vec![], numpy("<c8", false)).unwrap();
        assert!(error(complex.for_bug_compat(8)).contains("has no format"));
        let array = new("x", vec![Some(3)], numpy("<u2", false)).unwrap();
        let wrong = array.encode(&[0; 5], flavour(48)).unwrap_err();
        assert_eq!(wrong.message(), "item \"x\" (0x1000): size must be 6, for 3 elements of 2 bytes (got 5)");
        let large = new("x", vec![Some(1 << 16)], numpy("<u2", false)).unwrap();
        assert!(large.to_bytes(flavour(16), 0).unwrap_err().message().contains("does not fit in 16 bits"));
    }
}

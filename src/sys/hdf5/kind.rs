//! Types of elements, as libhdf5 knows them.
//!
//! Invariant: as of [`Library`](super::Library): its holder calls. A [`Kind`] holds a type that is open.

use std::ffi::{CStr, c_int, c_uint};
use std::io;

use super::{Handle, Library, check, error, raw};

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

/// A type.
#[derive(Debug)]
pub struct Kind(Handle);

impl Kind {
    pub(super) fn new(id: raw::Id) -> io::Result<Self> {
        Ok(Self(Handle::new(id)?))
    }

    pub(super) fn id(&self) -> raw::Id {
        self.0.0
    }

    /// Bytes of an element.
    pub fn size(&self) -> usize {
        let _library = super::lock();
        // SAFETY: the lock is held.
        unsafe { raw::H5Tget_size(self.id()) }
    }

    /// What it is.
    pub fn class(&self, _library: &Library) -> io::Result<Class> {
        // SAFETY: the lock is held.
        Ok(match check(unsafe { raw::H5Tget_class(self.id()) })? {
            0 => Class::Integer,
            1 => Class::Float,
            // SAFETY: as above.
            3 if check(unsafe { raw::H5Tis_variable_str(self.id()) })? == 0 => Class::Text,
            4 => Class::Bits,
            5 => Class::Opaque,
            6 => Class::Compound,
            8 => Class::Enum,
            10 => Class::Array,
            _ => Class::Other,
        })
    }

    /// Whether it is text of variable length.
    pub fn is_variable_text(&self, _library: &Library) -> bool {
        const TEXT: c_int = 3;
        // SAFETY: the lock is held.
        unsafe { raw::H5Tget_class(self.id()) == TEXT && raw::H5Tis_variable_str(self.id()) > 0 }
    }

    /// Whether numbers have their most significant byte first; `None` for mixtures and VAX.
    pub fn is_big_endian(&self, _library: &Library) -> io::Result<Option<bool>> {
        // SAFETY: the lock is held.
        Ok(match check(unsafe { raw::H5Tget_order(self.id()) })? {
            0 | 4 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    /// Whether an integer is signed.
    pub fn is_signed(&self, _library: &Library) -> io::Result<bool> {
        // SAFETY: the lock is held.
        Ok(check(unsafe { raw::H5Tget_sign(self.id()) })? != 0)
    }

    /// Whether a number uses all bits of its bytes.
    pub fn is_full(&self, _library: &Library) -> bool {
        // SAFETY: the lock is held.
        let (precision, offset) =
            unsafe { (raw::H5Tget_precision(self.id()), raw::H5Tget_offset(self.id())) };
        offset == 0 && precision == 8 * self.size()
    }

    /// Whether a floating-point number is one of IEEE 754, of 2, 4 or 8 bytes.
    pub fn is_ieee(&self, library: &Library) -> io::Result<bool> {
        let mut at = [0; 5];
        let [sign, exponent, exponent_size, mantissa, mantissa_size] = &mut at;
        // SAFETY: the lock is held; the pointers are to numbers.
        let bias = unsafe {
            check(raw::H5Tget_fields(self.id(), sign, exponent, exponent_size, mantissa, mantissa_size))?;
            raw::H5Tget_ebias(self.id())
        };
        let known = match self.size() {
            2 => ([15, 10, 5, 0, 10], 15),
            4 => ([31, 23, 8, 0, 23], 127),
            8 => ([63, 52, 11, 0, 52], 1023),
            _ => return Ok(false),
        };
        Ok(self.is_full(library) && (at, bias) == known)
    }

    /// What an enumeration, or an array, is made of.
    pub fn base(&self, _library: &Library) -> io::Result<Self> {
        // SAFETY: the lock is held.
        Self::new(unsafe { raw::H5Tget_super(self.id()) })
    }

    /// The type that this machine would use for the same values.
    pub fn native(&self, _library: &Library) -> io::Result<Self> {
        // SAFETY: the lock is held. 1: in ascending order of size.
        Self::new(unsafe { raw::H5Tget_native_type(self.id(), 1) })
    }

    /// The sizes of an array.
    pub fn array_shape(&self, _library: &Library) -> io::Result<Vec<u64>> {
        // SAFETY: the lock is held; the vector is as long as the rank.
        unsafe {
            let mut sizes = vec![0; check(raw::H5Tget_array_ndims(self.id()))? as usize];
            check(raw::H5Tget_array_dims2(self.id(), sizes.as_mut_ptr()))?;
            Ok(sizes)
        }
    }

    /// Name, place and type of each field.
    pub fn fields(&self, _library: &Library) -> io::Result<Vec<(String, usize, Self)>> {
        // SAFETY: the lock is held.
        let count: c_int = check(unsafe { raw::H5Tget_nmembers(self.id()) })?;
        (0..count as c_uint).map(|index| self.field(index)).collect()
    }

    fn field(&self, index: c_uint) -> io::Result<(String, usize, Self)> {
        // SAFETY: callers hold the lock and give an index that there is; the name is a C string, freed once.
        unsafe {
            let text = raw::H5Tget_member_name(self.id(), index);
            if text.is_null() {
                return Err(error());
            }
            let name = CStr::from_ptr(text).to_string_lossy().into_owned();
            raw::H5free_memory(text.cast());
            let offset = raw::H5Tget_member_offset(self.id(), index);
            Ok((name, offset, Self::new(raw::H5Tget_member_type(self.id(), index))?))
        }
    }
}

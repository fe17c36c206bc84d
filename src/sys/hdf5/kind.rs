//! Types of elements, as libhdf5 knows them.
//!
//! Invariant: as of [`Library`](super::Library): its holder calls. A [`Kind`] holds a type that is open.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::io;

use super::{Class, Handle, Library, c_text, check, error, raw};

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

/// Types that are made, to write: as h5py makes them of numpy's.
impl Kind {
    /// A copy of a type that there is.
    ///
    /// # Safety
    /// The lock is held, and `id` is a type.
    unsafe fn copy(id: raw::Id) -> io::Result<Self> {
        // SAFETY: the caller's promise.
        Self::new(unsafe { raw::H5Tcopy(id) })
    }

    /// An integer of 1, 2, 4 or 8 bytes.
    pub fn integer(_library: &Library, size: usize, signed: bool, big_endian: bool) -> io::Result<Self> {
        // SAFETY: the lock is held, and the ids have been set by H5open.
        unsafe {
            Self::copy(match (size, signed, big_endian) {
                (1, true, false) => raw::H5T_STD_I8LE_g,
                (2, true, false) => raw::H5T_STD_I16LE_g,
                (4, true, false) => raw::H5T_STD_I32LE_g,
                (8, true, false) => raw::H5T_STD_I64LE_g,
                (1, false, false) => raw::H5T_STD_U8LE_g,
                (2, false, false) => raw::H5T_STD_U16LE_g,
                (4, false, false) => raw::H5T_STD_U32LE_g,
                (8, false, false) => raw::H5T_STD_U64LE_g,
                (1, true, true) => raw::H5T_STD_I8BE_g,
                (2, true, true) => raw::H5T_STD_I16BE_g,
                (4, true, true) => raw::H5T_STD_I32BE_g,
                (8, true, true) => raw::H5T_STD_I64BE_g,
                (1, false, true) => raw::H5T_STD_U8BE_g,
                (2, false, true) => raw::H5T_STD_U16BE_g,
                (4, false, true) => raw::H5T_STD_U32BE_g,
                (8, false, true) => raw::H5T_STD_U64BE_g,
                _ => return Err(io::Error::other("no integer has that size")),
            })
        }
    }

    /// A floating-point number of 2, 4 or 8 bytes, or this machine's long double.
    pub fn float(_library: &Library, size: usize, big_endian: bool) -> io::Result<Self> {
        // SAFETY: the lock is held, and the ids have been set by H5open; a half is made of a copy.
        unsafe {
            let single = if big_endian { raw::H5T_IEEE_F32BE_g } else { raw::H5T_IEEE_F32LE_g };
            match size {
                2 => {
                    let half = Self::copy(single)?;
                    check(raw::H5Tset_fields(half.id(), 15, 10, 5, 0, 10))?;
                    check(raw::H5Tset_size(half.id(), 2))?;
                    check(raw::H5Tset_ebias(half.id(), 15))?;
                    Ok(half)
                }
                4 => Self::copy(single),
                8 => Self::copy(if big_endian { raw::H5T_IEEE_F64BE_g } else { raw::H5T_IEEE_F64LE_g }),
                _ => {
                    let long = Self::copy(raw::H5T_NATIVE_LDOUBLE_g)?;
                    match long.size() == size && big_endian == cfg!(target_endian = "big") {
                        true => Ok(long),
                        false => Err(io::Error::other("this machine has no such floating-point number")),
                    }
                }
            }
        }
    }

    /// False and true, as h5py has them.
    pub fn boolean(library: &Library) -> io::Result<Self> {
        let base = Self::integer(library, 1, true, false)?;
        // SAFETY: the lock is held; names are C strings, and values are of the base's type.
        unsafe {
            let kind = Self::new(raw::H5Tenum_create(base.id()))?;
            for (name, value) in [(c"FALSE", 0i8), (c"TRUE", 1)] {
                check(raw::H5Tenum_insert(kind.id(), name.as_ptr(), (&raw const value).cast::<c_void>()))?;
            }
            Ok(kind)
        }
    }

    /// Text of so many bytes, padded with zeros; `None`: of any length.
    pub fn text(_library: &Library, size: Option<usize>) -> io::Result<Self> {
        const NULL_PADDED: c_int = 1;
        const UTF8: c_int = 1;
        // SAFETY: the lock is held, and the id has been set by H5open.
        unsafe {
            let kind = Self::copy(raw::H5T_C_S1_g)?;
            check(raw::H5Tset_size(kind.id(), size.unwrap_or(usize::MAX)))?;
            match size {
                Some(_) => check(raw::H5Tset_strpad(kind.id(), NULL_PADDED))?,
                None => check(raw::H5Tset_cset(kind.id(), UTF8))?,
            };
            Ok(kind)
        }
    }

    /// Bytes with a note of what they are.
    pub fn opaque(_library: &Library, size: usize, tag: &str) -> io::Result<Self> {
        const OPAQUE: c_int = 5;
        let tag = c_text(tag.as_bytes())?;
        // SAFETY: the lock is held; the tag is a C string.
        unsafe {
            let kind = Self::new(raw::H5Tcreate(OPAQUE, size))?;
            check(raw::H5Tset_tag(kind.id(), tag.as_ptr()))?;
            Ok(kind)
        }
    }

    /// An array of a type.
    pub fn array(&self, _library: &Library, shape: &[u64]) -> io::Result<Self> {
        // SAFETY: the lock is held; there are as many sizes as axes.
        Self::new(unsafe { raw::H5Tarray_create2(self.id(), shape.len() as c_uint, shape.as_ptr()) })
    }

    /// A record of fields at these offsets.
    pub fn record(_library: &Library, size: usize, fields: &[(&str, usize, Self)]) -> io::Result<Self> {
        const COMPOUND: c_int = 6;
        // SAFETY: the lock is held; names are C strings.
        unsafe {
            let kind = Self::new(raw::H5Tcreate(COMPOUND, size))?;
            for (name, offset, field) in fields {
                let name = c_text(name.as_bytes())?;
                check(raw::H5Tinsert(kind.id(), name.as_ptr(), *offset, field.id()))?;
            }
            Ok(kind)
        }
    }
}

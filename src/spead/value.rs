//! Values of items: from bytes on the wire, and a descriptor, to an array in this machine's byte order.

use std::borrow::Cow;
use std::sync::Arc;

use super::descriptor::{Descriptor, Layout};
use super::dtype::{Dtype, Kind, product};
use super::format;
use super::item::ItemValue;
use crate::error::{Error, ErrorKind, Result};

/// An array, or a single value if it has no dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The type of its elements, in this machine's byte order.
    pub dtype: Arc<Dtype>,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// The first index runs fastest; else the last.
    pub fortran_order: bool,
    /// Its elements, back to back.
    pub bytes: Vec<u8>,
}

/// A single number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Of a bool or an unsigned integer.
    Unsigned(u64),
    /// Of a signed integer, or a time.
    Signed(i64),
    /// Of a float of 2, 4 or 8 bytes.
    Float(f64),
}

impl Descriptor {
    /// Reads a value. `heap_address_bits` is that of its heap's flavour.
    ///
    /// Bytes beyond what the shape needs are ignored, as senders may align what follows. An immediate value of a fixed size is
    /// right-aligned.
    pub fn decode(&self, value: ItemValue<'_>, heap_address_bits: u8) -> Result<Value> {
        let pointer;
        let (bytes, is_immediate) = match value {
            ItemValue::Addressed(bytes) => (bytes, false),
            ItemValue::Immediate(value) => {
                pointer = value.to_be_bytes();
                (pointer.get(8 - usize::from(heap_address_bits / 8)..).unwrap_or_default(), true)
            }
        };
        let element_bits = match &self.layout {
            Layout::Numpy { dtype, .. } => dtype.size().checked_mul(8),
            Layout::Packed(entries) => Some(format::bits(entries)),
        };
        let too_large = || self.wrong("its shape is larger than memory can be");
        let element_bits = element_bits.ok_or_else(too_large)?;
        let there = bytes.len() * 8;
        let known: Vec<usize> = self.shape.iter().filter_map(|&size| size).collect();
        let known = product(&known).and_then(|n| n.checked_mul(element_bits)).ok_or_else(too_large)?;
        // Where nothing would be repeated, it is not.
        let variable = there.checked_div(known).unwrap_or(0);
        let shape: Vec<usize> = self.shape.iter().map(|size| size.unwrap_or(variable)).collect();
        let count = product(&shape).ok_or_else(too_large)?;
        let needed = count.checked_mul(element_bits).ok_or_else(too_large)?;
        if needed > there {
            let rule = format!("its shape {:?} needs {} bytes", shape, needed.div_ceil(8));
            return Err(self.wrong(format!("{rule}, its value has {}", bytes.len())));
        }
        let is_variable = known_sizes_missing(&self.shape);
        let start = if is_immediate && !is_variable { there - needed } else { 0 };
        let dtype = self.dtype().clone();
        let bytes = self.unpack(bytes, start, count, needed)?;
        Ok(Value { dtype, shape, fortran_order: self.is_fortran_order(), bytes })
    }

    /// The elements in this machine's byte order.
    fn unpack(&self, bytes: &[u8], start: usize, count: usize, needed: usize) -> Result<Vec<u8>> {
        if needed == 0 {
            return Ok(Vec::new());
        }
        let wire = match &self.layout {
            Layout::Numpy { dtype, .. } => Some(Cow::Borrowed(dtype)),
            Layout::Packed(entries) => format::wire_dtype(entries).transpose()?.map(Cow::Owned),
        };
        let mut out = Vec::new();
        let size = match &wire {
            Some(_) => needed / 8,
            None => count.saturating_mul(self.dtype().size()),
        };
        let no_memory = |_| {
            Error::new(ErrorKind::NoMemory, format!("item {}: no memory for {size} bytes", self.short_name()))
        };
        out.try_reserve_exact(size).map_err(no_memory)?;
        match (wire, &self.layout) {
            (Some(wire), _) => {
                out.extend_from_slice(bytes.get(start / 8..(start + needed) / 8).unwrap_or_default());
                wire.make_native(&mut out);
            }
            (None, Layout::Packed(entries)) => format::unpack(entries, bytes, start, count, &mut out),
            (None, Layout::Numpy { .. }) => {}
        }
        Ok(out)
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Format, format!("item {} ({:#x}): {what}", self.short_name(), self.id))
    }
}

fn known_sizes_missing(shape: &[Option<usize>]) -> bool {
    shape.iter().any(Option::is_none)
}

impl Value {
    /// Bytes from an element to the next, for each dimension.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![0; self.shape.len()];
        let mut step = self.dtype.size();
        let mut take = |i: usize| {
            if let (Some(stride), Some(&n)) = (strides.get_mut(i), self.shape.get(i)) {
                *stride = step;
                step = step.saturating_mul(n.max(1));
            }
        };
        match self.fortran_order {
            true => (0..self.shape.len()).for_each(&mut take),
            false => (0..self.shape.len()).rev().for_each(&mut take),
        }
        strides
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        product(&self.shape).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value, if it is a single number that a machine word holds.
    pub fn number(&self) -> Option<Number> {
        let Dtype::Scalar(scalar) = &*self.dtype else { return None };
        if !self.shape.is_empty() {
            return None;
        }
        let mut wide = [0u8; 8];
        let bytes = &self.bytes;
        if cfg!(target_endian = "big") {
            wide.get_mut(8usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
        } else {
            wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        }
        let unsigned = u64::from_ne_bytes(wide);
        let unused = 64u32.checked_sub(8 * scalar.size as u32)?;
        match (scalar.kind, scalar.size) {
            (Kind::Bool | Kind::Uint, _) => Some(Number::Unsigned(unsigned)),
            (Kind::Int | Kind::Datetime | Kind::Timedelta, _) => {
                Some(Number::Signed((unsigned << unused) as i64 >> unused))
            }
            (Kind::Float, 2) => Some(Number::Float(half(unsigned as u16))),
            (Kind::Float, 4) => Some(Number::Float(f32::from_bits(unsigned as u32).into())),
            (Kind::Float, 8) => Some(Number::Float(f64::from_bits(unsigned))),
            _ => None,
        }
    }

    /// The elements in C order, whichever order they are in.
    pub fn c_order_bytes(&self) -> Cow<'_, [u8]> {
        let size = self.dtype.size();
        if !self.fortran_order || self.shape.len() < 2 || size == 0 || self.is_empty() {
            return (&self.bytes).into();
        }
        let strides = self.strides();
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..self.len() {
            let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            out.extend_from_slice(self.bytes.get(at..at + size).unwrap_or_default());
            // The next index, the last dimension fastest.
            for (i, n) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *n {
                    break;
                }
                *i = 0;
            }
        }
        out.into()
    }
}

/// An IEEE 754 number of 16 bits.
pub fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

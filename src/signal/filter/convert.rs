//! Arrays of numbers become arrays of other numbers.
//!
//! A dense array is converted from its first byte to its last, whatever the order of its axes, which stays; others are brought into C order on the way, some
//! rows at a time. Rows, and bytes whose order has to be turned, pass through a scratch memory that stays in the processor's cache. The loops
//! themselves see dense memory in this machine's byte order, so that the compiler makes vector instructions of them.

use std::slice;

use super::frames::Frames;
use super::number::{Any, Bool, Element, To, with_number};
use crate::error::{Error, ErrorKind, Result};
use crate::signal::array::{self, Layout};
use crate::spead::dtype::Dtype;

/// As `with_number`, for the parts of complex numbers.
macro_rules! with_part {
    ($number:expr, $T:ident => $body:expr) => {
        if $number == crate::signal::filter::number::Number::F32 {
            type $T = f32;
            $body
        } else {
            type $T = f64;
            $body
        }
    };
}
/// Bytes that are converted at once.
const BLOCK: usize = 16 << 10;

/// Converts so many elements, which lie one behind the other without regard to alignment and in this machine's byte order.
type CastLoop = unsafe fn(from: *const u8, to: *mut u8, count: usize);
/// The same; they are multiplied and added to.
type ScaleLoop = unsafe fn(from: *const u8, to: *mut u8, count: usize, scale: f64, offset: f64);

/// What is done to elements.
enum Kernel {
    /// Nothing but turning bytes.
    Turn,
    Cast(CastLoop),
    Scale(ScaleLoop, f64, f64),
}

/// Converts elements of one type to another.
pub(super) struct Converter {
    from: Dtype,
    to: Dtype,
    /// Elements of `from` are in this machine's byte order; those of `to`.
    native: (bool, bool),
    kernel: Kernel,
    /// Rows of an array that is not dense.
    rows: Vec<u8>,
    /// Elements whose bytes are turned.
    turned: Vec<u8>,
}

impl Converter {
    /// From one type to another; `None` if that cannot be done.
    pub fn cast(from: &Dtype, to: &Dtype) -> Option<Self> {
        // Whatever they are.
        if from.to_native() == to.to_native() {
            return Some(Self::new(from, to, Kernel::Turn));
        }
        Some(Self::new(from, to, Kernel::Cast(cast_loop(Element::of(from)?, Element::of(to)?))))
    }

    /// From a type, whose elements are these, to floats of 8 bytes or, if `short`, of 4, in this machine's byte order; or to complex numbers of two such.
    pub fn scale(from: &Dtype, element: Element, short: bool, scale: f64, offset: f64) -> Result<Self> {
        let name = match (element.complex, short) {
            (false, true) => "=f4",
            (false, false) => "=f8",
            (true, true) => "=c8",
            (true, false) => "=c16",
        };
        let to = Dtype::parse_scalar(name)?;
        Ok(Self::new(from, &to, Kernel::Scale(scale_loop(element, short), scale, offset)))
    }

    fn new(from: &Dtype, to: &Dtype, kernel: Kernel) -> Self {
        let native = (from.to_native() == *from, to.to_native() == *to);
        let (from, to) = (from.clone(), to.clone());
        Self { from, to, native, kernel, rows: Vec::new(), turned: Vec::new() }
    }

    /// What elements become.
    pub fn to(&self) -> &Dtype {
        &self.to
    }

    /// Converts frames, whose elements must be of the type that this is for.
    pub fn convert(&mut self, frames: &Frames<'_>) -> Result<Frames<'static>> {
        let (layout, from) = (frames.layout(), frames.as_ptr());
        debug_assert_eq!(layout.item(), self.from.size());
        let item = self.to.size();
        if layout.is_dense() {
            let target = layout.resized(item)?;
            // SAFETY: the elements of a dense array are all that lies between its first and its last byte, and as many are written.
            return unsafe {
                frames.made(target, |to| {
                    self.run(from.add(layout.extent().start), to, layout.len());
                    Ok(())
                })
            };
        }
        let target = Layout::c_order(item, layout.shape())?;
        let count = frames.frames();
        let elements = layout.len() / count;
        let row = elements * layout.item();
        let at_once = (BLOCK / row.max(1)).max(1);
        let (mut rows, needed) = (std::mem::take(&mut self.rows), row * at_once.min(count));
        // A frame may be larger than memory.
        rows.try_reserve_exact(needed.saturating_sub(rows.len()))
            .map_err(|_| Error::new(ErrorKind::NoMemory, format!("no memory for a frame of {row} bytes")))?;
        rows.resize(needed, 0);
        let fill = |to: *mut u8| {
            for first in (0..count).step_by(at_once) {
                let part = layout.rows(first..count.min(first + at_once));
                let packed = Layout::c_order(layout.item(), part.shape())?;
                // SAFETY: the frames can be read, the scratch memory has as many rows; and so has what is made, from the first of these on.
                unsafe {
                    array::copy(from, &part, rows.as_mut_ptr(), &packed);
                    self.run(rows.as_ptr(), to.add(first * elements * item), part.len());
                }
            }
            Ok(())
        };
        // SAFETY: writes all rows, one behind the other.
        let made = unsafe { frames.made(target, fill) };
        self.rows = rows;
        made
    }

    /// Converts elements that lie one behind the other.
    ///
    /// # Safety
    /// There are as many of each type; the two do not overlap.
    unsafe fn run(&mut self, from: *const u8, to: *mut u8, count: usize) {
        let (near, far) = (self.from.size(), self.to.size());
        let at_once = (BLOCK / near.max(far).max(1)).max(1);
        for first in (0..count).step_by(at_once) {
            let count = at_once.min(count - first);
            // SAFETY: within the elements that the caller promises.
            let (mut from, to) = unsafe { (from.add(first * near), to.add(first * far)) };
            if let Kernel::Turn = self.kernel {
                // SAFETY: as many bytes of both, which have the same size.
                let bytes = unsafe {
                    to.copy_from_nonoverlapping(from, count * far);
                    slice::from_raw_parts_mut(to, count * far)
                };
                self.from.make_native(bytes);
                self.to.make_native(bytes);
                continue;
            }
            if !self.native.0 {
                self.turned.clear();
                // SAFETY: as many bytes can be read.
                self.turned.extend_from_slice(unsafe { slice::from_raw_parts(from, count * near) });
                self.from.make_native(&mut self.turned);
                from = self.turned.as_ptr();
            }
            match self.kernel {
                Kernel::Turn => {}
                // SAFETY: as many elements of each type, in this machine's byte order.
                Kernel::Cast(cast) => unsafe { cast(from, to, count) },
                // SAFETY: likewise.
                Kernel::Scale(run, scale, offset) => unsafe { run(from, to, count, scale, offset) },
            }
            if !self.native.1 {
                // From this machine's order it is the same turn as to it.
                // SAFETY: just written.
                self.to.make_native(unsafe { slice::from_raw_parts_mut(to, count * far) });
            }
        }
    }
}

/// The loop for a pair of types.
fn cast_loop(from: Element, to: Element) -> CastLoop {
    match (from.complex, to.complex) {
        (false, false) => with_number!(from.number, T => with_number!(to.number, U => each::<T, U>)),
        (true, true) => {
            with_part!(from.number, T => with_part!(to.number, U => parts::<T, U>))
        }
        (false, true) => {
            with_number!(from.number, T => with_part!(to.number, U => with_no_imaginary::<T, U>))
        }
        (true, false) if to.number == super::number::Number::Bool => {
            with_part!(from.number, T => is_not_zero::<T>)
        }
        (true, false) => with_part!(from.number, T => with_number!(to.number, U => real_part::<T, U>)),
    }
}

/// The loop for numbers of a type, and floats of 4 or 8 bytes.
fn scale_loop(from: Element, short: bool) -> ScaleLoop {
    match (from.complex, short) {
        (false, true) => with_number!(from.number, T => scale::<T, f32>),
        (false, false) => with_number!(from.number, T => scale::<T, f64>),
        (true, true) => with_part!(from.number, T => scale_complex::<T, f32>),
        (true, false) => with_part!(from.number, T => scale_complex::<T, f64>),
    }
}

/// # Safety
/// As for all loops here: `count` elements of `T` can be read and of `U` written.
unsafe fn each<T: To<U>, U>(from: *const u8, to: *mut u8, count: usize) {
    let (from, to) = (from.cast::<T>(), to.cast::<U>());
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write_unaligned(from.add(i).read_unaligned().to()) };
    }
}

/// # Safety
/// `count` pairs.
unsafe fn parts<T: To<U>, U>(from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { each::<T, U>(from, to, 2 * count) }
}

/// # Safety
/// `count` elements of `T`, and pairs of `U`.
unsafe fn with_no_imaginary<T: To<U>, U: Any>(from: *const u8, to: *mut u8, count: usize)
where
    u8: To<U>,
{
    let (from, to) = (from.cast::<T>(), to.cast::<[U; 2]>());
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write_unaligned([from.add(i).read_unaligned().to(), 0u8.to()]) };
    }
}

/// # Safety
/// `count` pairs of `T`, and elements of `U`.
unsafe fn real_part<T: To<U>, U>(from: *const u8, to: *mut u8, count: usize) {
    let (from, to) = (from.cast::<[T; 2]>(), to.cast::<U>());
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write_unaligned(from.add(i).read_unaligned()[0].to()) };
    }
}

/// # Safety
/// `count` pairs of `T`, and bytes.
unsafe fn is_not_zero<T: To<Bool>>(from: *const u8, to: *mut u8, count: usize) {
    let from = from.cast::<[T; 2]>();
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            to.add(i).write(from.add(i).read_unaligned().into_iter().fold(0, |any, part| any | part.to().0))
        };
    }
}

/// # Safety
/// `count` elements of `T`, and of `U`.
unsafe fn scale<T: To<f64>, U>(from: *const u8, to: *mut u8, count: usize, scale: f64, offset: f64)
where
    f64: To<U>,
{
    let (from, to) = (from.cast::<T>(), to.cast::<U>());
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write_unaligned((from.add(i).read_unaligned().to() * scale + offset).to()) };
    }
}

/// # Safety
/// `count` pairs of `T`, and of `U`.
unsafe fn scale_complex<T: To<f64>, U>(from: *const u8, to: *mut u8, count: usize, scale: f64, offset: f64)
where
    f64: To<U>,
{
    let (from, to) = (from.cast::<[T; 2]>(), to.cast::<[U; 2]>());
    for i in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            let [real, imaginary] = from.add(i).read_unaligned();
            to.add(i).write_unaligned([(real.to() * scale + offset).to(), (imaginary.to() * scale).to()]);
        }
    }
}

//! Copying payloads to where they belong: as usual, or past the caches.
//!
//! A non-temporal copy writes to memory without reading the destination into the caches first. That saves a third of the
//! memory traffic, and keeps in the caches what was there, when the data is not used soon. It is ordered with nothing:
//! [`CopyMethod::publish`] has to come before another thread is told.

use std::ptr;

/// How payloads are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyMethod {
    /// Through the caches.
    #[default]
    Std,
    /// Past the caches, where the processor can (AVX-512 or AVX2, chosen at run time); otherwise as `Std`.
    NonTemporal,
}

impl CopyMethod {
    /// Copies `len` bytes.
    ///
    /// # Safety
    /// `source` is valid for reads and `destination` for writes of `len` bytes, and they do not overlap.
    #[inline]
    pub unsafe fn copy(self, destination: *mut u8, source: *const u8, len: usize) {
        match self {
            // SAFETY: the caller's promise.
            Self::NonTemporal if len >= WORTH_IT => unsafe { non_temporal(destination, source, len) },
            // SAFETY: the caller's promise.
            _ => unsafe { ptr::copy_nonoverlapping(source, destination, len) },
        }
    }

    /// Makes sure that all copies so far are seen before anything that this thread publishes from now on.
    #[inline]
    pub fn publish(self) {
        #[cfg(target_arch = "x86_64")]
        if self == Self::NonTemporal {
            // SAFETY: every x86-64 processor has sfence.
            unsafe { std::arch::x86_64::_mm_sfence() };
        }
    }
}

/// Shorter copies are over before the difference could show.
const WORTH_IT: usize = 512;

#[cfg(not(target_arch = "x86_64"))]
unsafe fn non_temporal(destination: *mut u8, source: *const u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(source, destination, len) };
}

/// # Safety
/// As for [`CopyMethod::copy`].
#[cfg(target_arch = "x86_64")]
unsafe fn non_temporal(destination: *mut u8, source: *const u8, len: usize) {
    // The macro remembers what the processor has: one load and a test.
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512F; the rest is the caller's promise.
        unsafe { x86::copy_avx512(destination, source, len) };
    } else if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the rest is the caller's promise.
        unsafe { x86::copy_avx2(destination, source, len) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(source, destination, len) };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::ptr;

    /// Bytes per cache line, to which the streaming stores are aligned.
    const LINE: usize = 64;

    /// Copies the start by ordinary stores until the destination is aligned; the bytes copied. At most `len`.
    ///
    /// # Safety
    /// As for [`super::CopyMethod::copy`].
    unsafe fn align(destination: *mut u8, source: *const u8, len: usize) -> usize {
        let head = destination.align_offset(LINE).min(len);
        // SAFETY: head <= len; the rest is the caller's promise.
        unsafe { ptr::copy_nonoverlapping(source, destination, head) };
        head
    }

    /// # Safety
    /// As for [`super::CopyMethod::copy`]; the processor has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn copy_avx512(destination: *mut u8, source: *const u8, len: usize) {
        // SAFETY: done <= len throughout, streaming stores go to whole aligned lines below len; else the caller's promise.
        unsafe {
            let mut done = align(destination, source, len);
            while len - done >= 4 * LINE {
                let (to, from) = (destination.add(done), source.add(done));
                let lines = [
                    _mm512_loadu_si512(from.cast()),
                    _mm512_loadu_si512(from.add(LINE).cast()),
                    _mm512_loadu_si512(from.add(2 * LINE).cast()),
                    _mm512_loadu_si512(from.add(3 * LINE).cast()),
                ];
                for (i, line) in lines.into_iter().enumerate() {
                    _mm512_stream_si512(to.add(i * LINE).cast(), line);
                }
                done += 4 * LINE;
            }
            ptr::copy_nonoverlapping(source.add(done), destination.add(done), len - done);
        }
    }

    /// # Safety
    /// As for [`super::CopyMethod::copy`]; the processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn copy_avx2(destination: *mut u8, source: *const u8, len: usize) {
        // SAFETY: done <= len throughout, streaming stores go to whole aligned lines below len; else the caller's promise.
        unsafe {
            let mut done = align(destination, source, len);
            while len - done >= 2 * LINE {
                let (to, from) = (destination.add(done), source.add(done));
                let halves = [
                    _mm256_loadu_si256(from.cast()),
                    _mm256_loadu_si256(from.add(LINE / 2).cast()),
                    _mm256_loadu_si256(from.add(LINE).cast()),
                    _mm256_loadu_si256(from.add(LINE + LINE / 2).cast()),
                ];
                for (i, half) in halves.into_iter().enumerate() {
                    _mm256_stream_si256(to.add(i * LINE / 2).cast(), half);
                }
                done += 2 * LINE;
            }
            ptr::copy_nonoverlapping(source.add(done), destination.add(done), len - done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: as for [`CopyMethod::copy`].
    type Copy = unsafe fn(*mut u8, *const u8, usize);

    /// Every way to copy that this processor has.
    fn ways() -> Vec<(&'static str, Copy)> {
        #[allow(unused_mut, reason = "other processors have one way only")]
        let mut ways: Vec<(&str, Copy)> = vec![
            // SAFETY: the same promise as Copy's.
            ("std", |d, s, n| unsafe { CopyMethod::Std.copy(d, s, n) }),
            // SAFETY: the same promise as Copy's.
            ("non-temporal", |d, s, n| unsafe { CopyMethod::NonTemporal.copy(d, s, n) }),
        ];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                // SAFETY: the same promise as Copy's, and the processor has it.
                ways.push(("avx512", |d, s, n| unsafe { x86::copy_avx512(d, s, n) }));
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the same promise as Copy's, and the processor has it.
                ways.push(("avx2", |d, s, n| unsafe { x86::copy_avx2(d, s, n) }));
            }
        }
        ways
    }

    #[test]
    fn every_way_copies_exactly_what_it_should() {
        let source: Vec<u8> = (0..10_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        for (name, copy) in ways() {
            for len in (0..700).chain([1024, 4095, 8972, 9000]) {
                for (from, to) in [(0, 0), (1, 0), (0, 1), (17, 63), (64, 64)] {
                    let mut destination = vec![0xee; 10_000];
                    // SAFETY: both ranges lie within their vectors, which are different.
                    unsafe { copy(destination.as_mut_ptr().add(to), source.as_ptr().add(from), len) };
                    CopyMethod::NonTemporal.publish();
                    assert!(destination[..to].iter().all(|&b| b == 0xee), "{name} {len} {from} {to}");
                    assert_eq!(
                        destination[to..to + len],
                        source[from..from + len],
                        "{name} {len} {from} {to}"
                    );
                    assert!(destination[to + len..].iter().all(|&b| b == 0xee), "{name} {len} {from} {to}");
                }
            }
        }
    }
}

//! Bytes received and not taken yet, in one piece: headers, small packets, and the beginnings of long ones.
//!
//! Invariant: `start <= end <= bytes.len()`; the bytes held are those from `start` to `end`.

use crate::sys::tcp::Span;

/// To move so many bytes costs less than the system call that it saves.
const CHEAP: usize = 1024;

/// A buffer that is filled at its end and emptied at its start.
pub(super) struct Intake {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Intake {
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    /// The bytes held.
    #[inline]
    pub(super) fn held(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Lets go of the first `n` bytes held, or of all if there are fewer.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Space for what comes next: as much as makes `least` bytes together with those held, and as much as makes `most` where
    /// that costs little.
    pub(super) fn space(&mut self, least: usize, most: usize) -> Span {
        let held = self.end - self.start;
        let cheap = held <= CHEAP && self.bytes.len() - self.start < most;
        if cheap || self.bytes.len() - self.start < least {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, held);
            if self.bytes.len() < least {
                self.bytes.resize(least, 0);
            }
        }
        let until = self.bytes.len().min(self.start + most.max(least));
        Span::of(self.bytes.get_mut(self.end..until).unwrap_or_default())
    }

    /// `n` bytes of the space that was asked for have been filled.
    pub(super) fn filled(&mut self, n: usize) {
        self.end = self.bytes.len().min(self.end + n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(intake: &mut Intake, least: usize, most: usize, bytes: &[u8]) {
        let span = intake.space(least, most);
        assert!(bytes.len() <= span.len, "{} of {}", bytes.len(), span.len);
        // SAFETY: the span is the intake's space, which has room for them.
        unsafe { span.start.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        intake.filled(bytes.len());
    }

    #[test]
    fn what_is_held_stays_in_one_piece() {
        let mut intake = Intake::new(8);
        assert_eq!(intake.space(1, 3).len, 3);
        assert_eq!(intake.space(1, 100).len, 8);
        fill(&mut intake, 1, 8, b"abcdefgh");
        intake.consume(6);
        assert_eq!(intake.held(), b"gh");
        assert_eq!(intake.space(2, 2).len, 0, "no need for more than there is");
        fill(&mut intake, 3, 8, b"ij");
        assert_eq!(intake.held(), b"ghij");
        fill(&mut intake, 12, 12, b"klmnopqr");
        assert_eq!(intake.held(), b"ghijklmnopqr");
        intake.consume(usize::MAX);
        assert_eq!(intake.held(), b"");
        assert_eq!(intake.space(1, 100).len, 12);
    }
}

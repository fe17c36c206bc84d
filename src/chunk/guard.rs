//! Protection against a single wrong heap that would move the window so far that all later heaps are too old.

/// Holds jumps back until enough heaps in a row agree on them.
#[derive(Debug)]
pub(super) struct JumpGuard {
    /// Chunks that the window may move at the word of one heap; 0: any number.
    max_jump: u64,
    /// Further heaps in a row that must agree on a longer jump.
    confirm: u32,
    /// Where the latest heaps in a row want to jump to, and how many have agreed with the first of them.
    candidate: Option<(i64, u32)>,
}

impl JumpGuard {
    pub(super) fn new(max_jump: u64, confirm: u32) -> Self {
        Self { max_jump, confirm, candidate: None }
    }

    /// Whether a heap of chunk `id`, which is `distance` beyond the window, may move it.
    #[inline]
    pub(super) fn allows(&mut self, id: i64, distance: u64) -> bool {
        if self.max_jump == 0 || distance <= self.max_jump {
            self.candidate = None;
            return true;
        }
        let agreed = match self.candidate {
            Some((latest, agreed)) if latest.abs_diff(id) <= self.max_jump => agreed + 1,
            _ => 0,
        };
        self.candidate = Some((id, agreed));
        if agreed >= self.confirm {
            self.candidate = None;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_heap_moves_nothing_but_many_do() {
        let mut guard = JumpGuard::new(100, 2);
        assert!(guard.allows(5, 100));
        assert!(!guard.allows(1 << 40, 1 << 40));
        assert!(guard.allows(6, 1), "an ordinary heap, and the wild one is forgotten");
        assert!(!guard.allows(1 << 40, 1 << 40));
        assert!(!guard.allows((1 << 40) + 1, 1 << 40));
        assert!(!guard.allows(1 << 50, 1 << 50), "somewhere else: counted anew");
        assert!(!guard.allows((1 << 50) - 100, 1 << 50));
        assert!(guard.allows(1 << 50, 1 << 50));
        assert!(!guard.allows(1 << 60, 1 << 60));
    }

    #[test]
    fn zero_lifts_the_limit() {
        assert!(JumpGuard::new(0, 8).allows(i64::MAX, u64::MAX));
    }
}

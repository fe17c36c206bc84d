//! Protection against a single wrong heap: one that would move the window so far ahead that all later heaps are too old,
//! or one that has done so as the very first.

/// Holds jumps back until enough heaps in a row agree on them.
#[derive(Debug)]
pub(super) struct JumpGuard {
    /// Chunks that the window may move at the word of one heap; 0: any number ahead, and never back.
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

    /// Whether a heap of chunk `id`, which is `ahead` of the window's last chunk (0: it is inside), may move it.
    #[inline]
    pub(super) fn allows(&mut self, id: i64, ahead: u64) -> bool {
        if self.max_jump == 0 || ahead <= self.max_jump {
            self.candidate = None;
            return true;
        }
        self.agree(id)
    }

    /// Whether a heap of chunk `id`, which is `behind` the window's first chunk, shows that the window is in the wrong place and
    /// has to start anew there. Heaps not so far behind are just too old.
    #[cold]
    pub(super) fn allows_back(&mut self, id: i64, behind: u64) -> bool {
        if self.max_jump == 0 || behind <= self.max_jump {
            self.candidate = None;
            return false;
        }
        self.agree(id)
    }

    /// Notes one more heap that wants to jump; whether it is the last that was missing.
    #[cold]
    fn agree(&mut self, id: i64) -> bool {
        let agreed = match self.candidate {
            Some((latest, agreed)) if latest.abs_diff(id) <= self.max_jump => agreed + 1,
            _ => 0,
        };
        let enough = agreed >= self.confirm;
        self.candidate = (!enough).then_some((id, agreed));
        enough
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
    fn a_window_in_the_wrong_place_is_left_when_enough_heaps_say_so() {
        let mut guard = JumpGuard::new(100, 2);
        assert!(!guard.allows_back(5, 100), "just too old, however many there are");
        assert!(!guard.allows_back(5, 1000));
        assert!(!guard.allows_back(6, 999));
        assert!(guard.allows(1005, 0), "an ordinary heap: the window is where it should be");
        assert!(!guard.allows_back(5, 1000));
        assert!(!guard.allows_back(6, 999));
        assert!(guard.allows_back(7, 998));
    }

    #[test]
    fn zero_lifts_the_limit() {
        assert!(!JumpGuard::new(0, 0).allows_back(0, u64::MAX));
        assert!(JumpGuard::new(0, 8).allows(i64::MAX, u64::MAX));
    }
}

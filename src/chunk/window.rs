//! The window of consecutive chunk ids that are being filled.
//!
//! Invariant: `chunks[i]` has id `head + i`, and there are at most `max_chunks` of them.

use std::collections::VecDeque;

use super::item::Chunk;

/// The next thing to do so that a chunk id is inside the window.
#[derive(Debug)]
pub(super) enum Step {
    /// It is inside.
    Inside,
    /// The window has moved past it.
    Behind,
    /// This chunk leaves the window: it is ready.
    Leave(Box<Chunk>),
    /// A chunk with this id has to enter, by [`Window::enter`].
    Enter(i64),
}

/// The chunks being filled.
#[derive(Debug)]
pub(super) struct Window {
    /// The id of the first chunk, or of the next to enter if there is none; `None` before the first heap.
    head: Option<i64>,
    chunks: VecDeque<Box<Chunk>>,
    max_chunks: usize,
    /// How often it has started anew: after that, a chunk of the same id is another one.
    generation: u32,
}

impl Window {
    pub(super) fn new(max_chunks: usize) -> Self {
        Self { head: None, chunks: VecDeque::new(), max_chunks, generation: 0 }
    }

    /// The chunk with that id, if it is inside.
    #[inline]
    pub(super) fn get(&mut self, id: i64) -> Option<&mut Chunk> {
        let offset = id.checked_sub(self.head?)?;
        self.chunks.get_mut(usize::try_from(offset).ok()?).map(|chunk| &mut **chunk)
    }

    /// Whether no chunk is being filled.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many chunks are filled at the same time.
    pub(super) fn max_chunks(&self) -> usize {
        self.max_chunks
    }

    /// How often the window has started anew.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// As [`get`](Self::get), for a chunk that was inside when the window was of that generation.
    #[inline]
    pub(super) fn get_of(&mut self, generation: u32, id: i64) -> Option<&mut Chunk> {
        if generation == self.generation { self.get(id) } else { None }
    }

    /// How far `id` is before the first chunk; 0 if it is not.
    #[inline]
    pub(super) fn behind(&self, id: i64) -> u64 {
        self.head.map_or(0, |head| head.saturating_sub(id).max(0) as u64)
    }

    /// Takes out all chunks, in order of their ids, to start anew wherever the next heap is.
    pub(super) fn restart(&mut self) -> impl Iterator<Item = Box<Chunk>> {
        self.head = None;
        self.generation = self.generation.wrapping_add(1);
        self.chunks.drain(..)
    }

    /// How far `id` is beyond the window; 0 if it is inside, behind it, or the first ever.
    pub(super) fn distance(&self, id: i64) -> u64 {
        self.head.map_or(0, |head| {
            let last = i128::from(head) + self.chunks.len() as i128 - 1;
            u64::try_from(i128::from(id) - last).unwrap_or(0)
        })
    }

    /// The next thing to do so that `id` (at least 0) is inside.
    ///
    /// The window ends at the highest id that was ever asked for, also when it is the first, and reaches `max_chunks` back
    /// from there: ids that it jumps over altogether never get a chunk, all others do.
    pub(super) fn step(&mut self, id: i64) -> Step {
        let new_head = id.saturating_sub(self.max_chunks as i64 - 1).max(0);
        let head = *self.head.get_or_insert(new_head);
        if id < head {
            return Step::Behind;
        }
        if self.distance(id) == 0 {
            return Step::Inside;
        }
        if head < new_head {
            if let Some(chunk) = self.chunks.pop_front() {
                self.head = Some(head + 1);
                return Step::Leave(chunk);
            }
            self.head = Some(new_head);
            return Step::Enter(new_head);
        }
        Step::Enter(head + self.chunks.len() as i64)
    }

    /// Takes in the chunk that [`Step::Enter`] asked for.
    pub(super) fn enter(&mut self, chunk: Box<Chunk>) {
        self.chunks.push_back(chunk);
    }

    /// Takes out all chunks, in order of their ids.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Box<Chunk>> {
        if let Some(head) = &mut self.head {
            *head = head.saturating_add(self.chunks.len() as i64);
        }
        self.chunks.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Allocator, HeapAllocator};

    fn chunk(id: i64) -> Box<Chunk> {
        let block = || HeapAllocator.allocate(1, None).unwrap();
        let mut chunk = Chunk::new(block(), block(), block()).unwrap();
        chunk.id = id;
        Box::new(chunk)
    }

    /// Brings `id` inside; gives the ids that left and those that entered, or `None` if it is behind.
    fn bring(window: &mut Window, id: i64) -> Option<(Vec<i64>, Vec<i64>)> {
        let (mut left, mut entered) = (vec![], vec![]);
        loop {
            match window.step(id) {
                Step::Inside => {
                    assert_eq!(window.get(id).unwrap().id, id);
                    return Some((left, entered));
                }
                Step::Behind => return None,
                Step::Leave(chunk) => left.push(chunk.id),
                Step::Enter(id) => {
                    entered.push(id);
                    window.enter(chunk(id));
                }
            }
        }
    }

    #[test]
    fn moves_in_order() {
        let mut window = Window::new(2);
        assert_eq!(bring(&mut window, 5), Some((vec![], vec![4, 5])));
        assert_eq!(bring(&mut window, 6), Some((vec![4], vec![6])));
        assert_eq!(bring(&mut window, 5), Some((vec![], vec![])));
        assert_eq!(bring(&mut window, 7), Some((vec![5], vec![7])));
        assert_eq!(bring(&mut window, 9), Some((vec![6, 7], vec![8, 9])));
        assert_eq!(bring(&mut window, 7), None);
        assert_eq!(bring(&mut window, 12), Some((vec![8, 9], vec![11, 12])), "10 never gets a chunk");
        assert_eq!(bring(&mut window, 11), Some((vec![], vec![])));
        assert_eq!(bring(&mut window, 10), None);
        assert_eq!(window.drain().map(|chunk| chunk.id).collect::<Vec<_>>(), [11, 12]);
        assert_eq!(bring(&mut window, 12), None);
    }

    #[test]
    fn starts_at_zero_when_the_first_id_is_near_it() {
        let mut window = Window::new(4);
        assert_eq!(bring(&mut window, 1), Some((vec![], vec![0, 1])));
        assert_eq!(bring(&mut window, 3), Some((vec![], vec![2, 3])));
        assert_eq!(bring(&mut window, 4), Some((vec![0], vec![4])));
        let mut window = Window::new(1);
        assert_eq!(bring(&mut window, 9), Some((vec![], vec![9])));
        assert_eq!(bring(&mut window, 10), Some((vec![9], vec![10])));
    }

    #[test]
    fn extreme_ids_do_not_overflow() {
        let mut window = Window::new(3);
        assert_eq!(bring(&mut window, 0), Some((vec![], vec![0])));
        assert_eq!(window.distance(i64::MAX), i64::MAX as u64);
        let last = [i64::MAX - 2, i64::MAX - 1, i64::MAX];
        assert_eq!(bring(&mut window, i64::MAX), Some((vec![0], last.to_vec())));
        assert_eq!(window.distance(i64::MAX), 0);
        assert_eq!(bring(&mut window, i64::MAX - 3), None);
        assert!(window.get(i64::MIN).is_none());
        assert_eq!(window.drain().count(), 3);
    }
}

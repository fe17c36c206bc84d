//! Unpacked chunks of which only a part was wanted: the rest is likely to be wanted next.
//!
//! One lock, held for moments. Invariant: it holds no more bytes than its limit; a chunk is dropped when it is the one that was not wanted for longest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

/// The id of a dataset, and the number of one of its chunks.
type Key = (u64, u64);

/// Chunks of any datasets, shared by any number of readers.
#[derive(Debug, Default)]
pub struct ChunkCache {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes, and when they were wanted last.
    chunks: HashMap<Key, (Arc<Vec<u8>>, u64)>,
    /// Which, by when they were wanted last.
    order: BTreeMap<u64, Key>,
    bytes: usize,
    now: u64,
}

impl ChunkCache {
    /// Of at most `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::default() })
    }

    /// The bytes of a chunk.
    pub(super) fn get(&self, key: Key) -> Option<Arc<Vec<u8>>> {
        let mut state = self.state.lock();
        let State { chunks, order, now, .. } = &mut *state;
        let (bytes, wanted) = chunks.get_mut(&key)?;
        order.remove(wanted);
        *now += 1;
        *wanted = *now;
        order.insert(*now, key);
        Some(bytes.clone())
    }

    /// Keeps a chunk, if there is space for it. Returns memory that is not needed any more, to be used again.
    pub(super) fn put(&self, key: Key, bytes: Vec<u8>) -> Option<Vec<u8>> {
        if bytes.len() > self.limit {
            return Some(bytes);
        }
        let mut state = self.state.lock();
        if state.chunks.contains_key(&key) {
            // Another reader was faster.
            return Some(bytes);
        }
        let mut unused = None;
        while state.bytes + bytes.len() > self.limit {
            let Some((_, oldest)) = state.order.pop_first() else { break };
            if let Some((dropped, _)) = state.chunks.remove(&oldest) {
                state.bytes -= dropped.len();
                unused = Arc::into_inner(dropped).or(unused);
            }
        }
        state.now += 1;
        let now = state.now;
        state.bytes += bytes.len();
        state.order.insert(now, key);
        state.chunks.insert(key, (Arc::new(bytes), now));
        unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chunk_not_wanted_for_longest_goes_first() {
        let cache = ChunkCache::new(30);
        assert_eq!(cache.put((0, 1), vec![1; 10]), None);
        assert_eq!(cache.put((0, 2), vec![2; 10]), None);
        assert_eq!(cache.put((0, 3), vec![3; 10]), None);
        assert_eq!(*cache.get((0, 1)).unwrap(), [1; 10]);
        // Its memory comes back; that of one that somebody reads does not.
        assert_eq!(cache.put((0, 4), vec![4; 10]), Some(vec![2; 10]));
        let read = cache.get((0, 3)).unwrap();
        cache.get((0, 1));
        cache.get((0, 4));
        assert_eq!(cache.put((0, 5), vec![5; 10]), None);
        assert_eq!(*read, [3; 10]);
        assert!(cache.get((0, 2)).is_none() && cache.get((0, 3)).is_none());
        assert!(cache.get((0, 1)).is_some() && cache.get((0, 4)).is_some() && cache.get((0, 5)).is_some());
        assert_eq!(cache.put((0, 6), vec![6; 31]), Some(vec![6; 31]));
        assert_eq!(cache.put((0, 5), vec![0; 10]), Some(vec![0; 10]));
        assert_eq!(cache.state.lock().bytes, 30);
        assert!(cache.put((0, 7), vec![7; 30]).is_some());
        assert!(cache.get((1, 7)).is_none() && cache.get((0, 7)).is_some());
        let state = cache.state.lock();
        assert_eq!((state.bytes, state.order.len(), state.chunks.len()), (30, 1, 1));
    }
}

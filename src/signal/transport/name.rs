//! Names for outputs that are found by name and not by address.
//!
//! Plain function; any thread.

use std::hash::{BuildHasher, RandomState};

/// A name that no other output has, of this process or another: the process and 64 random bits.
///
/// Not a secret: whoever may connect is checked in other ways.
pub(crate) fn unique_name() -> String {
    // Two hashers of std never have the same keys within a process, and the first of each process are random.
    let random = RandomState::new().hash_one(std::process::id());
    format!("aqueduct-{}-{random:016x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_comes_twice() {
        let names: std::collections::HashSet<String> = (0..1000).map(|_| unique_name()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.starts_with(&format!("aqueduct-{}-", std::process::id()))));
    }
}

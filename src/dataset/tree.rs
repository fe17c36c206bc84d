//! What is in a file: all groups, datasets and links, from the root or from a group on.
//!
//! Links to paths and to other files are told and not followed. A group that several links lead to is entered once, so that the walk ends in any file.

use std::collections::HashSet;

use super::file::File;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5;
pub use crate::sys::hdf5::Target;

/// Groups within each other that are entered.
const MAX_DEPTH: usize = 256;

/// What a walk finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the file, which begins with a slash.
    pub path: String,
    /// Groups between it and where the walk began.
    pub depth: usize,
    /// What it is.
    pub target: Target,
    /// It is a group whose entries are not told: they were told before, or it is too deep.
    pub cut: bool,
}

impl File {
    /// Calls `each` for all that is in `group` and in the groups in there, each group before what is in it, and names in ascending order. It goes on while
    /// `each` answers true. What cannot be opened is an entry, too.
    ///
    /// # Errors
    /// `NotFound`: there is no such group. `Format`: it is none, or damaged.
    pub fn walk(&self, group: &str, mut each: impl FnMut(Entry) -> bool) -> Result<()> {
        let top = format!("/{}", group.trim_matches('/'));
        let links = |path: &str| {
            let library = hdf5::lock();
            self.library.links(&library, path)
        };
        let (address, first) = links(&top).map_err(|e| {
            let reason = e.to_string();
            let kind = if hdf5::is_missing(&reason) { ErrorKind::NotFound } else { ErrorKind::Format };
            Error::new(kind, format!("group {top} of {}: {reason}", self.path().display()))
        })?;
        let mut seen: HashSet<u64> = address.into_iter().collect();
        // The groups that are being walked through, and what is left of each.
        let mut groups = vec![(top, first.into_iter())];
        while let Some((path, rest)) = groups.last_mut() {
            let Some((name, target)) = rest.next() else {
                groups.pop();
                continue;
            };
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            let depth = groups.len() - 1;
            let mut entry = Entry { path, depth, target, cut: false };
            let mut inside = None;
            if let Target::Group(address) = entry.target {
                let again = address.is_some_and(|address| !seen.insert(address));
                entry.cut = again || depth >= MAX_DEPTH;
                if !entry.cut {
                    match links(&entry.path) {
                        Ok((_, links)) => inside = Some((entry.path.clone(), links.into_iter())),
                        Err(reason) => entry.target = Target::Broken(reason.to_string()),
                    }
                }
            }
            if !each(entry) {
                return Ok(());
            }
            groups.extend(inside);
        }
        Ok(())
    }
}

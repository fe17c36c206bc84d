//! The table of names.
//!
//! Invariant: `bytes` is what all names, params and holders in it come to, and never more than the limit; `owners` counts the names of each owner that
//! has any. The server's thread only.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use serde_json::Value;

use super::protocol::{Code, MOST_PARAMS, Refusal, entry};

/// One publication.
#[derive(Debug)]
struct Published {
    /// The connection that it lives as long as.
    owner: usize,
    /// Who that is, for people.
    holder: String,
    params: String,
}

/// All publications.
#[derive(Debug)]
pub(super) struct Names {
    all: BTreeMap<String, Published>,
    owners: HashMap<usize, usize>,
    bytes: usize,
    most_names: usize,
    most_bytes: usize,
}

fn size(name: &str, published: &Published) -> usize {
    name.len() + published.holder.len() + published.params.len()
}

impl Names {
    pub fn new(most_names: usize, most_bytes: usize) -> Self {
        Self { all: BTreeMap::new(), owners: HashMap::new(), bytes: 0, most_names, most_bytes }
    }

    /// Adds a name. Its owner may do so again, with other params.
    pub fn publish(
        &mut self,
        owner: usize,
        holder: String,
        name: String,
        params: String,
    ) -> Result<(), Refusal> {
        let before = match self.all.get(&name) {
            Some(held) if held.owner != owner => {
                let message = format!("name {name:?} is taken: {} publishes it", held.holder);
                return Err(Refusal::new(Code::Taken, message));
            }
            Some(own) => size(&name, own),
            None if self.all.len() >= self.most_names => {
                let message = format!("the registry holds at most {} names", self.most_names);
                return Err(Refusal::new(Code::Full, message));
            }
            None => 0,
        };
        let published = Published { owner, holder, params };
        let bytes = self.bytes - before + size(&name, &published);
        if bytes > self.most_bytes {
            let message = format!("the registry holds at most {} bytes of params", self.most_bytes);
            return Err(Refusal::new(Code::Full, message));
        }
        self.bytes = bytes;
        if self.all.insert(name, published).is_none() {
            *self.owners.entry(owner).or_default() += 1;
        }
        Ok(())
    }

    /// Removes a name of its owner's.
    pub fn unpublish(&mut self, owner: usize, name: &str) -> Result<(), Refusal> {
        match self.all.get(name) {
            Some(held) if held.owner == owner => {
                self.bytes -= size(name, held);
                self.all.remove(name);
                if let Some(count) = self.owners.get_mut(&owner).filter(|count| **count > 1) {
                    *count -= 1;
                } else {
                    self.owners.remove(&owner);
                }
                Ok(())
            }
            Some(held) => {
                let message = format!("name {name:?} is not yours: {} publishes it", held.holder);
                Err(Refusal::new(Code::Taken, message))
            }
            None => Err(not_found(name)),
        }
    }

    /// Removes all that the owner has.
    pub fn forget(&mut self, owner: usize) {
        if self.owners.remove(&owner).is_none() {
            return;
        }
        let Self { all, bytes, .. } = self;
        all.retain(|name, published| {
            let stays = published.owner != owner;
            if !stays {
                *bytes -= size(name, published);
            }
            stays
        });
    }

    /// A publication, as answers have it.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.all.get(name).map(|found| entry(name, &found.params, &found.holder))
    }

    /// Whether the owner has any.
    pub fn any_of(&self, owner: usize) -> bool {
        self.owners.contains_key(&owner)
    }

    /// Those behind `after`, as many as make a line of a reasonable length, and whether there are more.
    pub fn page(&self, after: &str) -> (Vec<Value>, bool) {
        let mut behind = self.all.range::<str, _>((Bound::Excluded(after), Bound::Unbounded)).peekable();
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while bytes < MOST_PARAMS
            && let Some((name, published)) = behind.next()
        {
            bytes += size(name, published) + ENTRY;
            entries.push(entry(name, &published.params, &published.holder));
        }
        (entries, behind.peek().is_some())
    }
}

/// What an entry takes beside its texts, about.
const ENTRY: usize = 64;

pub(super) fn not_found(name: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("no stream is published as {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(names: &mut Names, owner: usize, name: &str, params: &str) -> Result<(), Refusal> {
        names.publish(owner, format!("host {owner}"), name.into(), params.into())
    }

    #[test]
    fn names_are_unique_and_go_with_their_owner() {
        let mut names = Names::new(10, 1000);
        publish(&mut names, 1, "a", r#"{"x":1}"#).unwrap();
        publish(&mut names, 1, "b", "{}").unwrap();
        let taken = publish(&mut names, 2, "a", "{}").unwrap_err();
        assert_eq!(taken, Refusal::new(Code::Taken, r#"name "a" is taken: host 1 publishes it"#));
        publish(&mut names, 1, "a", r#"{"x":2}"#).unwrap();
        assert_eq!(names.find("a").unwrap()["params"]["x"], 2);
        assert_eq!(names.unpublish(2, "a").unwrap_err().code, Code::Taken);
        assert_eq!(names.unpublish(2, "z").unwrap_err().code, Code::NotFound);
        names.unpublish(1, "a").unwrap();
        assert_eq!(names.find("a"), None);
        publish(&mut names, 2, "a", "{}").unwrap();
        names.forget(1);
        assert!(names.find("a").is_some() && names.find("b").is_none());
        assert!(names.any_of(2) && !names.any_of(1));
        names.forget(2);
        assert_eq!((names.bytes, names.all.len(), names.owners.len()), (0, 0, 0));
        publish(&mut names, 3, "a", "{}").unwrap();
        publish(&mut names, 3, "b", "{}").unwrap();
        names.unpublish(3, "a").unwrap();
        assert!(names.any_of(3));
        names.unpublish(3, "b").unwrap();
        assert!(!names.any_of(3));
    }

    #[test]
    fn bounds() {
        let mut names = Names::new(2, 40);
        publish(&mut names, 1, "a", "{}").unwrap();
        publish(&mut names, 1, "b", "{}").unwrap();
        let full = publish(&mut names, 1, "c", "{}").unwrap_err();
        assert_eq!(full, Refusal::new(Code::Full, "the registry holds at most 2 names"));
        // 9 bytes each: "host 1", the name, "{}".
        assert_eq!(names.bytes, 18);
        let long = format!("{{{}}}", " ".repeat(23));
        assert_eq!(publish(&mut names, 1, "b", &long).unwrap_err().code, Code::Full);
        publish(&mut names, 1, "b", &long[1..]).unwrap();
        assert_eq!(names.bytes, 40);
    }

    #[test]
    fn pages() {
        let mut names = Names::new(100, 10 << 20);
        let params = format!(r#"{{"x":"{}"}}"#, "y".repeat(30_000));
        for i in 0..10 {
            publish(&mut names, 1, &format!("n{i}"), &params).unwrap();
        }
        let (mut after, mut found, mut pages) = (String::new(), Vec::new(), 0);
        loop {
            let (page, more) = names.page(&after);
            assert!(page.len() == 3 || !more);
            found.extend(page.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
            after = found.last().unwrap().clone();
            pages += 1;
            if !more {
                break;
            }
        }
        assert_eq!(pages, 4);
        assert_eq!(found, (0..10).map(|i| format!("n{i}")).collect::<Vec<_>>());
        assert_eq!(names.page("n9"), (vec![], false));
    }
}

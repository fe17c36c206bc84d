//! Object headers: where the B-tree of a chunked dataset begins, which libhdf5 does not tell.
//!
//! Versions 1 and 2 of headers, 1 to 3 of the message that describes the layout; version 4 has other indexes than the B-tree. Pure functions over a
//! way to read; nothing of the file is trusted.

use super::Bytes;

/// Blocks of messages that a header may have.
const MAX_BLOCKS: usize = 64;
/// Bytes that a block may have.
const MAX_BLOCK: u64 = 1 << 20;

const LAYOUT: u16 = 0x08;
const CONTINUATION: u16 = 0x10;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What the messages of a header look like.
#[derive(Clone, Copy)]
struct Form {
    second: bool,
    /// Bytes before the content of a message.
    head: usize,
}

/// Where the chunks of a dataset are indexed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A B-tree of version 1, at this address; `None`: no chunk was ever written.
    Tree(Option<u64>),
    /// Something else.
    Other,
}

/// Finds the index of the chunked dataset whose header is at `address`. `None` if the header does not tell.
pub fn chunk_index(file: &dyn Bytes, address: u64) -> Option<Root> {
    let start = file.read(address, 64)?;
    let (form, mut blocks) =
        if start.starts_with(b"OHDR") { second(&start, address)? } else { first(&start, address)? };
    let mut next = 0;
    while let Some(&(address, size)) = blocks.get(next) {
        next += 1;
        if size > MAX_BLOCK {
            return None;
        }
        let block = file.read(address, size as usize)?;
        let mut at = 0;
        while let Some((kind, size)) = message(form, &block, at) {
            let content = block.get(at + form.head..)?.get(..size)?;
            match kind {
                LAYOUT => return layout(content),
                CONTINUATION if blocks.len() < MAX_BLOCKS => {
                    let (address, size) = (u64_at(content, 0)?, u64_at(content, 8)?);
                    // In the second version a block has a signature before its messages, and a checksum behind them.
                    blocks.push(match form.second {
                        true => (address.checked_add(4)?, size.checked_sub(8)?),
                        false => (address, size),
                    });
                }
                CONTINUATION => return None,
                _ => {}
            }
            at += form.head + size;
        }
    }
    None
}

/// Kind and size of the message at `at`.
fn message(form: Form, block: &[u8], at: usize) -> Option<(u16, usize)> {
    if form.second {
        Some((u16::from(*block.get(at)?), usize::from(u16_at(block, at + 1)?)))
    } else {
        Some((u16_at(block, at)?, usize::from(u16_at(block, at + 2)?)))
    }
}

type Blocks = Vec<(u64, u64)>;

fn first(start: &[u8], address: u64) -> Option<(Form, Blocks)> {
    if start.first() != Some(&1) {
        return None;
    }
    let size = u64::from(u32_at(start, 8)?);
    Some((Form { second: false, head: 8 }, vec![(address.checked_add(16)?, size)]))
}

fn second(start: &[u8], address: u64) -> Option<(Form, Blocks)> {
    let flags = *start.get(5)?;
    if start.get(4) != Some(&2) {
        return None;
    }
    let mut at = 6;
    at += if flags & 0x20 != 0 { 16 } else { 0 };
    at += if flags & 0x10 != 0 { 4 } else { 0 };
    let size = match flags & 3 {
        0 => u64::from(*start.get(at)?),
        1 => u64::from(u16_at(start, at)?),
        2 => u64::from(u32_at(start, at)?),
        _ => u64_at(start, at)?,
    };
    at += 1 << (flags & 3);
    let head = if flags & 4 != 0 { 6 } else { 4 };
    Some((Form { second: true, head }, vec![(address.checked_add(at as u64)?, size)]))
}

fn layout(content: &[u8]) -> Option<Root> {
    const CHUNKED: u8 = 2;
    let (class, at) = match content.first()? {
        1 | 2 => (*content.get(2)?, 8),
        3 => (*content.get(1)?, 3),
        _ => return Some(Root::Other),
    };
    if class != CHUNKED {
        return Some(Root::Other);
    }
    let address = u64_at(content, at)?;
    Some(Root::Tree((address != u64::MAX).then_some(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u8>);

    impl Bytes for Memory {
        fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
            let from = self.0.get(usize::try_from(address).ok()?..)?;
            Some(from[..size.min(from.len())].to_vec())
        }
    }

    fn first_message(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(content.len() as u16).to_le_bytes(), &[0; 4], content].concat()
    }

    fn chunked(address: u64) -> Vec<u8> {
        [&[3, 2, 2][..], &address.to_le_bytes(), &[0; 8]].concat()
    }

    #[test]
    fn the_layout_is_found_in_a_continuation_of_the_first_version() {
        let continuation = [64u64.to_le_bytes(), 27u64.to_le_bytes()].concat();
        let messages = [first_message(1, &[0; 8]), first_message(CONTINUATION, &continuation)].concat();
        let mut file = vec![1, 0, 3, 0, 1, 0, 0, 0];
        file.extend((messages.len() as u32).to_le_bytes());
        file.extend([0; 4]);
        file.extend(messages);
        file.resize(64, 0);
        file.extend(first_message(LAYOUT, &chunked(4711)));
        assert_eq!(chunk_index(&Memory(file.clone()), 0), Some(Root::Tree(Some(4711))));
        for cut in 0..file.len() {
            // Never a panic, and never an address that is not there.
            let found = chunk_index(&Memory(file[..cut].to_vec()), 0);
            assert!(matches!(found, None | Some(Root::Tree(Some(4711)))), "{cut}: {found:?}");
        }
    }

    #[test]
    fn the_layout_is_found_in_the_second_version() {
        let content = chunked(u64::MAX);
        let mut file = b"OHDR\x02\x24".to_vec();
        file.extend([0; 16]);
        file.push((content.len() + 6) as u8);
        file.push(LAYOUT as u8);
        file.extend((content.len() as u16).to_le_bytes());
        file.extend([0; 3]);
        file.extend(content);
        assert_eq!(chunk_index(&Memory(file.clone()), 0), Some(Root::Tree(None)));
        file[29] = 4;
        assert_eq!(chunk_index(&Memory(file), 0), Some(Root::Other));
    }

    #[test]
    fn headers_that_continue_in_themselves_end() {
        let continuation = [16u64.to_le_bytes(), 24u64.to_le_bytes()].concat();
        let mut file = vec![1, 0, 1, 0, 1, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0];
        file.extend(first_message(CONTINUATION, &continuation));
        assert_eq!(chunk_index(&Memory(file), 0), None);
    }
}

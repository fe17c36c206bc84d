//! A history that other processes look at: a ring in shared memory, handed out as that of the shm transport is (docs/shm-layout.md, section 5).
//!
//! Who shares it appends, any number look, read-only. Nothing has a name in a file system; the end of a connection tells each side that the other is gone.
//! What was shared stays readable for those who have it open. Invariant: whatever the other process stores, no address outside the mapping is used.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::geometry::Geometry;
use super::{HistoryConfig, MOST_BLOCKS, Waited, Words, no_memory};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::deadline::Deadline;
use crate::signal::numpy::{dtype_from_json, dtype_to_json};
use crate::signal::transport::shm::{Offer, Page, SLEEPS, Server};
use crate::sys::memfd::{self, MemFd, page_size};
use crate::sys::mirror::Mirror;
use crate::sys::{futex, poll};
use std::os::fd::AsFd;

const MAGIC: [u8; 8] = *b"AQSHHIST";
const VERSION: u32 = 1;
/// Where numbers are in the header.
const AT_VERSION: usize = 8;
const AT_PID: usize = 12;
const AT_DATA: usize = 16;
const AT_LENGTH: usize = 24;
const AT_WORDS: usize = 128;
const AT_TEXT: usize = 256;
/// Bytes of the text that describes it, at the most.
const MOST_TEXT: usize = 1 << 20;
/// Who may look at the same time, at the most.
const MOST_READERS: usize = 1024;
/// How often one who waits looks whether the other lives.
const SLICE: Duration = Duration::from_millis(100);

/// What makes a history shared.
pub(super) struct Shared {
    name: String,
    header: memfd::Shared,
    role: Role,
}

enum Role {
    /// This process appends.
    Owner(Server),
    /// Another does.
    Reader(Reader),
}

struct Reader {
    page: Page,
    offer: Offer,
    /// Threads of this process that wait: the word to sleep on is one for all.
    sleepers: AtomicU64,
}

impl Shared {
    /// New memory for a history, and the thread that hands it out.
    pub fn create(config: &HistoryConfig, geometry: &Geometry) -> Result<(Self, Mirror)> {
        let blocks = geometry.blocks;
        if blocks > MOST_BLOCKS {
            let rule = format!("must have axes of at most {MOST_BLOCKS} elements before that of time");
            let reason = format!("axisorder of a shared history {rule} (got {blocks})");
            return Err(Error::new(ErrorKind::Unsupported, reason));
        }
        let text = describe(config);
        let data = (AT_TEXT + text.len()).next_multiple_of(page_size());
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::OutOfMemory | std::io::ErrorKind::StorageFull => no_memory(config.frames, &e),
            _ => Error::io(format_args!("making a shared history of {} frames", config.frames), &e),
        };
        if text.len() > MOST_TEXT {
            return Err(Error::invalid(format!(
                "dtype of a shared history must be shorter (got {} bytes)",
                text.len()
            )));
        }
        let size = data.checked_add(geometry.size()).filter(|&size| size <= isize::MAX as usize);
        let size = size.ok_or_else(|| Error::new(ErrorKind::NoMemory, "a shared history is too large"))?;
        let memory = MemFd::new(c"aqueduct-history", size).map_err(failed)?;
        let header = memfd::Shared::new(&memory, data, 0, true).map_err(failed)?;
        let block = geometry.lap * geometry.step;
        let mirror = Mirror::map(memory.as_fd(), data, block, blocks, true).map_err(failed)?;
        let at = |offset: usize| header.start().as_ptr().wrapping_add(offset);
        let number = |offset: usize, bytes: &[u8]| {
            // SAFETY: within the header, which is mapped writable and known to nobody else yet.
            unsafe { at(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        };
        number(0, &MAGIC);
        number(AT_VERSION, &VERSION.to_ne_bytes());
        number(AT_PID, &std::process::id().to_ne_bytes());
        number(AT_DATA, &(data as u64).to_ne_bytes());
        number(AT_LENGTH, &(text.len() as u64).to_ne_bytes());
        number(AT_TEXT, text.as_bytes());
        if !memory.seal_writing() {
            log::debug!("shared history: this kernel cannot keep others from mapping it writable");
        }
        let server = Server::start(memory, MOST_READERS)?;
        let name = server.name.clone();
        Ok((Self { name, header, role: Role::Owner(server) }, mirror))
    }

    /// The memory of another process's history, read-only.
    pub fn open(name: &str) -> Result<(HistoryConfig, Geometry, Self, Mirror)> {
        let context = |e: Error| Error::new(e.kind(), format!("shared history {name:?}: {}", e.message()));
        Self::map(name).map_err(context)
    }

    fn map(name: &str) -> Result<(HistoryConfig, Geometry, Self, Mirror)> {
        let mut offer = Offer::fetch(name)?;
        let (memory, page) = offer.take(AT_TEXT)?;
        let format = |reason: String| Error::new(ErrorKind::Format, reason);
        let fixed =
            memory.read_start::<AT_TEXT>().map_err(|e| Error::io("reading a shared history's header", &e))?;
        if fixed[..8] != MAGIC {
            return Err(format("it is no history, but something else that is shared".to_owned()));
        }
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| fixed[at + i]));
        let long = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| fixed[at + i]));
        if word(AT_VERSION) != VERSION {
            let reason = format!("its layout must be version {VERSION} (got {})", word(AT_VERSION));
            return Err(Error::new(ErrorKind::Version, reason));
        }
        let (data, length) = (long(AT_DATA), long(AT_LENGTH));
        let size = memory.size().map_err(|e| Error::io("asking for a shared history's size", &e))?;
        let fits = length <= MOST_TEXT as u64
            && data.is_multiple_of(page_size() as u64)
            && data <= size
            && AT_TEXT as u64 + length <= data;
        if !fits {
            return Err(format(format!(
                "its header cannot be: {length} bytes of text before byte {data} of {size}"
            )));
        }
        let (data, length) = (data as usize, length as usize);
        let mapping =
            |e: std::io::Error| Error::io(format_args!("mapping a shared history of {size} bytes"), &e);
        let header = memfd::Shared::new(&memory, data, 0, false).map_err(mapping)?;
        let mut text = vec![0; length];
        // SAFETY: within the header, as was just checked.
        unsafe {
            let from = header.start().add(AT_TEXT).as_ptr();
            text.as_mut_ptr().copy_from_nonoverlapping(from, length);
        }
        let config = parse(&text)?;
        let geometry = Geometry::new(&config)?;
        if geometry.blocks > MOST_BLOCKS || (size - data as u64) < geometry.size() as u64 {
            let (needed, found) = (geometry.size(), size - data as u64);
            return Err(format(format!("its frames must have {needed} bytes (got {found})")));
        }
        let block = geometry.lap * geometry.step;
        let mirror = Mirror::map(memory.as_fd(), data, block, geometry.blocks, false).map_err(mapping)?;
        let page = Page::new(&page).map_err(mapping)?;
        let role = Role::Reader(Reader { page, offer, sleepers: AtomicU64::new(0) });
        Ok((config, geometry, Self { name: name.to_owned(), header, role }, mirror))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn words(&self) -> &Words {
        // SAFETY: within the header, aligned, and used as atomics only; where the mapping is read-only, they are only loaded.
        unsafe { self.header.start().add(AT_WORDS).cast::<Words>().as_ref() }
    }

    pub fn is_of_another(&self) -> bool {
        matches!(self.role, Role::Reader(_))
    }

    /// Wakes those who wait for frames. `read_index` was stored with SeqCst.
    pub fn wake(&self) {
        if let Role::Owner(server) = &self.role {
            for member in server.door.members.lock().iter() {
                member.wake();
            }
        }
    }

    /// Whether who appends is gone.
    pub fn has_ended(&self) -> bool {
        let Role::Reader(reader) = &self.role else { return false };
        // Acquire, for the store at the end: all frames are seen. And the other sends nothing: what can be read is its end.
        self.words().closed.load(Ordering::Acquire) != 0 || poll::is_readable(reader.offer.connection.as_fd())
    }

    /// Waits until the index is `index` or more.
    pub fn wait(&self, index: i64, deadline: Deadline) -> Waited {
        let Role::Reader(reader) = &self.role else { return Waited::Ended };
        let read_index = &self.words().read_index;
        loop {
            // Before the look: what it appended before its end is there.
            let ended = self.has_ended();
            if read_index.load(Ordering::Acquire) >= index {
                return Waited::There;
            }
            if ended {
                return Waited::Ended;
            }
            let left = match deadline.left() {
                Wait::No => return Waited::TimedOut,
                Wait::For(left) => left.min(SLICE),
                Wait::Forever => SLICE,
            };
            reader.sleep(left, || read_index.load(Ordering::SeqCst) >= index);
        }
    }
}

impl Reader {
    /// Sleeps until there is news, or not longer than `most`.
    fn sleep(&self, most: Duration, has_news: impl Fn() -> bool) {
        let want: &AtomicU32 = self.page.want();
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        // SeqCst, and the load in `has_news`: see `Page::want`.
        let bits = want.fetch_or(SLEEPS, Ordering::SeqCst) | SLEEPS;
        if !has_news() {
            futex::wait(want, bits, most);
        }
        // The last one: others still want to be woken.
        if self.sleepers.fetch_sub(1, Ordering::Relaxed) == 1 {
            want.fetch_and(!SLEEPS, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Role::Owner(server) = &self.role {
            // SeqCst: see `Page::want`.
            self.words().closed.swap(1, Ordering::SeqCst);
            for member in server.door.members.lock().iter() {
                member.wake_for_good();
            }
        }
    }
}

/// What a history keeps, as JSON.
fn describe(config: &HistoryConfig) -> String {
    json!({
        "dtype": dtype_to_json(&config.dtype),
        "frame_shape": config.frame_shape,
        "frames": config.frames,
        "axisorder": config.axisorder,
        "fill": config.fill,
    })
    .to_string()
}

fn parse(text: &[u8]) -> Result<HistoryConfig> {
    let wrong = |what: String| Error::new(ErrorKind::Format, format!("its description: {what}"));
    let all: serde_json::Value = serde_json::from_slice(text).map_err(|e| wrong(e.to_string()))?;
    let number = |value: &serde_json::Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let numbers = |name: &str| {
        let list = all[name].as_array().filter(|list| list.len() <= crate::signal::array::MAX_AXES);
        list.and_then(|list| list.iter().map(number).collect::<Option<Vec<usize>>>())
            .ok_or_else(|| wrong(format!("{name} must be a list of numbers")))
    };
    Ok(HistoryConfig {
        dtype: dtype_from_json(&all["dtype"])?,
        frame_shape: numbers("frame_shape")?,
        frames: number(&all["frames"]).ok_or_else(|| wrong("frames must be a number".to_owned()))?,
        axisorder: if all["axisorder"].is_null() { None } else { Some(numbers("axisorder")?) },
        fill: all["fill"].as_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{append, config, read, value};
    use super::super::{History, Waited};
    use super::*;
    use crate::signal::transport::shm::{ShmConfig, ShmPublisher};
    use proptest::prelude::*;
    use std::time::Duration;

    const GUARD: Wait = Wait::For(Duration::from_secs(60));

    #[test]
    fn another_looks_at_the_same_frames() {
        for order in [None, Some(&[1, 0][..])] {
            let history = History::share(&config("u1", &[3], 10, order)).unwrap();
            let other = History::open(history.name().unwrap()).unwrap();
            assert_eq!((other.config(), other.index()), (history.config(), 0));
            append(&history, 3, 4, None).unwrap();
            append(&history, 3, 5, Some(20)).unwrap();
            assert_eq!((other.index(), other.first_index()), (20, 10));
            assert_eq!(read(&other, 3, 10, 20).unwrap(), read(&history, 3, 10, 20).unwrap());
            assert_eq!(read(&other, 3, 19, 20).unwrap(), [value(19, 0), value(19, 1), value(19, 2)]);
            let window = other.window(15, 20).unwrap();
            assert!(other.holds(window.stamp));
            history.reset();
            assert!(!other.holds(window.stamp));
            let refused = append(&other, 3, 1, None).unwrap_err();
            assert!(refused.message().contains("another process's"), "{refused}");
            assert!(other.is_live());
            append(&history, 3, 2, None).unwrap();
            drop(history);
            // What was shared stays.
            assert!(!other.is_live());
            assert_eq!(read(&other, 3, 1, 2).unwrap(), [value(1, 0), value(1, 1), value(1, 2)]);
            assert_eq!((other.wait(2, GUARD), other.wait(3, GUARD)), (Waited::There, Waited::Ended));
            let gone = History::open(other.name().unwrap()).err().unwrap();
            assert_eq!(gone.kind(), ErrorKind::NotFound);
        }
    }

    #[test]
    fn waits_end_with_frames_or_their_owner() {
        let history = History::share(&config("u1", &[1], 100, None)).unwrap();
        let other = History::open(history.name().unwrap()).unwrap();
        assert_eq!(other.wait(1, Wait::No), Waited::TimedOut);
        std::thread::scope(|scope| {
            let (here, there) = (&history, &other);
            let both = [here, there].map(|history| {
                scope.spawn(move || (1..=200).map(|index| history.wait(index, GUARD)).collect::<Vec<_>>())
            });
            for _ in 0..200 {
                append(&history, 1, 1, None).unwrap();
            }
            for waited in both {
                assert_eq!(waited.join().unwrap(), [Waited::There; 200]);
            }
        });
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| other.wait(1000, GUARD));
            drop(history);
            assert_eq!(waiting.join().unwrap(), Waited::Ended);
        });
    }

    #[test]
    fn what_is_no_history_is_refused() {
        let output = ShmPublisher::new(&ShmConfig::default()).unwrap();
        let error = History::open(output.name()).err().unwrap();
        assert!(error.message().contains("it is no history"), "{error}");
        assert_eq!(History::open("").err().unwrap().kind(), ErrorKind::Invalid);
        let many = History::share(&config("u1", &[2000], 3, Some(&[1, 0]))).err().unwrap();
        assert_eq!(many.kind(), ErrorKind::Unsupported);
        for text in ["", "{}", r#"{"dtype": "<f4", "frame_shape": [-1], "frames": 1}"#, "[]"] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().kind(), ErrorKind::Format, "{text}");
        }
    }

    /// Stores bytes at the beginning of what a history shares, as another version or one with a fault might.
    fn spoil(history: &History, at: usize, bytes: &[u8]) {
        let header = &history.shared.as_ref().unwrap().header;
        assert!(at + bytes.len() <= header.len());
        // SAFETY: within the header, which the owner has mapped writable; whoever looks at it meanwhile expects anything.
        unsafe { header.start().add(at).as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    #[test]
    fn headers_that_are_wrong_say_what() {
        let page = page_size() as u64;
        let text = describe(&config("u1", &[3], 10_000, None));
        let frames = AT_TEXT + text.find("10000").unwrap();
        for (at, bytes, kind, what) in [
            (0, &b"PK"[..], ErrorKind::Format, "it is no history"),
            (AT_VERSION, &2u32.to_ne_bytes(), ErrorKind::Version, "must be version 1 (got 2)"),
            (AT_DATA, &4097u64.to_ne_bytes(), ErrorKind::Format, "before byte 4097 of"),
            (AT_DATA, &(1u64 << 40).to_ne_bytes(), ErrorKind::Format, "its header cannot be"),
            (AT_DATA, &0u64.wrapping_sub(page).to_ne_bytes(), ErrorKind::Format, "its header cannot be"),
            (AT_DATA, &0u64.to_ne_bytes(), ErrorKind::Format, "its header cannot be"),
            (AT_LENGTH, &u64::MAX.to_ne_bytes(), ErrorKind::Format, "its header cannot be"),
            (AT_LENGTH, &page.to_ne_bytes(), ErrorKind::Format, "its header cannot be"),
            (AT_LENGTH, &0u64.to_ne_bytes(), ErrorKind::Format, "its description"),
            (AT_TEXT, b"[", ErrorKind::Format, "its description"),
            // As many frames as the memory does not have.
            (frames, b"99999", ErrorKind::Format, "its frames must have"),
        ] {
            let history = History::share(&config("u1", &[3], 10_000, None)).unwrap();
            spoil(&history, at, bytes);
            let error = History::open(history.name().unwrap()).err().unwrap();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().starts_with("shared history \"aqueduct-"), "{error}");
            assert!(error.message().contains(what), "{error}");
        }
    }

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20_000i64..20_000,
            any::<i64>(),
            (0u32..64).prop_map(|bit| 1 << bit),
            (0i64..20).prop_map(|n| i64::MAX - n),
            (0i64..20).prop_map(|n| i64::MIN + n),
        ]
    }

    proptest! {
        /// Whatever its owner stores there: a reader stays within the memory, and does not hang.
        #[test]
        fn words_that_cannot_be(
            words in prop::collection::vec(number(), 4),
            asked in prop::collection::vec((number(), number(), number()), 1..8),
        ) {
            let history = History::share(&config("u1", &[3], 10_000, None)).unwrap();
            let other = History::open(history.name().unwrap()).unwrap();
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).take(28).collect();
            spoil(&history, AT_WORDS, &bytes);
            let geometry = Geometry::new(other.config()).unwrap();
            for (start, stop, step) in asked {
                let windows = [
                    other.window(start, stop),
                    other.latest((start & 0x7fff) as usize),
                    other.slice(Some(start), Some(stop), step),
                    other.slice(None, None, step),
                    other.window(words[0].saturating_sub(start & 0x3fff), words[0]),
                ];
                for window in windows.into_iter().flatten() {
                    let extent = window.layout.extent();
                    prop_assert!(extent.end <= 2 * geometry.size(), "{extent:?}");
                    let mut copy = vec![0; window.layout.size()];
                    let copied = other.copy_window(&window, &mut copy);
                    prop_assert_eq!(copied.is_ok(), other.holds(window.stamp));
                }
                other.wait(start, Wait::No);
            }
        }
    }
}

//! The system's libhdf5: opens files, tells where datasets lie and what they are made of, and reads what we do not read ourselves.
//!
//! Its declarations are our own (docs/dependencies.md says why). Invariant: every call is made by a thread that holds [`Library`], which is one lock
//! for the process, so that a libhdf5 that is not thread-safe serves us as well. It cannot keep code of the host program from calling such a
//! libhdf5 at the same time; that is the host's to do. While the lock is held, libhdf5 prints no errors of ours: they are values.

mod attribute;
mod kind;
mod raw;
mod tree;
mod write;

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::io;
use std::mem::transmute;
use std::ptr::{null, null_mut};

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

pub use attribute::Attribute;
pub use kind::Kind;
use raw::Id;
pub use write::{NewDataset, NewFile};

pub use super::hdf5_words::{Class, Extent, Filter, Layout, Links, Target};

static LOCK: ReentrantMutex<()> = ReentrantMutex::new(());

/// The default of all lists, and of the stack of errors.
const DEFAULT: Id = 0;
/// What an address that is none looks like.
const NO_ADDRESS: u64 = u64::MAX;

/// The right to call libhdf5; one thread has it at a time, as often as it likes.
pub struct Library {
    auto: raw::Auto,
    auto_data: *mut c_void,
    _guard: ReentrantMutexGuard<'static, ()>,
}

/// Waits for the right to call libhdf5.
pub fn lock() -> Library {
    let guard = LOCK.lock();
    let mut library = Library { auto: None, auto_data: null_mut(), _guard: guard };
    // SAFETY: the lock is held; the pointers are to fields of the right type. What was set is put back at the end.
    unsafe {
        raw::H5open();
        raw::H5Eget_auto2(DEFAULT, &mut library.auto, &mut library.auto_data);
        raw::H5Eset_auto2(DEFAULT, None, null_mut());
    }
    library
}

impl Drop for Library {
    fn drop(&mut self) {
        // A thread that ends with errors on its stack leaves what libhdf5 cannot clean up when the process ends, and it says so on stderr.
        // SAFETY: the lock is held until after this; the values are those that libhdf5 gave.
        unsafe {
            raw::H5Eset_auto2(DEFAULT, self.auto, self.auto_data);
            raw::H5Eclear2(DEFAULT);
        }
    }
}

impl Library {
    /// Major, minor, release.
    pub fn version(&self) -> (u32, u32, u32) {
        let (mut major, mut minor, mut release) = (0, 0, 0);
        // SAFETY: the lock is held; the pointers are to numbers.
        unsafe { raw::H5get_libversion(&mut major, &mut minor, &mut release) };
        (major, minor, release)
    }
}

/// The deepest reason on libhdf5's stack of errors.
fn error() -> io::Error {
    unsafe extern "C" fn first(_: c_uint, entry: *const raw::ErrorEntry, text: *mut c_void) -> c_int {
        // SAFETY: libhdf5 passes an entry that is alive, and the pointer that `error` gave it.
        let (entry, text) = unsafe { (&*entry, &mut *text.cast::<String>()) };
        if text.is_empty() && !entry.description.is_null() {
            // SAFETY: descriptions are C strings.
            *text = unsafe { CStr::from_ptr(entry.description) }.to_string_lossy().into_owned();
        }
        0
    }
    let mut text = String::new();
    // SAFETY: callers hold the lock; the walk is over before `text` ends. 0: from the deepest entry on.
    unsafe { raw::H5Ewalk2(DEFAULT, 0, first, (&raw mut text).cast()) };
    io::Error::other(if text.is_empty() { "libhdf5 gives no reason".to_owned() } else { text })
}

/// Whether a reason of libhdf5 is that there is no object of that name.
pub fn is_missing(reason: &str) -> bool {
    ["doesn't exist", "not found"].iter().any(|words| reason.contains(words))
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(error()) } else { Ok(result) }
}

/// An open object, closed when dropped.
#[derive(Debug)]
struct Handle(Id);

impl Handle {
    fn new(id: Id) -> io::Result<Self> {
        if id < 0 { Err(error()) } else { Ok(Self(id)) }
    }

    /// The address of the object's header, from the superblock, where the library tells it.
    fn header(&self, _library: &Library) -> Option<u64> {
        let function = raw::optional(c"H5Oget_info2")?;
        // 160 bytes in all versions.
        let mut info = [0u64; 64];
        const BASIC: c_uint = 1;
        // SAFETY: the lock is held; the function has this type in all versions; the memory is larger than its struct.
        let result = unsafe {
            let object_info = transmute::<*mut c_void, raw::ObjectInfo>(function);
            object_info(self.0, info.as_mut_ptr().cast(), BASIC)
        };
        (result >= 0).then_some(info[1])
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _library = lock();
        // SAFETY: the lock is held, and the id is ours.
        unsafe { raw::H5Idec_ref(self.0) };
    }
}

fn c_text(text: &[u8]) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::other("a name must not contain a zero byte"))
}

/// An open file, to read.
#[derive(Debug)]
pub struct File {
    handle: Handle,
}

impl File {
    /// Opens a file without locking it, where libhdf5 lets us choose: a program that writes it is not disturbed.
    pub fn open(_library: &Library, path: &[u8]) -> io::Result<Self> {
        let path = c_text(path)?;
        // SAFETY: the lock is held, the class is set by H5open, the path is a C string.
        unsafe {
            let access = Handle::new(raw::H5Pcreate(raw::H5P_CLS_FILE_ACCESS_ID_g))?;
            if let Some(function) = raw::optional(c"H5Pset_file_locking") {
                let set_locking = transmute::<*mut c_void, raw::SetFileLocking>(function);
                check(set_locking(access.0, false, true))?;
            }
            // A file that is written so that it can be read meanwhile (SWMR) must be opened in this way, and others cannot be.
            const SWMR_READ: c_uint = 0x40;
            let open = |access| {
                Handle::new(raw::H5Fopen(path.as_ptr(), 0, access)).or_else(|reason| {
                    Handle::new(raw::H5Fopen(path.as_ptr(), SWMR_READ, access)).map_err(|_| reason)
                })
            };
            // What has it open in this process decided on locks already: no other is taken.
            let handle = open(access.0).or_else(|reason| match reason.to_string() {
                text if text.contains("file locking flag") => open(DEFAULT),
                _ => Err(reason),
            });
            Ok(Self { handle: handle? })
        }
    }

    /// Where the superblock is: addresses count from there.
    pub fn base(&self, _library: &Library) -> io::Result<u64> {
        let mut size = 0;
        // SAFETY: the lock is held; the pointer is to a number.
        unsafe {
            let plist = Handle::new(raw::H5Fget_create_plist(self.handle.0))?;
            check(raw::H5Pget_userblock(plist.0, &mut size))?;
        }
        Ok(size)
    }

    /// Bytes of an address and of a size in this file.
    pub fn widths(&self, _library: &Library) -> io::Result<(usize, usize)> {
        let (mut address, mut size) = (0, 0);
        // SAFETY: the lock is held; the pointers are to numbers.
        unsafe {
            let plist = Handle::new(raw::H5Fget_create_plist(self.handle.0))?;
            check(raw::H5Pget_sizes(plist.0, &mut address, &mut size))?;
        }
        Ok((address, size))
    }

    /// Opens a dataset.
    pub fn dataset(&self, _library: &Library, path: &str) -> io::Result<Dataset> {
        let path = c_text(path.as_bytes())?;
        // SAFETY: the lock is held; the path is a C string.
        let handle = Handle::new(unsafe { raw::H5Dopen2(self.handle.0, path.as_ptr(), DEFAULT) })?;
        // SAFETY: the lock is held.
        let plist = Handle::new(unsafe { raw::H5Dget_create_plist(handle.0) })?;
        Ok(Dataset { handle, plist })
    }
}

/// The sizes of a space; `None` for a null space.
fn extent(space: &Handle) -> io::Result<Option<Extent>> {
    // SAFETY: callers hold the lock; the vectors are as long as the rank.
    unsafe {
        const NULL: c_int = 2;
        if check(raw::H5Sget_simple_extent_type(space.0))? == NULL {
            return Ok(None);
        }
        let rank = check(raw::H5Sget_simple_extent_ndims(space.0))? as usize;
        let (mut sizes, mut most) = (vec![0; rank], vec![0; rank]);
        check(raw::H5Sget_simple_extent_dims(space.0, sizes.as_mut_ptr(), most.as_mut_ptr()))?;
        Ok(Some((sizes, most)))
    }
}

/// The space of a dataset with `count` elements from `start` on selected, along each axis, and that of memory of `size` bytes that has them in the form of `kind`.
/// Callers hold the lock.
fn spaces(
    dataset: &Handle,
    kind: &Kind,
    start: &[u64],
    count: &[u64],
    size: usize,
) -> io::Result<(Handle, Handle)> {
    let elements = count.iter().try_fold(kind.size() as u64, |all, &n| all.checked_mul(n));
    if elements != Some(size as u64) || start.len() != count.len() {
        return Err(io::Error::other("the memory has another size than the selection"));
    }
    // SAFETY: callers hold the lock; the arrays are as long as the rank.
    unsafe {
        let space = Handle::new(raw::H5Dget_space(dataset.0))?;
        if raw::H5Sget_simple_extent_ndims(space.0) as usize != start.len() {
            return Err(io::Error::other("the dataset has another rank"));
        }
        check(raw::H5Sselect_hyperslab(space.0, 0, start.as_ptr(), null(), count.as_ptr(), null()))?;
        let memory = Handle::new(raw::H5Screate_simple(count.len() as c_int, count.as_ptr(), null()))?;
        Ok((space, memory))
    }
}

/// An open dataset.
#[derive(Debug)]
pub struct Dataset {
    handle: Handle,
    plist: Handle,
}

impl Dataset {
    /// Forgets what is known of it, so that what another process has written since is found. Nothing is done by a library without this function.
    pub fn refresh(&self, _library: &Library) -> io::Result<()> {
        let Some(function) = raw::optional(c"H5Drefresh") else { return Ok(()) };
        // SAFETY: the lock is held; the function has this type since 1.10.
        check(unsafe { transmute::<*mut c_void, raw::Refresh>(function)(self.handle.0) })?;
        Ok(())
    }

    /// Its sizes; `None` for one without elements by type (a null space).
    pub fn extent(&self, _library: &Library) -> io::Result<Option<Extent>> {
        // SAFETY: the lock is held.
        extent(&Handle::new(unsafe { raw::H5Dget_space(self.handle.0) })?)
    }

    /// The type of its elements, in the file.
    pub fn kind(&self, _library: &Library) -> io::Result<Kind> {
        // SAFETY: the lock is held.
        Kind::new(unsafe { raw::H5Dget_type(self.handle.0) })
    }

    /// How it lies in the file.
    pub fn layout(&self, _library: &Library) -> io::Result<Layout> {
        // SAFETY: the lock is held.
        Ok(match check(unsafe { raw::H5Pget_layout(self.plist.0) })? {
            0 => Layout::Compact,
            1 => Layout::Contiguous,
            2 => Layout::Chunked,
            _ => Layout::Virtual,
        })
    }

    /// Whether its bytes are in other files.
    pub fn is_external(&self, _library: &Library) -> io::Result<bool> {
        // SAFETY: the lock is held.
        Ok(check(unsafe { raw::H5Pget_external_count(self.plist.0) })? > 0)
    }

    /// The address of its bytes, if it is contiguous and has any, from the start of the file.
    pub fn offset(&self, _library: &Library) -> Option<u64> {
        // SAFETY: the lock is held.
        Some(unsafe { raw::H5Dget_offset(self.handle.0) }).filter(|&offset| offset != NO_ADDRESS)
    }

    /// The sizes of a chunk.
    pub fn chunk_shape(&self, _library: &Library, rank: usize) -> io::Result<Vec<u64>> {
        let mut sizes = vec![0; rank];
        // SAFETY: the lock is held; the vector is as long as told.
        let found = check(unsafe { raw::H5Pget_chunk(self.plist.0, rank as c_int, sizes.as_mut_ptr()) })?;
        if found as usize == rank { Ok(sizes) } else { Err(io::Error::other("chunks of another rank")) }
    }

    /// Whether chunks that reach beyond the edge are packed as the others.
    pub fn filters_edges(&self, _library: &Library) -> io::Result<bool> {
        let mut options = 0;
        // SAFETY: the lock is held; the pointer is to a number.
        check(unsafe { raw::H5Pget_chunk_opts(self.plist.0, &mut options) })?;
        const DONT_FILTER_PARTIAL: c_uint = 2;
        Ok(options & DONT_FILTER_PARTIAL == 0)
    }

    /// How chunks are packed: the first filter is the first that packed.
    pub fn filters(&self, _library: &Library) -> io::Result<Vec<Filter>> {
        // SAFETY: the lock is held.
        let count = check(unsafe { raw::H5Pget_nfilters(self.plist.0) })?;
        (0..count as c_uint).map(|index| self.filter(index)).collect()
    }

    fn filter(&self, index: c_uint) -> io::Result<Filter> {
        let (mut flags, mut config) = (0, 0);
        let (mut values, mut name) = (vec![0; 64], [0; 64]);
        let mut count = values.len();
        // SAFETY: callers hold the lock; the memory is as large as told.
        let id = check(unsafe {
            let (to, name) = (values.as_mut_ptr(), name.as_mut_ptr());
            raw::H5Pget_filter2(self.plist.0, index, &mut flags, &mut count, to, 63, name, &mut config)
        })?;
        // It tells how many there are, not how many it gave.
        values.truncate(count);
        let name = name.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect::<Vec<_>>();
        Ok(Filter { id, name: String::from_utf8_lossy(&name).into_owned(), values })
    }

    /// What elements hold that were never written, in the form of `kind`; `None`: anything.
    pub fn fill(&self, _library: &Library, kind: &Kind) -> io::Result<Option<Vec<u8>>> {
        let mut status = 0;
        let mut value = vec![0; kind.size()];
        // SAFETY: the lock is held; `value` has as many bytes as an element.
        unsafe {
            check(raw::H5Pfill_value_defined(self.plist.0, &mut status))?;
            const UNDEFINED: c_int = 0;
            if status == UNDEFINED {
                return Ok(None);
            }
            check(raw::H5Pget_fill_value(self.plist.0, kind.id(), value.as_mut_ptr().cast()))?;
        }
        Ok(Some(value))
    }

    /// Bytes that its elements take in the file.
    pub fn stored(&self, _library: &Library) -> u64 {
        // SAFETY: the lock is held.
        unsafe { raw::H5Dget_storage_size(self.handle.0) }
    }

    /// How many chunks were ever written, where this version tells.
    pub fn count_chunks(&self, _library: &Library) -> Option<u64> {
        let function = raw::optional(c"H5Dget_num_chunks")?;
        let mut count = 0;
        // SAFETY: the lock is held; the function has this type in all versions; the pointer is to a number. Not H5S_ALL, which 1.10 refuses.
        let result = unsafe {
            let space = Handle::new(raw::H5Dget_space(self.handle.0)).ok()?;
            transmute::<*mut c_void, raw::CountChunks>(function)(self.handle.0, space.0, &mut count)
        };
        (result >= 0).then_some(count)
    }

    /// By what its chunks are found, where this version tells.
    pub fn index(&self, _library: &Library) -> Option<&'static str> {
        let function = raw::optional(c"H5Dget_chunk_index_type")?;
        let mut kind = -1;
        // SAFETY: the lock is held; the function has this type in all versions; the pointer is to a number.
        let result = unsafe { transmute::<*mut c_void, raw::IndexType>(function)(self.handle.0, &mut kind) };
        let names = [
            "B-tree of version 1",
            "single chunk",
            "implicit",
            "fixed array",
            "extensible array",
            "B-tree of version 2",
        ];
        names.get(usize::try_from(kind).ok().filter(|_| result >= 0)?).copied()
    }

    /// Its attributes, by name.
    pub fn attributes(&self, _library: &Library) -> io::Result<Vec<Attribute>> {
        Attribute::all(&self.handle)
    }

    /// The address of its header, from the superblock, where the library tells it.
    pub fn header(&self, library: &Library) -> Option<u64> {
        self.handle.header(library)
    }

    /// Calls `each` with offset, filter mask, address and size of every chunk that there is. False if this version of the library cannot.
    pub fn each_chunk(
        &self,
        library: &Library,
        rank: usize,
        mut each: impl FnMut(&[u64], u32, u64, u64),
    ) -> io::Result<bool> {
        type Each<'a> = dyn FnMut(&[u64], u32, u64, u64) + 'a;
        struct Call<'a, 'b>(usize, &'a mut Each<'b>);
        unsafe extern "C" fn forward(
            at: *const u64,
            mask: c_uint,
            address: u64,
            size: u64,
            data: *mut c_void,
        ) -> c_int {
            // SAFETY: the pointer that `each_chunk` passed, and the offset of a chunk, of as many numbers as the rank.
            let (call, at) = unsafe {
                let call = &mut *data.cast::<Call>();
                (&mut call.1, std::slice::from_raw_parts(at, call.0))
            };
            call(at, mask, address, size);
            0
        }
        let function = raw::optional(c"H5Dchunk_iter").filter(|_| library.version() >= (1, 14, 0));
        let Some(function) = function else { return Ok(false) };
        let mut call = Call(rank, &mut each);
        // SAFETY: the lock is held; from 1.14 on the function has this type; `call` outlives it.
        check(unsafe {
            let iter = transmute::<*mut c_void, raw::ChunkIter>(function);
            iter(self.handle.0, DEFAULT, forward, (&raw mut call).cast())
        })?;
        Ok(true)
    }

    /// The bytes of a chunk in the file; 0 if it was never written.
    pub fn chunk_size(&self, _library: &Library, offset: &[u64]) -> io::Result<u64> {
        let mut size = 0;
        // SAFETY: the lock is held; the offset has as many numbers as the dataset axes, as callers see to.
        match check(unsafe { raw::H5Dget_chunk_storage_size(self.handle.0, offset.as_ptr(), &mut size) }) {
            // An error in 1.10, and 0 in later versions.
            Err(e) if e.to_string().contains("storage is not allocated") => Ok(0),
            result => result.map(|_| size),
        }
    }

    /// Reads a chunk as it is in the file, of `to.len()` bytes, and returns its filter mask.
    ///
    /// # Errors
    /// When libhdf5 says so; also when the chunk has another size than a moment ago.
    pub fn read_chunk(&self, library: &Library, offset: &[u64], to: &mut [u8]) -> io::Result<u32> {
        if self.chunk_size(library, offset)? != to.len() as u64 {
            return Err(io::Error::other("the chunk has changed its size"));
        }
        let mut mask = 0;
        // SAFETY: the lock is held; the chunk has as many bytes as there is memory.
        check(unsafe {
            raw::H5Dread_chunk(self.handle.0, DEFAULT, offset.as_ptr(), &mut mask, to.as_mut_ptr().cast())
        })?;
        Ok(mask)
    }

    /// Reads `count` elements from `start` on, along each axis, in the form of `kind`.
    pub fn read(
        &self,
        _library: &Library,
        kind: &Kind,
        start: &[u64],
        count: &[u64],
        to: &mut [u8],
    ) -> io::Result<()> {
        let (space, memory) = spaces(&self.handle, kind, start, count, to.len())?;
        let to = to.as_mut_ptr().cast();
        // SAFETY: the lock is held; `to` has the bytes of the selection, and libhdf5 refuses one that is out of the dataset.
        check(unsafe { raw::H5Dread(self.handle.0, kind.id(), memory.0, space.0, DEFAULT, to) }).map(drop)
    }
}

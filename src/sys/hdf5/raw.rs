//! Declarations of the functions of libhdf5 that we call, as of 1.10.5, and those that only some versions have.
//!
//! Plain declarations: no state. Who calls one of them holds [`Library`](super::Library).

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// An open object; negative: none. 64 bits since 1.10.
pub type Id = i64;

/// What the walk over the stack of errors sees of one of them.
#[repr(C)]
pub struct ErrorEntry {
    class: Id,
    major: Id,
    minor: Id,
    line: c_uint,
    function: *const c_char,
    file: *const c_char,
    /// What went wrong; may be NULL.
    pub description: *const c_char,
}

/// Called for errors that nobody asked for.
pub type Auto = Option<unsafe extern "C" fn(stack: Id, data: *mut c_void) -> c_int>;
/// Called for each error of a stack.
pub type Walk = unsafe extern "C" fn(n: c_uint, entry: *const ErrorEntry, data: *mut c_void) -> c_int;
/// Called for each chunk, from 1.14 on.
pub type EachChunk = unsafe extern "C" fn(
    offset: *const u64,
    mask: c_uint,
    address: u64,
    size: u64,
    data: *mut c_void,
) -> c_int;

unsafe extern "C" {
    pub fn H5open() -> c_int;
    pub fn H5get_libversion(major: *mut c_uint, minor: *mut c_uint, release: *mut c_uint) -> c_int;
    pub fn H5free_memory(memory: *mut c_void) -> c_int;
    pub fn H5Eget_auto2(stack: Id, function: *mut Auto, data: *mut *mut c_void) -> c_int;
    pub fn H5Eset_auto2(stack: Id, function: Auto, data: *mut c_void) -> c_int;
    pub fn H5Eclear2(stack: Id) -> c_int;
    pub fn H5Ewalk2(stack: Id, direction: c_int, function: Walk, data: *mut c_void) -> c_int;
    pub fn H5Idec_ref(id: Id) -> c_int;
    pub fn H5Fopen(path: *const c_char, flags: c_uint, access: Id) -> Id;
    pub fn H5Fget_create_plist(file: Id) -> Id;
    pub fn H5Iget_type(id: Id) -> c_int;
    pub fn H5Oopen(place: Id, path: *const c_char, access: Id) -> Id;
    pub fn H5Lget_val(place: Id, name: *const c_char, to: *mut c_void, size: usize, access: Id) -> c_int;
    pub fn H5Dopen2(file: Id, path: *const c_char, access: Id) -> Id;
    pub fn H5Dget_space(dataset: Id) -> Id;
    pub fn H5Dget_type(dataset: Id) -> Id;
    pub fn H5Dget_create_plist(dataset: Id) -> Id;
    pub fn H5Dget_offset(dataset: Id) -> u64;
    pub fn H5Dget_storage_size(dataset: Id) -> u64;
    pub fn H5Dvlen_reclaim(kind: Id, space: Id, transfer: Id, memory: *mut c_void) -> c_int;
    pub fn H5Aiterate2(
        object: Id,
        index: c_int,
        order: c_int,
        next: *mut u64,
        each: EachAttribute,
        data: *mut c_void,
    ) -> c_int;
    pub fn H5Aopen(object: Id, name: *const c_char, access: Id) -> Id;
    pub fn H5Aget_space(attribute: Id) -> Id;
    pub fn H5Aget_type(attribute: Id) -> Id;
    pub fn H5Aread(attribute: Id, memory_type: Id, to: *mut c_void) -> c_int;
    pub fn H5Dget_chunk_storage_size(dataset: Id, offset: *const u64, size: *mut u64) -> c_int;
    pub fn H5Dread_chunk(
        dataset: Id,
        transfer: Id,
        offset: *const u64,
        mask: *mut u32,
        to: *mut c_void,
    ) -> c_int;
    pub fn H5Dread(
        dataset: Id,
        memory_type: Id,
        memory: Id,
        file: Id,
        transfer: Id,
        to: *mut c_void,
    ) -> c_int;
    pub fn H5Pcreate(class: Id) -> Id;
    pub fn H5Pget_userblock(plist: Id, size: *mut u64) -> c_int;
    pub fn H5Pget_sizes(plist: Id, address: *mut usize, size: *mut usize) -> c_int;
    pub fn H5Pget_layout(plist: Id) -> c_int;
    pub fn H5Pget_chunk(plist: Id, rank: c_int, sizes: *mut u64) -> c_int;
    pub fn H5Pget_chunk_opts(plist: Id, options: *mut c_uint) -> c_int;
    pub fn H5Pget_external_count(plist: Id) -> c_int;
    pub fn H5Pget_nfilters(plist: Id) -> c_int;
    pub fn H5Pget_filter2(
        plist: Id,
        index: c_uint,
        flags: *mut c_uint,
        count: *mut usize,
        values: *mut c_uint,
        name_size: usize,
        name: *mut c_char,
        config: *mut c_uint,
    ) -> c_int;
    pub fn H5Pfill_value_defined(plist: Id, status: *mut c_int) -> c_int;
    pub fn H5Pget_fill_value(plist: Id, memory_type: Id, value: *mut c_void) -> c_int;
    pub fn H5Screate_simple(rank: c_int, sizes: *const u64, most: *const u64) -> Id;
    pub fn H5Sget_simple_extent_ndims(space: Id) -> c_int;
    pub fn H5Sget_simple_extent_dims(space: Id, sizes: *mut u64, most: *mut u64) -> c_int;
    pub fn H5Sget_simple_extent_type(space: Id) -> c_int;
    pub fn H5Sselect_hyperslab(
        space: Id,
        operation: c_int,
        start: *const u64,
        stride: *const u64,
        count: *const u64,
        block: *const u64,
    ) -> c_int;
    pub fn H5Tget_class(kind: Id) -> c_int;
    pub fn H5Tget_size(kind: Id) -> usize;
    pub fn H5Tget_order(kind: Id) -> c_int;
    pub fn H5Tget_sign(kind: Id) -> c_int;
    pub fn H5Tget_precision(kind: Id) -> usize;
    pub fn H5Tget_offset(kind: Id) -> c_int;
    pub fn H5Tget_fields(
        kind: Id,
        sign: *mut usize,
        exponent: *mut usize,
        exponent_size: *mut usize,
        mantissa: *mut usize,
        mantissa_size: *mut usize,
    ) -> c_int;
    pub fn H5Tget_ebias(kind: Id) -> usize;
    pub fn H5Tget_super(kind: Id) -> Id;
    pub fn H5Tget_native_type(kind: Id, direction: c_int) -> Id;
    pub fn H5Tget_nmembers(kind: Id) -> c_int;
    pub fn H5Tget_member_name(kind: Id, index: c_uint) -> *mut c_char;
    pub fn H5Tget_member_offset(kind: Id, index: c_uint) -> usize;
    pub fn H5Tget_member_type(kind: Id, index: c_uint) -> Id;
    pub fn H5Tget_array_ndims(kind: Id) -> c_int;
    pub fn H5Tget_array_dims2(kind: Id, sizes: *mut u64) -> c_int;
    pub fn H5Tis_variable_str(kind: Id) -> c_int;
    pub fn H5Tcopy(kind: Id) -> Id;
    pub fn H5Tcreate(class: c_int, size: usize) -> Id;
    pub fn H5Tset_size(kind: Id, size: usize) -> c_int;
    pub fn H5Tset_strpad(kind: Id, padding: c_int) -> c_int;
    pub fn H5Tset_cset(kind: Id, set: c_int) -> c_int;
    pub fn H5Tset_tag(kind: Id, tag: *const c_char) -> c_int;
    pub fn H5Tset_ebias(kind: Id, bias: usize) -> c_int;
    pub fn H5Tset_fields(
        kind: Id,
        sign: usize,
        exponent: usize,
        exponent_size: usize,
        mantissa: usize,
        mantissa_size: usize,
    ) -> c_int;
    pub fn H5Tinsert(kind: Id, name: *const c_char, offset: usize, field: Id) -> c_int;
    pub fn H5Tenum_create(base: Id) -> Id;
    pub fn H5Tenum_insert(kind: Id, name: *const c_char, value: *const c_void) -> c_int;
    pub fn H5Tarray_create2(base: Id, rank: c_uint, sizes: *const u64) -> Id;
    pub fn H5Fcreate(path: *const c_char, flags: c_uint, creation: Id, access: Id) -> Id;
    pub fn H5Fflush(object: Id, scope: c_int) -> c_int;
    pub fn H5Fclose(file: Id) -> c_int;
    pub fn H5Fstart_swmr_write(file: Id) -> c_int;
    pub fn H5Pset_libver_bounds(access: Id, low: c_int, high: c_int) -> c_int;
    pub fn H5Pset_create_intermediate_group(link: Id, create: c_uint) -> c_int;
    pub fn H5Pset_chunk(plist: Id, rank: c_int, sizes: *const u64) -> c_int;
    pub fn H5Pset_fill_time(plist: Id, time: c_int) -> c_int;
    pub fn H5Pset_filter(
        plist: Id,
        filter: c_int,
        flags: c_uint,
        count: usize,
        values: *const c_uint,
    ) -> c_int;
    pub fn H5Zfilter_avail(filter: c_int) -> c_int;
    pub fn H5Zregister(class: *const c_void) -> c_int;
    pub fn H5Dcreate2(
        file: Id,
        path: *const c_char,
        kind: Id,
        space: Id,
        link: Id,
        creation: Id,
        access: Id,
    ) -> Id;
    pub fn H5Dset_extent(dataset: Id, sizes: *const u64) -> c_int;
    pub fn H5Dwrite_chunk(
        dataset: Id,
        transfer: Id,
        mask: u32,
        offset: *const u64,
        size: usize,
        data: *const c_void,
    ) -> c_int;
    pub fn H5Dwrite(
        dataset: Id,
        memory_type: Id,
        memory: Id,
        file: Id,
        transfer: Id,
        data: *const c_void,
    ) -> c_int;
    pub fn H5Screate(class: c_int) -> Id;
    pub fn H5Acreate2(object: Id, name: *const c_char, kind: Id, space: Id, creation: Id, access: Id) -> Id;
    pub fn H5Awrite(attribute: Id, memory_type: Id, data: *const c_void) -> c_int;

    /// The class of access lists of files; set by `H5open`.
    pub static H5P_CLS_FILE_ACCESS_ID_g: Id;
    /// Those of how datasets are made, and links.
    pub static H5P_CLS_DATASET_CREATE_ID_g: Id;
    pub static H5P_CLS_LINK_CREATE_ID_g: Id;
    /// Types of numbers, by the order of their bytes; set by `H5open`.
    pub static H5T_STD_I8LE_g: Id;
    pub static H5T_STD_I16LE_g: Id;
    pub static H5T_STD_I32LE_g: Id;
    pub static H5T_STD_I64LE_g: Id;
    pub static H5T_STD_U8LE_g: Id;
    pub static H5T_STD_U16LE_g: Id;
    pub static H5T_STD_U32LE_g: Id;
    pub static H5T_STD_U64LE_g: Id;
    pub static H5T_STD_I8BE_g: Id;
    pub static H5T_STD_I16BE_g: Id;
    pub static H5T_STD_I32BE_g: Id;
    pub static H5T_STD_I64BE_g: Id;
    pub static H5T_STD_U8BE_g: Id;
    pub static H5T_STD_U16BE_g: Id;
    pub static H5T_STD_U32BE_g: Id;
    pub static H5T_STD_U64BE_g: Id;
    pub static H5T_IEEE_F32LE_g: Id;
    pub static H5T_IEEE_F64LE_g: Id;
    pub static H5T_IEEE_F32BE_g: Id;
    pub static H5T_IEEE_F64BE_g: Id;
    pub static H5T_NATIVE_LDOUBLE_g: Id;
    pub static H5T_C_S1_g: Id;
}

/// How a filter is registered: `H5Z_class2_t`.
#[repr(C)]
pub struct FilterClass {
    pub version: c_int,
    pub id: c_int,
    pub has_encoder: c_uint,
    pub has_decoder: c_uint,
    pub name: *const c_char,
    pub can_apply: *const c_void,
    pub set_local: *const c_void,
    pub run: unsafe extern "C" fn(
        flags: c_uint,
        count: usize,
        values: *const c_uint,
        size: usize,
        capacity: *mut usize,
        data: *mut *mut c_void,
    ) -> usize,
}

/// `H5Pset_file_locking`, from 1.10.7 and 1.12.1 on.
pub type SetFileLocking = unsafe extern "C" fn(plist: Id, on: bool, ignore_when_disabled: bool) -> c_int;
/// `H5Oget_info2`, from 1.10.3 on where deprecated functions were not left out. The struct begins with a long and the address.
pub type ObjectInfo = unsafe extern "C" fn(object: Id, info: *mut c_void, fields: c_uint) -> c_int;
/// `H5Drefresh`, from 1.10 on.
pub type Refresh = unsafe extern "C" fn(dataset: Id) -> c_int;
/// `H5Dchunk_iter`, with this type from 1.14 on.
pub type ChunkIter =
    unsafe extern "C" fn(dataset: Id, transfer: Id, each: EachChunk, data: *mut c_void) -> c_int;

/// Called for each attribute of an object.
pub type EachAttribute =
    unsafe extern "C" fn(object: Id, name: *const c_char, info: *const c_void, data: *mut c_void) -> c_int;
/// `H5Dget_num_chunks`, from 1.10.5 on.
pub type CountChunks = unsafe extern "C" fn(dataset: Id, space: Id, count: *mut u64) -> c_int;
/// `H5Dget_chunk_index_type`, from 1.10 on; not meant for everybody.
pub type IndexType = unsafe extern "C" fn(dataset: Id, kind: *mut c_int) -> c_int;
/// Called for each link of a group; what `info` points to begins with the kind of the link in all versions.
pub type EachLink =
    unsafe extern "C" fn(group: Id, name: *const c_char, info: *const c_int, data: *mut c_void) -> c_int;
/// `H5Literate`, up to 1.10, or `H5Literate2`, from 1.12 on.
pub type LinkIter = unsafe extern "C" fn(
    group: Id,
    index: c_int,
    order: c_int,
    next: *mut u64,
    each: EachLink,
    data: *mut c_void,
) -> c_int;

/// The address of a function that not all versions have.
pub fn optional(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks a name up in what is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

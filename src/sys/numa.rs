//! Memory of one NUMA node: mbind(2) and get_mempolicy(2).

use std::io;
use std::ptr::NonNull;

/// More nodes than Linux can be built for (`MAX_NUMNODES` is 1024 at the most).
const MAX_NODES: usize = 1024;

// From <linux/mempolicy.h>.
const MPOL_MF_MOVE: libc::c_uint = 1 << 1;
#[cfg(test)]
const MPOL_F_ADDR: libc::c_ulong = 1 << 1;

const WORD_BITS: usize = libc::c_ulong::BITS as usize;

/// A set of nodes as the kernel has it.
type NodeMask = [libc::c_ulong; MAX_NODES / WORD_BITS];

/// Has the pages from `start` on come from `node` only; those that are there already move.
///
/// # Safety
/// `start` begins a page, and the `len` bytes from there on are a mapping of the caller's.
pub unsafe fn bind(start: NonNull<u8>, len: usize, node: usize) -> io::Result<()> {
    let mut mask: NodeMask = [0; _];
    let word = mask.get_mut(node / WORD_BITS).ok_or(io::ErrorKind::InvalidInput)?;
    *word = 1 << (node % WORD_BITS);
    // SAFETY: the caller's promise; the mask is of as many bits as are told (the kernel takes one less than maxnode).
    let result = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            start.as_ptr(),
            len,
            libc::MPOL_BIND,
            mask.as_ptr(),
            MAX_NODES + 1,
            MPOL_MF_MOVE,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The only node that the memory at `address` may come from; `None` where it is bound to none, or to several.
#[cfg(test)]
pub fn bound_to(address: NonNull<u8>) -> io::Result<Option<usize>> {
    let mut mode: libc::c_int = 0;
    let mut mask: NodeMask = [0; _];
    // SAFETY: both outputs are as large as told; any address may be asked about.
    let result = unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            &mut mode,
            mask.as_mut_ptr(),
            MAX_NODES + 1,
            address.as_ptr(),
            MPOL_F_ADDR,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut nodes = (0..MAX_NODES).filter(|node| mask[node / WORD_BITS] >> (node % WORD_BITS) & 1 == 1);
    let only = nodes.next().filter(|_| nodes.next().is_none());
    Ok(only.filter(|_| mode == libc::MPOL_BIND))
}

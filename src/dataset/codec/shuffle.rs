//! Bytes of elements, sorted by significance and put back together.
//!
//! Pure functions.

/// Puts elements of `size` bytes back together; what is left over at the end was not sorted.
pub fn unshuffle(size: usize, from: &[u8], to: &mut [u8]) {
    let count = from.len() / size.max(1);
    match size {
        0 | 1 => to.copy_from_slice(from),
        2 => planes::<2>(count, from, to),
        4 => planes::<4>(count, from, to),
        8 => planes::<8>(count, from, to),
        _ => any(size, count, from, to),
    }
    let sorted = count * size;
    if size > 1 {
        to[sorted..].copy_from_slice(&from[sorted..]);
    }
}

/// Elements at a time: their bytes are in as many cache lines as an element has bytes.
const BATCH: usize = 16;

fn planes<const N: usize>(count: usize, from: &[u8], to: &mut [u8]) {
    let planes: [&[u8]; N] = std::array::from_fn(|byte| &from[byte * count..][..count]);
    let elements = &mut to.as_chunks_mut::<N>().0[..count];
    let mut batches = elements.chunks_exact_mut(BATCH);
    let mut at = 0;
    for batch in &mut batches {
        // Bounds known here become vector instructions.
        let lines: [&[u8; BATCH]; N] =
            std::array::from_fn(|byte| planes[byte][at..].first_chunk().expect("at + BATCH <= count"));
        for (i, element) in batch.iter_mut().enumerate() {
            *element = std::array::from_fn(|byte| lines[byte][i]);
        }
        at += BATCH;
    }
    for (i, element) in batches.into_remainder().iter_mut().enumerate() {
        *element = std::array::from_fn(|byte| planes[byte][at + i]);
    }
}

fn any(size: usize, count: usize, from: &[u8], to: &mut [u8]) {
    // So many elements that their part of `to` stays in the cache while each plane is spread over it.
    let batch = (16384 / size).max(1);
    for first in (0..count).step_by(batch) {
        let n = batch.min(count - first);
        for byte in 0..size {
            let plane = &from[byte * count + first..][..n];
            let elements = to[first * size..].chunks_exact_mut(size);
            for (element, value) in elements.zip(plane) {
                element[byte] = *value;
            }
        }
    }
}

/// Sorts the bytes of elements of `size` bytes by significance; what is left over at the end stays as it is.
pub fn shuffle(size: usize, from: &[u8], to: &mut [u8]) {
    let count = from.len() / size.max(1);
    match size {
        0 | 1 => to.copy_from_slice(from),
        2 => sort::<2>(count, from, to),
        4 => sort::<4>(count, from, to),
        8 => sort::<8>(count, from, to),
        _ => sort_any(size, count, from, to),
    }
    let sorted = count * size;
    if size > 1 {
        to[sorted..].copy_from_slice(&from[sorted..]);
    }
}

fn sort<const N: usize>(count: usize, from: &[u8], to: &mut [u8]) {
    let elements = &from.as_chunks::<N>().0[..count];
    let mut planes = to[..count * N].chunks_exact_mut(count.max(1));
    let mut planes: [&mut [u8]; N] = std::array::from_fn(|_| planes.next().unwrap_or_default());
    let mut at = 0;
    let mut batches = elements.chunks_exact(BATCH);
    for batch in &mut batches {
        // Bounds known here become vector instructions.
        for (byte, plane) in planes.iter_mut().enumerate() {
            let line: [u8; BATCH] = std::array::from_fn(|i| batch[i][byte]);
            plane[at..at + BATCH].copy_from_slice(&line);
        }
        at += BATCH;
    }
    for (i, element) in batches.remainder().iter().enumerate() {
        for (byte, plane) in planes.iter_mut().enumerate() {
            plane[at + i] = element[byte];
        }
    }
}

fn sort_any(size: usize, count: usize, from: &[u8], to: &mut [u8]) {
    let batch = (16384 / size).max(1);
    for first in (0..count).step_by(batch) {
        let n = batch.min(count - first);
        for byte in 0..size {
            let plane = &mut to[byte * count + first..][..n];
            let elements = from[first * size..].chunks_exact(size);
            for (to, element) in plane.iter_mut().zip(elements) {
                *to = element[byte];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_any_size_come_back() {
        for size in [1, 2, 3, 4, 5, 8, 16, 51, 300] {
            for count in [0, 1, 15, 16, 17, 100] {
                for rest in 0..size.min(3) {
                    let data: Vec<u8> = (0..size * count + rest).map(|i| (i * 7 + i / 251) as u8).collect();
                    let mut sorted = Vec::new();
                    for byte in 0..size {
                        sorted.extend((0..count).map(|i| data[i * size + byte]));
                    }
                    sorted.extend(&data[size * count..]);
                    let mut back = vec![0; data.len()];
                    unshuffle(size, &sorted, &mut back);
                    assert!(back == data, "size {size}, count {count}, rest {rest}");
                    shuffle(size, &data, &mut back);
                    assert!(back == sorted, "size {size}, count {count}, rest {rest}: sorted");
                }
            }
        }
    }
}

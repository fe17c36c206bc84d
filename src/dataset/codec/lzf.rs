//! LibLZF's format: runs of bytes, and references to what came before.
//!
//! Pure functions.

/// Unpacks `from` to `to`, which it must fill exactly.
pub fn decompress(from: &[u8], to: &mut [u8]) -> Result<(), &'static str> {
    const SHORT: &str = "it ends too early";
    const LONG: &str = "it is longer than a chunk";
    let (mut i, mut o) = (0, 0);
    while i < from.len() {
        let control = usize::from(from[i]);
        i += 1;
        if control < 32 {
            let run = from.get(i..i + control + 1).ok_or(SHORT)?;
            to.get_mut(o..o + run.len()).ok_or(LONG)?.copy_from_slice(run);
            (i, o) = (i + run.len(), o + run.len());
            continue;
        }
        let mut length = control >> 5;
        if length == 7 {
            length += usize::from(*from.get(i).ok_or(SHORT)?);
            i += 1;
        }
        length += 2;
        let distance = (control & 31) << 8 | usize::from(*from.get(i).ok_or(SHORT)?);
        i += 1;
        let start = o.checked_sub(distance + 1).ok_or("it refers to before its start")?;
        if to.len() - o < length {
            return Err(LONG);
        }
        if distance >= length {
            to.copy_within(start..start + length, o);
        } else {
            // It repeats what it is writing.
            for at in o..o + length {
                to[at] = to[at - distance - 1];
            }
        }
        o += length;
    }
    if o == to.len() { Ok(()) } else { Err(SHORT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(from: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
        let mut to = vec![0; size];
        decompress(from, &mut to).map(|()| to)
    }

    #[test]
    fn runs_and_references_unpack() {
        assert_eq!(unpacked(&[2, b'a', b'b', b'c'], 3).unwrap(), b"abc");
        // Three bytes from three back; nine bytes from one back.
        assert_eq!(unpacked(&[2, b'a', b'b', b'c', 1 << 5, 2], 6).unwrap(), b"abcabc");
        assert_eq!(unpacked(&[0, b'x', 7 << 5, 0, 0], 10).unwrap(), b"xxxxxxxxxx");
    }

    #[test]
    fn damage_is_an_error() {
        assert!(unpacked(&[2, b'a', b'b'], 3).is_err());
        assert!(unpacked(&[2, b'a', b'b', b'c'], 2).is_err());
        assert!(unpacked(&[2, b'a', b'b', b'c'], 4).is_err());
        assert!(unpacked(&[0, b'a', 1 << 5, 1], 4).is_err());
        assert!(unpacked(&[0, b'a', 7 << 5], 4).is_err());
        assert!(unpacked(&[0, b'a', 7 << 5, 0, 0], 9).is_err());
    }
}

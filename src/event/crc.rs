//! The CRC-32C of a record. Crate crc32c computes it, but for short records on x86-64: it is made for long ones, and takes 14 ns instead of 7 for 76 bytes,
//! 71 instead of 46 for a kilobyte. Any thread.

/// The polynomial without x^32; the highest bit is for x^0, as in sums.
pub const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Up to so many bytes the crate is slower.
#[cfg(target_arch = "x86_64")]
const SHORT: usize = 4096;

/// The CRC-32C of `word` and `time`, as little-endian bytes, and `payload` behind them. Numbers, as bytes that have just been written piece by piece are
/// slow to read.
#[inline]
pub fn of_record(word: u32, time: u64, payload: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if payload.len() <= SHORT
        && std::arch::is_x86_feature_detected!("sse4.2")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
    {
        // SAFETY: the processor has the instructions.
        return unsafe { short::of_record(word, time, payload) };
    }
    let sum = crc32c::crc32c_append(crc32c::crc32c(&word.to_le_bytes()), &time.to_le_bytes());
    crc32c::crc32c_append(sum, payload)
}

/// An instruction takes 8 bytes and three cycles, but one can begin in each cycle: so three thirds are summed beside each other.
#[cfg(target_arch = "x86_64")]
mod short {
    use std::arch::x86_64::{
        _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64, _mm_cvtsi64_si128,
        _mm_cvtsi128_si64,
    };

    /// Fewer bytes are summed one after the other.
    const WORTH_THIRDS: usize = 144;
    /// The most words of 8 bytes in a third.
    const MOST_WORDS: usize = super::SHORT / 24;

    /// What a sum is multiplied with to move it past so many words: x to the power of 64 for each word, less the 33 that [`shift`] adds.
    static POWERS: [u32; 2 * MOST_WORDS + 1] = {
        let mut powers = [0; 2 * MOST_WORDS + 1];
        let mut power = 1;
        let mut words = 1;
        while words < powers.len() {
            powers[words] = power;
            let mut bit = 0;
            while bit < 64 {
                power = (power >> 1) ^ ((power & 1) * super::POLYNOMIAL);
                bit += 1;
            }
            words += 1;
        }
        powers
    };

    /// The sum of what `sum` is of and as many words of zeros behind it.
    #[inline]
    #[target_feature(enable = "sse4.2,pclmulqdq")]
    fn shift(sum: u64, words: usize) -> u64 {
        let power = _mm_cvtsi64_si128(i64::from(POWERS[words]));
        let product = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(sum.cast_signed()), power);
        _mm_crc32_u64(0, _mm_cvtsi128_si64(product).cast_unsigned())
    }

    #[target_feature(enable = "sse4.2,pclmulqdq")]
    pub(super) fn of_record(word: u32, time: u64, payload: &[u8]) -> u32 {
        let mut sum = _mm_crc32_u64(u64::from(_mm_crc32_u32(!0, word)), time);
        let mut rest = payload;
        if rest.len() >= WORTH_THIRDS {
            let words = (rest.len() / 24).min(MOST_WORDS);
            let (thirds, behind) = rest.split_at(24 * words);
            let (first, others) = thirds.split_at(8 * words);
            let (second, third) = others.split_at(8 * words);
            let (mut sum_2, mut sum_3) = (0, 0);
            let thirds = first.as_chunks().0.iter().zip(second.as_chunks().0).zip(third.as_chunks().0);
            for ((first, second), third) in thirds {
                sum = _mm_crc32_u64(sum, u64::from_le_bytes(*first));
                sum_2 = _mm_crc32_u64(sum_2, u64::from_le_bytes(*second));
                sum_3 = _mm_crc32_u64(sum_3, u64::from_le_bytes(*third));
            }
            sum = shift(sum, 2 * words) ^ shift(sum_2, words) ^ sum_3;
            rest = behind;
        }
        let (eights, rest) = rest.as_chunks();
        let sum = eights.iter().fold(sum, |sum, bytes| _mm_crc32_u64(sum, u64::from_le_bytes(*bytes)));
        // The upper half is 0.
        !rest.iter().fold(sum as u32, |sum, byte| _mm_crc32_u8(sum, *byte))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn of_all_lengths_and_places() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| ((i * i) >> 3) as u8).collect();
        for length in 0..4500 {
            let place = length % 19;
            let payload = &bytes[place..place + length];
            let (word, time) = ((length as u32).wrapping_mul(0x0101_0101), u64::MAX / 3 - length as u64);
            let record = [&word.to_le_bytes()[..], &time.to_le_bytes(), payload].concat();
            assert_eq!(super::of_record(word, time, payload), crc32c::crc32c(&record), "{length} bytes");
        }
    }
}

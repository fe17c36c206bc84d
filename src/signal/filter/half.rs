//! Floats of two bytes, which Rust has not yet: 1 bit of sign, 5 of exponent, 10 of fraction, as IEEE 754 has them.

/// The bits of a float of two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Half(pub u16);

impl Half {
    /// The same number; every one has it.
    pub fn to_f32(self) -> f32 {
        let bits = u32::from(self.0);
        let (sign, exponent, fraction) = ((bits & 0x8000) << 16, (bits >> 10) & 0x1f, bits & 0x3ff);
        match exponent {
            // Units of 2^-24, which are exact.
            0 => f32::from_bits(sign | (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits()),
            0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
            _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
        }
    }

    /// The nearest number; of two that are as near, the one that ends in 0. Infinity for what is too large.
    pub fn of_f64(value: f64) -> Self {
        let bits = value.to_bits();
        let sign = (bits >> 48) as u16 & 0x8000;
        let magnitude = bits & !(1 << 63);
        if magnitude >= 0x7ff0_0000_0000_0000 {
            // Not a number stays so, also where only low bits said it.
            let fraction = (magnitude >> 42) as u16 & 0x3ff;
            let not_a_number = magnitude > 0x7ff0_0000_0000_0000;
            return Self(sign | 0x7c00 | fraction | u16::from(not_a_number && fraction == 0));
        }
        let exponent = (magnitude >> 52) as i32 - 1023;
        if exponent < -25 {
            return Self(sign);
        }
        if exponent > 15 {
            return Self(sign | 0x7c00);
        }
        // The fraction with its leading 1, of which `drop` bits do not fit; below 2^-14 there are more of them.
        let fraction = magnitude & ((1 << 52) - 1) | 1 << 52;
        let drop = 42 + (-14 - exponent).max(0);
        let (kept, rest, middle) = (fraction >> drop, fraction & ((1 << drop) - 1), 1 << (drop - 1));
        let up = rest > middle || rest == middle && kept & 1 == 1;
        // Rounding up carries into the exponent, as it should, up to infinity.
        let below = if exponent < -14 { 0 } else { ((exponent + 14) as u64) << 10 };
        Self(sign | (below + kept + u64::from(up)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back() {
        for bits in 0..=u16::MAX {
            let half = Half(bits);
            // A float that becomes a longer one is quiet, if it is none.
            let quiet = if half.to_f32().is_nan() { 0x200 } else { 0 };
            assert_eq!(Half::of_f64(f64::from(half.to_f32())), Half(bits | quiet), "{bits:#x}");
        }
    }

    #[test]
    fn known_numbers() {
        for (value, bits) in [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (65519.999, 0x7bff),
            (65520.0, 0x7c00),
            (f64::INFINITY, 0x7c00),
            (f64::MAX, 0x7c00),
            (2f64.powi(-24), 0x0001),
            (2f64.powi(-25), 0x0000),
            (2f64.powi(-25) * 1.000_000_1, 0x0001),
            (2f64.powi(-14), 0x0400),
            (f64::MIN_POSITIVE, 0x0000),
            // Half-way between two: the even one. A bit more, which a float of four bytes has not: the upper one.
            (1.0 + 2f64.powi(-11), 0x3c00),
            (1.0 + 3.0 * 2f64.powi(-11), 0x3c02),
            (1.0 + 2f64.powi(-11) + 2f64.powi(-40), 0x3c01),
        ] {
            assert_eq!(Half::of_f64(value), Half(bits), "{value}");
        }
        assert!(Half::of_f64(f64::NAN).to_f32().is_nan());
    }
}

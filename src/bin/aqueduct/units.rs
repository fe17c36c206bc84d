//! Numbers as people write and read them.

/// A whole number: decimal, or hexadecimal after `0x`.
pub fn integer(text: &str) -> Result<u64, String> {
    let result = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // from_str_radix would take a sign.
        Some(digits) if digits.starts_with('+') => return Err("not a number".into()),
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    result.map_err(|_| "must be a whole number, in decimal, or in hexadecimal after 0x".into())
}

/// As [`integer`], 1 or more.
pub fn positive(text: &str) -> Result<u64, String> {
    match integer(text)? {
        0 => Err("must be at least 1".into()),
        value => Ok(value),
    }
}

/// A number of bytes, 1 or more: a whole number, with k, M, G (powers of 1000) or Ki, Mi, Gi (powers of 1024).
pub fn bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, u64); 6] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
    ];
    let (digits, unit) = UNITS
        .iter()
        .find_map(|&(name, unit)| text.strip_suffix(name).map(|digits| (digits, unit)))
        .unwrap_or((text, 1));
    positive(digits)
        .map_err(|reason| format!("{reason}; k, M, G or Ki, Mi, Gi may follow it"))?
        .checked_mul(unit)
        .and_then(|value| usize::try_from(value).ok())
        .ok_or_else(|| "too large for this machine".into())
}

/// A rate, 1 or more: a number such as 1e9 or 2.5, with k, M, G or T (powers of 1000).
pub fn rate(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 4] = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)];
    let (digits, unit) = UNITS
        .iter()
        .find_map(|&(name, unit)| text.strip_suffix(name).map(|digits| (digits, unit)))
        .unwrap_or((text, 1.0));
    let rule = "must be a number from 1 upwards, with k, M, G or T after it if you like";
    let value = digits.parse::<f64>().map_err(|_| rule.to_owned())? * unit;
    if value.is_finite() && value >= 1.0 { Ok(value) } else { Err(rule.into()) }
}

/// A factor above 0.
pub fn factor(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "must be a number above 0".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be a number above 0".into()) }
}

/// Three digits and a prefix, to stand before a unit: `35.6 M`.
pub fn short(mut value: f64) -> String {
    let mut prefixes = ["", "k", "M", "G", "T", "P"].into_iter().peekable();
    let mut prefix = prefixes.next().unwrap_or_default();
    while value >= 999.5
        && let Some(next) = prefixes.next()
    {
        value /= 1000.0;
        prefix = next;
    }
    let decimals = match value {
        v if v.fract() == 0.0 && prefix.is_empty() => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        assert_eq!(integer("0x1600"), Ok(5632));
        assert_eq!(integer("5632"), Ok(5632));
        for bad in ["", "0x", "0x+1", "-1", "1.5", "99999999999999999999"] {
            assert!(integer(bad).is_err(), "{bad}");
        }
        assert_eq!(bytes("8Mi"), Ok(8 << 20));
        assert_eq!(bytes("8M"), Ok(8_000_000));
        assert_eq!(bytes("9200"), Ok(9200));
        for bad in ["0", "Mi", "1.5M", "18446744073709551615G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(rate("1e9"), Ok(1e9));
        assert_eq!(rate("500M"), Ok(5e8));
        assert_eq!(rate("2.5G"), Ok(2.5e9));
        for bad in ["0", "-4", "inf", "nan", "fast", "1e400", "G"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!(factor("0.5"), Ok(0.5));
        assert!(factor("0").is_err());
    }

    #[test]
    fn numbers_are_shown() {
        for (value, shown) in [
            (0.0, "0 "),
            (437.0, "437 "),
            (535_123.0, "535 k"),
            (999_600.0, "1.00 M"),
            (35_600_000.0, "35.6 M"),
            (1.5e22, "15000000 P"),
        ] {
            assert_eq!(short(value), shown);
        }
    }
}

//! Times as people read them.

use time::OffsetDateTime;

/// `ns` since the Unix epoch as UTC, to the nanosecond: `2026-11-24T23:04:49.461783000Z`.
pub fn utc(ns: u64) -> String {
    let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
    // 2^64 ns are in the year 2554: there is no error.
    let date = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let ((year, month, day), (hour, minute, second)) = (date.to_calendar_date(), date.to_hms());
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn nanoseconds_of_any_time() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(utc(1_795_561_489_461_783_001), "2026-11-24T23:04:49.461783001Z");
        assert_eq!(utc(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }
}

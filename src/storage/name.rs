//! Names of files: a path or, where files follow each other, a pattern.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::error::{Error, Result};

/// The most digits that a pattern can ask for.
const MOST_DIGITS: usize = 20;

/// How files are named.
#[derive(Debug)]
pub(crate) enum Name {
    /// There is only one, of this name.
    Literal(PathBuf),
    /// Text, and what is replaced for each file.
    Pattern(Vec<Part>),
}

#[derive(Debug)]
pub(crate) enum Part {
    Text(Vec<u8>),
    /// The file's number, with at least so many digits.
    Number(usize),
    /// UTC: one of `YmdHMS`.
    Time(u8),
}

impl Name {
    /// The name of the only file.
    pub(crate) fn literal(path: &Path) -> Self {
        Self::Literal(path.to_owned())
    }

    /// A name for many files: `%n` (`%6n`, `%06n`: with at least 6 digits) is the file's number, `%Y %m %d %H %M %S` the time at which it is begun, in
    /// UTC, and `%%` a percent sign.
    pub(crate) fn pattern(path: &Path) -> Result<Self> {
        let fail = |what: &str| {
            let rule = "path: a name for several files has %n for the number, as in run-%06n.dat";
            Error::invalid(format!("{rule} ({what} in {path:?})"))
        };
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut bytes = path.as_os_str().as_bytes().iter().copied();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                text.push(byte);
                continue;
            }
            let mut digits = String::new();
            let code = loop {
                match bytes.next() {
                    Some(digit @ b'0'..=b'9') if digits.len() < 4 => digits.push(digit.into()),
                    code => break code,
                }
            };
            let width = if digits.is_empty() { Some(1) } else { digits.parse().ok() };
            let part = match (code, width) {
                (Some(b'%'), _) if digits.is_empty() => {
                    text.push(b'%');
                    continue;
                }
                (Some(b'n'), Some(width @ 1..=MOST_DIGITS)) => Part::Number(width),
                (Some(b'n'), _) => return Err(fail("a number of 1 to 20 digits is possible, not as")),
                (Some(code @ (b'Y' | b'm' | b'd' | b'H' | b'M' | b'S')), _) if digits.is_empty() => {
                    Part::Time(code)
                }
                (Some(code), _) => {
                    return Err(fail(&format!("unknown %{digits}{}", code.escape_ascii())));
                }
                (None, _) => return Err(fail("a % at the end")),
            };
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(part);
        }
        parts.push(Part::Text(text));
        if !parts.iter().any(|part| matches!(part, Part::Number(_))) {
            return Err(fail("none"));
        }
        Ok(Self::Pattern(parts))
    }

    /// The name of the file of that number, which is begun now.
    pub(crate) fn of(&self, number: u64) -> PathBuf {
        let parts = match self {
            Self::Literal(path) => return path.clone(),
            Self::Pattern(parts) => parts,
        };
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut name = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => name.extend(text),
                Part::Number(width) => name.extend(format!("{number:0width$}").bytes()),
                Part::Time(code) => name.extend(time_part(now, *code).bytes()),
            }
        }
        PathBuf::from(OsString::from_vec(name))
    }

    /// Whether there is more than one.
    pub(crate) fn is_pattern(&self) -> bool {
        matches!(self, Self::Pattern(_))
    }
}

fn time_part(now: OffsetDateTime, code: u8) -> String {
    match code {
        b'Y' => format!("{:04}", now.year()),
        b'm' => format!("{:02}", u8::from(now.month())),
        b'd' => format!("{:02}", now.day()),
        b'H' => format!("{:02}", now.hour()),
        b'M' => format!("{:02}", now.minute()),
        _ => format!("{:02}", now.second()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let name = Name::pattern(Path::new("/data/%%run-%04n_%n.dat")).unwrap();
        assert_eq!(name.of(7), Path::new("/data/%run-0007_7.dat"));
        assert_eq!(name.of(12_345), Path::new("/data/%run-12345_12345.dat"));
        let name = Name::pattern(Path::new("%Y%m%dT%H%M%S-%n")).unwrap().of(0);
        let name = name.to_str().unwrap();
        assert_eq!((name.len(), &name[8..9], &name[15..]), (17, "T", "-0"), "{name}");
        let year: i32 = name[..4].parse().unwrap();
        assert!((2024..3000).contains(&year), "{name}");
    }

    #[test]
    fn what_is_no_pattern() {
        for (path, what) in [
            ("run.dat", "none in"),
            ("run-%Y.dat", "none in"),
            ("run-%q%n", "unknown %q in"),
            ("run-%3Y%n", "unknown %3Y in"),
            ("run-%5%%n", "unknown %5% in"),
            ("run-%n%", "a % at the end"),
            ("run-%0n", "1 to 20 digits"),
            ("run-%21n", "1 to 20 digits"),
            ("run-%99999n", "unknown %99999"),
        ] {
            let error = Name::pattern(Path::new(path)).unwrap_err();
            assert!(error.message().contains(what), "{path}: {error}");
            assert!(error.message().contains("%n for the number"), "{path}: {error}");
        }
    }

    #[test]
    fn a_literal_is_taken_as_it_is() {
        assert_eq!(Name::literal(Path::new("100%n.dat")).of(3), Path::new("100%n.dat"));
    }
}

//! The columns of a frame: each value of each element, with a name, and as text or as a number.

use aqueduct::error::Result;
use aqueduct::signal::array::{self, Layout};
use aqueduct::signal::chunk::Chunk;
use aqueduct::signal::params::Params;
use aqueduct::spead::dtype::{Dtype, Kind, Scalar};

/// Columns at the most.
pub const MOST: usize = 65536;

/// One value of every frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What it is: `3`, `0,2`, `time`, or the name that the params have for the channel.
    pub label: String,
    /// Bytes from the beginning of a frame in C order.
    offset: usize,
    scalar: Scalar,
}

/// A value within an element.
struct Leaf {
    name: String,
    offset: usize,
    scalar: Scalar,
}

/// Which columns: numbers and ranges, from 0 on.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection(Vec<usize>);

impl Selection {
    /// Reads `0,3,8-11`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = "must be numbers and ranges, such as 0,3,8-11";
        let mut all = Vec::new();
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<usize>().ok().filter(|&number| number < usize::MAX);
            let (from, to) = (number(from).ok_or(rule)?, number(to).ok_or(rule)?);
            if from > to || to - from >= MOST || all.len() + (to - from) >= MOST {
                return Err(rule.into());
            }
            all.extend(from..=to);
        }
        Ok(Self(all))
    }
}

/// The columns that are wanted, or the first `most`; and how many there are in all.
pub fn columns(
    params: &Params,
    wanted: Option<&Selection>,
    most: usize,
) -> Result<(Vec<Column>, usize), String> {
    let mut leaves = Vec::new();
    add_leaves(&params.dtype, String::new(), 0, &mut leaves);
    let shape = params.frame_shape();
    let elements: usize = shape.iter().product();
    let all = elements.saturating_mul(leaves.len());
    let column = |number: usize| {
        let (element, leaf) = (number / leaves.len(), &leaves[number % leaves.len()]);
        let label = match (element_label(params, &shape, element), leaf.name.as_str()) {
            (None, "") => "value".into(),
            (None, name) => name.into(),
            (Some(element), "") => element,
            (Some(element), name) => format!("{element}.{name}"),
        };
        let offset = element * params.dtype.size() + leaf.offset;
        Column { label, offset, scalar: leaf.scalar.clone() }
    };
    let columns = match wanted {
        None => (0..all.min(most)).map(column).collect(),
        Some(Selection(numbers)) => match numbers.iter().find(|&&number| number >= all) {
            Some(number) => {
                return Err(format!("there are channels 0 to {} (got {number})", all.saturating_sub(1)));
            }
            None => numbers.iter().map(|&number| column(number)).collect(),
        },
    };
    Ok((columns, all))
}

/// The values within an element of this type, as many as may be columns.
fn add_leaves(dtype: &Dtype, name: String, offset: usize, leaves: &mut Vec<Leaf>) {
    let scalar = match dtype {
        Dtype::Scalar(scalar) => scalar,
        Dtype::Record(fields, _) => {
            // Without a name it is padding.
            for field in fields.iter().filter(|field| !field.name.is_empty()) {
                let count = field.shape.iter().product::<usize>();
                for i in 0..count.min(MOST.saturating_sub(leaves.len())) {
                    let place = if field.shape.is_empty() {
                        String::new()
                    } else {
                        format!("[{}]", index(&field.shape, i))
                    };
                    let dot = if name.is_empty() { "" } else { "." };
                    let name = format!("{name}{dot}{}{place}", field.name);
                    add_leaves(&field.dtype, name, offset + field.offset + i * field.dtype.size(), leaves);
                }
            }
            return;
        }
    };
    if leaves.len() < MOST {
        leaves.push(Leaf { name, offset, scalar: scalar.clone() });
    }
}

/// The index along each axis of an element, in C order: `0,2`.
fn index(shape: &[usize], mut element: usize) -> String {
    let mut text = Vec::new();
    for &count in shape.iter().rev() {
        text.push((element % count.max(1)).to_string());
        element /= count.max(1);
    }
    text.reverse();
    text.join(",")
}

/// What an element of a frame is called. Some nodes of pyacq send names with the params.
fn element_label(params: &Params, shape: &[usize], element: usize) -> Option<String> {
    if shape.is_empty() {
        return None;
    }
    let named = || match shape {
        [_] => params.extra.get("channel_info")?.get(element)?.get("name")?.as_str(),
        _ => None,
    };
    let named = named().filter(|name| !name.is_empty() && name.len() < 100).map(crate::heap_items::plain);
    named.or_else(|| Some(index(shape, element)))
}

/// The bytes of all frames, back to back, each in C order.
pub fn c_order(chunk: &Chunk) -> Result<Vec<u8>> {
    let target = Layout::c_order(chunk.layout.item(), chunk.layout.shape())?;
    let mut bytes = vec![0; target.size()];
    // SAFETY: a chunk's layout lies within its data, and the target is a vector of its size.
    unsafe { array::copy(chunk.data.as_ptr(), &chunk.layout, bytes.as_mut_ptr(), &target) };
    Ok(bytes)
}

impl Column {
    fn bytes<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.offset..self.offset + self.scalar.size).unwrap_or_default()
    }

    /// Whether [`number`](Self::number) can have a value.
    pub fn is_number(&self) -> bool {
        let Scalar { kind, size, .. } = self.scalar;
        match kind {
            Kind::Bool | Kind::Int | Kind::Uint | Kind::Datetime | Kind::Timedelta => true,
            Kind::Float => size <= 8,
            Kind::Complex => size <= 16,
            Kind::Bytes | Kind::Unicode | Kind::Void => false,
        }
    }

    /// Its value in a frame, where there is a number: of a complex one, the magnitude.
    pub fn number(&self, frame: &[u8]) -> Option<f64> {
        let bytes = self.bytes(frame);
        let Scalar { kind, size, big_endian, .. } = self.scalar;
        match kind {
            Kind::Bool | Kind::Uint => Some(unsigned(bytes, big_endian) as f64),
            Kind::Int | Kind::Timedelta | Kind::Datetime => Some(signed(bytes, big_endian) as f64),
            Kind::Float => float(bytes, big_endian),
            Kind::Complex => {
                let (re, im) = bytes.split_at(size / 2);
                Some(float(re, big_endian)?.hypot(float(im, big_endian)?))
            }
            Kind::Bytes | Kind::Unicode | Kind::Void => None,
        }
    }

    /// Its value in a frame as a word of text: no blanks but within quotes.
    pub fn text(&self, frame: &[u8]) -> String {
        let bytes = self.bytes(frame);
        let Scalar { kind, size, big_endian, .. } = self.scalar;
        let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let real = |bytes: &[u8]| match float(bytes, big_endian) {
            // As short as it can be and still be the same.
            Some(number) if bytes.len() == 8 => format!("{number:?}"),
            Some(number) => format!("{:?}", number as f32),
            None => hexadecimal(bytes),
        };
        match kind {
            Kind::Bool | Kind::Uint => unsigned(bytes, big_endian).to_string(),
            Kind::Int => signed(bytes, big_endian).to_string(),
            Kind::Datetime | Kind::Timedelta => match signed(bytes, big_endian) {
                i64::MIN => "NaT".into(),
                number => number.to_string(),
            },
            Kind::Float => real(bytes),
            Kind::Complex => {
                let (re, im) = bytes.split_at(size / 2);
                let im = real(im);
                let plus = if im.starts_with('-') { "" } else { "+" };
                format!("{}{plus}{im}j", real(re))
            }
            Kind::Bytes => format!("{:?}", String::from_utf8_lossy(bytes).trim_end_matches('\0')),
            Kind::Unicode => {
                let characters = bytes.chunks_exact(4).map(|c| unsigned(c, big_endian) as u32);
                let text: String = characters.map(|c| char::from_u32(c).unwrap_or('\u{fffd}')).collect();
                format!("{:?}", text.trim_end_matches('\0'))
            }
            Kind::Void => hexadecimal(bytes),
        }
    }
}

/// A number of at most 8 bytes.
fn unsigned(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

fn signed(bytes: &[u8], big_endian: bool) -> i64 {
    let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
    (unsigned(bytes, big_endian) << unused) as i64 >> unused
}

fn float(bytes: &[u8], big_endian: bool) -> Option<f64> {
    let word = unsigned(bytes, big_endian);
    match bytes.len() {
        2 => Some(aqueduct::spead::value::half(word as u16)),
        4 => Some(f32::from_bits(word as u32).into()),
        8 => Some(f64::from_bits(word)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct::signal::numpy::parse_dtype;

    fn params(dtype: &str, shape: &[i64]) -> Params {
        Params::new(parse_dtype(dtype).unwrap(), shape)
    }

    fn one(dtype: &str, bytes: &[u8]) -> (String, Option<f64>) {
        let (columns, all) = columns(&params(dtype, &[-1]), None, 9).unwrap();
        assert_eq!((columns.len(), all, columns[0].label.as_str()), (1, 1, "value"));
        let number = columns[0].number(bytes);
        assert_eq!(columns[0].is_number(), number.is_some());
        (columns[0].text(bytes), number)
    }

    #[test]
    fn values() {
        let f4 = |number: f32| number.to_le_bytes();
        assert_eq!(one("<i2", &[0xfe, 0xff]), ("-2".into(), Some(-2.0)));
        assert_eq!(one(">i2", &[0xff, 0xfe]), ("-2".into(), Some(-2.0)));
        assert_eq!(one("|u1", &[200]), ("200".into(), Some(200.0)));
        assert_eq!(one(">u8", &[0xff; 8]), (u64::MAX.to_string(), Some(u64::MAX as f64)));
        assert_eq!(one("|b1", &[1]), ("1".into(), Some(1.0)));
        assert_eq!(one("<f4", &f4(0.1)), ("0.1".into(), Some(f64::from(0.1f32))));
        assert_eq!(one("<f4", &f4(1e30)), ("1e30".into(), Some(f64::from(1e30f32))));
        assert_eq!(one(">f8", &(-0.1f64).to_be_bytes()), ("-0.1".into(), Some(-0.1)));
        assert_eq!(one("<f2", &[0x00, 0xc0]), ("-2.0".into(), Some(-2.0)));
        assert_eq!(one("<c8", &[f4(3.0), f4(-4.0)].concat()), ("3.0-4.0j".into(), Some(5.0)));
        assert_eq!(one("S4", b"a b\0"), ("\"a b\"".into(), None));
        assert_eq!(one("<U2", &[0xe4, 0, 0, 0, 0, 0, 0, 0]), ("\"ä\"".into(), None));
        assert_eq!(one("|V2", &[1, 0xab]), ("01ab".into(), None));
        assert_eq!(one("<M8[ms]", &i64::MIN.to_le_bytes()).0, "NaT");
        assert_eq!(one("<f16", &[0; 16]).1, None);
    }

    #[test]
    fn labels_and_choice() {
        let labels = |params: &Params, wanted: Option<&str>| {
            let wanted = wanted.map(|text| Selection::parse(text).unwrap());
            columns(params, wanted.as_ref(), 4).map(|(columns, all)| {
                (columns.into_iter().map(|column| column.label).collect::<Vec<_>>().join(" "), all)
            })
        };
        let mut four = params("<i2", &[-1, 4]);
        assert_eq!(labels(&four, None), Ok(("0 1 2 3".into(), 4)));
        assert_eq!(labels(&four, Some("3,0-1")), Ok(("3 0 1".into(), 4)));
        assert_eq!(labels(&four, Some("4")), Err("there are channels 0 to 3 (got 4)".into()));
        four.extra = serde_json::from_str(r#"{"channel_info":[{"name":"Fz"},{"name":7}]}"#).unwrap();
        assert_eq!(labels(&four, None), Ok(("Fz 1 2 3".into(), 4)));
        assert_eq!(labels(&params("|u1", &[-1, 2, 3]), None), Ok(("0,0 0,1 0,2 1,0".into(), 6)));
        let record = "[('t', '<u4'), ('xy', '<f4', (2,)), ('s', [('a', '|u1')])]";
        assert_eq!(labels(&params(record, &[-1]), None), Ok(("t xy[0] xy[1] s.a".into(), 4)));
        let (columns, _) = columns(&params(record, &[-1, 2]), Some(&Selection(vec![5])), 1).unwrap();
        assert_eq!((columns[0].label.as_str(), columns[0].offset), ("1.xy[0]", 13 + 4));
        for wrong in ["", "a", "1-", "3-1", "0-99999999", "-1"] {
            assert!(Selection::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn frames_in_c_order() {
        let layout = Layout::new(1, 4, &[2, 2], &[-4, 2]).unwrap();
        let chunk = Chunk { index: 2, layout, data: vec![1, 0, 2, 0, 3, 0, 4, 0].into() };
        assert_eq!(c_order(&chunk).unwrap(), [3, 4, 1, 2]);
    }
}

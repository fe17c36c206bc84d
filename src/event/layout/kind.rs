//! Byte orders and types of fields: the characters, sizes and alignments of Python's `struct`.
//!
//! Invariant: a size is 1, 2, 4 or 8 bytes. No state.

use std::ffi::{c_int, c_long, c_longlong, c_short};

use super::Value;

/// How numbers lie in a packet, and whether they are aligned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// `@`: as a C compiler of this machine lays out a struct: its byte order, sizes and padding, but none at the end.
    #[default]
    Aligned,
    /// `=`: this machine's byte order, sizes that are the same everywhere, no padding.
    Native,
    /// `<`: the least significant byte first, no padding.
    Little,
    /// `>`: the most significant byte first, no padding.
    Big,
    /// `!`: as `>`; a name for it that protocols like.
    Network,
}

const ORDERS: [(char, ByteOrder); 5] = [
    ('@', ByteOrder::Aligned),
    ('=', ByteOrder::Native),
    ('<', ByteOrder::Little),
    ('>', ByteOrder::Big),
    ('!', ByteOrder::Network),
];

impl ByteOrder {
    /// The order that this character stands for.
    pub fn from_char(character: char) -> Option<Self> {
        ORDERS.iter().find(|(known, _)| *known == character).map(|(_, order)| *order)
    }

    /// Its character.
    pub fn as_char(self) -> char {
        ORDERS.iter().find(|(_, order)| *order == self).map_or('@', |(character, _)| *character)
    }

    /// Whether the most significant byte comes first.
    pub fn is_big(self) -> bool {
        match self {
            Self::Aligned | Self::Native => cfg!(target_endian = "big"),
            Self::Little => false,
            Self::Big | Self::Network => true,
        }
    }
}

/// What a field's bytes mean, whatever their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Char,
    Bool,
    Signed,
    Unsigned,
    Float,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `c`: one byte that is a character.
    Char,
    /// `b`: an integer of 1 byte.
    SignedChar,
    /// `B`: an unsigned integer of 1 byte.
    UnsignedChar,
    /// `?`: 1 byte, false if it is 0.
    Bool,
    /// `h`: an integer of 2 bytes.
    Short,
    /// `H`: an unsigned integer of 2 bytes.
    UnsignedShort,
    /// `i`: an integer of 4 bytes.
    Int,
    /// `I`: an unsigned integer of 4 bytes.
    UnsignedInt,
    /// `l`: an integer of 4 bytes; with `@`, a C `long`.
    Long,
    /// `L`: an unsigned integer of 4 bytes; with `@`, a C `unsigned long`.
    UnsignedLong,
    /// `q`: an integer of 8 bytes.
    LongLong,
    /// `Q`: an unsigned integer of 8 bytes.
    UnsignedLongLong,
    /// `n`: an integer as large as a pointer; only with `@`.
    SignedSize,
    /// `N`: an unsigned integer as large as a pointer; only with `@`.
    Size,
    /// `f`: an IEEE 754 number of 4 bytes.
    Float,
    /// `d`: an IEEE 754 number of 8 bytes.
    Double,
}

/// A type's character, class, size where it is the same everywhere (0: there is none), and size and alignment in C.
struct Facts(char, FieldType, Class, usize, (usize, usize));

const fn c<T>() -> (usize, usize) {
    (size_of::<T>(), align_of::<T>())
}

const TYPES: [Facts; 16] = [
    Facts('c', FieldType::Char, Class::Char, 1, (1, 1)),
    Facts('b', FieldType::SignedChar, Class::Signed, 1, (1, 1)),
    Facts('B', FieldType::UnsignedChar, Class::Unsigned, 1, (1, 1)),
    Facts('?', FieldType::Bool, Class::Bool, 1, c::<bool>()),
    Facts('h', FieldType::Short, Class::Signed, 2, c::<c_short>()),
    Facts('H', FieldType::UnsignedShort, Class::Unsigned, 2, c::<c_short>()),
    Facts('i', FieldType::Int, Class::Signed, 4, c::<c_int>()),
    Facts('I', FieldType::UnsignedInt, Class::Unsigned, 4, c::<c_int>()),
    Facts('l', FieldType::Long, Class::Signed, 4, c::<c_long>()),
    Facts('L', FieldType::UnsignedLong, Class::Unsigned, 4, c::<c_long>()),
    Facts('q', FieldType::LongLong, Class::Signed, 8, c::<c_longlong>()),
    Facts('Q', FieldType::UnsignedLongLong, Class::Unsigned, 8, c::<c_longlong>()),
    Facts('n', FieldType::SignedSize, Class::Signed, 0, c::<isize>()),
    Facts('N', FieldType::Size, Class::Unsigned, 0, c::<usize>()),
    Facts('f', FieldType::Float, Class::Float, 4, c::<f32>()),
    Facts('d', FieldType::Double, Class::Float, 8, c::<f64>()),
];

impl FieldType {
    fn facts(self) -> &'static Facts {
        // The table is in the order of the variants.
        &TYPES[self as usize]
    }

    /// The type that this character stands for.
    pub fn from_char(character: char) -> Option<Self> {
        TYPES.iter().find(|facts| facts.0 == character).map(|facts| facts.1)
    }

    /// Its character.
    pub fn as_char(self) -> char {
        self.facts().0
    }

    pub(super) fn class(self) -> Class {
        self.facts().2
    }

    /// Bytes and alignment; `None` where the type needs the order `@`.
    pub(super) fn size_and_alignment(self, order: ByteOrder) -> Option<(usize, usize)> {
        match (order, self.facts()) {
            (ByteOrder::Aligned, facts) => Some(facts.4),
            (_, Facts(_, _, _, 0, _)) => None,
            (_, facts) => Some((facts.3, 1)),
        }
    }

    /// The value of these bytes; there are as many as the type has.
    pub(super) fn decode(self, bytes: &[u8], big: bool) -> Value {
        let raw = load(bytes, big);
        match self.class() {
            Class::Char => Value::Char(raw as u8),
            Class::Bool => Value::Bool(raw != 0),
            Class::Unsigned => Value::Uint(raw),
            Class::Signed => {
                let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
                Value::Int((raw << unused) as i64 >> unused)
            }
            Class::Float if bytes.len() == 4 => Value::Float(f32::from_bits(raw as u32).into()),
            Class::Float => Value::Float(f64::from_bits(raw)),
        }
    }
}

/// The unsigned number of 1, 2, 4 or 8 bytes.
fn load(bytes: &[u8], big: bool) -> u64 {
    match *bytes {
        [a] => a.into(),
        [a, b] if big => u16::from_be_bytes([a, b]).into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] if big => u32::from_be_bytes([a, b, c, d]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] if big => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_the_characters_are_unique() {
        for facts in &TYPES {
            assert_eq!(facts.1.as_char(), facts.0);
            assert_eq!(FieldType::from_char(facts.0), Some(facts.1));
        }
        assert_eq!(FieldType::from_char('x'), None);
        for (character, order) in ORDERS {
            assert_eq!((ByteOrder::from_char(character), order.as_char()), (Some(order), character));
        }
    }

    #[test]
    fn numbers_of_every_size_in_both_orders() {
        let bytes = [0xfe, 1, 2, 3, 4, 5, 6, 0x87];
        let of = |kind: FieldType, n: usize, big| kind.decode(&bytes[..n], big);
        assert_eq!(of(FieldType::SignedChar, 1, true), Value::Int(-2));
        assert_eq!(of(FieldType::UnsignedChar, 1, true), Value::Uint(254));
        assert_eq!(of(FieldType::Short, 2, true), Value::Int(-511));
        assert_eq!(of(FieldType::Short, 2, false), Value::Int(510));
        assert_eq!(of(FieldType::UnsignedInt, 4, true), Value::Uint(0xfe01_0203));
        assert_eq!(of(FieldType::UnsignedInt, 4, false), Value::Uint(0x0302_01fe));
        assert_eq!(of(FieldType::LongLong, 8, false), Value::Int(0x8706_0504_0302_01fe_u64 as i64));
        assert_eq!(of(FieldType::LongLong, 8, true), Value::Int(0xfe01_0203_0405_0687_u64 as i64));
        assert_eq!(of(FieldType::Bool, 1, true), Value::Bool(true));
        assert_eq!(of(FieldType::Char, 1, true), Value::Char(0xfe));
        assert_eq!(FieldType::Float.decode(&1.5f32.to_be_bytes(), true), Value::Float(1.5));
        assert_eq!(FieldType::Double.decode(&(-0.1f64).to_le_bytes(), false), Value::Float(-0.1));
    }
}

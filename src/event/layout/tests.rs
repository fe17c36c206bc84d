use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const EXAMPLE: &str = "<header:B=170,time:Q,adc:h,temperature:f,ok:?,tag:c='a',2x";

fn example_packet() -> Vec<u8> {
    let mut packet = vec![170];
    packet.extend(1_234_567_890_123u64.to_le_bytes());
    packet.extend((-5i16).to_le_bytes());
    packet.extend(21.5f32.to_le_bytes());
    packet.extend([2, b'a', 99, 98]);
    packet
}

fn parse(text: &str) -> PacketLayout {
    PacketLayout::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    PacketLayout::parse(text).expect_err(text).message().to_owned()
}

#[test]
fn an_example() {
    let layout = parse(EXAMPLE);
    assert_eq!((layout.size(), layout.byte_order()), (19, ByteOrder::Little));
    let offsets: Vec<_> = layout.fields().iter().map(|field| (field.offset, field.size)).collect();
    assert_eq!(offsets, [(0, 1), (1, 8), (9, 2), (11, 4), (15, 1), (16, 1)]);
    assert_eq!(layout.fields()[0].constant, Some(Value::Uint(170)));
    assert_eq!((layout.find("adc"), layout.find("ADC")), (Some(2), None));
    let packet = example_packet();
    let values: Vec<_> = (0..6).map(|i| layout.value(&packet, i).unwrap()).collect();
    let expected = [
        Value::Uint(170),
        Value::Uint(1_234_567_890_123),
        Value::Int(-5),
        Value::Float(21.5),
        Value::Bool(true),
        Value::Char(b'a'),
    ];
    assert_eq!(values, expected);
    let mut out = b"before".to_vec();
    layout.write_text(&packet, "; ", &mut out).unwrap();
    layout.write_csv(&packet, &mut out).unwrap();
    let expected = "before170; 1234567890123; -5; 21.5; True; b'a'\n170,1234567890123,-5,21.5,true,a\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(layout.csv_header(), "header,time,adc,temperature,ok,tag\n");
    assert_eq!(layout.to_string(), EXAMPLE);
}

#[test]
fn what_is_no_such_packet_is_refused_and_nothing_written() {
    let layout = parse(EXAMPLE);
    let mut packet = example_packet();
    let mut out = Vec::new();
    let mut refuse = |packet: &[u8], expected: &str| {
        for error in [
            layout.check(packet).unwrap_err(),
            layout.write_text(packet, ",", &mut out).unwrap_err(),
            layout.write_csv(packet, &mut out).unwrap_err(),
        ] {
            assert_eq!((error.message(), error.kind()), (expected, ErrorKind::Format));
        }
        assert!(out.is_empty());
    };
    refuse(&packet[1..], "packet: its size must be 19 bytes, the layout's (got 18)");
    refuse(&[], "packet: its size must be 19 bytes, the layout's (got 0)");
    packet[0] = 171;
    refuse(&packet, "packet: field header must be 170, its constant (found 171)");
    packet[0] = 170;
    packet[16] = b'\n';
    refuse(&packet, r"packet: field tag must be 'a', its constant (found '\n')");
    let error = layout.value(&packet, 6).unwrap_err();
    assert_eq!(error.message(), "index must be below 6, the number of fields (got 6)");
    assert_eq!(layout.value(&packet[1..], 0).unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn aligned_as_in_c() {
    #[repr(C)]
    struct Packet {
        a: u8,
        b: u16,
        c: std::ffi::c_long,
        d: u8,
        e: f64,
        f: u8,
    }
    let layout = parse("a:B,b:H,c:l,d:B,e:d,f:B");
    assert_eq!(layout.byte_order(), ByteOrder::Aligned);
    let offsets: Vec<_> = layout.fields().iter().map(|field| field.offset).collect();
    let expected = [
        std::mem::offset_of!(Packet, a),
        std::mem::offset_of!(Packet, b),
        std::mem::offset_of!(Packet, c),
        std::mem::offset_of!(Packet, d),
        std::mem::offset_of!(Packet, e),
        std::mem::offset_of!(Packet, f),
    ];
    assert_eq!(offsets, expected);
    assert_eq!(layout.size(), std::mem::offset_of!(Packet, f) + 1, "nothing behind the last one");
    assert_eq!(parse("=a:B,b:H,c:l,d:B,e:d,f:B").size(), 1 + 2 + 4 + 1 + 8 + 1);
    assert_eq!(parse("a:B,x,b:H").fields()[1].offset, 2);
    assert_eq!(parse("a:B,2x,b:H").fields()[1].offset, 4);
    assert_eq!(parse("x,a:n,b:N").size(), 3 * size_of::<usize>());
}

#[test]
fn constants_are_compared_by_value() {
    let layout = parse("<a:d=0,b:?=True,c:f=0.1,d:q=-0x10");
    let mut packet = [(-0.0f64).to_le_bytes().as_slice(), &[7]].concat();
    packet.extend(0.1f32.to_le_bytes());
    packet.extend((-16i64).to_le_bytes());
    assert_eq!(layout.check(&packet), Ok(()));
    packet[8] = 0;
    let reason = "packet: field b must be True, its constant (found False)";
    assert_eq!(layout.check(&packet).unwrap_err().message(), reason);
    // A NaN is not equal to anything.
    let nan = f64::NAN.to_le_bytes();
    let reason = "packet: field a must be inf, its constant (found NaN)";
    assert_eq!(parse("<a:d=inf").check(&nan).unwrap_err().message(), reason);
}

#[test]
fn blanks_and_every_form_of_constant() {
    let layout =
        parse("  >  a : b = -128 ,\tx , 3x,b:c = '\\x7f',c:c=',',d:?=False, e:d=1e3 , f:f=-inf,x:I=0XfF ,x ");
    let expected = r">a:b=-128,4x,b:c='\x7f',c:c=',',d:?=False,e:d=1000.0,f:f=-inf,x:I=255,x";
    assert_eq!(layout.to_string(), expected);
    assert_eq!(parse(expected), layout);
    for (text, value) in [
        ("'a'", b'a'),
        (r"'\''", b'\''),
        (r"'\\'", b'\\'),
        (r"'\n'", b'\n'),
        (r"'\r'", b'\r'),
        (r"'\t'", b'\t'),
        (r"'\xAf'", 0xaf),
        ("'\"'", b'"'),
        ("' '", b' '),
    ] {
        assert_eq!(parse(&format!("a:c={text}")).fields()[0].constant, Some(Value::Char(value)), "{text}");
    }
}

#[test]
fn what_is_no_layout_is_refused() {
    for (text, expected) in [
        ("", "layout: byte 0: found the end, but a field must begin with its name here"),
        ("<", "layout: byte 1: found the end, but a field must begin with its name here"),
        ("x", "layout: fields: there must be at least 1"),
        ("a:B,", "layout: byte 4: found the end, but a field must begin with its name here"),
        ("a:B,,b:B", "layout: byte 4: found \",\", but a field must begin with its name here"),
        ("a", "layout: byte 1: found the end, but a colon and a type must follow the name a"),
        ("a B", "layout: byte 2: found \"B\", but a colon and a type must follow the name a"),
        (
            "a:z",
            "layout: byte 2: found \"z\", but the type of a field must be one of c b B ? h H i I l L q Q n N f d",
        ),
        ("a:x", "layout: byte 2: found \"x\", but the type of a field must be one of"),
        ("a:", "layout: byte 2: found the end, but the type of a field"),
        ("a:BB", "layout: byte 3: found \"B\", but a comma or the end must follow here"),
        ("a:B\nb:B", "layout: byte 3: found \"\\nb:B\", but a comma or the end must follow here"),
        ("<n:n", "layout: byte 1: n: the type n needs the byte order @ (got <)"),
        ("!n:N=1", "layout: byte 1: n: the type N needs the byte order @ (got !)"),
        ("a:B,a:B", "layout: byte 4: a: there is a field of that name already"),
        ("1a:B", "layout: byte 0: found \"1a:B\", but a field begins with its name, and padding is as in 4x"),
        ("a:B,0x", "layout: byte 4: padding must be at least 1 byte (got 0)"),
        ("a:B,4 x", "layout: byte 4: found \"4\", but a field begins with its name, and padding is as in 4x"),
        ("\u{fc}:B", "layout: byte 0: found \"\u{fc}:B\", but a field must begin with its name here"),
        (
            "a:B=256",
            "layout: byte 4: found \"256\", but a constant of type B must be an integer between 0 and 255, decimal or as in 0xaa",
        ),
        ("a:B=-1", "found \"-1\", but a constant of type B must be an integer between 0 and 255"),
        ("a:q=9223372036854775808", "between -9223372036854775808 and 9223372036854775807"),
        ("a:Q=18446744073709551616", "between 0 and 18446744073709551615"),
        ("a:Q=99999999999999999999999999999999999999999999", "between 0 and 18446744073709551615"),
        ("a:B=", "layout: byte 4: found the end, but a constant of type B"),
        ("a:B=+-1", "found \"+-1\", but a constant of type B"),
        ("a:B=0x", "found \"0x\", but"),
        ("a:B=0x-1", "found \"0x-1\", but"),
        ("a:B=1.0", "found \"1.0\", but"),
        ("a:B=1 2", "layout: byte 6: found \"2\", but a comma or the end must follow here"),
        (
            "a:f=1e39",
            "found \"1e39\", but a constant of type f must be a number that it can hold, as in -1.5, 2e-3 or inf",
        ),
        ("a:d=nan", "found \"nan\", but a constant of type d must be a number"),
        ("a:d=1e999", "found \"1e999\", but a constant of type d"),
        ("a:?=1", "layout: byte 4: found \"1\", but a constant of type ? must be True or False"),
        ("a:c=a", r"layout: byte 4: found "),
        ("a:c=''", r"but a constant of type c must be a character, as in 'a', '\'', '\n' or '\xff'"),
        ("a:c='''", "must be a character"),
        ("a:c='ab'", "must be a character"),
        (r"a:c='\x1'", "must be a character"),
        (r"a:c='\q'", "must be a character"),
        ("a:c='\u{fc}'", "must be a character"),
        ("a:B,1073741823x", "layout: byte 4: a packet must have at most 1073741823 bytes"),
        ("a:B,99999999999999999999999x", "layout: byte 4: a packet must have at most 1073741823 bytes"),
        ("1073741816x,a:d", "layout: byte 12: a packet must have at most 1073741823 bytes"),
    ] {
        let found = refused(text);
        assert!(found.contains(expected), "{text:?}: {found}");
    }
    assert_eq!(parse("a:B,1073741822x").size(), MAX_SIZE);
    let long = "a".repeat(MAX_NAME + 1);
    assert!(refused(&format!("{long}:B")).contains("a name must be 1 to 255 letters"));
    assert_eq!(parse(&format!("{}:B", &long[1..])).size(), 1);
    let many = |n: usize| (0..n).map(|i| format!("f{i}:B")).collect::<Vec<_>>().join(",");
    assert_eq!(parse(&many(MAX_FIELDS)).size(), MAX_FIELDS);
    assert!(refused(&many(MAX_FIELDS + 1)).ends_with("there must be at most 1024 fields"));
}

#[test]
fn a_list_is_checked_as_a_text_is() {
    let field = |name: &str, kind, constant| Part::Field { name: name.to_owned(), kind, constant };
    let new = |parts: Vec<Part>| PacketLayout::new(ByteOrder::Big, parts);
    let refused = |parts| new(parts).unwrap_err().message().to_owned();
    let made = new(vec![
        field("a", FieldType::Short, Some(Value::Uint(7))),
        Part::Padding(2),
        Part::Padding(1),
        field("b", FieldType::Float, Some(Value::Int(3))),
    ]);
    assert_eq!(made.unwrap(), parse(">a:h=7,3x,b:f=3"));
    assert_eq!(refused(vec![]), "fields: there must be at least 1");
    let expected = "fields[1]: a name must be 1 to 255 letters, digits or underscores of ASCII, not beginning with a digit (got \"1\")";
    assert_eq!(refused(vec![Part::Padding(1), field("1", FieldType::Int, None)]), expected);
    for (kind, constant, expected) in [
        (FieldType::UnsignedChar, Value::Int(-1), "must be between 0 and 255 (got -1)"),
        (FieldType::SignedChar, Value::Uint(128), "must be between -128 and 127 (got 128)"),
        (FieldType::LongLong, Value::Uint(u64::MAX), "9223372036854775807 (got 18446744073709551615)"),
        (FieldType::Int, Value::Float(1.0), "must be an integer between -2147483648 and 2147483647, decimal"),
        (FieldType::Bool, Value::Uint(1), "must be True or False (got 1)"),
        (FieldType::Char, Value::Uint(97), "must be a character"),
        (FieldType::Double, Value::Float(f64::NAN), "which equals nothing"),
        (
            FieldType::Float,
            Value::Float(-1e39),
            "between -3.4028235e38 and 3.4028235e38, or infinite (got -1e39)",
        ),
    ] {
        let found = refused(vec![field("a", kind, Some(constant))]);
        assert!(
            found.starts_with("fields[0]: a: a constant of type ") && found.contains(expected),
            "{found}"
        );
    }
}

#[test]
fn csv_quotes_what_needs_it() {
    let layout = parse("<a:c,b:c,c:c,d:c,e:c,f:?,g:d");
    let mut out = Vec::new();
    layout.write_csv(b",\"\n\xff\\\0\0\0\0\0\0\0\xf0\x7f", &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "\",\",\"\"\"\",\\x0a,\\xff,\\,false,inf\n");
}

#[test]
fn header() {
    let layout = parse("<a:B,2x,b:h");
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_795_561_489_461);
    let version = env!("CARGO_PKG_VERSION");
    let first = "Created on 2026-11-24 23:04:49.461000+00:00 (1795561489.461000 s)";
    assert_eq!(layout.text_header("#", at, None), format!("#{first}\n#Aqueduct version: {version}\n#a, b\n"));
    assert_eq!(
        layout.text_header("// ", at, Some("me\nand you")),
        format!("// {first}\n// Aqueduct version: {version}\n// Creator: me\n// and you\n// a, b\n")
    );
}

fn constant(kind: FieldType) -> BoxedStrategy<Option<Value>> {
    let value = match kind.class() {
        kind::Class::Char => any::<u8>().prop_map(Value::Char).boxed(),
        kind::Class::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        kind::Class::Unsigned => any::<u8>().prop_map(|v| Value::Uint(v.into())).boxed(),
        kind::Class::Signed => any::<i8>().prop_map(|v| Value::Int(v.into())).boxed(),
        kind::Class::Float if kind == FieldType::Float => any::<u32>()
            .prop_map(f32::from_bits)
            .prop_filter("a NaN", |value| !value.is_nan())
            .prop_map(|value| Value::Float(value.into()))
            .boxed(),
        kind::Class::Float => any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("a NaN", |value| !value.is_nan())
            .prop_map(Value::Float)
            .boxed(),
    };
    prop_oneof![Just(None), value.prop_map(Some)].boxed()
}

fn part() -> impl Strategy<Value = (String, Option<FieldType>, usize, Option<Value>)> {
    let kind = prop_oneof![
        1 => Just(None),
        6 => prop::sample::select("cbB?hHiIlLqQnNfd".chars().collect::<Vec<_>>()).prop_map(FieldType::from_char),
    ];
    ("[A-Za-z_][A-Za-z_0-9]{0,6}", kind, 1usize..9).prop_flat_map(|(name, kind, padding)| {
        let constant = kind.map_or(Just(None).boxed(), constant);
        (Just(name), Just(kind), Just(padding), constant)
    })
}

proptest! {
    #[test]
    fn printed_and_parsed_again(order in prop::sample::select("@=<>!".chars().collect::<Vec<_>>()), parts in vec(part(), 1..20)) {
        let order = ByteOrder::from_char(order).unwrap();
        let parts = parts.into_iter().enumerate().map(|(i, (name, kind, padding, constant))| match kind {
            Some(kind) => Part::Field { name: format!("{name}{i}"), kind, constant },
            None => Part::Padding(padding),
        });
        let Ok(layout) = PacketLayout::new(order, parts) else { return Ok(()) };
        let text = layout.to_string();
        let again = PacketLayout::parse(&text).unwrap();
        prop_assert_eq!(again.to_string(), text);
        prop_assert_eq!(again, layout);
    }

    #[test]
    fn any_text(text in "\\PC*") {
        if let Ok(layout) = PacketLayout::parse(&text) {
            prop_assert_eq!(PacketLayout::parse(&layout.to_string()).unwrap(), layout);
        }
    }
}

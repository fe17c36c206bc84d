//! Python literals, which is how numpy writes down what an array is. Read, never evaluated: depth and length are bounded.

use std::str::Chars;

use crate::error::{Error, ErrorKind, Result};

/// How deeply lists and tuples may be nested.
const MAX_DEPTH: usize = 32;
/// Bytes of text.
const MAX_LENGTH: usize = 1 << 20;

/// A value that Python would make of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(i64),
    Bool(bool),
    None,
    Tuple(Vec<Literal>),
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

impl Literal {
    /// Reads all of `bytes`, which may end with white space.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_LENGTH {
            return Err(broken(format!("is longer than {MAX_LENGTH} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| broken("is not UTF-8"))?;
        let mut parser = Parser { rest: text.chars(), length: text.len() };
        let value = parser.value(MAX_DEPTH)?;
        match parser.next_token() {
            None => Ok(value),
            Some(other) => Err(parser.unexpected(other)),
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a bool",
            Self::None => "None",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
        }
    }
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Format, format!("dtype header: the text {what}"))
}

struct Parser<'a> {
    rest: Chars<'a>,
    length: usize,
}

impl Parser<'_> {
    fn position(&self) -> usize {
        self.length - self.rest.as_str().len()
    }

    fn unexpected(&self, found: char) -> Error {
        broken(format!("has {found:?} before byte {} where it should not", self.position()))
    }

    /// The next character that is no white space.
    fn next_token(&mut self) -> Option<char> {
        self.rest.find(|c| !c.is_ascii_whitespace())
    }

    /// The same, to be read again.
    fn peek(&self) -> Option<char> {
        self.rest.clone().find(|c| !c.is_ascii_whitespace())
    }

    fn value(&mut self, depth: usize) -> Result<Literal> {
        let depth =
            depth.checked_sub(1).ok_or_else(|| broken(format!("is nested deeper than {MAX_DEPTH}")))?;
        let start = self.next_token().ok_or_else(|| broken("ends too early"))?;
        match start {
            '\'' | '"' => self.text(start).map(Literal::Text),
            '(' => self.tuple(depth),
            '[' => self.sequence(']', depth).map(|(values, _)| Literal::List(values)),
            '{' => self.dict(depth),
            '-' | '0'..='9' => self.number(start),
            'A'..='Z' | 'a'..='z' => self.word(start),
            other => Err(self.unexpected(other)),
        }
    }

    /// Values up to `end`, and whether the last one had a comma after it.
    fn sequence(&mut self, end: char, depth: usize) -> Result<(Vec<Literal>, bool)> {
        let (mut values, mut comma) = (Vec::new(), true);
        loop {
            match self.peek() {
                Some(found) if found == end => {
                    self.next_token();
                    return Ok((values, comma));
                }
                Some(found) if !comma => return Err(self.unexpected(found)),
                _ => values.push(self.value(depth)?),
            }
            comma = self.peek() == Some(',');
            if comma {
                self.next_token();
            }
        }
    }

    /// One value in parentheses is that value; with a comma it is a tuple.
    fn tuple(&mut self, depth: usize) -> Result<Literal> {
        let (mut values, comma) = self.sequence(')', depth)?;
        match values.pop() {
            Some(only) if values.is_empty() && !comma => Ok(only),
            last => {
                values.extend(last);
                Ok(Literal::Tuple(values))
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Literal> {
        let mut entries = Vec::new();
        loop {
            if self.peek() == Some('}') {
                self.next_token();
                return Ok(Literal::Dict(entries));
            }
            let key = self.value(depth)?;
            match self.next_token() {
                Some(':') => entries.push((key, self.value(depth)?)),
                Some(other) => return Err(self.unexpected(other)),
                None => return Err(broken("ends too early")),
            }
            match self.peek() {
                Some(',') => self.next_token(),
                Some('}') => continue,
                Some(other) => return Err(self.unexpected(other)),
                None => return Err(broken("ends too early")),
            };
        }
    }

    /// A decimal number; Python 2 wrote an L after a long one.
    fn number(&mut self, start: char) -> Result<Literal> {
        let mut digits = String::from(start);
        while let Some(digit) = self.rest.clone().next().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.rest.next();
        }
        if self.rest.clone().next() == Some('L') {
            self.rest.next();
        }
        digits
            .parse()
            .map(Literal::Number)
            .map_err(|_| broken(format!("has a number that is none or too large: {digits:.40}")))
    }

    fn word(&mut self, start: char) -> Result<Literal> {
        let mut word = String::from(start);
        while let Some(letter) = self.rest.clone().next().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            word.push(letter);
            self.rest.next();
        }
        match (word.as_str(), self.rest.clone().next()) {
            ("True", _) => Ok(Literal::Bool(true)),
            ("False", _) => Ok(Literal::Bool(false)),
            ("None", _) => Ok(Literal::None),
            // Python 2 and 3 mark some strings.
            ("u" | "U" | "b" | "B", Some(quote @ ('\'' | '"'))) => {
                self.rest.next();
                self.text(quote).map(Literal::Text)
            }
            _ => Err(broken(format!("has a word that is no value: {word:.40}"))),
        }
    }

    fn text(&mut self, quote: char) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                None => return Err(broken("ends within a string")),
                Some(end) if end == quote => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let width = match self.rest.next() {
            Some(same @ ('\\' | '\'' | '"')) => return Ok(same),
            Some('n') => return Ok('\n'),
            Some('t') => return Ok('\t'),
            Some('r') => return Ok('\r'),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err(broken("has an escape that is not known")),
        };
        let digits: String = self.rest.by_ref().take(width).collect();
        let code = (digits.len() == width).then(|| u32::from_str_radix(&digits, 16).ok()).flatten();
        code.and_then(char::from_u32)
            .ok_or_else(|| broken(format!("has an escape that is no character: {digits:.8}")))
    }
}

#[cfg(test)]
mod tests {
    use super::Literal::*;
    use super::*;

    #[test]
    fn what_python_would_read() {
        let text = |text: &str| Text(text.to_owned());
        let header = b"{'descr': [('a', '<u2', (2,)), (\"b\", u'\\x41')], 'fortran_order': False, 'shape': (10L, -3), } \n";
        let expected = Dict(vec![
            (
                text("descr"),
                List(vec![
                    Tuple(vec![text("a"), text("<u2"), Tuple(vec![Number(2)])]),
                    Tuple(vec![text("b"), text("A")]),
                ]),
            ),
            (text("fortran_order"), Bool(false)),
            (text("shape"), Tuple(vec![Number(10), Number(-3)])),
        ]);
        assert_eq!(Literal::parse(header).unwrap(), expected);
        assert_eq!(Literal::parse(b"()").unwrap(), Tuple(vec![]));
        assert_eq!(Literal::parse(b"(7)").unwrap(), Number(7));
        assert_eq!(Literal::parse(b"(7,)").unwrap(), Tuple(vec![Number(7)]));
        assert_eq!(Literal::parse(b"[None]").unwrap(), List(vec![None]));
        assert_eq!(Literal::parse(b"{}").unwrap(), Dict(vec![]));
    }

    #[test]
    fn what_is_refused() {
        let deep = "(".repeat(3000);
        let long = " ".repeat(MAX_LENGTH + 1);
        let nested = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        for (text, part) in [
            ("", "ends too early"),
            (deep.as_str(), "nested deeper than 32"),
            (nested.as_str(), "nested deeper than 32"),
            (long.as_str(), "longer than"),
            ("__import__('os')", "'_'"),
            ("os.system('x')", "no value: os"),
            ("(1, 2", "ends too early"),
            ("(1 2)", "'2'"),
            ("(,)", "','"),
            ("{1 2}", "'2'"),
            ("{1: 2 3}", "'3'"),
            ("1 + 1", "'+'"),
            ("'abc", "ends within a string"),
            ("'\\q'", "escape"),
            ("'\\xg0'", "escape"),
            ("'\\ud800'", "escape"),
            ("99999999999999999999", "too large"),
            ("-", "number that is none"),
            ("(1,) x", "'x'"),
        ] {
            let error = Literal::parse(text.as_bytes()).unwrap_err();
            assert!(error.message().contains(part), "{text:.40}: {error}");
        }
        assert!(Literal::parse(b"'\xff'").unwrap_err().message().contains("UTF-8"));
        assert!(Literal::parse(&nested.as_bytes()[1..nested.len() - 1]).is_ok());
    }
}

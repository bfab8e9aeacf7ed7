//! Erlang terms as text, as far as the RabbitMQ JMS client writes them: atoms, numbers, binaries of one string, lists, tuples;
//! a full stop at the end.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, one_of};
use nom::combinator::{map, opt, recognize, verify};
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

use crate::limits::SELECTOR_DEPTH_MAX;

/// A term.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Atom(Box<[u8]>),
    Integer(i64),
    Float(f64),
    Binary(Box<[u8]>),
    List(Vec<Term>),
    Tuple(Vec<Term>),
}

impl Term {
    /// Reads the whole of `text`; `None` when it is no term, or nested too deep.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let full_stop = (space, char('.'), space);
        let (rest, (term, _)) = (|text| term(text, 0), full_stop).parse(text).ok()?;
        rest.is_empty().then_some(term)
    }
}

/// Takes little of the stack for a level: what is nested comes from outside.
fn term(text: &[u8], depth: usize) -> IResult<&[u8], Term> {
    if depth > SELECTOR_DEPTH_MAX {
        return Err(nom::Err::Failure(nom::error::Error::new(text, nom::error::ErrorKind::TooLarge)));
    }
    let (text, _) = space(text)?;
    match text.first() {
        Some(b'{') => map_term(row(text, b'}', depth + 1)?, Term::Tuple),
        Some(b'[') => map_term(row(text, b']', depth + 1)?, Term::List),
        Some(b'<') => map_term(binary(text)?, Term::Binary),
        Some(b'\'' | b'a'..=b'z') => map_term(atom(text)?, Term::Atom),
        _ => number(text),
    }
}

fn map_term<T>((rest, value): (&[u8], T), as_term: fn(T) -> Term) -> IResult<&[u8], Term> {
    Ok((rest, as_term(value)))
}

/// Terms with commas between them, after an opening bracket, up to the closing one.
fn row(text: &[u8], close: u8, depth: usize) -> IResult<&[u8], Vec<Term>> {
    let mut terms = Vec::new();
    let (mut rest, _) = space(text.get(1..).unwrap_or_default())?;
    if let Some(rest) = rest.strip_prefix(&[close]) {
        return Ok((rest, terms));
    }
    loop {
        let (after, value) = term(rest, depth)?;
        terms.push(value);
        let (after, sign) = separator(after)?;
        if sign == close {
            return Ok((after, terms));
        }
        if sign != b',' {
            return Err(nom::Err::Error(nom::error::Error::new(rest, nom::error::ErrorKind::OneOf)));
        }
        rest = after;
    }
}

fn separator(text: &[u8]) -> IResult<&[u8], u8> {
    preceded(space, nom::number::complete::u8).parse(text)
}

fn space(text: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while(|byte: u8| byte.is_ascii_whitespace()).parse(text)
}

/// `<<"text">>` or `<<>>`
fn binary(text: &[u8]) -> IResult<&[u8], Box<[u8]>> {
    let inside = opt(|text| quoted(text, b'"'));
    map(delimited(tag("<<"), delimited(space, inside, space), tag(">>")), Option::unwrap_or_default).parse(text)
}

/// `'any text'` or `plainText`
fn atom(text: &[u8]) -> IResult<&[u8], Box<[u8]>> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'@';
    let plain = verify(take_while1(part), |word: &[u8]| word.first().is_some_and(u8::is_ascii_lowercase));
    alt((|text| quoted(text, b'\''), map(plain, Box::from))).parse(text)
}

/// An integer of 64 bits, or a float: digits on both sides of its point.
fn number(text: &[u8]) -> IResult<&[u8], Term> {
    let digits = || take_while1(|byte: u8| byte.is_ascii_digit());
    let exponent = (one_of("eE"), opt(one_of("+-")), digits());
    let mut spelled = recognize((opt(one_of("+-")), digits(), opt((char('.'), digits(), opt(exponent)))));
    let (rest, spelled) = spelled.parse(text)?;
    let number = std::str::from_utf8(spelled).ok().and_then(|spelled| {
        if spelled.contains('.') {
            spelled.parse().ok().filter(|value: &f64| value.is_finite()).map(Term::Float)
        } else {
            spelled.parse().ok().map(Term::Integer)
        }
    });
    match number {
        Some(number) => Ok((rest, number)),
        None => Err(nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Digit))),
    }
}

/// Text between two quotes of one kind, in which a backslash takes away or gives meaning.
fn quoted(text: &[u8], quote: u8) -> IResult<&[u8], Box<[u8]>> {
    let (mut rest, _) = char(char::from(quote)).parse(text)?;
    let mut out = Vec::new();
    loop {
        let (after, plain) = take_while(|byte| byte != quote && byte != b'\\').parse(rest)?;
        out.extend_from_slice(plain);
        if let Some(after) = after.strip_prefix(&[quote]) {
            return Ok((after, out.into()));
        }
        let (after, byte) = preceded(char('\\'), escaped).parse(after)?;
        out.push(byte);
        rest = after;
    }
}

/// What stands after a backslash: octal digits, `x` and two hexadecimal ones, a letter with a meaning, or itself.
fn escaped(text: &[u8]) -> IResult<&[u8], u8> {
    let octal = verify(
        nom::bytes::complete::take_while_m_n(1, 3, |byte: u8| (b'0'..=b'7').contains(&byte)),
        |digits: &[u8]| value_of(digits, 8).is_some(),
    );
    let hex = pair(char('x'), nom::bytes::complete::take_while_m_n(2, 2, |byte: u8| byte.is_ascii_hexdigit()));
    alt((
        map(octal, |digits| value_of(digits, 8).unwrap_or_default()),
        map(hex, |(_, digits)| value_of(digits, 16).unwrap_or_default()),
        map(nom::number::complete::u8, |letter| match letter {
            b'b' => 8,
            b'd' => 127,
            b'e' => 27,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b's' => b' ',
            b't' => b'\t',
            b'v' => 11,
            other => other,
        }),
    ))
    .parse(text)
}

fn value_of(digits: &[u8], radix: u32) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(name: &str) -> Term {
        Term::Atom(name.as_bytes().into())
    }

    fn binary(text: &str) -> Term {
        Term::Binary(text.as_bytes().into())
    }

    #[test]
    fn terms_are_read() {
        let examples = [
            ("true.", atom("true")),
            ("'is null'. ", atom("is null")),
            ("-12.", Term::Integer(-12)),
            ("+3 .", Term::Integer(3)),
            ("1.0E10.", Term::Float(1e10)),
            ("0.5.", Term::Float(0.5)),
            ("<<>>.", binary("")),
            ("<< \"a\\\"b\\\\c\\n\\x41\\101\" >>.", binary("a\"b\\c\nAA")),
            ("[].", Term::List(vec![])),
            (
                " { ident , <<\"größe\">>, [1,<<\"x\">>] } .\n",
                Term::Tuple(vec![atom("ident"), binary("größe"), Term::List(vec![Term::Integer(1), binary("x")])]),
            ),
        ];
        for (text, expected) in examples {
            assert_eq!(Term::parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_term_is_refused() {
        for text in [
            "",
            ".",
            "x = 1",
            "{foo",
            "{'=',1,1}",
            "{a,}.",
            "[1 2].",
            "<<\"a>>.",
            "<<\"a\\",
            "'a",
            "Variable.",
            "1. 2.",
            "99999999999999999999.",
            "1e5.",
            "1.0e999.",
            "\"list\".",
        ] {
            assert_eq!(Term::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}1{}.", "{".repeat(depth), "}".repeat(depth));
        assert!(Term::parse(nested(SELECTOR_DEPTH_MAX).as_bytes()).is_some());
        assert_eq!(Term::parse(nested(SELECTOR_DEPTH_MAX + 1).as_bytes()), None);
        assert_eq!(Term::parse(nested(100_000).as_bytes()), None);
    }
}

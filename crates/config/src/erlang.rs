//! Erlang terms, as they stand in `advanced.config`, `rabbitmq.config`, `enabled_plugins` and on the command line of the Erlang
//! machine: atoms, strings, binaries, numbers, tuples, lists and maps.

use std::fmt;

use crate::limits::TERM_DEPTH_MAX;

/// A term.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Atom(String),
    /// A string or a binary.
    Text(String),
    Integer(i64),
    Float(f64),
    Tuple(Vec<Term>),
    List(Vec<Term>),
    /// Keys and values in turn.
    Map(Vec<Term>),
}

/// Where a text is no term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) expected: &'static str,
}

/// Reads one term with a dot after it; there is nothing in an empty text.
pub(crate) fn parse_file(text: &str) -> Result<Option<Term>, Malformed> {
    let mut reader = Reader::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    reader.skip_blanks();
    if reader.rest().is_empty() {
        return Ok(None);
    }
    let term = reader.term(0)?;
    reader.symbol('.', "a dot after the term")?;
    reader.end()?;
    Ok(Some(term))
}

/// Reads one term without a dot.
pub(crate) fn parse_term(text: &str) -> Result<Term, Malformed> {
    let mut reader = Reader::new(text);
    let term = reader.term(0)?;
    reader.end()?;
    Ok(term)
}

impl Term {
    /// The items of a list; a string counts as none.
    pub(crate) fn items(&self) -> &[Term] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The two parts of a pair whose first is an atom.
    pub(crate) fn pair(&self) -> Option<(&str, &Term)> {
        match self {
            Self::Tuple(parts) => match parts.as_slice() {
                [Self::Atom(name), value] => Some((name, value)),
                _ => None,
            },
            // `proxy_protocol` stands for `{proxy_protocol, true}`, but not here: we have nothing to point to.
            _ => None,
        }
    }

    /// An atom, a text or a number as it is written in rabbitmq.conf.
    pub(crate) fn plain(&self) -> Option<String> {
        match self {
            Self::Atom(text) | Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::List(items) if items.is_empty() => Some(String::new()),
            _ => None,
        }
    }
}

/// As Erlang writes it.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str, quote: char| {
            let text = text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"));
            format!("{quote}{text}{quote}")
        };
        let listed = |items: &[Self]| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match self {
            Self::Atom(name) => f.write_str(&quoted(name, '\'')),
            Self::Text(text) => f.write_str(&quoted(text, '"')),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Tuple(items) => write!(f, "{{{}}}", listed(items)),
            Self::List(items) => write!(f, "[{}]", listed(items)),
            Self::Map(items) => {
                let pairs: Vec<String> = items
                    .chunks(2)
                    .map(|pair| pair.iter().map(ToString::to_string).collect::<Vec<_>>().join("=>"))
                    .collect();
                write!(f, "#{{{}}}", pairs.join(","))
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, expected: &'static str) -> Read<T> {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        Err(Malformed { line: before.matches('\n').count() + 1, expected })
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn eat(&mut self, text: &str) -> bool {
        let is_here = self.rest().starts_with(text);
        if is_here {
            self.at += text.len();
        }
        is_here
    }

    /// Blanks and comments.
    fn skip_blanks(&mut self) {
        while let Some(letter) = self.peek() {
            match letter {
                '%' => drop(self.while_true(|letter| letter != '\n')),
                blank if blank.is_whitespace() => drop(self.next()),
                _ => return,
            }
        }
    }

    fn while_true(&mut self, is_in: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|letter| !is_in(letter)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn symbol(&mut self, symbol: char, expected: &'static str) -> Read<()> {
        self.skip_blanks();
        if self.peek() != Some(symbol) {
            return self.fail(expected);
        }
        self.next();
        Ok(())
    }

    fn end(&mut self) -> Read<()> {
        self.skip_blanks();
        if self.rest().is_empty() { Ok(()) } else { self.fail("nothing more") }
    }

    fn term(&mut self, depth: usize) -> Read<Term> {
        if depth > TERM_DEPTH_MAX {
            return self.fail("terms that are not so deep within others");
        }
        self.skip_blanks();
        match self.peek() {
            Some('{') => Ok(Term::Tuple(self.sequence('}', depth)?)),
            Some('[') => Ok(Term::List(self.sequence(']', depth)?)),
            Some('#') => self.map(depth),
            Some('<') => self.binary(),
            Some('"') => self.string(),
            Some('\'') => Ok(Term::Atom(self.quoted('\'')?)),
            Some('$') => self.letter(),
            Some(sign) if sign == '-' || sign == '+' || sign.is_ascii_digit() => self.number(),
            Some(letter) if letter.is_lowercase() => {
                let name = self.while_true(|letter| letter.is_alphanumeric() || "_@".contains(letter));
                Ok(Term::Atom(name.to_owned()))
            }
            _ => self.fail("a term: an atom, a string, a number, a tuple or a list"),
        }
    }

    /// Terms with commas between them, up to `close`; the opening letter is next.
    fn sequence(&mut self, close: char, depth: usize) -> Read<Vec<Term>> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if items.is_empty() && self.peek() == Some(close) {
                self.next();
                return Ok(items);
            }
            items.push(self.term(depth + 1)?);
            self.skip_blanks();
            match self.next() {
                Some(',') => (),
                Some(letter) if letter == close => return Ok(items),
                _ => return self.fail("a comma or the closing bracket"),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Read<Term> {
        if !self.eat("#{") {
            return self.fail("a map");
        }
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if items.is_empty() && self.eat("}") {
                return Ok(Term::Map(items));
            }
            items.push(self.term(depth + 1)?);
            self.skip_blanks();
            if !self.eat("=>") {
                return self.fail("=> after the key of a map");
            }
            items.push(self.term(depth + 1)?);
            self.skip_blanks();
            match self.next() {
                Some(',') => (),
                Some('}') => return Ok(Term::Map(items)),
                _ => return self.fail("a comma or the closing bracket"),
            }
        }
    }

    /// `<<"text">>`, `<<"text"/utf8>>`, `<<>>`.
    fn binary(&mut self) -> Read<Term> {
        if !self.eat("<<") {
            return self.fail("<<");
        }
        self.skip_blanks();
        let text = if self.peek() == Some('"') { self.quoted('"')? } else { String::new() };
        self.skip_blanks();
        self.eat("/utf8");
        self.skip_blanks();
        if self.eat(">>") { Ok(Term::Text(text)) } else { self.fail(">>") }
    }

    /// Strings that follow one another are one.
    fn string(&mut self) -> Read<Term> {
        let mut text = self.quoted('"')?;
        loop {
            self.skip_blanks();
            if self.peek() != Some('"') {
                return Ok(Term::Text(text));
            }
            text.push_str(&self.quoted('"')?);
        }
    }

    fn quoted(&mut self, quote: char) -> Read<String> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some(letter) if letter == quote => return Ok(text),
                Some('\\') => text.extend(self.escaped()),
                Some(letter) => text.push(letter),
                None => return self.fail("a closing quote"),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            's' => ' ',
            'e' => '\u{1b}',
            '0' => '\0',
            other => other,
        })
    }

    /// `$a` is the number of the letter.
    fn letter(&mut self) -> Read<Term> {
        self.next();
        let letter = match self.next() {
            Some('\\') => self.escaped(),
            letter => letter,
        };
        letter.map_or_else(|| self.fail("a letter"), |letter| Ok(Term::Integer(i64::from(u32::from(letter)))))
    }

    fn number(&mut self) -> Read<Term> {
        let sign = self.while_true(|letter| letter == '-' || letter == '+');
        let digits = self.while_true(|letter| letter.is_ascii_digit() || letter == '_').replace('_', "");
        let value = if self.eat("#") {
            let base = digits.parse().ok().filter(|base| (2..=36).contains(base));
            let digits = self.while_true(|letter| letter.is_ascii_alphanumeric());
            base.and_then(|base| i64::from_str_radix(&format!("{sign}{digits}"), base).ok()).map(Term::Integer)
        } else if self.rest().starts_with('.') && self.rest().chars().nth(1).is_some_and(|next| next.is_ascii_digit()) {
            self.next();
            let fraction = self.while_true(|letter| letter.is_ascii_alphanumeric() || "+-".contains(letter));
            format!("{sign}{digits}.{fraction}").parse().ok().map(Term::Float)
        } else {
            format!("{sign}{digits}").parse().ok().map(Term::Integer)
        };
        value.map_or_else(|| self.fail("a number"), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(name: &str) -> Term {
        Term::Atom(name.into())
    }

    #[test]
    fn terms_are_read() {
        let text = |text: &str| Term::Text(text.into());
        for (written, expected) in [
            ("atom", atom("atom")),
            ("'quoted atom'", atom("quoted atom")),
            ("rabbit@localhost", atom("rabbit@localhost")),
            ("\"a string\"", text("a string")),
            ("\"a\" \n \"b\"", text("ab")),
            ("\"q\\\"q\"", text("q\"q")),
            ("<<\"binary\">>", text("binary")),
            ("<<\"binary\"/utf8>>", text("binary")),
            ("<<>>", text("")),
            ("5672", Term::Integer(5672)),
            ("-5", Term::Integer(-5)),
            ("1_000", Term::Integer(1000)),
            ("16#ff", Term::Integer(255)),
            ("0.4", Term::Float(0.4)),
            ("1.0e3", Term::Float(1000.0)),
            ("1.0e+3", Term::Float(1000.0)),
            ("1.0e-3", Term::Float(0.001)),
            ("$a", Term::Integer(97)),
            ("[]", Term::List(vec![])),
            ("{}", Term::Tuple(vec![])),
            ("[a,{b,1}]", Term::List(vec![atom("a"), Term::Tuple(vec![atom("b"), Term::Integer(1)])])),
            ("#{a => 1}", Term::Map(vec![atom("a"), Term::Integer(1)])),
            ("% why\n a % because", atom("a")),
        ] {
            assert_eq!(parse_term(written), Ok(expected), "{written}");
        }
    }

    #[test]
    fn a_file_is_one_term_and_a_dot() {
        assert_eq!(parse_file("[rabbitmq_management].\n"), Ok(Some(Term::List(vec![atom("rabbitmq_management")]))));
        assert_eq!(parse_file("% nothing\n"), Ok(None));
        assert_eq!(
            parse_file("[\n {a, 1}\n {b, 2}\n]."),
            Err(Malformed { line: 3, expected: "a comma or the closing bracket" })
        );
        assert_eq!(parse_file("[a]"), Err(Malformed { line: 1, expected: "a dot after the term" }));
        assert_eq!(parse_file("[a]. b"), Err(Malformed { line: 1, expected: "nothing more" }));
        assert_eq!(
            parse_file("[a, Var]."),
            Err(Malformed { line: 1, expected: "a term: an atom, a string, a number, a tuple or a list" })
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        for written in ["{a,[1,-2,0.5,\"q\\\"q\\\\\"],'x y'}", "#{a=>1,\"b\"=>[]}", "{constant,true}"] {
            let term = parse_term(written).unwrap();
            assert_eq!(parse_term(&term.to_string()), Ok(term), "{written}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse_term(&"[".repeat(100_000)).is_err());
        assert!(parse_term(&"{a,".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,80}", terms in "[\\[\\]{}<>#=,.\"'$%a1\n _-]{0,40}") {
            let _ = parse_file(&text);
            let _ = parse_term(&text);
            let _ = parse_file(&terms);
            let _ = parse_term(&terms);
        }
    }
}

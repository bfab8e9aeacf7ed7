//! The grammar of `rabbitmq.conf`: a setting a line, `key = value`, `#` for comments.
//!
//! ```text
//! listeners.tcp.default = 5673     # the rest is a comment
//! default_pass = 'with # inside'
//! default_users.a\.b.tags = monitoring
//! include conf.d/*.conf
//! ```

/// What one line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) statement: Statement,
    /// What the writer may not have meant.
    pub(crate) doubt: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// A key in its written form, and a value without its quotes.
    Set { key: String, value: String },
    /// Another file, or a pattern for files.
    Include(String),
}

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) number: usize,
    pub(crate) expected: &'static str,
}

const GLUED_COMMENT: &str = "what follows the # is a comment: put the value in single quotes if it belongs to it";
const DOUBLE_QUOTES: &str = "the double quotes belong to the value: leave them out, or take single ones";

/// Reads a file's text. Lines that are wrong do not hide others.
pub(crate) fn parse(text: &str) -> (Vec<Line>, Vec<Malformed>) {
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match parse_line(line.trim()) {
            Ok(Some((statement, doubt))) => lines.push(Line { number, statement, doubt }),
            Ok(None) => (),
            Err(expected) => wrong.push(Malformed { number, expected }),
        }
    }
    (lines, wrong)
}

type Parsed = (Statement, Option<&'static str>);

fn parse_line(line: &str) -> Result<Option<Parsed>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(path) = line.strip_prefix("include ") {
        let (path, doubt) = parse_value(path.trim_start())?;
        return Ok(Some((Statement::Include(path), doubt)));
    }
    let (key, value) = line.split_once('=').ok_or("expected `key = value`")?;
    let key = key.trim();
    if key.is_empty() || key.contains(|letter: char| letter.is_whitespace() || "#'\"".contains(letter)) {
        return Err("expected a key of words with dots between them before the `=`");
    }
    let (value, doubt) = parse_value(value.trim_start())?;
    Ok(Some((Statement::Set { key: key.to_owned(), value }, doubt)))
}

fn parse_value(text: &str) -> Result<(String, Option<&'static str>), &'static str> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'').ok_or("expected a closing single quote")?;
        let rest = rest.trim_start();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err("expected the end of the line, or a comment, after the closing single quote");
        }
        return Ok((value.to_owned(), None));
    }
    let (value, comment) = text.split_once('#').map_or((text, false), |(value, _)| (value, true));
    let is_glued = comment && value.ends_with(|letter: char| !letter.is_whitespace());
    let value = value.trim();
    if value.is_empty() {
        return Err("expected a value after the `=`; an empty one is written ''");
    }
    let is_double = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    let doubt = if is_glued { Some(GLUED_COMMENT) } else { is_double.then_some(DOUBLE_QUOTES) };
    Ok((value.to_owned(), doubt))
}

/// The words of a key; `\.` is a dot within one.
pub(crate) fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next_if_eq(&'.').is_some() => push(&mut words, '.'),
            '.' => words.push(String::new()),
            other => push(&mut words, other),
        }
    }
    words
}

fn push(words: &mut [String], letter: char) {
    if let Some(word) = words.last_mut() {
        word.push(letter);
    }
}

/// A name as one word of a key.
pub(crate) fn word(name: &str) -> String {
    name.replace('.', "\\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Vec<(usize, String, String)> {
        let (lines, wrong) = parse(text);
        assert_eq!(wrong, [], "{text}");
        let sets = lines.into_iter().map(|line| match line.statement {
            Statement::Set { key, value } => (line.number, key, value),
            Statement::Include(path) => (line.number, "include".to_owned(), path),
        });
        sets.collect()
    }

    #[test]
    fn settings_are_read() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("  a.b.c   =   some words  ", "a.b.c", "some words"),
            ("a = b # more", "a", "b"),
            ("a = b\r", "a", "b"),
            ("a = ' b # c '", "a", " b # c "),
            ("a = '' # nothing", "a", ""),
            ("a = x=y", "a", "x=y"),
            ("\u{feff}a = b", "a", "b"),
            ("a = amqp://u:p@h/%2f", "a", "amqp://u:p@h/%2f"),
            ("include conf.d/*.conf", "include", "conf.d/*.conf"),
        ] {
            assert_eq!(set(text), [(1, key.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_and_the_last_needs_no_end() {
        let text = "# first\n\n   # indented\na = 1\n\n\nb = 2";
        assert_eq!(set(text), [(4, "a".into(), "1".into()), (7, "b".into(), "2".into())]);
    }

    #[test]
    fn wrong_lines_are_all_told() {
        let (lines, wrong) = parse("a\nb = \nc d = 1\n= 5\ne = 'x\nf = 'x' y\ng = 1");
        assert_eq!(wrong.iter().map(|wrong| wrong.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn doubtful_values_are_marked() {
        for (text, doubt) in [
            ("a = pass#word", Some(GLUED_COMMENT)),
            ("a = \"guest\"", Some(DOUBLE_QUOTES)),
            ("a = pass #word", None),
            ("a = 'pass#word'", None),
        ] {
            assert_eq!(parse(text).0[0].doubt, doubt, "{text}");
        }
    }

    #[test]
    fn a_dot_may_belong_to_a_word() {
        assert_eq!(words("a.b\\.c.d"), ["a", "b.c", "d"]);
        assert_eq!(words(&format!("x.{}", word("b.c"))), ["x", "b.c"]);
        assert_eq!(words(""), [""]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".*") {
            let (lines, wrong) = parse(&text);
            proptest::prop_assert!(lines.len() + wrong.len() <= text.lines().count());
        }

        #[test]
        fn what_is_written_is_read(key in "[a-z_]{1,9}(\\.[a-z0-9_]{1,9}){0,3}", value in "[^'\r\n]{0,20}") {
            let (lines, wrong) = parse(&format!(" {key} = '{value}' # and so on"));
            proptest::prop_assert_eq!(wrong, []);
            proptest::prop_assert_eq!(&lines[0].statement, &Statement::Set { key, value });
        }
    }
}

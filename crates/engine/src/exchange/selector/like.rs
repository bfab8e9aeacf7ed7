//! Patterns of LIKE: `%` stands for any text, `_` for any one character.

/// A pattern of LIKE.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Sign>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    /// A character, or a byte of what is no UTF-8.
    Literal(u32),
    AnyOne,
    Any,
}

impl Pattern {
    /// Reads a pattern. What follows `escape` means itself.
    pub(super) fn of(pattern: &[u8], escape: Option<char>) -> Self {
        let escape = escape.map(u32::from);
        let mut characters = characters(pattern).peekable();
        let mut signs = Vec::new();
        while let Some(character) = characters.next() {
            let sign = match char::from_u32(character) {
                _ if Some(character) == escape && characters.peek().is_some() => {
                    characters.next().map_or(Sign::AnyOne, Sign::Literal)
                }
                Some('%') => Sign::Any,
                Some('_') => Sign::AnyOne,
                _ => Sign::Literal(character),
            };
            // Two in a row say no more than one.
            if sign != Sign::Any || signs.last() != Some(&Sign::Any) {
                signs.push(sign);
            }
        }
        Self(signs)
    }

    /// Whether the whole of `text` fits. The work is bounded by the product of the lengths: only the last `%` is taken up again.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let text: Vec<u32> = characters(text).collect();
        let (mut at, mut sign_at) = (0, 0);
        let mut resume: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(sign_at), text.get(at)) {
                (Some(Sign::Any), _) => {
                    resume = Some((at, sign_at));
                    sign_at += 1;
                }
                (Some(Sign::AnyOne), Some(_)) => (at, sign_at) = (at + 1, sign_at + 1),
                (Some(Sign::Literal(literal)), Some(character)) if literal == character => {
                    (at, sign_at) = (at + 1, sign_at + 1);
                }
                (None, None) => return true,
                _ => match resume {
                    // The last `%` takes one character more.
                    Some((taken, any_at)) if taken < text.len() => {
                        resume = Some((taken + 1, any_at));
                        (at, sign_at) = (taken + 1, any_at + 1);
                    }
                    _ => return false,
                },
            }
        }
    }
}

/// The characters of a text; of what is no UTF-8 the bytes, beyond all characters.
fn characters(text: &[u8]) -> impl Iterator<Item = u32> {
    text.utf8_chunks().flat_map(|chunk| {
        let odd = chunk.invalid().iter().map(|byte| u32::from(char::MAX) + 1 + u32::from(*byte));
        chunk.valid().chars().map(u32::from).chain(odd)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_like(text: &str, pattern: &str, escape: Option<char>) -> bool {
        Pattern::of(pattern.as_bytes(), escape).matches(text.as_bytes())
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (text, pattern, fits) in [
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("12993", "12%3", true),
            ("1234", "12%3", false),
            ("lose", "l_se", true),
            ("loose", "l_se", false),
            ("größe", "gr_%e", true),
            ("a\nb", "a_b", true),
            ("aXbXc", "%b%c", true),
            ("abab", "%ab", true),
            ("a.c", "a.c", true),
            ("abc", "a.c", false),
        ] {
            assert_eq!(is_like(text, pattern, None), fits, "{text:?} like {pattern:?}");
        }
        assert!(Pattern::of(b"_\xff%", None).matches(b"a\xff"));
        assert!(!Pattern::of(b"\xff", None).matches(b"\xfe"));
    }

    #[test]
    fn an_escaped_sign_means_itself() {
        assert!(is_like("_foo", r"\_%", Some('\\')));
        assert!(!is_like("bar", r"\_%", Some('\\')));
        assert!(is_like("100%", "100!%", Some('!')));
        assert!(is_like("a!", "a!!", Some('!')));
        // There is nothing left to escape.
        assert!(is_like("a!", "a!", Some('!')));
        assert!(is_like("a%", "a__", Some('_')) == is_like("a%", "a!_", Some('!')));
    }

    fn naive(text: &[char], pattern: &[char]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            (['%', rest @ ..], _) => (0..=text.len()).any(|taken| naive(&text[taken..], rest)),
            (['_', rest @ ..], [_, text @ ..]) => naive(text, rest),
            ([literal, rest @ ..], [character, text @ ..]) => literal == character && naive(text, rest),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_a_naive_reading_says(text in "[ab]{0,12}", pattern in "[ab_%]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(is_like(&text, &pattern, None), naive(&characters(&text), &characters(&pattern)));
        }
    }
}

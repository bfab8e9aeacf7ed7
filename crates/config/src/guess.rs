//! What somebody may have meant.

use crate::limits::GUESSED_CHARS_MAX;

/// The known name that is nearest to a mistyped one, if any is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 4).clamp(1, 4);
    let near = known.filter_map(|known| distance(name, known, allowed).map(|distance| (distance, known)));
    near.min_by_key(|(distance, known)| (*distance, known.len())).map(|(_, known)| known)
}

/// How many letters must be changed, left out, put in, or swapped with their neighbour; none when that is more than `max`.
pub(crate) fn distance(left: &str, right: &str, max: usize) -> Option<usize> {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > max || left.len().max(right.len()) > GUESSED_CHARS_MAX {
        return None;
    }
    // Rows of the usual table; `before` is needed for swaps.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&above, column) + usize::from(letter != other);
            let mut best = changed.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            let is_swap =
                column > 0 && row > 0 && right.get(column - 1) == Some(letter) && left.get(row - 1) == Some(other);
            if is_swap {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (left, right, expected) in [
            ("heartbeat", "heartbeat", Some(0)),
            ("hartbeat", "heartbeat", Some(1)),
            ("haertbeat", "heartbeat", Some(1)),
            ("heartbeats", "heartbeat", Some(1)),
            ("", "ab", Some(2)),
            ("abc", "xyz", Some(3)),
            ("abcdefgh", "zyxwvuts", None),
        ] {
            assert_eq!(distance(left, right, 3), expected, "{left} {right}");
        }
    }

    #[test]
    fn the_nearest_is_found() {
        let known = ["DEFAULT_PASS", "DEFAULT_USER", "LOGS"];
        assert_eq!(nearest("DEFAULT_PAS", known.into_iter()), Some("DEFAULT_PASS"));
        assert_eq!(nearest("DEFUALT_USER", known.into_iter()), Some("DEFAULT_USER"));
        assert_eq!(nearest("PORT_5672_TCP", known.into_iter()), None);
    }

    proptest::proptest! {
        #[test]
        fn it_is_the_same_both_ways(left in "[abc]{0,6}", right in "[abc]{0,6}") {
            proptest::prop_assert_eq!(distance(&left, &right, 9), distance(&right, &left, 9));
        }
    }
}

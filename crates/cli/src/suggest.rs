//! "Did you mean".

/// How alike a name must be to be proposed, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;

/// The name that is most like what was written, if one is like it at all.
pub(crate) fn closest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names.map(|name| (likeness(written, name), name)).filter(|(score, _)| *score >= LIKENESS_MIN);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

/// Jaro's likeness of two words: letters that both have at about the same place, less those that are out of order.
fn likeness(one: &str, other: &str) -> f64 {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    let reach = (one.len().max(other.len()) / 2).saturating_sub(1);
    let mut is_taken = vec![false; other.len()];
    let mut found_in_one = Vec::new();
    for (position, letter) in one.iter().enumerate() {
        let from = position.saturating_sub(reach);
        let candidates = other.iter().zip(is_taken.iter_mut()).take(position + reach + 1).skip(from);
        if let Some((_, taken)) = candidates.into_iter().find(|(candidate, taken)| *candidate == letter && !**taken) {
            *taken = true;
            found_in_one.push(letter);
        }
    }
    if found_in_one.is_empty() {
        return 0.0;
    }
    let found_in_other = other.iter().zip(&is_taken).filter(|(_, taken)| **taken).map(|(letter, _)| letter);
    let swapped = found_in_one.iter().zip(found_in_other).filter(|(a, b)| **a != *b).count() / 2;
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let matches = count(found_in_one.len());
    (matches / count(one.len()) + matches / count(other.len()) + (matches - count(swapped)) / matches) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = [
        "list_queues",
        "list_feature_flags",
        "change_password",
        "set_permissions",
        "rotate_logs",
        "close_connection",
        "reset",
    ];

    #[test]
    fn a_name_that_is_nearly_right_is_proposed() {
        for (written, meant) in [
            ("lst_queues", Some("list_queues")),
            ("set_permissions_globally", Some("set_permissions")),
            ("hash_password", Some("change_password")),
            ("bogus_command", None),
            ("check_running", None),
        ] {
            assert_eq!(
                closest(written, NAMES.into_iter()),
                meant,
                "{written}: {:?}",
                NAMES.map(|name| likeness(written, name))
            );
        }
    }

    #[test]
    fn likeness_is_jaros() {
        assert!((likeness("MARTHA", "MARHTA") - 0.9444).abs() < 1e-4);
        assert!((likeness("DIXON", "DICKSONX") - 0.7667).abs() < 1e-4);
    }
}

//! Which passwords users may have.

use fancy_regex::Regex;

use crate::admin::AdminError;

/// Which passwords users may have (`credential_validator`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordRule {
    /// Any.
    #[default]
    None,
    /// Those of so many bytes at least.
    BytesMin(usize),
    /// Those in which this regular expression is found.
    Matches(String),
}

/// Judges passwords by a rule.
#[derive(Debug, Default)]
pub(crate) enum Judge {
    #[default]
    Lenient,
    BytesMin(usize),
    Matches(Regex),
}

impl Judge {
    pub(crate) fn new(rule: &PasswordRule) -> Result<Self, AdminError> {
        Ok(match rule {
            PasswordRule::None => Self::Lenient,
            PasswordRule::BytesMin(bytes) => Self::BytesMin(*bytes),
            PasswordRule::Matches(pattern) => Self::Matches(
                Regex::new(pattern)
                    .map_err(|error| AdminError::Pattern { pattern: pattern.clone(), reason: error.to_string() })?,
            ),
        })
    }

    /// What is wrong with a password, as RabbitMQ says it.
    pub(crate) fn judge(&self, password: &str) -> Result<(), String> {
        match self {
            Self::BytesMin(bytes) if password.len() < *bytes => {
                Err(format!("minimum required password length is {bytes}"))
            }
            Self::Matches(pattern) if !pattern.is_match(password).unwrap_or(false) => {
                Err("provided password does not match the validator regular expression".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_judged_by_length_or_pattern() {
        let judge = |rule: PasswordRule, password: &str| Judge::new(&rule).unwrap().judge(password);
        assert_eq!(judge(PasswordRule::None, ""), Ok(()));
        assert_eq!(judge(PasswordRule::BytesMin(5), "guest"), Ok(()));
        assert_eq!(judge(PasswordRule::BytesMin(4), "éé"), Ok(()));
        assert_eq!(judge(PasswordRule::BytesMin(5), "four"), Err("minimum required password length is 5".to_owned()));
        let digits = PasswordRule::Matches("[0-9]".to_owned());
        assert_eq!(judge(digits.clone(), "a1b"), Ok(()));
        assert_eq!(
            judge(digits, "abc"),
            Err("provided password does not match the validator regular expression".to_owned())
        );
        assert!(matches!(Judge::new(&PasswordRule::Matches("(".to_owned())), Err(AdminError::Pattern { .. })));
    }
}

//! Checks of a published message's properties.

use leveret_codec::properties::PropertiesRef;
use leveret_engine::error::Error;
use leveret_engine::names::Name;
use leveret_engine::user::User;

/// Ten years: the longest time that anything may take.
const EXPIRATION_MS_MAX: i128 = 315_360_000_000;

/// expiration has to be a number of milliseconds, as a decimal string.
pub(crate) fn check_expiration(properties: PropertiesRef<'_>) -> Result<(), Error> {
    let Some(value) = properties.expiration() else { return Ok(()) };
    let value = String::from_utf8_lossy(value);
    match expiration_fault(&value) {
        None => Ok(()),
        Some(reason) => Err(Error::InvalidExpiration { value: value.into_owned(), reason }),
    }
}

fn expiration_fault(value: &str) -> Option<String> {
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or(value);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    if digits == 0 {
        return Some("no_integer".to_owned());
    }
    let (number, rest) = value.split_at_checked(value.len() - unsigned.len() + digits)?;
    if !rest.is_empty() {
        return Some(format!("{{leftover_string,\"{rest}\"}}"));
    }
    let number = number.trim_start_matches('+');
    match number.parse::<i128>() {
        Ok(n) if n < 0 => Some(format!("{{value_negative,{n}}}")),
        Ok(n) if n <= EXPIRATION_MS_MAX => None,
        _ => Some(format!("{{value_too_large,{number}}}")),
    }
}

/// user-id has to be the user's own name, unless the user may set any.
pub(crate) fn check_user_id(properties: PropertiesRef<'_>, user: &User) -> Result<(), Error> {
    match properties.user_id() {
        Some(claimed) if claimed != user.name.as_bytes() && !user.is_impersonator() => Err(Error::UserIdMismatch {
            claimed: String::from_utf8_lossy(claimed).into_owned(),
            user: Name::clone(&user.name),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use leveret_codec::properties::Properties;

    use leveret_engine::permission::Rights;
    use leveret_engine::user::Account;

    use super::*;

    #[test]
    fn expiration_faults_are_told_as_rabbitmq_does() {
        assert_eq!(expiration_fault("0"), None);
        assert_eq!(expiration_fault("+7"), None);
        assert_eq!(expiration_fault("315360000000"), None);
        assert_eq!(expiration_fault("").as_deref(), Some("no_integer"));
        assert_eq!(expiration_fault("abc").as_deref(), Some("no_integer"));
        assert_eq!(expiration_fault("10foobar").as_deref(), Some("{leftover_string,\"foobar\"}"));
        assert_eq!(expiration_fault("-1").as_deref(), Some("{value_negative,-1}"));
        assert_eq!(expiration_fault("315360000001").as_deref(), Some("{value_too_large,315360000001}"));
    }

    #[test]
    fn only_impersonators_may_claim_to_be_others() {
        let user = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            User::new("bob", Account { tags, ..Account::default() }, Rights::default())
        };
        let claim = |user_id: &[u8], tags: &[&str]| {
            let mut encoded = Vec::new();
            Properties { user_id: Some(user_id.into()), ..Properties::default() }.encode(&mut encoded);
            check_user_id(PropertiesRef::from_checked(&encoded), &user(tags)).map_err(|error| error.to_string())
        };
        let refusal = "user_id property set to 'alice' but authenticated user was 'bob'";
        assert_eq!(claim(b"bob", &[]), Ok(()));
        assert_eq!(claim(b"alice", &["administrator"]), Err(refusal.to_owned()));
        assert_eq!(claim(b"alice", &["administrator", "impersonator"]), Ok(()));
    }
}

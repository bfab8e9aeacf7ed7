//! SASL mechanisms: from a response to a user.

use leveret_codec::erlang::Binary;
use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::{FieldValue, TableRef};

use crate::error::Failure;

/// What a response claims.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A name and its password.
    Password { user: Vec<u8>, password: Vec<u8> },
    /// Anybody: the user that is set for it.
    Anonymous,
}

/// Reads the response to `mechanism`.
pub(crate) fn claim(mechanism: &str, response: &[u8], ids: (u16, u16)) -> Result<Claim, Failure> {
    match mechanism {
        "PLAIN" => plain(response)
            .ok_or_else(|| Failure::new(ReplyCode::SyntaxError, format!("response {} invalid", Binary(response)), ids)),
        "AMQPLAIN" => amqplain(response).ok_or_else(|| {
            let text = format!("AMQPLAIN auth info {} is missing LOGIN or PASSWORD field", Binary(response));
            Failure::new(ReplyCode::SyntaxError, text, ids)
        }),
        "ANONYMOUS" => Ok(Claim::Anonymous),
        other => {
            let text = format!("unknown authentication mechanism '{other}'");
            Err(Failure::new(ReplyCode::CommandInvalid, text, ids))
        }
    }
}

/// `\0user\0password`; an identity to act as, before the first NUL, is not taken.
fn plain(response: &[u8]) -> Option<Claim> {
    let rest = response.strip_prefix(&[0])?;
    let nul = rest.iter().position(|byte| *byte == 0)?;
    let (user, password) = rest.split_at_checked(nul)?;
    let password = password.get(1..)?;
    (!password.contains(&0)).then(|| Claim::Password { user: user.to_vec(), password: password.to_vec() })
}

/// The contents of a field table with LOGIN and PASSWORD.
fn amqplain(response: &[u8]) -> Option<Claim> {
    let table = TableRef::from_raw(response).decode().ok()?;
    match (table.get(b"LOGIN"), table.get(b"PASSWORD")) {
        (Some(FieldValue::LongStr(user)), Some(FieldValue::LongStr(password))) => {
            Some(Claim::Password { user: user.to_vec(), password: password.to_vec() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Claim {
        Claim::Password { user: b"guest".to_vec(), password: b"guest".to_vec() }
    }

    #[test]
    fn plain_wants_two_nuls_and_no_identity() {
        assert_eq!(plain(b"\0guest\0guest"), Some(guest()));
        assert_eq!(plain(b"x\0guest\0guest"), None);
        assert_eq!(plain(b"\0guest"), None);
        assert_eq!(plain(b"\0guest\0a\0b"), None);
        assert_eq!(plain(b""), None);
    }

    #[test]
    fn amqplain_is_a_table_without_its_length() {
        assert_eq!(amqplain(b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest"), Some(guest()));
        assert_eq!(amqplain(b"\x05LOGINS\0\0\0\x05guest"), None);
        assert_eq!(amqplain(b"garbage"), None);
    }
}

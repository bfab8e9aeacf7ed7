//! SASL mechanisms: from a response to a user.

use leveret_codec::erlang::Binary;
use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::{FieldValue, TableRef};

use crate::error::Failure;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A name and a password, with NULs between.
    Plain,
    /// A name and a password in a field table.
    Amqplain,
    /// Nobody in particular.
    Anonymous,
    /// The name in the client's certificate.
    External,
}

impl Mechanism {
    /// Those of a broker that is told nothing else.
    pub const DEFAULT: [Self; 3] = [Self::Plain, Self::Amqplain, Self::Anonymous];

    /// The mechanism of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plain, Self::Amqplain, Self::Anonymous, Self::External]
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Amqplain => "AMQPLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
        }
    }
}

/// What a response claims.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A name and its password.
    Password { user: Vec<u8>, password: Vec<u8> },
    /// Anybody: the user that is set for it.
    Anonymous,
    /// Whoever the certificate says.
    External,
}

/// Reads the response to `mechanism`, which has to be one of those that were offered.
pub(crate) fn claim(
    mechanism: &str,
    offered: impl Fn(Mechanism) -> bool,
    response: &[u8],
    ids: (u16, u16),
) -> Result<Claim, Failure> {
    let refuse = |code, text| Err(Failure::new(code, text, ids));
    let Some(known) = Mechanism::from_name(mechanism) else {
        return refuse(ReplyCode::CommandInvalid, format!("unknown authentication mechanism '{mechanism}'"));
    };
    if !offered(known) {
        return refuse(ReplyCode::CommandInvalid, format!("invalid authentication mechanism '{mechanism}'"));
    }
    let (claim, text) = match known {
        Mechanism::Plain => (plain(response), format!("response {} invalid", Binary(response))),
        Mechanism::Amqplain => {
            let text = format!("AMQPLAIN auth info {} is missing LOGIN or PASSWORD field", Binary(response));
            (amqplain(response), text)
        }
        Mechanism::Anonymous => return Ok(Claim::Anonymous),
        Mechanism::External => return Ok(Claim::External),
    };
    claim.map_or_else(|| refuse(ReplyCode::SyntaxError, text), Ok)
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
    fn only_what_was_offered_is_taken() {
        let claim = |name: &str| claim(name, |mechanism| mechanism != Mechanism::External, b"\0guest\0guest", (10, 11));
        assert_eq!(claim("PLAIN"), Ok(guest()));
        assert_eq!(claim("ANONYMOUS"), Ok(Claim::Anonymous));
        for (name, adjective) in [("EXTERNAL", "invalid"), ("plain", "unknown"), ("RABBIT-CR-DEMO", "unknown")] {
            let refusal = format!("connection: 503 COMMAND_INVALID - {adjective} authentication mechanism '{name}'");
            assert_eq!(claim(name).map_err(|failure| failure.to_string()), Err(refusal));
        }
    }

    #[test]
    fn amqplain_is_a_table_without_its_length() {
        assert_eq!(amqplain(b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest"), Some(guest()));
        assert_eq!(amqplain(b"\x05LOGINS\0\0\0\x05guest"), None);
        assert_eq!(amqplain(b"garbage"), None);
    }
}

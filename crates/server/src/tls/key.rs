//! Private keys, also encrypted ones.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::TlsError;

const ENCRYPTED_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// In keys that OpenSSL encrypted before there was a standard for it.
const LEGACY_MARK: &str = "Proc-Type: 4,ENCRYPTED";

/// Reads a private key, and decrypts it if it has to be.
pub(crate) fn read(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(read)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.contains(LEGACY_MARK) {
        return Err(TlsError::LegacyEncryption { path: path.to_owned() });
    }
    if let Some((_, rest)) = text.split_once(ENCRYPTED_BEGIN) {
        let password = password.ok_or_else(|| TlsError::NoPassword { path: path.to_owned() })?;
        let body = rest.split_once(ENCRYPTED_END).map_or(rest, |(body, _)| body);
        return decrypt(body, password).map_err(|reason| TlsError::Password { path: path.to_owned(), reason });
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}

fn decrypt(base64_text: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let compact: String = base64_text.split_ascii_whitespace().collect();
    let der = BASE64_STANDARD.decode(compact).map_err(|error| error.to_string())?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(&*der).map_err(|error| error.to_string())?;
    let key = encrypted.decrypt(password).map_err(|error| error.to_string())?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    /// A key that opens nothing, encrypted by `openssl pkcs8 -topk8` with the password "secret".
    const ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjYmcxiaaLPIgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECXz0VjxdqDND5ZaxAQD5cEEQFj1
e2qBShdqFYTnB3i5DBmTgFSGZ9ZGkzPJHmqLeqo9zmvn3sCdH6WdNqkHgTzbGHUK
zn2YImwpdaAt6/3XC70=
-----END ENCRYPTED PRIVATE KEY-----
";

    /// What is in it.
    const DECRYPTED: &str = "MC4CAQAwBQYDK2VwBCIEIMyFxxOGsjWicmLhpnvebzykiaqnt2x1YK0ujoxf6SZI";

    fn read_text(text: &str, password: Option<&str>) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(&path, text).unwrap();
        read(&path, password).map(|key| key.secret_der().to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_encrypted_key_is_read_with_its_password() {
        let key = BASE64_STANDARD.decode(DECRYPTED).unwrap();
        assert_eq!(read_text(ENCRYPTED, Some("secret")), Ok(key));
        assert!(read_text(ENCRYPTED, Some("Secret")).unwrap_err().contains("cannot be decrypted"));
        assert!(read_text(ENCRYPTED, None).unwrap_err().contains("set ssl_options.password"));
    }

    #[test]
    fn a_key_that_is_not_encrypted_needs_no_password() {
        let text = format!("-----BEGIN PRIVATE KEY-----\n{DECRYPTED}\n-----END PRIVATE KEY-----\n");
        for password in [None, Some("whatever")] {
            assert_eq!(read_text(&text, password), Ok(BASE64_STANDARD.decode(DECRYPTED).unwrap()));
        }
        assert!(read_text("nothing", None).unwrap_err().contains("key.pem"));
    }
}

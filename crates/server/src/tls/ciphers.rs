//! Versions and ciphers by the names that configurations have for them.

use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

use super::TlsError;

/// A cipher suite: its names with OpenSSL and IANA, and the words of RabbitMQ's reports.
struct Names {
    suite: CipherSuite,
    openssl: &'static str,
    iana: &'static str,
    words: Words,
}

/// A cipher suite in the words of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) key_exchange: &'static str,
    pub(super) cipher: &'static str,
    pub(super) hash: &'static str,
}

const fn words(key_exchange: &'static str, cipher: &'static str) -> Words {
    Words { key_exchange, cipher, hash: "aead" }
}

/// Those that rustls has.
const KNOWN: [Names; 9] = [
    Names {
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        openssl: "TLS_AES_256_GCM_SHA384",
        iana: "TLS_AES_256_GCM_SHA384",
        words: words("any", "aes_256_gcm"),
    },
    Names {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        openssl: "TLS_AES_128_GCM_SHA256",
        iana: "TLS_AES_128_GCM_SHA256",
        words: words("any", "aes_128_gcm"),
    },
    Names {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        openssl: "TLS_CHACHA20_POLY1305_SHA256",
        iana: "TLS_CHACHA20_POLY1305_SHA256",
        words: words("any", "chacha20_poly1305"),
    },
    Names {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        openssl: "ECDHE-ECDSA-AES256-GCM-SHA384",
        iana: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        words: words("ecdhe_ecdsa", "aes_256_gcm"),
    },
    Names {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        openssl: "ECDHE-RSA-AES256-GCM-SHA384",
        iana: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        words: words("ecdhe_rsa", "aes_256_gcm"),
    },
    Names {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        openssl: "ECDHE-ECDSA-AES128-GCM-SHA256",
        iana: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        words: words("ecdhe_ecdsa", "aes_128_gcm"),
    },
    Names {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        openssl: "ECDHE-RSA-AES128-GCM-SHA256",
        iana: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        words: words("ecdhe_rsa", "aes_128_gcm"),
    },
    Names {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        openssl: "ECDHE-ECDSA-CHACHA20-POLY1305",
        iana: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        words: words("ecdhe_ecdsa", "chacha20_poly1305"),
    },
    Names {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        openssl: "ECDHE-RSA-CHACHA20-POLY1305",
        iana: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        words: words("ecdhe_rsa", "chacha20_poly1305"),
    },
];

/// The versions of these names; those that are spoken, if there are no names.
pub(super) fn versions(names: &[String]) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    if names.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let version = |name: &String| match name.to_ascii_lowercase().as_str() {
        "tlsv1.3" => Ok(&TLS13),
        "tlsv1.2" => Ok(&TLS12),
        _ => Err(TlsError::Version(name.clone())),
    };
    names.iter().map(version).collect()
}

/// The cipher suites of these names, as far as there are such. Those of TLS 1.3 are not dropped where none of them is named:
/// OpenSSL's lists of old do not know them.
pub(super) fn suites(
    names: &[String],
    versions: &[&SupportedProtocolVersion],
    all: &[SupportedCipherSuite],
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let find = |suite: CipherSuite| all.iter().find(|supported| supported.suite() == suite).copied();
    let mut chosen = Vec::new();
    for name in names {
        let known = KNOWN.iter().find(|known| known.openssl == name || known.iana == name);
        match known.and_then(|known| find(known.suite)) {
            Some(suite) => chosen.push(suite),
            None => tracing::warn!("cipher {name} is not supported and left out"),
        }
    }
    let is_13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    if versions.contains(&&TLS13) && !chosen.iter().any(is_13) {
        chosen.extend(all.iter().filter(|suite| is_13(suite)));
    }
    let usable = |suite: &SupportedCipherSuite| versions.contains(&suite.version());
    if versions.iter().all(|version| chosen.iter().any(|suite| suite.version() == *version)) {
        return Ok(chosen.into_iter().filter(usable).collect());
    }
    let supported = KNOWN.iter().map(|known| known.openssl).collect::<Vec<_>>().join(", ");
    Err(TlsError::Ciphers(supported))
}

/// A suite in the words of reports.
pub(super) fn in_words(suite: Option<CipherSuite>) -> Words {
    let known = KNOWN.iter().find(|known| Some(known.suite) == suite);
    known.map_or(Words { key_exchange: "unknown", cipher: "unknown", hash: "unknown" }, |known| known.words)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    fn chosen(names: &[&str], versions_named: &[&str]) -> Result<Vec<CipherSuite>, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let versions = versions(&owned(versions_named)).map_err(|error| error.to_string())?;
        let all = aws_lc_rs::default_provider().cipher_suites;
        let suites = suites(&owned(names), &versions, &all).map_err(|error| error.to_string())?;
        Ok(suites.iter().map(SupportedCipherSuite::suite).collect())
    }

    #[test]
    fn each_suite_of_the_library_has_its_names() {
        for suite in aws_lc_rs::default_provider().cipher_suites {
            assert!(KNOWN.iter().any(|known| known.suite == suite.suite()), "{suite:?}");
        }
    }

    #[test]
    fn ciphers_go_by_the_names_of_openssl_and_iana_in_the_order_given() {
        let expected = vec![
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ];
        let names = ["ECDHE-RSA-AES128-GCM-SHA256", "AES256-SHA", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"];
        assert_eq!(chosen(&names, &["tlsv1.2"]), Ok(expected));
    }

    #[test]
    fn a_list_of_old_ciphers_leaves_those_of_tls_1_3() {
        let suites = chosen(&["ECDHE-RSA-AES128-GCM-SHA256"], &[]).unwrap();
        assert_eq!(suites.len(), 4);
        assert_eq!(chosen(&["TLS_AES_128_GCM_SHA256"], &["tlsv1.3"]), Ok(vec![CipherSuite::TLS13_AES_128_GCM_SHA256]));
    }

    #[test]
    fn what_leaves_nothing_is_an_error() {
        assert!(chosen(&["AES256-SHA"], &["tlsv1.2"]).unwrap_err().contains("none of the configured ciphers"));
        assert!(chosen(&[], &["tlsv1.1"]).unwrap_err().starts_with("TLS version 'tlsv1.1' is not supported"));
    }
}

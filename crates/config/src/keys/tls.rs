//! TLS options, which look alike wherever they stand.

use super::{Key, Take};
use crate::settings::TlsVerify;

const VERIFY: &[&str] = &["verify_peer", "verify_none"];

/// Files, and whether the peer is looked at: the prefix of the keys, and the way to the settings.
macro_rules! files {
    ($prefix:literal, $($field:ident).+) => { files!($prefix, "verify", $($field).+) };
    ($prefix:literal, $verify:literal, $($field:ident).+) => {
        &[
            Key::honoured(concat!($prefix, ".cacertfile"), Take::Path(|s, _, path| s.$($field).+.ca_file = Some(path.into()))),
            Key::honoured(concat!($prefix, ".certfile"), Take::Path(|s, _, path| s.$($field).+.cert_file = Some(path.into()))),
            Key::honoured(concat!($prefix, ".keyfile"), Take::Path(|s, _, path| s.$($field).+.key_file = Some(path.into()))),
            Key::honoured(
                concat!($prefix, ".password"),
                Take::Text(|s, _, text| s.$($field).+.key_password = Some(text.to_owned())),
            ),
            Key::honoured(
                concat!($prefix, ".", $verify),
                Take::Choice(VERIFY, |s, _, text| s.$($field).+.verify = Some(verify(text))),
            ),
        ]
    };
}

/// What a listener has beside them.
macro_rules! listener {
    ($prefix:literal, $($field:ident).+) => {
        &[
            Key::honoured(
                concat!($prefix, ".fail_if_no_peer_cert"),
                Take::Bool(|s, _, is| s.$($field).+.fail_if_no_peer_cert = is),
            ),
            Key::honoured(
                concat!($prefix, ".depth"),
                Take::Number(0, 255, |s, _, n| s.$($field).+.depth = u8::try_from(n).ok()),
            ),
            Key::honoured(
                concat!($prefix, ".versions.$number"),
                Take::Text(|s, _, text| s.$($field).+.versions.push(text.to_owned())),
            ),
            Key::honoured(
                concat!($prefix, ".ciphers.$number"),
                Take::Text(|s, _, text| s.$($field).+.ciphers.push(text.to_owned())),
            ),
            Key::honoured(
                concat!($prefix, ".honor_cipher_order"),
                Take::Bool(|s, _, is| s.$($field).+.honor_cipher_order = is),
            ),
        ]
    };
}

fn verify(text: &str) -> TlsVerify {
    if text == "verify_peer" { TlsVerify::Peer } else { TlsVerify::None }
}

/// All of them, place by place.
pub(super) const KEYS: &[&[Key]] = &[
    files!("ssl_options", tls),
    listener!("ssl_options", tls),
    files!("management.ssl", management.http.tls),
    listener!("management.ssl", management.http.tls),
    files!("management.listener.ssl_opts", management.http.tls),
    listener!("management.listener.ssl_opts", management.http.tls),
    files!("prometheus.ssl", prometheus.http.tls),
    listener!("prometheus.ssl", prometheus.http.tls),
    files!("auth_http.ssl_options", auth.http.tls),
    files!("auth_oauth2.https", "peer_verification", auth.oauth2.tls),
    files!("auth_ldap.ssl_options", auth.ldap.tls),
];

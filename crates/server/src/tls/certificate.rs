//! What a connection's TLS and its client's certificate say, in the words of RabbitMQ's reports.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use leveret_session::login::{PeerCertificate, TlsFacts};
use rustls::ProtocolVersion;
use rustls::server::ServerConnection;
use x509_parser::asn1_rs::{Oid, Tag};
use x509_parser::prelude::{ASN1Time, AttributeTypeAndValue, FromDer as _, GeneralName, X509Certificate, X509Name};

use super::ciphers::in_words;
use super::{CertificateLogin, SanKind, TlsConfig};

const COMMON_NAME: &str = "2.5.4.3";

/// Types of names by their object identifiers; others go by the numbers themselves.
const TYPES: [(&str, &str); 17] = [
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATIONQUALIFIER"),
    (COMMON_NAME, "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.6", "C"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.65", "PSEUDONYM"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// What is known of a connection after its handshake.
pub(super) fn facts(config: &TlsConfig, connection: &ServerConnection) -> TlsFacts {
    let words = in_words(connection.negotiated_cipher_suite().map(|suite| suite.suite()));
    let first = connection.peer_certificates().and_then(<[_]>::first);
    let certificate = first.and_then(|der| X509Certificate::from_der(der).ok()).map(|(_, certificate)| certificate);
    let login_name = match &certificate {
        None => Err("connection peer presented no TLS (x.509) certificate"),
        Some(_) if !config.verify_peer => Err("TLS configuration is unsafe"),
        Some(certificate) => login_name(config.login_from, certificate).ok_or("no name found"),
    };
    TlsFacts {
        protocol: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "tlsv1.3",
            Some(ProtocolVersion::TLSv1_2) => "tlsv1.2",
            _ => "unknown",
        },
        key_exchange: words.key_exchange,
        cipher: words.cipher,
        hash: words.hash,
        peer: certificate.as_ref().map(peer_certificate),
        login_name,
    }
}

fn peer_certificate(certificate: &X509Certificate<'_>) -> PeerCertificate {
    let validity = certificate.validity();
    PeerCertificate {
        subject: distinguished_name(certificate.subject()),
        issuer: distinguished_name(certificate.issuer()),
        serial_number: certificate.tbs_certificate.serial.to_string(),
        validity: format!("{} - {}", in_iso_8601(&validity.not_before), in_iso_8601(&validity.not_after)),
    }
}

fn in_iso_8601(time: &ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

/// The name of the user whom a certificate stands for.
fn login_name(from: CertificateLogin, certificate: &X509Certificate<'_>) -> Option<String> {
    match from {
        CertificateLogin::DistinguishedName => Some(distinguished_name(certificate.subject())),
        CertificateLogin::CommonName => {
            let of_type = |name: &&AttributeTypeAndValue<'_>| name.attr_type().to_id_string() == COMMON_NAME;
            let names: Vec<String> = certificate.subject().iter_attributes().filter(of_type).map(text_of).collect();
            (!names.is_empty()).then(|| names.join(","))
        }
        CertificateLogin::SubjectAlternativeName { kind, index } => {
            let names = certificate.subject_alternative_name().ok()??;
            names.value.general_names.iter().filter_map(|name| of_kind(kind, name)).nth(index)
        }
    }
}

/// The name, if it is of this kind.
fn of_kind(kind: SanKind, name: &GeneralName<'_>) -> Option<String> {
    match (kind, name) {
        (SanKind::Dns, GeneralName::DNSName(name))
        | (SanKind::Email, GeneralName::RFC822Name(name))
        | (SanKind::Uri, GeneralName::URI(name)) => Some((*name).to_owned()),
        (SanKind::Ip, GeneralName::IPAddress(octets)) => ip_address(octets),
        // [0] EXPLICIT around a string, whose tags and lengths are two octets each as long as it is short.
        (SanKind::OtherName, GeneralName::OtherName(_, value)) => {
            let text = value.get(4..).filter(|_| value.first() == Some(&0xA0)).unwrap_or(value);
            Some(String::from_utf8_lossy(text).into_owned())
        }
        _ => None,
    }
}

fn ip_address(octets: &[u8]) -> Option<String> {
    let v4 = || <[u8; 4]>::try_from(octets).ok().map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    let v6 = || <[u8; 16]>::try_from(octets).ok().map(|octets| IpAddr::from(Ipv6Addr::from(octets)));
    v4().or_else(v6).map(|address| address.to_string())
}

/// A name as RFC 4514 writes it: the last part first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let name = |name| format!("{}={}", type_of(name), escaped(&text_of(name)));
            part.iter().map(name).collect::<Vec<_>>().join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn type_of(name: &AttributeTypeAndValue<'_>) -> String {
    let id = Oid::to_id_string(name.attr_type());
    TYPES.iter().find(|(known, _)| *known == id).map_or(id, |(_, text)| (*text).to_owned())
}

fn text_of(name: &AttributeTypeAndValue<'_>) -> String {
    let value = name.attr_value();
    if value.tag() == Tag::BmpString {
        let units: Vec<u16> = value
            .data
            .chunks_exact(2)
            .map(|pair| {
                u16::from_be_bytes([
                    pair.first().copied().unwrap_or_default(),
                    pair.last().copied().unwrap_or_default(),
                ])
            })
            .collect();
        return String::from_utf16_lossy(&units);
    }
    match std::str::from_utf8(value.data) {
        Ok(text) => text.to_owned(),
        // Strings of old, of which Latin 1 is the likeliest.
        Err(_) => value.data.iter().copied().map(char::from).collect(),
    }
}

/// Escapes what has a meaning in names, and all that is not printable ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b' ' if at == 0 || at == last => out.push_str("\\ "),
            b'#' if at == 0 => out.push_str("\\#"),
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                out.push('\\');
                out.push(byte.into());
            }
            32..126 => out.push(byte.into()),
            _ => {
                let _ = write!(out, "\\{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_rfc_4514_wants_it() {
        assert_eq!(escaped(" a,b+c "), "\\ a\\,b\\+c\\ ");
        assert_eq!(escaped("#x#"), "\\#x#");
        assert_eq!(escaped("Jürgen"), "J\\C3\\BCrgen");
        assert_eq!(escaped("O=a<b>\\\""), "O=a\\<b\\>\\\\\\\"");
        assert_eq!(escaped(" "), "\\ ");
        assert_eq!(escaped(""), "");
    }
}

//! JSON Web Tokens (RFC 7519) and the keys that they are signed with (RFC 7517). Only signatures by public keys are taken: with a
//! shared secret everybody who can verify a token could make one.

use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Map, Value};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

/// What a token says.
pub(super) type Claims = Map<String, Value>;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Invalid {
    #[error("provided token is invalid")]
    Malformed,
    #[error("signature_invalid")]
    Signature,
}

/// A token of which nothing is proved yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// Header and claims as they were signed.
    signed: &'a str,
    claims: Claims,
    signature: Vec<u8>,
}

impl Algorithm {
    const ALL: [(&'static str, Self); 10] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("EdDSA", Self::EdDsa),
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Invalid> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Invalid::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Invalid::Malformed)?;
        let header = object(header)?;
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        if header.contains_key("crit") {
            // Something has to be understood that is not.
            return Err(Invalid::Malformed);
        }
        Ok(Self {
            algorithm: algorithm.ok_or(Invalid::Malformed)?,
            key_id: header.get("kid").and_then(Value::as_str).map(str::to_owned),
            signed,
            claims: object(claims)?,
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| Invalid::Malformed)?,
        })
    }

    /// What it says, if it is signed with this key.
    pub(super) fn verified(self, key: &Key) -> Result<Claims, Invalid> {
        let (message, signature) = (self.signed.as_bytes(), &*self.signature);
        let rsa = |parameters: &'static RsaParameters, n: &[u8], e: &[u8]| {
            RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
        };
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature)
        };
        let verified = match (self.algorithm, key) {
            (Algorithm::Rs256, Key::Rsa { n, e }) => rsa(&RSA_PKCS1_2048_8192_SHA256, n, e),
            (Algorithm::Rs384, Key::Rsa { n, e }) => rsa(&RSA_PKCS1_2048_8192_SHA384, n, e),
            (Algorithm::Rs512, Key::Rsa { n, e }) => rsa(&RSA_PKCS1_2048_8192_SHA512, n, e),
            (Algorithm::Ps256, Key::Rsa { n, e }) => rsa(&RSA_PSS_2048_8192_SHA256, n, e),
            (Algorithm::Ps384, Key::Rsa { n, e }) => rsa(&RSA_PSS_2048_8192_SHA384, n, e),
            (Algorithm::Ps512, Key::Rsa { n, e }) => rsa(&RSA_PSS_2048_8192_SHA512, n, e),
            (Algorithm::Es256, Key::P256(point)) => by(&ECDSA_P256_SHA256_FIXED, point),
            (Algorithm::Es384, Key::P384(point)) => by(&ECDSA_P384_SHA384_FIXED, point),
            (Algorithm::Es512, Key::P521(point)) => by(&ECDSA_P521_SHA512_FIXED, point),
            (Algorithm::EdDsa, Key::Ed25519(key)) => by(&ED25519, key),
            _ => return Err(Invalid::Signature),
        };
        verified.map(|()| self.claims).map_err(|_| Invalid::Signature)
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Invalid> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Invalid::Malformed)
}

impl Key {
    /// A key of a JWKS. Those of other kinds, or for other uses, are nothing.
    pub(super) fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        // Coordinates may have lost zeros at their start.
        let point = |len: usize| {
            let mut point = vec![4];
            for coordinate in [bytes("x")?, bytes("y")?] {
                point.resize(point.len() + len.checked_sub(coordinate.len())?, 0);
                point.extend_from_slice(&coordinate);
            }
            Some(point)
        };
        match (text("kty")?, text("crv")) {
            ("RSA", _) => Some(Self::Rsa { n: bytes("n")?, e: bytes("e")? }),
            ("EC", Some("P-256")) => point(32).map(Self::P256),
            ("EC", Some("P-384")) => point(48).map(Self::P384),
            ("EC", Some("P-521")) => point(66).map(Self::P521),
            ("OKP", Some("Ed25519")) => bytes("x").map(Self::Ed25519),
            _ => None,
        }
    }

    /// A public key, or that of a certificate, in a PEM file.
    pub(super) fn from_pem_file(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let unusable = || format!("{} holds no public key or certificate that can be used", path.display());
        Self::from_pem(&bytes).ok_or_else(unusable)
    }

    fn from_pem(bytes: &[u8]) -> Option<Self> {
        if let Ok(key) = SubjectPublicKeyInfoDer::from_pem_slice(bytes) {
            let (_, info) = SubjectPublicKeyInfo::from_der(&key).ok()?;
            return Self::from_info(&info);
        }
        let certificate = CertificateDer::from_pem_slice(bytes).ok()?;
        let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
        Self::from_info(certificate.public_key())
    }

    fn from_info(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        const ED25519_ID: &str = "1.3.101.112";
        if info.algorithm.algorithm.to_id_string() == ED25519_ID {
            return Some(Self::Ed25519(info.subject_public_key.data.to_vec()));
        }
        match info.parsed().ok()? {
            PublicKey::RSA(key) => Some(Self::Rsa { n: without_zeros(key.modulus), e: without_zeros(key.exponent) }),
            PublicKey::EC(point) => match point.data().len() {
                65 => Some(Self::P256(point.data().to_vec())),
                97 => Some(Self::P384(point.data().to_vec())),
                133 => Some(Self::P521(point.data().to_vec())),
                _ => None,
            },
            _ => None,
        }
    }
}

/// DER writes a zero before numbers that would else be negative.
fn without_zeros(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default().to_vec()
}

/// The keys of a JWKS, with their ids.
pub(super) fn keys_of(jwks: &Value) -> Vec<(Option<String>, Key)> {
    let keys = jwks.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let key = |jwk: &Value| Some((jwk.get("kid").and_then(Value::as_str).map(str::to_owned), Key::from_jwk(jwk)?));
    keys.iter().filter_map(key).collect()
}

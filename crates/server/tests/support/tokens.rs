//! Tokens signed for a test.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA512,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;

use super::certificates::pem;

/// A key that tokens are signed with.
pub enum Signer {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rsa { key: RsaKeyPair, algorithm: &'static str },
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Signer {
    pub fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn ed_dsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    pub fn rsa(algorithm: &'static str) -> Self {
        Self::Rsa { key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), algorithm }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Rsa { algorithm, .. } => algorithm,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::EdDsa(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa { key, algorithm } => {
                let mut signature = vec![0; key.public_modulus_len()];
                match *algorithm {
                    "RS256" => key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap(),
                    "PS512" => key.sign(&RSA_PSS_SHA512, &random, message, &mut signature).unwrap(),
                    other => panic!("{other}"),
                }
                signature
            }
        }
    }

    /// A token with these claims, which names its key.
    pub fn token(&self, key_id: &str, claims: &Value) -> String {
        self.token_as(&json!({"alg": self.algorithm(), "kid": key_id, "typ": "JWT"}), claims)
    }

    pub fn token_as(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = base64(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The public key as a JWKS has it.
    pub fn jwk(&self, key_id: &str) -> Value {
        match self {
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap().split_at(32);
                let (x, y) = (base64(x), base64(y));
                json!({"kty": "EC", "crv": "P-256", "kid": key_id, "x": x, "y": y, "use": "sig"})
            }
            Self::EdDsa(key) => json!({"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": base64(key.public_key())}),
            Self::Rsa { key, .. } => {
                let (_, key) = RSAPublicKey::from_der(key.public_key().as_ref()).unwrap();
                let n = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
                json!({"kty": "RSA", "kid": key_id, "n": base64(n), "e": base64(key.exponent)})
            }
        }
    }

    /// The public key in a PEM file.
    pub fn write_public_key(&self, path: &Path) {
        let der: Vec<u8> = match self {
            Self::Es256(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::EdDsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Rsa { key, .. } => key.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        std::fs::write(path, pem("PUBLIC KEY", &der)).unwrap();
    }
}

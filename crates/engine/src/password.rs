//! Hashes of passwords, in the forms that RabbitMQ writes and in one that is harder to guess.
//!
//! A hash of RabbitMQ's is the base64 of a salt of four bytes and the digest of salt and password. `leveret_password_hashing_argon2`
//! is Argon2id over a salt of 16 bytes, in the same form. All comparisons take constant time.

mod rule;

use argon2::Argon2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

pub(crate) use rule::Judge;
pub use rule::PasswordRule;

/// Bytes of salt that [`PasswordHash::of`] wants; RabbitMQ's algorithms take the first four.
pub const SALT_BYTES: usize = 16;

/// Bytes of salt in a hash of RabbitMQ's.
const RABBITMQ_SALT_BYTES: usize = 4;

/// Bytes of a digest by Argon2.
const ARGON2_BYTES: usize = 32;

/// How a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashingAlgorithm {
    /// `rabbit_password_hashing_sha256`
    #[default]
    Sha256,
    /// `rabbit_password_hashing_sha512`
    Sha512,
    /// `rabbit_password_hashing_md5`: what files of RabbitMQ before 3.6 have.
    Md5,
    /// `leveret_password_hashing_argon2`: each guess takes 19 MiB and some milliseconds, as does each login.
    Argon2,
}

/// A password's hash, as definitions have it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// How it was made.
    pub algorithm: HashingAlgorithm,
    /// Base64 of salt and digest.
    pub text: Box<str>,
}

impl HashingAlgorithm {
    /// The algorithm of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512, Self::Md5, Self::Argon2].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
            Self::Argon2 => "leveret_password_hashing_argon2",
        }
    }

    const fn salt_bytes(self) -> usize {
        match self {
            Self::Sha256 | Self::Sha512 | Self::Md5 => RABBITMQ_SALT_BYTES,
            Self::Argon2 => SALT_BYTES,
        }
    }

    fn digest(self, salt: &[u8], password: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::new().chain_update(salt).chain_update(password).finalize().to_vec(),
            Self::Sha512 => Sha512::new().chain_update(salt).chain_update(password).finalize().to_vec(),
            Self::Md5 => Md5::new().chain_update(salt).chain_update(password).finalize().to_vec(),
            Self::Argon2 => {
                let mut digest = vec![0; ARGON2_BYTES];
                match Argon2::default().hash_password_into(password, salt, &mut digest) {
                    Ok(()) => digest,
                    // Longer than 4 GiB: nothing equals the empty digest.
                    Err(_) => Vec::new(),
                }
            }
        }
    }
}

/// Without the hash: it ends in no log.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordHash").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PasswordHash {
    /// The hash of a password with a salt that no other has.
    #[must_use]
    pub fn of(password: &[u8], algorithm: HashingAlgorithm, salt: [u8; SALT_BYTES]) -> Self {
        let (salt, _) = salt.split_at(algorithm.salt_bytes());
        let digest = algorithm.digest(salt, password);
        Self { algorithm, text: STANDARD.encode([salt, &digest].concat()).into() }
    }

    /// A hash that was made elsewhere, if it is base64.
    #[must_use]
    pub fn parse(text: &str, algorithm: HashingAlgorithm) -> Option<Self> {
        STANDARD.decode(text).is_ok().then(|| Self { algorithm, text: text.into() })
    }

    /// Whether it is `password`'s. The empty password and the empty hash never let anybody in.
    #[must_use]
    pub fn accepts(&self, password: &[u8]) -> bool {
        if password.is_empty() {
            return false;
        }
        let Ok(bytes) = STANDARD.decode(&*self.text) else { return false };
        let Some((salt, digest)) = bytes.split_at_checked(self.algorithm.salt_bytes()) else { return false };
        let own = self.algorithm.digest(salt, password);
        !own.is_empty() && bool::from(own.ct_eq(digest))
    }

    /// Takes the time that judging a password takes, where there is none to judge.
    pub fn accept_nobody(password: &[u8], algorithm: HashingAlgorithm) {
        let hash = Self::of(password, algorithm, [0; SALT_BYTES]);
        std::hint::black_box(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [HashingAlgorithm; 4] =
        [HashingAlgorithm::Sha256, HashingAlgorithm::Sha512, HashingAlgorithm::Md5, HashingAlgorithm::Argon2];

    fn hash(algorithm: HashingAlgorithm, text: &str) -> PasswordHash {
        PasswordHash { algorithm, text: text.into() }
    }

    #[test]
    fn the_example_of_rabbitmqs_guide() {
        let mut salt = [0; SALT_BYTES];
        salt[..4].copy_from_slice(&[0x90, 0x8d, 0xc6, 0x0a]);
        let made = PasswordHash::of(b"test12", HashingAlgorithm::Sha256, salt);
        assert_eq!(&*made.text, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
        assert!(made.accepts(b"test12") && !made.accepts(b"test13"));
    }

    #[test]
    fn every_algorithm_takes_its_own_password_and_no_other() {
        for algorithm in ALL {
            assert_eq!(HashingAlgorithm::parse(algorithm.as_str()), Some(algorithm));
            let made = PasswordHash::of("pässwörd".as_bytes(), algorithm, *b"0123456789abcdef");
            assert!(made.accepts("pässwörd".as_bytes()), "{algorithm:?}");
            assert!(!made.accepts(b"password") && !made.accepts(b""), "{algorithm:?}");
            let salted = PasswordHash::of("pässwörd".as_bytes(), algorithm, *b"fedcba9876543210");
            assert_ne!(made, salted);
        }
        assert_eq!(HashingAlgorithm::parse("rabbit_password_hashing_crc"), None);
    }

    #[test]
    fn what_is_no_hash_lets_nobody_in() {
        for algorithm in ALL {
            for text in ["", "AAAA", "not base64!", "AAAAAAAAAAA="] {
                assert!(!hash(algorithm, text).accepts(b"") && !hash(algorithm, text).accepts(b"x"), "{text}");
            }
            // The empty password may have been hashed by others.
            assert!(!PasswordHash::of(b"", algorithm, [7; SALT_BYTES]).accepts(b""));
        }
    }
}

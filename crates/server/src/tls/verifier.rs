//! How long the chain of a client's certificate may be.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Refuses longer chains than `depth`, which counts the certificates between a client's and the trusted one.
pub(super) fn within_depth(verifier: Arc<dyn ClientCertVerifier>, depth: Option<u8>) -> Arc<dyn ClientCertVerifier> {
    match depth {
        Some(depth) => Arc::new(WithinDepth { verifier, depth: depth.into() }),
        None => verifier,
    }
}

#[derive(Debug)]
struct WithinDepth {
    verifier: Arc<dyn ClientCertVerifier>,
    depth: usize,
}

/// Whether a certificate lies between two others. A trusted one at the end of a chain, which needs not be there, does not.
fn is_between(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.subject() != parsed.issuer())
}

impl ClientCertVerifier for WithinDepth {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let between = intermediates.iter().filter(|certificate| is_between(certificate)).count();
        if between > self.depth {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        self.verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

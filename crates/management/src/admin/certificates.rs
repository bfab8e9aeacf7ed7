//! When the certificates of listeners end.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::CertificateFiles;
use crate::error::ApiError;
use crate::time::date_time;

const DAY_S: u64 = 86_400;

const NO_CERTIFICATE: &str = "The certificate file does not contain a certificate that can be read";

/// So many days, weeks, months or years in seconds.
pub(super) fn seconds(within: &str, unit: &str) -> Result<Duration, ApiError> {
    let within: u32 = within.parse().map_err(|_| ApiError::bad_request("Invalid expiration value."))?;
    let unit_s = match unit.to_lowercase().as_str() {
        "days" => DAY_S,
        "weeks" => 7 * DAY_S,
        "months" => 365 * DAY_S / 12,
        "years" => 365 * DAY_S,
        _ => {
            let reason = "Time unit not recognised. Supported units: days, weeks, months, years.";
            return Err(ApiError::bad_request(reason));
        }
    };
    Ok(Duration::from_secs(unit_s * u64::from(within)))
}

/// The listeners with a certificate that ends within this time, or cannot be read. Reads files.
pub(super) fn expiring(all: &[CertificateFiles], node: &str, within: Duration) -> Vec<Value> {
    let by = SystemTime::now() + within;
    all.iter().filter_map(|files| expiring_of(files, node, by)).collect()
}

fn expiring_of(files: &CertificateFiles, node: &str, by: SystemTime) -> Option<Value> {
    let own = ends(&files.certfile, by);
    let of_authority = files.cacertfile.as_deref().map(|path| ends(path, by)).unwrap_or_default();
    if own.is_empty() && of_authority.is_empty() {
        return None;
    }
    Some(json!({
        "node": node,
        "protocol": files.protocol,
        "interface": files.address.ip().to_string(),
        "port": files.address.port(),
        "certfile": files.certfile.display().to_string(),
        "cacertfile": files.cacertfile.as_deref().map(|path| path.display().to_string()).unwrap_or_default(),
        "certfile_expires_on": own,
        "cacertfile_expires_on": of_authority,
    }))
}

/// When the certificates in a file end, of those that end too early.
fn ends(path: &Path, by: SystemTime) -> Vec<String> {
    let Ok(certificates) = CertificateDer::pem_file_iter(path) else {
        return vec!["The certificate file cannot be read".to_owned()];
    };
    let by_s = by.duration_since(SystemTime::UNIX_EPOCH).map(|by| by.as_secs()).unwrap_or(u64::MAX);
    let ends = certificates.map(|certificate| {
        let end_s = certificate.ok().and_then(|certificate| end_s(&certificate));
        match end_s {
            None => Some(NO_CERTIFICATE.to_owned()),
            Some(end_s) if end_s < by_s => Some(date_time(end_s)),
            Some(_) => None,
        }
    });
    let ends: Vec<Option<String>> = ends.collect();
    if ends.is_empty() {
        return vec![NO_CERTIFICATE.to_owned()];
    }
    ends.into_iter().flatten().collect()
}

/// When a certificate ends, in seconds since 1970.
fn end_s(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("2", "Weeks").unwrap(), Duration::from_secs(14 * DAY_S));
        assert_eq!(seconds("12", "months").unwrap(), seconds("1", "years").unwrap());
        assert_eq!(seconds("x", "days").unwrap_err().to_string(), "bad request: Invalid expiration value.");
        assert!(seconds("1", "hours").unwrap_err().to_string().contains("days, weeks, months, years"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_reported() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        for (certfile, reason) in
            [(Path::new("/nowhere"), "The certificate file cannot be read"), (empty.path(), NO_CERTIFICATE)]
        {
            let files = CertificateFiles {
                protocol: "amqp/ssl".to_owned(),
                address: ([127, 0, 0, 1], 5671).into(),
                certfile: certfile.to_owned(),
                cacertfile: None,
            };
            let expiring = expiring(&[files], "n", Duration::ZERO);
            assert_eq!((&expiring[0]["port"], &expiring[0]["cacertfile_expires_on"]), (&json!(5671), &json!([])));
            assert_eq!(expiring[0]["certfile_expires_on"], json!([reason]));
        }
    }
}

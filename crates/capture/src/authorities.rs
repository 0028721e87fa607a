//! Who vouches for the servers that are asked over TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Where systems keep the certificates of public authorities; the first that is there counts.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A client of TLS 1.3 (RFC 8446) that trusts the authorities in a PEM file of one's own, or else
/// those of the system.
///
/// # Errors
/// Which file is missing, unreadable, no PEM or without a certificate.
pub fn client_config(own: Option<&Path>) -> Result<ClientConfig, String> {
    let system = || SYSTEM.iter().map(Path::new).find(|path| path.exists());
    let path = own.or_else(system).ok_or("this system trusts no authority")?;
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path);
    for certificate in found.map_err(|error| format!("{shown} cannot be read: {error}"))? {
        let certificate = certificate.map_err(|error| format!("{shown} is not PEM: {error}"))?;
        // A system's bundle may hold what this library does not read; the others serve.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(format!("{shown} holds no certificate"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

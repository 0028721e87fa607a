//! Whom we believe to be a server.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::settings::SettingsError;

/// Where systems keep the certificates of public authorities; the first that is there counts.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS 1.3 with server names checked; trusted are the certificates in `own`, else the
/// system's.
pub(crate) fn client_config(own: Option<&Path>) -> Result<Arc<ClientConfig>, SettingsError> {
    let bad = |why: String| SettingsError::Certificates(why);
    let variable = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let system = || SYSTEM.iter().map(Path::new).find(|path| path.exists());
    let path = own.or(variable.as_deref()).or_else(system).ok_or_else(|| {
        bad("this system has none; name a file of them with `certificates`".to_owned())
    })?;
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| bad(format!("{shown} cannot be read: {error}")))?;
    for certificate in certificates {
        let certificate =
            certificate.map_err(|error| bad(format!("{shown} is not PEM: {error}")))?;
        match roots.add(certificate) {
            Ok(()) => {}
            Err(error) if own.is_some() => {
                return Err(bad(format!("{shown} holds a certificate that is none: {error}")));
            }
            // A system's bundle may hold what this library does not read; the others serve.
            Err(_) => {}
        }
    }
    if roots.is_empty() {
        return Err(bad(format!("{shown} holds none")));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

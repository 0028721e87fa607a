//! Who may come in at the door for clients on other machines, and whom those believe.
//!
//! A client shows a certificate that the configuration names by its SHA-256: no authority vouches
//! for clients, so none can be made without the venue's people, and a client's certificate is good
//! for nothing at the link. The host shows its certificate of the link; a client holds the
//! authority's (`ca.pem`), which is named after the cluster.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::client::Resumption;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use super::link_tls;
use crate::config::ClientsConfig;
use crate::keyfile::hex;
use crate::report::{Exit, Report, Result};

/// What a client's folder holds.
const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "client.pem";
const KEY: &str = "client.key";
/// How an authority's name begins; its cluster follows.
const AUTHORITY_OF: &[u8] = b"authority of ";
const CLUSTER_NAME_BYTES: usize = "c.evenkeel.internal".len() + 32;

/// A client that is named in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) operates: bool,
    fingerprint: [u8; 32],
}

/// Everybody who is let in, and what they are shown.
#[derive(Debug, Clone)]
pub(crate) struct Gateways {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) named: Arc<Vec<Named>>,
}

impl Gateways {
    /// As the configuration names them; the host shows the link's certificate.
    ///
    /// # Errors
    /// As [`link_tls::lay_out`] and [`link_tls::read`].
    pub(crate) fn of(config: &ClientsConfig, dir: &Path, cluster: [u8; 16]) -> Result<Self> {
        link_tls::lay_out(dir, cluster)?;
        let named = config.gateways.iter().filter_map(|one| {
            let (name, operates) = (one.name.clone(), one.operates);
            Some(Named { name, operates, fingerprint: one.fingerprint()? })
        });
        let named: Arc<Vec<Named>> = Arc::new(named.collect());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Pinned {
            named: Arc::clone(&named),
            algorithms: provider.signature_verification_algorithms,
        };
        let (chain, key) = link_tls::own(dir)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| link_tls::unusable(dir, &error))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(chain, key)
            .map_err(|error| link_tls::unusable(dir, &error))?;
        // Everybody shows the certificate each time.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { server: Arc::new(server), named })
    }

    /// Whose certificate this is.
    pub(crate) fn who(&self, certificate: &CertificateDer<'_>) -> Option<usize> {
        let fingerprint = fingerprint(certificate);
        self.named.iter().position(|one| one.fingerprint == fingerprint)
    }
}

/// SHA-256 of a certificate's DER.
fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate.as_ref()).into()
}

/// Lets in who shows a certificate that is named, and holds its key.
#[derive(Debug)]
struct Pinned {
    named: Arc<Vec<Named>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Neither issuer nor dates are asked: taking the name out of the configuration ends it.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let shown = fingerprint(end_entity);
        if self.named.iter().any(|one| one.fingerprint == shown) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a client shows, and whom it believes.
#[derive(Debug, Clone)]
pub(crate) struct ClientCredentials {
    pub(crate) config: Arc<ClientConfig>,
    /// What the host's certificate has to be for.
    pub(crate) name: ServerName<'static>,
}

impl ClientCredentials {
    /// Reads a client's folder: `ca.pem` of the hosts, and what [`make_key`] wrote.
    ///
    /// # Errors
    /// [`Exit::WrongKey`] naming the file that is missing or unusable.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let authority = dir.join(AUTHORITY);
        let mut roots = RootCertStore::empty();
        for root in certificates(&authority)? {
            roots.add(root).map_err(|error| unusable(&authority, &error))?;
        }
        let subject = roots.roots.first().map(|root| root.subject.as_ref().to_vec());
        let name = subject
            .as_deref()
            .and_then(cluster_of)
            .ok_or_else(|| unusable(&authority, &"it is not the authority of a venue's hosts"))?;
        let key_file = dir.join(KEY);
        let key = PrivateKeyDer::from_pem_file(&key_file);
        let key = key.map_err(|error| unusable(&key_file, &error))?;
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .map_err(|error| unusable(dir, &error))?
                .with_root_certificates(roots)
                .with_client_auth_cert(certificates(&dir.join(CERTIFICATE))?, key)
                .map_err(|error| unusable(&key_file, &error))?;
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), name })
    }
}

/// The cluster in the name of its authority (a distinguished name, DER).
fn cluster_of(subject: &[u8]) -> Option<ServerName<'static>> {
    let at = subject.windows(AUTHORITY_OF.len()).position(|window| window == AUTHORITY_OF)?;
    let name = subject.get(at + AUTHORITY_OF.len()..)?.get(..CLUSTER_NAME_BYTES)?;
    ServerName::try_from(std::str::from_utf8(name).ok()?.to_owned()).ok()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(|all| all.collect::<std::result::Result<Vec<_>, _>>())
        .map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Report {
    Report::new(Exit::WrongKey, format!("the client's credentials cannot be used: {error}"))
        .at(path.display().to_string())
        .safe("nothing was sent")
        .next("evenkeel clients key --name NAME --to DIR   (makes key and certificate)")
        .next("copy ca.pem of a host's host/link into that folder")
}

/// Makes a client's key and certificate in a new folder, and gives the certificate's SHA-256.
///
/// # Errors
/// [`Exit::Failed`] if there are some already, or they cannot be made or written.
pub(crate) fn make_key(dir: &Path, name: &str) -> Result<String> {
    let unmade = |error: rcgen::Error| {
        Report::new(Exit::Failed, format!("cannot make a certificate for the client: {error}"))
            .safe("nothing was written")
    };
    fs::create_dir_all(dir).map_err(|error| Report::io("make the folder", dir, &error))?;
    let (key_file, certificate_file) = (dir.join(KEY), dir.join(CERTIFICATE));
    if let Some(there) = [&key_file, &certificate_file].into_iter().find(|file| file.exists()) {
        return Err(Report::new(Exit::Failed, "this client has a key already; it is kept")
            .at(there.display().to_string())
            .safe("nothing was written")
            .next("name another folder with --to"));
    }
    let key = KeyPair::generate().map_err(unmade)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(unmade)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).map_err(unmade)?;
    link_tls::write(&key_file, &key.serialize_pem())?;
    link_tls::write(&certificate_file, &certificate.pem())?;
    Ok(hex(&fingerprint(certificate.der())))
}

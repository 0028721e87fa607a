//! Who may be at the other end of the link: only a host that holds a certificate of this cluster.
//!
//! Each home has an authority of its own in `host/link`; both ends show a certificate of it (TLS
//! 1.3, RFC 8446). Its name is the cluster's, so that a certificate says nothing about hosts.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::keyfile::hex;
use crate::report::{Exit, Report, Result};

const AUTHORITY: &str = "ca";
/// This home's own certificate.
const NODE: &str = "node";
/// The certificate for the other host: it is copied there as its `node`.
const PEER: &str = "peer";

/// What an end of the link shows and believes.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
    /// What the other end's certificate has to be for.
    pub(crate) name: ServerName<'static>,
}

/// Name of a cluster in its certificates.
pub(crate) fn cluster_name(cluster: [u8; 16]) -> String {
    format!("c{}.evenkeel.internal", hex(&cluster))
}

/// Makes the authority and both certificates, unless this home has some. They appear together or
/// not at all, and are never replaced: primary and standby may come here at the same time.
///
/// # Errors
/// [`Exit::Failed`] if they cannot be made or written.
pub(crate) fn lay_out(dir: &Path, cluster: [u8; 16]) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let new = dir.with_extension(format!("{}-{number}.new", std::process::id()));
    fs::create_dir_all(&new).map_err(|error| Report::io("make the folder", &new, &error))?;
    make(&new, cluster)?;
    match fs::rename(&new, dir) {
        Ok(()) => Ok(()),
        // Somebody was quicker: those count.
        Err(_) if dir.exists() => {
            let _ = fs::remove_dir_all(&new);
            Ok(())
        }
        Err(error) => Err(Report::io("make the folder", dir, &error)),
    }
}

fn make(dir: &Path, cluster: [u8; 16]) -> Result<()> {
    let name = cluster_name(cluster);
    let key = KeyPair::generate().map_err(|error| unmade(&error))?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
    let authority = params.self_signed(&key).map_err(|error| unmade(&error))?;
    let authority_key = key.serialize_pem();
    let issuer = Issuer::new(params, key);
    for which in [PEER, NODE] {
        let key = KeyPair::generate().map_err(|error| unmade(&error))?;
        let mut params =
            CertificateParams::new(vec![name.clone()]).map_err(|error| unmade(&error))?;
        params.distinguished_name.push(DnType::CommonName, which);
        let certificate = params.signed_by(&key, &issuer).map_err(|error| unmade(&error))?;
        write(&dir.join(format!("{which}.pem")), &certificate.pem())?;
        write(&dir.join(format!("{which}.key")), &key.serialize_pem())?;
    }
    write(&dir.join(format!("{AUTHORITY}.pem")), &authority.pem())?;
    write(&dir.join(format!("{AUTHORITY}.key")), &authority_key)
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(|error| Report::io("write", path, &error))
}

fn unmade(error: &rcgen::Error) -> Report {
    Report::new(Exit::Failed, format!("cannot make a certificate for the link: {error}"))
}

/// Reads what [`lay_out`] made, or what was copied from the other host.
///
/// # Errors
/// [`Exit::WrongKey`] if a file is missing, no certificate, or key and certificate do not match.
pub(crate) fn read(dir: &Path, cluster: [u8; 16]) -> Result<Credentials> {
    let file = |name: &str| dir.join(name);
    let mut roots = RootCertStore::empty();
    for root in certificates(&file(&format!("{AUTHORITY}.pem")))? {
        roots.add(root).map_err(|error| unusable(&file(&format!("{AUTHORITY}.pem")), &error))?;
    }
    let roots = Arc::new(roots);
    let key_file = file(&format!("{NODE}.key"));
    let (chain, key) = own(dir)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = &[&rustls::version::TLS13];
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(dir, &error))?;
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable(dir, &error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|error| unusable(&key_file, &error))?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| unusable(dir, &error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&key_file, &error))?;
    let name = ServerName::try_from(cluster_name(cluster));
    let name = name.map_err(|error| unusable(dir, &error))?;
    Ok(Credentials { server: Arc::new(server), client: Arc::new(client), name })
}

/// This host's own certificate with its key.
///
/// # Errors
/// As [`read`].
pub(super) fn own(dir: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key_file = dir.join(format!("{NODE}.key"));
    let key =
        PrivateKeyDer::from_pem_file(&key_file).map_err(|error| unusable(&key_file, &error))?;
    Ok((certificates(&dir.join(format!("{NODE}.pem")))?, key))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(|all| all.collect::<std::result::Result<Vec<_>, _>>())
        .map_err(|error| unusable(path, &error))
}

pub(super) fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Report {
    Report::new(Exit::WrongKey, format!("the link's certificates cannot be used: {error}"))
        .at(path.display().to_string())
        .safe("nothing was sent")
        .next("copy ca.pem, peer.pem and peer.key of the primary's host/link here, as ca.pem,")
        .next("node.pem and node.key")
}

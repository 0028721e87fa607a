//! Our own site: an append-only server that speaks S3 over a folder.
//!
//! A desk's cheapest site that a thief cannot empty is an old machine that runs this. Objects are
//! created, read and listed; to replace one there is no code, and one goes only by a grant.
//! Somebody who has the writer's credentials can fill the quota, and no more.

mod access;
mod grants;
mod service;
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_vault::ApprovalRule;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::service::{S3Service, S3ServiceBuilder};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use access::{AccessKey, Right};

use crate::settings::check_site_name;
use access::{Gate, Keys};
use grants::Grants;
use service::Service;
use shelf::Shelf;

/// Held by the server that runs, so that a second one does not.
const LOCK: &str = ".serving";
/// A client that has not said what it wants by then is sent away; also between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a stop waits for what is under way.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Worth a look: something that was refused, which nobody asks for by accident, or a quota that
/// fills up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Public half of the key; never its secret.
    pub access_key: String,
    /// In the protocol's words.
    pub operation: String,
    /// As it was asked for.
    pub bucket: String,
    /// As it was asked for; empty if it was about the bucket.
    pub object: String,
    /// Why it was refused, or how much is used.
    pub why: String,
    /// Nothing was refused yet: a quota has reached its next tenth, from the eighth on.
    pub is_warning: bool,
}

/// Is told of every refusal, and of a quota that fills up.
pub type Watch = Arc<dyn Fn(&Event) + Send + Sync>;

/// Certificate and key of the server (PEM).
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Its chain of certificates.
    pub certificates: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How a server is run.
#[derive(Clone)]
pub struct ServeOptions {
    /// Where the buckets lie, a folder each.
    pub folder: PathBuf,
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// None only where it listens to this machine alone.
    pub tls: Option<TlsFiles>,
    /// Who may ask; their buckets are made.
    pub keys: Vec<AccessKey>,
    /// Bytes a bucket may take of the disk (each object in whole blocks of 4 KiB).
    pub quotas: BTreeMap<String, u64>,
    /// Whose word allows deletions in a bucket; none is deleted from in a bucket without.
    pub deletion: BTreeMap<String, ApprovalRule>,
    /// Bytes of the disk that stay free whatever the quotas say.
    pub reserve_bytes: u64,
    /// Longest object.
    pub object_bytes_max: u64,
    /// Connections at a time; more wait.
    pub connections_max: usize,
    /// Is told of every refusal.
    pub watch: Watch,
}

impl ServeOptions {
    /// The usual bounds: objects of 256 MiB, 128 connections, 256 MiB of disk left free.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            folder: folder.into(),
            listen,
            tls: None,
            keys: Vec::new(),
            quotas: BTreeMap::new(),
            deletion: BTreeMap::new(),
            reserve_bytes: 256 * 1024 * 1024,
            object_bytes_max: 256 * 1024 * 1024,
            connections_max: 128,
            watch: Arc::new(|_| {}),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Plain HTTP is for this machine alone.
    #[error("{0} can be reached from elsewhere; give a certificate, or listen on 127.0.0.1")]
    Plain(SocketAddr),
    /// There is nobody to serve.
    #[error("no access key: nobody could use this site; add one first")]
    NoKeys,
    /// Two keys with one id, or a name that is none.
    #[error("access key {id}: {why}")]
    Key {
        /// The public half.
        id: String,
        /// What is wrong.
        why: String,
    },
    /// Another server has the folder.
    #[error("{} is served already, by another process", .0.display())]
    Served(PathBuf),
    /// Certificate or key cannot be used.
    #[error("{}: {why}", .file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system said no.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// What it said.
        error: io::Error,
    },
}

impl ServeError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}

/// What a bucket holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUse {
    /// Its name.
    pub bucket: String,
    /// Bytes of disk that count against its quota.
    pub used_bytes: u64,
    /// Its quota.
    pub quota_bytes: Option<u64>,
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    connections_max: usize,
    shelves: BTreeMap<String, Arc<Shelf>>,
    runtime: Option<Runtime>,
    _lock: File,
}

impl Server {
    /// Opens the folder, listens, and serves from then on.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is served then.
    pub fn start(options: &ServeOptions) -> Result<Self, ServeError> {
        if options.tls.is_none() && !options.listen.ip().is_loopback() {
            return Err(ServeError::Plain(options.listen));
        }
        let keys = checked_keys(&options.keys)?;
        let tls = options.tls.as_ref().map(acceptor).transpose()?;
        let lock = lock_folder(&options.folder)?;
        let shelves = open_shelves(options)?;
        let service = service(options, keys, shelves.clone());
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(16)
            .thread_name("evenkeel-site")
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServeError::io("starting threads"))?;
        let listener = runtime
            .block_on(TcpListener::bind(options.listen))
            .map_err(ServeError::io(format!("listening on {}", options.listen)))?;
        let address = listener.local_addr().map_err(ServeError::io("listening"))?;
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(options.connections_max));
        runtime.spawn(accept(listener, Arc::clone(&connections), tls, service, stopped));
        Ok(Self {
            address,
            stop,
            connections,
            connections_max: options.connections_max,
            shelves,
            runtime: Some(runtime),
            _lock: lock,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each bucket holds.
    #[must_use]
    pub fn buckets(&self) -> Vec<BucketUse> {
        let used = |(name, shelf): (&String, &Arc<Shelf>)| BucketUse {
            bucket: name.clone(),
            used_bytes: shelf.used_bytes(),
            quota_bytes: shelf.quota_bytes(),
        };
        self.shelves.iter().map(used).collect()
    }

    /// Takes no new connections, and waits a while for what is under way.
    pub fn stop(mut self) {
        self.end(STOP_WITHIN);
    }

    fn end(&mut self, within: Duration) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        // Nobody listens to this any more only if the server has ended by itself.
        let _ = self.stop.send(true);
        let all = u32::try_from(self.connections_max).unwrap_or(u32::MAX);
        let connections = Arc::clone(&self.connections);
        let idle = runtime.spawn(async move {
            let _ = timeout(within, connections.acquire_many(all)).await;
        });
        let (done, waited) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let _ = idle.await;
            let _ = done.send(());
        });
        let _ = waited.recv();
        runtime.shutdown_timeout(within);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Duration::from_millis(200));
    }
}

fn checked_keys(keys: &[AccessKey]) -> Result<Keys, ServeError> {
    let mut by_id = BTreeMap::new();
    for key in keys {
        let fail = |why: &str| ServeError::Key { id: key.id.clone(), why: why.to_owned() };
        check_site_name("bucket", &key.bucket).map_err(|error| fail(&error.to_string()))?;
        if !s3s::path::check_bucket_name(&key.bucket) {
            return Err(fail("a bucket has 3 to 63 small letters, digits, - and ."));
        }
        if key.id.is_empty() || key.secret.len() < 16 {
            return Err(fail("the id is empty, or the secret has less than 16 characters"));
        }
        if by_id.insert(key.id.clone(), key.clone()).is_some() {
            return Err(fail("is there twice"));
        }
    }
    if by_id.is_empty() { Err(ServeError::NoKeys) } else { Ok(Keys(Arc::new(by_id))) }
}

fn lock_folder(folder: &Path) -> Result<File, ServeError> {
    let shown = folder.display();
    std::fs::create_dir_all(folder).map_err(ServeError::io(format!("making {shown}")))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))
        .map_err(ServeError::io(format!("opening {shown}")))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(ServeError::Served(folder.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(ServeError::io(format!("locking {shown}"))(error))
        }
    }
}

fn open_shelves(options: &ServeOptions) -> Result<BTreeMap<String, Arc<Shelf>>, ServeError> {
    let names: BTreeSet<&String> = options.keys.iter().map(|key| &key.bucket).collect();
    let mut shelves = BTreeMap::new();
    for name in names {
        let folder = options.folder.join(name);
        let quota = options.quotas.get(name).copied();
        let shelf = Shelf::open(folder.clone(), quota, options.reserve_bytes)
            .map_err(ServeError::io(format!("opening {}", folder.display())))?;
        shelves.insert(name.clone(), Arc::new(shelf));
    }
    Ok(shelves)
}

fn service(options: &ServeOptions, keys: Keys, shelves: BTreeMap<String, Arc<Shelf>>) -> S3Service {
    let object_bytes_max = options.object_bytes_max;
    let watch = Arc::clone(&options.watch);
    let of_bucket = |(bucket, rule): (&String, &ApprovalRule)| {
        (bucket.clone(), Arc::new(Grants::new(rule.clone())))
    };
    let grants: BTreeMap<String, Arc<Grants>> = options.deletion.iter().map(of_bucket).collect();
    let deletions: BTreeSet<String> = grants.keys().cloned().collect();
    let mut builder = S3ServiceBuilder::new(Service { shelves, grants, object_bytes_max, watch });
    builder.set_auth(keys.clone());
    builder.set_access(Gate { keys, deletions, watch: Arc::clone(&options.watch) });
    builder.build()
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let bad = |file: &Path, why: String| ServeError::Tls { file: file.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(&files.certificates, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| bad(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| bad(&files.certificates, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&files.certificates, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(
    listener: TcpListener,
    connections: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    service: S3Service,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        // The place is taken first: beyond the bound, clients wait in the system's queue.
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: others end, then it goes on.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (tls, service, stopped) = (tls.clone(), service.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, tls, service, stopped).await;
            drop(place);
        });
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: S3Service,
    stopped: watch::Receiver<bool>,
) {
    // Only the pace depends on it.
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, service, stopped).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEAD_WITHIN, tls.accept(stream)).await {
                talk(stream, service, stopped).await;
            }
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: S3Service,
    mut stopped: watch::Receiver<bool>,
) {
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut talk = std::pin::pin!(talk);
    let mut stopping = *stopped.borrow();
    loop {
        if stopping {
            talk.as_mut().graceful_shutdown();
        }
        tokio::select! {
            // How a connection ends is its client's affair; what it asked for was answered.
            _ = talk.as_mut() => return,
            _ = stopped.changed(), if !stopping => stopping = true,
        }
    }
}

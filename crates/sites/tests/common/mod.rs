//! A server of ours with a few keys, and clients for it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_sites::{
    AccessKey, Bandwidth, CredentialSource, Endpoint, Event, ObjectSite, Patience, Right,
    S3Settings, ServeOptions, Server, TlsFiles,
};

pub const SECRET: &str = "a-secret-of-the-tests";

/// A server that runs, and what belongs to it.
pub struct Desk {
    folder: tempfile::TempDir,
    options: ServeOptions,
    server: Option<Server>,
    refusals: Arc<Mutex<Vec<Event>>>,
}

impl Desk {
    pub fn open() -> Self {
        Self::with(|_| {})
    }

    pub fn with_quota(bytes: u64) -> Self {
        Self::with(|options| options.quotas = BTreeMap::from([("vault-a".to_owned(), bytes)]))
    }

    pub fn with_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(folder.path(), "server");
        Self::in_folder(folder, |options| options.tls = Some(files))
    }

    pub fn with(change: impl FnOnce(&mut ServeOptions)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), change)
    }

    fn in_folder(folder: tempfile::TempDir, change: impl FnOnce(&mut ServeOptions)) -> Self {
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut options = ServeOptions::new(folder.path().join("sites"), listen);
        options.keys = vec![
            key("writer", "vault-a", Right::Write),
            key("reader", "vault-a", Right::Read),
            key("other", "vault-b", Right::Write),
        ];
        options.reserve_bytes = 0;
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&refusals);
        options.watch = Arc::new(move |event: &Event| told.lock().unwrap().push(event.clone()));
        change(&mut options);
        let mut desk = Self { folder, options, server: None, refusals };
        desk.restart();
        desk
    }

    pub fn stop(&mut self) {
        self.server.take();
    }

    /// Starts it, again at the port it had.
    pub fn restart(&mut self) {
        self.stop();
        let server = Server::start(&self.options).unwrap();
        self.options.listen = server.address();
        self.server = Some(server);
    }

    pub fn folder(&self) -> PathBuf {
        self.options.folder.clone()
    }

    pub fn refusals(&self) -> Vec<Event> {
        self.refusals.lock().unwrap().clone()
    }

    pub fn right_of(&self, id: &str) -> Right {
        self.options.keys.iter().find(|key| key.id == id).unwrap().right
    }

    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.options.listen)
    }

    pub fn credential(&self, id: &str, secret: &str) -> CredentialSource {
        let path = self.folder.path().join(format!("credential-{id}-{}", secret.len()));
        fs::write(&path, format!("id = {id}\nsecret = {secret}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        CredentialSource::File(path)
    }

    pub fn settings(&self, bucket: &str, credential: &CredentialSource) -> S3Settings {
        S3Settings {
            endpoint: Endpoint::parse(&self.url(), false).unwrap(),
            region: "here".to_owned(),
            bucket: bucket.to_owned(),
            prefix: String::new(),
            credential: credential.clone(),
            certificates: self.options.tls.as_ref().map(|files| files.certificates.clone()),
            conditional_put: true,
            patience: Patience {
                answer: Duration::from_secs(20),
                repeats: 2,
                ..Patience::default()
            },
            versions: false,
            lock: None,
            bandwidth: Bandwidth::default(),
        }
    }

    pub fn writer_settings(&self) -> S3Settings {
        self.settings("vault-a", &self.credential("writer", SECRET))
    }

    pub fn site(&self, conditional_put: bool) -> ObjectSite {
        site_with(&S3Settings { conditional_put, ..self.writer_settings() })
    }

    pub fn site_of(&self, id: &str, bucket: &str) -> ObjectSite {
        site_with(&self.settings(bucket, &self.credential(id, SECRET)))
    }

    /// A certificate of somebody else.
    pub fn strange_certificate(&self) -> PathBuf {
        certificate(self.folder.path(), "stranger").certificates
    }
}

pub fn site_with(settings: &S3Settings) -> ObjectSite {
    ObjectSite::s3("tested", settings).unwrap()
}

fn key(id: &str, bucket: &str, right: Right) -> AccessKey {
    AccessKey {
        id: id.to_owned(),
        secret: SECRET.to_owned().into(),
        bucket: bucket.to_owned(),
        right,
    }
}

fn certificate(folder: &Path, name: &str) -> TlsFiles {
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let files = TlsFiles {
        certificates: folder.join(format!("{name}.crt")),
        key: folder.join(format!("{name}.key")),
    };
    fs::write(&files.certificates, pair.cert.pem()).unwrap();
    fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    files
}

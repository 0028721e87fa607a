//! A site in a content-addressed, peer-to-peer network: IPFS, spoken to through a node's RPC.
//!
//! An object is content, pinned under its own hash, and a path of the node's mutable file system
//! that names it. The tree of all paths has a hash as well: its root, which peers pin and link, so
//! that what one node held is read from another. Hashes are computed here; what a node says that
//! content is called is compared, never believed.

mod cid;
mod json;
mod peers;
mod probe;
mod rpc;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_vault::{
    Janitor, ObjectInfo, Site, SiteClass, SiteError, SiteErrorKind, check_object_name,
};
use http::HeaderValue;

use crate::basic::basic;
use crate::credential::{Credential, CredentialSource};
use crate::pace::Bandwidth;
use crate::settings::{Endpoint, Patience, SettingsError, check_site_name};
use crate::tls::client_config;
use cid::Cid;
pub use peers::Replica;
use peers::{Keeper, Peer};
pub use probe::probe_ipfs;
use rpc::{Entry, Node, Refused, Stat};

/// Where objects lie in a node's file system unless a prefix says otherwise.
const HOME: &str = "evenkeel/";
/// What was moved aside; no object's name begins with a dot.
const ASIDE: &str = ".aside";
/// More objects than any site of ours has.
const OBJECTS_MAX: usize = 4_000_000;

/// A node that is a site, and the peers that keep what it holds as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpfsSettings {
    /// The node's RPC, without `/api/v0`.
    pub endpoint: Endpoint,
    /// Folder in the node's file system: empty (`evenkeel/`), or ending in `/`.
    pub prefix: String,
    /// RPCs of other nodes that pin what this one holds, and are read from if it is gone.
    pub peers: Vec<Endpoint>,
    /// Who asks, where a proxy before the RPC wants to know: Basic (RFC 7617), or Bearer
    /// (RFC 6750) if the id is `bearer`. Peers are given the same.
    pub credential: Option<CredentialSource>,
    /// Certificates that are trusted for it, instead of the system's (PEM).
    pub certificates: Option<PathBuf>,
    /// How long it is waited for.
    pub patience: Patience,
    /// How fast it may be written to and read.
    pub bandwidth: Bandwidth,
}

/// A node's file system as a site; [`SiteClass::Mutable`], since whoever may write to it through
/// the RPC may also remove and unpin.
pub struct IpfsSite {
    name: String,
    node: Node,
    root: String,
    peers: Arc<Vec<Peer>>,
    keeper: Option<Keeper>,
    folders: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for IpfsSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("IpfsSite");
        shown.field("name", &self.name).field("node", &self.node.url).finish_non_exhaustive()
    }
}

/// A node and the folder in it that is looked at.
struct View<'a> {
    node: &'a Node,
    root: String,
}

impl IpfsSite {
    /// A site at a node. Nothing is sent until it is used.
    ///
    /// # Errors
    /// [`SettingsError`] if it could not be reached with these settings.
    pub fn new(name: impl Into<String>, settings: &IpfsSettings) -> Result<Self, SettingsError> {
        check_site_name("prefix", &settings.prefix)?;
        let credential = settings.credential.as_ref().map(Credential::load).transpose()?;
        let authorization = credential.as_ref().map(authorization).transpose()?;
        let node = |endpoint: &Endpoint| -> Result<Node, SettingsError> {
            let tls = match endpoint.tls {
                true => Some(client_config(settings.certificates.as_deref())?),
                false => None,
            };
            let (patience, bandwidth) = (settings.patience, settings.bandwidth);
            Ok(Node::new(endpoint, tls, patience, bandwidth, authorization.clone()))
        };
        let prefix = if settings.prefix.is_empty() { HOME } else { &settings.prefix };
        let root = format!("/{}", prefix.trim_end_matches('/'));
        let first = node(&settings.endpoint)?;
        let peers = settings
            .peers
            .iter()
            .map(|endpoint| Ok(Peer::new(node(endpoint)?, &root)))
            .collect::<Result<Vec<Peer>, SettingsError>>()?;
        let peers = Arc::new(peers);
        let keeper = (!peers.is_empty())
            .then(|| Keeper::start(first.clone(), root.clone(), Arc::clone(&peers)));
        let folders = Mutex::new(BTreeSet::new());
        Ok(Self { name: name.into(), node: first, root, peers, keeper, folders })
    }

    /// Has the peers keep what the node holds now; what each of them said.
    ///
    /// # Errors
    /// If the node does not say what it holds.
    pub fn replicate(&self) -> Result<Vec<Replica>, SiteError> {
        peers::replicate(&self.node, &self.root, &self.peers)
            .map_err(|refused| self.fail("pin", "", refused))
    }

    fn fail(&self, action: &'static str, key: &str, refused: Refused) -> SiteError {
        let Refused { kind, why: detail } = refused;
        SiteError { site: self.name.clone(), action, key: key.to_owned(), kind, detail }
    }

    fn check(&self, action: &'static str, key: &str) -> Result<(), SiteError> {
        check_object_name(key)
            .map_err(|why| self.fail(action, key, refused(SiteErrorKind::InvalidKey, why)))
    }

    /// Reads from the node, or if it is gone from the first peer that answers.
    fn look<T>(
        &self,
        action: &'static str,
        key: &str,
        read: impl Fn(&View<'_>) -> Result<T, Refused>,
    ) -> Result<T, SiteError> {
        let view = View { node: &self.node, root: self.root.clone() };
        let mut outcome = read(&view);
        for peer in self.peers.iter() {
            match &outcome {
                Err(refused) if refused.kind == SiteErrorKind::Unavailable => {}
                _ => break,
            }
            if let Ok(Some(root)) = peer.newest_root() {
                let view = View { node: &peer.node, root };
                outcome = read(&view);
            }
        }
        outcome.map_err(|refused| self.fail(action, key, refused))
    }

    /// What has a name already, if anything: the same content is success.
    fn taken(&self, key: &str, cid: Cid) -> Result<Option<()>, Refused> {
        let Some(there) = self.node.stat(&format!("{}/{key}", self.root))? else {
            return Ok(None);
        };
        if Cid::parse(&there.hash) == Some(cid) {
            return Ok(Some(()));
        }
        let why = "an object with other content has this name; it was left untouched";
        Err(refused(SiteErrorKind::Exists, why))
    }

    fn write(&self, key: &str, bytes: &[u8]) -> Result<(), Refused> {
        let cid = Cid::of(bytes);
        if self.taken(key, cid)?.is_some() {
            return Ok(());
        }
        let added = self.node.add(bytes)?;
        if added != Some(cid) {
            let said = added.map_or("something that is no name".to_owned(), |cid| cid.to_string());
            let why = format!("it calls the object {said}, whose content is {cid}");
            return Err(refused(SiteErrorKind::Misread, why));
        }
        let path = format!("{}/{key}", self.root);
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
        self.make_folder(folder)?;
        match self.node.link(&cid.to_string(), &path) {
            Ok(()) => {}
            Err(refused) if refused.kind == SiteErrorKind::Exists => {}
            Err(refused) => return Err(refused),
        }
        match self.taken(key, cid)? {
            Some(()) => Ok(()),
            None => Err(refused(SiteErrorKind::Misread, "it took the object, and has none")),
        }
    }

    fn make_folder(&self, folder: String) -> Result<(), Refused> {
        let known = || self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&folder) {
            return Ok(());
        }
        self.node.make_folder(&folder)?;
        known().insert(folder);
        Ok(())
    }
}

impl View<'_> {
    fn stat(&self, key: &str) -> Result<Stat, Refused> {
        let found = self.node.stat(&format!("{}/{key}", self.root))?;
        let found = found.filter(|found| found.is_file);
        found.ok_or_else(|| refused(SiteErrorKind::NotFound, "it is not there"))
    }

    /// Whole, and only if it is what its hash says.
    fn whole(&self, key: &str) -> Result<Vec<u8>, Refused> {
        let stat = self.stat(key)?;
        let bytes = self.node.cat(&stat.hash, None)?;
        if Cid::parse(&stat.hash) == Some(Cid::of(&bytes)) {
            return Ok(bytes.into());
        }
        let why = format!("what it sent is not {}, which it says it is", stat.hash);
        Err(refused(SiteErrorKind::Misread, why))
    }

    fn part(&self, key: &str, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>, Refused> {
        let stat = self.stat(key)?;
        let due = stat.length_bytes.saturating_sub(offset_bytes).min(length_bytes);
        if due == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.node.cat(&stat.hash, Some((offset_bytes, due)))?;
        if bytes.len() as u64 == due {
            return Ok(bytes.into());
        }
        let why = format!("it sent {} bytes of the {due} that are there", bytes.len());
        Err(refused(SiteErrorKind::Misread, why))
    }

    fn objects(&self, prefix: &str) -> Result<Vec<ObjectInfo>, Refused> {
        let mut found = Vec::new();
        let mut waiting = vec![prefix.trim_end_matches('/').to_owned()];
        while let Some(folder) = waiting.pop() {
            let path = format!("{}/{folder}", self.root);
            for entry in self.node.names(path.trim_end_matches('/'))?.unwrap_or_default() {
                let Entry { name, is_folder, length_bytes } = entry;
                let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if check_object_name(&key).is_err() {
                    continue;
                }
                match is_folder {
                    true => waiting.push(key),
                    false => found.push(ObjectInfo { key, length_bytes }),
                }
            }
            if found.len() + waiting.len() > OBJECTS_MAX {
                let why = format!("it lists more than {OBJECTS_MAX} objects");
                return Err(refused(SiteErrorKind::Misread, why));
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Site for IpfsSite {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> String {
        format!("{}{}", self.node.url, self.root)
    }

    fn class(&self) -> SiteClass {
        SiteClass::Mutable
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.check("put", key)?;
        self.write(key, bytes).map_err(|refused| self.fail("put", key, refused))?;
        if let Some(keeper) = &self.keeper {
            keeper.changed();
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.check("get", key)?;
        self.look("get", key, |view| view.whole(key))
    }

    fn get_range(
        &self,
        key: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>, SiteError> {
        self.check("get", key)?;
        self.look("get", key, |view| view.part(key, offset_bytes, length_bytes))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        if !prefix.is_empty() {
            self.check("list", prefix.strip_suffix('/').unwrap_or(prefix))?;
        }
        self.look("list", prefix, |view| view.objects(prefix))
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        Ok(self.list("")?.iter().map(|object| object.length_bytes).sum())
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        Ok(None)
    }

    fn quarantine(&self, key: &str) -> Result<String, SiteError> {
        self.check("move aside", key)?;
        let mut random = [0; 8];
        // Without randomness a second one of this name stays where it is.
        let _ = getrandom::fill(&mut random);
        let to = format!("{}/{ASIDE}/{:016x}", self.root, u64::from_le_bytes(random));
        let moved = self.make_folder(format!("{}/{ASIDE}", self.root)).and_then(|()| {
            let from = format!("{}/{key}", self.root);
            self.node.call("files/mv", &[("arg", &from), ("arg", &to)])
        });
        moved.map(|_| to).map_err(|refused| self.fail("move aside", key, refused))
    }
}

/// Deletes at a node: takes the name away and unpins the content.
#[derive(Debug)]
pub struct IpfsJanitor {
    site: IpfsSite,
}

impl IpfsJanitor {
    /// Of a node. Nothing is sent until it is used.
    ///
    /// # Errors
    /// As [`IpfsSite::new`].
    pub fn new(name: impl Into<String>, settings: &IpfsSettings) -> Result<Self, SettingsError> {
        // Peers let go of what they keep by themselves, as newer roots replace it.
        let alone = IpfsSettings { peers: Vec::new(), ..settings.clone() };
        Ok(Self { site: IpfsSite::new(name, &alone)? })
    }
}

impl Janitor for IpfsJanitor {
    fn name(&self) -> &str {
        &self.site.name
    }

    fn delete(&self, key: &str) -> Result<(), SiteError> {
        self.site.check("delete", key)?;
        let path = format!("{}/{key}", self.site.root);
        let node = &self.site.node;
        let done = node.stat(&path).and_then(|there| match there {
            None => Ok(()),
            // A name elsewhere of the same content keeps its blocks, pinned or not.
            Some(there) => node.unlink(&path).and_then(|()| node.unpin(&there.hash)),
        });
        done.map_err(|refused| self.site.fail("delete", key, refused))
    }
}

fn refused(kind: SiteErrorKind, why: impl Into<String>) -> Refused {
    Refused { kind, why: why.into() }
}

fn authorization(credential: &Credential) -> Result<HeaderValue, SettingsError> {
    if !credential.id.eq_ignore_ascii_case("bearer") {
        return basic(credential);
    }
    let mut value = HeaderValue::try_from(format!("Bearer {}", credential.secret.as_str()))
        .map_err(|error| SettingsError::Client(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

//! Other nodes that keep what a node holds.
//!
//! The whole tree of a site has one hash. A peer fetches it from the network, pins it, and links it
//! into its own file system under the time at which it was given: so the newest root of a site is
//! found at a peer alone, when the node and this host are gone.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::View;
use super::rpc::{Node, Refused, Stat};

/// Beside the folder of a site's own objects.
const ROOTS: &str = ".roots";
/// A peer is given a new root once in this time, and at the end.
const EVERY: Duration = Duration::from_secs(10);
/// Roots that stay linked and pinned; one that is older goes, unless it is larger than the newest.
const ROOTS_KEPT: usize = 16;
/// How long a root that was found at a peer is used before it is looked for again.
const FRESH: Duration = Duration::from_secs(5);

/// Another node.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: Node,
    roots: String,
    newest: Mutex<Option<(Instant, String)>>,
}

/// What came of giving a peer the newest root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Address of the peer's RPC.
    pub peer: String,
    /// Hash of the whole tree.
    pub root: String,
    /// Why the peer does not keep it; none: it does.
    pub failure: Option<String>,
}

impl Peer {
    pub(super) fn new(node: Node, root: &str) -> Self {
        Self { node, roots: format!("/{ROOTS}{root}"), newest: Mutex::new(None) }
    }

    /// Names of the roots that are linked, oldest first.
    fn linked(&self) -> Result<Vec<String>, Refused> {
        let found = self.node.names(&self.roots)?.unwrap_or_default();
        let dated = |name: &str| name.len() == 20 && name.bytes().all(|at| at.is_ascii_digit());
        let mut names: Vec<String> =
            found.into_iter().map(|entry| entry.name).filter(|name| dated(name)).collect();
        names.sort();
        Ok(names)
    }

    /// Path of the newest root that the peer keeps.
    pub(super) fn newest_root(&self) -> Result<Option<String>, Refused> {
        let known = || self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, path)) = known().clone()
            && at.elapsed() < FRESH
        {
            return Ok(Some(path));
        }
        let newest = self.linked()?.pop().map(|name| format!("{}/{name}", self.roots));
        *known() = newest.clone().map(|path| (Instant::now(), path));
        Ok(newest)
    }

    /// Bytes of all objects below a root: what nodes say of a whole tree differs between them.
    fn bytes_below(&self, root: &str) -> Result<u64, Refused> {
        let view = View { node: &self.node, root: root.to_owned() };
        Ok(view.objects("")?.iter().map(|object| object.length_bytes).sum())
    }

    /// Fetches, pins and links a root.
    fn keep(&self, root: &Stat, addresses: &[String]) -> Result<(), Refused> {
        let linked = self.linked()?;
        if let Some(newest) = linked.last()
            && let Some(there) = self.node.stat(&format!("{}/{newest}", self.roots))?
            && there.hash == root.hash
        {
            return Ok(());
        }
        // The network finds it without this, only later; which address works is not known.
        let _ = addresses.iter().any(|address| self.node.connect(address).is_ok());
        self.node.pin(&root.hash)?;
        self.node.make_folder(&self.roots)?;
        let newest = format!("{}/{}", self.roots, now_name());
        self.node.link(&root.hash, &newest)?;
        let old = (linked.len() + 1).saturating_sub(ROOTS_KEPT);
        for name in linked.iter().take(old) {
            let path = format!("{}/{name}", self.roots);
            // Whoever emptied the node shall not empty its peers by being patient.
            if self.bytes_below(&path)? <= self.bytes_below(&newest)?
                && let Some(there) = self.node.stat(&path)?
            {
                self.node.unlink(&path)?;
                if there.hash != root.hash {
                    self.node.unpin(&there.hash)?;
                }
            }
        }
        Ok(())
    }
}

/// Nanoseconds since 1970, in digits that sort.
fn now_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:020}", now.as_nanos())
}

/// Has every peer keep what a node holds.
pub(super) fn replicate(node: &Node, root: &str, peers: &[Peer]) -> Result<Vec<Replica>, Refused> {
    let Some(root) = node.stat(root)? else {
        return Ok(Vec::new());
    };
    let addresses = node.addresses()?;
    let replica = |peer: &Peer| Replica {
        peer: peer.node.url.clone(),
        root: root.hash.clone(),
        failure: peer.keep(&root, &addresses).err().map(|refused| refused.why),
    };
    Ok(peers.iter().map(replica).collect())
}

/// Replicates behind the writer's back, so that no point waits for it.
pub(super) struct Keeper {
    tell: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    pub(super) fn start(node: Node, root: String, peers: Arc<Vec<Peer>>) -> Self {
        let (tell, told) = mpsc::channel();
        let work = move || {
            while let Ok(()) = told.recv() {
                // What comes within that time is one change.
                let until = Instant::now() + EVERY;
                loop {
                    let left = until.saturating_duration_since(Instant::now());
                    match told.recv_timeout(left) {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                    }
                }
                // Whether peers keep up is asked and shown by `sites pin`; the next change, and
                // the end, try again.
                let _ = replicate(&node, &root, &peers);
            }
        };
        let thread = std::thread::Builder::new().name("evenkeel-peers".to_owned()).spawn(work);
        Self { tell: Some(tell), thread: thread.ok() }
    }

    /// Something was written.
    pub(super) fn changed(&self) {
        if let Some(tell) = &self.tell {
            // Nobody hears only if no thread could be had; then `sites pin` is left.
            let _ = tell.send(());
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A change that is waiting is passed on now; each of its requests has a deadline.
        self.tell.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

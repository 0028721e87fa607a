//! A cluster of garage: three nodes on this machine, each object at all of them, laid out by
//! garage's own commands.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
/// Garage's own default, and none of S3's.
pub const REGION: &str = "garage";

/// Where `cargo xtask campaign garage` puts it; nothing else brings it.
fn program() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let program = cache.join("evenkeel-tools/garage/bin/garage");
    program.exists().then_some(program)
}

struct Node {
    config: PathBuf,
    log: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// What a person or a program is given to use a bucket.
pub struct Key {
    pub id: String,
    pub secret: String,
}

/// Three nodes, until they are dropped.
pub struct Cluster {
    program: PathBuf,
    nodes: Vec<Node>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|at| self.kill(at));
    }
}

impl Cluster {
    /// Starts three nodes that hold everything three times; `None`, and it is said, without garage.
    pub fn start(folder: &Path) -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: garage is not built here; type: cargo xtask campaign garage");
            return None;
        };
        // Free a moment ago, all at once; nobody else is given them so soon.
        let free: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = free.iter().map(|one| one.local_addr().unwrap().port()).collect();
        drop(free);
        let nodes = ports.chunks(2).enumerate();
        let nodes =
            nodes.map(|(at, two)| node(&folder.join(format!("node-{at}")), (two[0], two[1])));
        let mut cluster = Self { program, nodes: nodes.collect() };
        (0..3).for_each(|at| cluster.restart(at));
        cluster.lay_out();
        Some(cluster)
    }

    fn lay_out(&self) {
        let ids: Vec<String> = (0..3)
            .map(|at| self.until("a name", || self.ask(at, &["node", "id", "-q"])))
            .map(|id| id.trim().to_owned())
            .collect();
        for id in &ids[1..] {
            self.until("a connection", || self.ask(0, &["node", "connect", id]));
        }
        for (at, id) in ids.iter().enumerate() {
            let (name, _) = id.split_once('@').unwrap();
            let zone = format!("zone-{at}");
            self.say(&["layout", "assign", "-z", &zone, "-c", "10G", name]);
        }
        self.say(&["layout", "apply", "--version", "1"]);
        self.until_whole();
    }

    /// One of garage's own commands, at a node; `None` if it fails.
    fn ask(&self, at: usize, words: &[&str]) -> Option<String> {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.nodes[at].config).args(words);
        let said = command.stderr(Stdio::null()).output().unwrap();
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        said.status.success().then_some(out)
    }

    fn say(&self, words: &[&str]) -> String {
        self.ask(0, words).unwrap_or_else(|| panic!("garage {words:?} failed"))
    }

    fn until<T>(&self, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(ready) = ready() {
                return ready;
            }
            let logs = || self.nodes.iter().map(|node| fs::read_to_string(&node.log).unwrap());
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{}", logs().collect::<String>());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until all nodes know of each other, and of where everything lies.
    pub fn until_whole(&self) {
        self.until("a healthy cluster", || {
            let whole = |at| Some(self.ask(at, &["health"])?.contains("HEALTHY"));
            (0..3).all(|at| whole(at) == Some(true)).then_some(())
        });
    }

    /// A bucket.
    pub fn bucket(&self, name: &str) {
        self.say(&["bucket", "create", name]);
    }

    /// A key that may do with a bucket what the words say (`--read`, `--write`, `--owner`).
    pub fn key(&self, bucket: &str, rights: &[&str]) -> Key {
        let said = self.say(&["key", "create", &format!("of {bucket}")]);
        let part = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{said}")).trim().to_owned()
        };
        let key = Key { id: part("Key ID:"), secret: part("Secret key:") };
        let name = ["bucket", "allow", bucket, "--key", &key.id];
        self.say(&[&name[..], rights].concat());
        key
    }

    /// Where a node answers S3.
    pub fn endpoint(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.nodes[at].port)
    }

    /// `kill -9`.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.nodes[at].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a node, for the first time or again.
    pub fn restart(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let log = File::options().create(true).append(true).open(&node.log).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&node.config).arg("server").env("RUST_LOG", "garage=info");
        node.child = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }
}

fn node(folder: &Path, (port, rpc): (u16, u16)) -> Node {
    fs::create_dir_all(folder).unwrap();
    let text = format!(
        "metadata_dir = \"{0}/meta\"\ndata_dir = \"{0}/data\"\ndb_engine = \"lmdb\"\n\
         replication_factor = 3\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{1}\"\n\
         [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{port}\"\n",
        folder.display(),
        "5e".repeat(32)
    );
    let config = folder.join("garage.toml");
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    Node { config, log: folder.join("log"), port, child: None }
}

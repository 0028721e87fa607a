//! A real cluster of three etcd members on loopback, with TLS both ways and authentication.
#![allow(clippy::unwrap_used, missing_docs, dead_code, reason = "a helper of tests")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use evenkeel_quorum::{Access, EtcdStore, Login, MemberSettings, Store as _};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

pub const USER: &str = "evenkeel";
pub const PASSWORD: &str = "to-be-kept-in-a-file";
const ROOT_PASSWORD: &str = "for-administration-only";
/// Long, because a machine that builds at the same time is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the members are started with, beside names and certificates.
#[derive(Debug, Clone)]
pub struct Plan {
    pub members: usize,
    pub quota_bytes: u64,
    /// How long a token of a user is good for.
    pub token_seconds: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { members: 3, quota_bytes: 2 << 30, token_seconds: 300 }
    }
}

struct Member {
    name: String,
    client: u16,
    peer: u16,
    child: Option<Child>,
    /// Its data is thrown away with this number, when it is replaced.
    life: u32,
}

pub struct Cluster {
    dir: tempfile::TempDir,
    plan: Plan,
    members: Vec<Member>,
}

impl Cluster {
    /// Starts all members and waits until users can log in.
    pub fn start(plan: Plan) -> Self {
        Self::start_in(&std::env::temp_dir(), plan)
    }

    /// The same with its data on another disk.
    pub fn start_in(parent: &Path, plan: Plan) -> Self {
        let dir = tempfile::Builder::new().prefix("etcd-").tempdir_in(parent).unwrap();
        write_certificates(dir.path());
        let ports = free_ports(2 * plan.members);
        let members = (0..plan.members)
            .map(|at| Member {
                name: format!("m{at}"),
                client: ports[2 * at],
                peer: ports[2 * at + 1],
                child: None,
                life: 0,
            })
            .collect();
        let mut cluster = Self { dir, plan, members };
        for at in 0..cluster.members.len() {
            cluster.spawn(at, "new");
        }
        cluster.set_up_users();
        cluster
    }

    /// What a host of the venue reaches it with.
    pub fn access(&self) -> Access {
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap();
        Access {
            endpoints: self.endpoints(),
            ca_pem: Some(read("ca.pem")),
            certificate_pem: Some(read("client.pem")),
            key_pem: Some(read("client.key").into()),
            user: USER.to_owned(),
            password: PASSWORD.to_owned().into(),
            quota_bytes: self.plan.quota_bytes,
            ..Access::default()
        }
    }

    /// The same with a user that may maintain the members.
    pub fn access_of_maintainer(&self) -> Access {
        let password = ROOT_PASSWORD.to_owned().into();
        let maintainer = Some(Login { user: "root".to_owned(), password });
        Access { maintainer, ..self.access() }
    }

    /// `HOST:PORT` of every member.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|one| format!("127.0.0.1:{}", one.client)).collect()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> EtcdStore {
        EtcdStore::connect(&self.access()).unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self, at: usize) {
        let mut child = self.members[at].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn is_up(&self, at: usize) -> bool {
        self.members[at].child.is_some()
    }

    /// Starts a member again with what it had on disk.
    pub fn restart(&mut self, at: usize) {
        self.spawn(at, "existing");
    }

    pub fn signal(&self, at: usize, signal: &str) {
        let pid = self.members[at].child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// A member whose disk is gone: it is taken out, and a new one is taken in at its address.
    pub fn replace(&mut self, at: usize) {
        if self.is_up(at) {
            self.kill(at);
        }
        let name = self.members[at].name.clone();
        let others: Vec<usize> = (0..self.members.len()).filter(|one| *one != at).collect();
        let ask = |cluster: &Self, args: &[&str]| cluster.control_at(others[0], args);
        let list = self.until("a list of members", || ask(self, &["member", "list"]).ok());
        let line = list.lines().find(|line| line.contains(&format!(" {name},"))).unwrap();
        let id = line.split(',').next().unwrap();
        self.until("the old member is out", || ask(self, &["member", "remove", id]).ok());
        let peer = format!("--peer-urls=https://127.0.0.1:{}", self.members[at].peer);
        self.until("the new member is in", || ask(self, &["member", "add", &name, &peer]).ok());
        self.members[at].life += 1;
        self.spawn(at, "existing");
    }

    /// All members with their disks are gone; new ones at the same addresses know nothing.
    pub fn begin_again(&mut self) {
        for at in 0..self.members.len() {
            if self.is_up(at) {
                self.kill(at);
            }
            self.members[at].life += 1;
        }
        for at in 0..self.members.len() {
            self.spawn(at, "new");
        }
        self.set_up_users();
    }

    /// Runs `etcdctl` as root against one member.
    pub fn control_at(&self, at: usize, args: &[&str]) -> Result<String, String> {
        self.control(&self.endpoints()[at], args, &["--user", &format!("root:{ROOT_PASSWORD}")])
    }

    /// The member that leads now.
    pub fn leader(&self) -> usize {
        self.until("a leader", || {
            let is_leader = |at: &usize| {
                self.is_up(*at)
                    && self.control_at(*at, &["endpoint", "status"]).is_ok_and(|line| {
                        line.split(", ").nth(4).is_some_and(|word| word == "true")
                    })
            };
            (0..self.members.len()).find(is_leader)
        })
    }

    /// Waits until a member answers reads that a majority confirms.
    pub fn until_in_step(&self, at: usize) {
        self.until("a member in step", || self.control_at(at, &["endpoint", "health"]).ok());
    }

    fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            sleep(Duration::from_millis(50));
        }
    }

    fn control(&self, endpoint: &str, args: &[&str], more: &[&str]) -> Result<String, String> {
        let file = |name: &str| self.dir.path().join(name);
        let said = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints=https://{endpoint}"))
            .arg("--cacert")
            .arg(file("ca.pem"))
            .arg("--cert")
            .arg(file("client.pem"))
            .arg("--key")
            .arg(file("client.key"))
            .args(["--command-timeout=20s", "--dial-timeout=5s"])
            .args(more)
            .args(args)
            .output()
            .expect("etcdctl starts; install it: apt-get install etcd-client");
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&said.stderr).into_owned())
    }

    fn set_up_users(&self) {
        let endpoint = &self.endpoints()[0];
        let run = |args: &[&str]| {
            self.until(&args.join(" "), || {
                let said = self.control(endpoint, args, &[]);
                // A try that was not answered may have been carried out.
                match said {
                    Err(error) if error.contains("already exist") => Some(String::new()),
                    said => said.ok(),
                }
            })
        };
        run(&["user", "add", &format!("root:{ROOT_PASSWORD}")]);
        run(&["user", "grant-role", "root", "root"]);
        run(&["role", "add", "venue"]);
        run(&["role", "grant-permission", "venue", "--prefix=true", "readwrite", "/evenkeel/"]);
        run(&["user", "add", &format!("{USER}:{PASSWORD}")]);
        run(&["user", "grant-role", USER, "venue"]);
        run(&["auth", "enable"]);
        let mut store = self.store();
        self.until("users can log in", || store.read(&[b"/evenkeel/"]).ok());
    }

    fn spawn(&mut self, at: usize, state: &str) {
        let dir = self.dir.path();
        let file = |name: &str| dir.join(name);
        let all: Vec<String> = self
            .members
            .iter()
            .map(|one| format!("{}=https://127.0.0.1:{}", one.name, one.peer))
            .collect();
        let Member { name, client, peer, life, .. } = &self.members[at];
        let client = format!("https://127.0.0.1:{client}");
        let peer = format!("https://127.0.0.1:{peer}");
        let log = fs::File::create(file(&format!("{name}.log"))).unwrap();
        let quota_bytes = self.plan.quota_bytes;
        let settings = MemberSettings { quota_bytes, ..MemberSettings::default() };
        let child = Command::new("etcd")
            .args(["--name", name, "--initial-cluster-state", state])
            .arg("--data-dir")
            .arg(file(&format!("{name}-{life}")))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &all.join(",")])
            .args(settings.to_args())
            .args(["--auth-token-ttl", &self.plan.token_seconds.to_string()])
            .args(["--client-cert-auth", "--peer-client-cert-auth", "--logger", "zap"])
            .arg("--trusted-ca-file")
            .arg(file("ca.pem"))
            .arg("--cert-file")
            .arg(file("server.pem"))
            .arg("--key-file")
            .arg(file("server.key"))
            .arg("--peer-trusted-ca-file")
            .arg(file("ca.pem"))
            .arg("--peer-cert-file")
            .arg(file("server.pem"))
            .arg("--peer-key-file")
            .arg(file("server.key"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts; install it: apt-get install etcd-server");
        self.members[at].child = Some(child);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|one| one.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports that were free a moment ago.
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|one| one.local_addr().unwrap().port()).collect()
}

fn write_certificates(dir: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = ca.self_signed(&ca_key).unwrap();
    fs::write(dir.join("ca.pem"), certificate.pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(hosts).unwrap();
        // A member dials itself and the others with the certificate that it serves with.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params.signed_by(&key, &issuer).unwrap();
        fs::write(dir.join(format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

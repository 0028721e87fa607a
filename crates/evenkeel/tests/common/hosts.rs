//! Several hosts on one machine: a home each, and a real etcd cluster that decides who writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::audit::hashes_of;
use super::daemon::Daemon;
use super::{Rig, Said};

#[path = "../../../quorum/tests/cluster/mod.rs"]
pub mod cluster;

use cluster::{Cluster, PASSWORD, Plan, USER};

/// Homes of one venue, beginning with `h`.
pub struct Hosts {
    pub rig: Rig,
    pub cluster: Cluster,
    homes: Vec<Home>,
}

struct Home {
    name: String,
    link_port: u16,
    /// Where clients on other machines come in, if they do.
    clients_port: Option<u16>,
    daemon: Option<Daemon>,
}

impl Hosts {
    /// A cluster and so many homes with one writer's keys; nothing runs in them.
    pub fn new(rig: Rig, names: &[&str]) -> Self {
        let rig = rig.with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
        let cluster = Cluster::start(Plan::default());
        fs::write(cluster.file("password"), PASSWORD).unwrap();
        rig.ok("init --home h --dashboard off");
        let ports = cluster::free_ports(names.len());
        let homes: Vec<Home> = names
            .iter()
            .zip(ports)
            .map(|(name, link_port)| Home {
                name: (*name).to_owned(),
                link_port,
                clients_port: None,
                daemon: None,
            })
            .collect();
        let hosts = Self { rig, cluster, homes };
        for home in &hosts.homes[1..] {
            hosts.copy_home(&home.name);
        }
        hosts
    }

    /// What an operator copies to another host: the configuration and the writer's keys.
    fn copy_home(&self, name: &str) {
        let (here, there) = (self.rig.path("h"), self.rig.path(name));
        fs::create_dir_all(there.join("host")).unwrap();
        let config = fs::read_to_string(here.join("evenkeel.toml")).unwrap();
        let config = config.replace("\"sites/", "\"../h/sites/");
        fs::write(there.join("evenkeel.toml"), config).unwrap();
        super::copy_tree(&here.join("host/keys"), &there.join("host/keys"));
    }

    /// Every host takes a client of this name from other machines; its folder is beside the homes.
    pub fn let_in(&mut self, client: &str) {
        let said = self.rig.ok(&format!("clients key --name {client} --to {client}"));
        let ports = cluster::free_ports(self.homes.len());
        for (home, port) in self.homes.iter_mut().zip(ports) {
            home.clients_port = Some(port);
            let file = self.rig.path(&home.name).join("evenkeel.toml");
            let config = fs::read_to_string(&file).unwrap();
            fs::write(&file, format!("{config}\n{}", said.out)).unwrap();
        }
    }

    /// Starts the demonstration's clients with the folder of one that is let in, as from another
    /// machine; they note what they are acknowledged in `ack-CLIENT`.
    pub fn start_clients(&self, client: &str) -> Daemon {
        let authority = self.rig.path("h/host/link/ca.pem");
        fs::copy(authority, self.rig.path(client).join("ca.pem")).unwrap();
        let ports = self.homes.iter().filter_map(|home| home.clients_port);
        let at: Vec<_> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        let line = format!("demo clients --rate 500 --credentials {client} --at {}", at.join(","));
        let mut command = self.rig.command(&line);
        command.arg("--ack-log").arg(self.rig.beside(&format!("ack-{client}")));
        Daemon::spawn_as(&self.rig, client, &mut command)
    }

    /// Starts the process of a home, and waits until it answers.
    pub fn start(&mut self, at: usize) {
        let mut command = self.command(at, "up");
        command.arg("--dashboard").arg("off");
        command.arg("--ack-log").arg(self.ack_log(at));
        let mut daemon = Daemon::spawn_as(&self.rig, &self.homes[at].name, &mut command);
        daemon.until("an answer", || self.status(at));
        self.homes[at].daemon = Some(daemon);
        if at == 0 {
            self.share_certificates();
        }
    }

    /// The first host makes the link's certificates; the others have to show the same.
    fn share_certificates(&self) {
        let from = self.rig.path("h/host/link");
        for home in &self.homes[1..] {
            let to = self.rig.path(&home.name).join("host/link");
            if !to.exists() {
                super::copy_tree(&from, &to);
            }
        }
    }

    /// A command about a home, with everything that its configuration would say.
    pub fn command(&self, at: usize, line: &str) -> Command {
        let Home { name, link_port, .. } = &self.homes[at];
        let mut command = self.rig.command(&format!("{line} --home {name}"));
        let address = format!("127.0.0.1:{link_port}");
        command
            .env("EVENKEEL_STANDBY_MODE", "quorum")
            .env("EVENKEEL_STANDBY_NAME", name)
            .env("EVENKEEL_LINK_LISTEN", &address)
            .env("EVENKEEL_QUORUM_ADVERTISE", &address)
            .env("EVENKEEL_QUORUM_ENDPOINTS", self.cluster.endpoints().join(","))
            .env("EVENKEEL_QUORUM_CA_FILE", self.cluster.file("ca.pem"))
            .env("EVENKEEL_QUORUM_CERTIFICATE_FILE", self.cluster.file("client.pem"))
            .env("EVENKEEL_QUORUM_KEY_FILE", self.cluster.file("client.key"))
            .env("EVENKEEL_QUORUM_USER", USER)
            .env("EVENKEEL_QUORUM_PASSWORD_FILE", self.cluster.file("password"));
        if let Some(port) = self.homes[at].clients_port {
            let address = format!("127.0.0.1:{port}");
            command
                .env("EVENKEEL_CLIENTS_LISTEN", &address)
                .env("EVENKEEL_CLIENTS_ADVERTISE", &address);
        }
        command
    }

    pub fn ack_log(&self, at: usize) -> PathBuf {
        self.rig.beside(&format!("ack-{}", self.homes[at].name))
    }

    pub fn ack_bytes(&self, at: usize) -> u64 {
        fs::metadata(self.ack_log(at)).map_or(0, |found| found.len())
    }

    pub fn status(&self, at: usize) -> Option<Value> {
        let said = self.rig.run(&format!("status --home {} --json", self.homes[at].name));
        let status: Value = serde_json::from_str(&said.out).ok()?;
        status["running"].as_bool()?.then_some(status)
    }

    pub fn daemon(&mut self, at: usize) -> &mut Daemon {
        self.homes[at].daemon.as_mut().unwrap()
    }

    /// Waits for a status of a home.
    pub fn until(&mut self, at: usize, what: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let mut daemon = self.homes[at].daemon.take().unwrap();
        let found = daemon.until(what, || self.status(at).filter(|status| ready(status)));
        self.homes[at].daemon = Some(daemon);
        found
    }

    /// Waits until a home is primary of at least this term, and its clients were answered.
    pub fn until_primary(&mut self, at: usize, term: u64) {
        self.until(at, "a primary", |status| {
            status["role"] == "primary" && status["journal"]["term"].as_u64() >= Some(term)
        });
        self.until_acked(at, 300);
    }

    /// Waits until a home's standby follows the primary closely.
    pub fn until_following(&mut self, at: usize) {
        self.until(at, "a standby that follows", |status| {
            let standby = &status["standbys"][0];
            status["role"] == "standby"
                && standby["state"] == "following"
                && standby["lag_entries"].as_u64() < Some(10_000)
                && standby["agreed_position"].as_u64() > Some(0)
        });
    }

    /// Waits until a home's clients were acknowledged so many commands more.
    pub fn until_acked(&mut self, at: usize, more: u64) {
        let bytes = self.ack_bytes(at) + 68 * more;
        let mut daemon = self.homes[at].daemon.take().unwrap();
        daemon.until("acknowledgements", || (self.ack_bytes(at) >= bytes).then_some(()));
        self.homes[at].daemon = Some(daemon);
    }

    /// Waits until a home's clients wrote down more than this many bytes of acknowledgements.
    pub fn until_beyond(&mut self, at: usize, bytes: u64) {
        let mut daemon = self.homes[at].daemon.take().unwrap();
        daemon.until("acknowledgements", || (self.ack_bytes(at) > bytes).then_some(()));
        self.homes[at].daemon = Some(daemon);
    }

    /// Waits until the clients of one of two homes wrote down more than they had; says of which.
    pub fn until_either_beyond(&mut self, bytes: [u64; 2]) -> usize {
        let mut daemon = self.homes[0].daemon.take().unwrap();
        let found =
            daemon.until("acknowledgements", || (0..2).find(|at| self.ack_bytes(*at) > bytes[*at]));
        self.homes[0].daemon = Some(daemon);
        found
    }

    /// Journal of a home.
    pub fn journal(&self, at: usize) -> PathBuf {
        self.rig.path(&self.homes[at].name).join("host/journal")
    }

    /// What a home's process has said so far.
    pub fn said(&self, at: usize) -> String {
        fs::read_to_string(self.rig.beside(&format!("{}.err", self.homes[at].name)))
            .unwrap_or_default()
    }

    /// `kill -9` of a home's process.
    pub fn kill(&mut self, at: usize) {
        self.homes[at].daemon.take().unwrap().kill();
    }

    /// Ctrl-C.
    pub fn end(&mut self, at: usize) -> String {
        self.homes[at].daemon.take().unwrap().end()
    }

    /// Runs a command about a home.
    pub fn run(&self, at: usize, line: &str) -> Said {
        Said::of(&self.command(at, line).output().unwrap())
    }

    /// Ends everything in good order, the given home last; then every acknowledgement has to be in
    /// its journal.
    pub fn assert_nothing_lost(&mut self, at: usize) {
        let others = (0..self.homes.len()).filter(|other| *other != at);
        for other in others.chain([at]).collect::<Vec<_>>() {
            if self.homes[other].daemon.is_some() {
                self.end(other);
            }
        }
        let (lost, count) = self.lost(at);
        assert!(count > 600, "{count}");
        assert_eq!(lost, Vec::new());
        let said = self.run(at, "journal verify");
        assert_eq!(said.exit, 0, "{said:?}");
    }

    /// Every acknowledgement that any client wrote down, against one home's journal: what is
    /// missing or different there, and how many there were.
    pub fn lost(&self, at: usize) -> (Vec<(u64, String)>, usize) {
        let hashes: BTreeMap<u64, String> = hashes_of(&self.rig, &self.homes[at].name);
        let logs = (0..self.homes.len()).map(|at| self.ack_log(at));
        let mut acks: Vec<_> = logs.flat_map(|log| read_acks(&log)).collect();
        let count = acks.len();
        acks.retain(|(position, hash)| hashes.get(position) != Some(hash));
        (acks, count)
    }
}

/// The acknowledgements that a client wrote down.
pub fn read_acks(log: &Path) -> Vec<(u64, String)> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| {
        let (position, hash) = line.split_once(' ').unwrap();
        (position.parse().unwrap(), hash.to_owned())
    };
    whole.lines().map(parse).collect()
}

//! Two hosts with a cable between them: network namespaces of a test's own, which share nothing
//! with the network of this machine.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Addresses of the two.
const ADDRESSES: [&str; 2] = ["10.177.4.1", "10.177.4.2"];
const NAMES: [&str; 2] = ["evk-a", "evk-b"];

/// Both, until dropped.
pub struct Network {
    hosts: [Child; 2],
}

impl Network {
    /// `None` if this machine does not allow it: the test then says so and has not been made.
    pub fn new() -> Option<Self> {
        let network = Self::try_new();
        if network.is_none() {
            println!("NOT TESTED: this machine allows no network namespaces (unshare -n, ip)");
        }
        network
    }

    fn try_new() -> Option<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let first = hold(Command::new("unshare").arg(if is_root { "-n" } else { "-rn" }))?;
        // Within the first, so that whoever may not touch the machine's network may do this.
        let second = hold(inside(&first).args(["unshare", "-n"]))?;
        let network = Self { hosts: [first, second] };
        let [a, b] = NAMES;
        let second = network.hosts[1].id();
        network.run(0, &format!("ip link add {a} type veth peer name {b}"))?;
        network.run(0, &format!("ip link set {b} netns {second}"))?;
        for host in 0..2 {
            network.run(host, "ip link set lo up")?;
            let (address, name) = (ADDRESSES[host], NAMES[host]);
            network.run(host, &format!("ip addr add {address}/24 dev {name}"))?;
            network.run(host, &format!("ip link set {name} up"))?;
        }
        Some(network)
    }

    fn run(&self, host: usize, line: &str) -> Option<()> {
        let status = inside(&self.hosts[host]).args(line.split(' ')).status().ok()?;
        status.success().then_some(())
    }

    pub fn address(host: usize) -> &'static str {
        ADDRESSES[host]
    }

    /// The same command, to be run on one of them.
    pub fn enter(&self, host: usize, command: &Command) -> Command {
        let mut entered = inside(&self.hosts[host]);
        if let Some(folder) = command.get_current_dir() {
            entered.current_dir(folder);
        }
        entered.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }

    /// Pulls the cable, or puts it back.
    pub fn set_cable(&self, is_in: bool) {
        let word = if is_in { "up" } else { "down" };
        self.run(0, &format!("ip link set {} {word}", NAMES[0])).unwrap();
    }

    /// What one of them sends gets lost on its way, while everything still comes in to it; or that
    /// is over.
    pub fn set_mute(&self, host: usize, is_mute: bool) {
        let (other, name) = (ADDRESSES[1 - host], NAMES[host]);
        let line = if is_mute {
            // An address that no card has.
            format!("ip neigh replace {other} lladdr 02:00:00:00:00:99 dev {name} nud permanent")
        } else {
            format!("ip neigh del {other} dev {name}")
        };
        self.run(host, &line).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.iter_mut().rev() {
            let _ = host.kill();
            let _ = host.wait();
        }
    }
}

/// A process that keeps its namespace alive.
fn hold(command: &mut Command) -> Option<Child> {
    let mut child = command
        .args(["sh", "-c", "echo ready && exec sleep 1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut line = String::new();
    let _ = BufReader::new(child.stdout.take()?).read_line(&mut line);
    if line != "ready\n" {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    Some(child)
}

/// The beginning of a command in the namespace of a process.
fn inside(host: &Child) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &host.id().to_string(), "-n"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["-U", "--preserve-credentials"]);
    }
    command.arg("--").stdin(Stdio::null());
    command
}

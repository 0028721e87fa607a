//! A PostgreSQL server that commits only what capture confirms, under `pgbench` and writers of our
//! own that keep a list of what they were told; kills of server and capture; both hosts lost; and
//! what comes back held against the list, and moments against the server's own commit times.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_capture::postgres::{Connection, Login, Purpose};

use super::cluster::{Server, command, hand_over, run as run_program};
use super::common::Rig;
use super::common::random::Random;

const WRITERS: u32 = 3;

/// What is done.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Kills of server or capture before both are lost.
    pub kills: u32,
    /// Moments that are brought back.
    pub moments: u32,
    /// `spool`: the server's host is lost. `sites`: the capturing host as well.
    pub confirm: &'static str,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Tally {
    pub acknowledged: usize,
    pub restored: usize,
    pub lost: usize,
    pub server_kills: u32,
    pub capture_kills: u32,
    pub moments_exact: u32,
}

type Acks = Arc<Mutex<BTreeSet<(u32, u32)>>>;

struct Load {
    stop: Arc<AtomicBool>,
    acks: Acks,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(server: &Server) -> Self {
        let (stop, acks) = (Arc::new(AtomicBool::new(false)), Acks::default());
        let asked = Arc::clone(&stop);
        let mut login = server.login_as("postgres", None);
        login.stop = Arc::new(move || asked.load(Ordering::Relaxed));
        let mut threads = Vec::new();
        for client in 0..WRITERS {
            let (login, acks) = (login.clone(), Arc::clone(&acks));
            threads.push(std::thread::spawn(move || write(client, &login, &acks)));
        }
        let (socket, asked) = (server.socket.clone(), Arc::clone(&stop));
        threads.push(std::thread::spawn(move || pgbench(&socket, &asked)));
        Self { stop, acks, threads }
    }

    fn count(&self) -> usize {
        self.acks.lock().unwrap().len()
    }

    fn end(self) -> BTreeSet<(u32, u32)> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let acks = self.acks.lock().unwrap();
        acks.clone()
    }
}

/// One commit after the other; what was confirmed is noted, what was not may be there or not.
fn write(client: u32, login: &Login, acks: &Acks) {
    let mut number = 0;
    while !(login.stop)() {
        let Ok(mut connection) = Connection::open(login, Purpose::Queries) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        loop {
            number += 1;
            let sql = format!("INSERT INTO acks VALUES ({client}, {number})");
            if (login.stop)() || connection.query(&sql).is_err() {
                break;
            }
            acks.lock().unwrap().insert((client, number));
        }
    }
}

fn pgbench(socket: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut bench = command("pgbench");
        bench.args(["-U", "postgres", "-n", "-c", "2", "-T", "3600", "-h"]).arg(socket);
        bench.arg("postgres").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = bench.spawn().unwrap();
        while !stop.load(Ordering::Relaxed) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
}

struct Stage {
    rig: Rig,
    server: Server,
    capture: Option<Child>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_capture();
    }
}

impl Stage {
    fn new(confirm: &str) -> Self {
        let server = Server::new(&["track_commit_timestamp=on"]);
        server.sql("CREATE TABLE acks (client int, number int, PRIMARY KEY (client, number))");
        let mut init = command("pgbench");
        init.args(["-U", "postgres", "-i", "-q", "-h"]).arg(&server.socket).arg("postgres");
        run_program(&mut init);
        let rig = Rig::new();
        fs::write(rig.path("password"), "hunter2").unwrap();
        let folder = server.socket.display();
        let url = format!("postgresql://keeper@/postgres?host={folder}&port=5432");
        rig.ok(&format!("protect {url} --password-file password --home h"));
        let file = rig.path("h/evenkeel.toml");
        let text = fs::read_to_string(&file).unwrap() + &format!("confirm = \"{confirm}\"\n");
        fs::write(&file, text).unwrap();
        let mut stage = Self { rig, server, capture: None };
        stage.start_capture();
        stage.server.sql("ALTER SYSTEM SET synchronous_standby_names = 'evenkeel'");
        stage.server.sql("SELECT pg_reload_conf()");
        let sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        stage.server.wait_for("it waits for us", |server| server.one(sync) == "1");
        stage
    }

    fn start_capture(&mut self) {
        let mut command = self.rig.command("postgres run --home h");
        let log = self.rig.beside("capture.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        self.capture = Some(command.stdin(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn kill_capture(&mut self) {
        if let Some(mut capture) = self.capture.take() {
            let _ = capture.kill();
            let _ = capture.wait();
        }
    }

    /// Waits until commits are confirmed again.
    fn await_progress(&self, load: &Load) {
        let (before, begun) = (load.count(), Instant::now());
        while load.count() < before + 5 {
            let log = || fs::read_to_string(self.rig.beside("capture.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(120), "no commit: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn back(&self, name: &str, how: &str) -> Server {
        let identity = "--identity h/recovery-identity.txt --only postgres:postgres";
        self.rig.ok(&format!("restore --home h {identity} --to {name} {how}"));
        let to = self.rig.path(name);
        for folder in to.ancestors().skip(1).take(2) {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
        }
        fs::write(to.join("data/pg_hba.conf"), "local all all trust\n").unwrap();
        hand_over(&to);
        let mut server = Server::of(to.join("data"), to, &["track_commit_timestamp=on"]);
        server.start();
        server.wait_for("recovery ends", |server| {
            let asked = server.try_sql("SELECT pg_is_in_recovery()");
            asked.is_ok_and(|rows| rows[0][0].as_deref() == Some("f"))
        });
        server
    }
}

fn rows(server: &Server) -> BTreeSet<(u32, u32)> {
    let number = |row: &[Option<String>], at: usize| row[at].as_ref().unwrap().parse().unwrap();
    let rows = server.sql("SELECT client, number FROM acks");
    rows.iter().map(|row| (number(row, 0), number(row, 1))).collect()
}

/// When each of our transactions was committed, in microseconds since 1970.
fn commit_times(server: &Server) -> Vec<u64> {
    let sql = "SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint \
               FROM acks ORDER BY 1";
    server.sql(sql).iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect()
}

/// Plays it, and fails where something acknowledged is lost or a moment is not exact.
pub fn play(plan: &Plan) -> Tally {
    let mut random = Random::new(plan.seed);
    let mut stage = Stage::new(plan.confirm);
    let mut tally = Tally::default();
    let load = Load::begin(&stage.server);
    for _ in 0..plan.kills {
        stage.await_progress(&load);
        std::thread::sleep(Duration::from_millis(random.below(900)));
        if random.below(2) == 0 {
            stage.kill_capture();
            std::thread::sleep(Duration::from_millis(random.below(300)));
            stage.start_capture();
            tally.capture_kills += 1;
        } else {
            stage.server.kill();
            stage.server.start();
            tally.server_kills += 1;
        }
    }
    stage.await_progress(&load);
    // Both at once, in the middle of it.
    stage.server.kill();
    stage.kill_capture();
    let acks = load.end();
    if plan.confirm == "sites" {
        // Its host is lost with all it held.
        fs::remove_dir_all(stage.rig.path("h/host/postgres")).unwrap();
        fs::remove_dir_all(stage.rig.path("h/postgres")).unwrap();
    } else {
        stage.rig.ok("backup --home h");
    }
    let mut back = stage.back("latest", "");
    let found = rows(&back);
    let newest = commit_times(&back).last().copied().unwrap();
    back.stop();
    (tally.acknowledged, tally.restored) = (acks.len(), found.len());
    let lost: Vec<_> = acks.difference(&found).collect();
    tally.lost = lost.len();
    assert_eq!(lost, Vec::<&(u32, u32)>::new(), "{plan:?}: acknowledged and not restored");
    moments(plan, &mut stage, &mut random, newest, &mut tally);
    tally
}

/// Any moment between the first commit and the newest that was captured.
fn moments(plan: &Plan, stage: &mut Stage, random: &mut Random, newest: u64, tally: &mut Tally) {
    stage.server.start();
    let times = commit_times(&stage.server);
    let first = times[0];
    for number in 0..plan.moments {
        let at = first + random.below(newest - first);
        let expected = times.partition_point(|time| *time <= at);
        let name = format!("moment{number}");
        let mut back = stage.back(&name, &format!("--at-time {}", rfc3339(&stage.server, at)));
        let found = rows(&back).len();
        back.stop();
        assert_eq!(found, expected, "{plan:?}: at {at} of {first} to {newest}");
        fs::remove_dir_all(stage.rig.path(&name)).unwrap();
        tally.moments_exact += 1;
    }
}

fn rfc3339(server: &Server, microseconds: u64) -> String {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let sql = format!(
        "SELECT to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"
    );
    format!("{}.{fraction:06}Z", server.one(&sql))
}

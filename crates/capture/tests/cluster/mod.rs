//! A PostgreSQL cluster of a test's own: made by `initdb`, reached by a socket in its folder.

#![allow(dead_code, reason = "every test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test's helper fails as a test does")]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use evenkeel_capture::postgres::{
    Board, Connection, Error, Follower, Login, Lsn, Promise, Purpose, Row, Store, take_base,
};
use evenkeel_capture::sqlite::Clock;
use evenkeel_journal::RealDisk;
use tempfile::TempDir;
use zeroize::Zeroizing;

pub struct WallClock;

impl Clock for WallClock {
    fn now_ns(&self) -> u64 {
        now_ns()
    }
}

pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// Where the server's programs are.
pub fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed: cargo xtask setup")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    found.pop().expect("a version of PostgreSQL").1
}

/// A server refuses to run as root: its programs run as somebody else.
fn user() -> Option<(u32, u32)> {
    let root = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0;
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    root.then(|| ids("postgres").or_else(|| ids("nobody")).expect("somebody else than root"))
}

pub fn command(program: &str) -> Command {
    let mut command = Command::new(programs().join(program));
    // Its collation and messages must not depend on the machine.
    command.env("LC_ALL", "C").stdin(Stdio::null());
    if let Some((uid, gid)) = user() {
        command.uid(uid).gid(gid).current_dir("/");
    }
    command
}

/// Gives a folder and all that is in it to whoever runs servers.
pub fn hand_over(path: &Path) {
    let Some((uid, gid)) = user() else {
        return;
    };
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            hand_over(&entry.unwrap().path());
        }
    }
}

pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

pub struct Server {
    child: Option<Child>,
    pub data: PathBuf,
    pub socket: PathBuf,
    /// In the socket's name, and of the network if it listens there.
    pub port: u16,
    /// Settings on the command line.
    pub settings: Vec<String>,
    home: Option<TempDir>,
}

impl Server {
    /// A new cluster, running.
    pub fn new(settings: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        let data = home.path().join("data");
        hand_over(home.path());
        let mut init = command("initdb");
        init.args(["--username=postgres", "--auth=trust", "--no-sync", "--data-checksums"]);
        run(init.arg("-D").arg(&data));
        fs::write(
            data.join("pg_hba.conf"),
            "local replication keeper scram-sha-256\nlocal replication all trust\n\
             local all all trust\nhost all all 127.0.0.1/32 trust\n\
             host replication all 127.0.0.1/32 md5\n",
        )
        .unwrap();
        let mut server = Self::of(data, home.path().to_path_buf(), settings);
        server.home = Some(home);
        server.start();
        server.sql("CREATE ROLE keeper LOGIN REPLICATION PASSWORD 'hunter2'");
        server
    }

    /// A data folder that is there, not running.
    pub fn of(data: PathBuf, socket: PathBuf, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|one| (*one).to_owned()).collect();
        Self { child: None, data, socket, port: 5432, settings, home: None }
    }

    pub fn start(&mut self) {
        let mut command = command("postgres");
        command.arg("-D").arg(&self.data);
        let folder = self.socket.display();
        // A server that is killed loses nothing without fsync; a machine that fails would.
        let fixed = [
            format!("unix_socket_directories={folder}"),
            "listen_addresses=".to_owned(),
            format!("port={}", self.port),
            "fsync=off".to_owned(),
        ];
        for setting in fixed.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        let log = self.socket.join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.wait_for("it takes queries", |server| server.try_sql("SELECT 1").is_ok());
    }

    pub fn wait_for(&mut self, what: &str, done: impl Fn(&mut Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "{what}: it ended: {}", self.log());
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.socket.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// As the machine would be after a crash: nothing is flushed, nothing said goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
            // Its children notice; only then may another be started here.
            let lock = self.data.join("postmaster.pid");
            let _ = fs::remove_file(lock);
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let mut stop = command("pg_ctl");
            run(stop.args(["stop", "-m", "fast", "-D"]).arg(&self.data));
            child.wait().unwrap();
        }
    }

    /// What a failover does: the cluster goes on with a new timeline.
    pub fn promote(&mut self) {
        self.stop();
        fs::write(self.data.join("standby.signal"), "").unwrap();
        hand_over(&self.data.join("standby.signal"));
        self.start();
        self.sql("SELECT pg_promote()");
        self.wait_for("it is promoted", |server| {
            server
                .try_sql("SELECT pg_is_in_recovery()")
                .is_ok_and(|rows| rows[0][0].as_deref() == Some("f"))
        });
    }

    pub fn login_as(&self, user: &str, password: Option<&str>) -> Login {
        let (folder, port) = (self.socket.display(), self.port);
        let url = format!("postgresql://{user}@/postgres?host={folder}&port={port}");
        Login {
            address: url.parse().unwrap(),
            password: password.map(|text| Zeroizing::new(text.as_bytes().to_vec())),
            stop: Arc::new(|| false),
        }
    }

    pub fn login(&self) -> Login {
        self.login_as("keeper", Some("hunter2"))
    }

    pub fn connect(&self) -> Result<Connection, Error> {
        Connection::open(&self.login_as("postgres", None), Purpose::Queries)
    }

    /// A server notices a moment later that nobody uses a slot any more.
    pub fn wait_until_free(&self) {
        let begun = Instant::now();
        while self.one("SELECT count(*) FROM pg_replication_slots WHERE active") != "0" {
            assert!(begun.elapsed() < Duration::from_secs(20), "the slot stays in use");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn try_sql(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.connect()?.query(sql)
    }

    pub fn sql(&self, sql: &str) -> Vec<Row> {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub fn one(&self, sql: &str) -> String {
        self.sql(sql)[0][0].clone().unwrap_or_default()
    }

    pub fn lsn(&self) -> Lsn {
        self.one("SELECT pg_current_wal_flush_lsn()").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Sent to the postmaster, SIGQUIT would end its children too; killed, they notice.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What is durable here is safe.
pub struct Durable;

impl Promise for Durable {
    fn flushed(&self, durable: Lsn) -> Lsn {
        durable
    }

    fn may_take(&self) -> bool {
        true
    }
}

/// A capture at work, as the binary runs it: it goes on after whatever passes.
pub struct Capturing {
    pub store: Arc<Store>,
    pub board: Arc<Board>,
    login: Login,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<Error>>>,
}

impl Capturing {
    pub fn begin(folder: &Path, login: Login) -> Self {
        let store = Arc::new(Store::open(Arc::new(RealDisk), folder).unwrap());
        let (board, stop) = (Arc::new(Board::default()), Arc::new(AtomicBool::new(false)));
        let asked = Arc::clone(&stop);
        let login = Login { stop: Arc::new(move || asked.load(Ordering::Relaxed)), ..login };
        let (of_store, of_board, of_login) =
            (Arc::clone(&store), Arc::clone(&board), login.clone());
        let thread = std::thread::spawn(move || {
            loop {
                let follower = Follower {
                    store: &of_store,
                    login: &of_login,
                    slot: "evenkeel",
                    promise: &Durable,
                    board: &of_board,
                    clock: &WallClock,
                };
                match follower.run() {
                    Err(Error::Stopped) => return None,
                    Err(error) if error.is_passing() => {
                        of_board.trouble(&error.to_string());
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    Err(error) => return Some(error),
                    Ok(()) => {}
                }
                if (of_login.stop)() {
                    return None;
                }
            }
        });
        Self { store, board, login, stop, thread: Some(thread) }
    }

    pub fn wait_until(&self, lsn: Lsn) {
        self.wait("the log is here", || self.board.progress().durable >= lsn);
    }

    pub fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            let ended = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
            assert!(!ended, "{what}: capture ended");
            let progress = self.board.progress();
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {progress:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn base(&self) -> evenkeel_capture::postgres::Base {
        self.wait("a connection", || self.board.progress().server.is_some());
        take_base(&self.store, &self.login, &WallClock, &self.board).unwrap()
    }

    /// Ends it in good order, and gives why it had ended by itself.
    pub fn end(mut self) -> Option<Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }

    /// Why it ended by itself.
    pub fn ended(mut self) -> Option<Error> {
        self.thread.take().unwrap().join().unwrap()
    }
}

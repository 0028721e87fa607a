//! A PostgreSQL server protected, restored and drilled through the program.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod cli_support;
#[path = "../../capture/tests/cluster/mod.rs"]
mod cluster;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use cli_support::{Bench, Said};
use cluster::{Server, hand_over};
use serde_json::Value;

fn check<'a>(drill: &'a Value, name: &str) -> &'a Value {
    let checks = drill["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {drill}"))
}

struct Desk {
    bench: Bench,
    server: Server,
    running: Option<Child>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}

impl Desk {
    fn new() -> Self {
        let server = Server::new(&[]);
        server.sql("CREATE TABLE orders (id int PRIMARY KEY, at timestamptz DEFAULT now())");
        server.sql("INSERT INTO orders SELECT n FROM generate_series(1, 100) n");
        let bench = Bench::new();
        bench.write("password", "hunter2\n");
        Self { bench, server, running: None }
    }

    fn url(&self) -> String {
        format!("postgresql://keeper@/postgres?host={}&port=5432", self.server.socket.display())
    }

    fn ok(&self, line: &str) -> Said {
        let said = self.bench.run(line);
        assert_eq!(said.exit, 0, "{line}: {}\n{}", said.out, said.err);
        said
    }

    fn protect(&self) -> Said {
        self.ok(&format!("protect {} --password-file password --home h --json", self.url()))
    }

    /// Adds lines to the last table of the configuration.
    fn configure(&self, lines: &str) {
        let text = self.bench.read("h/evenkeel.toml") + lines;
        self.bench.write("h/evenkeel.toml", &text);
    }

    fn follow(&mut self) {
        let mut command = self.bench.command("postgres run --home h");
        let log = fs::File::create(self.bench.path("log")).unwrap();
        self.running = Some(command.stderr(log).spawn().unwrap());
    }

    fn kill_capture(&mut self) {
        let mut running = self.running.take().unwrap();
        running.kill().unwrap();
        running.wait().unwrap();
    }

    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{what}: {}",
                self.bench.read("log")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until everything that was written is on this host.
    fn wait_for_log(&self) {
        let end = self.server.lsn();
        let sql = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'evenkeel' AND \
             flush_lsn >= '{end}'"
        );
        self.wait("the log is here", || self.server.one(&sql) == "1");
        // The clock's word for it comes once a second.
        std::thread::sleep(Duration::from_millis(2_500));
    }

    fn back(&self, name: &str) -> Server {
        let to = self.bench.path(name);
        for folder in to.ancestors().skip(1).take(2) {
            open_to_all(folder);
        }
        hand_over(&to);
        fs::write(to.join("data/pg_hba.conf"), "local all all trust\n").unwrap();
        let mut server = Server::of(to.join("data"), to, &[]);
        server.start();
        server.wait_for("recovery ends", |server| {
            let asked = server.try_sql("SELECT pg_is_in_recovery()");
            asked.is_ok_and(|rows| rows[0][0].as_deref() == Some("f"))
        });
        server
    }
}

/// So that the server's user can reach what lies below.
fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn a_protected_server_is_proven_by_one_that_starts_from_the_sites() {
    let desk = Desk::new();
    let made = desk.protect().json();
    let drill = &made["drill"];
    assert_eq!(drill["result"], "ok", "{made}");
    for name in ["postgres_postgres", "postgres_postgres_files", "postgres_postgres_pages"] {
        assert_eq!(check(drill, name)["result"], "ok", "{drill}");
    }
    let text = desk.bench.read("h/evenkeel.toml");
    assert!(text.contains("[[postgres]]") && !text.contains("hunter2"), "{text}");
    let slots = "SELECT string_agg(slot_name || slot_type, ',') FROM pg_replication_slots";
    assert_eq!(desk.server.one(slots), "evenkeelphysical");

    desk.configure("checks = [\"SELECT count(*) = 100 FROM orders\"]\n");
    let drill = desk.ok("drill --level D3 --home h --json").json();
    assert_eq!(check(&drill, "postgres_postgres_queries")["result"], "ok", "{drill}");
    let encrypted = [("EVENKEEL_DRILL_SCRATCH_ENCRYPTED", "true")];
    let drill = desk.bench.run_with("drill --level D3 --home h --json", &encrypted).json();
    assert_eq!(check(&drill, "postgres_postgres_queries")["result"], "ok", "{drill}");
    let scratch = check(&drill, "scratch")["detail"].as_str().unwrap();
    assert!(scratch.starts_with("encrypted") || scratch.starts_with("in memory"), "{scratch}");
    let text = desk.bench.read("h/evenkeel.toml").replace("= 100 FROM", "= 99 FROM");
    desk.bench.write("h/evenkeel.toml", &text);
    let said = desk.bench.run("drill --level D3 --home h --json");
    let drill = said.json();
    assert_eq!(check(&drill, "postgres_postgres_queries")["result"], "failed", "{drill}");
    assert_ne!(said.exit, 0);
    let left = fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok);
    let mine = |name: std::ffi::OsString| {
        let pid = name.to_str()?.strip_prefix("evenkeel-drill-")?.split('-').next()?.to_owned();
        (!Path::new("/proc").join(&pid).exists()).then_some(pid)
    };
    let left: Vec<_> = left.filter_map(|entry| mine(entry.file_name())).collect();
    assert_eq!(left, Vec::<String>::new(), "no ended drill leaves its scratch");
}

#[test]
fn a_moment_comes_back_from_the_sites_after_kills_of_capture() {
    let mut desk = Desk::new();
    desk.protect();
    let position = desk.bench.path("h/host/postgres/postgres/position");
    let noted = fs::read_to_string(&position).unwrap();
    let old = noted.lines().take(2).collect::<Vec<_>>().join("\n") + "\ntime_ns 1000000000\n";
    fs::write(&position, old).unwrap();
    let said = desk.ok("backup --home h");
    for part in ["ends at 1970-01-01", "evenkeel postgres run"] {
        assert!(said.err.contains(part), "nobody captures: {}", said.err);
    }
    fs::write(&position, noted).unwrap();
    desk.follow();
    desk.wait("it is followed", || {
        desk.server.one("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"
    });
    desk.server.sql("INSERT INTO orders SELECT n FROM generate_series(101, 200) n");
    desk.wait_for_log();
    desk.kill_capture();
    desk.server.sql("INSERT INTO orders SELECT n FROM generate_series(201, 300) n");
    let moment = desk.server.one(
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
    );
    std::thread::sleep(Duration::from_millis(5));
    desk.server.sql("SELECT pg_create_restore_point('before-the-mistake')");
    desk.server.sql("DELETE FROM orders");
    desk.follow();
    desk.wait("it is followed again", || {
        desk.server.one("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"
    });
    desk.wait_for_log();
    desk.ok("backup --home h");
    let status = desk.ok("postgres status --home h --json").json();
    let capture = &status["captures"][0];
    assert_eq!(capture["windows"].as_array().unwrap().len(), 1, "nothing is missing: {status}");
    assert_eq!(capture["named_points"][0]["name"], "before-the-mistake", "{status}");

    let restore = "restore --home h --identity h/recovery-identity.txt --only postgres:postgres";
    for (at, how, expected) in [
        ("b1", format!("--at-time {moment}"), "300"),
        ("b2", "--at-point before-the-mistake".to_owned(), "300"),
        ("b3", String::new(), "0"),
    ] {
        desk.ok(&format!("{restore} --to {at} {how}"));
        let mut back = desk.back(at);
        assert_eq!(back.one("SELECT count(*) FROM orders"), expected, "{how}");
        back.stop();
    }
    let refused = desk.bench.run(&format!("{restore} --to b4 --at-time 2001-01-01T00:00:00Z"));
    assert_eq!(refused.exit, 2, "{}", refused.err);
    assert!(refused.err.contains("what can be restored"), "{}", refused.err);
    assert!(!desk.bench.path("b4").exists());
    let occupied = desk.bench.run(&format!("{restore} --to b3"));
    assert_ne!(occupied.exit, 0, "what is there is never overwritten");
    desk.kill_capture();
}

#[test]
fn up_follows_the_server_and_its_points_hold_what_came() {
    let mut desk = Desk::new();
    desk.protect();
    let points = |desk: &Desk| desk.ok("points --home h --json").out.lines().count();
    let before = points(&desk);
    let mut command = desk.bench.command("up --home h");
    command.env("EVENKEEL_FILES_EVERY_SECONDS", "1").env("EVENKEEL_DRILL_EVERY_SECONDS", "0");
    command.env("EVENKEEL_DASHBOARD_BIND", "off");
    let log = fs::File::create(desk.bench.path("log")).unwrap();
    desk.running = Some(command.stderr(log).spawn().unwrap());
    desk.wait("it is followed", || {
        desk.server.one("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"
    });
    desk.server.sql("INSERT INTO orders SELECT n FROM generate_series(101, 200) n");
    desk.wait_for_log();
    desk.wait("a point holds it", || points(&desk) > before + 2);
    desk.ok("restore --home h --identity h/recovery-identity.txt --only postgres:postgres --to up");
    let mut back = desk.back("up");
    assert_eq!(back.one("SELECT count(*) FROM orders"), "200");
    back.stop();
    desk.kill_capture();
}

#[test]
fn what_a_server_refuses_is_said_with_what_to_type() {
    let desk = Desk::new();
    desk.bench.write("wrong", "hunter3");
    let url = desk.url();
    let said = desk.bench.run(&format!("protect {url} --password-file wrong --home h"));
    assert_eq!(said.exit, 12, "{}", said.err);
    assert!(said.err.contains("ALTER ROLE keeper PASSWORD"), "{}", said.err);
    assert!(!said.err.contains("hunter"), "{}", said.err);
    let again = desk.bench.run("config show --home h");
    assert!(again.out.contains("[[postgres]]"), "the same command goes on: {}", again.out);
    let said = desk.bench.run("protect postgresql://me:secret@db/orders --home other");
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("password") && !said.err.contains("secret"), "{}", said.err);
    let nowhere = desk.bench.run("restore --home h --identity x --to y --at-lsn 0/1");
    assert!(nowhere.exit != 0 && !desk.bench.path("y").exists());
}

//! The README's chapter "Protect a desk", followed literally: its console blocks are run as they
//! stand there, with names of machines and disks replaced by ones of this machine.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

#[path = "../../capture/tests/cluster/mod.rs"]
mod cluster;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster::Server;
use rusqlite::Connection;

const CHAPTER: &str = "## Protect a desk\n";
const PATIENCE: Duration = Duration::from_secs(120);

/// A command, and the machine at whose prompt it stands: empty for the desk's own.
#[derive(Debug)]
struct Line {
    host: String,
    text: String,
}

/// The console blocks of the chapter. What has no prompt is a document in the shell's own way, or
/// what a command prints.
fn chapter() -> Vec<Line> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(file).unwrap();
    let text = readme.split_once(CHAPTER).expect("the README has its desk chapter").1;
    let text = text.split("\n## ").next().unwrap();
    let (mut lines, mut in_block, mut in_document) = (Vec::<Line>::new(), false, false);
    for line in text.lines() {
        match (in_block, line) {
            (false, "```console") => in_block = true,
            (false, _) => {}
            (true, "```") => in_block = false,
            (true, line) if in_document => {
                let command = lines.last_mut().unwrap();
                command.text.push_str(&format!("{line}\n"));
                in_document = line != "END";
            }
            (true, line) => {
                let prompt = ["", "attic", "office"].into_iter();
                let mut found = prompt.filter_map(|host| {
                    let text = line.strip_prefix(host)?.strip_prefix("$ ")?;
                    Some((host.to_owned(), format!("{text}\n")))
                });
                if let Some((host, text)) = found.next_back() {
                    in_document = text.contains("<<'END'");
                    lines.push(Line { host, text });
                }
            }
        }
    }
    lines
}

/// Something that runs until the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    // Free a moment ago; nobody else is given it so soon.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// An S3 server of somebody else (moto, which `cargo xtask setup` brings), with a bucket.
fn bucket(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let log = fs::File::create(folder.join("moto.log")).unwrap();
    let child = Command::new("python3")
        .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
        .env("PYTHONPATH", cache.join("evenkeel-tools/moto"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("python3 is installed");
    let running = Running(child);
    until("the S3 server", || listens(port));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let put = "PUT /desk-state HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: AWS4-HMAC-SHA256 \
               Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\
               Content-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(put.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
    (running, port)
}

/// The desk's machine and the others, in one folder.
struct Stage {
    folder: tempfile::TempDir,
    ports: [u16; 2],
    s3_port: u16,
    server: Server,
    running: Vec<Running>,
    _bucket: Running,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["desk", "attic", "office", "bin", "home/bot/logs", "mnt/usb", "mnt/nas"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("home/bot/logs/trades.jsonl"), "{\"price\": \"10.5\"}\n".repeat(500))
            .unwrap();
        let orders = Connection::open(path("home/bot/orders.sqlite")).unwrap();
        let tables = "PRAGMA journal_mode = WAL; CREATE TABLE orders(id INTEGER PRIMARY KEY);
                      INSERT INTO orders VALUES (1), (2), (3)";
        orders.execute_batch(tables).unwrap();
        let shims = [
            ("ek", format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_evenkeel"))),
            // Between machines that are folders here.
            ("scp", "test \"$1\" = -p && shift; exec cp -p \"${1#*:}\" \"$2\"".to_owned()),
        ];
        for (name, text) in shims {
            fs::write(path("bin").join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path("bin").join(name), mode).unwrap();
        }
        let (server_port, ports) = (free_port(), [free_port(), free_port()]);
        let mut server = Server::new(&[]);
        server.stop();
        server.settings = vec!["listen_addresses=127.0.0.1".to_owned()];
        server.port = server_port;
        server.start();
        server.sql("CREATE DATABASE orders");
        server.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        let (bucket, s3_port) = bucket(folder.path());
        Self { folder, ports, s3_port, server, running: Vec::new(), _bucket: bucket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of the chapter with the names of this stage.
    fn here(&self, line: &Line) -> String {
        let shown = |name: &str| self.path(name).display().to_string();
        let mut text = line.text.clone();
        let is_office = line.host == "office" || text.contains("office.lan:/srv");
        let (host, port) =
            if is_office { ("office", self.ports[1]) } else { ("attic", self.ports[0]) };
        for (name, place) in [
            // Files on another machine, as scp names them.
            ("attic.lan:desk.credential", format!("attic.lan:{}", shown("attic/desk.credential"))),
            (
                "office.lan:desk.credential",
                format!("office.lan:{}", shown("office/desk.credential")),
            ),
            ("/srv/vault", shown(&format!("{host}/vault"))),
            ("0.0.0.0:8443", format!("127.0.0.1:{port}")),
            ("https://attic.lan:8443", format!("https://127.0.0.1:{}", self.ports[0])),
            ("https://office.lan:8443", format!("https://127.0.0.1:{}", self.ports[1])),
            ("--host attic.lan", "--host 127.0.0.1".to_owned()),
            ("--host office.lan", "--host 127.0.0.1".to_owned()),
            ("https://s3.example", format!("http://127.0.0.1:{}", self.s3_port)),
            ("/mnt/", format!("{}/", shown("mnt"))),
            ("db1:5432", format!("127.0.0.1:{}", self.server.port)),
        ] {
            text = text.replace(name, &place);
        }
        text
    }

    fn shell(&self, line: &Line, text: &str) -> Command {
        let host = if line.host.is_empty() { "desk" } else { &line.host };
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-euc", text])
            .current_dir(self.path(host))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env("EVENKEEL_DASHBOARD_BIND", "off")
            .env("S3_ID", "writer")
            .env("S3_SECRET", "secret-of-the-bucket")
            .env("PG_PASSWORD", "hunter2")
            .stdin(Stdio::null());
        command
    }

    /// Runs one command of the chapter; what runs on is kept until the end.
    fn follow(&mut self, line: &Line) -> String {
        let text = self.here(line);
        let runs_on = text.contains("ek site serve") || text.trim_end().ends_with('&');
        if runs_on {
            let text = format!("exec {}", text.trim_end().trim_end_matches('&'));
            let mut command = self.shell(line, &text);
            let log = fs::File::create(self.path(&format!("log-{}", self.running.len()))).unwrap();
            command.stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
            self.running.push(Running(command.spawn().unwrap()));
            let port = if line.host == "office" { self.ports[1] } else { self.ports[0] };
            match line.host.is_empty() {
                false => until("the site", || listens(port)),
                true => self.until_protected(),
            }
            return String::new();
        }
        let output = self.shell(line, &text).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let erred = String::from_utf8_lossy(&output.stderr);
        // Sites that can be emptied are told: that is what a probe is for.
        // So is that no node of a chain runs here.
        let tells = ["sites probe", "network protect", "network restore"];
        let may_tell =
            tells.iter().any(|part| text.contains(part)) && output.status.code() == Some(3);
        assert!(output.status.success() || may_tell, "{text}{:?}\n{said}\n{erred}", output.status);
        said
    }

    /// Until every source is at the sites, as a person would look.
    fn until_protected(&self) {
        let asked = Line { host: String::new(), text: String::new() };
        until("protection", || {
            let output = self.shell(&asked, "ek status --home desk --json").output().unwrap();
            let Ok(status) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
                return false;
            };
            let all = status["protected"].as_array().cloned().unwrap_or_default();
            all.len() >= 3 && all.iter().all(|source| source["state"] == "protected")
        });
    }
}

#[test]
fn the_desk_chapter_of_the_readme_works_line_by_line_from_nothing_to_restored_and_drilled() {
    let lines = chapter();
    let mut stage = Stage::new();
    let in_orders = |server: &Server, sql: &str| {
        let login = server.login_as("postgres", None);
        let mut address = login.address.clone();
        address.database = Some("orders".to_owned());
        let login = evenkeel_capture::postgres::Login { address, ..login };
        let purpose = evenkeel_capture::postgres::Purpose::Queries;
        let mut connection = evenkeel_capture::postgres::Connection::open(&login, purpose).unwrap();
        connection.query(sql).unwrap()
    };
    in_orders(&stage.server, "CREATE TABLE orders (id int); INSERT INTO orders VALUES (7), (8)");
    let mut said = Vec::new();
    for line in &lines {
        if line.text.contains("ek restore") && line.text.contains("--to back") {
            // "With the machine gone and two sites with it."
            stage.running.pop();
            stage.running.remove(0);
            fs::remove_dir_all(stage.path("mnt/usb")).unwrap();
            fs::remove_dir_all(stage.path("desk/desk/host")).unwrap();
            fs::rename(stage.path("home/bot"), stage.path("home/gone")).unwrap();
        }
        said.push((line.text.clone(), stage.follow(line)));
    }
    let answer = |part: &str| {
        let found = said.iter().find(|(text, _)| text.contains(part));
        &found.unwrap_or_else(|| panic!("no `{part}` in the chapter")).1
    };
    assert!(answer("ek protect").contains("drill D3 ok"), "{}", answer("ek protect"));
    let probed = answer("sites probe");
    for site in ["attic", "office"] {
        let line = probed.lines().find(|line| line.starts_with(site));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        assert_eq!(words[1..6], ["kept", "yes", "yes", "yes", "yes"], "{probed}");
    }
    let drill = answer("ek drill --home desk\n");
    for part in ["drill D3 ok", "check:orders are there ok", "postgres:orders", "files"] {
        assert!(drill.contains(part), "{part} in {drill}");
    }
    assert!(answer("drill verify").contains("genuine: signed by"), "{}", answer("drill verify"));
    for part in ["files", "postgres:orders", "orders.sqlite"] {
        assert!(answer("ek status").contains(part), "{}", answer("ek status"));
    }
    let back = |name: &str| {
        let whole = stage.path("home").join("bot").join(name);
        stage.path("desk/back").join(whole.strip_prefix("/").unwrap())
    };
    let orders = Connection::open(back("orders.sqlite")).unwrap();
    let count: i64 = orders.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3);
    let log = fs::read_to_string(back("logs/trades.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 500);
    assert!(stage.path("desk/orders-back/data/PG_VERSION").exists());
    let document = fs::read_to_string(stage.path("desk/network-back/network.toml")).unwrap();
    assert!(document.contains("127.0.0.1:8545"), "{document}");
    assert!(stage.path("desk/network-back/endpoints.env").exists());
}

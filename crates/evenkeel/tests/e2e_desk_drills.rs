//! What a drill asks of what it brought back, what it signs, and who is told.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use common::{Rig, files_below};
use rusqlite::Connection;
use serde_json::Value;

fn check<'a>(drill: &'a Value, name: &str) -> &'a Value {
    let checks = drill["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {drill}"))
}

/// A home `desk` that protects a folder with a database and a ledger.
fn desk() -> Rig {
    let rig = Rig::new();
    fs::create_dir(rig.path("bot")).unwrap();
    fs::write(rig.path("bot/ledger"), "7").unwrap();
    let database = Connection::open(rig.path("bot/orders.sqlite")).unwrap();
    let tables = "CREATE TABLE orders(id INTEGER PRIMARY KEY);
                  CREATE TABLE fills(of INTEGER REFERENCES orders(id), price TEXT);
                  INSERT INTO orders VALUES(1), (2);
                  INSERT INTO fills VALUES(1, '10.50'), (2, '11');";
    database.execute_batch(tables).unwrap();
    rig.ok("protect bot --home desk");
    rig
}

fn configure(rig: &Rig, more: &str) {
    let file = rig.path("desk/evenkeel.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str(more);
    fs::write(file, text).unwrap();
}

fn sql(rig: &Rig, name: &str, query: &str, expected: &str) -> String {
    let source = rig.path("bot/orders.sqlite");
    format!(
        "\n[[drill.checks]]\nname = \"{name}\"\nsource = \"{}\"\n\
         sql = \"\"\"{query}\"\"\"\n{expected}\n",
        source.display()
    )
}

#[test]
fn queries_files_and_a_program_are_asked_and_all_of_it_is_in_one_signed_report() {
    let rig = desk();
    let (ledger, absent) = (rig.path("bot/ledger"), rig.path("bot/core"));
    let digest = "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451";
    configure(&rig, &sql(&rig, "two orders", "SELECT count(*) FROM orders", "expect = 2"));
    configure(&rig, &sql(&rig, "prices", "SELECT max(price + 0) FROM fills", "min = 11\nmax = 11"));
    let orphans = "SELECT * FROM fills WHERE of NOT IN (SELECT id FROM orders)";
    configure(&rig, &sql(&rig, "no orphans", orphans, "no_rows = true"));
    configure(
        &rig,
        &format!(
            "\n[[drill.checks]]\nname = \"ledger\"\npath = \"{}\"\nsha256 = \"{digest}\"\n\
             min_bytes = 1\nmax_age_seconds = 86400\n\
             \n[[drill.checks]]\nname = \"no core\"\npath = \"{}\"\nabsent = true\n\
             \n[[drill.checks]]\nname = \"books\"\n\
             command = [\"sh\", \"-c\", \"test $(cat $EVENKEEL_DRILL_FILES{}) = 7\"]\n",
            ledger.display(),
            absent.display(),
            ledger.display()
        ),
    );
    let drill = rig.ok("drill --home desk --json").json();
    assert_eq!((&drill["result"], &drill["within_objectives"]), (&"ok".into(), &true.into()));
    for name in ["two orders", "prices", "no orphans", "ledger", "no core", "books"] {
        assert_eq!(check(&drill, &format!("check:{name}"))["result"], "ok", "{name}: {drill}");
    }
    let database = check(&drill, "files_databases")["detail"].as_str().unwrap();
    assert!(database.contains("integrity_check and foreign_key_check"), "{database}");
    let scratch = check(&drill, "scratch");
    assert_eq!(scratch["result"], "not_configured");
    let source = &drill["sources"][0];
    assert_eq!((&source["name"], &source["result"]), (&"files".into(), &"ok".into()));
    assert_eq!(source["rpo_target_seconds"], 120.0);
    assert!(
        source["rto_seconds"].as_f64().unwrap() < source["rto_target_seconds"].as_f64().unwrap()
    );

    let report =
        rig.path(&format!("desk/drill-host/drills/{}.drill", drill["id"].as_str().unwrap()));
    let verified = rig.ok("drill verify --home desk --json").json();
    assert_eq!(verified["signature"], drill["signature"]);
    assert_eq!(verified["sources"], drill["sources"]);
    // An auditor has the report and a key, and nothing else.
    let key = drill["signature"].as_str().unwrap().split(':').next().unwrap();
    fs::copy(&report, rig.beside("report")).unwrap();
    let alone = format!("drill verify ../report --key {key}");
    let said = rig.ok(&alone);
    assert!(said.out.contains("genuine: signed by"), "{said:?}");
    assert!(said.out.contains("RPO") && said.out.contains("of 120 s"), "{said:?}");
    let other = "00".repeat(32);
    rig.run(&format!("drill verify ../report --key {other}")).refuses(12, &["it was signed by"]);
    let mut bytes = fs::read(&report).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(rig.beside("report"), bytes).unwrap();
    rig.run(&alone).refuses(20, &["changed since it was signed"]);
    let left = files_below(&rig.path("desk/drill-host"));
    assert!(!left.iter().any(|path| path.ends_with("orders.sqlite")), "{left:?}");
}

#[test]
fn a_wrong_answer_fails_by_name_bad_sql_says_what_the_database_says_and_nothing_crashes() {
    let rig = desk();
    configure(&rig, &sql(&rig, "three orders", "SELECT count(*) FROM orders", "expect = 3"));
    configure(&rig, &sql(&rig, "typo", "SELECT amount FROM ordres", ""));
    configure(
        &rig,
        "\n[[drill.checks]]\nname = \"sleepy\"\n\
         command = [\"sleep\", \"60\"]\ntimeout_seconds = 1\n",
    );
    let said = rig.run("drill --home desk --json");
    assert_eq!(said.exit, 20, "{said:?}");
    let drill = said.json();
    assert_eq!(drill["within_objectives"], false);
    let detail = |name: &str| {
        assert_eq!(check(&drill, name)["result"], "failed", "{drill}");
        check(&drill, name)["detail"].as_str().unwrap().to_owned()
    };
    assert_eq!(detail("check:three orders"), "answered 2, expected 3");
    let typo = detail("check:typo");
    assert!(typo.contains("no such table: ordres"), "{typo}");
    assert!(detail("check:sleepy").contains("it was ended after 1 s"));
    assert_eq!(check(&drill, "files")["result"], "ok");
    // The files came back; what had to be true of them was not.
    assert_eq!(drill["sources"][0]["result"], "failed");
}

#[test]
fn what_cannot_be_asked_leaves_the_drill_unproven() {
    let rig = desk();
    let address = "postgresql://keeper@127.0.0.1:1/orders";
    configure(
        &rig,
        &format!(
            "\n[[postgres]]\nname = \"orders\"\nurl = \"{address}\"\n\
             \n[[drill.checks]]\nname = \"there\"\nsource = \"postgres:orders\"\n\
             sql = \"SELECT true\"\n"
        ),
    );
    let said = rig.run("drill --home desk --json");
    assert_eq!(said.exit, 3, "{said:?}");
    let drill = said.json();
    assert_eq!(drill["result"], "unproven");
    assert_eq!(check(&drill, "check:there")["result"], "unproven");
    assert_eq!(check(&drill, "postgres_orders")["result"], "unproven");
    let sources = drill["sources"].as_array().unwrap();
    let postgres = sources.iter().find(|one| one["name"] == "postgres:orders").unwrap();
    assert_eq!((&postgres["kind"], &postgres["result"]), (&"postgres".into(), &"unproven".into()));
}

#[test]
fn rows_that_break_a_foreign_key_fail_unless_that_is_how_they_are() {
    let rig = desk();
    let database = Connection::open(rig.path("bot/orders.sqlite")).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO fills VALUES(9, '1')").unwrap();
    drop(database);
    rig.ok("backup --home desk");
    let said = rig.run("drill --home desk --json");
    assert_eq!(said.exit, 20);
    let detail = check(&said.json(), "files_databases")["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("1 rows break a foreign key: a row of fills has none in orders"),
        "{detail}"
    );
    assert!(detail.contains("drill.foreign_keys = false"), "{detail}");
    let as_it_is = rig.with("EVENKEEL_DRILL_FOREIGN_KEYS", "false");
    assert_eq!(as_it_is.ok("drill --home desk --json").json()["result"], "ok");
}

#[test]
fn a_check_that_asks_for_nothing_or_for_two_things_is_refused_before_anything_runs() {
    for (text, words) in [
        ("name = \"x\"\n", "exactly one of sql, path and command"),
        ("name = \"x\"\nsql = \"SELECT 1\"\ncommand = [\"true\"]\n", "exactly one of"),
        ("name = \"x\"\nsql = \"SELECT 1\"\n", "which database to ask"),
        ("name = \"x\"\nsql = \"SELECT 1\"\nsource = \"postgres:none\"\n", "no [[postgres]]"),
        ("name = \"\"\ncommand = [\"true\"]\n", "that is no name"),
        ("name = \"x\"\npath = \"/f\"\nsha256 = \"12\"\n", "64 hexadecimal digits"),
        ("name = \"x\"\npath = \"/f\"\nmin = 1\n", "no query whose answer"),
        ("name = \"x\"\ncommand = [\"true\"]\nmin_bytes = 1\n", "no file that could be so"),
    ] {
        let rig = Rig::new();
        rig.ok("init --home desk");
        configure(&rig, &format!("\n[[drill.checks]]\n{text}"));
        let said = rig.run("config check --home desk");
        assert_eq!(said.exit, 2, "{text}: {said:?}");
        assert!(said.out.contains(words), "{text}: {said:?}");
    }
}

#[test]
fn scratch_in_memory_is_used_and_left_empty_and_one_on_disk_is_told_or_encrypted() {
    let rig = desk();
    let drill = rig.ok("drill --home desk --json").json();
    let on_disk = check(&drill, "scratch")["detail"].as_str().unwrap().to_owned();
    let rig = rig.with("EVENKEEL_DRILL_SCRATCH_ENCRYPTED", "true");
    let drill = rig.ok("drill --home desk --json").json();
    let detail = check(&drill, "scratch")["detail"].as_str().unwrap();
    assert!(on_disk == detail || detail.starts_with("encrypted with a key"), "{detail}");
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let rig = rig.with("EVENKEEL_DRILL_SCRATCH", memory.path().to_str().unwrap());
    let drill = rig.ok("drill --home desk --json").json();
    let detail = check(&drill, "scratch")["detail"].as_str().unwrap();
    assert!(detail.starts_with("in memory (tmpfs)"), "{detail}");
    assert!(on_disk == detail || on_disk.starts_with("ON DISK"), "{on_disk}");
    assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0);
}

/// Counts whoever asks; ends when it is asked for `/end`.
fn listen() -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 2048];
            let count = stream.read(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            if line.contains("/end") {
                return asked;
            }
            asked.push(line);
        }
    });
    (address, thread)
}

fn end(address: &str) {
    let mut stream = std::net::TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /end HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
}

#[test]
fn the_dead_mans_switch_is_fed_by_a_proven_drill_within_its_objectives_and_by_nothing_else() {
    let rig = desk();
    let (address, server) = listen();
    let rig = rig.with("EVENKEEL_ALERTS_DEADMAN_URL", &format!("{address}/ping/desk"));
    rig.ok("drill --home desk --level D1");
    rig.ok("drill --home desk --no-ping");
    let late = rig.without("").with("EVENKEEL_FILES_RPO_SECONDS", "1");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let drill = late.ok("drill --home desk --json").json();
    assert_eq!((&drill["result"], &drill["within_objectives"]), (&"ok".into(), &false.into()));
    rig.ok("drill --home desk");
    end(&address);
    assert_eq!(server.join().unwrap(), ["GET /ping/desk HTTP/1.1"]);
    // Nobody listens any more: that is told, and changes nothing else.
    let said = rig.run("drill --home desk");
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.err.contains("the dead man's switch was not told"), "{said:?}");
    assert!(!said.err.contains("/ping/desk"), "{said:?}");
}

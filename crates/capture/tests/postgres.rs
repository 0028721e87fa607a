//! Capture of a real PostgreSQL server.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as a test does")]

mod cluster;

use std::fs;
use std::path::Path;

use cluster::{Capturing, Server, command, hand_over, run};
use evenkeel_capture::postgres::{
    Error, Holdings, Kind, LaidOut, Lsn, Replication, Target, lay_out,
};

fn shown(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// Brings a target back and starts a server on it; ready when recovery has ended.
fn bring_back(folder: &Path, target: &Target, to: &Path) -> (Server, LaidOut) {
    let holdings = Holdings::read(folder).unwrap();
    let plan = holdings.plan(target, &shown).unwrap();
    let laid = lay_out(&holdings, &plan, to).unwrap();
    hand_over(to);
    let access = laid.data.join("pg_hba.conf");
    fs::write(&access, "local all all trust\n").unwrap();
    let mut verify = command("pg_verifybackup");
    verify.args(["--no-parse-wal", "--ignore=postgresql.auto.conf", "--ignore=recovery.signal"]);
    verify.args(["--ignore=pg_hba.conf", "--ignore=tablespace_map", "-m"]);
    run(verify.arg(plan.base.manifest()).arg(&laid.data));
    let mut server = Server::of(laid.data.clone(), to.to_path_buf(), &[]);
    server.start();
    server.wait_for("recovery ends", |server| {
        server
            .try_sql("SELECT pg_is_in_recovery()")
            .is_ok_and(|rows| rows[0][0].as_deref() == Some("f"))
    });
    (server, laid)
}

#[test]
fn what_was_committed_comes_back_with_every_page_right() {
    let server = Server::new(&[]);
    server.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)");
    server.sql("INSERT INTO orders SELECT n, repeat('x', n % 90) FROM generate_series(1, 5000) n");
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let capturing = Capturing::begin(&folder, server.login());
    let base = capturing.base();
    assert!(base.start < base.end && base.settings.len() == 5, "{base:?}");
    server.sql("INSERT INTO orders SELECT n, 'later' FROM generate_series(5001, 9000) n");
    capturing.wait_until(server.lsn());
    assert_eq!(capturing.end().map(|error| error.to_string()), None);
    let expected = server.one("SELECT md5(string_agg(orders::text, ',' ORDER BY id)) FROM orders");
    drop(server);

    let to = home.path().join("back");
    fs::create_dir(&to).unwrap();
    hand_over(home.path());
    let (mut back, laid) = bring_back(&folder, &Target::Latest, &to);
    assert_eq!(back.one("SELECT count(*) FROM orders"), "9000");
    let found = back.one("SELECT md5(string_agg(orders::text, ',' ORDER BY id)) FROM orders");
    assert_eq!(found, expected);
    back.stop();
    run(command("pg_checksums").args(["--check", "-D"]).arg(&laid.data));
}

fn words(error: &Error) -> String {
    error.to_string()
}

#[test]
fn what_keeps_capture_from_beginning_is_said_with_what_to_type() {
    let mut server = Server::new(&[]);
    let try_as = |server: &Server, user: &str, password| {
        Replication::open(&server.login_as(user, password)).map(|_| ()).unwrap_err()
    };
    let wrong = try_as(&server, "keeper", Some("hunter3"));
    assert!(matches!(wrong, Error::NotLetIn { .. }), "{wrong}");
    assert!(words(&wrong).contains("ALTER ROLE keeper PASSWORD"), "{wrong}");
    assert!(!words(&wrong).contains("hunter"), "{wrong}");
    let none = try_as(&server, "keeper", None);
    assert!(words(&none).contains("none is configured"), "{none}");
    server.sql("CREATE ROLE plain LOGIN");
    let plain = try_as(&server, "plain", None);
    assert!(matches!(plain, Error::NoReplicationRight { .. }), "{plain}");
    assert!(words(&plain).contains("ALTER ROLE plain REPLICATION"), "{plain}");

    server.settings = vec!["wal_level=minimal".to_owned(), "max_wal_senders=0".to_owned()];
    server.stop();
    server.start();
    let minimal = try_as(&server, "keeper", Some("hunter2"));
    assert!(words(&minimal).contains("max_wal_senders = 10"), "{minimal}");
    assert!(!minimal.is_passing() || matches!(minimal, Error::NoPlace { .. }), "{minimal}");
    server.stop();
    let nobody = try_as(&server, "keeper", Some("hunter2"));
    assert!(matches!(nobody, Error::Unreachable { .. }) && nobody.is_passing(), "{nobody}");
    assert!(words(&nobody).contains("pg_isready"), "{nobody}");
}

#[test]
fn another_cluster_at_the_same_address_is_refused_and_nothing_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let first = Server::new(&[]);
    let capturing = Capturing::begin(&folder, first.login());
    capturing.wait_until(first.lsn());
    capturing.end();
    drop(first);
    let before = Holdings::read(&folder).unwrap();
    let second = Server::new(&[]);
    let refused = Capturing::begin(&folder, second.login()).ended().unwrap();
    assert!(matches!(refused, Error::OtherCluster { .. }), "{refused}");
    assert!(words(&refused).contains("under a new name"), "{refused}");
    assert_eq!(second.sql("SELECT slot_name FROM pg_replication_slots"), Vec::<Vec<_>>::new());
    assert_eq!(Holdings::read(&folder).unwrap().happenings, before.happenings);
}

#[test]
fn a_promoted_server_is_followed_along_its_new_timeline() {
    let mut server = Server::new(&[]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    server.sql("CREATE TABLE moves (id int)");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.base();
    server.sql("INSERT INTO moves VALUES (1)");
    server.promote();
    server.sql("INSERT INTO moves VALUES (2)");
    capturing.wait("the new timeline", || capturing.board.progress().timeline == 2);
    capturing.wait_until(server.lsn());
    server.promote();
    server.sql("INSERT INTO moves VALUES (3)");
    capturing.wait("the third", || capturing.board.progress().timeline == 3);
    capturing.wait_until(server.lsn());
    assert!(capturing.end().is_none());
    drop(server);
    let holdings = Holdings::read(&folder).unwrap();
    let switched = holdings.happenings.iter().filter(|one| one.kind == Kind::Switched);
    assert_eq!(switched.map(|one| one.timeline).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(holdings.windows().len(), 1, "nothing is missing: {:?}", holdings.windows());
    let to = home.path().join("back");
    fs::create_dir(&to).unwrap();
    hand_over(home.path());
    let (back, _) = bring_back(&folder, &Target::Latest, &to);
    assert_eq!(back.one("SELECT string_agg(id::text, ',' ORDER BY id) FROM moves"), "1,2,3");
}

#[test]
fn log_that_the_server_going_on_never_had_is_told_apart() {
    let mut server = Server::new(&[]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    server.sql("CREATE TABLE moves (id int)");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.base();
    server.sql("INSERT INTO moves VALUES (1)");
    capturing.wait_until(server.lsn());
    server.stop();
    let copy = server.data.with_file_name("copy");
    run(std::process::Command::new("cp").arg("-a").arg(&server.data).arg(&copy));
    server.start();
    // More than a segment, so that what is held lies wholly behind the point of the switch.
    server.sql("INSERT INTO moves SELECT 7 FROM generate_series(1, 400000)");
    capturing.wait_until(server.lsn());
    server.stop();
    server.data = copy;
    server.promote();
    server.sql("INSERT INTO moves VALUES (2)");
    capturing.wait("the new timeline", || capturing.board.progress().timeline == 2);
    capturing.wait_until(server.lsn());
    assert!(capturing.end().is_none());
    drop(server);
    let holdings = Holdings::read(&folder).unwrap();
    let abandoned = holdings.happenings.iter().find(|one| one.kind == Kind::Abandoned);
    let abandoned = abandoned.unwrap_or_else(|| panic!("{:?}", holdings.happenings));
    assert!(abandoned.timeline == 1 && abandoned.detail.contains("held up to"), "{abandoned:?}");
    let to = home.path().join("back");
    fs::create_dir(&to).unwrap();
    hand_over(home.path());
    let (back, _) = bring_back(&folder, &Target::Latest, &to);
    assert_eq!(back.one("SELECT string_agg(id::text, ',' ORDER BY id) FROM moves"), "1,2");
}

/// Makes the server forget its older log.
fn forget_old_log(server: &Server) {
    for _ in 0..4 {
        server.sql("CREATE TABLE fill AS SELECT repeat('x', 900) FROM generate_series(1, 9000)");
        server.sql("DROP TABLE fill");
        server.sql("SELECT pg_switch_wal()");
        server.sql("CHECKPOINT");
    }
}

#[test]
fn a_slot_that_was_dropped_is_made_anew_and_only_lost_log_is_a_gap() {
    let server = Server::new(&["min_wal_size=32MB", "max_wal_size=32MB", "wal_keep_size=0"]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    server.sql("CREATE TABLE moves (id int)");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.base();
    capturing.end();
    let drop_slot = "SELECT pg_drop_replication_slot('evenkeel') FROM pg_replication_slots";
    server.wait_until_free();
    server.sql(drop_slot);
    server.sql("INSERT INTO moves VALUES (1)");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.wait_until(server.lsn());
    assert!(!capturing.store.gap_is_open(), "the server had it still");
    let made = |one: &Kind| *one == Kind::SlotMade;
    assert!(capturing.store.happenings().iter().map(|one| one.kind).any(|one| made(&one)));
    capturing.end();

    server.wait_until_free();
    server.sql(drop_slot);
    let last: Lsn = server.lsn();
    forget_old_log(&server);
    server.sql("INSERT INTO moves VALUES (2)");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.wait_until(server.lsn());
    assert!(capturing.store.gap_is_open());
    capturing.base();
    assert!(!capturing.store.gap_is_open());
    capturing.end();
    let holdings = Holdings::read(&folder).unwrap();
    let gap = holdings.happenings.iter().find(|one| one.kind == Kind::Gap).unwrap();
    assert!(gap.lsn <= last && gap.time_ns > 0, "{gap:?}");
    let windows = holdings.windows();
    assert_eq!(windows.len(), 2, "{windows:?}");
    assert!(windows[0].until_ns < windows[1].from_ns, "{windows:?}");
    let between = Target::Time((windows[0].until_ns + windows[1].from_ns) / 2);
    let refused = holdings.plan(&between, &shown).unwrap_err();
    assert!(words(&refused).contains("is in no window"), "{refused}");
    assert!(words(&refused).contains("; "), "both windows are named: {refused}");
    drop(server);
    let to = home.path().join("back");
    fs::create_dir(&to).unwrap();
    hand_over(home.path());
    let (back, _) = bring_back(&folder, &Target::Time(windows[0].until_ns), &to);
    assert_eq!(back.one("SELECT string_agg(id::text, ',' ORDER BY id) FROM moves"), "1");
}

#[test]
fn a_named_point_and_a_position_are_reached_exactly() {
    let server = Server::new(&[]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    server.sql("CREATE TABLE moves (id int)");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.base();
    server.sql("INSERT INTO moves VALUES (1)");
    server.sql("SELECT pg_create_restore_point('before the migration')");
    server.sql("INSERT INTO moves VALUES (2)");
    let lsn = server.lsn();
    server.sql("INSERT INTO moves VALUES (3)");
    capturing.wait_until(server.lsn());
    capturing.end();
    drop(server);
    let holdings = Holdings::read(&folder).unwrap();
    let points = holdings.named_points();
    assert!(points.len() == 1 && points[0].2 == "before the migration", "{points:?}");
    for wrong in [Target::Named("never".to_owned()), Target::Lsn(Lsn(1)), Target::Time(5)] {
        let refused = holdings.plan(&wrong, &shown).unwrap_err();
        assert!(words(&refused).contains("what can be restored: "), "{refused}");
    }
    let cases = [
        (Target::Named("before the migration".to_owned()), "1"),
        (Target::Lsn(lsn), "1,2"),
        (Target::Latest, "1,2,3"),
    ];
    for (at, (target, expected)) in cases.into_iter().enumerate() {
        let to = home.path().join(format!("back{at}"));
        fs::create_dir(&to).unwrap();
        hand_over(home.path());
        let (mut back, _) = bring_back(&folder, &target, &to);
        let found = back.one("SELECT string_agg(id::text, ',' ORDER BY id) FROM moves");
        assert_eq!(found, expected, "{target:?}");
        back.stop();
    }
}

#[test]
fn log_that_contradicts_what_was_acknowledged_is_refused() {
    let server = Server::new(&[]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let capturing = Capturing::begin(&folder, server.login());
    capturing.wait_until(server.lsn());
    capturing.end();
    let partial = fs::read_dir(folder.join("wal")).unwrap().map(|entry| entry.unwrap().path());
    let partial = partial.max().unwrap();
    let mut bytes = fs::read(&partial).unwrap();
    bytes[100] ^= 1;
    fs::write(&partial, &bytes).unwrap();
    server.wait_until_free();
    let refused = Capturing::begin(&folder, server.login()).ended().unwrap();
    assert!(matches!(refused, Error::Contradiction { .. }), "{refused}");
    assert_eq!(fs::read(&partial).unwrap(), bytes, "nothing was touched");
}

#[test]
fn over_a_network_the_servers_name_is_checked_and_old_passwords_work() {
    let mut server = Server::new(&[]);
    let made = rcgen::generate_simple_self_signed(["db.internal".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["db.internal".to_owned()]).unwrap();
    let by_address = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |server: &Server, name: &str, text: String| {
        let path = server.data.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        hand_over(&path);
        path
    };
    file(&server, "server.crt", by_address.cert.pem());
    file(&server, "server.key", by_address.signing_key.serialize_pem());
    server.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN REPLICATION PASSWORD 'x'");
    server.stop();
    server.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    server.settings.extend(["listen_addresses=127.0.0.1".to_owned(), "ssl=on".to_owned()]);
    server.start();
    let open = |user: &str, password: &str, more: &str| {
        let port = server.port;
        let mut login = server.login_as(user, Some(password));
        login.address = format!("postgresql://{user}@127.0.0.1:{port}/{more}").parse().unwrap();
        Replication::open(&login).and_then(|mut replication| replication.identify())
    };
    let trusted = file(&server, "ca", by_address.cert.pem());
    let system = open("keeper", "hunter2", &format!("?sslrootcert={}", trusted.display())).unwrap();
    assert_eq!(system.timeline, 1);
    // Loopback goes without, unless an authority is named; the password is asked for all the same.
    assert_eq!(open("old", "x", "").unwrap(), system);
    assert!(matches!(open("old", "y", "").unwrap_err(), Error::NotLetIn { .. }));
    for wrong in [&made, &other] {
        let path = file(&server, "wrong", wrong.cert.pem());
        let refused = open("keeper", "hunter2", &format!("?sslrootcert={}", path.display()));
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::Tls { .. }), "{refused}");
        assert!(words(&refused).contains("sslrootcert=FILE"), "{refused}");
    }
    // The right authority, and a certificate of another name.
    file(&server, "server.crt", made.cert.pem());
    file(&server, "server.key", made.signing_key.serialize_pem());
    server.sql("SELECT pg_reload_conf()");
    let path = file(&server, "ca", made.cert.pem());
    let begun = std::time::Instant::now();
    // The server takes its new certificate a moment later; until then ours is not its authority.
    let refused = loop {
        let refused = open("keeper", "hunter2", &format!("?sslrootcert={}", path.display()));
        let refused = words(&refused.unwrap_err());
        if refused.contains("not valid for name") || begun.elapsed().as_secs() > 20 {
            break refused;
        }
    };
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[test]
fn a_tablespace_comes_back_in_a_folder_of_its_own() {
    let server = Server::new(&[]);
    let place = server.socket.join("fast disk");
    fs::create_dir(&place).unwrap();
    hand_over(&place);
    server.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", place.display()));
    server.sql("CREATE TABLE orders TABLESPACE fast AS SELECT generate_series(1, 500) AS id");
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("spool");
    let capturing = Capturing::begin(&folder, server.login());
    let base = capturing.base();
    assert_eq!(base.tablespaces.len(), 1, "{base:?}");
    server.sql("INSERT INTO orders VALUES (501)");
    capturing.wait_until(server.lsn());
    capturing.end();
    drop(server);
    let to = home.path().join("back");
    fs::create_dir(&to).unwrap();
    hand_over(home.path());
    let (back, _) = bring_back(&folder, &Target::Latest, &to);
    assert_eq!(back.one("SELECT count(*) FROM orders"), "501");
    let location = back.one(
        "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE \
                             spcname = 'fast'",
    );
    assert!(Path::new(&location).starts_with(&to), "{location}");
}

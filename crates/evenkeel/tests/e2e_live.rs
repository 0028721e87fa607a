//! SQLite databases that a running daemon follows: every commit reaches the sites, any moment
//! comes back, and what could not be protected is said.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::time::Duration;

use common::Rig;
use common::daemon::{Daemon, live_status};
use common::live::{self, Plan, database, now_ns, until_shipped};
use common::random::seed;
use serde_json::Value;

fn source(status: &Value, name: &str) -> Option<Value> {
    let sources = status["protected"].as_array()?;
    sources.iter().find(|source| source["name"] == name).cloned()
}

#[test]
fn whatever_is_killed_what_came_to_the_sites_restores_to_any_moment() {
    let plan = Plan {
        seed: seed(),
        length: Duration::from_secs(12),
        rate: 300,
        round_trip_ms: 20,
        pause_max_ms: 1_500,
        restores: 6,
    };
    let outcome = live::play(plan);
    println!("{}", outcome.words());
    assert!(outcome.orders > 0 && outcome.restores == plan.restores, "{outcome:?}");
    assert!(!outcome.behind_ns.is_empty());
}

#[test]
fn a_followed_database_is_told_drilled_and_restored_over_the_older_copy() {
    let rig = live::desk(0);
    let mut bot = live::writer(&rig, 100);
    let mut daemon = live::up(&rig);
    until_shipped(&rig, &mut daemon, now_ns());
    let name = database(&rig).display().to_string();
    let found = daemon.until("a followed database", || {
        source(&live_status(&rig)?, &name).filter(|one| one["state"] == "protected")
    });
    assert_eq!((&found["kind"], &found["margin"]), (&"sqlite".into(), &2.into()), "{found}");
    assert_eq!(found["rpo_target_seconds"], 2.0);
    rig.ok("backup --home h");
    let (copied_ns, mut last) = (now_ns(), 0);
    daemon.until("orders after the copy", || {
        last = live::notes(&rig).last()?.seq;
        (live::notes(&rig).last()?.after_ns > copied_ns).then_some(())
    });
    bot.kill().unwrap();
    bot.wait().unwrap();
    until_shipped(&rig, &mut daemon, now_ns());
    let drill = rig.ok("drill --home h --level D3 --json").json();
    let checks = drill["checks"].as_array().unwrap();
    let check = |wanted: &str| checks.iter().find(|check| check["name"] == wanted).unwrap().clone();
    let of_it = check(&format!("sqlite:{name}"));
    assert_eq!((&of_it["result"], &check("files")["result"]), (&"ok".into(), &"ok".into()));
    let detail = of_it["detail"].as_str().unwrap();
    for part in ["integrity_check ok", "RPO", "RTO", "of 2 s"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    drop(daemon.end());
    let points = rig.ok("points --home h").out;
    assert!(points.contains("followed databases"), "{points}");
    rig.ok("verify --home h");
    let whole =
        rig.ok("restore --home h --identity h/recovery-identity.txt --to back --json").json();
    assert_eq!(whole["databases"].as_array().unwrap().len(), 1, "{whole}");
    let back = rig.path("back").join(name.trim_start_matches('/'));
    assert!(live::checked(&back) >= last, "the newest, not the copy");
    assert!(back.with_file_name("logs").is_dir());
    assert!(
        !rig.path("back")
            .read_dir()
            .unwrap()
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().starts_with(".evenkeel") })
    );
}

#[test]
fn a_database_that_is_gone_is_said_to_be_unprotected() {
    let rig = live::desk(0);
    let mut bot = live::writer(&rig, 100);
    let mut daemon = live::up(&rig);
    until_shipped(&rig, &mut daemon, now_ns());
    bot.kill().unwrap();
    bot.wait().unwrap();
    let name = database(&rig).display().to_string();
    fs::remove_file(database(&rig)).unwrap();
    let told = daemon.until_condition(&rig, "source_unprotected");
    assert!(told["message"].as_str().unwrap().contains(&name), "{told}");
    let status = live_status(&rig).unwrap();
    assert!(source(&status, &name).unwrap()["detail"].is_string(), "{status}");
    drop(daemon.end());
}

#[test]
fn a_home_without_keys_for_it_says_so_and_gets_them() {
    let rig = live::desk(0);
    for file in ["live.key", "live.certificate"] {
        fs::remove_file(rig.path(&format!("h/host/keys/state/{file}"))).unwrap();
    }
    let mut bot = live::writer(&rig, 100);
    let mut daemon = live::up(&rig);
    let told = daemon.until_condition(&rig, "databases_not_followed");
    assert!(told["next"].as_str().unwrap().contains("--add-files"), "{told}");
    drop(daemon.end());
    rig.ok("init --add-files --home h --identity h/recovery-identity.txt");
    let mut daemon = live::up(&rig);
    until_shipped(&rig, &mut daemon, now_ns());
    drop(daemon.end());
    bot.kill().unwrap();
    bot.wait().unwrap();
    assert!(live::restored(&rig, "back", None).1 > 0);
}

#[test]
fn a_time_before_anything_was_followed_is_refused_and_leaves_nothing() {
    let rig: Rig = live::desk(0);
    let mut bot = live::writer(&rig, 100);
    let mut daemon = live::up(&rig);
    until_shipped(&rig, &mut daemon, now_ns());
    drop(daemon.end());
    bot.kill().unwrap();
    bot.wait().unwrap();
    let only = database(&rig).display().to_string();
    let said = rig.run(&format!(
        "restore --home h --identity h/recovery-identity.txt --to back --only {only} --at-time \
         2020-01-01T00:00:00Z"
    ));
    assert_eq!(said.exit, 10, "{said:?}");
    assert!(!rig.path("back").exists());
}

#[test]
fn the_demonstration_desk_follows_its_bot_and_what_it_wrote_comes_back() {
    let rig = Rig::new();
    let begin = || Daemon::spawn(&rig, &mut rig.command("up --demo desk --home h --dashboard off"));
    let mut daemon = begin();
    let name = rig.path("h/bot/orders.sqlite").display().to_string();
    let protected = |rig: &Rig| {
        let status = live_status(rig)?;
        let is_well =
            |name: &str| source(&status, name).is_some_and(|one| one["state"] == "protected");
        (is_well(&name) && is_well("files")).then_some(())
    };
    daemon.until("database and files at the sites", || protected(&rig));
    let said = daemon.end();
    for part in ["laid out a new home", "break it", "the sites hold files as of"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // A home that is there is run again; the bot goes on where it was.
    let mut daemon = begin();
    daemon.until("the same after a start", || protected(&rig));
    drop(daemon.end());
    fs::remove_dir_all(rig.path("h/host")).unwrap();
    fs::remove_dir_all(rig.path("h/sites/site-b")).unwrap();
    rig.ok(
        "restore --home h --identity h/recovery-identity.txt --to back --only h/bot/orders.sqlite",
    );
    assert!(live::checked(&rig.path("back").join(name.trim_start_matches('/'))) > 0);
    rig.ok("init --home other");
    rig.run("up --demo desk --home other --dashboard off").refuses(2, &["demonstration desk"]);
}

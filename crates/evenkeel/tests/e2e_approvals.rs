//! What takes the word of several people, through the program: a key in a file, a group that signs
//! by a threshold, and a wallet.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod approvers;
mod common;
mod network_support;

use std::fs;

use approvers::{Desk, found_group};
use common::daemon::{Daemon, holder};
use network_support::{Script, Scripted};

const RESTORE: &str = "restore --home h --identity h/recovery-identity.txt";

fn backed_up(desk: &Desk) {
    fs::create_dir(desk.rig.path("data")).unwrap();
    fs::write(desk.rig.path("data/plan"), "monday").unwrap();
    desk.rig.ok("backup data --home h");
}

#[test]
fn a_restore_takes_a_file_key_a_group_a_wallet_and_a_day() {
    let desk = Desk::new(&["export"]);
    let rig = &desk.rig;
    backed_up(&desk);
    desk.publish();
    let restore = format!("{RESTORE} --to r1");
    rig.run(&restore).refuses(11, &["nobody has proposed it", "3 of 3", "--propose"]);
    let id = desk.propose(&restore);
    assert_eq!(desk.propose(&restore), id, "proposed once");
    rig.run(&restore).refuses(11, &[&id[..16], "0 of 3 approvals", "lapses at"]);
    assert_eq!(desk.by_file("approvals", "approve", &id)["actions"][0]["standing"], "waiting");
    assert_eq!(desk.by_group("approvals", "approve", &id)["actions"][0]["standing"], "waiting");
    rig.run(&restore).refuses(11, &["2 of 3 approvals", &desk.file]);
    // A signature of another moment's text.
    let stale = approvers::wallet_signs("Evenkeel approval, version 1\n");
    rig.run(&format!(
        "approvals approve --home h --action {id} --approver {} --time 2026-01-01T00:00:00Z \
         --signature {stale}",
        desk.wallet
    ))
    .refuses(12, &["did not sign this text", "signed-at: 2026-01-01T00:00:00Z"]);
    rig.run(&format!("approvals message --home h --action {id} --approver 0x{}", "11".repeat(20)))
        .refuses(12, &["is no approver"]);
    // The wallet is another program, with a library of its own.
    let words = ("approvals", "approve", id.as_str());
    let delayed = desk.by_wallet_with(approvers::ethereumjs_signs, words);
    assert_eq!(delayed["actions"][0]["standing"], "delayed", "{delayed}");
    assert_eq!(delayed["actions"][0]["said"].as_array().unwrap().len(), 3);
    rig.run(&restore).refuses(11, &["its delay ends at", "approvals cancel"]);
    assert!(!rig.path("r1").exists());
    desk.later(25);
    // Exactly this restore and no other.
    rig.run(&format!("{RESTORE} --to r2")).refuses(11, &["nobody has proposed it"]);
    rig.ok(&restore);
    assert!(common::files_below(&rig.path("r1")).iter().any(|file| file.ends_with("plan")));
    let listed = rig.ok("approvals list --home h --json").json();
    let action = &listed["actions"][0];
    assert_eq!(action["standing"], "executed", "{action}");
    let log = action["log"].as_array().unwrap();
    assert_eq!((&log[0]["phase"], &log[1]["phase"]), (&"begun".into(), &"executed".into()));
    assert!(log[1]["what"].as_str().unwrap().contains("restored into r1"), "{action}");
    // Another one lapses, and the next is cancelled by one of them, for good.
    desk.later(26);
    let restore = format!("{RESTORE} --to r3");
    let lapses = desk.propose(&restore);
    desk.all_approve("approvals", &lapses);
    desk.later(26 + 97);
    rig.run(&restore).refuses(11, &["nobody has proposed it", "lapsed at"]);
    let cancelled = desk.propose(&restore);
    assert_ne!(cancelled, lapses, "a lapsed one stands in nobody's way");
    desk.all_approve("approvals", &cancelled);
    desk.by_wallet("approvals", "cancel", &cancelled);
    desk.later(26 + 97 + 30);
    rig.run(&restore).refuses(11, &["cancelled by", &desk.wallet]);
    assert!(!rig.path("r3").exists());
    // A drill is none of it.
    rig.ok("drill --home h --level D1");
}

#[test]
fn a_signing_history_is_written_only_by_the_word_of_all_three() {
    let desk = Desk::new(&["export"]);
    let rig = &desk.rig;
    let key = format!("0x{}", "a".repeat(96));
    let history = |slot: u32| {
        let root = format!("0x{}", "0".repeat(64));
        format!(
            "{{\"metadata\":{{\"interchange_format_version\":\"5\",\
             \"genesis_validators_root\":\"{root}\"}},\"data\":[{{\"pubkey\":\"{key}\",\
             \"signed_blocks\":[{{\"slot\":\"{slot}\"}}],\"signed_attestations\":[]}}]}}"
        )
    };
    fs::write(rig.path("export.json"), history(100)).unwrap();
    let export = rig.path("export.json").display().to_string();
    let source = format!("\n[[slashing]]\nname = \"validators\"\nfile = \"{export}\"\n");
    let config = desk.config().replace("\npaths = []", "\npaths = [\"../file.key\"]") + &source;
    desk.set_config(&config);
    rig.ok("backup --home h");
    desk.publish();
    let restore = |to: &str| {
        format!("slashing restore validators --home h --identity h/recovery-identity.txt --to {to}")
    };
    fs::write(rig.path("target.json"), history(7)).unwrap();
    let untouched =
        || assert_eq!(fs::read(rig.path("target.json")).unwrap(), history(7).as_bytes());
    let target = restore("target.json");
    rig.run(&target).refuses(11, &["nobody has proposed it", "3 of 3", "nothing was done"]);
    let stopped = desk.propose(&target);
    desk.by_file("approvals", "approve", &stopped);
    desk.by_group("approvals", "approve", &stopped);
    rig.run(&target).refuses(11, &["2 of 3 approvals"]);
    desk.by_wallet("approvals", "approve", &stopped);
    rig.run(&target).refuses(11, &["its delay ends at"]);
    desk.by_wallet("approvals", "cancel", &stopped);
    desk.later(25);
    rig.run(&target).refuses(11, &["cancelled by", &desk.wallet]);
    untouched();
    let action = desk.propose(&target);
    desk.all_approve("approvals", &action);
    desk.later(50);
    rig.run(&restore("elsewhere.json")).refuses(11, &["nobody has proposed it"]);
    // A plain restore of it is another action.
    rig.run(&format!("{RESTORE} --to target.json")).refuses(11, &["nobody has proposed it"]);
    untouched();
    let said = rig.run(&format!("{target} --json"));
    assert_eq!(said.exit, 3, "the validator has to wait: {said:?}");
    let written = fs::read_to_string(rig.path("target.json")).unwrap();
    assert!(written.contains("\"100\"") && !rig.path("elsewhere.json").exists(), "{written}");
    let shown = rig.ok(&format!("approvals show --home h --action {action} --json")).json();
    assert_eq!(shown["actions"][0]["standing"], "executed", "{shown}");
}

#[test]
fn an_edited_configuration_is_refused_and_a_weaker_policy_takes_approvals_too() {
    let desk = Desk::new(&["export"]);
    let rig = &desk.rig;
    backed_up(&desk);
    let right = desk.config();
    let restore = format!("{RESTORE} --to r");
    let unpublished = rig.run(&restore);
    unpublished.refuses(11, &["is not published", "nobody has proposed it"]);
    desk.publish();
    let weaker = right.replace("needed = 3", "needed = 1");
    for (edited, said) in [
        (weaker.clone(), "export: 1 approvals instead of 3"),
        (right.replace("delay_hours = 24", "delay_hours = 1"), "a delay of 3600 s"),
        (right[..right.find("\n[approvals").unwrap()].to_owned(), "export: no rule"),
    ] {
        desk.set_config(&edited);
        rig.run(&restore)
            .refuses(20, &["says less than policy 1", said, "published: export: 3 of 3"]);
        rig.run("approvals list --home h").refuses(20, &["says less"]);
    }
    // Without the section, the root alone publishes nothing weaker either.
    desk.set_config(&weaker);
    let publish = "approvals publish --home h --identity h/recovery-identity.txt";
    rig.run(publish).refuses(11, &["less than what was published", "nobody has proposed it"]);
    let id = desk.propose(publish);
    // What approvers list is read with the right configuration.
    desk.set_config(&right);
    desk.all_approve("approvals", &id);
    desk.later(25);
    desk.set_config(&weaker);
    rig.ok(publish);
    let listed = rig.ok("approvals list --home h --json").json();
    assert_eq!((&listed["policy"], &listed["rules"][0]["needed"]), (&2.into(), &1.into()));
    // A host that has seen policy 2 takes no sites that show none.
    let hidden = rig.path("hidden");
    fs::create_dir(&hidden).unwrap();
    for site in rig.sites() {
        let name = site.file_name().unwrap().to_owned();
        fs::rename(site.join("actions"), hidden.join(name)).unwrap();
    }
    rig.run(&restore).refuses(20, &["the sites show policy 0", "has seen 2"]);
}

#[test]
fn a_deletion_takes_the_same_three_words() {
    let desk = Desk::new(&[]);
    let rig = &desk.rig;
    backed_up(&desk);
    desk.set_config(
        &desk
            .config()
            .replace("needed = 2\n", "needed = 3\n")
            .replace("delay_hours = 72", "delay_hours = 24"),
    );
    rig.ok("config check --home h");
    rig.ok("backup data --home h --self-contained");
    rig.ok("backup data --home h --self-contained");
    let policy = "--home h --keep-points 1 --keep-daily 0 --keep-tails-hours 0";
    let propose = || {
        let proposed = rig.ok(&format!("prune propose {policy} --json")).json();
        proposed["plan"].as_str().unwrap().to_owned()
    };
    let plan = propose();
    desk.by_file("prune", "approve", &plan);
    desk.by_wallet("prune", "approve", &plan);
    rig.run(&format!("prune execute --home h --plan {plan}")).refuses(11, &["2 of 3 approvals"]);
    let said = desk.by_group("prune", "approve", &plan);
    assert_eq!(said["plans"][0]["standing"], "delayed", "{said}");
    rig.run(&format!("prune execute --home h --plan {plan}")).refuses(11, &["delay is not over"]);
    rig.ok("backup data --home h --self-contained");
    desk.later(25);
    let done = rig.ok(&format!("prune execute --home h --plan {plan} --json")).json();
    assert!(done["objects"].as_u64().unwrap() > 0, "{done}");
    let plan = propose();
    desk.all_approve("prune", &plan);
    desk.by_group("prune", "cancel", &plan);
    rig.run(&format!("prune execute --home h --plan {plan}"))
        .refuses(1, &["was cancelled by approver", &desk.group]);
    rig.ok("verify --home h");
}

/// Somebody with a program of their own asks nobody: with the rule taken out, and sites that show
/// no policy, this program asks as any other would.
fn as_another_program_asks(rig: &common::Rig) -> common::Rig {
    let without = rig.copy();
    let file = without.path("h/evenkeel.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, &text[..text.find("\n[approvals").unwrap()]).unwrap();
    for site in ["a", "b", "c", "d", "e"] {
        fs::remove_dir_all(without.path(&format!("h/sites/site-{site}/actions"))).unwrap();
    }
    fs::remove_file(without.path("h/host/approvals-state.seen")).unwrap();
    without
}

fn answer(rig: &common::Rig, table: &str, who: &str, id: &str) -> common::Said {
    rig.run(&format!("keys group answer --table {table} --holder {who} --id {id}"))
}

/// A drill opens as much as a restore.
fn drills_take_a_rule_of_their_own(rig: &common::Rig, without: &common::Rig, ask: &str) {
    let drill = ask.replace("--purpose restore", "--purpose drill");
    rig.run(&drill).refuses(11, &["nobody has proposed it"]);
    let asked = without.ok(&format!("{drill} --json")).json();
    answer(without, "t3", "dora", asked["id"].as_str().unwrap())
        .refuses(11, &["a drill takes approvals by policy 1", "nothing was answered"]);
}

#[test]
fn holders_of_a_quorum_answer_no_restore_without_the_approvals_they_pinned() {
    let desk = Desk::new(&["export", "drill"]);
    let rig = &desk.rig;
    let holders = ["dora", "emil", "finn"];
    found_group(rig, "recipient", holders, "founding-2");
    let verified = rig.ok("keys group verify --holder dora --json").json();
    let recipient = verified["recipient"].as_str().unwrap().to_owned();
    rig.ok(&format!("recipients add {recipient} --label officers --home h"));
    backed_up(&desk);
    rig.ok("approvals publish --home h --identity h/recovery-identity.txt --out policy.txt");
    let config = desk.config();
    let root = config.lines().find(|line| line.starts_with("root_public_key")).unwrap();
    let root = root.split('"').nth(1).unwrap();
    for who in holders {
        rig.run(&format!("keys group trust --holder {who} --policy policy.txt"))
            .refuses(12, &["no root that this holder trusts"]);
        rig.ok(&format!("keys group trust --holder {who} --root {root} --policy policy.txt"));
    }
    let ask = |name: &str| {
        format!(
            "keys group ask --home h --table {name} --quorum {name}-own --record dora/record.txt \
             --purpose restore --requester drill-host"
        )
    };
    rig.run(&ask("t1")).refuses(11, &["nobody has proposed it"]);
    let id = desk.propose(&ask("t1"));
    let without = as_another_program_asks(rig);
    let asked = without.ok(&format!("{} --json", ask("t0"))).json();
    answer(&without, "t0", "dora", asked["id"].as_str().unwrap())
        .refuses(11, &["the request carries none", "nothing was answered"]);
    drills_take_a_rule_of_their_own(rig, &without, &ask("t3"));
    // The action as it stands, laid beside it.
    desk.by_file("approvals", "approve", &id);
    let show = format!("approvals show --home h --action {id} --out");
    rig.ok(&format!("{show} waiting.txt"));
    let lay = |file: &str| {
        let _ = fs::remove_file(without.path("t0/approval.bundle"));
        fs::copy(rig.path(file), without.path("t0/approval.bundle")).unwrap();
    };
    lay("waiting.txt");
    answer(&without, "t0", "dora", asked["id"].as_str().unwrap())
        .refuses(11, &["1 of 3 approvals"]);
    desk.by_group("approvals", "approve", &id);
    desk.by_wallet("approvals", "approve", &id);
    rig.ok(&format!("{show} delayed.txt"));
    lay("delayed.txt");
    answer(&without, "t0", "dora", asked["id"].as_str().unwrap()).refuses(11, &["its delay ends"]);
    desk.later(25);
    // Now the program asks, and two of three answer; a second request by the same action is none.
    let first = rig.ok(&format!("{} --json", ask("t1"))).json();
    let first = first["id"].as_str().unwrap().to_owned();
    for who in ["dora", "emil"] {
        assert_eq!(answer(rig, "t1", who, &first).exit, 0);
    }
    let second = rig.ok(&format!("{} --json", ask("t2"))).json();
    answer(rig, "t2", "dora", second["id"].as_str().unwrap())
        .refuses(11, &["answered before, for another request"]);
    // An objection that somebody hands a holder holds, whatever the table says.
    desk.by_wallet("approvals", "cancel", &id);
    rig.ok(&format!("{show} cancelled.txt"));
    rig.ok("keys group trust --holder finn --word cancelled.txt");
    answer(rig, "t1", "finn", &first).refuses(11, &["cancelled by", &desk.wallet]);
    rig.run("keys group trust --holder emil --word waiting.txt")
        .refuses(12, &["no approver of the pinned policy objects"]);
}

/// A recipient of somebody else.
fn stranger() -> String {
    evenkeel_vault::Identity::generate().recipient().to_string()
}

#[test]
fn nothing_is_sealed_for_a_recipient_whom_nobody_approved() {
    let desk = Desk::new(&["recipients"]);
    let rig = &desk.rig;
    backed_up(&desk);
    desk.publish();
    let (vault, thief) = (stranger(), stranger());
    let add = format!("recipients add {vault} --label vault --home h");
    rig.run(&add).refuses(11, &["nobody has proposed it"]);
    let id = desk.propose(&add);
    desk.all_approve("approvals", &id);
    rig.run(&add).refuses(11, &["its delay ends"]);
    assert!(!desk.config().contains(&vault));
    desk.later(25);
    rig.ok(&add);
    rig.ok("backup data --home h");
    let listed = rig.ok("approvals list --home h --json").json();
    assert!(listed["recipients"].as_array().unwrap().contains(&vault.clone().into()), "{listed}");
    // Somebody who has the host writes another one into the file.
    let right = desk.config();
    desk.set_config(&right.replace(&vault, &thief));
    rig.run("backup data --home h").refuses(
        20,
        &["the recipients are not those that were approved", &format!("nobody approved {thief}")],
    );
    let first = format!("nobody removed {vault}");
    rig.run("backup data --home h").refuses(20, &[&first]);
    // An objection stops a removal; one after the fact takes the addition back.
    desk.set_config(&right);
    let remove = "recipients remove vault --because compromised --home h";
    let stopped = desk.propose(remove);
    desk.all_approve("approvals", &stopped);
    desk.by_file("approvals", "cancel", &stopped);
    desk.later(50);
    rig.run(remove).refuses(11, &["cancelled by", &desk.file]);
    rig.ok("backup data --home h");
    desk.by_group("approvals", "cancel", &id);
    rig.run("backup data --home h").refuses(20, &[&format!("nobody approved {vault}")]);
}

#[test]
fn going_live_by_hand_takes_the_same_three_words() {
    let desk = Desk::new(&["promotion"]);
    let rig = &desk.rig;
    let mut daemon = Daemon::start(rig, "");
    daemon.until_points(rig, 1);
    daemon.kill();
    desk.publish();
    let promote = format!("{RESTORE} --to live --promote --attest-primary-dead");
    rig.run(&promote).refuses(11, &["nobody has proposed it"]);
    // A copy to look at is no promotion.
    rig.ok(&format!("{RESTORE} --to copy"));
    let id = desk.propose(&promote);
    desk.by_wallet("approvals", "approve", &id);
    desk.by_group("approvals", "approve", &id);
    rig.run(&promote).refuses(11, &["2 of 3 approvals"]);
    desk.by_file("approvals", "approve", &id);
    desk.later(25);
    rig.ok(&promote);
    let log = rig.ok(&format!("approvals show --home h --action {id} --json")).json();
    assert_eq!(log["actions"][0]["standing"], "executed", "{log}");
    // The standby's turn by hand; nothing of it is asked before enough have signed.
    rig.run("failover --home h").refuses(11, &["nobody has proposed it", "3 of 3"]);
    let id = desk.propose("failover --home h");
    desk.all_approve("approvals", &id);
    desk.by_wallet("approvals", "cancel", &id);
    desk.later(50);
    rig.run("failover --home h").refuses(11, &["cancelled by", &desk.wallet]);
    let id = desk.propose("failover --home h");
    desk.all_approve("approvals", &id);
    desk.later(75);
    // Now it looks, and finds that no standby is there.
    assert_eq!(rig.run("failover --home h").exit, 10);
}

#[test]
fn a_standby_that_follows_takes_over_by_hand_once_for_each_approval() {
    let desk = Desk::new(&["promotion"]);
    let rig = desk.rig.without("").with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
    desk.publish();
    let mut command = rig.command("up --role keeper --home h --dashboard off --ack-log");
    let mut keeper = Daemon::spawn(&rig, command.arg(rig.beside("ack")));
    keeper.until_followed(&rig, 1);
    let first = holder(&rig).unwrap();
    let refused = |parts: &[&str]| rig.run("failover --home h").refuses(11, parts);
    refused(&["nobody has proposed it", "3 of 3", "nothing was done"]);
    rig.run("failover --home h --unplanned").refuses(11, &["nobody has proposed it"]);
    let cancelled = desk.propose("failover --home h");
    desk.by_file("approvals", "approve", &cancelled);
    desk.by_group("approvals", "approve", &cancelled);
    refused(&["2 of 3 approvals"]);
    desk.by_wallet("approvals", "approve", &cancelled);
    refused(&["its delay ends at"]);
    desk.by_group("approvals", "cancel", &cancelled);
    desk.later(25);
    refused(&["cancelled by", &desk.group]);
    // Nothing was handed over by any of that, and clients are answered.
    keeper.until_acked(&rig, 200);
    assert_eq!(holder(&rig), Some(first));
    let action = desk.propose("failover --home h");
    desk.all_approve("approvals", &action);
    desk.later(50);
    // The other way of it was not approved.
    rig.run("failover --home h --unplanned").refuses(11, &["nobody has proposed it"]);
    keeper.until_followed(&rig, 1);
    let done = rig.ok("failover --home h --json").json();
    assert_eq!((&done["kind"], &done["term"]), (&"planned".into(), &2.into()), "{done}");
    assert_eq!((&done["acknowledged_lost"], &done["applied_twice"]), (&0.into(), &0.into()));
    keeper.until_followed(&rig, 2);
    let second = holder(&rig).unwrap();
    assert_ne!(second, first);
    let shown = rig.ok(&format!("approvals show --home h --action {action} --json")).json();
    assert_eq!(shown["actions"][0]["standing"], "executed", "{shown}");
    // What was approved was one hand-over, from the primary of term 1.
    refused(&["nobody has proposed it"]);
    keeper.until_acked(&rig, 200);
    assert_eq!(holder(&rig), Some(second));
    // A standby that takes over by itself asks nobody.
    rustix::process::kill_process(second, rustix::process::Signal::KILL).unwrap();
    keeper.until_followed(&rig, 3);
    keeper.until_acked(&rig, 200);
    keeper.end();
}

#[test]
fn a_restore_that_goes_live_meets_the_rules_for_promotions_and_for_exports() {
    let desk = Desk::new(&["promotion"]);
    let rig = &desk.rig;
    let other = rig.ok("prune key --out other.key").out.trim().to_owned();
    desk.set_config(&format!(
        "{}\n[approvals.export]\napprovers = [\"{other}\"]\nneeded = 1\ndelay_hours = 24\n",
        desk.config()
    ));
    let promote = format!("{RESTORE} --to live --promote --attest-primary-dead");
    let id = desk.propose(&promote);
    desk.all_approve("approvals", &id);
    desk.later(25);
    rig.run(&promote).refuses(11, &["0 of 1 approvals"]);
    rig.ok(&format!("approvals approve --home h --action {id} --key other.key"));
    rig.run(&promote).refuses(11, &["its delay ends"]);
    desk.later(50);
    // Now it looks, and finds that nothing was ever protected here.
    rig.run(&promote).refuses(10, &["lineage"]);
}

/// Takes one POST after another, and gives what they said.
fn told(listener: &std::net::TcpListener) -> serde_json::Value {
    use std::io::{Read as _, Write as _};
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(document) = body.and_then(|body| serde_json::from_str(body).ok()) {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            return document;
        }
        assert!(read > 0, "{text}");
    }
}

#[test]
fn the_daemon_tells_of_what_waits_is_approved_and_is_cancelled() {
    let desk = Desk::new(&["export"]);
    let rig = &desk.rig;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let listening = rig.without("").with("EVENKEEL_ALERTS_WEBHOOK_URL", &url);
    backed_up(&desk);
    desk.publish();
    let mut daemon = Daemon::start(&listening, "");
    let id = desk.propose(&format!("{RESTORE} --to r"));
    let kind = |what: &str| format!("approval_{what}_{}", &id[..8]);
    // Other findings of a busy machine may be told in between.
    let until = |kind: &str, change: &str| loop {
        let document = told(&listener);
        if document["kind"] == kind && document["change"] == change {
            return document;
        }
    };
    let waiting = until(&kind("waiting"), "begun");
    let words = waiting["message"].as_str().unwrap();
    assert!(words.contains("0 of 3 approvals; it lapses at"), "{words}");
    assert!(words.contains("nobody has signed") && words.contains(&id[..16]), "{words}");
    let status = daemon.until_condition(rig, &kind("waiting"));
    assert_eq!(status["severity"], "warning");
    let live = common::daemon::live_status(rig).unwrap();
    assert_eq!(live["approvals"]["pending"], 1, "{live}");
    assert!(live["approvals"]["oldest_pending_seconds"].as_f64().unwrap() > 0.0);
    desk.all_approve("approvals", &id);
    let approved = until(&kind("approved"), "begun");
    let words = approved["message"].as_str().unwrap();
    assert!(words.contains("approved; its delay ends at"), "{words}");
    assert!(words.contains(&desk.wallet) && words.contains(&desk.group), "{words}");
    desk.by_wallet("approvals", "cancel", &id);
    let cancelled = until(&kind("cancelled"), "begun");
    let words = cancelled["message"].as_str().unwrap();
    assert!(words.contains(&format!("cancelled by {}", desk.wallet)), "{words}");
    daemon.end();
}

#[test]
fn the_networks_domain_has_a_policy_and_actions_of_its_own() {
    let chain = Scripted::start(Script::at(50));
    let desk = Desk::new(&["export"]);
    let rig = &desk.rig;
    let text = format!(
        "format = 1\n\n[[chains]]\nname = \"main\"\nchain_id = 1\nsettled_blocks = 0\n\n\
         [[endpoints]]\nname = \"one\"\nchain = \"main\"\nurl = \"{}\"\n",
        chain.url()
    );
    fs::write(rig.path("network.toml"), text).unwrap();
    rig.ok("network protect network.toml --home h");
    let identity = "--identity h/network-recovery-identity.txt";
    rig.run("approvals publish --home h --domain network --identity h/recovery-identity.txt")
        .refuses(12, &["not that of the domain"]);
    rig.ok(&format!("approvals publish --home h --domain network {identity}"));
    let restore = format!("network restore --home h {identity} --offline --to n");
    rig.run(&restore).refuses(11, &["nobody has proposed it"]);
    let id = desk.propose(&restore);
    // The state's domain knows nothing of it.
    rig.run(&format!("approvals show --home h --action {id}")).refuses(2, &["no action"]);
    desk.domain.set(" --domain network");
    desk.all_approve("approvals", &id);
    rig.run(&restore).refuses(11, &["its delay ends", "approvals cancel --domain network"]);
    desk.later(25);
    rig.ok(&restore);
    assert!(rig.path("n/network.toml").exists());
    let shown = rig.ok(&format!("approvals show --home h --domain network --action {id} --json"));
    assert_eq!(shown.json()["actions"][0]["standing"], "executed");
}

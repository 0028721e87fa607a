//! Clients on other machines, with a venue on one host: the door's port goes from the primary that
//! died to the one that took its place.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::net::TcpListener;

use common::Rig;
use common::audit::{effects, lost_acks};
use common::daemon::{Daemon, live_status};

#[test]
fn a_client_over_tls_goes_on_where_the_standby_took_over() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = format!("127.0.0.1:{port}");
    let rig = Rig::new()
        .with("EVENKEEL_CLIENTS_LISTEN", &at)
        .with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
    let named = rig.ok("clients key --name gateway --to gateway");
    rig.ok("init --home h");
    let refused = rig.run("up --home h --dashboard off");
    refused.refuses(2, &["[clients]", "lets nobody in", "evenkeel clients key"]);
    let file = rig.path("h/evenkeel.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{config}\n{}", named.out)).unwrap();
    let mut command = rig.command("up --home h --dashboard off");
    let mut keeper = Daemon::spawn(&rig, &mut command);
    keeper.until("a standby that follows", || {
        let status = live_status(&rig)?;
        (status["standbys"][0]["state"] == "following").then_some(())
    });
    fs::copy(rig.path("h/host/link/ca.pem"), rig.path("gateway/ca.pem")).unwrap();
    let line = format!("demo clients --rate 500 --credentials gateway --at {at} --ack-log");
    let mut command = rig.command(&line);
    let mut clients = Daemon::spawn_as(&rig, "gateway", command.arg(rig.beside("ack")));
    clients.until_acked(&rig, 200);
    let said = keeper.until("a standby that is ready", || {
        let said = rig.run("demo kill-primary --home h --json");
        (said.exit != 10).then_some(said)
    });
    assert_eq!(said.exit, 0, "{said:?}");
    clients.until_acked(&rig, 200);
    let said = clients.end();
    assert!(said.contains("the primary of term 2 is at"), "{said}");
    keeper.end();
    let acks = rig.acks();
    assert!(acks.len() > 300, "{}", acks.len());
    assert_eq!(lost_acks(&rig, &acks), Vec::new());
    let effects = effects(&rig);
    let theirs: Vec<_> = effects.iter().filter(|(one, _)| one.session.0 >= 1 << 32).collect();
    assert!(theirs.len() > 100, "{}", theirs.len());
    assert_eq!(theirs.into_iter().filter(|(_, count)| **count > 1).count(), 0);
}

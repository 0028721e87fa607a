//! Network metadata: measured against real EVM nodes and servers that lie, versioned in a domain of
//! its own, and brought back as working configuration.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;
mod network_support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::Rig;
use network_support::{Node, Script, Scripted, TlsFront, free_port, hardhat, staller};
use serde_json::Value;

const IDENTITY: &str = "--identity h/network-recovery-identity.txt";

fn document(rig: &Rig, chain_id: u64, endpoints: &[(&str, String)], more: &str) {
    let mut text = format!(
        "format = 1\n\n[[chains]]\nname = \"main\"\nchain_id = {chain_id}\nsettled_blocks = 0\n\
         max_lag_blocks = 4\n"
    );
    for (name, url) in endpoints {
        text.push_str(&format!(
            "\n[[endpoints]]\nname = \"{name}\"\nchain = \"main\"\nurl = \"{url}\"\n"
        ));
    }
    fs::write(rig.path("network.toml"), text + more).unwrap();
}

fn endpoint<'d>(document: &'d Value, name: &str) -> &'d Value {
    let all = document["endpoints"].as_array().unwrap();
    all.iter().find(|it| it["name"] == name).unwrap()
}

#[test]
fn real_nodes_are_told_apart_by_chain_history_lag_and_silence() {
    let Some(program) = hardhat() else {
        println!("SKIPPED: no EVM node here; `cargo xtask setup` installs one");
        return;
    };
    let nodes: Vec<Node> =
        [31337, 31337, 31337, 31337, 7].map(|chain| Node::start(&program, chain)).into();
    nodes.iter().for_each(Node::ready);
    for node in [&nodes[0], &nodes[1], &nodes[3], &nodes[4]] {
        node.mine(10, 1_800_000_000);
    }
    // The same genesis, another history; and one that stopped.
    nodes[2].mine(10, 1_800_000_500);
    for node in [&nodes[0], &nodes[1], &nodes[2], &nodes[4]] {
        node.mine(10, 1_800_001_000);
    }
    let rig = Rig::new();
    let socket = nodes[0].url().replace("http://", "ws://");
    document(
        &rig,
        31337,
        &[
            ("one", nodes[0].url()),
            ("one-socket", socket),
            ("two", nodes[1].url()),
            ("fork", nodes[2].url()),
            ("stale", nodes[3].url()),
            ("other-chain", nodes[4].url()),
            ("dead", format!("http://127.0.0.1:{}", free_port())),
            ("stalls", format!("http://{}", staller())),
        ],
        "",
    );
    let said = rig.run("network check --document network.toml --timeout 20 --json");
    assert_eq!(said.exit, 20, "{said:?}");
    let found = said.json();
    let verdict = |name: &str| endpoint(&found, name)["verdict"].as_str().unwrap().to_owned();
    for name in ["one", "one-socket", "two"] {
        assert_eq!(verdict(name), "usable", "{found:#}");
    }
    assert_eq!(verdict("fork"), "quarantined");
    assert_eq!(verdict("other-chain"), "quarantined");
    assert_eq!(verdict("stale"), "stale");
    assert_eq!((verdict("dead"), verdict("stalls")), ("down".to_owned(), "down".to_owned()));
    let fault = |name: &str| endpoint(&found, name)["faults"][0].as_str().unwrap().to_owned();
    assert!(fault("fork").contains("its block 10 is 0x"), "{}", fault("fork"));
    assert_eq!(fault("other-chain"), "it is of chain 7, and should be of 31337");
    assert_eq!(fault("stale"), "it is 10 blocks behind the best head");
    assert!(fault("stalls").contains("too long"), "{}", fault("stalls"));
    let one = endpoint(&found, "one");
    assert_eq!((one["head"].as_u64(), one["chain_id"].as_u64()), (Some(20), Some(31337)));
    assert!(one["client"].as_str().unwrap().starts_with("HardhatNetwork/"), "{one}");
    assert!(one["latency_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(one["capabilities"], serde_json::json!(["archive", "logs", "trace"]));
    let socket = endpoint(&found, "one-socket");
    assert!(socket["capabilities"].as_array().unwrap().contains(&"subscriptions".into()));
    let order = found["chains"][0]["order"].as_array().unwrap();
    assert_eq!(order.len(), 6, "{order:?}");
    assert!(!order.contains(&"fork".into()) && !order.contains(&"other-chain".into()));
    assert_eq!(order[3], "stale");
    assert_eq!(found["chains"][0]["disagreement"], true);
}

#[test]
fn without_anything_wrong_a_check_exits_0_and_names_the_order() {
    let (one, two) = (Scripted::start(Script::at(50)), Scripted::start(Script::at(49)));
    let rig = Rig::new();
    let exchange =
        format!("[[exchanges]]\nname = \"deribit\"\nurl = \"{}\"\nkind = \"deribit\"\n", one.url());
    document(&rig, 1, &[("one", one.url()), ("two", two.url())], &exchange);
    let said = rig.ok("network check --document network.toml");
    assert!(said.out.contains("main (chain 1): head 50"), "{said:?}");
    assert!(said.out.contains("exchange deribit: answers (1.2.26)"), "{said:?}");
    let none = rig.run("network check --document nothing.toml");
    none.refuses(10, &["no document", "docs/network.md"]);
}

#[test]
fn pins_of_keys_and_names_are_checked_before_anything_is_asked() {
    let chain = Scripted::start(Script::at(5));
    let front = TlsFront::start(chain.address);
    let rig = Rig::new();
    fs::write(rig.path("ca.pem"), &front.certificate_pem).unwrap();
    let url = format!("https://localhost:{}", front.port);
    let pins = |spki: &str, address: &str| {
        format!(
            "[[tls]]\nhost = \"localhost:{}\"\nspki_sha256 = [\"{spki}\"]\nca_file = \"ca.pem\"\n\
             [[dns]]\nname = \"localhost\"\naddresses = [{address}]\n",
            front.port
        )
    };
    let good = "\"127.0.0.1\", \"::1\"";
    let check = "network check --document network.toml --timeout 20 --json";
    document(&rig, 1, &[("tls", url.clone())], &pins(&front.spki_sha256, good));
    let found = rig.ok(check).json();
    assert_eq!(endpoint(&found, "tls")["spki_sha256"], front.spki_sha256.as_str());
    let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    document(&rig, 1, &[("tls", url.clone())], &pins(wrong, good));
    let said = rig.run(check);
    assert_eq!(said.exit, 20, "{said:?}");
    let found = said.json();
    let tls = endpoint(&found, "tls");
    assert_eq!((tls["verdict"].as_str(), tls["head"].as_u64()), (Some("quarantined"), None));
    let fault = tls["faults"][0].as_str().unwrap();
    assert!(fault.contains(&front.spki_sha256), "{fault}");
    document(&rig, 1, &[("tls", url)], &pins(&front.spki_sha256, "\"192.0.2.7\""));
    let said = rig.run(check);
    assert_eq!(said.exit, 20, "{said:?}");
    let found = said.json();
    assert_eq!(endpoint(&found, "tls")["verdict"], "quarantined");
    assert!(found["dns"][0]["unexpected"].as_array().unwrap().contains(&"127.0.0.1".into()));
}

#[test]
fn a_credential_goes_to_its_server_and_into_no_output() {
    let secret = "s3cr3t-s3cr3t";
    let mut script = Script::at(5);
    script.bearer = Some(secret.to_owned());
    let chain = Scripted::start(script);
    let rig = Rig::new();
    let key = rig.path("key");
    fs::write(&key, format!("{secret}\n")).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    document(&rig, 1, &[("rented", chain.url())], "credential = \"file:key\"\n");
    let said = rig.ok("network check --document network.toml --json");
    assert!(!said.out.contains(secret) && !said.err.contains(secret), "{said:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = rig.run("network check --document network.toml --json");
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("chmod 600") && !said.out.contains(secret), "{said:?}");
}

#[test]
fn versions_are_made_compared_and_brought_back_from_a_domain_of_their_own() {
    let (one, two) = (Scripted::start(Script::at(50)), Scripted::start(Script::at(50)));
    let rig = Rig::new();
    let indexer = "[[indexers]]\nname = \"trades\"\nchain = \"main\"\ncursor_file = \"cursor\"\n\
                   log_file = \"indexer.log\"\n";
    fs::write(rig.path("cursor"), "48\n").unwrap();
    fs::write(rig.path("indexer.log"), "did 48\n").unwrap();
    document(&rig, 1, &[("one", one.url()), ("two", two.url())], indexer);
    rig.ok("network protect network.toml --home h");
    let config = fs::read_to_string(rig.path("h/evenkeel.toml")).unwrap();
    assert!(config.contains("[domains.network]"), "{config}");
    rig.ok("config check --home h");
    document(&rig, 1, &[("one", one.url()), ("new", two.url())], indexer);
    let diff = rig.ok(&format!("network diff --home h {IDENTITY}"));
    assert_eq!(diff.out, "endpoint new is new\nendpoint two is gone\n");
    let second = rig.ok("network backup --home h --json").json();
    assert_eq!((second["version"].as_u64(), second["changed"].as_bool()), (Some(2), Some(true)));
    let diff = rig.ok(&format!("network diff 2 1 --home h {IDENTITY} --json")).json();
    assert_eq!(diff["changes"].as_array().unwrap().len(), 2, "{diff}");
    let versions = rig.ok("network versions --home h --json").json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    // The state's identity opens nothing of it.
    let wrong = rig.run("network diff 1 2 --home h --identity h/recovery-identity.txt");
    assert_eq!(wrong.exit, 12, "{wrong:?}");
    // A drill brings it back with an identity of its own, beside the files.
    fs::write(rig.path("file"), "x").unwrap();
    rig.ok("backup file --home h");
    let drill = rig.run("drill --level D3 --home h --json").json();
    let check = drill["checks"].as_array().unwrap().iter().find(|it| it["name"] == "network");
    let check = check.unwrap_or_else(|| panic!("{drill:#}"));
    assert_eq!(check["result"], "ok", "{check}");
    assert!(check["detail"].as_str().unwrap().starts_with("version 2: "), "{check}");
    // Only what the sites have is needed, and one of three may be gone.
    fs::remove_dir_all(rig.path("h/sites/network-b")).unwrap();
    fs::remove_file(rig.path("cursor")).unwrap();
    one.set(|script| script.chain_id = 5);
    let restored =
        rig.ok(&format!("network restore --home h {IDENTITY} --to back --version 1 --json")).json();
    let read = |name: &str| fs::read_to_string(rig.path("back").join(name)).unwrap();
    assert!(read("network.toml").contains("name = \"two\""));
    assert_eq!((read("trades.cursor").as_str(), read("trades.log").as_str()), ("48\n", "did 48\n"));
    assert!(read("endpoints.env").contains(&format!("MAIN_RPC_URLS='{}'\n", two.url())));
    let quarantined = restored["quarantined"][0].as_str().unwrap();
    assert!(quarantined.starts_with("one: it is of chain 5"), "{quarantined}");
}

#[test]
fn a_cursor_is_never_brought_back_beyond_the_head_that_is_measured() {
    let chain = Scripted::start(Script::at(50));
    let rig = Rig::new();
    fs::write(rig.path("cursor"), "48\n").unwrap();
    let indexer = "[[indexers]]\nname = \"trades\"\nchain = \"main\"\ncursor_file = \"cursor\"\n";
    document(&rig, 1, &[("one", chain.url())], indexer);
    rig.ok("network protect network.toml --home h");
    chain.set(|script| script.head = 30);
    let said = rig.run(&format!("network restore --home h {IDENTITY} --to a"));
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("set back from block 48 to 30"), "{said:?}");
    assert_eq!(fs::read_to_string(rig.path("a/trades.cursor")).unwrap(), "30\n");
    // Nobody says where the head is: nothing is vouched for, nothing is written.
    chain.set(|script| script.chain_id = 9);
    let said = rig.run(&format!("network restore --home h {IDENTITY} --to b"));
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("no head of main is known"), "{said:?}");
    assert!(!rig.path("b/trades.cursor").exists());
    let said = rig.ok(&format!("network restore --home h {IDENTITY} --to c --offline"));
    assert!(said.out.contains("as measured then"), "{said:?}");
    assert_eq!(fs::read_to_string(rig.path("c/trades.cursor")).unwrap(), "48\n");
}

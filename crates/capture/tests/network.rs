//! The document of the network, what is judged of it, and what is written from it.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

use std::collections::BTreeMap;

use evenkeel_capture::network::{
    ChangeKind, Document, DocumentError, EndpointHealth, Fault, Health, Measured, Verdict,
    common_heights, compare, fail_over, judge, render,
};
use proptest::prelude::*;

const GOOD: &str = r#"
format = 1

[[chains]]
name = "main"
chain_id = 1
settled_blocks = 0
max_lag_blocks = 4

[[endpoints]]
name = "own"
chain = "main"
url = "http://127.0.0.1:8545"
priority = 1

[[endpoints]]
name = "rented"
chain = "main"
url = "https://rpc.example.com/v3/{credential}"
credential = "file:keys/rented"

[[indexers]]
name = "trades"
chain = "main"
cursor_file = "trades.cursor"

[[exchanges]]
name = "deribit"
url = "https://www.deribit.com"
kind = "deribit"

[[allow]]
name = "payouts"
addresses = ["0x00000000000000000000000000000000000000aa"]
ips = ["192.0.2.0/24"]

[[dns]]
name = "rpc.example.com"
addresses = ["192.0.2.7"]

[[tls]]
host = "rpc.example.com"
spki_sha256 = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
"#;

fn good() -> Document {
    Document::parse(GOOD).unwrap()
}

fn refused(from: &str, to: &str) -> DocumentError {
    assert!(GOOD.contains(from), "{from}");
    Document::parse(&GOOD.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn what_a_document_says_does_not_depend_on_order_comments_or_what_goes_without_saying() {
    let mut tables: Vec<&str> = GOOD.split("\n\n").collect();
    let head = tables.remove(0);
    tables.reverse();
    let shuffled = format!("{head}\n# a remark\n{}", tables.join("\n\n# another\n"))
        .replace("url = \"http://127", "transport = \"http\"\nurl = \"http://127");
    let other = Document::parse(&shuffled).unwrap();
    assert_eq!(other, good());
    assert_eq!(other.hash(), good().hash());
    assert_ne!(refusable("priority = 1", "priority = 2").hash(), good().hash());
}

fn refusable(from: &str, to: &str) -> Document {
    Document::parse(&GOOD.replacen(from, to, 1)).unwrap()
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_right_one() {
    let error = refused("chain_id = 1", "chainid = 1");
    assert_eq!((error.line, error.message.as_str()), (6, "unknown key `chainid`"));
    assert_eq!(error.next, ["did you mean `chain_id`?"]);
    let error = refused("kind = \"deribit\"", "kind = \"derbit\"");
    assert!(error.next[0].contains("`deribit`"), "{error:?}");
    let error = refused("chain = \"main\"", "chain = \"mian\"");
    assert_eq!((error.line, error.next[0].as_str()), (12, "did you mean `main`?"));
}

#[test]
fn a_secret_in_a_url_is_refused_with_what_to_do_and_repeated_by_no_message() {
    for secret in [
        "https://user:hunter2@rpc.example.com/",
        "https://rpc.example.com/v3/0123456789abcdef0123456789abcdef",
        "https://rpc.example.com/?apikey=hunter2",
    ] {
        let error = refused("http://127.0.0.1:8545", secret);
        assert_eq!(error.line, 13, "{error:?}");
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2") && !said.contains("0123456789"), "{said}");
        assert!(said.contains("credential = \\\"file:PATH"), "{said}");
    }
    let error = refused("file:keys/rented", "0123456789abcdef");
    assert!(!format!("{error:?}").contains("0123456789"), "{error:?}");
    let public = "https://rpc.example.com/0123456789abcdef0123456789abcdef\"\npublic_url = true #";
    assert!(Document::parse(&GOOD.replacen("http://127.0.0.1:8545\"", public, 1)).is_ok());
}

#[test]
fn what_cannot_be_is_refused_with_its_line() {
    for (from, to, said) in [
        ("format = 1", "format = 2", "format 2 is not known"),
        ("name = \"rented\"", "name = \"Own\"", "stands twice"),
        ("http://127.0.0.1:8545", "rpc.example.com", "no scheme"),
        ("credential = \"file:keys/rented\"", "", "none is named"),
        ("https://rpc.example.com", "http://rpc.example.com", "over the network as it is"),
        ("priority = 1", "transport = \"ws\"", "`transport` says another"),
        ("\"192.0.2.0/24\"", "\"192.0.2.0/33\"", "no address of a machine"),
        ("00aa\"", "00a\"", "no address of an account"),
        ("[\"192.0.2.7\"]", "[]", "names no address"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAA", "no SHA-256"),
    ] {
        let error = refused(from, to);
        assert!(error.message.contains(said), "{said}: {error:?}");
        assert!(error.line > 1 && !error.next.is_empty(), "{error:?}");
    }
}

#[test]
fn differences_are_told_in_words_with_what_was_and_what_is() {
    let after = GOOD
        .replace("priority = 1", "priority = 7")
        .replace("192.0.2.7", "192.0.2.8")
        .replace("name = \"payouts\"", "name = \"refunds\"");
    let changes = compare(&good(), &Document::parse(&after).unwrap());
    let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "allow payouts is gone",
            "allow refunds is new",
            "dns rpc.example.com: addresses was 192.0.2.7, is now 192.0.2.8",
            "endpoint own: priority was 1, is now 7",
        ]
    );
    assert_eq!(changes[1].kind, ChangeKind::Added);
    assert!(compare(&good(), &good()).is_empty());
}

/// A document of so many endpoints, and what each said: head and who its chain is.
fn chain(endpoints: &[(u64, u64, &str)]) -> (Document, BTreeMap<String, Measured>) {
    let mut text = "format = 1\n[[chains]]\nname = \"main\"\nchain_id = 1\nsettled_blocks = 0\n\
                    max_lag_blocks = 4\n"
        .to_owned();
    for at in 0..endpoints.len() {
        text.push_str(&format!(
            "[[endpoints]]\nname = \"e{at}\"\nchain = \"main\"\nurl = \"http://127.0.0.1:{}\"\n",
            at + 1
        ));
    }
    let document = Document::parse(&text).unwrap();
    let mut measured: BTreeMap<String, Measured> = BTreeMap::new();
    for (at, (chain_id, head, _)) in endpoints.iter().enumerate() {
        let found = Measured {
            latency_us: Some(1_000 - at as u64),
            head: Some(*head),
            chain_id: Some(*chain_id),
            ..Measured::default()
        };
        measured.insert(format!("e{at}"), found);
    }
    let all: Vec<&Measured> = measured.values().collect();
    let heights = common_heights(&document.chains[0], &all);
    for (at, (chain_id, head, history)) in endpoints.iter().enumerate() {
        if *chain_id != 1 {
            continue;
        }
        let blocks = heights
            .iter()
            .map(|height| (*height, (height <= head).then(|| format!("{history}{height}"))));
        measured.get_mut(&format!("e{at}")).unwrap().blocks = blocks.collect();
    }
    (document, measured)
}

fn judged(endpoints: &[(u64, u64, &str)]) -> Health {
    let (document, measured) = chain(endpoints);
    let (endpoints, chains) = judge(&document, &measured);
    Health { endpoints, chains, ..Health::default() }
}

fn verdicts(health: &Health) -> Vec<Verdict> {
    health.endpoints.iter().map(|it| it.verdict).collect()
}

#[test]
fn whoever_is_of_another_chain_or_has_another_history_is_quarantined_and_last() {
    use Verdict::{Quarantined, Stale, Usable};
    let health = judged(&[(1, 100, "a"), (5, 900, "a"), (1, 101, "b"), (1, 99, "a"), (1, 60, "a")]);
    assert_eq!(verdicts(&health), [Usable, Quarantined, Quarantined, Usable, Stale]);
    let order: Vec<&str> = fail_over(&health, "main").iter().map(|it| it.name.as_str()).collect();
    assert_eq!(order, ["e3", "e0", "e4", "e2", "e1"]);
    assert_eq!(health.chains[0].head, Some(100));
    assert!(health.chains[0].disagreement);
    let said = |name: &str| health.endpoint(name).unwrap().faults[0].to_string();
    assert_eq!(said("e1"), "it is of chain 5, and should be of 1");
    assert_eq!(said("e2"), "its block 60 is b60, that of the others a60");
    assert_eq!(said("e4"), "it is 40 blocks behind the best head");
}

#[test]
fn a_stale_endpoint_does_not_hide_that_two_others_differ_above_it() {
    let (document, mut measured) =
        chain(&[(1, 100, "a"), (1, 100, "a"), (1, 100, "a"), (1, 9, "a")]);
    measured.get_mut("e2").unwrap().blocks.insert(100, Some("fork".to_owned()));
    let (endpoints, _) = judge(&document, &measured);
    assert_eq!(endpoints[2].verdict, Verdict::Quarantined);
    assert!(matches!(endpoints[2].faults[0], Fault::OtherHistory { height: 100, .. }));
    assert_eq!(endpoints[3].verdict, Verdict::Stale);
}

#[test]
fn one_against_one_nobody_is_believed_unless_one_is_trusted() {
    let health = judged(&[(1, 50, "a"), (1, 50, "b")]);
    assert_eq!(verdicts(&health), [Verdict::Quarantined; 2]);
    assert!(matches!(health.endpoints[0].faults[0], Fault::Undecided { height: 50 }));
    let (mut document, measured) = chain(&[(1, 50, "a"), (1, 50, "b"), (1, 50, "b")]);
    document.endpoints[0].trusted = true;
    let (endpoints, _) = judge(&document, &measured);
    let verdicts: Vec<Verdict> = endpoints.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Usable, Verdict::Quarantined, Verdict::Quarantined]);
}

#[test]
fn one_endpoint_that_claims_a_head_nobody_bears_out_makes_nobody_else_stale() {
    let health = judged(&[(1, 100, "a"), (1, 1_000_000, "a"), (1, 101, "a")]);
    assert_eq!(verdicts(&health), [Verdict::Usable, Verdict::Stale, Verdict::Usable]);
    assert!(matches!(health.endpoints[1].faults[0], Fault::Ahead { blocks: 999_899 }));
    assert_eq!(health.chains[0].head, Some(101));
}

proptest! {
    #[test]
    fn nobody_of_a_minority_is_ever_usable_and_nobody_of_a_majority_in_sync_is_barred(
        liars in 0_usize..4, honest in 1_usize..8, head in 10_u64..1_000,
    ) {
        prop_assume!(honest > liars);
        let mut endpoints = vec![(1, head, "lie"); liars];
        endpoints.extend(vec![(1, head, "true"); honest]);
        let health = judged(&endpoints);
        let (lying, telling): (Vec<&EndpointHealth>, Vec<&EndpointHealth>) =
            health.endpoints.iter().partition(|it| {
                it.measured.blocks.values().flatten().any(|hash| hash.starts_with("lie"))
            });
        prop_assert!(lying.iter().all(|it| it.verdict == Verdict::Quarantined));
        prop_assert!(telling.iter().all(|it| it.verdict == Verdict::Usable));
    }
}

#[test]
fn files_for_other_programs_name_no_quarantined_endpoint_as_one_to_use() {
    let (document, measured) = chain(&[(1, 100, "a"), (7, 100, "a"), (1, 100, "a")]);
    let (endpoints, chains) = judge(&document, &measured);
    let time = "2026-01-02T03:04:05.000Z".to_owned();
    let health = Health { time, endpoints, chains, ..Health::default() };
    let files = render(&document, &health);
    let file = |name: &str| files.iter().find(|it| it.name == name).unwrap().content.clone();
    let text = file("endpoints.env");
    assert!(text.contains("MAIN_RPC_URLS='http://127.0.0.1:3,http://127.0.0.1:1'\n"), "{text}");
    assert!(text.contains("MAIN_CHAIN_ID=1\n"), "{text}");
    assert!(text.contains("# e1: quarantined, not in the list: it is of chain 7"), "{text}");
    assert!(!text.contains("='http://127.0.0.1:2'"), "{text}");
    let providers: serde_json::Value = serde_json::from_str(&file("providers.json")).unwrap();
    let urls: Vec<_> =
        providers["1"]["providers"].as_array().unwrap().iter().map(|it| &it["url"]).collect();
    assert_eq!(urls, ["http://127.0.0.1:3", "http://127.0.0.1:1"]);
    let ordered: serde_json::Value = serde_json::from_str(&file("endpoints.json")).unwrap();
    let last = &ordered["chains"][0]["endpoints"][2];
    assert_eq!(
        (last["name"].as_str(), last["verdict"].as_str()),
        (Some("e1"), Some("quarantined"))
    );
}

#[test]
fn credentials_stay_references_in_every_file_that_is_written() {
    let document = good();
    let (endpoints, chains) = judge(&document, &BTreeMap::new());
    let health = Health { endpoints, chains, ..Health::default() };
    for file in render(&document, &health) {
        assert!(file.content.contains("file:keys/rented"), "{}", file.name);
        assert!(file.content.contains("/v3/{credential}"), "{}", file.name);
    }
}

//! Strategy profiles: what `init --profile` writes is a configuration, every promise is enforced,
//! and the page about them adds up.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::Rig;
use evenkeel_vault::Identity;

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/profiles.md");
    fs::read_to_string(page).unwrap()
}

/// The sites of the page, in a file; credentials and certificates beside it.
fn sites(rig: &Rig) -> String {
    let page = page();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(rig.path("sites.toml"), example).unwrap();
    for name in ["a", "b", "c", "d"] {
        fs::write(rig.path(&format!("site-{name}.key")), format!("id-{name}:secret-{name}"))
            .unwrap();
    }
    example.to_owned()
}

/// Changes the configuration, and checks that it is then refused with these words.
fn broken(rig: &Rig, from: &str, to: &str, words: &str) {
    let file = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text, "{from}");
    fs::write(&file, changed).unwrap();
    let said = rig.run("config check --home h");
    assert_eq!(said.exit, 2, "{to}: {said:?}");
    let told = said.out.lines().filter(|line| line.contains("[profile]"));
    assert!(told.clone().any(|line| line.contains(words)), "{words}: {}", said.out);
    fs::write(&file, text).unwrap();
}

fn holds(rig: &Rig) {
    let said = rig.run("config check --home h");
    assert!(!said.out.contains("[profile]"), "{}", said.out);
    assert_eq!(said.exit, 0, "{said:?}");
}

#[test]
fn encrypted_distributed_is_enforced_promise_by_promise() {
    let rig = Rig::new();
    sites(&rig);
    let without = rig.run("init --home h --profile encrypted-distributed");
    without.refuses(2, &["it needs sites that are apart", "--sites"]);
    assert!(!rig.path("h").exists());
    rig.ok("init --home h --profile encrypted-distributed --sites sites.toml");
    holds(&rig);
    let written = fs::read_to_string(rig.path("h/evenkeel.toml")).unwrap();
    let key = rig.path("site-a.key");
    assert!(written.contains(&format!("\"{}\"", key.display())), "{written}");
    broken(&rig, "class = \"append-only\"", "class = \"mutable\"", "2 of 5 sites are append-only");
    broken(
        &rig,
        "operator = \"us\"",
        "operator = \"first host\"",
        "share the operator `first host`",
    );
    broken(&rig, "jurisdiction = \"CH\"", "jurisdiction = \"IS\"", "share the jurisdiction `IS`");
    broken(&rig, "operator = \"us\"\n", "", "does not say its operator");
    broken(&rig, "data_shards = 3", "data_shards = 4", "two may be lost at once");
    broken(&rig, "role = \"recovery\"", "role = \"holder\"", "one of them with the role recovery");
    // A broken promise is a start that is refused.
    let file = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("class = \"append-only\"", "class = \"mutable\"", 1)).unwrap();
    rig.run("up --home h --exit-after 1").refuses(2, &["encrypted-distributed"]);
}

#[test]
fn multisig_wants_two_approvers_and_time_to_object() {
    let rig = Rig::new();
    sites(&rig);
    let keys: Vec<String> = ["one", "two", "three"]
        .map(|name| {
            let said = rig.ok(&format!("prune key --out {name}.key"));
            let is_key =
                |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
            let all = format!("{} {}", said.out, said.err);
            all.split(|c: char| !c.is_ascii_hexdigit()).find(is_key).unwrap().to_owned()
        })
        .to_vec();
    let with = |keys: &[String]| {
        let keys: Vec<String> = keys.iter().map(|key| format!("--approver {key}")).collect();
        format!("init --home h --profile multisig --sites sites.toml {}", keys.join(" "))
    };
    rig.run(&with(&keys[..1])).refuses(2, &["two approvers", "prune key"]);
    rig.ok(&with(&keys));
    holds(&rig);
    broken(&rig, "\nneeded = 2", "\nneeded = 1", "one alone must not be enough");
    broken(&rig, "\ndelay_hours = 72", "\ndelay_hours = 1", "24 at least");
    // What encrypted-distributed promises, it promises as well.
    broken(&rig, "class = \"append-only\"", "class = \"mutable\"", "2 of 5 sites are append-only");
}

#[test]
fn air_gapped_refuses_every_identity_on_this_machine() {
    let rig = Rig::new();
    rig.ok("init --home h --profile air-gapped");
    let said = rig.run("config check --home h");
    assert_eq!(said.exit, 2, "{said:?}");
    let files = ["recovery-identity.txt", "keys-recovery-identity.txt"];
    for file in files.into_iter().chain(["drill-host/drill-identity.txt"]) {
        assert!(said.out.contains(file), "{file}: {}", said.out);
        fs::remove_file(rig.path("h").join(file)).unwrap();
    }
    holds(&rig);
    let file = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("[domains.keys]"));
    broken(&rig, "kept_at = \"recovery-identity.txt\"\n", "", "does not say kept_at");
    fs::write(&file, text.split("\n[domains.keys]").next().unwrap()).unwrap();
    let said = rig.run("config check --home h");
    assert!(said.out.contains("there is no [domains.keys]"), "{}", said.out);
    // That keys are at no site is so with any profile.
    let online = text.replace("[domains.keys]\nsites = []", "[domains.keys]\nsites = [\"site-a\"]");
    fs::write(&file, online).unwrap();
    let said = rig.run("config check --home h");
    assert!(said.exit == 2 && said.out.contains("[keys-online]"), "{said:?}");
}

#[test]
fn a_holder_added_to_a_profile_keeps_its_promise() {
    let rig = Rig::new();
    sites(&rig);
    rig.ok("init --home h --profile encrypted-distributed --sites sites.toml");
    let second = Identity::generate().recipient();
    rig.ok(&format!("recipients add {second} --label second --kept-at safe-2 --home h"));
    holds(&rig);
}

/// Rows of the table that begins behind this heading: cells, trimmed.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split(heading).nth(1).unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// `2 × machine + 67.3 × gigabyte` at these prices, in thousandths.
fn sum(parts: &str, prices: &BTreeMap<String, i64>) -> i64 {
    let part = |part: &str| {
        let (count, what) = part.split_once(" × ").unwrap();
        // Tenths times thousandths.
        let (whole, tenth) = count.trim().split_once('.').unwrap_or((count.trim(), "0"));
        let tenths: i64 = whole.parse::<i64>().unwrap() * 10 + tenth.parse::<i64>().unwrap();
        tenths * prices.get(what.trim()).unwrap_or_else(|| panic!("no price of {what}"))
    };
    (parts.split(" + ").map(part).sum::<i64>() + 5) / 10
}

#[test]
fn the_costs_on_the_page_add_up_at_the_prices_it_states() {
    let page = page();
    let thousandths = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap();
        let part = format!("{part:0<3}");
        whole.parse::<i64>().unwrap() * 1_000 + part.parse::<i64>().unwrap()
    };
    let prices: BTreeMap<String, i64> = table(&page, "## Prices")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), thousandths(&row[1])))
        .collect();
    assert!(prices.len() >= 4);
    let costs = table(&page, "## Costs");
    assert_eq!(costs.len(), 3);
    for row in &costs {
        let cents = (sum(&row[1], &prices) + 5) / 10;
        assert_eq!(row[2], format!("{}.{:02}", cents / 100, cents % 100), "{row:?}");
    }
    // And the first table says the same.
    for row in table(&page, "# Strategy profiles") {
        let name = row[0].trim_matches('`');
        let cost = costs.iter().find(|cost| cost[0].trim_matches('`') == name).unwrap();
        assert_eq!(row[3], cost[2], "{name}");
    }
    // What a site of five holds of 100 GB: a third, and 1 % of what describes it.
    assert!(page.contains("33.7 × gigabyte"));
    assert_eq!((100 * 1_010 / 3 + 50) / 100, 337);
}

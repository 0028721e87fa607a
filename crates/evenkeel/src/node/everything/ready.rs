//! What trading needs of what came back: each condition ok, failed or unproven, with its reason.

use std::path::Path;

use evenkeel_capture::network::Verdict as Serves;
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{Part, worst};

use super::kits::Kits;
use super::part_keys::{Keys, Wallet};
use super::part_network::Network;
use super::part_state::{State, is_there};
use super::venue;
use crate::cli::DrillEverythingArgs;
use crate::node::network::WholeNetwork;

/// All of them, in the order in which a desk would ask.
pub(super) fn conditions(
    kits: &Kits,
    args: &DrillEverythingArgs,
    keys: &Keys,
    network: &Network,
    state: &State,
    scratch: &Path,
) -> Vec<Check> {
    let mut all = vec![of_part("keys", &keys.found.part)];
    all.push(protected(kits, &state.found.part, scratch));
    all.push(databases(&state.found.part));
    all.push(venue_root(state));
    all.push(venue::start(scratch, state.state_root));
    all.push(own_checks(&state.found.part));
    match &network.whole {
        Some(whole) => {
            all.extend(endpoints(whole, args.offline));
            all.extend(keys.wallets.iter().map(|wallet| listed(wallet, whole)));
        }
        None => all.push(of_part("endpoints", &network.found.part)),
    }
    all
}

/// As the part ended.
fn of_part(name: &str, part: &Part) -> Check {
    Check::new(name, part.verdict, part.detail.clone())
}

/// Whether everything that the kit names is there.
fn protected(kits: &Kits, part: &Part, scratch: &Path) -> Check {
    let name = "protected";
    let Some(kit) = kits.state.as_ref().filter(|_| !part.checks.is_empty()) else {
        return of_part(name, part);
    };
    let came_back = |what: &&String| {
        part.sources.iter().any(|source| source.name.0 == **what) || is_there(scratch, what)
    };
    let missing: Vec<&String> = kit.protected.iter().filter(|what| !came_back(what)).collect();
    match missing.first() {
        None if kit.protected.is_empty() => {
            Check::new(name, Verdict::NotConfigured, "the kit names no path, database or server")
        }
        None => {
            let count = kit.protected.len();
            Check::new(name, Verdict::Ok, format!("all {count} that the kit names came back"))
        }
        Some(first) => {
            let (lost, all) = (missing.len(), kit.protected.len());
            let detail = format!("{lost} of {all} did not come back; first: {first}");
            Check::new(name, Verdict::Failed, detail)
        }
    }
}

/// Whether databases open and pass their own checks of integrity.
fn databases(part: &Part) -> Check {
    let name = "databases";
    let kinds = ["sqlite", "postgres"];
    let sources = part.sources.iter().filter(|source| kinds.contains(&source.kind.0.as_str()));
    let verdicts: Vec<(String, Verdict)> =
        sources.map(|source| (source.name.0.clone(), source.verdict)).collect();
    let among_files = part.checks.iter().find(|check| check.name.0 == "files_databases");
    let among_files = among_files.map(|check| ("those among files".to_owned(), check.verdict));
    let all: Vec<_> = verdicts.into_iter().chain(among_files).collect();
    of_verdicts(name, &part.detail.0, &all)
}

/// What the user asks of what came back.
fn own_checks(part: &Part) -> Check {
    let own = part.checks.iter().filter(|check| check.name.0.starts_with("check:"));
    let verdicts: Vec<_> = own.map(|check| (check.name.0.clone(), check.verdict)).collect();
    of_verdicts("own_checks", "", &verdicts)
}

fn of_verdicts(name: &str, why_none: &str, verdicts: &[(String, Verdict)]) -> Check {
    if verdicts.is_empty() {
        let none = match why_none {
            "" => "none is configured".to_owned(),
            why => format!("there is none among what came back ({why})"),
        };
        return Check::new(name, Verdict::NotConfigured, none);
    }
    let verdict = worst(verdicts.iter().map(|(_, verdict)| *verdict));
    let count = |wanted: Verdict| verdicts.iter().filter(|(_, verdict)| *verdict == wanted).count();
    let mut detail = format!("{} of {} ok", count(Verdict::Ok), verdicts.len());
    if let Some((which, _)) = verdicts.iter().find(|(_, one)| *one != Verdict::Ok) {
        detail.push_str(&format!("; first that is not: {which}"));
    }
    Check::new(name, verdict, detail)
}

/// Whether the venue's roots were recomputed as they were promised.
fn venue_root(state: &State) -> Check {
    let name = "venue_root";
    if state.state_root.is_none() {
        return Check::new(name, Verdict::NotConfigured, "there is no venue");
    }
    let part = &state.found.part;
    let roots = ["state_root", "journal_root", "output_digest", "equity"];
    let verdicts = part.checks.iter().filter(|check| roots.contains(&check.name.0.as_str()));
    let verdicts: Vec<_> = verdicts.map(|one| (one.name.0.clone(), one.verdict)).collect();
    of_verdicts(name, "", &verdicts)
}

/// One for each chain: an endpoint that serves the right chain, measured now.
fn endpoints(whole: &WholeNetwork, offline: bool) -> Vec<Check> {
    let of_chain = |chain: &evenkeel_capture::network::Chain| {
        let name = format!("endpoint:{}", chain.name);
        let all: Vec<_> =
            whole.health.endpoints.iter().filter(|one| one.chain == chain.name).collect();
        let usable = all.iter().find(|one| one.verdict == Serves::Usable);
        let told: Vec<String> = all
            .iter()
            .map(|one| {
                let why: Vec<String> = one.faults.iter().map(ToString::to_string).collect();
                let why =
                    if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
                format!("{} {}{why}", one.name, one.verdict.word())
            })
            .collect();
        let told = told.join(", ");
        match usable {
            _ if offline => Check::new(
                &name,
                Verdict::Unproven,
                format!("nothing was asked (--offline); when the version was made: {told}"),
            ),
            Some(one) => Check::new(
                &name,
                Verdict::Ok,
                format!("{} serves chain {}, measured now; {told}", one.name, chain.chain_id),
            ),
            None => Check::new(
                &name,
                Verdict::Failed,
                format!("none that is usable for chain {}: {told}", chain.chain_id),
            ),
        }
    };
    whole.document.chains.iter().map(of_chain).collect()
}

/// An allow list that has the wallet's name has to hold one of its addresses.
fn listed(wallet: &Wallet, whole: &WholeNetwork) -> Check {
    let name = format!("wallet:{}", wallet.name);
    let holds = |addresses: &[String]| {
        let same = |one: &String| wallet.addresses.iter().any(|own| own.eq_ignore_ascii_case(one));
        addresses.iter().any(same)
    };
    let lists = &whole.document.allow;
    let of_name = lists.iter().find(|list| list.name == wallet.name);
    match of_name {
        Some(list) if holds(&list.addresses) => Check::new(
            &name,
            Verdict::Ok,
            format!("the recovered key's address is the one of the allow list `{}`", list.name),
        ),
        Some(list) => Check::new(
            &name,
            Verdict::Failed,
            format!(
                "the allow list `{}` says {}, and the recovered key has {}",
                list.name,
                list.addresses.join(", "),
                wallet.addresses.join(", ")
            ),
        ),
        None => {
            let named: Vec<&str> = lists
                .iter()
                .filter(|list| holds(&list.addresses))
                .map(|list| list.name.as_str())
                .collect();
            match named.is_empty() {
                false => Check::new(
                    &name,
                    Verdict::Ok,
                    format!(
                        "the recovered key's address is in the allow lists {}",
                        named.join(", ")
                    ),
                ),
                true => Check::new(
                    &name,
                    Verdict::NotConfigured,
                    "no [[allow]] of the network's document has its name or one of its addresses",
                ),
            }
        }
    }
}

//! Keys: cards, a quorum, an identity in a file; each proven before it opens anything.

use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_custody::age;
use evenkeel_recovery::report::{Check, Text, Verdict};
use evenkeel_recovery::{Part, SourceProof, worst};
use evenkeel_vault::{Identity, Unlock};

use super::kits::{KeysOfKit, Kits};
use super::{Found, nanos};
use crate::cli::{DecryptionPurpose, DrillEverythingArgs, EverythingPart};
use crate::documents::{KeyFingerprintDocument, KeyScheme};
use crate::keyfile;
use crate::keys_cmd::{self, Brought, KeyBack};
use crate::report::{Exit, Report, Result};

/// An identity that is at hand.
pub(super) struct Held {
    pub(super) identity: Identity,
    pub(super) recipient: String,
    /// Who brought it: `shares of Ada, Cem`.
    pub(super) by: String,
}

/// A wallet that came back.
pub(super) struct Wallet {
    pub(super) name: String,
    pub(super) addresses: Vec<String>,
}

/// What there is of keys.
pub(super) struct Keys {
    pub(super) found: Found,
    pub(super) held: Vec<Held>,
    /// A quorum of holders, who open the state without an identity.
    pub(super) quorum: Option<(Unlock, String)>,
    pub(super) wallets: Vec<Wallet>,
    /// How long people were waited for.
    pub(super) waited: Duration,
    /// The records, which hold no secret.
    pub(super) records: Vec<KeyFingerprintDocument>,
    /// Whoever brought something that was proven.
    by: Vec<String>,
}

/// Brings back every key of the kit, and takes what else was brought.
///
/// # Errors
/// What was named cannot be read.
pub(super) fn drill(kits: &Kits, args: &DrillEverythingArgs) -> Result<Keys> {
    let nothing = kits.keys.is_none() && args.identity.is_empty() && args.quorum.is_none();
    let mut keys = Keys {
        found: Found::absent(EverythingPart::Keys, args, "no kit of keys was given"),
        held: Vec::new(),
        quorum: None,
        wallets: Vec::new(),
        waited: Duration::ZERO,
        records: Vec::new(),
        by: Vec::new(),
    };
    if nothing {
        return Ok(keys);
    }
    let begun = Instant::now();
    let mut part = Part::unproven("keys", "");
    let mut error = None;
    for file in &args.identity {
        keys.in_file(file, &mut part)?;
    }
    error = error.or(keys.of_quorum(args, &mut part));
    if let Some(kit) = &kits.keys {
        part.kit = kit.named.as_str().into();
        error = error.or(keys.of_kit(kit, args, &mut part)?);
    }
    part.rto_ns = Some(nanos(begun.elapsed().saturating_sub(keys.waited)));
    part.freshness = "a key has no age; its record says which split it is".into();
    keys.by.sort_unstable();
    keys.by.dedup();
    part.opened_by = keys.by.join("; ").into();
    keys.found = Found { part, error };
    keys.sum_up();
    Ok(keys)
}

impl Keys {
    /// The part, of what its keys came to.
    fn sum_up(&mut self) {
        let Found { part, error } = &mut self.found;
        part.verdict = worst(part.sources.iter().map(|source| source.verdict));
        part.exit_code = match (&error, part.verdict) {
            (Some(report), _) => report.exit().code(),
            (None, Verdict::Ok) => Exit::Ok.code(),
            (None, _) => Exit::Partial.code(),
        };
        let proven = part.sources.iter().filter(|source| source.verdict == Verdict::Ok).count();
        let all = part.sources.len();
        part.detail = match &error {
            Some(report) => format!("{proven} of {all} keys proven; {}", report.message()).into(),
            None => format!("{proven} of {all} keys proven").into(),
        };
    }

    /// An identity that nothing is known of but what it opened is proven by that.
    pub(super) fn settle(&mut self, opened: [&Part; 2]) {
        for held in &self.held {
            let came_back = |part: &&Part| part.opened_by.0 == held.by && !part.point.0.is_empty();
            let Some(by_it) = opened.iter().find(|part| came_back(part)) else { continue };
            let name = format!("identity {}", held.recipient);
            let part = &mut self.found.part;
            let of = |check: &&mut Check| {
                check.name.0 == format!("key:{name}") && check.verdict == Verdict::Unproven
            };
            if let Some(check) = part.checks.iter_mut().find(of) {
                check.verdict = Verdict::Ok;
                check.detail.push_str(&format!("; it opened the {}", by_it.name));
            }
            for source in part.sources.iter_mut().filter(|source| source.name.0 == name) {
                source.verdict = Verdict::Ok;
            }
        }
        if !self.held.is_empty() {
            self.sum_up();
        }
    }

    fn add(part: &mut Part, name: &str, kind: &str, verdict: Verdict, detail: impl Into<Text>) {
        part.checks.push(Check::new(&format!("key:{name}"), verdict, detail));
        part.sources.push(SourceProof { verdict, ..SourceProof::unproven(name, kind) });
    }

    /// An identity in a file, or in a token that a file names.
    fn in_file(&mut self, file: &Path, part: &mut Part) -> Result<()> {
        let identity = keyfile::read_identity(file)?;
        let recipient = identity.recipient().to_string();
        let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).unwrap_or_default());
        let (verdict, detail) = match age::Identity::parse(&text) {
            Ok(read) => {
                let proven = keys_cmd::proven_identity(&read, &recipient)?;
                (Verdict::Ok, format!("read from a file, not from cards; {}", proven.detail))
            }
            // Only what it opens proves it: see `settle`.
            Err(_) => (Verdict::Unproven, format!("held in a token, for {recipient}")),
        };
        Self::add(part, &format!("identity {recipient}"), "identity", verdict, detail);
        let by = match verdict {
            Verdict::Ok => format!("an identity in a file, {recipient}"),
            _ => format!("an identity in a token, {recipient}"),
        };
        self.by.push(by.clone());
        self.held.push(Held { identity, recipient, by });
        Ok(())
    }

    /// What holders of a recipient answered.
    fn of_quorum(&mut self, args: &DrillEverythingArgs, part: &mut Part) -> Option<Report> {
        let (Some(quorum), Some(table)) = (&args.quorum, &args.table) else {
            return None;
        };
        match keys_cmd::file_keys(quorum, table, DecryptionPurpose::Drill) {
            Ok((opened, named)) => {
                Self::add(part, "quorum", "identity", Verdict::Ok, format!("answered: {named}"));
                self.by.push(named.clone());
                self.quorum = Some((opened.into(), named));
                None
            }
            Err(report) => {
                Self::add(part, "quorum", "identity", Verdict::Failed, report.message());
                Some(report)
            }
        }
    }

    fn of_kit(
        &mut self,
        kit: &KeysOfKit,
        args: &DrillEverythingArgs,
        part: &mut Part,
    ) -> Result<Option<Report>> {
        let brought = Brought {
            shares: args.shares.clone(),
            passphrase_files: args.passphrase_file.clone(),
            bip39_passphrase_files: args.bip39_passphrase_file.clone(),
            ask: !args.json,
        };
        let (all, waited) = keys_cmd::bring_back(&kit.kit, &brought)?;
        self.waited = waited;
        let mut error = None;
        for one in all {
            error = error.or(self.of_cards(one, part)?);
        }
        Ok(error)
    }

    fn of_cards(&mut self, one: KeyBack, part: &mut Part) -> Result<Option<Report>> {
        let KeyBack { name, record, cards, people, elapsed, result } = one;
        let kind = if record.scheme == KeyScheme::Age { "identity" } else { "wallet" };
        let addresses: Vec<String> = record
            .accounts
            .iter()
            .flat_map(|account| account.addresses.iter().map(|one| one.address.clone()))
            .collect();
        let public = record.recipient.clone().or_else(|| addresses.first().cloned());
        let by = format!("shares of {}", people.join(", "));
        let mut error = None;
        let (verdict, detail) = match result {
            None => (Verdict::Unproven, "nobody brought its cards".to_owned()),
            Some(Err(report)) => {
                let detail = report.to_document().message.replace('\n', "; ");
                error = Some(report.at(format!("key `{name}`")));
                (Verdict::Failed, detail)
            }
            Some(Ok(proven)) => {
                if let (Some(text), Some(recipient)) = (&proven.identity, &record.recipient) {
                    let identity = Identity::parse(text)?;
                    let recipient = recipient.clone();
                    self.held.push(Held { identity, recipient, by: by.clone() });
                } else {
                    self.wallets.push(Wallet { name: name.clone(), addresses });
                }
                self.by.push(by);
                (Verdict::Ok, format!("cards {}; {}", cards.join(", "), proven.detail))
            }
        };
        Self::add(part, &name, kind, verdict, detail);
        if let Some(source) = part.sources.last_mut() {
            source.point = public.unwrap_or_default().into();
            source.rto_ns = Some(nanos(elapsed));
        }
        self.records.push(record);
        Ok(error)
    }
}

/// Puts what is public of the keys where the user's own checks find it: `keys/keys.json`.
pub(super) fn lay_out(keys: &Keys, scratch: &Path) -> Result<()> {
    if keys.records.is_empty() {
        return Ok(());
    }
    let folder = scratch.join("keys");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Report::io("make the folder", &folder, &error))?;
    let text = serde_json::to_vec_pretty(&keys.records).unwrap_or_default();
    keyfile::write_new(&folder.join("keys.json"), &text)
}

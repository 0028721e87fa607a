//! `keys group ask`, `answer`, `open` and `trust`: having holders decrypt what a domain signed.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_custody::group::Record;
use evenkeel_custody::group::decrypt::{Purpose, Request, STANZAS_MAX, Stanza, TargetKey, answer};
use evenkeel_types::Canonical as _;
use evenkeel_vault::{ActionKind, Detail, KeyEvidence, Recipient, RootPublicKey, VouchedPeriod};

use super::asked::{Asked, lay_request, now_s, request_on};
use super::files::{Own, Shared, armored};
use super::pinned::{self, ON_TABLE, WHAT};
use super::{holders, refused};
use crate::cli::{
    DecryptionPurpose, GroupAnswerArgs, GroupAskArgs, GroupOpenArgs, GroupTrustArgs, format_time_ns,
};
use crate::config::DomainName;
use crate::documents::{
    DecryptionDocument, DecryptionFaultDocument, DecryptionLineageDocument, DecryptionState,
};
use crate::keyfile::hex;
use crate::keys_cmd::input::OsRandom;
use crate::node::{self, ApprovalAsked, ApprovalGate, ApprovalPass, Domain};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Digits of a request's id that a holder types at least: nobody finds a second request with them.
const ID_DIGITS_MIN: usize = 16;

pub(super) fn purpose(purpose: DecryptionPurpose) -> Purpose {
    match purpose {
        DecryptionPurpose::Restore => Purpose::Restore,
        DecryptionPurpose::Drill => Purpose::Drill,
    }
}

pub(super) fn ask(args: &GroupAskArgs) -> Result<Exit> {
    let sealed = armored::sealed(&args.record)?;
    let recipient = sealed.record().recipient().ok_or_else(|| {
        refused(&evenkeel_custody::group::Refusal::DecryptsNothing(sealed.record().curve))
    })?;
    let recipient = Recipient::parse(&recipient)?;
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let approved = match approved(&domain, args, &recipient)? {
        ApprovalGate::Open(pass) => pass,
        ApprovalGate::Proposed => return Ok(Exit::Ok),
    };
    let (evidence, trust) = node::key_evidence(&domain, &recipient, args.point.as_deref())?;
    let periods = evidence.vouched(&trust)?;
    let stanzas: Vec<Stanza> = stanzas(&periods).into_iter().collect();
    if stanzas.len() > STANZAS_MAX {
        return Err(Report::new(
            Exit::Usage,
            format!("{} key periods are too many for one request", periods.len()),
        )
        .safe("nobody was asked")
        .next("name the point to bring back: --point ID   (evenkeel points)"));
    }
    let target = TargetKey::generate(&mut OsRandom)
        .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
    let until_s = now_s().saturating_add(args.hours.saturating_mul(3600));
    let request = Request::new(
        &sealed,
        (purpose(args.purpose), &args.requester),
        &target,
        &stanzas,
        (evidence.to_bytes(), until_s),
        &mut OsRandom,
    )
    .map_err(|error| refused(&error).safe("nobody was asked"))?;
    if !(1..=168).contains(&args.hours) {
        return Err(refused(&evenkeel_custody::group::Refusal::Expired).safe("nobody was asked"));
    }
    let table = Shared::new(&args.table);
    table.make()?;
    let asked = Asked::keep(&args.quorum, request, sealed, target)?;
    let files = laid(&domain, args, &asked, &table, &approved)?;
    let id = hex(&asked.request.id());
    let document = DecryptionDocument {
        state: DecryptionState::Asked,
        id: Some(id.clone()),
        root_public_key: Some(trust.to_string()),
        missing: asked.record().holders.iter().map(|holder| holder.number).collect(),
        written: files,
        next: vec![
            format!(
                "give {} to the holders and read the id to them, the first {ID_DIGITS_MIN} digits \
                 at least: {}",
                args.table.display(),
                spoken(&id)
            ),
            "each: evenkeel keys group answer --table DIR --holder DIR --id DIGITS".to_owned(),
            format!(
                "then: evenkeel {} --quorum {} --table {} …",
                command(domain.name, args.purpose),
                args.quorum.display(),
                args.table.display()
            ),
        ],
        ..described(&asked.request, asked.record(), &evidence.domain, &periods)
    };
    say("asked  the holders", &document, args.json)?;
    Ok(Exit::Ok)
}

/// What a request is for, as it is typed.
fn command(domain: DomainName, purpose: DecryptionPurpose) -> &'static str {
    match (domain, purpose) {
        (DomainName::State, DecryptionPurpose::Restore) => "restore",
        (DomainName::State, DecryptionPurpose::Drill) => "drill --level D4",
        (DomainName::Network, DecryptionPurpose::Restore) => "network restore",
        (DomainName::Network, DecryptionPurpose::Drill) => "drill --domain network --level D4",
    }
}

/// Lays the request on the table, with the action by which it is made.
fn laid(
    domain: &Domain<'_>,
    args: &GroupAskArgs,
    asked: &Asked,
    table: &Shared,
    approved: &ApprovalPass,
) -> Result<Vec<String>> {
    let mut files = vec![lay_request(table, &asked.request)?.display().to_string()];
    if let Some(action) = approved.action() {
        approved.begun(domain)?;
        for folder in [&args.table, &args.quorum] {
            node::write_armored(&folder.join(ON_TABLE), node::APPROVAL_BUNDLE, &action.bundle)?;
        }
        files.push(args.table.join(ON_TABLE).display().to_string());
    }
    Ok(files)
}

/// The gate in front of what is asked: of a drill only where a rule of its own is.
fn approved(
    domain: &Domain<'_>,
    args: &GroupAskArgs,
    recipient: &Recipient,
) -> Result<ApprovalGate> {
    let kinds: &[ActionKind] = match args.purpose {
        DecryptionPurpose::Restore => &[ActionKind::Export],
        DecryptionPurpose::Drill => &[ActionKind::Drill],
    };
    let point = args.point.as_ref().map_or("every key period".to_owned(), |id| format!("of {id}"));
    let details = vec![
        Detail::new("what", WHAT),
        Detail::new("requester", &args.requester),
        Detail::new("recipient", &recipient.to_string()),
        Detail::new("keys", &point),
    ];
    let asked = ApprovalAsked {
        kinds,
        details,
        propose: args.propose.as_deref(),
        command: match args.purpose {
            DecryptionPurpose::Restore => "evenkeel keys group ask --purpose restore",
            DecryptionPurpose::Drill => "evenkeel keys group ask --purpose drill",
        },
        also: None,
        json: args.json,
    };
    node::approval_gate(domain.config, domain, &asked)
}

/// In fours, as people read digits aloud.
fn spoken(id: &str) -> String {
    let digits: Vec<char> = id.chars().take(32).collect();
    let fours: Vec<String> = digits.chunks(4).map(|four| four.iter().collect()).collect();
    fours.join(" ")
}

fn stanzas(periods: &[VouchedPeriod]) -> BTreeSet<Stanza> {
    let wrapped = periods.iter().flat_map(|period| &period.wrapped);
    wrapped.map(|one| Stanza { share: one.share, body: one.body }).collect()
}

fn described(
    request: &Request,
    record: &Record,
    domain: &str,
    periods: &[VouchedPeriod],
) -> DecryptionDocument {
    DecryptionDocument {
        recipient: record.recipient(),
        generation: Some(record.generation),
        threshold: Some(record.threshold),
        purpose: Some(request.purpose.word().to_owned()),
        requester: Some(request.requester.clone()),
        target_hex: Some(hex(&request.target)),
        expires: Some(format_time_ns(request.expires_s.saturating_mul(1_000_000_000))),
        domain: domain.to_owned(),
        lineages: lineages(periods),
        holders: holders(&record.holders),
        ..DecryptionDocument::default()
    }
}

fn lineages(periods: &[VouchedPeriod]) -> Vec<DecryptionLineageDocument> {
    let mut by_lineage: BTreeMap<String, Vec<&VouchedPeriod>> = BTreeMap::new();
    for period in periods {
        by_lineage.entry(period.lineage.to_string()).or_default().push(period);
    }
    let one = |(lineage, periods): (String, Vec<&VouchedPeriod>)| {
        let numbers = || periods.iter().map(|period| period.number);
        let times = || periods.iter().map(|period| period.signed_time_ns);
        DecryptionLineageDocument {
            lineage,
            periods: numbers().collect::<BTreeSet<_>>().len() as u64,
            first: numbers().min().unwrap_or_default(),
            last: numbers().max().unwrap_or_default(),
            first_signed: format_time_ns(times().min().unwrap_or_default()),
            last_signed: format_time_ns(times().max().unwrap_or_default()),
        }
    };
    by_lineage.into_iter().map(one).collect()
}

pub(super) fn run_answer(args: &GroupAnswerArgs) -> Result<Exit> {
    let (own, table) = (Own::new(&args.holder), Shared::new(&args.table));
    let request = request_on(&args.table)?;
    let sealed = own.record()?.ok_or_else(|| own.without("record.txt"))?;
    let share = own.share()?.ok_or_else(|| own.without("share"))?;
    let key = own.key()?;
    let unreadable = |error: &dyn std::fmt::Display| {
        Report::new(Exit::Integrity, format!("the request's evidence cannot be read: {error}"))
            .safe("nothing was answered")
    };
    let evidence = KeyEvidence::from_bytes(&request.evidence).map_err(|it| unreadable(&it))?;
    let (root, periods) = vouched(&own, &evidence)?;
    let leave = pinned::check(&own, &args.table, &request, &evidence.domain)?;
    let id = hex(&request.id());
    let mut document = DecryptionDocument {
        root_public_key: Some(root.to_string()),
        ..described(&request, sealed.record(), &evidence.domain, &periods)
    };
    let Some(typed) = &args.id else {
        document.state = DecryptionState::Shown;
        document.next = vec![format!(
            "if it is right: have {} read you the request's id, by voice, then the same command \
             with --id DIGITS",
            request.requester
        )];
        say("asked  of you, and not answered", &document, args.json)?;
        return Ok(Exit::Partial);
    };
    let typed: String = typed.chars().filter(|it| !it.is_whitespace()).collect();
    if typed.len() < ID_DIGITS_MIN || !id.starts_with(&typed.to_lowercase()) {
        return Err(Report::new(Exit::Usage, "this is not the request that was read to you")
            .at(args.table.display().to_string())
            .detail(format!("at least {ID_DIGITS_MIN} digits of its id have to agree"))
            .safe("nothing was answered")
            .next("compare the id with whoever asks, by voice"));
    }
    leave.remember(&own, &request)?;
    let vouched = stanzas(&periods);
    let message = answer(&request, &sealed, (&share, &key), &vouched, now_s(), &mut OsRandom)
        .map_err(|error| refused(&error).safe("nothing was answered"))?;
    let holder = super::sign::name(sealed.record(), share.number);
    document.written = vec![table.lay_message(&message, &holder)?.display().to_string()];
    document.state = DecryptionState::Answered;
    document.id = Some(id);
    document.good = vec![share.number];
    say(&format!("answered  by {holder}"), &document, args.json)?;
    Ok(Exit::Ok)
}

/// The evidence under one of the roots that this holder answers for.
fn vouched(own: &Own, evidence: &KeyEvidence) -> Result<(RootPublicKey, Vec<VouchedPeriod>)> {
    let roots = own.trusted()?;
    let mut found = Err(Report::new(
        Exit::WrongKey,
        format!("this holder does not answer for domain {}", evidence.domain),
    )
    .next("evenkeel keys group trust --holder DIR --domain NAME --root HEX"));
    for (_, root) in roots.iter().filter(|(domain, _)| *domain == evidence.domain) {
        let root = RootPublicKey::parse(root)?;
        match evidence.vouched(&root) {
            Ok(periods) => return Ok((root, periods)),
            Err(error) => found = Err(Report::from(error)),
        }
    }
    found.map_err(|report| report.safe("nothing was answered"))
}

pub(super) fn run_open(args: &GroupOpenArgs) -> Result<Exit> {
    let asked = Asked::of(&args.quorum)?;
    let (heard, opened) = asked.open(&args.table)?;
    let Some(opened) = opened else {
        return Err(asked.too_few(&heard));
    };
    let wrong = heard.wrong.iter().map(|(number, misdeed)| DecryptionFaultDocument {
        number: *number,
        why: misdeed.to_string(),
    });
    let document = DecryptionDocument {
        state: DecryptionState::Opens,
        id: Some(hex(&asked.request.id())),
        quorum: opened.quorum.clone(),
        good: heard.good,
        wrong: wrong.collect(),
        missing: heard.missing,
        next: vec![format!(
            "evenkeel {} --quorum {} --table {} …",
            asked.request.purpose.word(),
            args.quorum.display(),
            args.table.display()
        )],
        ..described(&asked.request, asked.record(), "", &[])
    };
    let names = asked.names(&opened.quorum);
    say(&format!("opens  with the answers of {names}"), &document, args.json)?;
    Ok(Exit::Ok)
}

pub(super) fn trust(args: &GroupTrustArgs) -> Result<Exit> {
    let own = Own::new(&args.holder);
    own.key()?;
    let mut headline = "trusted  this holder answers for the domain".to_owned();
    let mut document = DecryptionDocument {
        state: DecryptionState::Trusted,
        domain: args.domain.clone(),
        ..DecryptionDocument::default()
    };
    if let Some(root) = &args.root {
        let root = RootPublicKey::parse(root)?;
        own.trust(&args.domain, &root.to_string())?;
        document.root_public_key = Some(root.to_string());
    }
    if let Some(file) = &args.policy {
        let policy = pinned::pin(&own, file, args.word.as_deref())?;
        document.domain.clone_from(&policy.domain);
        headline = format!("pinned  policy {}: no restore without its approvals", policy.counter);
    } else if let Some(file) = &args.word {
        let action = pinned::take_word(&own, file)?;
        headline = format!("noted  this holder never answers for action {action}");
    }
    say(&headline, &document, args.json)?;
    Ok(Exit::Ok)
}

fn say(headline: &str, document: &DecryptionDocument, json: bool) -> Result<()> {
    if json {
        return output::document(document);
    }
    let mut lines = vec![headline.to_owned()];
    let mut line = |what: &str, text: &str| lines.push(format!("  {what:<10} {text}"));
    if let (Some(purpose), Some(requester)) = (&document.purpose, &document.requester) {
        line("for", &format!("a {purpose} by {requester}"));
    }
    if let Some(target) = &document.target_hex {
        line("target", target);
    }
    if !document.domain.is_empty() {
        line("domain", &document.domain);
    }
    if let Some(root) = &document.root_public_key {
        line("root", root);
    }
    for one in &document.lineages {
        line(
            "opens",
            &format!(
                "{} key periods of lineage {}, {} to {}, signed {} to {}",
                one.periods, one.lineage, one.first, one.last, one.first_signed, one.last_signed
            ),
        );
    }
    if let Some(expires) = &document.expires {
        line("until", expires);
    }
    if let Some(id) = &document.id {
        line("id", id);
    }
    if let (Some(generation), Some(threshold)) = (document.generation, document.threshold) {
        let count = document.holders.len();
        line("generation", &format!("{generation}, {threshold} of {count} needed"));
    }
    for one in &document.wrong {
        line("wrong", &format!("holder {}: {}", one.number, one.why));
    }
    document.written.iter().for_each(|file| line("wrote", file));
    document.next.iter().for_each(|next| line("next", next));
    output::result(&lines.join("\n"))
}

//! `evenkeel recipients …`: who can open what the sites hold, now and from now on.

mod edit;
mod rotation;

use evenkeel_recovery::Clock as _;
use evenkeel_vault::{Catalog, PeriodAccess, Recipient, Unlock, rewrap};

pub(crate) use rotation::Rotation;

use super::approvals::recipients_gate;
use super::clock::SystemClock;
use super::domain::Domain;
use super::restore_cmd::choose_lineage;
use super::root::DomainRoot;
use crate::access_seen::{AccessSeen, label_of};
use crate::cli::{
    RecipientsAddArgs, RecipientsCommand, RecipientsListArgs, RecipientsRemoveArgs,
    RecipientsRewrapArgs, RevokeWriterArgs, format_time_ns,
};
use crate::config::{Config, DomainConfig, DomainName, HolderConfig, HolderRole, RemovedBecause};
use crate::documents::{
    ConditionDocument, PeriodDocument, RecipientDocument, RecipientsDocument, Severity,
};
use crate::report::{Exit, Report, Result};
use crate::{keyfile, output};

/// Runs `recipients …`.
pub(crate) fn run(command: &RecipientsCommand) -> Result<Exit> {
    match command {
        RecipientsCommand::List(args) => list(args),
        RecipientsCommand::Add(args) => add(args),
        RecipientsCommand::Remove(args) => remove(args),
        RecipientsCommand::Rewrap(args) => rewrap_all(args),
        RecipientsCommand::Rotate(args) => rotate(args),
        RecipientsCommand::RevokeWriter(args) => revoke_writer(args),
    }
}

fn parsed(domain: &DomainConfig) -> Result<Vec<Recipient>> {
    domain.recipients.iter().map(|text| Recipient::parse(text).map_err(Report::from)).collect()
}

fn now() -> String {
    format_time_ns(SystemClock::new().wall_ns())
}

/// Looks at every period, and remembers what was found.
fn look(config: &Config, domain: &Domain<'_>, catalog: &Catalog) -> Result<Vec<PeriodAccess>> {
    let periods = evenkeel_vault::periods(catalog);
    let seen = AccessSeen::of(now(), &periods, &parsed(domain.settings)?);
    if config.host.data.is_dir() {
        seen.save(config, domain.name)?;
    }
    Ok(periods)
}

/// What `verify` has to say of it: for whom some period is not wrapped.
pub(crate) fn look_after(config: &Config, domain: &Domain<'_>, catalog: &Catalog) {
    // That it cannot be kept here does not keep `verify` from its answer.
    let looked = look(config, domain, catalog);
    let seen = looked.ok().and_then(|_| AccessSeen::load(config, domain.name));
    if let Some(words) = seen.and_then(|seen| seen.closed_words(domain.settings)) {
        output::note(&format!("{words}\nnext:  {}", AccessSeen::next(config, domain.name)));
    }
}

/// What `status` has to say of it, from what was last seen.
pub(crate) fn conditions(config: &Config) -> Vec<ConditionDocument> {
    let of = |name: DomainName| {
        let words = AccessSeen::load(config, name)?.closed_words(name.settings(config)?)?;
        Some(ConditionDocument {
            kind: name.kind("periods_not_wrapped"),
            severity: Severity::Warning,
            message: words,
            safe: "the others open them; nothing is lost".to_owned(),
            next: AccessSeen::next(config, name),
        })
    };
    DomainName::ALL.into_iter().filter_map(of).collect()
}

fn list(args: &RecipientsListArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let catalog = domain.catalog(None)?;
    let periods = look(&config, &domain, &catalog)?;
    let document = described("list", domain.name, domain.settings, Some(&periods))?;
    show(&document, args.json)?;
    if !args.json && !document.incomplete.is_empty() {
        output::note(&format!("next:  {}", AccessSeen::next(&config, domain.name)));
    }
    Ok(if document.incomplete.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn described(
    action: &str,
    name: DomainName,
    settings: &DomainConfig,
    periods: Option<&[PeriodAccess]>,
) -> Result<RecipientsDocument> {
    let all = parsed(settings)?;
    let seen = periods.unwrap_or_default();
    let unlabelled = settings
        .recipients
        .iter()
        .filter(|recipient| !settings.holders.iter().any(|holder| &holder.recipient == *recipient));
    let unlabelled = unlabelled
        .map(|recipient| HolderConfig { recipient: recipient.clone(), ..Default::default() });
    let holders = settings.holders.iter().cloned().chain(unlabelled);
    let incomplete = seen.iter().filter(|one| !one.serves(&all));
    Ok(RecipientsDocument {
        action: action.to_owned(),
        domain: name.word().to_owned(),
        periods: periods.map(|periods| periods.len() as u64),
        recipients: holders.map(|holder| recipient_of(&holder, seen)).collect::<Result<_>>()?,
        incomplete: incomplete.map(|one| period(one, settings, &all)).collect(),
        ..RecipientsDocument::default()
    })
}

fn recipient_of(holder: &HolderConfig, periods: &[PeriodAccess]) -> Result<RecipientDocument> {
    let recipient = Recipient::parse(&holder.recipient)?;
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let opens = |wanted: Option<bool>| {
        periods.iter().filter({
            let recipient = &recipient;
            move |one| one.opens_for(recipient) == wanted
        })
    };
    let mine: Vec<&PeriodAccess> = opens(Some(true)).collect();
    let times = mine.iter().map(|one| (one.first_time_ns, one.last_time_ns));
    Ok(RecipientDocument {
        recipient: holder.recipient.clone(),
        label: holder.label.clone(),
        role: holder.role.to_string(),
        since: said(&holder.since),
        kept_at: said(&holder.kept_at),
        removed: said(&holder.removed),
        because: holder.because.map(|why| why.to_string()),
        opens: mine.len() as u64,
        not: opens(Some(false)).count() as u64,
        unknown: opens(None).count() as u64,
        first_time: times.clone().map(|(first, _)| first).min().map(format_time_ns),
        last_time: times.map(|(_, last)| last).max().map(format_time_ns),
        bytes: mine.iter().map(|one| one.bytes).sum(),
    })
}

fn period(one: &PeriodAccess, settings: &DomainConfig, all: &[Recipient]) -> PeriodDocument {
    let closed = all.iter().filter(|recipient| one.opens_for(recipient) == Some(false));
    PeriodDocument {
        lineage: one.lineage.to_string(),
        number: one.number,
        first_time: format_time_ns(one.first_time_ns),
        last_time: format_time_ns(one.last_time_ns),
        bytes: one.bytes,
        not_for: closed.map(|one| label_of(settings, &one.to_string())).collect(),
    }
}

fn show(document: &RecipientsDocument, json: bool) -> Result<()> {
    if json {
        return output::document(document);
    }
    let mut results = output::Results::new();
    for one in &document.recipients {
        results.line(&words_of(one, document.periods))?;
    }
    if let Some(periods) = document.periods {
        let complete = periods - document.incomplete.len() as u64;
        results.line(&format!(
            "{complete} of {periods} key periods are known to be for all of them"
        ))?;
    }
    for one in document.incomplete.iter().filter(|one| !one.not_for.is_empty()).take(10) {
        results.line(&format!(
            "  period {} of lineage {} ({} to {}, {} bytes): not for {}",
            one.number,
            one.lineage.get(..8).unwrap_or_default(),
            one.first_time,
            one.last_time,
            one.bytes,
            one.not_for.join(", ")
        ))?;
    }
    results.finish()
}

fn words_of(one: &RecipientDocument, periods: Option<u64>) -> String {
    let label = if one.label.is_empty() { "(no label)" } else { &one.label };
    let mut words = format!("{label}: {} {}", one.role, one.recipient);
    if let Some(since) = &one.since {
        words.push_str(&format!("\n  since {since}"));
    }
    if let Some(kept_at) = &one.kept_at {
        words.push_str(&format!("\n  its identity is said to be kept at: {kept_at}"));
    }
    if let (Some(removed), Some(because)) = (&one.removed, &one.because) {
        words.push_str(&format!("\n  removed {removed}, because {because}"));
    }
    if let Some(periods) = periods {
        words.push_str(&format!("\n  opens {} of {periods} key periods", one.opens));
        if one.unknown > 0 {
            words.push_str(&format!("; {} do not say for whom they are", one.unknown));
        }
    }
    words
}

fn add(args: &RecipientsAddArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let settings = domain.settings;
    let recipient = Recipient::parse(&args.recipient)?.to_string();
    let refuse = |why: &str| {
        Report::new(Exit::Usage, why.to_owned())
            .at(config.file.display().to_string())
            .safe("nothing was changed")
            .next("evenkeel recipients list")
    };
    if settings.recipients.contains(&recipient) {
        return Err(refuse("that is a recipient already"));
    }
    if args.label.is_empty() || settings.holders.iter().any(|one| one.label == args.label) {
        return Err(refuse("that label is empty, or another holder's"));
    }
    if settings.holders.iter().any(|one| one.recipient == recipient && one.is_removed()) {
        return Err(refuse("that recipient was removed: give its holder a new identity"));
    }
    let holder = HolderConfig {
        recipient: recipient.clone(),
        label: args.label.clone(),
        role: args.role,
        since: now(),
        kept_at: args.kept_at.clone(),
        ..HolderConfig::default()
    };
    let role = args.role.to_string();
    let what = [
        ("what", "add a recipient"),
        ("add", recipient.as_str()),
        ("label", args.label.as_str()),
        ("role", role.as_str()),
    ];
    let propose = (args.propose.as_deref(), args.json);
    let command = "evenkeel recipients add";
    let Some(pass) = recipients_gate((&config, &domain), &what, propose, command)? else {
        return Ok(Exit::Ok);
    };
    pass.on_record(&domain, "added it to the configuration")?;
    let mut named = labelled(settings);
    named.push((recipient, args.label.clone()));
    edit::write(&config, domain.name, &named, Some(&holder), None)?;
    let changed = Config::load(&config.file)?;
    let settings = domain.name.settings(&changed).unwrap_or(settings);
    let document = RecipientsDocument {
        config_changed: true,
        ..described("add", domain.name, settings, None)?
    };
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&format!("added {}", args.label))?;
    }
    output::note(&format!(
        "every key period from the next one on is wrapped for it\n\
         next:  evenkeel recipients rotate{}   (begins the next one now)\n\
         next:  {}   (earlier periods, too)",
        domain.name.option(),
        AccessSeen::next(&config, domain.name)
    ));
    Ok(Exit::Ok)
}

fn labelled(settings: &DomainConfig) -> Vec<(String, String)> {
    let named = settings.recipients.iter().map(|one| (one.clone(), label_of(settings, one)));
    named.collect()
}

fn remove(args: &RecipientsRemoveArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let settings = domain.settings;
    let wanted = |recipient: &&String| {
        **recipient == args.name || label_of(settings, recipient) == args.name
    };
    let refuse = |why: String| {
        Report::new(Exit::Usage, why)
            .at(config.file.display().to_string())
            .safe("nothing was changed")
            .next("evenkeel recipients list")
    };
    let recipient = settings.recipients.iter().find(wanted).cloned();
    let recipient = recipient.ok_or_else(|| refuse(format!("no recipient is `{}`", args.name)))?;
    if settings.recipients.len() == 1 {
        return Err(refuse("that is the only recipient: nobody could open anything".to_owned()));
    }
    let known = settings.holders.iter().find(|one| one.recipient == recipient).cloned();
    let holder = HolderConfig {
        removed: now(),
        because: Some(args.because),
        ..known.unwrap_or(HolderConfig {
            recipient: recipient.clone(),
            label: label_of(settings, &recipient),
            ..HolderConfig::default()
        })
    };
    let because = args.because.to_string();
    let what = [
        ("what", "remove a recipient"),
        ("remove", recipient.as_str()),
        ("label", holder.label.as_str()),
        ("because", because.as_str()),
    ];
    let propose = (args.propose.as_deref(), args.json);
    let command = "evenkeel recipients remove";
    let Some(pass) = recipients_gate((&config, &domain), &what, propose, command)? else {
        return Ok(Exit::Ok);
    };
    pass.on_record(&domain, "removed it from the configuration")?;
    let mut named = labelled(settings);
    named.retain(|(one, _)| *one != recipient);
    edit::write(&config, domain.name, &named, None, Some(&holder))?;
    let changed = Config::load(&config.file)?;
    let settings = domain.name.settings(&changed).unwrap_or(settings);
    // The removal holds whether or not the sites can be looked at now.
    let periods = domain.catalog(None).ok().map(|found| evenkeel_vault::periods(&found));
    let document = RecipientsDocument {
        config_changed: true,
        ..described("remove", domain.name, settings, periods.as_deref())?
    };
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&format!("removed {}", holder.label))?;
    }
    let own = document.recipients.iter().find(|one| one.recipient == recipient);
    output::note(&removed_words(&holder, own.filter(|_| periods.is_some()), &config, domain.name));
    Ok(Exit::Ok)
}

/// What is so after a removal, in words that promise nothing more.
fn removed_words(
    holder: &HolderConfig,
    own: Option<&RecipientDocument>,
    config: &Config,
    name: DomainName,
) -> String {
    let mut words = vec![match own {
        None => "which periods it opens is not known: too few sites answer".to_owned(),
        Some(one) => {
            let times = match (&one.first_time, &one.last_time) {
                (Some(first), Some(last)) => format!(", from {first} to {last}"),
                _ => String::new(),
            };
            let unknown = match one.unknown {
                0 => String::new(),
                count => format!(", and perhaps {count} that do not say for whom they are"),
            };
            format!("it opens {} key periods{times}, {} bytes{unknown}", one.opens, one.bytes)
        }
    }];
    words.push(
        "periods from the next one on are closed to it; earlier ones stay readable to whoever \
         has it until their objects are deleted"
            .to_owned(),
    );
    let home = config.file.display();
    words.push(format!(
        "next:  evenkeel recipients rotate{} --config {home}   (the next one begins now)",
        name.option()
    ));
    if holder.because == Some(RemovedBecause::Compromised) {
        words.push(
            "next:  change every secret that the protected data holds: it may have been read"
                .to_owned(),
        );
        words.push(format!(
            "next:  evenkeel prune propose{} --keep-points N --config {home}   (once newer points \
             stand alone: what it opens goes with the points that need it; a copy that somebody \
             took stays readable)",
            name.option()
        ));
    }
    if holder.role == HolderRole::Recovery {
        words.push(
            "this was the recovery identity: its root key still certifies writers. Another root \
             is another domain: lay out a new home and protect from there"
                .to_owned(),
        );
    }
    words.join("\n")
}

fn rewrap_all(args: &RecipientsRewrapArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let here = args.root_request.is_none().then_some(args.identity.as_path());
    let mut root = DomainRoot::of(&domain, here, args.root_request.as_deref())?;
    let all = parsed(domain.settings)?;
    let mut catalog = domain.catalog(None)?;
    let mut done = evenkeel_vault::Rewrapped::default();
    if !args.dry_run {
        let list = list_words(&all);
        let what = [("what", "wrap earlier key periods anew"), ("for", list.as_str())];
        let propose = (args.propose.as_deref(), args.json);
        let command = "evenkeel recipients rewrap";
        let Some(pass) = recipients_gate((&config, &domain), &what, propose, command)? else {
            return Ok(Exit::Ok);
        };
        pass.on_record(&domain, "wrapped anew")?;
        let unlock = Unlock::from(keyfile::read_identity(&args.identity)?);
        let time_ns = SystemClock::new().wall_ns();
        done = rewrap(&catalog, &unlock, &mut root.hand(), &all, time_ns)?;
        catalog = domain.catalog(None)?;
    }
    let periods = look(&config, &domain, &catalog)?;
    let closed = periods.iter().filter(|one| done.closed.contains(&(one.lineage, one.number)));
    let document = RecipientsDocument {
        wrapped: done.wrapped,
        already: done.already,
        completed: done.completed,
        closed: closed.map(|one| period(one, domain.settings, &all)).collect(),
        ..described("rewrap", domain.name, domain.settings, Some(&periods))?
    };
    show(&document, args.json)?;
    if root.ask()? {
        return Ok(Exit::Ok);
    }
    output::note(&format!(
        "{} wrapped anew, {} were right already, {} not opened by this identity{}",
        document.wrapped,
        document.already,
        document.closed.len(),
        if args.dry_run { " (dry run: nothing was written)" } else { "" }
    ));
    Ok(match (document.incomplete.is_empty(), args.dry_run) {
        (true, _) | (_, true) => Exit::Ok,
        (false, false) => Exit::Partial,
    })
}

/// A list of recipients on one line, and what tells it from any other.
fn list_words(all: &[Recipient]) -> String {
    let mut named: Vec<String> = all.iter().map(ToString::to_string).collect();
    named.sort();
    let hash = blake3::hash(named.join("\n").as_bytes()).to_hex();
    format!("{} recipients, list {hash}", named.len())
}

fn revoke_writer(args: &RevokeWriterArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let (identity, request) = (args.identity.as_deref(), args.root_request.as_deref());
    let mut root = DomainRoot::of(&domain, identity, request)?;
    let catalog = domain.catalog(None)?;
    let lineage = choose_lineage(&catalog, Some(&args.lineage))?;
    let (named, after) = (lineage.to_string(), format!("record {}", args.after));
    let what = [("what", "believe a writer no more"), ("lineage", &named), ("after", &after)];
    let propose = (args.propose.as_deref(), args.json);
    let command = "evenkeel recipients revoke-writer";
    let Some(pass) = recipients_gate((&config, &domain), &what, propose, command)? else {
        return Ok(Exit::Ok);
    };
    pass.on_record(&domain, "revoked")?;
    let points = |catalog: &Catalog| {
        let points = catalog.points();
        points.iter().filter(|point| point.id.lineage == lineage).count()
    };
    let before = points(&catalog);
    let time_ns = SystemClock::new().wall_ns();
    evenkeel_vault::revoke_writer(&catalog, &mut root.hand(), lineage, args.after, time_ns)?;
    if root.ask()? {
        return Ok(Exit::Ok);
    }
    let after = points(&domain.catalog(None)?);
    let document = described("revoke-writer", domain.name, domain.settings, None)?;
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&format!(
            "revoked the writer of lineage {lineage}: records up to {} are believed, {after} of \
             {before} recovery points with them",
            args.after
        ))?;
    }
    let next = match lineage.kind_beside() {
        None => "evenkeel restore --promote --identity FILE --to NEW   (a new lineage and writer)",
        Some(_) => {
            "move the writer's key and certificate out of the home, then: evenkeel init \
             --add-files --identity FILE   (a new lineage and writer, which writes all anew)"
        }
    };
    output::note(&format!(
        "what it wrote in its last key period could be read by whoever had the host\nnext:  {next}"
    ));
    Ok(Exit::Ok)
}

fn rotate(args: &RecipientsListArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let (done, then) = match domain.name {
        DomainName::State => {
            rotation::ask(&config.host.data, &parsed(domain.settings)?, &now())?;
            (
                "asked for a new key period",
                "a running daemon begins it with its next write; without one none is open, and \
                 the next start begins one",
            )
        }
        // Its writer is opened for each version, and ends its period with it.
        DomainName::Network => (
            "no key period of the network is open",
            "every version begins a key period of its own, for the recipients of that moment\n\
             next:  evenkeel network backup   (makes one now)",
        ),
    };
    let document = described("rotate", domain.name, domain.settings, None)?;
    if args.json {
        output::document(&document)?;
    } else {
        output::result(done)?;
    }
    output::note(then);
    Ok(Exit::Ok)
}

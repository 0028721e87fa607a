//! `evenkeel prune …`: deletion planned by anyone, allowed by approvers, executed by a janitor.

use std::sync::Arc;

use evenkeel_recovery::Clock;
use evenkeel_vault::{
    ApprovalRule, ApproverKey, Catalog, DeletionPlan, DeletionRefused, Executed, Forecast, Grant,
    Janitor, Keep, OsRandom, PlanId, Removable, Standing, Word, check_execution, execute_deletion,
    forecast, plan_deletion, propose as publish, publish_statement, read_grants,
};

use super::approvals;
use super::clock::SystemClock;
use super::domain::Domain;
use crate::cli::{
    ApprovalsMessageArgs, KeepArgs, PruneCommand, PruneExecuteArgs, PruneKeyArgs, PruneListArgs,
    PrunePlanArgs, PruneProposeArgs, PruneSayArgs, format_time_ns,
};
use crate::config::Config;
use crate::documents::{ApprovalsDocument, ForecastDocument, PlanDocument, PruneDocument};
use crate::report::{Exit, Report, Result};
use crate::site_open::open_janitor;
use crate::{keyfile, output};

const HOUR_NS: u64 = 3_600_000_000_000;
/// Objects shown where not all are asked for.
const SHOWN: usize = 10;
/// Fewer digits of a plan could be another one's.
const PLAN_DIGITS_MIN: usize = 8;

/// Runs `prune …`.
pub(crate) fn run(command: &PruneCommand) -> Result<Exit> {
    match command {
        PruneCommand::Plan(args) => plan(args),
        PruneCommand::Propose(args) => propose(args),
        PruneCommand::List(args) => list(args),
        PruneCommand::Approve(args) => say(args, Word::Approve),
        PruneCommand::Cancel(args) => say(args, Word::Cancel),
        PruneCommand::Message(args) => message(args),
        PruneCommand::Execute(args) => execute(args),
        PruneCommand::Key(args) => key(args),
    }
}

fn keep(args: &KeepArgs) -> Keep {
    Keep {
        points: args.keep_points,
        daily: args.keep_daily,
        tails_ns: args.keep_tails_hours.saturating_mul(HOUR_NS),
    }
}

fn plan(args: &PrunePlanArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let catalog = domain.catalog(None)?;
    let keep = keep(&args.keep);
    let found = plan_deletion(&catalog, &keep);
    let forecast = forecast(&catalog, &keep, args.in_days);
    let document = PruneDocument {
        forecast: forecast.map(|one| ForecastDocument {
            days: one.days,
            points: one.points,
            bytes: one.bytes,
        }),
        ..removable("plan", true, &found)
    };
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    let mut results = output::Results::new();
    let shown = if args.objects { usize::MAX } else { SHOWN };
    for entry in found.entries.iter().take(shown) {
        results.line(&format!("{:>12}  {}", entry.length_bytes, entry.object))?;
    }
    if found.entries.len() > shown {
        results.line(&format!("… and {} more (--objects)", found.entries.len() - shown))?;
    }
    results.line(&summary(&found))?;
    if let Some(Forecast { days, points, bytes }) = forecast {
        results.line(&format!(
            "in {days} days, if points go on as they came: {points} points, {bytes} bytes"
        ))?;
    }
    results.finish()?;
    output::note("nothing was changed");
    if found.points_bound > 0 {
        output::note(&format!(
            "{} more points are not kept by this policy, but no later point of their lineage is \
             self-contained\n  (of files: evenkeel backup --self-contained; then they can go)",
            found.points_bound
        ));
    }
    output::note(&format!(
        "next:  evenkeel prune propose{}   (with the same --keep-…)",
        domain.name.option()
    ));
    Ok(Exit::Ok)
}

fn removable(action: &str, dry_run: bool, found: &Removable) -> PruneDocument {
    PruneDocument {
        action: action.to_owned(),
        dry_run,
        objects: found.entries.len() as u64,
        points: found.points as u64,
        points_kept: found.points_kept as u64,
        points_bound: found.points_bound as u64,
        bytes: found.bytes,
        bytes_held: found.bytes_held,
        ..PruneDocument::default()
    }
}

fn summary(found: &Removable) -> String {
    format!(
        "{} objects could go: {} of {} bytes at all sites, {} points; {} points stay",
        found.entries.len(),
        found.bytes,
        found.bytes_held,
        found.points,
        found.points_kept
    )
}

fn propose(args: &PruneProposeArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let catalog = domain.catalog(None)?;
    let found = plan_deletion(&catalog, &keep(&args.keep));
    if found.entries.is_empty() {
        return Err(Report::new(Exit::NothingYet, "nothing could go by this policy")
            .safe("nothing was changed")
            .next("evenkeel prune plan   (shows what stays, and how much of it there is)"));
    }
    let mut document = removable("propose", args.dry_run, &found);
    let text = summary(&found);
    if !args.dry_run {
        let now_ns = SystemClock::new().wall_ns();
        let plan = DeletionPlan::new(domain.name.word(), now_ns, found.entries, &mut OsRandom)?;
        publish(catalog.sites(), domain.layout, &plan)?;
        document.plan = Some(plan.id().to_string());
    }
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    output::result(&text)?;
    match &document.plan {
        None => output::note("nothing was changed (--dry-run)"),
        Some(plan) => {
            output::result(&format!("plan {plan}"))?;
            output::note(&format!(
                "nothing is deleted before {} approvers have signed it\nnext:  evenkeel prune \
                 approve{} --plan {} --key APPROVER.key",
                config.deletion.needed,
                domain.name.option(),
                &plan[..16]
            ));
        }
    }
    Ok(Exit::Ok)
}

/// Reads the grants of the domain without a catalog: an approver needs no more.
fn grants(domain: &Domain<'_>) -> Vec<Grant> {
    read_grants(&domain.sites(), domain.name.word())
}

fn find(grants: Vec<Grant>, digits: &str) -> Result<Grant> {
    let fits = |grant: &Grant| {
        digits.len() >= PLAN_DIGITS_MIN && grant.id.to_string().starts_with(&digits.to_lowercase())
    };
    let mut found: Vec<Grant> = grants.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(grant), true) => Ok(grant),
        (None, _) => Err(Report::new(Exit::Usage, format!("no plan {digits} at the sites"))
            .safe("nothing was changed")
            .next("evenkeel prune list   (a plan is named by 8 of its digits at least)")),
        (Some(_), false) => Err(Report::new(Exit::Usage, format!("{digits} begins several plans"))
            .safe("nothing was changed")
            .next("give more digits: evenkeel prune list")),
    }
}

fn document_of(grant: &Grant, rule: Option<&ApprovalRule>, names: bool) -> PlanDocument {
    let now_ns = SystemClock::new().wall_ns();
    let standing = rule.map(|rule| grant.standing(rule, now_ns));
    let needed = rule.map_or(0, |rule| rule.needed() as u64);
    let (word, approvals, from_ns) = match standing {
        None => ("no_rule", 0, None),
        Some(Standing::Cancelled { .. }) => ("cancelled", 0, None),
        Some(Standing::Lapsed { .. }) => ("lapsed", 0, None),
        Some(Standing::Waiting { approvals, .. }) => ("waiting", approvals as u64, None),
        Some(Standing::Delayed { from_ns }) => ("delayed", needed, Some(from_ns)),
        Some(Standing::Valid { from_ns }) => ("valid", needed, Some(from_ns)),
    };
    let all = if names { usize::MAX } else { 0 };
    let entries = grant.plan.entries.iter().take(all);
    PlanDocument {
        plan: grant.id.to_string(),
        standing: if grant.executed { "executed" } else { word }.to_owned(),
        approvals,
        needed,
        valid_from: from_ns.map(format_time_ns),
        proposed: format_time_ns(grant.plan.proposed_time_ns),
        objects: grant.plan.entries.len() as u64,
        bytes: grant.plan.bytes(),
        names: entries.map(|entry| entry.object.clone()).collect(),
    }
}

fn list(args: &PruneListArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let rule = config.deletion.rule()?;
    let mut grants = grants(&domain);
    if let Some(digits) = &args.plan {
        grants = vec![find(grants, digits)?];
    }
    let names = args.plan.is_some();
    let of = |grant: &Grant| document_of(grant, rule.as_ref(), names);
    let plans: Vec<PlanDocument> = grants.iter().map(of).collect();
    if args.json {
        output::document(&PruneDocument {
            action: "list".to_owned(),
            dry_run: true,
            plans,
            ..PruneDocument::default()
        })?;
        return Ok(Exit::Ok);
    }
    let mut results = output::Results::new();
    for plan in &plans {
        for name in &plan.names {
            results.line(&format!("    {name}"))?;
        }
        results.line(&line(plan))?;
    }
    results.finish()?;
    if plans.is_empty() {
        output::note("no plan at the sites\nnext:  evenkeel prune plan");
    }
    Ok(Exit::Ok)
}

fn line(plan: &PlanDocument) -> String {
    let from = plan.valid_from.as_deref().map_or(String::new(), |from| format!(", from {from}"));
    format!(
        "{}  {} ({} of {} approvals{from}): {} objects, {} bytes a site, proposed {}",
        &plan.plan[..16],
        plan.standing,
        plan.approvals,
        plan.needed,
        plan.objects,
        plan.bytes,
        plan.proposed
    )
}

fn rule_of(config: &Config) -> Result<ApprovalRule> {
    config.deletion.rule()?.ok_or_else(|| {
        Report::new(Exit::Usage, "[deletion] names no approvers: nothing may be deleted")
            .at(config.file.display().to_string())
            .safe("nothing was changed")
            .next("evenkeel prune key --out approver.key   (prints what to put there)")
    })
}

fn say(args: &PruneSayArgs, word: Word) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let rule = rule_of(&config)?;
    let grant = find(grants(&domain), &args.plan)?;
    let statement = approvals::signed(&args.word, word, &grant.plan.matter(), |who| rule.has(who))?;
    let said_before =
        grant.statements.iter().any(|one| one.word == word && one.approver == statement.approver);
    let sites = domain.sites();
    if !said_before {
        publish_statement(&sites, domain.layout, domain.name.word(), &statement)?;
    }
    let after = find(read_grants(&sites, domain.name.word()), &grant.id.to_string())?;
    let plan = document_of(&after, Some(&rule), false);
    let action = match word {
        Word::Approve => "approve",
        Word::Cancel => "cancel",
    };
    if args.json {
        output::document(&PruneDocument {
            action: action.to_owned(),
            plan: Some(plan.plan.clone()),
            objects: plan.objects,
            plans: vec![plan],
            ..PruneDocument::default()
        })?;
    } else {
        output::result(&line(&plan))?;
        if plan.standing == "delayed" {
            output::note("whoever objects: evenkeel prune cancel");
        }
    }
    Ok(Exit::Ok)
}

fn message(args: &ApprovalsMessageArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let rule = rule_of(&config)?;
    let grant = find(grants(&domain), &args.action)?;
    let document =
        ApprovalsDocument { domain: domain.name().to_owned(), ..ApprovalsDocument::default() };
    approvals::message(args, &grant.plan.matter(), |who| rule.has(who), document, "prune")
}

fn execute(args: &PruneExecuteArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let rule = rule_of(&config)?;
    let grant = find(grants(&domain), &args.plan)?;
    let catalog = domain.catalog(None)?;
    let now_ns = SystemClock::new().wall_ns();
    let done = match args.dry_run {
        true => check_execution(&catalog, &grant, &rule, now_ns).map(|()| Executed::default()),
        false => {
            let janitors = janitors(&config, &domain);
            execute_deletion(&catalog, &grant, &rule, &janitors, now_ns)
        }
    };
    let done = done.map_err(|refused| refusal(&refused, &catalog))?;
    let mut left: Vec<String> = done.errors.iter().map(ToString::to_string).collect();
    left.extend(done.left.iter().map(|site| format!("site {site}: nobody here can delete there")));
    let finished = done.finished || args.dry_run;
    if args.json {
        output::document(&PruneDocument {
            action: "execute".to_owned(),
            dry_run: args.dry_run,
            plan: Some(grant.id.to_string()),
            objects: done.objects,
            left,
            ..PruneDocument::default()
        })?;
    } else if args.dry_run {
        output::result(&format!("plan {} can be executed now", short(grant.id)))?;
    } else {
        for one in &left {
            output::result(one)?;
        }
        output::result(&format!("{} objects deleted, all sites together", done.objects))?;
        output::note(&match finished {
            true => format!(
                "the plan is used up; what stays was not touched\nnext:  evenkeel verify{}",
                domain.name.option()
            ),
            false => "what stays was not touched\nnext:  the same command again goes on".to_owned(),
        });
    }
    Ok(if finished { Exit::Ok } else { Exit::Partial })
}

fn janitors(config: &Config, domain: &Domain<'_>) -> Vec<Arc<dyn Janitor>> {
    config.sites_of(domain.settings).filter_map(|site| open_janitor(config, site)).collect()
}

fn short(plan: PlanId) -> String {
    plan.to_string().chars().take(16).collect()
}

fn refusal(refused: &DeletionRefused, catalog: &Catalog) -> Report {
    let text = refused.to_string();
    let (what, _) = text.split_once("; nothing was deleted").unwrap_or((&text, ""));
    let (exit, next) = match refused {
        DeletionRefused::NotApproved { .. } => {
            (Exit::Locked, "evenkeel prune approve   (by another approver)".to_owned())
        }
        DeletionRefused::TooEarly { from_ns, .. } => {
            (Exit::Locked, format!("again from {} on", format_time_ns(*from_ns)))
        }
        DeletionRefused::NotSeen { .. } => {
            (Exit::Locked, "wait for the writer's next recovery point".to_owned())
        }
        DeletionRefused::Cancelled { .. }
        | DeletionRefused::Used { .. }
        | DeletionRefused::OtherDomain { .. } => {
            (Exit::Failed, "evenkeel prune propose   (makes a new plan)".to_owned())
        }
        DeletionRefused::Needed { .. } => {
            (Exit::Integrity, "evenkeel prune propose   (by what is there now)".to_owned())
        }
        DeletionRefused::Unseen { .. } => {
            let away = catalog.unreachable().join(", ");
            (Exit::NotEnoughSites, format!("bring back: {away}"))
        }
    };
    Report::new(exit, what).safe("nothing was deleted").next(next)
}

fn key(args: &PruneKeyArgs) -> Result<Exit> {
    let key = ApproverKey::generate(&mut OsRandom)?;
    keyfile::write_approver_key(&args.out, &key)?;
    output::result(&keyfile::hex(&key.public()))?;
    output::note(&format!(
        "{} stays with its approver, on no host that writes or deletes; the line above goes into \
         [deletion] approvers, and to each `evenkeel site approvers`",
        args.out.display()
    ));
    Ok(Exit::Ok)
}

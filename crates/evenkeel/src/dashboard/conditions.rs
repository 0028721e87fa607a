//! What a person should know about a status, worst first.
//!
//! Messages carry no ticking figures: they are announced to people who listen to the page, and
//! once per second would be noise. Figures stand beside them.

use crate::documents::{
    ConditionDocument, ModeName, Outcome, Severity, SiteState, SourceState, StatusDocument,
    TailState,
};

use super::words;

/// The default home, which commands need not name.
const DEFAULT_HOME: &str = "./evenkeel-demo";
/// A proven restore older than this many drill intervals is stale.
const STALE_AFTER_INTERVALS: f64 = 3.0;
/// Without scheduled drills, a proven restore older than this is stale.
const STALE_AFTER_SECONDS: f64 = 36.0 * 3600.0;
/// The RPO at the sites becomes critical at this many times its target.
const RPO_CRITICAL_FACTOR: f64 = 10.0;
/// Share of the spool bound at which to warn, in percent.
const SPOOL_WARN_PERCENT: u64 = 50;
/// Why the sites' copies are right although something else went wrong.
const COPIES_SAFE: &str = "Every acknowledged entry is in this host's journal; \
     recovery points at the sites are untouched.";

/// What `status` says and what follows from it, worst first. Where the source already reports a
/// kind, its words stand.
pub fn conditions(status: &StatusDocument) -> Vec<ConditionDocument> {
    let mut all: Vec<_> = status.conditions.iter().map(in_sentences).collect();
    let derived = [
        sites(status),
        sources(status),
        vec![drill(status), stale_proof(status), rpo(status), tail(status)]
            .into_iter()
            .flatten()
            .collect(),
        vec![mode(status), margin(status), digests(status), spool(status)]
            .into_iter()
            .flatten()
            .collect(),
    ];
    for condition in derived.into_iter().flatten() {
        if !status.conditions.iter().any(|known| known.kind == condition.kind) {
            all.push(condition);
        }
    }
    all.sort_by_key(|condition| condition.severity);
    all
}

/// The source may write in fragments; the page shows sentences.
fn in_sentences(condition: &ConditionDocument) -> ConditionDocument {
    let sentence = |text: &str| {
        let ends = text.is_empty() || text.ends_with(['.', '!', '?', '…']);
        words::capitalised(text) + if ends { "" } else { "." }
    };
    ConditionDocument {
        message: sentence(&condition.message),
        safe: sentence(&condition.safe),
        ..condition.clone()
    }
}

/// `evenkeel VERB`, with the home when it is not the default one.
pub(super) fn command(status: &StatusDocument, verb: &str) -> String {
    let home = status.home.as_str();
    if home.is_empty() || home.trim_end_matches('/') == DEFAULT_HOME {
        return format!("evenkeel {verb}");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~".contains(c);
    if home.chars().all(plain) {
        format!("evenkeel {verb} --home {home}")
    } else {
        format!("evenkeel {verb} --home '{}'", home.replace('\'', r"'\''"))
    }
}

fn condition(
    kind: &str,
    severity: Severity,
    message: String,
    safe: &str,
    next: String,
) -> ConditionDocument {
    ConditionDocument { kind: kind.to_owned(), severity, message, safe: safe.to_owned(), next }
}

fn sites(status: &StatusDocument) -> Vec<ConditionDocument> {
    let in_state = |wanted: SiteState| -> Vec<&str> {
        status.sites.iter().filter(|s| s.state == wanted).map(|s| s.name.as_str()).collect()
    };
    let mut found = Vec::new();
    let down = in_state(SiteState::Down);
    if !down.is_empty() {
        found.push(sites_down(status, &down));
    }
    let damaged = in_state(SiteState::Damaged);
    if !damaged.is_empty() {
        let plural = if damaged.len() == 1 { "holds" } else { "hold" };
        found.push(condition(
            "site_damaged",
            Severity::Warning,
            format!("{} {plural} objects that are wrong or missing.", words::list(&damaged)),
            "A restore reads around them; repair rebuilds them from the other sites, with no key.",
            command(status, "repair"),
        ));
    }
    found
}

fn sites_down(status: &StatusDocument, down: &[&str]) -> ConditionDocument {
    let needed = status.erasure.data_shards;
    let answering = (status.sites.len() - down.len()) as u64;
    let names = words::list(down);
    let verb = if down.len() == 1 { "does" } else { "do" };
    let next = command(status, "sites probe");
    if answering < needed {
        return condition(
            "site_down",
            Severity::Critical,
            format!(
                "{names} {verb} not answer. {} left and {needed} are needed: nothing can be \
                 restored until one more is back.",
                words::count(answering, "site is", "sites are")
            ),
            "Trading goes on and this host's journal is whole, but it is the only copy in reach.",
            next,
        );
    }
    let spare = answering - needed;
    let spare_text = match spare {
        0 => "but no further site may be lost".to_owned(),
        1 => "and 1 more site may be lost".to_owned(),
        more => format!("and {more} more sites may be lost"),
    };
    let severity = if spare == 0 { Severity::Critical } else { Severity::Warning };
    condition(
        "site_down",
        severity,
        format!("{names} {verb} not answer."),
        &format!("The other {answering} are enough to restore everything, {spare_text}."),
        next,
    )
}

fn drill(status: &StatusDocument) -> Option<ConditionDocument> {
    let last = status.last_drill.as_ref()?;
    let why = last.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let level = last.level.word();
    let end = if why.ends_with(['.', '…']) { "" } else { "." };
    match last.result {
        Outcome::Failed => Some(condition(
            "drill_failed",
            Severity::Critical,
            format!("The last {level} drill failed{why}{end}"),
            "Trading is not affected. Until a drill passes, take it that a restore from the sites \
             would fail in the same way.",
            command(status, "verify"),
        )),
        Outcome::Unproven | Outcome::NotConfigured => Some(condition(
            "drill_unproven",
            Severity::Warning,
            format!("The last {level} drill could not check everything{why}{end}"),
            "Nothing was found wrong; not everything was looked at.",
            command(status, "drill"),
        )),
        Outcome::Ok => None,
    }
}

fn stale_proof(status: &StatusDocument) -> Option<ConditionDocument> {
    let bound = match status.drill_interval_seconds {
        Some(interval) => (interval * STALE_AFTER_INTERVALS).max(interval + 60.0),
        None => STALE_AFTER_SECONDS,
    };
    let message = match &status.last_proven_restore {
        Some(proven) if proven.age_seconds > bound => {
            "No restore has been proven for longer than the drills' schedule allows.".to_owned()
        }
        None if status.uptime_seconds.is_some_and(|uptime| uptime > bound) => {
            "No restore has been proven yet, although one was due.".to_owned()
        }
        _ => return None,
    };
    Some(condition(
        "proof_stale",
        Severity::Warning,
        message,
        "Recovery points are still being written; that they come back is only assumed.",
        command(status, "drill"),
    ))
}

fn rpo(status: &StatusDocument) -> Option<ConditionDocument> {
    let rpo = &status.tail.rpo;
    if rpo.target_seconds <= 0.0 || rpo.seconds <= rpo.target_seconds {
        return None;
    }
    let bucket = [86_400.0, 3600.0, 600.0, 60.0, 30.0, 10.0, 5.0, 2.0, 1.0]
        .into_iter()
        .find(|bucket| rpo.seconds >= *bucket)
        .map_or_else(|| "the target".to_owned(), words::age);
    let severity = if rpo.seconds > rpo.target_seconds * RPO_CRITICAL_FACTOR {
        Severity::Critical
    } else {
        Severity::Warning
    };
    Some(condition(
        "rpo_growing",
        severity,
        format!("The sites are more than {bucket} behind this host's journal."),
        "Nothing is lost while this host lives; if it vanished now, the newest entries would be.",
        command(status, "sites probe"),
    ))
}

/// Files and databases whose copies at the sites are older than promised.
fn sources(status: &StatusDocument) -> Vec<ConditionDocument> {
    let names = |wanted: SourceState| {
        let of_it = status.protected.iter().filter(|source| source.state == wanted);
        of_it.map(|source| source.name.as_str()).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    let behind = names(SourceState::Behind);
    if !behind.is_empty() && status.running {
        found.push(condition(
            "source_behind",
            Severity::Warning,
            format!("What the sites hold of {} is older than promised.", words::list(&behind)),
            "What was shipped before comes back; what came later is on this host alone.",
            command(status, "status"),
        ));
    }
    let unprotected = names(SourceState::Unprotected);
    if !unprotected.is_empty() {
        found.push(condition(
            "source_unprotected",
            Severity::Critical,
            format!("What happens now to {} cannot be brought back.", words::list(&unprotected)),
            "Everything before comes back; the interval is recorded and shown.",
            command(status, "status"),
        ));
    }
    found
}

fn tail(status: &StatusDocument) -> Option<ConditionDocument> {
    match status.tail.state {
        TailState::Confirmed => None,
        TailState::Unconfirmed => {
            // While starting this is the normal course of things, not yet a finding.
            (status.mode != ModeName::Starting).then(|| {
                condition(
                    "tail_unconfirmed",
                    Severity::Critical,
                    "Tail unconfirmed: no site could be asked whether this journal lost its end."
                        .to_owned(),
                    "Nothing irrevocable leaves until a site confirms: no withdrawal is paid out.",
                    command(status, "sites probe"),
                )
            })
        }
        TailState::Stopped => Some(condition(
            "not_shipping",
            Severity::Critical,
            "The journal's tail is not being shipped to the sites.".to_owned(),
            COPIES_SAFE,
            command(status, "status"),
        )),
    }
}

fn mode(status: &StatusDocument) -> Option<ConditionDocument> {
    let (severity, admits) = match status.mode {
        ModeName::Normal | ModeName::Starting => return None,
        ModeName::CancelOnly => (Severity::Warning, "only cancels and withdrawals are admitted"),
        ModeName::Auction => (Severity::Warning, "orders gather for the opening call"),
        ModeName::ReduceOnly => {
            (Severity::Warning, "only orders that shrink positions are admitted")
        }
        ModeName::WithdrawOnly => (Severity::Warning, "only withdrawals are admitted"),
        ModeName::Halted => (Severity::Critical, "nothing but the operator is admitted"),
    };
    let cause = status.mode_cause.as_deref().map(|c| format!(" Cause: {c}.")).unwrap_or_default();
    Some(condition(
        "mode",
        severity,
        format!("The venue is {}: {admits}.{cause}", status.mode.word()),
        COPIES_SAFE,
        command(status, "status"),
    ))
}

fn margin(status: &StatusDocument) -> Option<ConditionDocument> {
    let latest = status.recovery_points.latest.as_ref()?;
    // A site that does not answer is named already, with the same consequence.
    if latest.margin > 0 || status.sites.iter().any(|site| site.state == SiteState::Down) {
        return None;
    }
    let (severity, message) = if latest.margin < 0 {
        (Severity::Critical, "The newest recovery point lacks shards and cannot be restored now.")
    } else {
        (Severity::Warning, "The newest recovery point would not survive the loss of one site.")
    };
    Some(condition(
        "margin_thin",
        severity,
        message.to_owned(),
        "Older recovery points and this host's journal are not affected by this.",
        command(status, "repair"),
    ))
}

fn digests(status: &StatusDocument) -> Option<ConditionDocument> {
    (status.engine.digests_agree == Some(false)).then(|| {
        condition(
            "digests_disagree",
            Severity::Critical,
            "Engine and follower computed different results from the same journal.".to_owned(),
            "No snapshot is published from here on; earlier recovery points were agreed upon.",
            command(status, "journal verify"),
        )
    })
}

fn spool(status: &StatusDocument) -> Option<ConditionDocument> {
    let limit = status.tail.spool_limit_bytes?;
    if limit == 0 || status.tail.spool_bytes < limit / 100 * SPOOL_WARN_PERCENT {
        return None;
    }
    Some(condition(
        "spool_filling",
        Severity::Warning,
        "What waits on this host for the sites fills more than half of its bound.".to_owned(),
        "Nothing is lost; at the bound the venue goes cancel-only.",
        command(status, "sites probe"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{ErasureDocument, LastDrillDocument, SiteDocument};

    fn five_sites(down: usize) -> StatusDocument {
        let site = |index: usize| SiteDocument {
            name: format!("site-{index}"),
            state: if index < down { SiteState::Down } else { SiteState::Healthy },
            ..SiteDocument::default()
        };
        let mut status = StatusDocument {
            mode: ModeName::Normal,
            erasure: ErasureDocument { data_shards: 3, total_shards: 5 },
            sites: (0..5).map(site).collect(),
            ..StatusDocument::default()
        };
        status.tail.state = TailState::Confirmed;
        status
    }

    #[test]
    fn a_healthy_status_has_no_conditions() {
        assert_eq!(conditions(&five_sites(0)), []);
    }

    #[test]
    fn lost_sites_grow_from_warning_to_critical_as_the_margin_shrinks() {
        let of = |down| conditions(&five_sites(down)).remove(0);
        assert_eq!(of(1).severity, Severity::Warning);
        assert!(of(1).safe.contains("1 more site may be lost"), "{}", of(1).safe);
        assert_eq!(of(2).severity, Severity::Critical);
        assert!(of(2).safe.contains("no further site may be lost"), "{}", of(2).safe);
        assert_eq!(of(3).severity, Severity::Critical);
        assert!(of(3).message.contains("nothing can be restored"), "{}", of(3).message);
        assert!(of(3).message.starts_with("site-0, site-1 and site-2 do not answer"));
    }

    #[test]
    fn a_failed_drill_names_its_check_and_the_next_command_names_the_home() {
        let mut status = five_sites(0);
        status.home = "/srv/my venue".to_owned();
        status.last_drill = Some(LastDrillDocument {
            result: Outcome::Failed,
            detail: Some("state_root differs".to_owned()),
            ..LastDrillDocument::default()
        });
        let found = conditions(&status);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("state_root differs."), "{}", found[0].message);
        assert_eq!(found[0].next, "evenkeel verify --home '/srv/my venue'");
    }

    #[test]
    fn messages_do_not_change_while_a_delay_grows_within_a_bucket() {
        let at = |seconds| {
            let mut status = five_sites(0);
            status.tail.rpo.seconds = seconds;
            status.tail.rpo.target_seconds = 1.0;
            conditions(&status)
        };
        assert_eq!(at(0.9), []);
        assert_eq!(at(5.1), at(9.9));
        assert_eq!(at(5.1)[0].severity, Severity::Warning);
        assert_eq!(at(31.0)[0].severity, Severity::Critical);
    }

    #[test]
    fn the_sources_own_words_stand_and_the_worst_comes_first() {
        let mut status = five_sites(3);
        status.tail.state = TailState::Unconfirmed;
        status.conditions = vec![
            condition("crash_found", Severity::Notice, "m".into(), "s", String::new()),
            condition(
                "tail_unconfirmed",
                Severity::Critical,
                "own words".into(),
                "s",
                String::new(),
            ),
        ];
        let found = conditions(&status);
        let kinds: Vec<_> = found.iter().map(|c| c.kind.as_str()).collect();
        assert_eq!(kinds, ["tail_unconfirmed", "site_down", "crash_found"]);
        assert_eq!(found[0].message, "Own words.");
    }
}

//! Templates and the pages made of them.

use askama::Template;

use crate::documents::{ConditionDocument, DrillDocument, PointsDocument, StatusDocument};

use super::rows::{self, DrillRow, PointRow, SiteRow};
use super::view::{self, Fact, Proven, Verdict};
use super::{conditions, words};

/// A part of the page that is replaced on its own when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The element's id.
    pub id: &'static str,
    /// What stands inside the element.
    pub html: String,
}

#[derive(Template)]
#[template(path = "fragments/mode.html")]
struct ModeFragment<'a> {
    tone: &'static str,
    mode: &'static str,
    time: &'a str,
    clock: String,
}

#[derive(Template)]
#[template(path = "fragments/verdict.html")]
struct VerdictFragment {
    verdict: Verdict,
}

#[derive(Template)]
#[template(path = "fragments/proven.html")]
struct ProvenFragment {
    proven: Proven,
}

#[derive(Template)]
#[template(path = "fragments/facts.html")]
struct FactsFragment {
    facts: Vec<Fact>,
}

#[derive(Template)]
#[template(path = "fragments/sites.html")]
struct SitesFragment {
    rows: Vec<SiteRow>,
    needed: u64,
    total: u64,
    all_mutable: bool,
}

#[derive(Template)]
#[template(path = "fragments/points.html")]
struct PointsFragment {
    rows: Vec<PointRow>,
    total: usize,
    due: String,
    all: bool,
}

#[derive(Template)]
#[template(path = "fragments/drills.html")]
struct DrillsFragment {
    rows: Vec<DrillRow>,
    total: usize,
    due: String,
    all: bool,
}

#[derive(Template)]
#[template(path = "fragments/about.html")]
struct AboutFragment<'a> {
    facts: Vec<(&'static str, String)>,
    version: &'a str,
}

#[derive(Template)]
#[template(path = "fragments/drill.html")]
struct DrillFragment<'a> {
    drill: &'a DrillDocument,
    tone: &'static str,
    mark: &'static str,
    rto: String,
    checks: Vec<CheckRow<'a>>,
    phases: Vec<(&'a str, String)>,
    facts: Vec<(&'static str, String)>,
}

struct CheckRow<'a> {
    name: &'a str,
    tone: &'static str,
    mark: &'static str,
    result: &'static str,
    detail: &'a str,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage<'a> {
    title: String,
    fragments: &'a [Fragment],
    demonstration: bool,
    status_command: String,
}

impl DashboardPage<'_> {
    fn html(&self, id: &str) -> &str {
        self.fragments.iter().find(|part| part.id == id).map_or("", |part| part.html.as_str())
    }
}

#[derive(Template)]
#[template(path = "single.html")]
struct SinglePage<'a> {
    title: &'a str,
    body: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
    next: &'a str,
}

/// Renders; the templates only fail if writing to a string does.
fn render(template: &impl Template) -> String {
    template.render().unwrap_or_else(|error| format!("<p>Cannot be shown: {error}</p>"))
}

/// Every live part of the page.
pub(super) fn fragments(
    status: &StatusDocument,
    points: &PointsDocument,
    drills: &[DrillDocument],
    conditions: &[ConditionDocument],
) -> Vec<Fragment> {
    use crate::documents::{ModeName, SiteClass};
    let tone = match status.mode {
        ModeName::Normal => "ok",
        ModeName::Starting => "wait",
        ModeName::Halted => "bad",
        _ => "warn",
    };
    let mode = ModeFragment {
        tone,
        mode: status.mode.word(),
        time: &status.time,
        clock: words::clock(&status.time),
    };
    let sites = SitesFragment {
        rows: rows::site_rows(status),
        needed: status.erasure.data_shards,
        total: status.erasure.total_shards,
        all_mutable: !status.sites.is_empty()
            && status.sites.iter().all(|site| site.class == SiteClass::Mutable),
    };
    let about = AboutFragment { facts: about_facts(status), version: &status.version };
    let part = |id, html| Fragment { id, html };
    vec![
        part("mode", render(&mode)),
        part("verdict", render(&VerdictFragment { verdict: view::verdict(status, conditions) })),
        part("proven", render(&ProvenFragment { proven: view::proven(status, conditions) })),
        part("facts", render(&FactsFragment { facts: view::facts(status, conditions) })),
        part("sites", render(&sites)),
        part("points", points_table(points, status, false)),
        part("drills", drills_table(drills, status, false)),
        part("about", render(&about)),
    ]
}

fn about_facts(status: &StatusDocument) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if !status.home.is_empty() {
        facts.push(("home", status.home.clone()));
    }
    facts.push(("domain", status.domain.clone()));
    facts.push(("lineage", words::short_hash(&status.lineage)));
    facts.push(("term", status.journal.term.to_string()));
    if let Some(latest) = &status.recovery_points.latest {
        facts.push(("state root", words::short_hash(&latest.state_root)));
    }
    if let Some(root) = &status.journal.journal_root {
        facts.push(("journal root", words::short_hash(root)));
    }
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

/// The table of recovery points, the newest few or all.
pub(super) fn points_table(points: &PointsDocument, status: &StatusDocument, all: bool) -> String {
    let due = match status.next_point_seconds {
        Some(seconds) => format!("The first is due {}.", words::ahead(seconds)),
        None => "The first follows with the first snapshot.".to_owned(),
    };
    let rows = rows::point_rows(points, all);
    render(&PointsFragment { rows, total: points.points.len(), due, all })
}

/// The table of drills, the newest few or all.
pub(super) fn drills_table(drills: &[DrillDocument], status: &StatusDocument, all: bool) -> String {
    let due = match status.next_drill_seconds {
        Some(seconds) => format!("The first begins {}.", words::ahead(seconds)),
        None => "None is scheduled. Type: evenkeel drill --level D3".to_owned(),
    };
    render(&DrillsFragment { rows: rows::drill_rows(drills, all), total: drills.len(), due, all })
}

/// One drill with every check.
pub(super) fn drill(drill: &DrillDocument) -> String {
    let (tone, mark) = rows::outcome_mark(drill.result);
    let checks = drill.checks.iter().map(|check| {
        let (tone, mark) = rows::outcome_mark(check.result);
        let result = check.result.word();
        CheckRow { name: &check.name, tone, mark, result, detail: &check.detail }
    });
    let mut facts = vec![
        ("level", drill.level.word().to_owned()),
        ("key", drill.key_used.clone()),
        ("recovery point", drill.recovery_point.clone()),
        ("position", words::grouped(drill.position)),
        ("entries replayed", words::grouped(drill.entries_replayed)),
        ("bytes read", words::bytes(drill.bytes_read)),
        ("sites read", drill.sites_used.join(", ")),
        ("sites missing", drill.sites_missing.join(", ")),
        ("state root", drill.state_root.clone().unwrap_or_default()),
        ("journal root", drill.journal_root.clone().unwrap_or_default()),
        ("output digest", drill.output_digest.clone().unwrap_or_default()),
        ("signature", drill.signature.clone().unwrap_or_default()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    render(&DrillFragment {
        drill,
        tone,
        mark,
        rto: drill.rto_seconds.map_or_else(
            || "restore not finished".to_owned(),
            |seconds| format!("in {}", words::duration(seconds)),
        ),
        checks: checks.collect(),
        phases: drill
            .phases
            .iter()
            .map(|phase| (phase.name.as_str(), words::duration(phase.seconds)))
            .collect(),
        facts,
    })
}

/// The whole page around its live parts.
pub(super) fn dashboard(
    status: &StatusDocument,
    found: &[ConditionDocument],
    fragments: &[Fragment],
) -> String {
    let title = view::verdict(status, found).title;
    render(&DashboardPage {
        title,
        fragments,
        demonstration: status.demonstration,
        status_command: conditions::command(status, "status"),
    })
}

/// A page with one fragment, for browsers without scripts and for links.
pub(super) fn single(title: &str, body: &str) -> String {
    render(&SinglePage { title, body })
}

/// A page that only says something.
pub(super) fn message(title: &str, text: &str, next: &str) -> String {
    render(&MessagePage { title, text, next })
}

/// The RTO history as JSON columns: times, seconds (null when not reached), results.
pub(super) fn plot_json(drills: &[DrillDocument]) -> String {
    let times: Vec<&str> = drills.iter().map(|drill| drill.time.as_str()).collect();
    let rto: Vec<Option<f64>> = drills.iter().map(|drill| drill.rto_seconds).collect();
    let results: Vec<&str> = drills.iter().map(|drill| drill.result.word()).collect();
    serde_json::json!({ "times": times, "rto_seconds": rto, "results": results }).to_string()
}

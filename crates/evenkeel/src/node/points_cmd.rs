//! `evenkeel points`: the recovery points, from the sites alone.

use std::time::Duration;

use evenkeel_recovery::Clock as _;
use evenkeel_vault::{Freshness as VaultFreshness, Pin};

use super::clock::SystemClock;
use super::domain::Domain;
use super::observed::all_point_documents;
use super::status::age_seconds;
use crate::cli::PointsArgs;
use crate::config::{Config, DomainName};
use crate::control::{self, Request};
use crate::documents::{ErasureDocument, Freshness, PointKind, PointsDocument, SourceGapDocument};
use crate::output;
use crate::report::{Exit, Report, Result};

/// How long a daemon may take to say what it knows.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(args: &PointsArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    // What the drill host has seen is not what these sites have to show; the pin is optional.
    let pin = Pin::load(&config.drill.home.join(domain.name.pin())).ok().flatten();
    let catalog = domain.catalog(pin)?;
    let now_ns = SystemClock::new().wall_ns();
    let mut points = all_point_documents(&catalog);
    for point in &mut points {
        point.age_seconds = age_seconds(&point.time, now_ns);
    }
    let document = PointsDocument {
        erasure: ErasureDocument {
            data_shards: domain.layout.k() as u64,
            total_shards: domain.layout.n() as u64,
        },
        freshness: freshness(catalog.freshness()),
        points,
        gaps: match domain.name {
            DomainName::State => gaps(&config),
            DomainName::Network => Vec::new(),
        },
    };
    for fork in catalog.forks() {
        output::note(&format!("FORK: {}", fork.detail));
    }
    if args.json {
        output::document(&document)?;
    } else {
        print(&document)?;
    }
    if document.points.is_empty() {
        let report = Report::new(Exit::NothingYet, "there is no recovery point yet")
            .safe("nothing was changed")
            .next("evenkeel up   (makes the first one within seconds)");
        return Err(match domain.name {
            DomainName::State => report.next("evenkeel backup PATH   (makes one of files)"),
            DomainName::Network => report.next("evenkeel network backup   (makes one now)"),
        });
    }
    Ok(Exit::Ok)
}

/// The vault's word on freshness, as documents have it.
pub(crate) fn freshness(freshness: &VaultFreshness) -> Freshness {
    match freshness {
        VaultFreshness::Proven { .. } => Freshness::Proven,
        _ => Freshness::Unproven,
    }
}

/// What a daemon that runs here knows; without one, what its capture of PostgreSQL left.
fn gaps(config: &Config) -> Vec<SourceGapDocument> {
    let asked = control::ask(&config.control_socket(), &Request::new("points"), ASK_TIMEOUT);
    let told = asked.ok().flatten().and_then(|answer| serde_json::from_value(answer).ok());
    told.map_or_else(|| super::postgres::gaps(config), |told: PointsDocument| told.gaps)
}

fn print(document: &PointsDocument) -> Result<()> {
    let mut results = output::Results::new();
    results.line("id               position  time                      margin  holds")?;
    for point in &document.points {
        let holds = match (point.kind, point.state_root.get(..16)) {
            (PointKind::Files, _) => "files".to_owned(),
            (PointKind::Live, _) => "followed databases".to_owned(),
            (PointKind::Network, _) => "network metadata".to_owned(),
            (PointKind::Venue, root) => format!("state {}…", root.unwrap_or_default()),
        };
        results.line(&format!(
            "{:<14} {:>10}  {:<24}  {:>6}  {holds}{}",
            point.id,
            point.position,
            point.time,
            point.margin,
            if point.self_contained { "  self-contained" } else { "" }
        ))?;
    }
    for gap in &document.gaps {
        let until = gap.until.as_deref().unwrap_or("now");
        results.line(&format!(
            "not protected    {}  from {} to {until}: {}",
            gap.source, gap.from, gap.why
        ))?;
    }
    if document.freshness == Freshness::Unproven {
        output::note("freshness unproven: nothing says that no newer point exists");
    }
    results.finish()
}

//! `evenkeel recover-quorum`: a shared log begins again from this host's journal, because a
//! majority of the store's members is gone for good. What that may lose is said first.

use std::sync::Arc;

use evenkeel_journal::{Disk, FileLog, Identity, RealDisk};
use evenkeel_quorum::recover::possible_loss;
use evenkeel_quorum::{Founded, Frames, QuorumError, Running, found};
use evenkeel_vault::Catalog;

use super::approvals::promotion_gate;
use super::domain::{Domain, STATE, cluster_id};
use super::{shared_log, start};
use crate::cli::RecoverQuorumArgs;
use crate::config::FollowMode;
use crate::keyfile;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(crate) fn run(args: &RecoverQuorumArgs) -> Result<Exit> {
    let mut config = args.place.load()?;
    if let Some(log) = &args.log {
        config.follow_quorum(log)?;
    }
    if config.standby.mode != FollowMode::Quorum {
        return Err(Report::new(Exit::Usage, "this home shares no log with other hosts")
            .at(config.file.display().to_string())
            .safe("nothing was changed")
            .next("standby.mode = \"quorum\" and [quorum] endpoints; docs/etcd.md"));
    }
    config.refuse()?;
    let domain = Domain::of(&config)?;
    let lineage = keyfile::read_certificate(&domain.settings.writer_certificate_file)?.lineage;
    let identity = Identity { cluster_id: cluster_id(&domain.trust), lineage: lineage.0 };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = start::options(&config, evenkeel_journal::Durability::Fdatasync);
    let (mut log, _) = FileLog::open(disk, &config.journal_dir(), options)?;
    let sites_hold = sites_hold(&domain, lineage)?;
    let ours = log.next();
    output::result(&format!("this host's journal holds everything below position {ours}"))?;
    output::result(&format!("the sites hold everything below position {sites_hold}"))?;
    if sites_hold > ours {
        return Err(Report::new(Exit::Integrity, "the sites hold more than this host")
            .detail(format!("{} entries would be lost that need not be", sites_hold - ours))
            .safe("nothing was changed")
            .next("evenkeel repair --identity FILE   (fetches them)")
            .next("or run this on the host whose journal goes furthest"));
    }
    let store = shared_log::open(&shared_log::access(&config.quorum)?)?;
    let mut frames = Frames::new(store, &identity);
    refuse_if_there(frames.read_tail())?;
    let mut store = frames.into_store();
    let loss = possible_loss(None, ours);
    if !args.attest_majority_lost {
        return Err(Report::new(
            Exit::Usage,
            "whatever was acknowledged on the lost hosts and came neither here nor to the sites \
             would be lost",
        )
        .lost(format!("{loss}"))
        .safe("nothing was changed")
        .next("look at the other hosts first: run this on the one whose journal goes furthest")
        .next("make sure that the lost members never come back: wipe them")
        .next("evenkeel recover-quorum --attest-majority-lost"));
    }
    let position = format!("at position {ours}");
    let what = [("what", "begin the shared log again"), ("where", position.as_str())];
    let propose = (args.propose.as_deref(), false);
    let command = "evenkeel recover-quorum --attest-majority-lost";
    let Some(pass) = promotion_gate(&config, &what, propose, command)? else {
        return Ok(Exit::Ok);
    };
    pass.log_begun(&config)?;
    log.confirm_end(&[])?;
    let begun = found(&mut store, &log, &mut Running::default()).map_err(|error| told(&error))?;
    log.close()?;
    if begun == Founded::Begun {
        pass.log_executed(&config, &format!("the shared log begins again {position}"))?;
    }
    say(begun, ours)
}

fn say(begun: Founded, ours: u64) -> Result<Exit> {
    match begun {
        Founded::Begun => {
            output::result(&format!("the shared log begins again at position {ours}"))?;
            output::result("next: evenkeel up   (here first, then on the other hosts)")?;
            Ok(Exit::Ok)
        }
        Founded::AlreadyThere(tail) => Err(there(tail.next)),
    }
}

/// What the sites hold of this lineage; they have to answer.
fn sites_hold(domain: &Domain<'_>, lineage: evenkeel_vault::Lineage) -> Result<u64> {
    match Catalog::load(&domain.sites(), STATE, &domain.trust, None) {
        Ok(catalog) => {
            let confirmed = start::confirmations(Some(&catalog), lineage, u64::MAX);
            Ok(confirmed.iter().map(|one| one.next).max().unwrap_or(0))
        }
        Err(evenkeel_vault::Error::NothingYet { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Only a store without this log may be given one.
fn refuse_if_there(tail: Result<evenkeel_quorum::Tail, QuorumError>) -> Result<()> {
    match tail {
        Err(QuorumError::NotFounded { .. }) => Ok(()),
        Ok(tail) => Err(there(tail.next)),
        Err(error) => Err(told(&error)),
    }
}

fn there(next: u64) -> Report {
    Report::new(Exit::Usage, format!("the shared log is there, and ends at position {next}"))
        .safe("nothing was changed; nothing is lost")
        .next("evenkeel up")
}

fn told(error: &QuorumError) -> Report {
    Report::new(Exit::Failed, error.to_string())
        .safe("nothing was changed")
        .next("start the members again; if they are gone for good, start new, empty ones")
        .next("docs/etcd.md, \"A majority is lost\"")
}

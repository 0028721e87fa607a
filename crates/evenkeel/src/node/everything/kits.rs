//! What the drill begins from: kits, and the settings of a drill host.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use evenkeel_recovery::{Level, Part, SignedReport};
use evenkeel_vault::Unlock;

use super::Found;
use super::part_keys::Held;
use crate::cli::{DrillEverythingArgs, EverythingPart};
use crate::config::{Config, FILE_NAME};
use crate::keys_cmd::KeysKit;
use crate::node::domain::Domain;
use crate::node::drill_checks::{Neighbours, Scratch};
use crate::node::drill_cmd::{self, DomainDrill};
use crate::node::kit;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Where reports go unless something says where.
const WORK: &str = "evenkeel-kit";
/// A kit is a few pages.
const KIT_BYTES_MAX: u64 = 1 << 20;

/// A kit of a domain at the sites.
pub(super) struct DomainKit {
    pub(super) file: PathBuf,
    /// All that reading with it needs, and what the settings say of drills.
    pub(super) config: Config,
    /// What it says is protected.
    pub(super) protected: Vec<String>,
}

impl DomainKit {
    /// For whom the domain's keys were wrapped when the kit was made.
    pub(super) fn recipients(&self) -> Vec<String> {
        let domains = &self.config.domains;
        let settings = domains.state.as_ref().or(domains.network.as_ref());
        settings.map(|settings| settings.recipients.clone()).unwrap_or_default()
    }

    /// Drills the domain at D4 in scratch; its own report is kept, and counts as a proven restore.
    pub(super) fn drill(
        &self,
        domain: &Domain<'_>,
        unlock: Unlock,
        by: &str,
        (scratch, neighbours): (&Scratch, Neighbours),
        part: Part,
    ) -> Result<(Found, SignedReport)> {
        let key_used = format!("{by}, {}", kit::used_words(&self.file));
        let (level, unlock) = (Level::D4, Some(unlock));
        let drill = DomainDrill { level, unlock, key_used, scratch, neighbours };
        let drilled = drill_cmd::drill_domain(&self.config, domain, drill)?;
        let error = drilled.error.map(Report::from);
        Ok((Found::of_report(part, &drilled.report.report, error), drilled.report))
    }
}

/// A kit of keys.
pub(super) struct KeysOfKit {
    pub(super) kit: KeysKit,
    /// As reports call it.
    pub(super) named: String,
}

/// Everything the drill begins from.
pub(super) struct Kits {
    pub(super) settings: Config,
    pub(super) keys: Option<KeysOfKit>,
    pub(super) state: Option<DomainKit>,
    pub(super) network: Option<DomainKit>,
}

impl Kits {
    /// Reads every kit; nothing is begun if one of them is none.
    pub(super) fn read(args: &DrillEverythingArgs) -> Result<Self> {
        let (settings, work) = settings(args)?;
        let mut kits = Self { settings, keys: None, state: None, network: None };
        for file in &args.kit {
            kits.add(file, &work)?;
        }
        let both = |part: EverythingPart, given: bool| given && args.without.contains(&part);
        let (keys, state) = (kits.keys.is_some(), kits.state.is_some());
        let contradicted = both(EverythingPart::Keys, keys)
            || both(EverythingPart::State, state)
            || both(EverythingPart::Network, kits.network.is_some());
        if contradicted {
            return Err(Report::new(Exit::Usage, "a part is left out, and its kit is given")
                .safe("nothing was started")
                .next("leave out either --without PART or its --kit"));
        }
        Ok(kits)
    }

    /// Identities that no kit here is of.
    pub(super) fn strangers<'h>(&self, held: &'h [Held]) -> Vec<&'h Held> {
        let domains = [&self.state, &self.network].into_iter().flatten();
        let known: Vec<String> = domains.flat_map(DomainKit::recipients).collect();
        held.iter().filter(|one| !known.contains(&one.recipient)).collect()
    }

    fn add(&mut self, file: &Path, work: &Path) -> Result<()> {
        let taken = if is_of_keys(file) {
            self.keys.replace(keys(file)?).is_some()
        } else {
            let kit = self.domain(file, work)?;
            match kit.config.domains.network {
                Some(_) => self.network.replace(kit).is_some(),
                None => self.state.replace(kit).is_some(),
            }
        };
        match taken {
            false => Ok(()),
            true => Err(Report::new(Exit::Usage, "two kits are of the same domain")
                .at(file.display().to_string())
                .safe("nothing was started")
                .next("one kit of keys, one of the state, one of the network")),
        }
    }

    fn domain(&self, file: &Path, work: &Path) -> Result<DomainKit> {
        let mut config = kit::config(file, Some(work))?;
        let settings = &self.settings;
        config.drill = settings.drill.clone();
        config.alerts = settings.alerts.clone();
        config.databases.clone_from(&settings.databases);
        config.postgres.clone_from(&settings.postgres);
        config.files.rpo_seconds = settings.files.rpo_seconds;
        config.files.rto_seconds = settings.files.rto_seconds;
        config.network.timeout_seconds = settings.network.timeout_seconds;
        config.network.version_every_seconds = settings.network.version_every_seconds;
        config.network.rpo_seconds = settings.network.rpo_seconds;
        config.network.rto_seconds = settings.network.rto_seconds;
        let protected = kit::protected_of(file)?;
        Ok(DomainKit { file: file.to_owned(), config, protected })
    }
}

/// Whether a file is a kit of keys; whatever is wrong with it is said when it is read.
fn is_of_keys(file: &Path) -> bool {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|open| open.take(KIT_BYTES_MAX).read_to_end(&mut text));
    read.is_ok() && KeysKit::is_in(&String::from_utf8_lossy(&text))
}

fn keys(file: &Path) -> Result<KeysOfKit> {
    let read = KeysKit::read(file)?;
    if !read.intact {
        output::note(&format!(
            "{} was changed after it was made (its check value is another): keys are compared with \
             what it says now",
            file.display()
        ));
    }
    let named = format!("kit {} of {}", read.kit.name(), read.kit.made);
    Ok(KeysOfKit { kit: read.kit, named })
}

/// What is said of drills here, and where what has to be kept goes.
fn settings(args: &DrillEverythingArgs) -> Result<(Config, PathBuf)> {
    let in_home = args.home.as_ref().map(|home| home.join(FILE_NAME)).filter(|file| file.exists());
    let own = args.home.clone().filter(|_| in_home.is_none());
    let named = args.settings.as_deref().or(in_home.as_deref());
    let said = named.map(Config::load).transpose()?;
    let work = match (own, &said) {
        (Some(home), _) => home,
        (None, Some(said)) => {
            let work = said.drill.home.join("everything");
            return Ok((said.clone(), work));
        }
        (None, None) => PathBuf::from(WORK),
    };
    let placed = Config::default().placed(work.join(FILE_NAME));
    let Some(mut said) = said else {
        return Ok((placed, work));
    };
    // Reports of this machine are signed here, whoever's settings they are.
    said.drill.home.clone_from(&placed.drill.home);
    said.drill.report_key_file.clone_from(&placed.drill.report_key_file);
    said.drill.report_public_key.clear();
    Ok((said, work))
}

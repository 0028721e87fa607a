//! Who certifies the writers of a domain: the recovery identity here, or a root that is elsewhere
//! (a group of holders, a token, another machine) and signs later.
//!
//! Until it has, the certificate lies where the signed one belongs, as a draft that nobody
//! believes, and nothing is sealed.

use std::path::{Path, PathBuf};

use evenkeel_vault::{
    Certificate, Identity, Lineage, OsRandom, Parent, Recipient, RecoveryIdentity, RootPublicKey,
    RootWord,
};

use crate::config::{Config, DomainName};
use crate::init::now_ns;
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// A root that nobody has here.
#[derive(Debug, Clone)]
pub struct OutsideRoot {
    /// Its public half.
    pub key: RootPublicKey,
    /// Who opens what is sealed, in place of a recovery identity that is made here.
    pub recipient: Option<Recipient>,
}

impl OutsideRoot {
    /// What whoever laid out a home with it has to know.
    pub(crate) fn words(&self, config: &Config) -> String {
        let opens = match &self.recipient {
            Some(recipient) => format!("{recipient} opens what is sealed here"),
            None => format!(
                "Move away: {}\n  It opens everything, and certifies nobody",
                config.recovery_identity_file().display()
            ),
        };
        format!(
            "\n{opens}.\nNothing is sealed before root {} has certified the writers.\n\nnext:  {}",
            self.key,
            next(config, DomainName::State)
        )
    }
}

/// Who signs certificates.
pub(crate) enum Authority {
    /// Has the root key: at once.
    Here(Box<RecoveryIdentity>),
    /// Later, elsewhere.
    Elsewhere(RootPublicKey),
}

impl Authority {
    /// The recovery identity of a home's state.
    ///
    /// # Errors
    /// [`Exit::WrongKey`] if it is another home's.
    pub(crate) fn of_home(config: &Config, identity: &Path) -> Result<Self> {
        let recovery = keyfile::read_recovery_identity(identity)?;
        let root = config.domains.state.as_ref().map(|domain| domain.root_public_key.as_str());
        if root == Some(recovery.root_public().to_string().as_str()) {
            return Ok(Self::Here(Box::new(recovery)));
        }
        Err(Report::new(Exit::WrongKey, "this recovery identity is not that of the home")
            .at(identity.display().to_string())
            .safe("nothing was written")
            .next("name the recovery-identity.txt that was made with this home"))
    }

    /// Makes the root of a new domain, or takes the one that is elsewhere.
    ///
    /// # Errors
    /// What the system says of its randomness.
    pub(crate) fn begin(domain: &str, outside: Option<&OutsideRoot>) -> Result<Self> {
        Ok(match outside {
            Some(root) => Self::Elsewhere(root.key),
            None => Self::Here(Box::new(RecoveryIdentity::generate(domain, &mut OsRandom)?)),
        })
    }

    /// Writes what opens a new domain to a file, unless somebody else does; who does.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write_identity(
        &self,
        file: &Path,
        outside: Option<&OutsideRoot>,
    ) -> Result<Recipient> {
        if let Self::Here(recovery) = self {
            keyfile::write_recovery_identity(file, recovery)?;
            return Ok(recovery.recipient());
        }
        if let Some(recipient) = outside.and_then(|root| root.recipient.clone()) {
            return Ok(recipient);
        }
        let identity = Identity::generate();
        keyfile::write_opening_identity(file, &identity)?;
        Ok(identity.recipient())
    }

    /// A certificate for a writer, issued now: signed, or a draft.
    pub(crate) fn certify(
        &self,
        domain: &str,
        lineage: Lineage,
        parent: Option<Parent>,
        writer: [u8; 32],
    ) -> Result<Certificate> {
        Ok(match self {
            Self::Here(recovery) => recovery.certify(lineage, parent, writer, now_ns())?,
            Self::Elsewhere(_) => Certificate::draft(domain, lineage, parent, writer, now_ns())?,
        })
    }

    /// The root's public half.
    pub(crate) fn root_public(&self) -> RootPublicKey {
        match self {
            Self::Here(recovery) => recovery.root_public(),
            Self::Elsewhere(root) => *root,
        }
    }

    /// Whether certificates count at once.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}

/// The writers of a domain that this home has: certificate files that exist.
fn certificate_files(config: &Config, domain: DomainName) -> Vec<PathBuf> {
    let Some(settings) = domain.settings(config) else {
        return Vec::new();
    };
    let mut all = vec![&settings.writer_certificate_file];
    if domain == DomainName::State {
        all.push(&config.files.writer_certificate_file);
        all.push(&config.files.live_writer_certificate_file);
    }
    all.into_iter().filter(|file| file.exists()).cloned().collect()
}

/// What the root of a domain has still to sign for this home's writers.
pub(crate) fn drafts(config: &Config, domain: DomainName) -> Result<Vec<RootWord>> {
    let files = certificate_files(config, domain).into_iter();
    let read: Vec<Certificate> =
        files.map(|file| keyfile::read_certificate(&file)).collect::<Result<_>>()?;
    Ok(read.into_iter().filter(Certificate::is_draft).map(RootWord::from).collect())
}

/// Puts a signed certificate in the place of its draft; where.
///
/// # Errors
/// [`Exit::Usage`] if no writer of this home waits for it, or has it.
pub(crate) fn install(
    config: &Config,
    domain: DomainName,
    certificate: &Certificate,
) -> Result<PathBuf> {
    for file in certificate_files(config, domain) {
        let held = keyfile::read_certificate(&file)?;
        if held == *certificate {
            return Ok(file);
        }
        if held.is_draft() && asks_for(&held, certificate) {
            replace(&file, certificate)?;
            return Ok(file);
        }
    }
    Err(Report::new(Exit::Usage, "no writer of this home waits for this certificate")
        .detail(format!("lineage {}", certificate.lineage))
        .at(config.file.display().to_string())
        .safe("nothing was changed")
        .next("run it for the home that asked: evenkeel root accept … --home DIR"))
}

/// Whether the root signed exactly what this draft says.
fn asks_for(draft: &Certificate, signed: &Certificate) -> bool {
    let message = |one: &Certificate| RootWord::from(one.clone()).message();
    message(draft) == message(signed)
}

/// A crash leaves the draft or the certificate, whole.
fn replace(file: &Path, certificate: &Certificate) -> Result<()> {
    let new = file.with_extension("certificate.signed");
    let _ = std::fs::remove_file(&new);
    keyfile::write_certificate(&new, certificate)?;
    std::fs::rename(&new, file).map_err(|error| Report::io("replace", file, &error))?;
    crate::init::sync_folder(file.parent().unwrap_or(Path::new(".")))
}

/// A home whose writers the root has not certified seals nothing, and says so before it starts.
///
/// # Errors
/// [`Exit::NothingYet`] with how to have them signed.
pub(crate) fn refuse_uncertified(config: &Config) -> Result<()> {
    let domain = DomainName::State;
    match drafts(config, domain)?.len() {
        0 => Ok(()),
        waiting => {
            let what = format!("{waiting} certificates of domain {domain} wait for its root");
            Err(Report::new(Exit::NothingYet, what)
                .at(config.file.display().to_string())
                .safe("nothing was started")
                .next(next(config, domain)))
        }
    }
}

/// A domain whose writers wait for the root protects nothing yet.
///
/// # Errors
/// [`Exit::NothingYet`] with what to do; [`Exit::Usage`] if `root` is another than the domain has.
pub(crate) fn refuse_waiting(
    config: &Config,
    domain: DomainName,
    root: Option<&OutsideRoot>,
) -> Result<()> {
    let has = domain.settings(config).map(|settings| settings.root_public_key.clone());
    if root.is_some_and(|root| has != Some(root.key.to_string())) {
        return Err(Report::new(Exit::Usage, format!("domain {domain} has another root already"))
            .at(config.file.display().to_string())
            .safe("nothing was changed")
            .next("another root is another domain: lay out a new home"));
    }
    if drafts(config, domain)?.is_empty() {
        return Ok(());
    }
    let what = "the home is laid out, and waits for its root to certify its writers";
    Err(Report::new(Exit::NothingYet, what)
        .at(config.file.display().to_string())
        .safe("nothing is sealed yet")
        .next(next(config, domain))
        .next("then the same command again"))
}

/// How what waits is brought to whoever signs.
pub(crate) fn next(config: &Config, domain: DomainName) -> String {
    format!(
        "evenkeel root request{} --home {} --out root-request.txt   (what the root has to sign)",
        domain.option(),
        config.home().display()
    )
}

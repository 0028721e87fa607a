//! Who signs as the root of a domain for a command: an identity in a file, or somebody elsewhere.

use std::path::{Path, PathBuf};

use evenkeel_vault::{RecoveryIdentity, RootHand, RootRequest};

use super::super::domain::Domain;
use super::{asked_words, refuse_existing, write_request};
use crate::keyfile;
use crate::output;
use crate::report::{Exit, Report, Result};

/// The root of a domain: here, or asked by a file.
pub(crate) enum DomainRoot {
    Here(Box<RecoveryIdentity>),
    Asked(Box<RootRequest>, PathBuf),
}

impl DomainRoot {
    /// The recovery identity of this very domain, or a file that is not there yet.
    ///
    /// # Errors
    /// [`Exit::WrongKey`] for another domain's identity; [`Exit::Usage`] if the file is there.
    pub(crate) fn of(
        domain: &Domain<'_>,
        identity: Option<&Path>,
        request: Option<&Path>,
    ) -> Result<Self> {
        if let Some(file) = request {
            refuse_existing(file)?;
            return Ok(Self::Asked(Box::new(RootRequest::new(domain.trust)), file.to_owned()));
        }
        let file = identity.ok_or_else(|| {
            Report::new(Exit::Usage, "the root of the domain has to sign this")
                .safe("nothing was written")
                .next("--identity FILE, or --root-request FILE where the root is elsewhere")
        })?;
        let recovery = keyfile::read_recovery_identity(file)?;
        if recovery.root_public() == domain.trust {
            return Ok(Self::Here(Box::new(recovery)));
        }
        Err(Report::new(Exit::WrongKey, "this recovery identity is not that of the domain")
            .at(file.display().to_string())
            .safe("nothing was written")
            .next("name the recovery identity whose root public key the configuration has"))
    }

    pub(crate) fn hand(&mut self) -> RootHand<'_> {
        match self {
            Self::Here(recovery) => RootHand::Here(recovery),
            Self::Asked(request, _) => RootHand::Later(request.as_mut()),
        }
    }

    /// Writes what was noted for a root that is elsewhere, and says what comes next; whether it is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn ask(&self) -> Result<bool> {
        let Self::Asked(request, file) = self else {
            return Ok(false);
        };
        if request.words.is_empty() {
            output::note("there is nothing that the root would have to sign");
            return Ok(true);
        }
        write_request(file, request.as_ref())?;
        output::note(&format!("{} to be signed\n{}", request.words.len(), asked_words(file)));
        Ok(true)
    }
}

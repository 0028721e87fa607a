//! What holders of a recipient are shown, and who opens in place of an identity.

use std::path::Path;

use evenkeel_vault::{KeyEvidence, Pin, Recipient, RootPublicKey, Unlock};

use super::domain::Domain;
use crate::cli::{DecryptionPurpose, QuorumArgs};
use crate::keyfile;
use crate::keys_cmd;
use crate::output;
use crate::report::Result;

/// The key objects of a domain that bringing back needs, with what signed them, and the
/// root that they are signed under.
pub(crate) fn key_evidence(
    domain: &Domain<'_>,
    recipient: &Recipient,
    point: Option<&str>,
) -> Result<(KeyEvidence, RootPublicKey)> {
    let pin = Pin::load(&domain.config.drill.home.join(domain.name.pin()))?;
    let catalog = domain.catalog(pin)?;
    let since = point.map(|named| catalog.point(named)).transpose()?.map(|point| point.id);
    Ok((KeyEvidence::gather(&catalog, recipient, since)?, domain.trust))
}

/// Who opens, and its public name: an identity in a file, or a quorum that was asked.
pub(super) fn unlock(
    identity: Option<&Path>,
    quorum: &QuorumArgs,
    purpose: DecryptionPurpose,
) -> Result<Option<(Unlock, String)>> {
    keys_cmd::keep_no_image();
    if let (Some(quorum), Some(table)) = (&quorum.quorum, &quorum.table) {
        let (keys, named) = keys_cmd::file_keys(quorum, table, purpose)?;
        output::note(&format!("opening with a {named}"));
        return Ok(Some((keys.into(), named)));
    }
    let Some(file) = identity else {
        return Ok(None);
    };
    let identity = keyfile::read_identity(file)?;
    let named = identity.recipient().to_string();
    Ok(Some((identity.into(), named)))
}

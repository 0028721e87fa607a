//! `keys slip39 recover`

use evenkeel_custody::slip39::{Recovered, recover};
use zeroize::Zeroizing;

use super::{cards::Cards, input};
use crate::cli::Slip39RecoverArgs;
use crate::documents::{Slip39GroupUseDocument, Slip39RecoveryDocument};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Result};

pub(super) fn run(args: &Slip39RecoverArgs) -> Result<Exit> {
    let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
    let cards = Cards::read(&args.shares)?;
    let recovered =
        recover(&cards.shares, passphrase.reveal()).map_err(|error| cards.report(&error))?;
    if passphrase.reveal().iter().any(|byte| !(32..=126).contains(byte)) {
        output::note("warning: the passphrase holds bytes that are not printable ASCII");
    }
    let document = document(&recovered, cards.shares.len(), args.reveal);
    unverified();
    for unchecked in &recovered.unchecked {
        let group = unchecked.group_index + 1;
        output::note(&format!(
            "note: card {} could not be checked: too few cards of group {group}",
            unchecked.card + 1
        ));
    }
    if args.json {
        output::document(&document)?;
    } else {
        summary(&document, &recovered, args.reveal)?;
    }
    Ok(Exit::Ok)
}

fn unverified() {
    output::note(
        "UNVERIFIED: any passphrase gives some secret; only a fingerprint tells the right one.\n\
         Compare an address or extended public key of this secret before you rely on it.",
    );
}

fn document(recovered: &Recovered, cards: usize, reveal: bool) -> Slip39RecoveryDocument {
    let groups = recovered.groups.iter().map(|group| Slip39GroupUseDocument {
        group: group.group_index + 1,
        member_threshold: group.member_threshold,
        members: group.members.iter().map(|member| member + 1).collect(),
        complete: group.is_complete(),
    });
    Slip39RecoveryDocument {
        set: recovered.set.identifier,
        extendable: recovered.set.extendable,
        iteration_exponent: recovered.set.iteration_exponent,
        group_threshold: recovered.set.group_threshold,
        group_count: recovered.set.group_count,
        groups: groups.collect(),
        shares: cards,
        extra_shares_checked: recovered.extra_checked,
        shares_unchecked: recovered.unchecked.len(),
        shares_repeated: recovered.repeated.len(),
        has_digest: recovered.has_digest,
        verified: false,
        secret_bits: recovered.secret.len() * 8,
        secret_hex: reveal.then(|| hex(recovered.secret.reveal())),
    }
}

/// For people; with `--reveal` the secret alone is on stdout, and the rest beside it.
fn summary(document: &Slip39RecoveryDocument, recovered: &Recovered, reveal: bool) -> Result<()> {
    let mut lines = vec![format!(
        "recovered  {} bits from {} cards of set {}",
        document.secret_bits, document.shares, recovered.set
    )];
    for group in &document.groups {
        let members: Vec<String> = group.members.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "  group {}  {} of {} needed: member {}",
            group.group,
            group.members.len(),
            group.member_threshold,
            members.join(", ")
        ));
    }
    lines.push(match (document.extra_shares_checked, document.has_digest) {
        (0, false) => "  checked    nothing but the card's own checksum".to_owned(),
        (0, true) => "  checked    the digest holds; no card to spare".to_owned(),
        (extra, _) => format!("  checked    the digest holds; {extra} more cards agree"),
    });
    if reveal {
        lines.iter().for_each(|line| output::note(line));
        return output::result(&Zeroizing::new(hex(recovered.secret.reveal())));
    }
    lines.push("  secret     not shown (--reveal prints it)".to_owned());
    output::result(&lines.join("\n"))
}

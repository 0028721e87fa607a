//! `keys slip39 recover`

use evenkeel_custody::Secret;
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::slip39::Recovered;
use zeroize::Zeroizing;

use super::{cards::Cards, input, record};
use crate::cli::Slip39RecoverArgs;
use crate::documents::{KeyScheme, Slip39GroupUseDocument, Slip39RecoveryDocument};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &Slip39RecoverArgs) -> Result<Exit> {
    let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
    let cards = Cards::read(&args.shares)?;
    let recovered = cards.recover(&passphrase)?;
    if passphrase.reveal().iter().any(|byte| !(32..=126).contains(byte)) {
        output::note("warning: the passphrase holds bytes that are not printable ASCII");
    }
    finish(&recovered, cards.shares.len(), args)?;
    Ok(Exit::Ok)
}

/// Compares what came back with the record, and says it.
///
/// # Errors
/// [`Exit::WrongKey`] if it is not the key that was recorded.
pub(super) fn finish(recovered: &Recovered, cards: usize, args: &Slip39RecoverArgs) -> Result<()> {
    let bip39_passphrase = input::passphrase(args.bip39_passphrase_file.as_deref())?;
    let document = document(recovered, cards, args, &bip39_passphrase)?;
    if !document.verified {
        unverified(&document);
    }
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
        summary(&document, recovered, args)?;
    }
    Ok(())
}

fn unverified(document: &Slip39RecoveryDocument) {
    output::note(
        "UNVERIFIED: any passphrase gives some secret; only a fingerprint tells the right one.\n\
         Give the record with --fingerprint FILE, or compare an address of this secret:",
    );
    document.recipient.iter().for_each(|recipient| output::note(&format!("  {recipient}")));
    for address in document.accounts.iter().filter_map(|account| account.addresses.first()) {
        output::note(&format!("  {}  {}", address.path, address.address));
    }
}

/// Compares with the record, if there is one, before anything of the secret is put anywhere.
fn document(
    recovered: &Recovered,
    cards: usize,
    args: &Slip39RecoverArgs,
    bip39_passphrase: &Secret,
) -> Result<Slip39RecoveryDocument> {
    let mut scheme = record::scheme(args.bip39, args.age);
    if let Some(file) = &args.fingerprint {
        let known = record::read(file)?;
        record::compare(&known, &recovered.secret, bip39_passphrase)?;
        scheme = known.scheme;
    }
    let told = record::Told::of(scheme, &recovered.secret, bip39_passphrase)?;
    let sentence = match (scheme, args.reveal) {
        (KeyScheme::Bip39, true) => Some(sentence(&recovered.secret)?),
        _ => None,
    };

    let groups = recovered.groups.iter().map(|group| Slip39GroupUseDocument {
        group: group.group_index + 1,
        member_threshold: group.member_threshold,
        members: group.members.iter().map(|member| member + 1).collect(),
        complete: group.is_complete(),
    });
    Ok(Slip39RecoveryDocument {
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
        verified: args.fingerprint.is_some(),
        scheme,
        master_fingerprint: told.master_fingerprint,
        accounts: told.accounts,
        recipient: told.recipient,
        secret_bits: recovered.secret.len() * 8,
        secret_hex: args.reveal.then(|| hex(recovered.secret.reveal())),
        bip39_sentence: sentence,
    })
}

fn sentence(secret: &Secret) -> Result<String> {
    let sentence = Mnemonic::from_entropy(secret.clone())
        .map_err(|error| Report::new(Exit::Usage, error.to_string()))?;
    Ok(sentence.sentence().to_string())
}

/// For people; with `--reveal` the secret alone is on stdout, and the rest beside it.
fn summary(
    document: &Slip39RecoveryDocument,
    recovered: &Recovered,
    args: &Slip39RecoverArgs,
) -> Result<()> {
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
    lines.push(match &document.recipient {
        Some(recipient) => format!("  key        recipient {recipient}"),
        None => format!("  key        master fingerprint {}", document.master_fingerprint),
    });
    if document.verified {
        lines.push("  verified   it is the key of the record".to_owned());
    }
    if args.reveal {
        lines.iter().for_each(|line| output::note(line));
        return match (&document.bip39_sentence, document.scheme) {
            (Some(sentence), _) => output::result(sentence),
            (None, KeyScheme::Age) => {
                output::result(&record::identity(&recovered.secret)?.to_text())
            }
            (None, _) => output::result(&Zeroizing::new(hex(recovered.secret.reveal()))),
        };
    }
    lines.push("  secret     not shown (--reveal prints it)".to_owned());
    output::result(&lines.join("\n"))
}

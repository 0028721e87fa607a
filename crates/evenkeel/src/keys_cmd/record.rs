//! The fingerprint record of a key: written when it is made or split, compared when it comes back.

use std::path::Path;

use evenkeel_custody::age::Identity;
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::fingerprint::{Account, Fingerprint};
use evenkeel_custody::slip39::{Policy, Share};
use evenkeel_custody::{Secret, drill};

use super::holders::Holders;
use super::input;
use super::kit::{self, KeysKit};
use crate::cli::format_time_ns;
use crate::documents::{
    KeyAccountDocument, KeyAddressDocument, KeyCardDocument, KeyFingerprintDocument,
    KeyGroupDocument, KeyScheme, KeySetDocument,
};
use crate::keyfile::{hex, write_new};
use crate::report::{Exit, Report, Result};

/// The name of the record among cards.
pub(super) const FILE: &str = "fingerprint.json";

/// What tells a secret from another, and is none.
pub(super) struct Told {
    pub(super) master_fingerprint: String,
    pub(super) accounts: Vec<KeyAccountDocument>,
    pub(super) recipient: Option<String>,
}

impl Told {
    /// Of a secret, by what it is.
    pub(super) fn of(scheme: KeyScheme, secret: &Secret, passphrase: &Secret) -> Result<Self> {
        if scheme == KeyScheme::Age {
            let recipient = Some(identity(secret)?.recipient());
            let (master_fingerprint, accounts) = (String::new(), Vec::new());
            return Ok(Self { master_fingerprint, accounts, recipient });
        }
        let found = fingerprint(&seed(scheme, secret, passphrase)?)?;
        Ok(Self {
            master_fingerprint: hex(&found.master),
            accounts: accounts(&found),
            recipient: None,
        })
    }
}

/// What a secret is, where no record says it.
pub(super) fn scheme(bip39: bool, age: bool) -> KeyScheme {
    match (bip39, age) {
        (true, _) => KeyScheme::Bip39,
        (false, true) => KeyScheme::Age,
        (false, false) => KeyScheme::Seed,
    }
}

/// The identity of age that a secret is.
pub(super) fn identity(secret: &Secret) -> Result<Identity> {
    Identity::new(secret.clone())
        .map_err(|error| Report::new(Exit::Usage, error.to_string()).safe("nothing was made of it"))
}

/// The seed that wallets use, of a secret by what it is.
pub(super) fn seed(scheme: KeyScheme, secret: &Secret, passphrase: &Secret) -> Result<Secret> {
    match scheme {
        KeyScheme::Seed => Ok(secret.clone()),
        KeyScheme::Age => Err(Report::new(Exit::Usage, "an identity of age is no wallet's seed")
            .safe("nothing was made of it")),
        KeyScheme::Bip39 => {
            let passphrase = std::str::from_utf8(passphrase.reveal()).map_err(|_| {
                Report::new(Exit::Usage, "the BIP-39 passphrase is not text (UTF-8)")
                    .safe("nothing was made of it")
            })?;
            let sentence = Mnemonic::from_entropy(secret.clone()).map_err(|error| {
                Report::new(Exit::Usage, format!("this secret is no BIP-39 entropy: {error}"))
                    .safe("nothing was made of it")
            })?;
            Ok(sentence.seed(passphrase))
        }
    }
}

/// The fingerprint of a seed.
fn fingerprint(seed: &Secret) -> Result<Fingerprint> {
    Fingerprint::of_seed(seed.reveal()).map_err(|error| {
        Report::new(Exit::Usage, format!("no wallet can be made of this secret: {error}"))
            .safe("nothing was changed")
    })
}

/// The accounts of a fingerprint, as documents show them.
fn accounts(fingerprint: &Fingerprint) -> Vec<KeyAccountDocument> {
    let document = |account: &Account| KeyAccountDocument {
        name: account.name.to_owned(),
        path: account.path.to_string(),
        xpub: account.xpub.clone(),
        addresses: account
            .addresses
            .iter()
            .map(|(path, address)| KeyAddressDocument {
                path: path.to_string(),
                address: address.clone(),
            })
            .collect(),
    };
    fingerprint.accounts.iter().map(document).collect()
}

/// A new record, without cards.
pub(super) fn new(
    scheme: KeyScheme,
    secret: &Secret,
    bip39_passphrase: &Secret,
    generation: u32,
) -> Result<KeyFingerprintDocument> {
    let told = Told::of(scheme, secret, bip39_passphrase)?;
    Ok(KeyFingerprintDocument {
        scheme,
        generation,
        made: format_time_ns(now_ns()),
        secret_bits: secret.len() * 8,
        master_fingerprint: told.master_fingerprint,
        accounts: told.accounts,
        recipient: told.recipient,
        set: None,
        warnings: Vec::new(),
    })
}

/// The cards of a record: who holds them where, and by which key each proves itself in a drill.
pub(super) fn set(
    cards: &[Share],
    policy: Option<&Policy>,
    holders: &Holders,
) -> Result<Option<KeySetDocument>> {
    let Some(first) = cards.first() else {
        return Ok(None);
    };
    let mut documents = Vec::with_capacity(cards.len());
    for card in cards {
        let key = drill::public_key(card)
            .map_err(|error| Report::new(Exit::Failed, format!("no drill key: {error}")))?;
        let (group, member) = (card.group_index + 1, card.member_index + 1);
        let holder = holders.of(group, member);
        documents.push(KeyCardDocument {
            group,
            member,
            member_threshold: card.member_threshold,
            holder: holder.map(|holder| holder.person.clone()),
            place: holder.map(|holder| holder.place.clone()),
            drill_public_key: hex(&key),
        });
    }
    let groups = policy.map(|policy| policy.groups.as_slice()).unwrap_or_default();
    Ok(Some(KeySetDocument {
        set: first.set.identifier,
        extendable: first.set.extendable,
        iteration_exponent: first.set.iteration_exponent,
        group_threshold: first.set.group_threshold,
        group_count: first.set.group_count,
        groups: groups
            .iter()
            .map(|group| KeyGroupDocument {
                member_threshold: group.threshold,
                member_count: group.count,
            })
            .collect(),
        cards: documents,
    }))
}

/// A file, and what stands behind `#` where there is no file of that whole name.
fn in_kit(named: &Path) -> (&Path, Option<&str>) {
    let split = named.to_str().filter(|_| !named.exists()).and_then(|it| it.rsplit_once('#'));
    split.map_or((named, None), |(file, name)| (Path::new(file), Some(name)))
}

/// Reads a record: a file of its own, or a key of a kit as `KIT#NAME`.
pub(super) fn read(file: &Path) -> Result<KeyFingerprintDocument> {
    let (file, name) = in_kit(file);
    let text = input::read_text(file, "the fingerprint record")?;
    let refused = |why: &str| {
        Report::new(Exit::Usage, format!("this is no fingerprint record: {why}"))
            .at(file.display().to_string())
            .safe("nothing was recovered")
            .next("evenkeel keys fingerprint --help   (says how a record is made)")
    };
    if KeysKit::is_in(&text) {
        return kit::record_in(&text, name).map_err(|why| refused(&why));
    }
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| refused(&error.to_string()))?;
    if value.get("message_type").and_then(|it| it.as_str()) != Some("key_fingerprint") {
        return Err(refused("its message_type is not key_fingerprint"));
    }
    serde_json::from_value(value).map_err(|error| refused(&error.to_string()))
}

/// Writes a record to a new file.
pub(super) fn write(file: &Path, record: &KeyFingerprintDocument) -> Result<()> {
    let mut text = serde_json::to_string_pretty(record).map_err(|error| {
        Report::new(Exit::Failed, format!("the record cannot be written as JSON: {error}"))
    })?;
    text.push('\n');
    write_new(file, text.as_bytes())
}

/// Whether a secret is the one that was recorded.
///
/// # Errors
/// [`Exit::WrongKey`], with what else it may be.
pub(super) fn compare(
    record: &KeyFingerprintDocument,
    secret: &Secret,
    bip39_passphrase: &Secret,
) -> Result<()> {
    if matches(record, record.scheme, secret, bip39_passphrase) {
        return Ok(());
    }
    let what = match record.scheme {
        KeyScheme::Age => "what came back does not match the recorded recipient",
        _ => "what came back does not match the recorded wallet fingerprint",
    };
    let report = Report::new(Exit::WrongKey, what)
        .detail(format!("recorded: {}", name(record)))
        .safe("nothing was exported, and nothing secret was printed; the cards are as they were");
    let mut others = [KeyScheme::Seed, KeyScheme::Bip39, KeyScheme::Age].into_iter();
    if let Some(other) = others.find(|other| matches(record, *other, secret, bip39_passphrase)) {
        return Err(report
            .detail(format!(
                "it would match as `{}`: the record names the wrong scheme",
                other.word()
            ))
            .next("mend `scheme` in the record after comparing an address by hand"));
    }
    let report = report.next(
        "try the passphrase again: every other passphrase gives another secret, without an error",
    );
    Err(match record.scheme {
        KeyScheme::Bip39 => report
            .next("this key also has a BIP-39 passphrase, or none: --bip39-passphrase-file FILE"),
        KeyScheme::Seed | KeyScheme::Age => {
            report.next("compare the set of the cards with the one recorded")
        }
    })
}

fn matches(
    record: &KeyFingerprintDocument,
    scheme: KeyScheme,
    secret: &Secret,
    bip39_passphrase: &Secret,
) -> bool {
    Told::of(scheme, secret, bip39_passphrase).is_ok_and(|found| {
        // A record without accounts would vouch with 32 bits alone.
        (found.recipient.is_some() || !record.accounts.is_empty())
            && found.recipient == record.recipient
            && found.master_fingerprint == record.master_fingerprint
            && found.accounts == record.accounts
    })
}

/// The key, for people.
pub(super) fn name(record: &KeyFingerprintDocument) -> String {
    match &record.recipient {
        Some(recipient) => format!("recipient {recipient}"),
        None => format!("master {}, {}", record.master_fingerprint, first_address(record)),
    }
}

/// An address, for people.
pub(super) fn first_address(record: &KeyFingerprintDocument) -> String {
    let account = record.accounts.first();
    let address = account.and_then(|account| account.addresses.first());
    match (account, address) {
        (Some(account), Some(address)) => format!("{} {}", account.name, address.address),
        _ => "no address".to_owned(),
    }
}

pub(super) fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

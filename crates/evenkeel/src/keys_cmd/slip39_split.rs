//! `keys slip39 split`

use std::path::{Path, PathBuf};

use evenkeel_custody::Secret;
use evenkeel_custody::slip39::{Policy, Share, SplitError, SplitOptions, split};
use zeroize::Zeroizing;

use super::holders::Holders;
use super::input::{self, OsRandom};
use super::{generate, record};
use crate::cli::Slip39SplitArgs;
use crate::documents::{KeyScheme, Slip39CardDocument, Slip39GroupDocument, Slip39SplitDocument};
use crate::keyfile::write_new;
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &Slip39SplitArgs) -> Result<Exit> {
    let policy = Policy::parse(&args.groups, args.group_threshold).map_err(refused)?;
    let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
    let bip39_passphrase = input::passphrase(args.bip39_passphrase_file.as_deref())?;
    let holders = Holders::read(args.holders.as_deref())?;
    if let Some(folder) = &args.out {
        make_folder(folder)?;
    }
    if args.generate.is_none() {
        output::note(
            "note: if this secret was split before, the cards of then go on bringing it back: this \
             split adds cards, it takes none away.",
        );
    }
    let (scheme, secret) = secret(args)?;
    let options = SplitOptions {
        iteration_exponent: args.iteration_exponent,
        extendable: !args.not_extendable,
        identifier: None,
    };
    let groups = split(&policy, secret.reveal(), passphrase.reveal(), options, &mut OsRandom)
        .map_err(refused)?;
    let mut fingerprint = record::new(scheme, &secret, &bip39_passphrase, args.generation)?;
    let all: Vec<Share> = groups.iter().flatten().cloned().collect();
    fingerprint.set = record::set(&all, Some(&policy), &holders)?;
    fingerprint.warnings = holders.warnings(&policy);
    let mut cards = Vec::new();
    for card in groups.iter().flatten() {
        let file = match &args.out {
            Some(folder) => Some(write_card(folder, card, &policy)?),
            None => None,
        };
        cards.push(Slip39CardDocument {
            group: card.group_index + 1,
            member: card.member_index + 1,
            file,
            mnemonic: args.reveal.then(|| card.mnemonic().to_string()),
        });
    }
    if let Some(folder) = &args.out {
        record::write(&folder.join(record::FILE), &fingerprint)?;
        sync(folder)?;
    }
    traps(scheme);
    fingerprint.warnings.iter().for_each(|it| output::note(&format!("WARNING: {it}")));
    tell(args, &policy, &groups, cards, secret.len() * 8)?;
    Ok(Exit::Ok)
}

fn secret(args: &Slip39SplitArgs) -> Result<(KeyScheme, Secret)> {
    if let Some(file) = &args.bip39_file {
        return Ok((KeyScheme::Bip39, input::sentence(file)?.entropy().clone()));
    }
    if let Some(file) = &args.identity_file {
        return Ok((KeyScheme::Age, input::identity(file)?.secret().clone()));
    }
    if let Some(file) = &args.secret_file {
        return Ok((KeyScheme::Seed, input::secret(file)?));
    }
    let bytes = if args.generate.as_deref() == Some("128") { 16 } else { 32 };
    Ok((KeyScheme::Seed, generate::entropy(bytes, args.dice.as_deref())?))
}

/// What is confused at a price, said where it happens.
fn traps(scheme: KeyScheme) {
    output::note(match scheme {
        KeyScheme::Seed => {
            "note: wallets use this secret itself as the BIP-32 seed. It is not the entropy of a \
             BIP-39 sentence:\nthe same bytes written as a sentence would be another wallet."
        }
        KeyScheme::Bip39 => {
            "note: the cards hold the entropy of the sentence. A wallet that recovers them as \
             SLIP-39 opens another,\nempty wallet: recover here with --bip39 and type the \
             sentence. Its BIP-39 passphrase, if any, is not in the cards."
        }
        KeyScheme::Age => {
            "note: the cards hold the identity alone, which opens what is encrypted to its \
             recipient. A root key\nthat stands in the same file is in no card: who certifies new \
             writers keeps it apart."
        }
    });
}

fn tell(
    args: &Slip39SplitArgs,
    policy: &Policy,
    groups: &[Vec<Share>],
    cards: Vec<Slip39CardDocument>,
    secret_bits: usize,
) -> Result<()> {
    let Some(first) = groups.iter().flatten().next() else {
        return Ok(());
    };
    let set = first.set;
    output::note(
        "note: earlier cards of the same secret still bring it back: a new split revokes nothing.\n\
         Destroy them, or move what the secret controls.",
    );
    if args.json {
        return output::document(&Slip39SplitDocument {
            set: set.identifier,
            extendable: set.extendable,
            iteration_exponent: set.iteration_exponent,
            group_threshold: set.group_threshold,
            groups: policy
                .groups
                .iter()
                .map(|group| Slip39GroupDocument {
                    member_threshold: group.threshold,
                    member_count: group.count,
                })
                .collect(),
            secret_bits,
            cards,
        });
    }
    let about = format!("split {secret_bits} bits into {} cards: {policy}", policy.card_count());
    if !args.reveal {
        let folder = args.out.clone().unwrap_or_default();
        return output::result(&format!("{about}\nset {set}, in {}", folder.display()));
    }
    output::note(&format!("{about}; set {set}"));
    for card in groups.iter().flatten() {
        output::result(&format!("# {}", title(card, policy)))?;
        output::result(&card.mnemonic())?;
    }
    Ok(())
}

fn title(card: &Share, policy: &Policy) -> String {
    let group = policy.groups.get(usize::from(card.group_index));
    let members = group.map_or(0, |group| group.count);
    format!(
        "SLIP-39 card of set {:05}: group {} of {} ({} groups needed), member {} of {members} ({} \
         needed)",
        card.set.identifier,
        card.group_index + 1,
        card.set.group_count,
        card.set.group_threshold,
        card.member_index + 1,
        card.member_threshold
    )
}

/// A new folder, or one with nothing in it: cards never lie among others.
fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Report::io("make the folder", folder, &error))?;
    let mut entries =
        std::fs::read_dir(folder).map_err(|error| Report::io("read the folder", folder, &error))?;
    if entries.next().is_some() {
        return Err(Report::new(Exit::Usage, "the folder for the cards is not empty")
            .at(folder.display().to_string())
            .safe("nothing was changed")
            .next("name a new folder: --out DIR"));
    }
    Ok(())
}

pub(super) fn write_card(folder: &Path, card: &Share, policy: &Policy) -> Result<PathBuf> {
    let name = format!(
        "set-{:05}-group-{:02}-member-{:02}.txt",
        card.set.identifier,
        card.group_index + 1,
        card.member_index + 1
    );
    let file = folder.join(name);
    let text = Zeroizing::new(format!(
        "# {}\n# Together with enough others it is the key: one person, one place, no photograph.\n\
         {}\n",
        title(card, policy),
        card.mnemonic().as_str()
    ));
    write_new(&file, text.as_bytes())?;
    Ok(file)
}

fn sync(folder: &Path) -> Result<()> {
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Report::io("sync the folder", folder, &error))
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn refused(error: SplitError) -> Report {
    let exit = match error {
        SplitError::Random(_) | SplitError::Unproven => Exit::Failed,
        _ => Exit::Usage,
    };
    Report::new(exit, error.to_string()).safe("nothing was split")
}

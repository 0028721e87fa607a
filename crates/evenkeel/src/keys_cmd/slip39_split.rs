//! `keys slip39 split`

use std::path::{Path, PathBuf};

use evenkeel_custody::slip39::{Policy, Share, SplitError, SplitOptions, split};
use evenkeel_custody::{Random, Secret};
use zeroize::Zeroizing;

use super::input::{self, OsRandom};
use crate::cli::Slip39SplitArgs;
use crate::documents::{Slip39CardDocument, Slip39GroupDocument, Slip39SplitDocument};
use crate::keyfile::write_new;
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &Slip39SplitArgs) -> Result<Exit> {
    let policy = Policy::parse(&args.groups, args.group_threshold).map_err(refused)?;
    let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
    if let Some(folder) = &args.out {
        make_folder(folder)?;
    }
    let secret = secret(args)?;
    let options = SplitOptions {
        iteration_exponent: args.iteration_exponent,
        extendable: !args.not_extendable,
        identifier: None,
    };
    let groups = split(&policy, secret.reveal(), passphrase.reveal(), options, &mut OsRandom)
        .map_err(refused)?;
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
        sync(folder)?;
    }
    tell(args, &policy, &groups, cards, secret.len() * 8)?;
    Ok(Exit::Ok)
}

fn secret(args: &Slip39SplitArgs) -> Result<Secret> {
    match (&args.secret_file, args.generate.as_deref()) {
        (Some(file), _) => input::secret(file),
        (None, bits) => {
            let bytes = if bits == Some("128") { 16 } else { 32 };
            let mut secret = Zeroizing::new(vec![0; bytes]);
            OsRandom.fill(&mut secret).map_err(|error| refused(error.into()))?;
            Ok(Secret::from(secret))
        }
    }
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

fn write_card(folder: &Path, card: &Share, policy: &Policy) -> Result<PathBuf> {
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

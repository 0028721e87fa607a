//! `keys generate` and `keys fingerprint`

use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::{Random, Secret, mix};
use zeroize::Zeroizing;

use super::input::{self, OsRandom};
use super::{cards::Cards, holders::Holders, record};
use crate::cli::{KeysFingerprintArgs, KeysGenerateArgs};
use crate::documents::{KeyFingerprintDocument, KeyScheme};
use crate::keyfile::write_new;
use crate::output;
use crate::report::{Exit, Report, Result};

/// `keys generate`
pub(super) fn generate(args: &KeysGenerateArgs) -> Result<Exit> {
    let bytes = if args.words == "12" { 16 } else { 32 };
    let entropy = entropy(bytes, args.dice.as_deref())?;
    let sentence = Mnemonic::from_entropy(entropy.clone())
        .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
    let record = record::new(KeyScheme::Bip39, &entropy, &Secret::new(Vec::new()), 1)?;
    let words = sentence.sentence();
    if let Some(file) = &args.out {
        let text = Zeroizing::new(format!(
            "# BIP-39 sentence of the key with master fingerprint {}; no passphrase\n{}\n",
            record.master_fingerprint,
            words.as_str()
        ));
        write_new(file, text.as_bytes())?;
    }
    if args.reveal {
        output::note(&summary(&record));
        output::result(&words)?;
    } else {
        output::result(&summary(&record))?;
    }
    Ok(Exit::Ok)
}

/// The system's randomness, with what the dice said mixed in: good if either is good.
pub(super) fn entropy(bytes: usize, dice: Option<&std::path::Path>) -> Result<Secret> {
    let mut drawn = Zeroizing::new(vec![0; 32]);
    OsRandom
        .fill(&mut drawn)
        .map_err(|error| Report::new(Exit::Failed, error.to_string()).safe("nothing was made"))?;
    let rolls = match dice {
        Some(file) => rolls(file)?,
        None => Secret::new(Vec::new()),
    };
    mix(&[&drawn, rolls.reveal()], bytes).ok_or_else(|| {
        Report::new(Exit::Failed, "no key could be derived").safe("nothing was made")
    })
}

/// Rolls of dice with six sides; spaces and line ends between them do not count.
fn rolls(file: &std::path::Path) -> Result<Secret> {
    let text = input::read_text(file, "the rolls of dice")?;
    let mut rolls = Zeroizing::new(Vec::with_capacity(text.len()));
    rolls.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    if let Some(at) = rolls.iter().position(|roll| !(b'1'..=b'6').contains(roll)) {
        return Err(Report::new(Exit::Usage, format!("roll {} is not one of 1 to 6", at + 1))
            .at(file.display().to_string())
            .safe("nothing was made"));
    }
    if rolls.len() < 50 {
        output::note(&format!(
            "note: {} rolls give {} bits; 50 would alone suffice for 128 bits, 100 for 256",
            rolls.len(),
            // log2(6) = 2.585
            rolls.len() * 2_585 / 1_000
        ));
    }
    Ok(Secret::from(rolls))
}

/// `keys fingerprint`
pub(super) fn fingerprint(args: &KeysFingerprintArgs) -> Result<Exit> {
    let bip39_passphrase = input::passphrase(args.bip39_passphrase_file.as_deref())?;
    let holders = Holders::read(args.holders.as_deref())?;
    let (scheme, secret, cards) = source(args)?;
    let mut record = record::new(scheme, &secret, &bip39_passphrase, args.generation)?;
    record.set = record::set(&cards, None, &holders)?;
    if let Some(file) = &args.out {
        record::write(file, &record)?;
    }
    if args.json {
        output::document(&record)?;
    } else {
        output::result(&summary(&record))?;
    }
    Ok(Exit::Ok)
}

type Source = (KeyScheme, Secret, Vec<evenkeel_custody::slip39::Share>);

fn source(args: &KeysFingerprintArgs) -> Result<Source> {
    let scheme = record::scheme(args.bip39, args.age);
    if let Some(file) = &args.identity_file {
        return Ok((KeyScheme::Age, input::identity(file)?.secret().clone(), Vec::new()));
    }
    if let Some(file) = &args.mnemonic_file {
        return Ok((KeyScheme::Bip39, input::sentence(file)?.entropy().clone(), Vec::new()));
    }
    if let Some(file) = &args.shares {
        let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
        let cards = Cards::read(file)?;
        let recovered = cards.recover(&passphrase)?;
        return Ok((scheme, recovered.secret, cards.shares));
    }
    match &args.secret_file {
        Some(file) => Ok((scheme, input::secret(file)?, Vec::new())),
        None => Err(Report::new(Exit::Usage, "nothing says which key")
            .next("give --secret-file, --mnemonic-file, --identity-file or --shares")),
    }
}

/// A record for people.
pub(super) fn summary(record: &KeyFingerprintDocument) -> String {
    let what = match record.scheme {
        KeyScheme::Seed => "the secret is a BIP-32 seed",
        KeyScheme::Bip39 => "the secret is the entropy of a BIP-39 sentence",
        KeyScheme::Age => "the secret is an identity of age",
    };
    let (bits, master) = (record.secret_bits, &record.master_fingerprint);
    let mut lines = vec![match &record.recipient {
        Some(recipient) => format!("recipient  {recipient}  ({bits} bits; {what})"),
        None => format!("master fingerprint  {master}  ({bits} bits; {what})"),
    }];
    for account in &record.accounts {
        lines.push(format!("{} {}  {}", account.name, account.path, account.xpub));
        for address in &account.addresses {
            lines.push(format!("  {}  {}", address.path, address.address));
        }
    }
    lines.extend(record.warnings.iter().map(|warning| format!("WARNING  {warning}")));
    lines.join("\n")
}

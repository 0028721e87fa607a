//! The kit as a stranger reads it: printed, years later, without us.

use std::fmt::Write as _;

use super::{KeyOfKit, KeysKit};
use crate::documents::{KeyCardDocument, KeyScheme, KeySetDocument};
use crate::keys_cmd::record;
use crate::report::Result;

/// The kit as a text of lines that fit on paper.
pub(super) fn text(kit: &KeysKit) -> Result<String> {
    let mut out = format!(
        "EVENKEEL RECOVERY KIT for keys, made {}\n\
         ==========================================================================\n\n\
         This tells you whose cards bring which key back, and how to be certain that it is the\n\
         right one. It is no secret: without the cards nobody can use a key. It shows every\n\
         address of the wallets; keep it with the papers of the desk, never beside a card.\n\n",
        kit.made
    );
    out.push_str(&steps(kit));
    for key in &kit.keys {
        out.push_str(&section(key));
    }
    out.push_str(
        "\nFOR THE PROGRAM\n\
         ---------------\n\
         From BEGIN to END, character by character, is what `--fingerprint` and `drill\n\
         everything --kit` read; the line `# check:` tells a slip.\n\n",
    );
    out.push_str(&kit.to_text()?);
    Ok(out)
}

fn steps(kit: &KeysKit) -> String {
    format!(
        "WHAT TO DO\n\
         ----------\n\
         1. Take a machine that is on no network, and a program `evenkeel-offline` or `evenkeel`\n\
         \x20  of version {} or newer. The one that made this kit has the SHA-256 hash\n\
         \x20  {}\n\
         2. Bring this kit onto it as a file, here called KIT.\n\
         3. Call the people that are named below, until there are enough of them for a key.\n\
         \x20  Each types the words of the own card, one card a line:\n\
         \x20      evenkeel-offline keys recover --fingerprint 'KIT#NAME OF THE KEY' --out NEW\n\
         \x20  It says at once what is wrong with a card, and who is still missing. The\n\
         \x20  passphrase, if one was agreed, is asked for at the end; no card holds it.\n\
         4. It compares what comes back with this kit. Another key, or a wrong passphrase, is\n\
         \x20  refused with exit 12, and nothing is written.\n\
         5. NEW holds the key. Use it, then destroy that file.\n\
         To prove all of it without keeping anything: evenkeel drill everything --kit KIT …\n",
        kit.version, kit.program_sha256
    )
}

fn section(key: &KeyOfKit) -> String {
    let record = &key.record;
    let mut out = format!("\nKEY: {}\n{}\n", key.name, "-".repeat(5 + key.name.chars().count()));
    let _ = match record.scheme {
        KeyScheme::Age => writeln!(
            out,
            "An identity of age. It opens what is encrypted to\n  {}\n\
             NEW is then the file for `restore --identity NEW` and `drill --identity NEW`. The\n\
             root key, which certifies new writers (`restore --promote`), is in no card.",
            record.recipient.as_deref().unwrap_or_default()
        ),
        KeyScheme::Seed => writeln!(
            out,
            "A wallet: the secret is the BIP-32 seed itself. First address\n  {}",
            record::first_address(record)
        ),
        KeyScheme::Bip39 => writeln!(
            out,
            "A wallet: the secret is the entropy of a BIP-39 sentence. First address\n  {}\n\
             NEW holds the sentence: type it into the wallet. Never give a wallet these cards.",
            record::first_address(record)
        ),
    };
    let _ = writeln!(out, "Split number {}, recorded {}.", record.generation, record.made);
    match &record.set {
        Some(set) => out.push_str(&cards(set)),
        None => out.push_str("It is in no cards; whoever made this kit knows where it lies.\n"),
    }
    out
}

fn cards(set: &KeySetDocument) -> String {
    let mut out = format!(
        "Cards of set {:05}. Needed: {} of {} groups.\n",
        set.set, set.group_threshold, set.group_count
    );
    for group in 1..=set.group_count {
        let of_group: Vec<&KeyCardDocument> =
            set.cards.iter().filter(|card| card.group == group).collect();
        let Some(first) = of_group.first() else {
            let _ = writeln!(out, "  group {group}: its cards were not recorded");
            continue;
        };
        let needed = first.member_threshold;
        let _ = match set.groups.get(usize::from(group) - 1) {
            Some(known) => writeln!(out, "  group {group}: any {needed} of {}", known.member_count),
            None => writeln!(out, "  group {group}: any {needed}"),
        };
        for card in of_group {
            let holder = card.holder.as_deref().unwrap_or("nobody was named");
            let place = card.place.as_deref().unwrap_or("no place was named");
            let _ = writeln!(out, "    {}.{}  {holder} @ {place}", card.group, card.member);
        }
    }
    out
}

/// The same as a page for printing, which programs read as well.
pub(super) fn page(kit: &KeysKit) -> Result<String> {
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <title>Evenkeel recovery kit: keys</title>\n\
         <style>@page {{ margin: 15mm }} body {{ margin: 2em }}\n\
         pre {{ font: 9.5pt/1.35 monospace; white-space: pre-wrap;\n\
         word-break: break-all }}</style>\n\
         </head><body><pre>{}</pre></body></html>\n",
        escaped(&text(kit)?)
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

//! `keys kit`: what a stranger needs to bring keys back from their cards, on paper and for
//! programs.

mod check;
mod words;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{input, record};
use crate::cli::{KeysKitArgs, KeysKitCommand, format_time_ns};
use crate::documents::{KeyFingerprintDocument, KeyScheme, KeysKitDocument};
use crate::keyfile::{hex, write_new};
use crate::output;
use crate::report::{Exit, Report, Result};

#[cfg(feature = "whole")]
pub(crate) use self::check::record_hash;

const BEGIN: &str = "-----BEGIN EVENKEEL KEYS KIT-----";
const END: &str = "-----END EVENKEEL KEYS KIT-----";
const CHECK: &str = "# check: ";
const FORMAT: u32 = 1;
/// Longer names do not fit a line of paper.
const NAME_CHARS_MAX: usize = 60;

/// The part of a kit that programs read. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysKit {
    format: u32,
    /// When, RFC 3339 UTC.
    pub(crate) made: String,
    /// Version of the program that made it.
    version: String,
    /// SHA-256 of that program.
    program_sha256: String,
    pub(crate) keys: Vec<KeyOfKit>,
}

/// A key, and what it is for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyOfKit {
    /// What it is for: `wallet`, `recovery identity of state`.
    pub(crate) name: String,
    pub(crate) record: KeyFingerprintDocument,
}

/// A kit as it was read.
pub(crate) struct ReadKeysKit {
    pub(crate) kit: KeysKit,
    /// Whether it is word for word what was made.
    pub(crate) intact: bool,
}

/// Runs `keys kit`, or `keys kit check`.
pub(super) fn run(args: &KeysKitArgs) -> Result<Exit> {
    match (&args.command, &args.out) {
        (Some(KeysKitCommand::Check(args)), _) => check::run(args),
        (None, Some(out)) => make(args, out),
        (None, None) => Err(Report::new(Exit::Usage, "--out says where the kit goes")),
    }
}

fn make(args: &KeysKitArgs, out: &Path) -> Result<Exit> {
    let kit = KeysKit {
        format: FORMAT,
        made: format_time_ns(record::now_ns()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program_sha256: program_hash()?,
        keys: all_keys(&args.record)?,
    };
    let files = write(out, ("keys", &kit.made), || words::text(&kit), || words::page(&kit))?;
    let document = KeysKitDocument {
        action: "make".to_owned(),
        files: files.iter().map(|file| file.display().to_string()).collect(),
        intact: true,
        ..described(&kit)
    };
    #[cfg(feature = "whole")]
    check::remember(args, &kit, &files)?;
    document.warnings.iter().for_each(|warning| output::note(&format!("WARNING: {warning}")));
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&format!("keys kit {}: {}", document.kit, document.files.join(", ")))?;
    }
    output::note(
        "it holds no secret, and shows every address: keep copies with the papers of the desk, and \
         none beside a card",
    );
    Ok(Exit::Ok)
}

fn described(kit: &KeysKit) -> KeysKitDocument {
    KeysKitDocument {
        made: kit.made.clone(),
        kit: kit.name(),
        keys: kit.keys.iter().map(|key| key.name.clone()).collect(),
        warnings: warnings(kit),
        age_days: check::age_days(&kit.made),
        ..KeysKitDocument::default()
    }
}

/// Keys of different names, of what was given with `--record`.
fn all_keys(named: &[String]) -> Result<Vec<KeyOfKit>> {
    let keys = named.iter().map(|named| key(named)).collect::<Result<Vec<_>>>()?;
    for (at, key) in keys.iter().enumerate() {
        if keys.iter().take(at).any(|other| other.name == key.name) {
            return Err(Report::new(Exit::Usage, format!("two keys are called `{}`", key.name))
                .safe("nothing was written")
                .next("say what each is for: --record FILE=NAME"));
        }
    }
    Ok(keys)
}

/// The file and the name in `FILE` or `FILE=NAME`.
fn file_of(named: &str) -> (&Path, Option<&str>) {
    let whole = Path::new(named);
    match named.split_once('=').filter(|_| !whole.exists()) {
        Some((file, name)) => (Path::new(file), Some(name.trim())),
        None => (whole, None),
    }
}

fn key(named: &str) -> Result<KeyOfKit> {
    let (file, name) = file_of(named);
    let record = record::read(file)?;
    let usual = match record.scheme {
        KeyScheme::Age => "recovery identity",
        KeyScheme::Seed | KeyScheme::Bip39 => "wallet",
    };
    let name = name.unwrap_or(usual).to_owned();
    let odd = |letter: char| letter.is_control() || letter == '#';
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(odd) {
        return Err(Report::new(Exit::Usage, "a key's name is 1 to 60 letters, without #")
            .at(file.display().to_string())
            .safe("nothing was written")
            .next("--record fingerprint.json=wallet"));
    }
    Ok(KeyOfKit { name, record })
}

fn warnings(kit: &KeysKit) -> Vec<String> {
    let mut found = Vec::new();
    for key in &kit.keys {
        found.extend(key.record.warnings.iter().map(|one| format!("{}: {one}", key.name)));
        match &key.record.set {
            None => found.push(format!(
                "{}: it is in no cards, and the kit cannot say where it lies",
                key.name
            )),
            Some(set) if set.cards.iter().any(|card| card.holder.is_none()) => found.push(format!(
                "{}: nobody is named for some cards: make the record with --holders FILE",
                key.name
            )),
            Some(_) => {}
        }
    }
    found
}

fn program_hash() -> Result<String> {
    let path = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let failed = |error: std::io::Error| Report::io("read this program", &path, &error);
    let mut program = std::fs::File::open(&path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut program, &mut part).map_err(failed)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(part.get(..count).unwrap_or_default()),
        }
    }
}

/// Writes a kit of `what`, made at `made`: both forms into a folder, or the one that a file's name
/// asks for.
///
/// # Errors
/// Whatever the system says; a file that is there already stays.
pub(crate) fn write(
    out: &Path,
    (what, made): (&str, &str),
    text: impl Fn() -> Result<String>,
    page: impl Fn() -> Result<String>,
) -> Result<Vec<PathBuf>> {
    let extension = out.extension().and_then(|extension| extension.to_str());
    let files = match extension {
        Some("txt" | "html") if !out.is_dir() => vec![out.to_owned()],
        _ => {
            std::fs::create_dir_all(out)
                .map_err(|error| Report::io("make the folder", out, &error))?;
            let name = format!("recovery-kit-{what}-{}", made.get(..10).unwrap_or_default());
            vec![out.join(format!("{name}.txt")), out.join(format!("{name}.html"))]
        }
    };
    for file in &files {
        let is_page = file.extension().is_some_and(|extension| extension == "html");
        let content = if is_page { page()? } else { text()? };
        write_new(file, content.as_bytes())?;
    }
    Ok(files)
}

impl KeysKit {
    fn body(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|error| {
            Report::new(Exit::Failed, format!("the kit cannot be written as JSON: {error}"))
        })
    }

    /// As text between its markers, with a check value against slips of whoever copies it.
    fn to_text(&self) -> Result<String> {
        let body = self.body()?;
        Ok(format!("{BEGIN}\n{body}\n{CHECK}{}\n{END}\n", check_value(&body)))
    }

    /// The first digits of the hash of what it says.
    pub(crate) fn name(&self) -> String {
        self.body().map(|body| check_value(&body).chars().take(8).collect()).unwrap_or_default()
    }

    /// Whether a text is one, intact or not.
    pub(crate) fn is_in(text: &str) -> bool {
        text.contains(BEGIN)
    }

    /// Reads a kit from a text or a page.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it is no kit.
    pub(crate) fn read(file: &Path) -> Result<ReadKeysKit> {
        let text = input::read_text(file, "the kit")?;
        Self::parse(&text).map_err(|why| {
            Report::new(Exit::Usage, "this is no keys kit, or a damaged one")
                .at(file.display().to_string())
                .detail(why)
                .safe("nothing was changed")
                .next("copy everything from the BEGIN line to the END line, character by character")
        })
    }

    fn parse(text: &str) -> Result<ReadKeysKit, String> {
        let (before, rest) =
            text.split_once(BEGIN).ok_or_else(|| format!("the line {BEGIN} is missing"))?;
        let (inner, _) = rest
            .split_once(END)
            .ok_or_else(|| format!("the line {END} is missing: its end was lost"))?;
        let inner =
            if before.contains("<pre") { words::unescaped(inner) } else { inner.to_owned() };
        let stated = inner.lines().find_map(|line| line.trim().strip_prefix(CHECK));
        let lines = inner.lines().filter(|line| !line.trim().starts_with('#'));
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        let kit: Self = serde_json::from_str(&body).map_err(|error| error.to_string())?;
        if kit.format != FORMAT {
            return Err(format!("its format is {}; this program reads {FORMAT}", kit.format));
        }
        let intact = stated == Some(check_value(&body).as_str());
        Ok(ReadKeysKit { kit, intact })
    }
}

/// The record of a key in a kit: of the one that is named, or of the only one.
pub(super) fn record_in(text: &str, name: Option<&str>) -> Result<KeyFingerprintDocument, String> {
    let ReadKeysKit { kit, intact } = KeysKit::parse(text)?;
    if !intact {
        output::note(
            "the kit was changed after it was made (its check value is another): what comes back \
             is compared with what it says now",
        );
    }
    let names: Vec<String> = kit.keys.iter().map(|key| format!("`{}`", key.name)).collect();
    let mut found = kit.keys.into_iter().filter(|key| name.is_none_or(|name| key.name == name));
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key.record),
        _ => Err(format!("the kit has the keys {}: name one as FILE#NAME", names.join(", "))),
    }
}

/// Over the lines with their ends trimmed: what printing and copying does not change.
fn check_value(body: &str) -> String {
    let mut hasher = Sha256::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    hex(&hasher.finalize()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use evenkeel_custody::Secret;

    use super::*;

    fn kit() -> KeysKit {
        let (secret, none) = (Secret::new(vec![7; 32]), Secret::new(Vec::new()));
        let key = |name: &str, scheme| {
            let record = record::new(scheme, &secret, &none, 1).unwrap();
            KeyOfKit { name: name.to_owned(), record }
        };
        let keys = vec![key("desk <wallet> & \"co\"", KeyScheme::Seed), key("age", KeyScheme::Age)];
        KeysKit {
            format: FORMAT,
            made: "2026-11-22T07:00:00Z".to_owned(),
            keys,
            ..KeysKit::default()
        }
    }

    #[test]
    fn a_kit_reads_back_from_a_text_and_from_a_page() {
        let kit = kit();
        let text = words::text(&kit).unwrap();
        let spaced = text.replace('\n', "  \r\n");
        for text in [text, spaced, words::page(&kit).unwrap()] {
            let read = KeysKit::parse(&text).unwrap();
            assert!(read.intact && read.kit == kit, "{text}");
        }
    }

    #[test]
    fn a_changed_kit_says_so_and_one_without_its_end_is_none() {
        let kit = kit();
        let text = kit.to_text().unwrap();
        assert!(!KeysKit::parse(&text.replace("\"age\"", "\"agE\"")).is_ok_and(|it| it.intact));
        let cut = text.split(END).next().unwrap();
        assert!(KeysKit::parse(cut).is_err_and(|why| why.contains("its end was lost")));
        assert!(KeysKit::parse("nothing").is_err());
    }

    #[test]
    fn a_key_is_taken_by_its_name_and_never_by_guess() {
        let text = kit().to_text().unwrap();
        assert_eq!(record_in(&text, Some("age")).unwrap().scheme, KeyScheme::Age);
        let why = record_in(&text, None).unwrap_err();
        assert!(why.contains("`age`") && why.contains("FILE#NAME"), "{why}");
        assert!(record_in(&text, Some("other")).is_err());
    }

    #[test]
    fn a_kit_holds_no_secret() {
        let page = words::page(&kit()).unwrap();
        assert!(!page.contains(&hex(&[7; 32])) && !page.contains("AGE-SECRET-KEY-1Q"));
    }
}

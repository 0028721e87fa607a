//! `evenkeel drill verify`: whether a report is genuine, from the report and a public key alone.

use std::path::{Path, PathBuf};

use evenkeel_recovery::{Level, SignedEverything, SignedReport, read_report};
use evenkeel_vault::RootPublicKey;

use super::drill_cmd::{document, report_files, words};
use super::everything;
use crate::cli::DrillVerifyArgs;
use crate::config::Config;
use crate::keyfile::{self, hex, unhex};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(super) fn run(args: &DrillVerifyArgs) -> Result<Exit> {
    // With a report and a key at hand nothing else is needed: an auditor has no configuration.
    let config = match (&args.report, &args.key) {
        (Some(file), Some(_)) if file.is_file() => None,
        _ => Some(args.place.load()?),
    };
    let file = match &args.report {
        Some(named) if named.is_file() => named.clone(),
        named => in_history(config.as_ref(), named.as_deref())?,
    };
    let bytes =
        std::fs::read(&file).map_err(|error| Report::io("read the report", &file, &error))?;
    if let Some(signed) = SignedEverything::read(&bytes) {
        return whole(args, config.as_ref(), &file, &signed);
    }
    let signed = read_report(&bytes).ok_or_else(|| {
        Report::new(Exit::Integrity, "this is no report, or it was changed since it was signed")
            .at(file.display().to_string())
            .safe("nothing was changed; what it says must not be believed")
            .next("evenkeel drill --level D3   (makes one)")
    })?;
    let expected = match &args.key {
        Some(key) => parse_key(key)?,
        None => expected(config.as_ref(), &signed)?,
    };
    same_signer(&file, &signed.signer, &expected)?;
    let shown = document(&signed);
    if args.json {
        output::document(&shown)?;
        return Ok(Exit::Ok);
    }
    let signer = hex(&signed.signer);
    output::result(&format!("{}\n  genuine: signed by {signer} at {}", words(&shown), shown.time))?;
    Ok(Exit::Ok)
}

/// A report of a drill of everything, which the drill host always signs.
fn whole(
    args: &DrillVerifyArgs,
    config: Option<&Config>,
    file: &Path,
    signed: &SignedEverything,
) -> Result<Exit> {
    let expected = match &args.key {
        Some(key) => parse_key(key)?,
        None => of_drill_host(config.ok_or_else(unknown)?)?,
    };
    same_signer(file, &signed.signer, &expected)?;
    let shown = everything::document(signed);
    if args.json {
        output::document(&shown)?;
        return Ok(Exit::Ok);
    }
    let signer = hex(&signed.signer);
    let words = everything::words(&shown);
    output::result(&format!("{words}\n  genuine: signed by {signer} at {}", shown.time))?;
    Ok(Exit::Ok)
}

fn same_signer(file: &Path, signer: &[u8; 32], expected: &[u8; 32]) -> Result<()> {
    if signer == expected {
        return Ok(());
    }
    let text = format!("it was signed by {}, not by {}", hex(signer), hex(expected));
    Err(Report::new(Exit::WrongKey, text)
        .at(file.display().to_string())
        .safe("nothing was changed; it is nobody's report that counts here")
        .next("evenkeel drill verify REPORT --key HEX   (if that key is another drill host's)"))
}

fn unknown() -> Report {
    Report::new(Exit::Usage, "whose report this has to be is not known")
        .safe("nothing was changed")
        .next("evenkeel drill verify REPORT --key HEX")
}

fn of_drill_host(config: &Config) -> Result<[u8; 32]> {
    match config.drill.report_public_key.as_str() {
        "" => {
            let key = keyfile::read_report_key(&config.drill.report_key_file)?;
            Ok(key.verifying_key().to_bytes())
        }
        text => parse_key(text),
    }
}

/// A report by its number, or the newest.
fn in_history(config: Option<&Config>, named: Option<&Path>) -> Result<PathBuf> {
    let folders = config
        .map(|config| [config.drill.home.join("drills"), config.host.data.join("drills")].to_vec());
    let mut files: Vec<PathBuf> =
        folders.unwrap_or_default().iter().flat_map(|folder| report_files(folder)).collect();
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    if let Some(named) = named {
        files.retain(|file| file.file_stem() == Some(named.as_os_str()));
    }
    files.pop().ok_or_else(|| {
        let what = named.map_or_else(String::new, |named| format!(" `{}`", named.display()));
        Report::new(Exit::NothingYet, format!("there is no report{what} here"))
            .safe("nothing was changed")
            .next("evenkeel drill --level D3   (makes one)")
    })
}

/// Who signs reports of that level here: the drill host, or for D2 the host's writer.
fn expected(config: Option<&Config>, signed: &SignedReport) -> Result<[u8; 32]> {
    let config = config.ok_or_else(unknown)?;
    if signed.report.level == Level::D2 {
        let domain = config.domains.state.as_ref().ok_or_else(unknown)?;
        let certificate = keyfile::read_certificate(&domain.writer_certificate_file)?;
        certificate.verify(&RootPublicKey::parse(&domain.root_public_key)?)?;
        return Ok(certificate.writer);
    }
    of_drill_host(config)
}

fn parse_key(text: &str) -> Result<[u8; 32]> {
    let bytes = unhex(text.trim()).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        Report::new(Exit::Usage, "a public key is 64 hexadecimal digits")
            .safe("nothing was changed")
            .next("it stands in the drill host's report.key, behind `# public:`")
    })
}

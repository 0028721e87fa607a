//! `evenkeel drill verify`: whether a report is genuine, from the report and a public key alone.

use std::path::{Path, PathBuf};

use evenkeel_recovery::{Level, SignedReport, read_report};
use evenkeel_vault::RootPublicKey;

use super::drill_cmd::{document, report_files, words};
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
    if signed.signer != expected {
        let text = format!("it was signed by {}, not by {}", hex(&signed.signer), hex(&expected));
        return Err(Report::new(Exit::WrongKey, text)
            .at(file.display().to_string())
            .safe("nothing was changed; it is nobody's report that counts here")
            .next(
                "evenkeel drill verify REPORT --key HEX   (if that key is another drill host's)",
            ));
    }
    let shown = document(&signed);
    if args.json {
        output::document(&shown)?;
        return Ok(Exit::Ok);
    }
    let signer = hex(&signed.signer);
    output::result(&format!("{}\n  genuine: signed by {signer} at {}", words(&shown), shown.time))?;
    Ok(Exit::Ok)
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
    let unknown = || {
        Report::new(Exit::Usage, "whose report this has to be is not known")
            .safe("nothing was changed")
            .next("evenkeel drill verify REPORT --key HEX")
    };
    let config = config.ok_or_else(unknown)?;
    if signed.report.level == Level::D2 {
        let domain = config.domains.state.as_ref().ok_or_else(unknown)?;
        let certificate = keyfile::read_certificate(&domain.writer_certificate_file)?;
        certificate.verify(&RootPublicKey::parse(&domain.root_public_key)?)?;
        return Ok(certificate.writer);
    }
    match config.drill.report_public_key.as_str() {
        "" => {
            let key = keyfile::read_report_key(&config.drill.report_key_file)?;
            Ok(key.verifying_key().to_bytes())
        }
        text => parse_key(text),
    }
}

fn parse_key(text: &str) -> Result<[u8; 32]> {
    let bytes = unhex(text.trim()).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        Report::new(Exit::Usage, "a public key is 64 hexadecimal digits")
            .safe("nothing was changed")
            .next("it stands in the drill host's report.key, behind `# public:`")
    })
}

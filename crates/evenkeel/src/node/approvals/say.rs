//! Words: what an approver signs, and words that were signed here or elsewhere.

use std::path::Path;

use evenkeel_vault::{Approver, ApproverKey, KindRule, Matter, Statement, Word, publish_word, utc};

use super::held::Held;
use super::listing::{action_document, described, show};
use super::{find, now_ns};
use crate::cli::{ApprovalsMessageArgs, ApprovalsSayArgs, WordArgs, format_time_ns};
use crate::documents::ApprovalsDocument;
use crate::keyfile;
use crate::node::domain::Domain;
use crate::output;
use crate::report::{Exit, Report, Result};

const SECOND_NS: u64 = 1_000_000_000;
/// More is no signature, in whatever form.
const SIGNATURE_FILE_BYTES_MAX: u64 = 4096;

/// `approvals message`.
pub(super) fn run_message(args: &ApprovalsMessageArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let held = Held::read(&config, &domain)?;
    let action = find(&held, &args.action)?;
    let rules = held.rules_of(action.action());
    let document = described("message", &domain, &held);
    let may = |who: &Approver| rules.iter().any(|rule| rule.rule.has(who));
    message(args, &action.action().matter(), may, document, "approvals")
}

/// Prints the text that `args.approver` signs.
///
/// # Errors
/// [`Exit::WrongKey`] if it is no approver.
pub(crate) fn message(
    args: &ApprovalsMessageArgs,
    matter: &Matter,
    may: impl Fn(&Approver) -> bool,
    document: ApprovalsDocument,
    command: &str,
) -> Result<Exit> {
    let approver = Approver::parse(&args.approver)?;
    if !may(&approver) {
        return Err(no_approver(&approver));
    }
    let word = if args.cancel { Word::Cancel } else { Word::Approve };
    let now_ns = now_ns();
    let time_ns = now_ns - now_ns % SECOND_NS;
    let text = matter.text(word, time_ns, &approver);
    let mut written = Vec::new();
    if let Some(out) = &args.out {
        keyfile::write_new(out, text.as_bytes())?;
        written.push(out.display().to_string());
    }
    if args.json {
        output::document(&ApprovalsDocument {
            action: "message".to_owned(),
            message: Some(text),
            message_time: Some(format_time_ns(time_ns)),
            written,
            ..document
        })?;
    } else {
        output::result(text.strip_suffix('\n').unwrap_or(&text))?;
    }
    let option = if command == "prune" { "plan" } else { "action" };
    output::note(&format!(
        "the text ends with a line end, which is signed, too\nnext:  evenkeel {command} {} \
         --{option} {} --approver {approver} --time {} --signature FILE|HEX",
        word.name(),
        args.action,
        utc(time_ns)
    ));
    Ok(Exit::Ok)
}

fn no_approver(approver: &Approver) -> Report {
    Report::new(Exit::WrongKey, format!("{approver} is no approver of this"))
        .safe("nothing was signed")
        .next("evenkeel approvals list   (names the approvers of each kind)")
}

/// `approvals approve` and `approvals cancel`.
pub(super) fn run(args: &ApprovalsSayArgs, word: Word) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let held = Held::read(&config, &domain)?;
    let action = find(&held, &args.action)?;
    let matter = action.action().matter();
    let rules: Vec<&KindRule> = held.rules_of(action.action());
    let may = |who: &Approver| rules.iter().any(|rule| rule.rule.has(who));
    let statement = signed(&args.word, word, &matter, may)?;
    let before = |one: &Statement| one.word == word && one.approver == statement.approver;
    if !action.bundle.statements.iter().any(before) {
        publish_word(&domain.sites(), domain.layout, &matter, &statement)?;
    }
    let held = Held::read(&config, &domain)?;
    let action = find(&held, &action.id.to_string())?;
    let now = action_document(&held, action, now_ns());
    let delayed = now.standing == "delayed";
    let document =
        ApprovalsDocument { actions: vec![now], ..described(word.name(), &domain, &held) };
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    show(&document, true)?;
    if delayed {
        output::note("whoever objects: evenkeel approvals cancel");
    }
    Ok(Exit::Ok)
}

/// The word, signed with the key that was named, or as it was signed elsewhere.
///
/// # Errors
/// [`Exit::WrongKey`] if it is of no approver, or if the approver did not sign exactly the text.
pub(crate) fn signed(
    args: &WordArgs,
    word: Word,
    matter: &Matter,
    may: impl Fn(&Approver) -> bool,
) -> Result<Statement> {
    if let Some(file) = &args.key {
        let key: ApproverKey = keyfile::read_approver_key(file)?;
        if !may(&key.approver()) {
            return Err(no_approver(&key.approver()).at(file.display().to_string()));
        }
        return Ok(key.say(word, matter, now_ns()));
    }
    let (Some(signature), Some(approver), Some(time_ns)) =
        (&args.signature, &args.approver, args.time)
    else {
        return Err(Report::new(
            Exit::Usage,
            "a key, or a signature with approver and time, is needed",
        )
        .safe("nothing was signed")
        .next("evenkeel approvals message --action ACTION --approver WHO"));
    };
    let approver = Approver::parse(approver)?;
    if !may(&approver) {
        return Err(no_approver(&approver));
    }
    let signature = read_signature(signature, approver.signature_bytes())?;
    let said = Statement::signed_elsewhere(word, matter, time_ns, approver, &signature);
    said.map_err(|_| {
        let report = Report::new(Exit::WrongKey, format!("{approver} did not sign this text"))
            .safe("nothing was published; nothing counts that was not signed");
        let text = matter.text(word, time_ns, &approver);
        text.lines().filter(|line| !line.is_empty()).fold(report, Report::detail).next(
            "sign exactly what `message` printed, with its last line end, and give the same --time",
        )
    })
}

/// Hexadecimal digits, or a file that holds them or the bytes.
pub(crate) fn read_signature(text: &str, length_bytes: usize) -> Result<Vec<u8>> {
    let digits = |text: &str| {
        let text = text.trim();
        keyfile::unhex(text.strip_prefix("0x").unwrap_or(text))
    };
    let fits = |bytes: &Vec<u8>| bytes.len() == length_bytes;
    if let Some(bytes) = digits(text).filter(fits) {
        return Ok(bytes);
    }
    let no_signature = || {
        Report::new(Exit::Usage, format!("`{text}` holds no signature of {length_bytes} bytes"))
            .safe("nothing was signed")
            .next("give its hexadecimal digits, or a file that holds them or the bytes")
    };
    let path = Path::new(text);
    let found = std::fs::metadata(path).map_err(|_| no_signature())?;
    if !found.is_file() || found.len() > SIGNATURE_FILE_BYTES_MAX {
        return Err(no_signature());
    }
    let bytes =
        std::fs::read(path).map_err(|error| Report::io("read the signature", path, &error))?;
    let as_text = std::str::from_utf8(&bytes).ok().and_then(digits).filter(fits);
    as_text.or_else(|| Some(bytes).filter(fits)).ok_or_else(no_signature)
}

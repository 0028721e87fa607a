//! `root sign`: where the root key is, in a recovery identity or in a token.

use evenkeel_vault::RootWord;

use super::{described, print, read_request};
use crate::cli::RootSignArgs;
use crate::keyfile::{self, hex};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &RootSignArgs) -> Result<Exit> {
    let request = read_request(&args.request)?;
    let (public, sign) = signer(args)?;
    if public != request.root.to_bytes() {
        return Err(Report::new(Exit::WrongKey, "this is not the root that the request asks for")
            .detail(format!("asked for: {}", request.root))
            .detail(format!("this one:  {}", hex(&public)))
            .safe("nothing was signed"));
    }
    let mut document = described("sign", &request, |_| None);
    crate::init::make_folder(&args.out)?;
    for (at, word) in request.words.iter().enumerate() {
        let signature = sign(word)?;
        if word.clone().signed(signature, &request.root).is_none() {
            return Err(Report::new(Exit::Integrity, "the key made a signature that is not right")
                .safe("it was not written"));
        }
        let file = args.out.join(format!("{}.signature", at + 1));
        keyfile::write_new(&file, format!("{}\n", hex(&signature)).as_bytes())?;
        document.written.push(file.display().to_string());
    }
    print(&document, args.json)?;
    output::note(&format!(
        "next:  evenkeel root accept {} --signatures {}   (where it was asked for)",
        args.request.display(),
        args.out.display()
    ));
    Ok(Exit::Ok)
}

type Sign = Box<dyn Fn(&RootWord) -> Result<[u8; 64]>>;

fn signer(args: &RootSignArgs) -> Result<([u8; 32], Sign)> {
    if let Some(file) = &args.key {
        let key = keyfile::read_writer_key(file)?;
        let sign = move |word: &RootWord| key.sign(&word.message()).map_err(Report::from);
        return Ok((keyfile::read_writer_key(file)?.public(), Box::new(sign)));
    }
    let file = args.identity.as_deref().ok_or_else(|| {
        Report::new(Exit::Usage, "a root key is needed").next("--identity FILE, or --key FILE")
    })?;
    let recovery = keyfile::read_recovery_identity(file)?;
    let public = recovery.root_public().to_bytes();
    Ok((public, Box::new(move |word| Ok(recovery.sign_word(word)))))
}

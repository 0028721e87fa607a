//! A scratch folder on a disk that keeps no plaintext: gocryptfs over a key that is nobody's.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::keyfile::hex;
use crate::report::{Exit, Report, Result};

const PROGRAM: &str = "gocryptfs";
/// What reaches the disk, and where it is open while it is mounted.
const SEALED: &str = "sealed";
const OPEN: &str = "open";
/// What the program complained of.
const SAID: &str = "said";

/// Lays an encrypted folder out in an empty one, opens it, and gives the open one. Its passphrase
/// is drawn here and kept nowhere: once it is closed nobody opens it again. With `others`, those to
/// whom the administrator hands folders in it over reach them.
///
/// # Errors
/// [`Exit::Failed`] if the program is missing or refuses.
pub(in super::super) fn open(folder: &Path, others: bool) -> Result<PathBuf> {
    let (sealed, open) = (folder.join(SEALED), folder.join(OPEN));
    for one in [&sealed, &open] {
        let made = DirBuilder::new().mode(0o700).create(one);
        made.map_err(|error| Report::io("make the scratch folder", one, &error))?;
    }
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice())
        .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
    let passphrase = Zeroizing::new(hex(key.as_slice()));
    // The passphrase is as random as a key: nothing is gained by making guesses at it dear.
    let mut init = Command::new(PROGRAM);
    run(init.args(["-init", "-q", "-scryptn", "10"]).arg(&sealed), &passphrase, folder)?;
    let mut mount = Command::new(PROGRAM);
    mount.args(["-q", "-noprealloc"]);
    if others {
        mount.arg("-allow_other");
    }
    run(mount.arg(&sealed).arg(&open), &passphrase, folder)?;
    match is_mounted(&open) {
        true => Ok(open),
        false => Err(refused(folder, "it is not there after it was mounted")),
    }
}

/// Whether a folder was laid out for [`open`]: what is in it on the disk nobody can read.
pub(super) fn is_sealed(folder: &Path) -> bool {
    folder.join(SEALED).is_dir()
}

/// Closes what [`open`] opened in a folder: the program that has the key ends with it.
pub(in super::super) fn close(folder: &Path) {
    let open = folder.join(OPEN);
    let ways: [(&str, &[&str]); 3] =
        [("fusermount3", &["-u", "-z"]), ("fusermount", &["-u", "-z"]), ("umount", &["-l"])];
    for (program, arguments) in ways {
        if !is_mounted(&open) {
            return;
        }
        let mut command = Command::new(program);
        let command = command.args(arguments).arg(&open);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// What is there but cannot be looked at is one as well: its program was killed, or what it showed
/// was moved.
fn is_mounted(open: &Path) -> bool {
    let Some(above) = open.parent() else { return false };
    let named = |entry: std::io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| Some(entry.file_name().as_os_str()) == open.file_name())
    };
    let Ok(found) = fs::metadata(above) else { return false };
    match fs::metadata(open) {
        Ok(inside) => inside.dev() != found.dev(),
        Err(_) => fs::read_dir(above).is_ok_and(|mut entries| entries.any(named)),
    }
}

fn run(command: &mut Command, passphrase: &str, folder: &Path) -> Result<()> {
    let said = folder.join(SAID);
    // A file: the program goes on in the background, and would hold a pipe open.
    let errors = File::create(&said).map_err(|error| Report::io("write", &said, &error))?;
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
    let mut child = command.spawn().map_err(|error| refused(folder, &error.to_string()))?;
    let asked = child.stdin.take().map_or(Ok(()), |mut input| writeln!(input, "{passphrase}"));
    let ended = child.wait();
    match (asked, ended) {
        (Ok(()), Ok(status)) if status.success() => Ok(()),
        _ => Err(refused(folder, fs::read_to_string(&said).unwrap_or_default().trim())),
    }
}

fn refused(folder: &Path, why: &str) -> Report {
    Report::new(Exit::Failed, format!("the scratch folder cannot be encrypted: {why}"))
        .at(folder.display().to_string())
        .safe("nothing was restored")
        .next("apt install gocryptfs fuse3   (it needs /dev/fuse)")
        .next("or keep it in memory: drill.scratch = \"/dev/shm\", drill.scratch_encrypted = false")
}

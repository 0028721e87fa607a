//! Laying out a data folder with which a server recovers to the target.
//!
//! ```text
//!  TO/data          the data folder; start the server of the same major version on it
//!  TO/wal           the log that it recovers from
//!  TO/tablespaces   what lay outside the data folder
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::base::Base;
use super::error::{Error, Result, io_error};
use super::holdings::{Holdings, Plan};
use super::lsn::segment_name;
use super::tar::{Archive, EntryKind};

/// What was laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidOut {
    /// The data folder.
    pub data: PathBuf,
    /// Files of the data folder and the tablespaces.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments of the log.
    pub segments: u64,
    /// The folder had no `postgresql.conf`: a small one was written.
    pub own_configuration: bool,
}

/// Lays out a plan into a new or empty folder. After a failure what was written is there still.
///
/// # Errors
/// [`Error::Occupied`]; [`Error::Damaged`] if an archive is not what was taken; whatever the
/// system says.
pub fn lay_out(holdings: &Holdings, plan: &Plan, to: &Path) -> Result<LaidOut> {
    let to = std::path::absolute(to).map_err(io_error("resolve", to))?;
    if fs::read_dir(&to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::Occupied { path: to });
    }
    let command = restore_command(&to)?;
    let (data, wal) = (to.join("data"), to.join("wal"));
    for folder in [&to, &data, &wal] {
        make_folder(folder)?;
    }
    let mut laid =
        LaidOut { data: data.clone(), files: 0, bytes: 0, segments: 0, own_configuration: false };
    extract(&plan.base.archive(), &data, &mut laid)?;
    let mut map = String::new();
    for one in &plan.base.tablespaces {
        let folder = to.join("tablespaces").join(one.oid.to_string());
        make_folder(&folder)?;
        extract(&plan.base.tablespace_archive(one.oid), &folder, &mut laid)?;
        // The server makes it anew from the map; whoever compares the manifest needs it before.
        let link = data.join("pg_tblspc").join(one.oid.to_string());
        std::os::unix::fs::symlink(&folder, &link).map_err(io_error("link", &link))?;
        map.push_str(&format!("{} {}\n", one.oid, folder.display()));
    }
    if !map.is_empty() {
        write(&data.join("tablespace_map"), &map)?;
    }
    copy_log(holdings, plan, &wal, &mut laid)?;
    configure(plan, &data, &command, &mut laid)?;
    let folder = File::open(&to).map_err(io_error("open", &to))?;
    rustix::fs::syncfs(&folder).map_err(|error| io_error("sync", &to)(error.into()))?;
    Ok(laid)
}

/// The command stands in quotes of the shell in quotes of a configuration file.
fn restore_command(to: &Path) -> Result<String> {
    let text = to.to_str().filter(|text| !text.contains(['\'', '%', '\\', '\n']));
    let text = text.ok_or_else(|| Error::NotCovered {
        what: format!("{}: a server cannot be given a path with such characters", to.display()),
        windows: "the same into another folder".to_owned(),
    })?;
    Ok(format!("cp ''{text}/wal/%f'' \"%p\""))
}

fn make_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(io_error("create", path))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(io_error("write", path))
}

fn extract(archive: &Path, into: &Path, laid: &mut LaidOut) -> Result<()> {
    let file = File::open(archive).map_err(io_error("open", archive))?;
    let mut entries = Archive::new(io::BufReader::with_capacity(1 << 20, file));
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::Damaged { path: archive.to_path_buf(), detail: error.to_string() }
        }
        _ => io_error("read", archive)(error),
    };
    while let Some(entry) = entries.next_entry().map_err(failed)? {
        let path = into.join(&entry.path);
        match entry.kind {
            EntryKind::Folder => make_folder(&path)?,
            // Tablespaces get their new places by `tablespace_map`.
            EntryKind::Link => {}
            EntryKind::File(bytes) => {
                if let Some(parent) = path.parent() {
                    make_folder(parent)?;
                }
                let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
                let mut file = made.map_err(io_error("create", &path))?;
                io::copy(&mut entries, &mut file).map_err(failed)?;
                laid.files += 1;
                laid.bytes += bytes;
            }
        }
    }
    Ok(())
}

/// Segments under their own names and in full length: zeros end a log.
fn copy_log(holdings: &Holdings, plan: &Plan, wal: &Path, laid: &mut LaidOut) -> Result<()> {
    let size = holdings.cluster.segment_bytes;
    for segment in &plan.segments {
        let from = holdings.segment_file(segment);
        let name = segment_name(segment.timeline, segment.number, size);
        let to = wal.join(name);
        let opened = File::open(&from).map_err(io_error("open", &from))?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
        let mut into = made.map_err(io_error("create", &to))?;
        let copied = io::copy(&mut opened.take(size), &mut into);
        copied.and_then(|_| into.set_len(size)).map_err(io_error("write", &to))?;
        laid.segments += 1;
    }
    for from in holdings.history_files()? {
        let to = wal.join(from.file_name().unwrap_or_default());
        fs::copy(&from, &to).map_err(io_error("copy", &from))?;
    }
    Ok(())
}

fn configure(plan: &Plan, data: &Path, command: &str, laid: &mut LaidOut) -> Result<()> {
    let path = data.join("postgresql.conf");
    if !path.exists() {
        laid.own_configuration = true;
        write(&path, &small_configuration(&plan.base))?;
        let access = data.join("pg_hba.conf");
        if !access.exists() {
            write(
                &access,
                "# Whom the server lets in: nobody but local users by their name.\n\
                            local all all peer\n",
            )?;
        }
    }
    let path = data.join("postgresql.auto.conf");
    let had = fs::read_to_string(&path).unwrap_or_default();
    // Two targets at once are an error, and what was captured may have been recovered itself.
    let kept = had.lines().filter(|line| !line.trim_start().starts_with("recovery_target"));
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    text.push_str(&recovery_settings(plan, command));
    write(&path, &text)?;
    // A copy of a standby carries the signal of one.
    match fs::remove_file(data.join("standby.signal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &data.join("standby.signal"))(error));
        }
        _ => {}
    }
    write(&data.join("recovery.signal"), "")
}

/// Where the system keeps a server's configuration outside its data folder, only what recovery
/// depends on is known.
fn small_configuration(base: &Base) -> String {
    let mut text =
        "# The captured data folder held no postgresql.conf (Debian keeps it in /etc).\n\
                    # These are the values of the captured server that recovery depends on.\n"
            .to_owned();
    for (name, value) in &base.settings {
        text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
    }
    text
}

fn recovery_settings(plan: &Plan, command: &str) -> String {
    let mut text = format!(
        "\n# Recovery, laid out by evenkeel; once the server has recovered, these lines may go.\n\
         restore_command = '{command}'\nrecovery_target_timeline = '{}'\n\
         recovery_target_inclusive = 'on'\nrecovery_target_action = 'promote'\n",
        plan.timeline
    );
    if let Some((name, value)) = &plan.stop {
        text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
    }
    // A copy must not write into the archive of what it is a copy of, nor wait for its standbys.
    text.push_str(
        "archive_mode = 'off'\nprimary_conninfo = ''\nprimary_slot_name = ''\n\
         synchronous_standby_names = ''\n",
    );
    text
}

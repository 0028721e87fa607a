//! Base backups: the server's files as archives, over the replication connection.
//!
//! The protocol's own command is spoken rather than `pg_basebackup` run: no program of the
//! server's version has to be on this machine, and nothing is written that is not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::connection::Login;
use super::error::{Error, Result, io_error};
use super::follow::Board;
use super::journal::{Happening, Kind};
use super::lsn::{Lsn, Timeline};
use super::replication::Replication;
use super::store::{BASE, Cluster, Store, fields};
use crate::sqlite::Clock;

const INFO: &str = "info";
const PART: &str = ".part";
/// How long the log may lag behind a base backup before that is given up.
const LOG_WAIT_MAX: Duration = Duration::from_secs(300);
/// A standby that recovers needs at least the primary's values of these.
const SETTINGS: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// A tablespace outside the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tablespace {
    /// Its number, which names its archive.
    pub oid: u32,
    /// Where it was.
    pub location: String,
}

/// A whole base backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Counts base backups of this capture.
    pub number: u64,
    /// The timeline it began on.
    pub timeline: Timeline,
    /// From here on the log is needed with it.
    pub start: Lsn,
    /// From here on it can be used.
    pub end: Lsn,
    /// When it was begun: nanoseconds since 1970 UTC.
    pub begun_ns: u64,
    /// When it was whole, by the server's clock as far as that is known.
    pub ended_ns: u64,
    /// Version of the server.
    pub version: String,
    /// Settings that recovery depends on.
    pub settings: Vec<(String, String)>,
    /// Tablespaces outside the data folder.
    pub tablespaces: Vec<Tablespace>,
    /// Its folder.
    pub folder: PathBuf,
}

impl Base {
    fn to_text(&self) -> String {
        let Self { timeline, start, end, begun_ns, ended_ns, version, .. } = self;
        let mut text = format!(
            "timeline {timeline}\nstart {start}\nend {end}\nbegun_ns {begun_ns}\nended_ns \
             {ended_ns}\nversion {version}\n"
        );
        for (name, value) in &self.settings {
            text.push_str(&format!("setting.{name} {value}\n"));
        }
        for one in &self.tablespaces {
            text.push_str(&format!("tablespace.{} {}\n", one.oid, one.location));
        }
        text
    }

    fn parse(number: u64, text: &str, folder: &Path) -> Option<Self> {
        let fields = fields(text);
        let with = |prefix: &str| {
            let pairs = fields.iter();
            let found =
                pairs.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, *value)));
            found.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        let tablespaces = with("tablespace.");
        let tablespaces = tablespaces
            .into_iter()
            .filter_map(|(oid, location)| Some(Tablespace { oid: oid.parse().ok()?, location }));
        Some(Self {
            number,
            timeline: fields.get("timeline")?.parse().ok()?,
            start: fields.get("start")?.parse().ok()?,
            end: fields.get("end")?.parse().ok()?,
            begun_ns: fields.get("begun_ns")?.parse().ok()?,
            ended_ns: fields.get("ended_ns")?.parse().ok()?,
            version: (*fields.get("version")?).to_owned(),
            settings: with("setting."),
            tablespaces: tablespaces.collect(),
            folder: folder.to_path_buf(),
        })
    }

    /// The archive of the data folder.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.folder.join("base.tar")
    }

    /// The archive of a tablespace.
    #[must_use]
    pub fn tablespace_archive(&self, oid: u32) -> PathBuf {
        self.folder.join(format!("{oid}.tar"))
    }

    /// What every file's checksum was, in PostgreSQL's own form.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.folder.join("backup_manifest")
    }
}

/// The whole base backups in a capture's folder, oldest first.
///
/// # Errors
/// [`Error::Damaged`] if one says nothing about itself; whatever the system says.
pub fn bases(folder: &Path) -> Result<Vec<Base>> {
    let dir = folder.join(BASE);
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).map_err(io_error("list", &dir))? {
        let entry = entry.map_err(io_error("list", &dir))?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<u64>().ok()) else {
            continue;
        };
        let path = entry.path().join(INFO);
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let base = Base::parse(number, &text, &entry.path()).ok_or_else(|| Error::Damaged {
            path,
            detail: "it does not describe a base backup".to_owned(),
        })?;
        found.push(base);
    }
    found.sort_by_key(|base| base.number);
    Ok(found)
}

/// Takes a base backup. The log from its beginning on has to be captured meanwhile.
///
/// It counts once the log up to its end is durable here, which `board` tells.
///
/// # Errors
/// What the server says; [`Error::OtherCluster`]; whatever the system says. Nothing of it counts
/// then.
pub fn take_base(store: &Store, login: &Login, clock: &dyn Clock, board: &Board) -> Result<Base> {
    let dir = store.folder().join(BASE);
    remove_unfinished(&dir)?;
    let mut replication = Replication::open(login)?;
    let server = replication.server().to_owned();
    let system = replication.identify()?;
    store.bind(&system, &server)?;
    let mut settings = Vec::new();
    for name in SETTINGS {
        settings.push((name.to_owned(), replication.show(name)?));
    }
    let number = bases(store.folder())?.last().map_or(1, |last| last.number + 1);
    let (whole, part) = (dir.join(format!("{number:08}")), dir.join(format!("{number:08}{PART}")));
    fs::create_dir(&part).map_err(io_error("create", &part))?;
    let begun_ns = clock.now_ns();
    let mut receiving = Receiving { folder: part.clone(), file: None };
    let found = receive(&mut replication, &mut receiving);
    let found = found.inspect_err(|_| {
        // The next one removes it otherwise.
        let _ = fs::remove_dir_all(&part);
    })?;
    let base = Base {
        number,
        timeline: found.timeline,
        start: found.start,
        end: found.end,
        begun_ns,
        ended_ns: clock.now_ns().saturating_add_signed(board.progress().server_ahead_ns),
        version: system.version,
        settings,
        tablespaces: found.tablespaces,
        folder: whole.clone(),
    };
    await_log(login, board, found.end, &server).inspect_err(|_| {
        let _ = fs::remove_dir_all(&part);
    })?;
    let info = part.join(INFO);
    let mut file = create(&info)?;
    let written = file.write_all(base.to_text().as_bytes()).and_then(|()| file.sync_all());
    written.map_err(io_error("write", &info))?;
    sync_folder(&part)?;
    fs::rename(&part, &whole).map_err(io_error("rename", &part))?;
    sync_folder(&dir)?;
    store.note(Happening {
        time_ns: base.ended_ns,
        kind: Kind::Base,
        timeline: base.timeline,
        lsn: base.end,
        detail: format!("number {number} from {}", base.start),
    })?;
    Ok(base)
}

/// Removes base backups but the newest `keep`, and the log that only they needed.
///
/// # Errors
/// Whatever the system says.
pub fn remove_old(store: &Store, cluster: &Cluster, keep: usize) -> Result<u64> {
    let all = bases(store.folder())?;
    let excess = all.len().saturating_sub(keep.max(1));
    for base in &all[..excess] {
        // By its other name it does not count any more, should this be interrupted.
        let gone = base.folder.with_extension("part");
        fs::rename(&base.folder, &gone).map_err(io_error("rename", &base.folder))?;
        fs::remove_dir_all(&gone).map_err(io_error("remove", &gone))?;
    }
    match all.get(excess) {
        Some(oldest) if excess > 0 => {
            let segment = oldest.start.segment(cluster.segment_bytes);
            store.remove_wal_before(segment, cluster.segment_bytes)
        }
        _ => Ok(0),
    }
}

/// Without the log up to its end, a base backup can be used for nothing.
fn await_log(login: &Login, board: &Board, end: Lsn, server: &str) -> Result<()> {
    let begun = Instant::now();
    while board.progress().durable < end {
        if (login.stop)() {
            return Err(Error::Stopped);
        }
        if begun.elapsed() > LOG_WAIT_MAX {
            let detail =
                format!("the log up to {end} did not come, so its base backup is of no use");
            return Err(Error::Unreachable { server: server.to_owned(), detail });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn remove_unfinished(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let path = entry.map_err(io_error("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(io_error("create", path))
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(io_error("sync", folder))
}

struct Found {
    timeline: Timeline,
    start: Lsn,
    end: Lsn,
    tablespaces: Vec<Tablespace>,
}

/// The archive that is being written.
struct Receiving {
    folder: PathBuf,
    file: Option<(BufWriter<File>, PathBuf)>,
}

impl Receiving {
    fn begin(&mut self, name: &str) -> Result<()> {
        self.end()?;
        let path = self.folder.join(name);
        self.file = Some((BufWriter::with_capacity(1 << 20, create(&path)?), path));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some((file, path)) => file.write_all(bytes).map_err(io_error("write", path)),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<()> {
        if let Some((mut file, path)) = self.file.take() {
            let synced = file.flush().and_then(|()| file.get_ref().sync_all());
            synced.map_err(io_error("write", &path))?;
        }
        Ok(())
    }
}

fn receive(replication: &mut Replication, receiving: &mut Receiving) -> Result<Found> {
    let connection = replication.connection();
    // The checkpoint is hurried: a first recovery point should not wait for minutes. What the
    // server reads is limited by how fast we take it.
    connection.begin_query(
        "BASE_BACKUP (LABEL 'evenkeel', CHECKPOINT 'fast', WAIT false, TABLESPACE_MAP true, \
         MANIFEST 'yes')",
    )?;
    let mut places: Vec<(Lsn, Timeline)> = Vec::new();
    let mut tablespaces = Vec::new();
    loop {
        let message = connection.expect()?;
        match message.tag {
            b'D' => {
                let row = connection.row(&message.body)?;
                let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
                // Positions have two columns, tablespaces three; the data folder has no number.
                if let (3, Ok(oid)) = (row.len(), text(0).parse()) {
                    tablespaces.push(Tablespace { oid, location: text(1) });
                } else if let (2, Ok(lsn), Ok(timeline)) =
                    (row.len(), text(0).parse(), text(1).parse())
                {
                    places.push((lsn, timeline));
                }
            }
            b'd' => {
                let Some((kind, rest)) = message.body.split_first() else {
                    continue;
                };
                match kind {
                    b'n' => {
                        let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                        let name = archive_name(name);
                        let name = name.ok_or_else(|| connection.protocol("an archive's name"))?;
                        receiving.begin(&name)?;
                    }
                    b'm' => receiving.begin("backup_manifest")?,
                    b'd' => receiving.write(rest)?,
                    _ => {}
                }
            }
            b'c' => receiving.end()?,
            b'Z' => break,
            _ => {}
        }
    }
    match places.as_slice() {
        [(start, timeline), (end, _)] if start <= end => {
            Ok(Found { timeline: *timeline, start: *start, end: *end, tablespaces })
        }
        _ => Err(connection.protocol("a base backup without its positions")),
    }
}

/// `base.tar` or `16400.tar`: nothing else becomes the name of a file here.
fn archive_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let stem = name.strip_suffix(".tar")?;
    (stem == "base" || stem.parse::<u32>().is_ok()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_base_backup_says_of_itself_reads_back() {
        let base = Base {
            number: 3,
            timeline: 2,
            start: Lsn(0x300_0028),
            end: Lsn(0x300_0100),
            begun_ns: 5,
            ended_ns: 9,
            version: "15.18 (Debian 15.18-0+deb12u1)".to_owned(),
            settings: vec![("max_connections".to_owned(), "100".to_owned())],
            tablespaces: vec![Tablespace { oid: 16400, location: "/srv/fast disk".to_owned() }],
            folder: "/x/00000003".into(),
        };
        let read = Base::parse(3, &base.to_text(), Path::new("/x/00000003"));
        assert_eq!(read, Some(base));
    }

    #[test]
    fn a_server_cannot_choose_where_its_files_go() {
        assert_eq!(archive_name(b"base.tar").as_deref(), Some("base.tar"));
        assert_eq!(archive_name(b"16400.tar").as_deref(), Some("16400.tar"));
        for wrong in [&b"../base.tar"[..], b"info", b".tar", b"1/2.tar", b"backup_manifest"] {
            assert_eq!(archive_name(wrong), None);
        }
    }
}

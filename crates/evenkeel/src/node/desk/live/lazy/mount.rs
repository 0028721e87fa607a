//! A folder that shows databases while they come back (Linux FUSE).
//!
//! One file for each, which any program opens, and `STATUS`, which says what is proven of them.
//! Only whoever mounted it can look into it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use evenkeel_capture::parcel::name_of;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEntry, ReplyOpen, Request,
};
use rustix::io::Errno as SystemErrno;

use super::super::super::super::observed::lock;
use super::LazyDatabase;
use crate::output;
use crate::report::{Exit, Report, Result};

const DEVICE: &str = "/dev/fuse";
const UNMOUNT: &str = "fusermount3";
const STATUS: &str = "STATUS";
const STATUS_INODE: u64 = 2;
const FIRST_INODE: u64 = 3;
/// Requests that are worked on at once.
const THREADS: usize = 4;
/// A database shown here does not change.
const FOREVER: Duration = Duration::from_secs(3600);

/// Refuses a folder that cannot show anything, before anything is read from the sites. A dead
/// mount that a killed run left there is taken away.
///
/// # Errors
/// [`Exit::Usage`] for a folder that is not empty or lies in `to`; [`Exit::Failed`] where this
/// machine has no FUSE.
pub(crate) fn refuse_unmountable(folder: &Path, to: &Path) -> Result<()> {
    let is_device = fs::metadata(DEVICE).is_ok_and(|meta| meta.file_type().is_char_device());
    let is_root = rustix::process::geteuid().is_root();
    if !is_device || !(is_root || can_run(UNMOUNT)) {
        let missing = if is_device { UNMOUNT } else { DEVICE };
        return Err(Report::new(Exit::Failed, format!("this machine has no {missing}"))
            .detail("a database is shown before it is whole through FUSE (package fuse3)")
            .safe("nothing was read and nothing was written")
            .next("apt-get install fuse3")
            .next("the same command without --lazy   (the whole first, then the queries)"));
    }
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if whole(folder).starts_with(whole(to)) {
        return Err(unusable(folder, "it lies in the folder to restore into"));
    }
    let mut entries = fs::read_dir(folder);
    if entries.as_ref().is_err_and(is_dead_mount) {
        unmount(folder);
        entries = fs::read_dir(folder);
    }
    match entries.map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unusable(folder, "it is not empty")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Report::io("look into the folder for --lazy", folder, &error)),
    }
}

/// Whether a program that ended had mounted it.
fn is_dead_mount(error: &io::Error) -> bool {
    error.raw_os_error() == Some(SystemErrno::NOTCONN.raw_os_error())
}

fn can_run(program: &str) -> bool {
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    quiet(Command::new(program).arg("-V")).is_ok()
}

fn unusable(folder: &Path, why: &str) -> Report {
    Report::new(Exit::Usage, format!("the folder for --lazy cannot be used: {why}"))
        .at(folder.display().to_string())
        .safe("nothing was read and nothing was written")
        .next("name a new or empty folder: --lazy DIR")
}

/// Takes a mount away, also while somebody reads there: they get errors from then on.
fn unmount(folder: &Path) {
    let quiet = |program: &str, options: &[&str]| {
        let mut command = Command::new(program);
        command.args(options).arg(folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|one| one.success())
    };
    // Where the helper is missing only root could mount, and root has the other.
    let _ = quiet(UNMOUNT, &["-u", "-z", "--"]) || quiet("umount", &["-l", "--"]);
}

/// A mount; it ends with this.
pub(crate) struct Mounted {
    folder: PathBuf,
    was_made: bool,
    session: Option<BackgroundSession>,
}

impl Mounted {
    /// Shows databases in a folder, which is made if it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn begin(
        folder: &Path,
        databases: &[Arc<LazyDatabase>],
        status: Box<dyn Fn() -> String + Send + Sync>,
    ) -> Result<Self> {
        let was_made = !folder.exists();
        let failed = |error: io::Error| {
            Report::io("mount", folder, &error)
                .next("the same command without --lazy   (the whole first, then the queries)")
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let owner = fs::metadata(folder).map_err(failed)?;
        let shown = Shown {
            entries: names(databases).into_iter().zip(databases.iter().cloned()).collect(),
            status,
            owner: (owner.uid(), owner.gid()),
            since: SystemTime::now(),
            said: Mutex::default(),
        };
        let name = |text: &str| text.to_owned();
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        config.mount_options = vec![
            MountOption::RO,
            MountOption::FSName(name("evenkeel")),
            MountOption::DefaultPermissions,
            MountOption::NoDev,
            MountOption::NoSuid,
            MountOption::NoExec,
        ];
        let session = fuser::spawn_mount(shown, folder, &config).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), was_made, session: Some(session) })
    }

    /// Where a database is shown.
    pub(crate) fn files(&self, databases: &[Arc<LazyDatabase>]) -> Vec<PathBuf> {
        names(databases).iter().map(|name| self.folder.join(name)).collect()
    }

    /// Whether nobody has taken it away.
    pub(crate) fn is_there(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.guard.is_finished())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_there() {
            unmount(&self.folder);
        }
        // Not waited for: who still reads there would keep it.
        drop(self.session.take());
        if self.was_made {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// The name of each database in the folder: its own, where no other has the same.
fn names(databases: &[Arc<LazyDatabase>]) -> Vec<String> {
    let own = |one: &LazyDatabase| {
        let name = one.database.file_name().map(|name| name.to_string_lossy().into_owned());
        name.filter(|name| name != STATUS).unwrap_or_else(|| name_of(&one.database))
    };
    let mut taken = BTreeSet::new();
    let named = databases.iter().map(|one| {
        let name = own(one);
        match taken.insert(name.clone()) {
            true => name,
            false => format!("{}-{name}", name_of(&one.database)),
        }
    });
    named.collect()
}

/// What is shown.
struct Shown {
    entries: Vec<(String, Arc<LazyDatabase>)>,
    status: Box<dyn Fn() -> String + Send + Sync>,
    owner: (u32, u32),
    since: SystemTime,
    /// What went wrong is said once, not for every page.
    said: Mutex<BTreeSet<String>>,
}

impl Shown {
    fn database(&self, inode: u64) -> Option<&LazyDatabase> {
        let at = usize::try_from(inode.checked_sub(FIRST_INODE)?).ok()?;
        self.entries.get(at).map(|(_, database)| database.as_ref())
    }

    fn attributes(&self, inode: u64) -> Option<(FileAttr, Duration)> {
        let (kind, size, lasts) = match inode {
            1 => (FileType::Directory, 0, FOREVER),
            STATUS_INODE => (FileType::RegularFile, (self.status)().len() as u64, Duration::ZERO),
            _ => (FileType::RegularFile, self.database(inode)?.bytes(), FOREVER),
        };
        let is_folder = kind == FileType::Directory;
        let attributes = FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: self.since,
            mtime: self.since,
            ctime: self.since,
            crtime: self.since,
            kind,
            perm: if is_folder { 0o500 } else { 0o400 },
            nlink: if is_folder { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        };
        Some((attributes, lasts))
    }

    fn inode(&self, name: &OsStr) -> Option<u64> {
        if name == STATUS {
            return Some(STATUS_INODE);
        }
        let at = self.entries.iter().position(|(one, _)| OsStr::new(one) == name)?;
        Some(FIRST_INODE + at as u64)
    }

    fn bytes(&self, inode: u64, offset: u64, length_bytes: u32) -> Result<Vec<u8>, Errno> {
        if inode == STATUS_INODE {
            let text = (self.status)().into_bytes();
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
            return Ok(text[from..].iter().copied().take(length_bytes as usize).collect());
        }
        let database = self.database(inode).ok_or(Errno::ENOENT)?;
        database.read(offset, length_bytes).map_err(|report| {
            let said = report.message().to_owned();
            if lock(&self.said).insert(said.clone()) {
                output::note(&format!("a query gets an error of reading: {said}"));
            }
            Errno::EIO
        })
    }
}

impl Filesystem for Shown {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let inode = self.inode(name).filter(|_| parent == INodeNo::ROOT);
        match inode.and_then(|inode| self.attributes(inode)) {
            Some((attributes, lasts)) => reply.entry(&lasts, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode.0) {
            Some((attributes, lasts)) => reply.attr(&lasts, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let how = match inode.0 {
            STATUS_INODE => FopenFlags::FOPEN_DIRECT_IO,
            _ => FopenFlags::FOPEN_KEEP_CACHE,
        };
        reply.opened(FileHandle(0), how);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size_bytes: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.bytes(inode.0, offset, size_bytes) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if inode != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let folders = [(1, FileType::Directory, "."), (1, FileType::Directory, "..")];
        let status = [(STATUS_INODE, FileType::RegularFile, STATUS)];
        let databases = self.entries.iter().zip(FIRST_INODE..);
        let databases = databases.map(|((name, _), at)| (at, FileType::RegularFile, name.as_str()));
        let all = folders.into_iter().chain(status).chain(databases).zip(1_u64..);
        for ((inode, kind, name), next) in all.skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(INodeNo(inode), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}

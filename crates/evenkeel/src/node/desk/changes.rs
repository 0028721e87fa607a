//! Protected files and folders that are watched, so that a recovery point follows a change within
//! seconds instead of at the next interval (inotify(7)). The interval stays: what the system cannot
//! watch is in the next point all the same.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_capture::files::Globs;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::config::Config;

/// Deeper folders are not watched.
const DEPTH_MAX: usize = 64;
/// The system's own bound is usually lower, and told when it is met.
const WATCHES_MAX: usize = 500_000;
const BUFFER_BYTES: usize = 64 << 10;
/// What is read at once: who writes faster than it is read must not hold the loop up.
const EVENTS_MAX: usize = 100_000;
/// While changes go on, a point is made after so many times the pause that is waited for.
const PATIENCE: u32 = 5;
/// File systems on which others change files without this system being told (linux/magic.h, and
/// cifs): NFS, SMB, CIFS, SMB2, FUSE, 9p, Ceph.
const REMOTE: [i128; 7] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400];
/// What programs of SQLite keep beside a database: the database is captured as a whole.
const BESIDE_DATABASES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What is watched.
pub(super) struct Changes {
    settle: Duration,
    excludes: Globs,
    own: Vec<PathBuf>,
    /// Single files: the folder around each is watched, and the others in it do not count.
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    descriptor: Option<OwnedFd>,
    watched: BTreeMap<i32, PathBuf>,
    /// When the first and the last change was seen since the last point.
    seen: Option<(Instant, Instant)>,
    /// Why not everything is watched.
    lost: Option<String>,
}

impl Changes {
    /// Begins to watch what the configuration protects.
    pub(super) fn begin(config: &Config) -> Self {
        let patterns: Vec<&String> = config.files.exclude.iter().collect();
        let sites = config.sites.iter().filter_map(|site| site.folder().map(Path::to_path_buf));
        let (folders, files) = config.files.paths.iter().cloned().partition(|path| path.is_dir());
        let mut changes = Self {
            settle: Duration::from_secs(config.files.settle_seconds),
            excludes: Globs::new(&patterns).unwrap_or_default(),
            own: sites.chain([config.host.data.clone(), config.drill.home.clone()]).collect(),
            files,
            folders,
            descriptor: None,
            watched: BTreeMap::new(),
            seen: None,
            lost: None,
        };
        if !changes.settle.is_zero() {
            changes.watch_all();
        }
        changes
    }

    /// Why the interval alone counts for some or all of it; none if all is watched, or if that was
    /// switched off.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Forgets what was seen: a point begins now.
    pub(super) fn clear(&mut self) {
        self.look(&|_| false);
        self.seen = None;
    }

    /// Whether a point is due; `is_followed` are databases that are captured as they change.
    pub(super) fn are_due(&mut self, is_followed: &dyn Fn(&Path) -> bool) -> bool {
        self.look(is_followed);
        self.seen.is_some_and(|(first, last)| {
            last.elapsed() >= self.settle || first.elapsed() >= self.settle * PATIENCE
        })
    }

    fn watch_all(&mut self) {
        // What was watched before goes with its descriptor.
        self.descriptor = None;
        self.watched.clear();
        self.lost = None;
        match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
            Ok(descriptor) => self.descriptor = Some(descriptor),
            Err(error) => {
                self.lost = Some(format!("this system watches nothing: {error}"));
                return;
            }
        }
        for folder in self.folders.clone() {
            self.watch(&folder, 0);
        }
        for file in self.files.clone() {
            if let Some(folder) = file.parent() {
                self.watch_one(folder);
            }
        }
    }

    fn watch(&mut self, folder: &Path, depth: usize) {
        if depth >= DEPTH_MAX || self.is_left_out(folder, true) || !self.watch_one(folder) {
            return;
        }
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.watch(&entry.path(), depth + 1);
            }
        }
    }

    fn watch_one(&mut self, folder: &Path) -> bool {
        let Some(descriptor) = &self.descriptor else { return false };
        let kind = rustix::fs::statfs(folder).map(|found| i128::from(found.f_type) & 0xffff_ffff);
        if kind.is_ok_and(|kind| REMOTE.contains(&kind)) {
            let shown = folder.display();
            self.lost = Some(format!("{shown} lies on a file system that others change"));
            return false;
        }
        let flags = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let added = match self.watched.len() < WATCHES_MAX {
            true => inotify::add_watch(descriptor, folder, flags),
            false => Err(Errno::NOSPC),
        };
        match added {
            Ok(watch) => drop(self.watched.insert(watch, folder.to_path_buf())),
            // It went meanwhile, which its own folder is told.
            Err(Errno::NOENT | Errno::NOTDIR) => return false,
            Err(Errno::NOSPC) => {
                self.lost = Some(format!(
                    "{} folders are watched and no more may be: sysctl fs.inotify.max_user_watches",
                    self.watched.len()
                ));
                return false;
            }
            Err(error) => {
                self.lost = Some(format!("{} cannot be watched: {error}", folder.display()));
                return false;
            }
        }
        true
    }

    /// Reads what the system has to tell.
    fn look(&mut self, is_followed: &dyn Fn(&Path) -> bool) {
        let Some(descriptor) = self.descriptor.take() else { return };
        let (mut created, mut all) = (Vec::new(), false);
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(&descriptor, &mut buffer);
        for _ in 0..EVENTS_MAX {
            let Ok(event) = reader.next() else { break };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                all = true;
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.watched.remove(&event.wd());
                continue;
            }
            let Some(folder) = self.watched.get(&event.wd()) else { continue };
            let path = match event.file_name() {
                Some(name) => folder.join(OsStr::from_bytes(name.to_bytes())),
                None => folder.clone(),
            };
            let is_folder = flags.contains(ReadFlags::ISDIR);
            if !self.counts(&path, is_folder, is_followed) {
                continue;
            }
            let now = Instant::now();
            self.seen = Some((self.seen.map_or(now, |(first, _)| first), now));
            if is_folder && flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                created.push(path);
            }
        }
        self.descriptor = Some(descriptor);
        if all {
            // What was told is lost: everything may have changed, and folders may be new.
            let now = Instant::now();
            self.seen = Some((self.seen.map_or(now, |(first, _)| first), now));
            self.watch_all();
        }
        for folder in created {
            self.watch(&folder, 0);
        }
    }

    fn counts(&self, path: &Path, is_folder: bool, is_followed: &dyn Fn(&Path) -> bool) -> bool {
        let within = self.folders.iter().any(|folder| path.starts_with(folder))
            || self.files.iter().any(|file| file == path);
        let name = path.as_os_str().as_bytes();
        let is_beside = BESIDE_DATABASES.iter().any(|end| name.ends_with(end.as_bytes()));
        within && !is_beside && !is_followed(path) && !self.is_left_out(path, is_folder)
    }

    fn is_left_out(&self, path: &Path, is_folder: bool) -> bool {
        let is_own = self.own.iter().any(|own| path.starts_with(own));
        is_own || self.excludes.fits(path.as_os_str().as_bytes(), is_folder)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(folder: &Path) -> Config {
        let mut config = Config::default();
        config.files.paths = vec![folder.join("bot"), folder.join("single")];
        config.files.exclude = vec!["*.tmp".to_owned()];
        config.files.settle_seconds = 1;
        config.host.data = folder.join("bot/evenkeel");
        config
    }

    /// Whether a point becomes due within a while.
    fn comes(changes: &mut Changes) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if changes.are_due(&|path| path.ends_with("live.sqlite")) {
                changes.clear();
                return true;
            }
            if changes.seen.is_none() && begun.elapsed() > Duration::from_millis(300) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    #[test]
    fn a_change_makes_a_point_due_once_it_has_settled_also_in_a_folder_that_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("bot/deep/deeper")).unwrap();
        fs::write(path("single"), "1").unwrap();
        let mut changes = Changes::begin(&config(folder.path()));
        assert_eq!(changes.lost(), None);
        assert!(!comes(&mut changes));
        fs::write(path("bot/deep/deeper/log"), "a line").unwrap();
        assert!(!changes.are_due(&|_| false), "it has not settled yet");
        assert!(comes(&mut changes));
        fs::create_dir(path("bot/new")).unwrap();
        assert!(comes(&mut changes));
        fs::write(path("bot/new/file"), "x").unwrap();
        assert!(comes(&mut changes));
        fs::rename(path("bot/new/file"), path("bot/new/other")).unwrap();
        assert!(comes(&mut changes));
        fs::write(path("elsewhere"), "2").unwrap();
        fs::rename(path("elsewhere"), path("single")).unwrap();
        assert!(comes(&mut changes));
    }

    #[test]
    fn what_is_left_out_followed_or_our_own_makes_no_point() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("bot/evenkeel/journal")).unwrap();
        let mut changes = Changes::begin(&config(folder.path()));
        for name in [
            "bot/x.tmp",
            "bot/evenkeel/journal/segment",
            "bot/live.sqlite",
            "bot/orders.sqlite-wal",
            "bot/orders.sqlite-shm",
            "beside",
        ] {
            fs::write(path(name), "x").unwrap();
            assert!(!comes(&mut changes), "{name}");
        }
        fs::write(path("bot/orders.sqlite"), "x").unwrap();
        assert!(comes(&mut changes));
    }

    #[test]
    fn changes_without_end_do_not_put_a_point_off_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bot")).unwrap();
        let mut changes = Changes::begin(&config(folder.path()));
        let begun = Instant::now();
        while !changes.are_due(&|_| false) {
            fs::write(folder.path().join("bot/log"), format!("{:?}", begun.elapsed())).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            assert!(begun.elapsed() < Duration::from_secs(60), "no point is ever due");
        }
        assert!(begun.elapsed() >= Duration::from_secs(4), "it waits for a pause first");
    }

    #[test]
    fn a_queue_that_ran_over_counts_as_a_change_and_is_watched_anew() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bot")).unwrap();
        let mut changes = Changes::begin(&config(folder.path()));
        let bound = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let bound: usize = bound.trim().parse().unwrap();
        // Two names in turn: equal events one behind the other are one.
        for at in 0..bound + 10 {
            let name = if at % 2 == 0 { "bot/a.tmp" } else { "bot/b.tmp" };
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert!(comes(&mut changes), "only an overflow tells of files that are left out");
        fs::write(folder.path().join("bot/log"), "x").unwrap();
        assert!(comes(&mut changes));
    }
}

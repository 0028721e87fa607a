//! A server of a restored copy, for as long as a drill looks at it: on a socket in a folder of its
//! own, with no address on any network.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_capture::postgres::{Address, Connection, Host, Login, Purpose, Tls};

use super::super::drill_checks::{Kind, encrypted};
use crate::keyfile::hex;

/// How long recovery may take before it is called off.
const RECOVERY_MAX: Duration = Duration::from_secs(3600);
const BEAT: Duration = Duration::from_millis(50);
const SCRATCH: &str = "evenkeel-drill-";
/// Of a server's own words, so many lines are shown.
const LINES_SHOWN: usize = 3;

/// Where the programs of a version are.
pub(super) fn programs(named: Option<&Path>, major: u32) -> Option<PathBuf> {
    let usual = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = named.map(Path::to_path_buf).into_iter().chain([usual]);
    let mut all = all.chain(std::env::split_paths(&path));
    all.find(|folder| folder.join("postgres").is_file())
}

/// Whom the server's programs run as: they refuse the system's administrator.
#[derive(Clone, Copy)]
pub(super) struct User(Option<(u32, u32)>);

impl User {
    pub(super) fn find() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let found = ids("postgres").or_else(|| ids("nobody"));
        found.map(|ids| Self(Some(ids))).ok_or_else(|| "there is no user to run it as".to_owned())
    }

    /// A folder that such a user can reach, which one below a home of the administrator's is not;
    /// it did not exist before, so nobody else waits in it.
    /// Below `named` if it is given; on a disk encrypted, if that is wanted.
    pub(super) fn scratch(
        self,
        own: &Path,
        named: Option<&Path>,
        encrypted: bool,
    ) -> Result<Folder, String> {
        let Some((uid, _)) = self.0 else {
            return Ok(Folder { path: own.to_path_buf(), outer: None });
        };
        let failed = |error: std::io::Error| error.to_string();
        let above = named.map_or_else(std::env::temp_dir, Path::to_path_buf);
        remove_stale(&above, uid);
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let name = format!("{SCRATCH}{}-{}", std::process::id(), hex(&random));
        let outer = above.join(name);
        fs::DirBuilder::new().mode(0o700).create(&outer).map_err(failed)?;
        let mut folder = Folder { path: outer.clone(), outer: Some(outer.clone()) };
        if encrypted && Kind::of(&outer) == Kind::Disk {
            let opened =
                encrypted::open(&outer, true).map_err(|report| report.message().to_owned());
            folder.path = opened.inspect_err(|_| folder.remove())?;
            self.own(&outer).map_err(failed)?;
        }
        Ok(folder)
    }

    fn own(self, path: &Path) -> std::io::Result<()> {
        self.0.map_or(Ok(()), |(uid, gid)| lchown(path, Some(uid), Some(gid)))
    }

    pub(super) fn hand_over(self, path: &Path) -> std::io::Result<()> {
        if self.0.is_none() {
            return Ok(());
        }
        self.own(path)?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.hand_over(&entry?.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).env("LC_ALL", "C").env_remove("PGOPTIONS").current_dir("/");
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Where a server's copy is laid out.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// All of it that has to go, if it is not the drill's own.
    outer: Option<PathBuf>,
}

impl Folder {
    /// Removes it; what cannot be removed the next drill tries again.
    pub(super) fn remove(&self) {
        if let Some(outer) = &self.outer {
            encrypted::close(outer);
            let _ = fs::remove_dir_all(outer);
        }
    }
}

/// A drill that was killed leaves plaintext behind: the next one removes it.
fn remove_stale(above: &Path, uid: u32) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(SCRATCH));
        let pid = rest.and_then(|rest| rest.split('-').next()).filter(|pid| !pid.is_empty());
        let dead = pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        let ours = |meta: fs::Metadata| meta.is_dir() && [0, uid].contains(&meta.uid());
        if dead && entry.metadata().is_ok_and(ours) {
            // What stays is in the way of nobody, and the next drill tries again.
            encrypted::close(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A server that runs.
pub(super) struct Scratch {
    child: Child,
    folder: PathBuf,
    data: PathBuf,
    programs: PathBuf,
    user: User,
}

impl Scratch {
    /// Starts it and waits until recovery has ended.
    pub(super) fn start(
        (programs, user): (&Path, User),
        data: &Path,
        folder: &Path,
        superuser: &str,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let access = folder.join("access");
        // The folder is its owner's alone, so whoever reaches the socket may come in.
        fs::write(&access, "local all all trust\n").map_err(failed)?;
        let log = File::create(folder.join("log")).map_err(failed)?;
        user.hand_over(&access).map_err(failed)?;
        let mut command = user.command(&programs.join("postgres"));
        command.arg("-D").arg(data).stdout(Stdio::null()).stderr(log);
        let shown = folder.display();
        for setting in [
            format!("unix_socket_directories={shown}"),
            format!("hba_file={}", access.display()),
            "listen_addresses=".to_owned(),
            "port=5432".to_owned(),
            "hot_standby=off".to_owned(),
            "archive_mode=off".to_owned(),
            "ssl=off".to_owned(),
            "logging_collector=off".to_owned(),
            // It is thrown away.
            "fsync=off".to_owned(),
        ] {
            command.args(["-c", &setting]);
        }
        let child = command.process_group(0).spawn().map_err(failed)?;
        let (folder, data) = (folder.to_path_buf(), data.to_path_buf());
        let mut server = Self { child, folder, data, programs: programs.to_path_buf(), user };
        server.await_recovery(superuser)?;
        Ok(server)
    }

    fn await_recovery(&mut self, superuser: &str) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() {
                return Err(self.last_words());
            }
            let asked = self.query(superuser, "postgres", "SELECT pg_is_in_recovery()");
            match asked {
                Ok(Some(answer)) if answer == "f" => return Ok(()),
                Err(why) if begun.elapsed() > RECOVERY_MAX => return Err(why),
                _ => std::thread::sleep(BEAT),
            }
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("FATAL")).collect();
        let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        format!("the server ended: {}", shown.join("; "))
    }

    /// The first value of the first row.
    pub(super) fn query(
        &self,
        role: &str,
        database: &str,
        sql: &str,
    ) -> Result<Option<String>, String> {
        let rows = self.rows(role, database, sql)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// Every row of the last statement that gives some.
    pub(super) fn rows(
        &self,
        role: &str,
        database: &str,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, String> {
        let host = Host::Unix { folder: self.folder.clone(), port: 5432 };
        let address = Address {
            hosts: vec![host],
            user: role.to_owned(),
            database: Some(database.to_owned()),
            tls: Tls::Disable,
            ca_file: None,
        };
        let login = Login { address, password: None, stop: Arc::new(|| false) };
        let mut connection =
            Connection::open(&login, Purpose::Queries).map_err(|error| error.to_string())?;
        connection.query(sql).map_err(|error| error.to_string())
    }

    /// Ends it in good order, so that its pages can be looked at.
    pub(super) fn stop(mut self) -> Result<(), String> {
        let mut command = self.user.command(&self.programs.join("pg_ctl"));
        let asked = command.args(["stop", "-m", "fast", "-D"]).arg(&self.data).output();
        let output = asked.map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a good end there is nothing to kill any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

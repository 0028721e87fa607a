//! The part of a drill that concerns PostgreSQL: the newest moment is laid out, a server is started
//! on it, its pages are checked, and the configured queries are asked.

use std::fs;
use std::path::Path;
use std::time::Instant;

use evenkeel_capture::files::Tree;
use evenkeel_capture::postgres::{Address, Holdings, LaidOut, Plan, Target, lay_out};
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{Clock as _, SourceProof};

use super::super::clock::SystemClock;
use super::super::drill_checks::{Answer, Restored, Surroundings, judge, name_of, run_command};
use super::super::files::{Times, remove_all};
use super::captures;
use super::server::{Scratch, User, programs};
use crate::cli::format_time_ns;
use crate::config::{Config, DrillCheckConfig, PostgresConfig};
use crate::documents::SourceKind;

/// The captures in a tree of files that was brought back.
pub(in super::super) struct PostgresDrill<'a> {
    /// What is promised of each, and asked.
    pub(in super::super) config: &'a Config,
    /// The drill's folder.
    pub(in super::super) scratch: &'a Path,
    /// What else came back.
    pub(in super::super) restored: &'a Restored<'a>,
    /// The recovery point of the tree.
    pub(in super::super) point: &'a str,
    /// When bringing that back began.
    pub(in super::super) begun: Instant,
}

impl PostgresDrill<'_> {
    /// Drills every one of them below `files`.
    pub(in super::super) fn run(
        &self,
        tree: &Tree,
        files: &Path,
    ) -> (Vec<Check>, Vec<SourceProof>) {
        let (mut checks, mut sources) = (Vec::new(), Vec::new());
        for (name, path) in captures(tree) {
            let folder = tree.entries.iter().find(|entry| {
                use std::os::unix::ffi::OsStrExt as _;
                entry.path == path.as_os_str().as_bytes()
            });
            let Some(folder) = folder.map(|entry| entry.below(files)) else {
                continue;
            };
            let known = self.config.postgres.iter().find(|one| one.name == name);
            let of = known.cloned().unwrap_or_default();
            let mut bench = Bench { name, of, drill: self, times: None };
            let made = bench.run(&folder);
            sources.push(bench.source(&made));
            checks.extend(made);
        }
        (checks, sources)
    }
}

/// Everything of the checks that a server is needed for.
struct Bench<'a> {
    name: String,
    of: PostgresConfig,
    drill: &'a PostgresDrill<'a>,
    /// Known once a server has recovered it.
    times: Option<Times>,
}

impl Bench<'_> {
    fn check(&self, what: &str, verdict: Verdict, detail: String) -> Check {
        let name = match what {
            "" => format!("postgres_{}", self.name),
            what => format!("postgres_{}_{what}", self.name),
        };
        Check::new(&name, verdict, detail)
    }

    fn source(&self, checks: &[Check]) -> SourceProof {
        let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
        let verdict = if any(Verdict::Failed) {
            Verdict::Failed
        } else if any(Verdict::Unproven) || self.times.is_none() {
            Verdict::Unproven
        } else {
            Verdict::Ok
        };
        let (name, kind) = (format!("postgres:{}", self.name), SourceKind::Postgres);
        match &self.times {
            Some(times) => times.source(&name, kind, verdict, self.drill.point),
            None => {
                let nothing = SourceProof::unproven(&name, kind.word());
                SourceProof { verdict, point: self.drill.point.into(), ..nothing }
            }
        }
    }

    fn run(&mut self, folder: &Path) -> Vec<Check> {
        let shown = |ns| format_time_ns(ns);
        let read = Holdings::read(folder).and_then(|holdings| {
            holdings.plan(&Target::Latest, &shown).map(|plan| (holdings, plan))
        });
        let (holdings, plan) = match read {
            Ok(read) => read,
            Err(error) => return vec![self.check("", Verdict::Failed, error.to_string())],
        };
        let major = holdings.cluster.major_version();
        let Some(programs) = programs(self.of.programs.as_deref(), major) else {
            let detail = format!(
                "no PostgreSQL {major} is on this drill host, so no server was started: apt \
                 install postgresql-{major}"
            );
            return vec![self.check("", Verdict::NotConfigured, detail)];
        };
        let user = match User::find() {
            Ok(user) => user,
            Err(why) => return vec![self.check("", Verdict::Unproven, why)],
        };
        let drill = &self.drill.config.drill;
        let below = drill.scratch.as_deref();
        let scratch = match user.scratch(self.drill.scratch, below, drill.scratch_encrypted) {
            Ok(scratch) => scratch,
            Err(why) => {
                let detail = format!("no folder for the server: {why}");
                return vec![self.check("", Verdict::Unproven, detail)];
            }
        };
        let place = scratch.path.join(format!("postgres-{}", self.name));
        remove_all(&place);
        let checks = self.look(&holdings, &plan, (&programs, user), &place);
        remove_all(&place);
        scratch.remove();
        checks
    }

    fn look(
        &mut self,
        holdings: &Holdings,
        plan: &Plan,
        (programs, user): (&Path, User),
        place: &Path,
    ) -> Vec<Check> {
        let laid = fs::create_dir_all(place)
            .map_err(|error| error.to_string())
            .and_then(|()| lay_out(holdings, plan, place).map_err(|error| error.to_string()))
            .and_then(|laid| {
                let handed =
                    place.parent().map_or(Ok(()), |parent| match parent == self.drill.scratch {
                        true => Ok(()),
                        false => user.hand_over(parent),
                    });
                handed.map_err(|error| error.to_string())?;
                Ok(laid)
            });
        let laid = match laid {
            Ok(laid) => laid,
            Err(why) => return vec![self.check("", Verdict::Failed, why)],
        };
        let mut checks = vec![self.manifest(plan, &laid, programs, user)];
        let server = Scratch::start((programs, user), &laid.data, place, &self.of.superuser);
        let server = match server {
            Ok(server) => server,
            Err(why) => {
                checks.push(self.check("", Verdict::Failed, why));
                return checks;
            }
        };
        let times = Times {
            until_ns: plan.window.until_ns,
            now_ns: SystemClock::new().wall_ns(),
            rto: self.drill.begun.elapsed(),
            promised: (Some(self.of.rpo_seconds), self.of.rto_seconds),
        };
        let (verdict, words) = times.judge();
        let detail = format!(
            "a server recovered {} files and {} segments up to {} ({}); {words}",
            laid.files,
            laid.segments,
            plan.window.until,
            format_time_ns(plan.window.until_ns),
        );
        checks.insert(0, self.check("", verdict, detail));
        self.times = Some(times);
        checks.extend(self.asked(&server, place));
        checks.extend(self.assertions(&server));
        checks.push(match server.stop() {
            Ok(()) => self.pages(&laid, programs, user),
            Err(why) => self.check("pages", Verdict::Unproven, why),
        });
        checks
    }

    /// Every file of the base backup against the sums that the server made of it.
    fn manifest(&self, plan: &Plan, laid: &LaidOut, programs: &Path, user: User) -> Check {
        let copy = laid.data.with_file_name("manifest");
        let copied = fs::copy(plan.base.manifest(), &copy).and_then(|_| user.hand_over(&copy));
        let mut command = user.command(&programs.join("pg_verifybackup"));
        command.args(["--no-parse-wal", "--quiet", "-m"]).arg(&copy);
        for ours in [
            "postgresql.auto.conf",
            "postgresql.conf",
            "pg_hba.conf",
            "recovery.signal",
            "standby.signal",
            "tablespace_map",
        ] {
            command.arg(format!("--ignore={ours}"));
        }
        let output = copied.and_then(|()| command.arg(&laid.data).output());
        self.verdict("files", output, "every file as the server's own manifest says")
    }

    /// Every page against its checksum.
    fn pages(&self, laid: &LaidOut, programs: &Path, user: User) -> Check {
        let mut command = user.command(&programs.join("pg_checksums"));
        let output = command.args(["--check", "-D"]).arg(&laid.data).output();
        let none = output
            .as_ref()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("not enabled"));
        if none {
            let detail =
                "the cluster keeps none: initdb --data-checksums, or pg_checksums --enable";
            return self.check("pages", Verdict::NotConfigured, detail.to_owned());
        }
        self.verdict("pages", output, "every page has its checksum")
    }

    fn verdict(
        &self,
        what: &str,
        output: std::io::Result<std::process::Output>,
        ok: &str,
    ) -> Check {
        match output {
            Ok(output) if output.status.success() => self.check(what, Verdict::Ok, ok.to_owned()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let line = said.lines().next().unwrap_or_default().to_owned();
                self.check(what, Verdict::Failed, line)
            }
            Err(error) => self.check(what, Verdict::Unproven, error.to_string()),
        }
    }

    /// The drill's own checks that this server is to answer.
    fn asked(&self, server: &Scratch, place: &Path) -> Vec<Check> {
        let source = format!("postgres:{}", self.name);
        let all = self.drill.config.drill.checks.iter();
        all.filter(|one| one.source == source).map(|one| self.one(one, server, place)).collect()
    }

    fn one(&self, check: &DrillCheckConfig, server: &Scratch, place: &Path) -> Check {
        let database = match check.database.is_empty() {
            true => self.database(),
            false => check.database.clone(),
        };
        if !check.command.is_empty() {
            let variables = [
                ("PGHOST", place.display().to_string()),
                ("PGPORT", "5432".to_owned()),
                ("PGUSER", self.of.superuser.clone()),
                ("PGDATABASE", database),
            ];
            let (scratch, restored) = (self.drill.scratch, self.drill.restored);
            return run_command(
                check,
                &Surroundings { scratch, restored, server: Some(variables) },
            );
        }
        let timed = format!("SET statement_timeout = '{}s'; {}", check.timeout_seconds, check.sql);
        let (verdict, detail) = match server.rows(&self.of.superuser, &database, &timed) {
            Ok(rows) => {
                let first = rows.into_iter().next().map(|row| row.into_iter().next().flatten());
                judge(check, &Answer { first })
            }
            Err(why) => (Verdict::Failed, why),
        };
        Check::new(&name_of(check), verdict, detail)
    }

    /// The URL's database.
    fn database(&self) -> String {
        let address = self.of.url.parse::<Address>().ok();
        let database = address.and_then(|address| address.database);
        database.unwrap_or_else(|| "postgres".to_owned())
    }

    fn assertions(&self, server: &Scratch) -> Option<Check> {
        if self.of.checks.is_empty() {
            return None;
        }
        let database = self.database();
        for sql in &self.of.checks {
            let wrong = match server.query(&self.of.superuser, &database, sql) {
                Ok(Some(answer)) if answer == "t" => continue,
                Ok(answer) => format!("{sql}: {}", answer.unwrap_or_else(|| "NULL".to_owned())),
                Err(why) => format!("{sql}: {why}"),
            };
            return Some(self.check("queries", Verdict::Failed, wrong));
        }
        let detail = format!("{} queries are true", self.of.checks.len());
        Some(self.check("queries", Verdict::Ok, detail))
    }
}

//! A blank machine: a root of one's own.

use std::fs;
use std::process::{Command, Output};

use super::{Rig, Said, program};

/// A root with nothing in it but the program, what it is linked with, what was brought (the folder
/// `bring`, as `/kit`), and the sites where they were, read-only; no home, no environment.
pub struct Blank<'a> {
    pub rig: &'a Rig,
    /// Whether it is on a network.
    pub network: bool,
}

impl Blank<'_> {
    /// Runs the program there; `None` if this machine allows no such root.
    pub fn run(&self, line: &str) -> Option<Said> {
        let program = program().get_program().to_owned();
        let root = self.rig.beside("blank");
        let new = self.rig.beside("new");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&new).unwrap();
        let script = r#"
            set -e
            mount -t tmpfs none "$ROOT"
            for lib in $(ldd "$PROGRAM" | grep -o '/[^ ]*'); do
                mkdir -p "$ROOT$(dirname "$lib")" && cp -L "$lib" "$ROOT$lib"
            done
            mkdir -p "$ROOT/kit" "$ROOT/new" "$ROOT/proc" "$ROOT/tmp" "$ROOT$SITES"
            cp "$DISK"/bring/* "$ROOT/kit/"
            touch "$ROOT/evenkeel" && mount --bind "$PROGRAM" "$ROOT/evenkeel"
            mount --rbind /proc "$ROOT/proc"
            mount --bind "$SITES" "$ROOT$SITES"
            mount -o remount,bind,ro "$ROOT$SITES"
            mount --bind "$NEW" "$ROOT/new"
            hostname blank-root 2>/dev/null || true
            echo ready >&2
            cd "$ROOT"
            exec env -i /usr/sbin/chroot "$ROOT" /evenkeel $LINE
        "#;
        let mut out: Option<Output> = None;
        let hows = if self.network { ["-mu", "-rmu"] } else { ["-mnu", "-rmnu"] };
        for how in hows {
            let tried = Command::new("unshare")
                .args([how, "sh", "-c", script])
                .env("PROGRAM", &program)
                .env("ROOT", &root)
                .env("NEW", &new)
                .env("DISK", self.rig.disk())
                .env("SITES", self.rig.path("h/sites"))
                .env("LINE", line)
                .output();
            out = tried.ok();
            if out.as_ref().is_some_and(|out| is_ready(&out.stderr)) {
                break;
            }
        }
        let out = out.filter(|out| is_ready(&out.stderr));
        if out.is_none() {
            println!("NOT TESTED: this machine allows no root of one's own (unshare -m, chroot)");
        }
        out.map(|out| Said::of(&out))
    }
}

fn is_ready(said: &[u8]) -> bool {
    String::from_utf8_lossy(said).lines().any(|line| line == "ready")
}

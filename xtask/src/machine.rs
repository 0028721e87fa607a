//! What a figure is worth nothing without: the machine, the commit and the seed it came from.

use std::path::Path;
use std::process::Command;

/// Prints the lines that stand above every measured run.
pub fn print_header(root: &Path, seed: &str) {
    println!("machine  {}", processor());
    println!("cores    {}", std::thread::available_parallelism().map_or(0, usize::from));
    println!("memory   {}", memory());
    println!("kernel   {}", read_trimmed("/proc/sys/kernel/osrelease"));
    println!("storage  {}", filesystem(root));
    println!("rustc    {}", command_line(root, "rustc", &["--version"]));
    println!("commit   {}", commit(root));
    println!("seed     {seed}");
    println!();
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn memory() -> String {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total_kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    total_kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

/// The file system below the checkout: fsync figures depend on it more than on the processor.
fn filesystem(root: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    filesystem_of(&mounts, root).unwrap_or_else(|| "unknown".to_owned())
}

fn filesystem_of(mounts: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let depth = Path::new(point).components().count();
        if path.starts_with(point) && best.as_ref().is_none_or(|(seen, _)| depth >= *seen) {
            best = Some((depth, format!("{kind} on {device}")));
        }
    }
    best.map(|(_, text)| text)
}

fn commit(root: &Path) -> String {
    let id = command_line(root, "git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = command_line(root, "git", &["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_empty() { id } else { format!("{id} with uncommitted changes") }
}

fn command_line(root: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_above_the_path_names_the_file_system() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /srv/data tmpfs rw 0 0\n/dev/b /srv xfs rw 0 0\n";
        let of = |path: &str| filesystem_of(mounts, Path::new(path));
        assert_eq!(of("/srv/data/x").as_deref(), Some("tmpfs on tmpfs"));
        assert_eq!(of("/srv/database").as_deref(), Some("xfs on /dev/b"));
        assert_eq!(of("/home").as_deref(), Some("ext4 on /dev/a"));
    }
}

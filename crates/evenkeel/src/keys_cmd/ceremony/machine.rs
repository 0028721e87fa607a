//! What a machine should be on which a key is made.

use std::path::Path;

use rustix::fs::statfs;

/// The file system that lives in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What is not as it should be: none is best.
pub(super) fn findings(dir: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    let up = networks_up();
    if !up.is_empty() {
        findings.push(format!("a network is up ({}): unplug it", up.join(", ")));
    }
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() > 1 {
        findings.push("memory may be swapped to disk: swapoff -a".to_owned());
    }
    if !statfs(dir).is_ok_and(|of| of.f_type == TMPFS_MAGIC) {
        findings.push(format!(
            "{} is on a disk, which may keep what was wiped: use /dev/shm",
            dir.display()
        ));
    }
    findings
}

fn networks_up() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/class/net") else {
        return vec!["unknown".to_owned()];
    };
    let names = entries.flatten().filter(|entry| entry.file_name() != "lo");
    let up = names.filter(|entry| {
        let state = std::fs::read_to_string(entry.path().join("operstate")).unwrap_or_default();
        // A device that does not say, such as a tunnel, counts as up.
        state.trim() != "down"
    });
    let mut up: Vec<String> =
        up.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    up.sort();
    up
}

//! What keeps secrets in memory from getting onto a disk.

use rustix::fs::Mode;
use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::output;

/// Files are the owner's alone, a crash leaves no image of memory, other processes of this user
/// cannot read it, and it is not swapped out where the machine lets a process ask for that.
pub(crate) fn keep_memory_private() {
    rustix::process::umask(Mode::from_raw_mode(0o077));
    keep_no_image();
    // All or nothing: the system refuses before it locks a part.
    if rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_err() {
        output::note(
            "note: memory could not be locked (ulimit -l); use a machine without swap, or root",
        );
    }
}

/// Before what may need more memory than may be locked, which would end the program. There is no
/// such limit for root.
#[cfg(feature = "whole")]
pub(crate) fn unlock_memory() {
    if !rustix::process::geteuid().is_root() && rustix::mm::munlockall().is_ok() {
        output::note("note: what is restored now is too large to be locked in memory");
    }
}

/// A crash leaves no image of memory, and other processes of this user cannot read it: for whatever
/// opens a backup, which is too large to be locked in memory.
pub(crate) fn keep_no_image() {
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    let dumps_off = setrlimit(Resource::Core, no_core)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if dumps_off.is_err() {
        output::note("warning: core dumps could not be switched off; a crash may leave one");
    }
}

//! A socket's address holds 107 bytes; a home may lie deeper. Then the address goes through the
//! open folder: `/proc/self/fd/N/control.sock`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// `sun_path` of `unix(7)` without its closing zero.
const ADDRESS_BYTES_MAX: usize = 107;

/// An address for a path; the folder stays open as long as it is used.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) path: PathBuf,
    _folder: Option<File>,
}

pub(super) fn address(path: &Path) -> io::Result<Address> {
    if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return Ok(Address { path: path.to_owned(), _folder: None });
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("the path of the control socket has no folder"));
    };
    let folder = File::open(folder)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
    let path = Path::new("/proc/self/fd").join(number.to_string()).join(name);
    Ok(Address { path, _folder: Some(folder) })
}

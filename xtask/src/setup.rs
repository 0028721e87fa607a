//! What the tests need from the machine, and how it gets there.
//!
//! The tests use the real thing — a real browser, a real C compiler for the preload shim — so the
//! machine has to have it. On Debian as root it is installed; anywhere else the one line to type is
//! printed and nothing is changed.

use crate::{Outcome, brought};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// A program the tests call, the packages that bring it, and what it is for.
struct Need {
    program: &'static str,
    packages: &'static [&'static str],
    purpose: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        program: "chromium",
        // Without a font the screenshots would show boxes instead of figures.
        packages: &["chromium", "fonts-dejavu-core"],
        purpose: "shows the dashboard to the browser test",
    },
    Need {
        program: "chromedriver",
        packages: &["chromium-driver"],
        purpose: "drives that browser",
    },
    Need {
        program: "protoc",
        // The definitions that others import are only recommended by the compiler's package.
        packages: &["protobuf-compiler", "libprotobuf-dev"],
        purpose: "builds the client of etcd",
    },
    Need { program: "etcd", packages: &["etcd-server"], purpose: "is the log of several hosts" },
    Need { program: "etcdctl", packages: &["etcd-client"], purpose: "sets up its users" },
    Need {
        program: "s3cmd",
        packages: &["s3cmd"],
        purpose: "is somebody else's client of our site",
    },
    Need {
        program: "lighttpd",
        packages: &["lighttpd", "lighttpd-mod-webdav"],
        purpose: "is somebody else's WebDAV server",
    },
    Need {
        program: "pg_createcluster",
        packages: &["postgresql"],
        purpose: "brings the PostgreSQL server that is captured",
    },
    Need {
        program: "age",
        packages: &["age"],
        purpose: "is somebody else's program that encrypts to a recipient nobody holds",
    },
    Need {
        program: "softhsm2-util",
        packages: &["softhsm2"],
        purpose: "is a token in which keys are born",
    },
    Need {
        program: "swtpm_setup",
        packages: &["swtpm", "swtpm-tools"],
        purpose: "is a TPM in which keys are born",
    },
    Need {
        program: "tpm2_ptool",
        // The module is a library; the program of its tools tells that it is here.
        packages: &["libtpm2-pkcs11-1", "libtpm2-pkcs11-tools", "libtss2-tcti-swtpm0"],
        purpose: "brings the PKCS#11 module of that TPM",
    },
    Need { program: "openssl", packages: &["openssl"], purpose: "verifies what tokens signed" },
    Need { program: "node", packages: &["nodejs"], purpose: "runs EVM nodes and solc" },
    Need { program: "npm", packages: &["npm"], purpose: "brings them" },
    Need {
        program: "pip3",
        packages: &["python3-pip"],
        purpose: "brings what the second reader of the vault needs",
    },
    Need {
        program: "npm",
        packages: &["nodejs", "npm"],
        purpose: "brings the nodes of IPFS that are a site",
    },
    Need {
        program: "python3",
        packages: &["python3"],
        purpose: "runs the reference implementation of SLIP-39",
    },
    Need {
        program: "gocryptfs",
        packages: &["gocryptfs", "fuse3"],
        purpose: "keeps plaintext of drills off disks",
    },
    Need {
        program: "fusermount3",
        packages: &["fuse3"],
        purpose: "shows databases while they come back",
    },
    Need {
        program: "strace",
        packages: &["strace"],
        purpose: "shows that the offline program calls no network",
    },
    Need {
        program: "pdftoppm",
        packages: &["poppler-utils"],
        purpose: "draws the PDF of sheets, which tests scan",
    },
    Need {
        program: "rsvg-convert",
        packages: &["librsvg2-bin"],
        purpose: "draws the SVG of sheets, which tests scan",
    },
    Need {
        program: "zbarimg",
        packages: &["zbar-tools"],
        purpose: "is somebody else's reader of our symbols",
    },
    Need {
        program: "cjpeg",
        packages: &["libjpeg-turbo-progs"],
        purpose: "makes photographs of sheets as cameras do",
    },
    Need {
        program: "cc",
        packages: &["build-essential"],
        purpose: "builds the shim that loses writes",
    },
];

/// Packages of Python that `docs/second-reader` is written with; kept in `target/python`.
const PYTHON: [&str; 3] = ["blake3", "cryptography", "zstandard"];

/// Installs what is missing, or says what to type.
///
/// # Errors
/// When something is missing and cannot be installed from here.
pub fn ensure(root: &Path) -> Outcome {
    ensure_programs()?;
    NODE.iter().try_for_each(ensure_node)?;
    ensure_python(&root.join("target/python"))?;
    brought::ensure(root)
}

/// Packages of Node.js in the cache that outlives a build. They are ordinary packages with their
/// native parts in others, and nothing else is downloaded.
struct Node {
    folder: &'static str,
    /// There when they are.
    file: &'static str,
    packages: &'static [&'static str],
    purpose: &'static str,
}

const NODE: &[Node] = &[
    Node {
        folder: "hardhat",
        file: "node_modules/hardhat/internal/cli/cli.js",
        packages: &["hardhat@2.29.1"],
        purpose: "are the EVM nodes of the network's tests",
    },
    Node {
        folder: "forge",
        file: "node_modules/solc/solc.js",
        packages: &["@foundry-rs/forge@1.7.1", "solc@0.8.37"],
        purpose: "compile and test the contracts",
    },
];

fn ensure_node(node: &Node) -> Outcome {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from).or_else(home);
    let Some(folder) = cache.map(|cache| cache.join("evenkeel-tools").join(node.folder)) else {
        return Err(
            "neither XDG_CACHE_HOME nor HOME is set, so there is no place for packages".into()
        );
    };
    if folder.join(node.file).exists() {
        return Ok(());
    }
    let packages = node.packages.join(" ");
    println!("setup: {packages} {}; they go into {}", node.purpose, folder.display());
    let by_hand = format!(
        "the tests need packages of Node.js. Type:\n  npm install --ignore-scripts --prefix {} \
         {packages}",
        folder.display()
    );
    std::fs::create_dir_all(&folder).map_err(|error| format!("{error}; {by_hand}"))?;
    let status = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&folder)
        .args(node.packages)
        .status()
        .map_err(|error| format!("npm could not be started ({error}); {by_hand}"))?;
    if status.success() { Ok(()) } else { Err(by_hand) }
}

fn ensure_python(folder: &Path) -> Outcome {
    let import = format!("import {}", PYTHON.join(", "));
    let mut check = Command::new("python3");
    check.args(["-c", &import]).env("PYTHONPATH", folder);
    if check.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    println!("setup: {} for Python go into {}", PYTHON.join(", "), folder.display());
    let by_hand = format!(
        "the tests need packages of Python. Type:\n  pip3 install --target {} {}",
        folder.display(),
        PYTHON.join(" ")
    );
    let status = Command::new("pip3")
        .args(["install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"])
        .arg(folder)
        .args(PYTHON)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .status()
        .map_err(|error| format!("pip3 could not be started ({error}); {by_hand}"))?;
    if status.success() { Ok(()) } else { Err(by_hand) }
}

fn ensure_programs() -> Outcome {
    let missing = missing_from(&search_path());
    if missing.is_empty() {
        println!("setup: {} are here", programs(&NEEDS.iter().collect::<Vec<_>>()));
        return Ok(());
    }
    for need in &missing {
        let packages = need.packages.join(", ");
        println!("setup: {} is missing ({}; {packages})", need.program, need.purpose);
    }
    let has_apt = find("apt-get", &search_path());
    if !is_root() || !has_apt {
        return Err(by_hand(&missing, has_apt));
    }
    apt_get(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(missing.iter().flat_map(|need| need.packages));
    apt_get(&install)?;
    let still = missing_from(&search_path());
    if still.is_empty() {
        return Ok(());
    }
    Err(format!("installed, but still not on PATH: {}", programs(&still)))
}

fn by_hand(missing: &[&Need], has_apt: bool) -> String {
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let packages = packages.join(" ");
    if has_apt {
        return format!(
            "the tests need {}; nothing was changed. Type:\n  sudo apt-get update && sudo apt-get \
             install --yes {packages}",
            programs(missing)
        );
    }
    format!(
        "the tests need {}; nothing was changed. Install them with this system's package manager \
         (on Debian they are the packages {packages}), then run this again",
        programs(missing)
    )
}

fn programs(needs: &[&Need]) -> String {
    let names: Vec<&str> = needs.iter().map(|need| need.program).collect();
    names.join(", ")
}

fn missing_from(path: &str) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !find(need.program, path) || !is_whole(need, path)).collect()
}

/// A compiler of protocol buffers is of no use without the definitions that all others import: it
/// looks for them beside its own folder.
fn is_whole(need: &Need, path: &str) -> bool {
    need.program != "protoc"
        || path.split(':').any(|folder| {
            let beside = "../include/google/protobuf/descriptor.proto";
            find("protoc", folder) && Path::new(folder).join(beside).exists()
        })
}

/// Servers are installed where the paths of plain users often do not look.
fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default() + ":/usr/sbin"
}

fn find(program: &str, path: &str) -> bool {
    path.split(':').filter(|folder| !folder.is_empty()).any(|folder| {
        let file = Path::new(folder).join(program);
        std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
    })
}

/// `/proc/self` belongs to the effective user; no unsafe call is needed to ask.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn apt_get(args: &[&str]) -> Outcome {
    println!("setup: apt-get {}", args.join(" "));
    let status = Command::new("apt-get")
        // Another installation may be under way; it is waited for.
        .args(["-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .map_err(|error| format!("apt-get could not be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`apt-get {}` failed ({status}); its own message is above", args.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_programs_is_told_the_one_line_to_type() {
        let missing = missing_from("/nonexistent");
        assert_eq!(missing.len(), NEEDS.len());
        let message = by_hand(&missing, true);
        assert!(message.contains("sudo apt-get update && sudo apt-get install"), "{message}");
        assert!(message.contains("chromium-driver"), "{message}");
        assert!(by_hand(&missing, false).contains("package manager"));
    }

    #[test]
    fn a_folder_or_a_plain_file_is_not_a_program() {
        assert!(find("sh", "/nonexistent:/bin"));
        assert!(!find("passwd", "/etc"), "not executable");
        assert!(!find("etc", "/"), "a folder");
    }
}

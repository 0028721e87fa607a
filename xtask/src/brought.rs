//! Servers of other people that no package of the system brings: kept in the cache of tools beside
//! what CI keeps there, so that they are fetched once for all checkouts.
//!
//! Nodes of IPFS are those of `js-ipfs`, a whole implementation with libp2p and the RPC of Kubo,
//! which no package registry has; moto is the S3 server with object lock that the tests of locks
//! use.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Their newest dependencies ask for a newer Node than Debian has, and no longer fit each other;
/// what is overridden is what they were written with. The WebRTC transport is not used.
const NODE_PACKAGES: &str = r#"{
  "private": true,
  "type": "module",
  "dependencies": { "ipfs-core": "0.18.1", "ipfs-http-server": "0.15.1" },
  "overrides": {
    "@multiformats/multiaddr": "11.6.1",
    "@multiformats/mafmt": "11.1.2",
    "@libp2p/webrtc-star": "npm:is-number@7.0.0",
    "mortice": "3.0.1"
  }
}
"#;
/// Starts a node; the tests' own.
const NODE_SCRIPT: &str = "crates/sites/tests/ipfs/node.mjs";
const MOTO: &str = "moto[server,s3]==5.2.5";

/// Brings what is missing.
///
/// # Errors
/// When it cannot be had; the message says what to type.
pub fn ensure(root: &Path) -> Outcome {
    let tools = tools()?;
    ensure_nodes(root, &tools.join("ipfs"))?;
    ensure_moto(&tools.join("moto"))
}

/// Where they are kept.
pub fn tools() -> Outcome<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let cache = cache.ok_or("set HOME or XDG_CACHE_HOME: the tools need a place")?;
    Ok(cache.join("evenkeel-tools"))
}

fn ensure_nodes(root: &Path, folder: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Its packages are found beside it, and it is as new as this checkout.
    std::fs::copy(root.join(NODE_SCRIPT), folder.join("node.mjs")).map_err(failed)?;
    let manifest = folder.join("package.json");
    let whole = folder.join("whole");
    let is_same = std::fs::read_to_string(&whole).is_ok_and(|text| text == NODE_PACKAGES);
    if is_same {
        return Ok(());
    }
    println!("setup: nodes of IPFS for the tests go into {}", folder.display());
    std::fs::write(&manifest, NODE_PACKAGES).map_err(failed)?;
    let by_hand = format!(
        "the tests need nodes of IPFS. Type:\n  cd {} && npm install --omit=optional \
         --ignore-scripts",
        folder.display()
    );
    let status = Command::new("npm")
        .args(["install", "--omit=optional", "--omit=dev", "--ignore-scripts", "--no-audit"])
        .args(["--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .status()
        .map_err(|error| format!("npm could not be started ({error}); {by_hand}"))?;
    if !status.success() {
        return Err(by_hand);
    }
    // Written last: what was interrupted is begun again.
    std::fs::write(&whole, NODE_PACKAGES).map_err(failed)
}

fn ensure_moto(folder: &Path) -> Outcome {
    let mut check = Command::new("python3");
    check.args(["-c", "import moto.server, flask"]).env("PYTHONPATH", folder);
    // One that the machine has by itself is of another version.
    let is_here = folder.join("moto").is_dir();
    if is_here && check.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    println!("setup: {MOTO} for Python goes into {}", folder.display());
    let by_hand = format!(
        "the tests of locks need moto. Type:\n  pip3 install --target {} '{MOTO}'",
        folder.display()
    );
    let status = Command::new("pip3")
        .args(["install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"])
        .arg(folder)
        .arg(MOTO)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .status()
        .map_err(|error| format!("pip3 could not be started ({error}); {by_hand}"))?;
    if status.success() { Ok(()) } else { Err(by_hand) }
}

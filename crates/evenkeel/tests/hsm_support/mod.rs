//! Tokens for tests: SoftHSM and a software TPM from Debian's packages, and a module that
//! misbehaves as it is told.

// Each test program uses its share of this.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_hsm::Launch;

use crate::cli_support::{Bench, Said};

pub const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "123456";

/// A token in a folder of its own.
pub struct Token {
    pub bench: Bench,
    pub environment: Vec<(String, String)>,
    pub module: PathBuf,
    label: &'static str,
    tpm: Option<Child>,
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(tpm) = &mut self.tpm {
            let _ = tpm.kill();
            let _ = tpm.wait();
        }
    }
}

/// A file that only its owner may read.
pub fn secret(file: &Path, content: &str) {
    let _ = std::fs::remove_file(file);
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create_new(true).mode(0o600).open(file).unwrap();
    open.write_all(content.as_bytes()).unwrap();
}

/// The library of a Debian package, wherever this architecture has it.
fn library(name: &str) -> PathBuf {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    PathBuf::from("/usr/lib").join(triplet).join(name)
}

impl Token {
    fn new(module: PathBuf, label: &'static str) -> Self {
        let bench = Bench::new();
        secret(&bench.path("pin"), &format!("{PIN}\n"));
        secret(&bench.path("so"), "87654321\n");
        secret(&bench.path("wrong"), "000000\n");
        let path = std::env::var("PATH").unwrap_or_default();
        let environment = vec![("PATH".to_owned(), format!("{path}:/usr/sbin"))];
        Self { bench, environment, module, label, tpm: None }
    }

    /// SoftHSM with an empty token, prepared by the program.
    pub fn soft() -> Self {
        let mut token = Self::new(SOFTHSM.into(), "desk");
        let folder = token.bench.path("tokens");
        std::fs::create_dir(&folder).unwrap();
        let conf = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            folder.display()
        );
        token.bench.write("softhsm2.conf", &conf);
        let conf = token.bench.path("softhsm2.conf").display().to_string();
        token.environment.push(("SOFTHSM2_CONF".to_owned(), conf));
        token.prepare();
        token
    }

    /// A software TPM with an empty store of tpm2-pkcs11, prepared by the program.
    pub fn tpm() -> Self {
        let mut token = Self::new(library("pkcs11/libtpm2_pkcs11.so"), "tpm");
        let (state, store) = (token.bench.path("tpm"), token.bench.path("store"));
        std::fs::create_dir(&state).unwrap();
        std::fs::create_dir(&store).unwrap();
        let setup = Command::new("swtpm_setup")
            .args(["--tpm2", "--createek", "--decryption", "--overwrite", "--tpmstate"])
            .arg(&state)
            .output()
            .unwrap();
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stdout));
        let (port, control) = two_ports();
        let tpm = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "startup-clear", "--tpmstate"])
            .arg(format!("dir={}", state.display()))
            .args(["--server", &format!("type=tcp,port={port}")])
            .args(["--ctrl", &format!("type=tcp,port={control}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        token.tpm = Some(tpm);
        wait_for(control);
        token.environment.extend([
            ("TPM2_PKCS11_TCTI".to_owned(), format!("swtpm:port={port}")),
            ("TPM2_PKCS11_STORE".to_owned(), store.display().to_string()),
        ]);
        token.prepare();
        token
    }

    /// The module that misbehaves; it has its PIN already.
    pub fn fake() -> Self {
        let mut token = Self::new(fake_module(), "fake");
        std::fs::create_dir(token.bench.path("state")).unwrap();
        let state = token.bench.path("state").display().to_string();
        token.environment.push(("FAKE_TOKEN_STATE".to_owned(), state));
        token
    }

    fn prepare(&self) {
        let said = self.run(&format!(
            "keys hsm init --module {} --label {} --so-pin file:so --pin file:pin --json",
            self.module.display(),
            self.label
        ));
        assert_eq!(said.exit, 0, "{}", said.err);
        let tokens = &said.json()["tokens"];
        assert_eq!((&tokens[0]["label"], &tokens[0]["pin"]), (&self.label.into(), &"good".into()));
    }

    pub fn run(&self, line: &str) -> Said {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.bench.run_with(line, &environment)
    }

    /// The same with the fake module told to misbehave.
    pub fn run_told(&self, words: &str, line: &str) -> Said {
        let told = ("FAKE_TOKEN", words);
        let environment = self.environment.iter();
        let environment = environment.map(|(name, value)| (name.as_str(), value.as_str()));
        let environment: Vec<(&str, &str)> = environment.chain([told]).collect();
        self.bench.run_with(line, &environment)
    }

    /// The token as a URI, with the PIN in a file of the bench.
    pub fn uri_with(&self, pin: &str) -> String {
        let (module, file) = (self.module.display(), self.bench.path(pin));
        let label = self.label;
        format!("pkcs11:token={label}?module-path={module}&pin-source=file:{}", file.display())
    }

    pub fn uri(&self) -> String {
        self.uri_with("pin")
    }

    /// Makes a key; its key file is `LABEL.key`, its public key `LABEL.pem`.
    pub fn generate(&self, kind: &str, label: &str) -> Said {
        self.run(&format!(
            "keys hsm generate --token {} --kind {kind} --label {label} --holder Ada --place safe \
             --out {label}.key --public {label}.pem --json",
            self.uri()
        ))
    }

    /// How this bench's program loads the module, with the bench's environment.
    pub fn launch(&self) -> Launch {
        let mut words: Vec<std::ffi::OsString> = vec!["-i".into()];
        words.extend(self.environment.iter().map(|(name, value)| format!("{name}={value}").into()));
        words.push(env!("CARGO_BIN_EXE_evenkeel").into());
        words.extend(["keys", "hsm", "helper"].map(Into::into));
        Launch { program: "/usr/bin/env".into(), words, deadline: Duration::from_secs(60) }
    }
}

/// A free port whose successor is free, too: there the module looks for the TPM's control channel.
fn two_ports() -> (u16, u16) {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return (port, port + 1);
        }
    }
}

fn wait_for(port: u16) {
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the software TPM did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The module, which tests build with the other examples; built here if they were left out.
fn fake_module() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_evenkeel")).parent().unwrap().join("examples");
    let file = folder.join("libfake_token.so");
    if !file.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "evenkeel", "--example", "fake_token"])
            .status()
            .unwrap();
        assert!(built.success());
    }
    file
}

/// What OpenSSL says to a signature in a file over a message in a file.
pub fn openssl_verifies(public: &Path, signature: &Path, message: &Path) -> bool {
    let said = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(public)
        .arg("-signature")
        .arg(signature)
        .arg(message)
        .output()
        .unwrap();
    said.status.success()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len() / 2).map(|at| &text[2 * at..2 * at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

//! Chains and servers for tests of the network: real EVM nodes, and small servers that lie, stall
//! or show a key.

#![allow(dead_code, reason = "each test program uses its share of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

/// Where `cargo xtask setup` puts the node.
pub fn hardhat() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let program = cache.join("evenkeel-tools/hardhat/node_modules/hardhat/internal/cli/cli.js");
    program.exists().then_some(program)
}

/// A real EVM node with a history that is the same wherever it is told the same.
pub struct Node {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Node {
    /// Starts one; it answers once `ready` was called.
    pub fn start(program: &std::path::Path, chain_id: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "module.exports = {{ networks: {{ hardhat: {{ chainId: {chain_id}, initialDate: \
             \"2026-01-01T00:00:00Z\", mining: {{ auto: false, interval: 0 }} }} }} }};\n"
        );
        std::fs::write(folder.path().join("hardhat.config.js"), config).unwrap();
        let modules = program.ancestors().nth(4).unwrap();
        std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).unwrap();
        std::fs::write(folder.path().join("package.json"), "{}").unwrap();
        let port = free_port();
        let child = Command::new("node")
            .arg(folder.path().join("node_modules/hardhat/internal/cli/cli.js"))
            .args(["node", "--hostname", "127.0.0.1", "--port", &port.to_string()])
            .current_dir(folder.path())
            .env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true")
            .env("CI", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port, _folder: folder }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn ready(&self) {
        let begun = Instant::now();
        while self.ask("eth_chainId", &json!([])).is_none() {
            assert!(begun.elapsed() < PATIENCE, "the node does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Blocks that follow one another by a second from `time` on.
    pub fn mine(&self, blocks: u64, time: u64) {
        self.ask("evm_setNextBlockTimestamp", &json!([time])).unwrap();
        self.ask("hardhat_mine", &json!([format!("0x{blocks:x}"), "0x1"])).unwrap();
    }

    fn ask(&self, method: &str, params: &Value) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = body.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let body = &answer[answer.find('{')?..=answer.rfind('}')?];
        serde_json::from_str::<Value>(body).ok()?.get("result").cloned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that takes connections and says nothing.
pub fn staller() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            held.push(stream);
        }
    });
    address
}

/// Writes `network.toml`: one endpoint of this name at that chain, and more.
pub fn write_document(folder: &std::path::Path, chain: &Scripted, name: &str, more: &str) {
    let text = format!(
        "format = 1\n\n[[chains]]\nname = \"main\"\nchain_id = 1\nsettled_blocks = 0\n\n\
         [[endpoints]]\nname = \"{name}\"\nchain = \"main\"\nurl = \"{}\"\n\n{more}",
        chain.url()
    );
    std::fs::write(folder.join("network.toml"), text).unwrap();
}

/// What a chain of our own says.
#[derive(Debug, Clone)]
pub struct Script {
    pub chain_id: u64,
    pub head: u64,
    /// In front of every hash: another word is another history.
    pub history: char,
    /// A credential without which nothing is answered.
    pub bearer: Option<String>,
}

impl Script {
    pub fn at(head: u64) -> Self {
        Self { chain_id: 1, head, history: 'a', bearer: None }
    }

    fn answer(&self, method: &str, params: &Value) -> Value {
        match method {
            "eth_chainId" => json!(format!("0x{:x}", self.chain_id)),
            "eth_blockNumber" => json!(format!("0x{:x}", self.head)),
            "web3_clientVersion" => json!("script/1"),
            "eth_getLogs" => json!([]),
            "eth_getBalance" => json!("0x0"),
            "eth_getBlockByNumber" => {
                let number = params[0].as_str().unwrap().to_owned();
                let height = u64::from_str_radix(&number[2..], 16).unwrap();
                if height > self.head {
                    return Value::Null;
                }
                json!({"number": number, "hash": format!("0x{}{height:063x}", self.history)})
            }
            _ => Value::Null,
        }
    }
}

/// A chain of our own over HTTP, and an exchange; what it says can be changed while it runs.
pub struct Scripted {
    pub address: SocketAddr,
    pub script: Arc<Mutex<Script>>,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        let shared = Arc::clone(&script);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, script, asked }
    }

    /// Connections that came so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }
}

fn serve(stream: TcpStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((head, body)) = request(&mut reader) {
        let script = script.lock().unwrap().clone();
        let authorized = script.bearer.as_ref().is_none_or(|bearer| {
            head.iter().any(|line| *line == format!("Authorization: Bearer {bearer}"))
        });
        let (status, answer) = if !authorized {
            ("401 Unauthorized", String::new())
        } else if head[0].contains("/public/test") {
            ("200 OK", json!({"jsonrpc": "2.0", "result": {"version": "1.2.26"}}).to_string())
        } else {
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let result = script.answer(asked["method"].as_str().unwrap(), &asked["params"]);
            ("200 OK", json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string())
        };
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n\
             {answer}",
            answer.len()
        );
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(Vec<String>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A server of TLS for `localhost` in front of a plain one, and the certificate it shows.
pub struct TlsFront {
    pub port: u16,
    pub certificate_pem: String,
    pub spki_sha256: String,
}

impl TlsFront {
    pub fn start(behind: SocketAddr) -> Self {
        use base64::Engine as _;
        use sha2::Digest as _;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&made.signing_key);
        let spki_sha256 =
            base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(spki));
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || relay(stream, config, behind));
            }
        });
        Self { port, certificate_pem: made.cert.pem(), spki_sha256 }
    }
}

/// One request and its answer at a time, as clients of JSON-RPC send them.
fn relay(stream: TcpStream, config: Arc<rustls::ServerConfig>, behind: SocketAddr) {
    let session = rustls::ServerConnection::new(config).unwrap();
    let mut tls = rustls::StreamOwned::new(session, stream);
    let mut inner = TcpStream::connect(behind).unwrap();
    let mut some = [0; 64 << 10];
    while let Ok(count) = tls.read(&mut some) {
        if count == 0 || inner.write_all(&some[..count]).is_err() {
            return;
        }
        let Ok(count) = inner.read(&mut some) else { return };
        if tls.write_all(&some[..count]).is_err() || tls.flush().is_err() {
            return;
        }
    }
}

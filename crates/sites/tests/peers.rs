//! Programs of others at both ends: `s3cmd` against our server, our client against `lighttpd`.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Desk, SECRET};
use evenkeel_sites::{
    Bandwidth, CredentialSource, Endpoint, ObjectSite, Patience, WebDavSettings, probe_web_dav,
};
use evenkeel_vault::{Site, SiteClass, SiteErrorKind};

/// What a run of a program said, and whether it succeeded.
struct Said {
    worked: bool,
    text: String,
}

fn s3cmd(desk: &Desk, arguments: &[&str]) -> Said {
    let config = desk.folder().with_file_name("s3cfg");
    let host = desk.url().replace("http://", "");
    fs::write(
        &config,
        format!(
            "[default]\naccess_key = writer\nsecret_key = {SECRET}\nhost_base = {host}\n\
             host_bucket = {host}\nuse_https = False\nsignature_v2 = False\n\
             bucket_location = us-east-1\nmax_retries = 1\nenable_multipart = False\n"
        ),
    )
    .unwrap();
    let ran = Command::new("s3cmd")
        .arg("--config")
        .arg(&config)
        .args(arguments)
        .output()
        .expect("s3cmd is installed by `cargo xtask setup`");
    let text =
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    Said { worked: ran.status.success(), text }
}

#[test]
fn another_client_writes_reads_and_lists_and_can_take_nothing_away() {
    let desk = Desk::open();
    let here = desk.folder().with_file_name("sent");
    let back = desk.folder().with_file_name("back");
    fs::write(&here, b"first content").unwrap();
    let sent = here.to_str().unwrap();
    let put = s3cmd(&desk, &["put", sent, "s3://vault-a/d/x"]);
    assert!(put.worked, "{}", put.text);
    let got = s3cmd(&desk, &["get", "--force", "s3://vault-a/d/x", back.to_str().unwrap()]);
    assert!(got.worked, "{}", got.text);
    assert_eq!(fs::read(&back).unwrap(), b"first content");
    let listed = s3cmd(&desk, &["ls", "--recursive", "s3://vault-a/"]);
    assert!(listed.text.contains("s3://vault-a/d/x"), "{}", listed.text);

    fs::write(&here, b"other content").unwrap();
    let thefts: [&[&str]; 6] = [
        &["put", sent, "s3://vault-a/d/x"],
        &["del", "s3://vault-a/d/x"],
        &["del", "--recursive", "--force", "s3://vault-a/d/"],
        &["cp", "s3://vault-a/d/x", "s3://vault-a/d/y"],
        &["rb", "--force", "s3://vault-a"],
        &["expire", "--expiry-days=1", "s3://vault-a"],
    ];
    for theft in thefts {
        let said = s3cmd(&desk, theft);
        assert!(!said.worked, "{theft:?}: {}", said.text);
    }
    let site = desk.site(true);
    assert_eq!(site.get("d/x").unwrap(), b"first content");
    assert_eq!(site.list("").unwrap().len(), 1);
    assert!(desk.refusals().len() >= 5, "{:?}", desk.refusals());
}

#[test]
fn a_large_object_in_parts_is_refused_before_anything_is_kept() {
    let desk = Desk::open();
    let here = desk.folder().with_file_name("sent");
    fs::write(&here, vec![7; 6 * 1024 * 1024]).unwrap();
    let parts = ["--enable-multipart", "--multipart-chunk-size-mb=5"];
    let sent = [&parts[..], &["put", here.to_str().unwrap(), "s3://vault-a/large"]].concat();
    assert!(!s3cmd(&desk, &sent).worked);
    assert!(desk.site(true).list("").unwrap().is_empty());
}

/// A WebDAV server of somebody else.
struct Lighttpd {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Lighttpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lighttpd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("www/dav")).unwrap();
        fs::write(at("users"), "desk:open-sesame-17\n").unwrap();
        // Free a moment ago; nobody else is given it so soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "server.document-root = \"{root}\"\nserver.port = {port}\nserver.bind = \
             \"127.0.0.1\"\nserver.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_webdav\")\n\
             server.upload-dirs = (\"{tmp}\")\nserver.errorlog = \"{log}\"\n\
             webdav.activate = \"enable\"\n\
             auth.backend = \"plain\"\nauth.backend.plain.userfile = \"{users}\"\n\
             auth.require = (\"/\" => (\"method\" => \"basic\", \"realm\" => \"desk\", \
             \"require\" => \"valid-user\"))\n",
            root = at("www").display(),
            tmp = folder.path().display(),
            log = at("log").display(),
            users = at("users").display(),
        );
        fs::write(at("conf"), config).unwrap();
        let program = ["/usr/sbin/lighttpd", "lighttpd"]
            .into_iter()
            .find(|program| Path::new(program).exists() || !program.starts_with('/'))
            .unwrap();
        let child = Command::new(program)
            .arg("-D")
            .arg("-f")
            .arg(at("conf"))
            .stdout(Stdio::null())
            .spawn()
            .expect("lighttpd is installed by `cargo xtask setup`");
        let server = Self { folder, port, child };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", server.port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("{}", fs::read_to_string(server.folder.path().join("log")).unwrap_or_default());
    }

    fn settings(&self, folder: &str, password: &str) -> WebDavSettings {
        let path = self.folder.path().join(format!("credential-{password}"));
        fs::write(&path, format!("user = desk\npassword = {password}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let url = format!("http://127.0.0.1:{}/{folder}", self.port);
        WebDavSettings {
            endpoint: Endpoint::parse(&url, false).unwrap(),
            credential: Some(CredentialSource::File(path)),
            certificates: None,
            conditional_put: false,
            patience: Patience { repeats: 1, ..Patience::default() },
            bandwidth: Bandwidth::default(),
        }
    }
}

#[test]
fn a_webdav_server_of_others_is_a_site() {
    let server = Lighttpd::start();
    let settings = server.settings("dav/", "open-sesame-17");
    let site = ObjectSite::web_dav("dav", &settings).unwrap();
    assert!(site.list("").unwrap().is_empty());
    site.put("state/a/b/x", b"one").unwrap();
    site.put("state/a/b/x", b"one").unwrap();
    assert_eq!(site.put("state/a/b/x", b"two").unwrap_err().kind, SiteErrorKind::Exists);
    assert_eq!(site.get("state/a/b/x").unwrap(), b"one");
    assert_eq!(site.get_range("state/a/b/x", 1, 9).unwrap(), b"ne");
    assert_eq!(site.get_range("state/a/b/x", 7, 9).unwrap(), b"");
    assert_eq!(site.get("state/a/b/y").unwrap_err().kind, SiteErrorKind::NotFound);
    site.put("state/c", b"12345").unwrap();
    let listed: Vec<_> = site.list("").unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(listed, ["state/a/b/x", "state/c"]);
    assert_eq!(site.list("state/a/").unwrap().len(), 1);
    assert!(site.list("none/").unwrap().is_empty());
    assert_eq!(site.used_bytes().unwrap(), 8);
    assert_eq!(fs::read(server.folder.path().join("www/dav/state/c")).unwrap(), b"12345");
}

#[test]
fn folders_are_made_once_however_many_threads_put_into_them() {
    let server = Lighttpd::start();
    let settings = server.settings("dav", "open-sesame-17");
    let site = ObjectSite::web_dav("dav", &settings).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let site = &site;
            scope.spawn(move || site.put(&format!("a/b/c/{number}"), b"x").unwrap());
        }
    });
    assert_eq!(site.list("a/").unwrap().len(), 8);
}

#[test]
fn a_wrong_password_is_denied_and_a_folder_that_is_gone_is_unavailable_not_empty() {
    let server = Lighttpd::start();
    let wrong = server.settings("dav", "sesame-shut-99");
    let error = ObjectSite::web_dav("dav", &wrong).unwrap().get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Denied, "{error}");
    assert!(!format!("{error:?}").contains("sesame-shut"));
    let gone = server.settings("nowhere", "open-sesame-17");
    let error = ObjectSite::web_dav("dav", &gone).unwrap().list("").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable, "{error}");
}

#[test]
fn a_webdav_server_that_lets_everything_be_replaced_is_found_mutable() {
    let server = Lighttpd::start();
    let finding = probe_web_dav(&server.settings("dav", "open-sesame-17"), 3).unwrap();
    assert!(finding.wrote && finding.read_after_write, "{finding:?}");
    assert!(!finding.refuses("overwrite") && !finding.refuses("delete"), "{finding:?}");
    assert_eq!(finding.class(), SiteClass::Mutable);
}

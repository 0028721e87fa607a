//! The dashboard of the real daemon: the demonstration runs, proves a restore, and loses sites.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod webdriver;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use webdriver::Browser;

/// `evenkeel up` in a home of its own; ended when dropped.
struct Demonstration {
    daemon: Child,
    url: String,
}

impl Demonstration {
    fn start(home: &Path) -> Self {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args([
                "up",
                "--role",
                "primary",
                "--dashboard",
                "127.0.0.1:0",
                "--exit-after",
                "300",
                "--home",
            ])
            .arg(home)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("dashboard").map(|rest| rest.trim().to_owned()))
            .expect("the daemon ended without naming its dashboard");
        // The rest is read and dropped, so that the daemon never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { daemon, url }
    }
}

impl Drop for Demonstration {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn a_newcomer_sees_a_proven_restore_and_then_what_losing_sites_means() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("demo");
    let running = Demonstration::start(&home);
    let browser = Browser::start();
    browser.resize(1280, 900);
    browser.open(&running.url);

    let headline = "document.querySelector('#verdict h1').textContent";
    browser.wait_until("a restore is proven", &format!("return {headline} === 'On an even keel'"));
    let age = browser.eval("return document.querySelector('#proven .age').innerText");
    assert!(age.as_str().unwrap().contains("ago"), "{age}");
    let sites = browser.eval("return document.querySelectorAll('#sites tbody tr').length");
    assert_eq!(sites, 5);
    browser.screenshot("live-1280-light");
    browser.resize(400, 860);
    browser.prefer("dark");
    browser.screenshot("live-400-dark");
    browser.resize(1280, 900);
    browser.prefer("light");

    // Moved at one stroke: a folder that is deleted file by file may be written to meanwhile.
    let lost = folder.path().join("lost");
    std::fs::create_dir(&lost).unwrap();
    for site in std::fs::read_dir(home.join("sites")).unwrap().map(Result::unwrap).take(3) {
        std::fs::rename(site.path(), lost.join(site.file_name())).unwrap();
    }
    browser.wait_until("the loss is noticed", &format!("return {headline} === 'Act now'"));
    browser.wait_until(
        "the lost sites are named, with what to type",
        "const text = document.querySelector('#verdict').innerText;
         return text.includes('do not answer') && text.includes('evenkeel sites')",
    );
    browser.screenshot("live-lost-1280-light");
}

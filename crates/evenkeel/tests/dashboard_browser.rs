//! The dashboard in a real browser: what a person sees, narrow and wide, light and dark.
//!
//! The pictures are kept in the target folder (`tmp/dashboard/`) to be looked at.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;
mod webdriver;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use evenkeel::dashboard::{ServerHandle, StatusSource, serve};
use scripted::{Scene, Scripted};
use serde_json::Value;
use webdriver::Browser;

/// Width and height of the viewports, in CSS pixels.
const NARROW: (u32, u32) = (400, 860);
const WIDE: (u32, u32) = (1280, 900);

fn start(scene: Scene) -> (Arc<Scripted>, ServerHandle, String) {
    let source = Arc::new(Scripted::new(scene));
    let shared: Arc<dyn StatusSource> = source.clone();
    let server = serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None, shared).unwrap();
    let url = format!("http://{}/", server.local_addr());
    (source, server, url)
}

/// Whether live updates have arrived since the page was opened.
fn wait_for_ticks(browser: &Browser) {
    browser.wait_until(
        "two live updates after the page was loaded",
        "return Number(document.body.dataset.ticks || 0) >= 2",
    );
}

/// How far the widest thing on the page reaches beyond `width`, in CSS pixels. Every element is
/// asked, because a page cut off at its edge does not scroll either.
fn overflow(browser: &Browser, width: u32) -> i64 {
    let widest = browser.eval(
        "const edges = [...document.querySelectorAll('body *')].map((e) => {
           const box = e.getBoundingClientRect();
           return e.closest('.skip, .hidden') || box.width === 0 ? 0 : Math.floor(box.right);
         });
         return Math.max(document.scrollingElement.scrollWidth, innerWidth, ...edges)",
    );
    widest.as_i64().unwrap() - i64::from(width)
}

/// Requests to anywhere but `url`, and messages in the console.
fn assert_quiet(browser: &Browser, url: &str) {
    let mut requests = 0;
    for entry in browser.log("performance") {
        let message: Value =
            serde_json::from_str(entry["message"].as_str().unwrap_or_default()).unwrap();
        if message["message"]["method"] != "Network.requestWillBeSent" {
            continue;
        }
        let parameters = &message["message"]["params"];
        // The browser's own start page asks for its own parts.
        if !parameters["documentURL"].as_str().unwrap_or_default().starts_with("http") {
            continue;
        }
        let asked = parameters["request"]["url"].as_str().unwrap_or_default();
        requests += 1;
        assert!(asked.starts_with(url), "the page asked elsewhere: {asked}");
    }
    assert!(requests > 0, "no request was recorded, so nothing was checked");
    let console = browser.log("browser");
    assert!(console.is_empty(), "the console is not empty: {console:#?}");
}

#[test]
fn every_scene_fits_every_screen_in_light_and_dark_and_loads_nothing_from_elsewhere() {
    let browser = Browser::start();
    for (scene, name) in [(Scene::Fresh, "fresh"), (Scene::Well, "well"), (Scene::Alarm, "alarm")] {
        let (_source, _server, url) = start(scene);
        for (width, height) in [NARROW, WIDE] {
            for scheme in ["light", "dark"] {
                browser.resize(width, height);
                browser.prefer(scheme);
                browser.open(&url);
                wait_for_ticks(&browser);
                let case = format!("{name}-{width}-{scheme}");
                browser.screenshot(&case);
                let wider = overflow(&browser, width);
                assert!(wider <= 0, "{case} is {wider} px too wide");
                assert_quiet(&browser, &url);
            }
        }
    }
}

#[test]
fn the_two_colour_schemes_differ() {
    let browser = Browser::start();
    let (_source, _server, url) = start(Scene::Well);
    let paper = |scheme: &str| {
        browser.prefer(scheme);
        browser.open(&url);
        browser.eval("return getComputedStyle(document.body).backgroundColor")
    };
    let (light, dark) = (paper("light"), paper("dark"));
    assert_eq!(light, "rgb(244, 246, 245)");
    assert_eq!(dark, "rgb(11, 18, 24)");
}

#[test]
fn the_age_of_the_last_proven_restore_is_the_largest_text_and_grows_live() {
    let browser = Browser::start();
    browser.resize(WIDE.0, WIDE.1);
    let (_source, _server, url) = start(Scene::Well);
    browser.open(&url);
    let age = "Number(document.querySelector('#proven .age .n').textContent)";
    let first = browser.eval(&format!("return {age}")).as_i64().unwrap();
    assert!(first >= 42, "{first}");
    browser.wait_until("the age grows without a reload", &format!("return {age} > {first}"));
    let largest = browser.eval(
        "const size = (e) => parseFloat(getComputedStyle(e).fontSize);
         const all = [...document.querySelectorAll('main *')].filter((e) => e.innerText);
         return all.reduce((a, b) => (size(b) > size(a) ? b : a)).closest('#proven') !== null",
    );
    assert_eq!(largest, Value::Bool(true));
    let size = browser
        .eval("return parseFloat(getComputedStyle(document.querySelector('#proven .n')).fontSize)");
    assert!(size.as_f64().unwrap() >= 64.0, "{size}");
}

#[test]
fn a_failure_appears_by_itself_with_the_command_to_type_and_goes_again() {
    let browser = Browser::start();
    let (source, server, url) = start(Scene::Well);
    browser.open(&url);
    wait_for_ticks(&browser);
    let headline = "document.querySelector('#verdict h1').textContent";
    assert_eq!(browser.eval(&format!("return {headline}")), "On an even keel");

    source.set(Scene::Alarm);
    browser.wait_until("the alarm appears", &format!("return {headline} === 'Act now'"));
    let text = browser.eval("return document.querySelector('#verdict').innerText");
    let text = text.as_str().unwrap();
    for part in ["birch and ember do not answer", "evenkeel sites probe", "drill failed"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert_eq!(browser.eval("return document.title"), "Act now – Evenkeel");

    source.set(Scene::Well);
    browser.wait_until("all is well again", &format!("return {headline} === 'On an even keel'"));

    server.stop();
    browser.wait_until(
        "silence is said to be silence",
        "return !document.getElementById('lost').hidden
             && document.body.classList.contains('stale')",
    );
    browser.screenshot("silent-780-light");
}

#[test]
fn the_plot_draws_every_drill_and_a_drill_opens_its_report() {
    let browser = Browser::start();
    browser.resize(WIDE.0, WIDE.1);
    let (_source, _server, url) = start(Scene::Alarm);
    browser.open(&url);
    wait_for_ticks(&browser);
    let points = browser.eval("return document.getElementById('rto-plot').dataset.points");
    assert_eq!(points, scripted::drills(Scene::Alarm).len().to_string());
    let inked = browser.eval(
        "const c = document.querySelector('#rto-plot canvas');
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
         let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n += 1; return n",
    );
    assert!(inked.as_i64().unwrap() > 1000, "the plot is empty: {inked} pixels");

    browser.eval("document.querySelector('#drills tbody a').click()");
    browser.wait_until(
        "the report opens below",
        "return document.querySelector('#detail').innerText.includes('state_root')",
    );
    browser.screenshot("report-1280-light");
    browser.eval("document.querySelector('[data-close]').click()");
    browser.wait_until(
        "the report closes again",
        "return document.querySelector('#detail').innerText === ''",
    );
    assert_quiet(&browser, &url);
}

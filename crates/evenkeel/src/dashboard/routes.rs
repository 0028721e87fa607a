//! Answers requests, all of them from the newest rendering.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::gate::{Gate, Verdict};
use super::page::{self, Fragment};
use super::publish::{Newest, Snapshot};
use super::{assets, metrics};

/// Live viewers at once; more are told to come back.
const VIEWERS_MAX: usize = 64;
/// How long the first request waits for the first rendering.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Older than this, the figures are no longer passed off as the present.
const STALE_AFTER: Duration = Duration::from_secs(15);
/// A quiet stream says so, so that dead connections are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the page may do: load its own files, talk to its own server, nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

#[derive(Clone)]
struct App {
    gate: Arc<Gate>,
    newest: Newest,
    stopped: watch::Receiver<bool>,
    viewers: Arc<Semaphore>,
}

/// The routes behind the gate.
pub(super) fn router(gate: Gate, newest: Newest, stopped: watch::Receiver<bool>) -> Router {
    let viewers = Arc::new(Semaphore::new(VIEWERS_MAX));
    let app = App { gate: Arc::new(gate), newest, stopped, viewers };
    Router::new()
        .route("/", get(dashboard))
        .route("/events", get(events))
        .route("/points", get(points))
        .route("/drills", get(drills))
        .route("/drills/{id}", get(drill))
        .route("/api/status", get(api_status))
        .route("/api/points", get(api_points))
        .route("/api/drills", get(api_drills))
        .route("/metrics", get(scrape))
        .route("/assets/{name}", get(asset))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .layer(middleware::from_fn(harden))
        .with_state(app)
}

async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.gate.judge(request.uri(), request.headers()) {
        Verdict::Admit => next.run(request).await,
        Verdict::SetCookie { cookie, location } => {
            let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, location)];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        // Style and logo are in every copy of the program; the page that asks for the token may
        // look like the others.
        Verdict::Unauthorized if request.uri().path().starts_with("/assets/") => {
            next.run(request).await
        }
        Verdict::Unauthorized => {
            let page = page::message(
                "This dashboard asks for its token",
                "Open it once with the token in the address; this browser then remembers it. The \
                 token is in the file that [dashboard] token_file names. Programs send it as \
                 Authorization: Bearer.",
                "http://HOST:PORT/?token=TOKEN",
            );
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"evenkeel\"")];
            (StatusCode::UNAUTHORIZED, challenge, html(page)).into_response()
        }
        Verdict::Misdirected => {
            let page = page::message(
                "Not addressed to this machine",
                "Without a token this dashboard answers only as localhost or 127.0.0.1, so that no \
                 web page can read it through a name of its own.",
                "http://127.0.0.1:PORT/",
            );
            (StatusCode::MISDIRECTED_REQUEST, html(page)).into_response()
        }
    }
}

async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn html(page: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page)
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The newest rendering, or why there is none.
async fn current(app: &App) -> Result<Arc<Snapshot>, Response> {
    let mut newest = app.newest.clone();
    let first = tokio::time::timeout(FIRST_WAIT, newest.wait_for(Option::is_some)).await;
    match first {
        Ok(Ok(snapshot)) => snapshot.clone().ok_or_else(unavailable),
        _ => Err(unavailable()),
    }
}

/// [`current`], refused when it has become too old to be called the present.
async fn current_fresh(app: &App) -> Result<Arc<Snapshot>, Response> {
    let snapshot = current(app).await?;
    if snapshot.taken.elapsed() > STALE_AFTER { Err(unavailable()) } else { Ok(snapshot) }
}

fn unavailable() -> Response {
    let page = page::message(
        "The daemon does not answer the dashboard",
        "The page is served, but no figures have arrived. Nothing is said about journal or sites: \
         ask the daemon itself.",
        "evenkeel status",
    );
    (StatusCode::SERVICE_UNAVAILABLE, html(page)).into_response()
}

async fn dashboard(State(app): State<App>) -> Result<Response, Response> {
    let now = current(&app).await?;
    let page = page::dashboard(&now.status, &now.conditions, &now.fragments);
    Ok(html(page).into_response())
}

/// The fragment for the page's own scripts, a page around it for everybody else.
fn fragment_or_page(headers: &HeaderMap, title: &str, fragment: &str) -> Response {
    let page = if headers.contains_key("hx-request") {
        format!("<p class=\"close\"><a href=\"/\" data-close>Close</a></p>{fragment}")
    } else {
        page::single(title, fragment)
    };
    ([(header::VARY, "HX-Request")], html(page)).into_response()
}

async fn points(State(app): State<App>, headers: HeaderMap) -> Result<Response, Response> {
    let now = current(&app).await?;
    let table = page::points_table(&now.points, &now.status, true);
    let body = format!("<h2>All recovery points</h2>{table}");
    Ok(fragment_or_page(&headers, "Recovery points", &body))
}

async fn drills(State(app): State<App>, headers: HeaderMap) -> Result<Response, Response> {
    let now = current(&app).await?;
    let table = page::drills_table(&now.drills, &now.status, true);
    Ok(fragment_or_page(&headers, "Drills", &format!("<h2>All drills</h2>{table}")))
}

async fn drill(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let now = current(&app).await?;
    let found = now.drills.iter().rev().find(|drill| drill.id == id);
    let drill = found.ok_or_else(|| missing("There is no such drill in the history."))?;
    Ok(fragment_or_page(&headers, "Drill", &page::drill(drill)))
}

async fn api_status(State(app): State<App>) -> Result<Response, Response> {
    let now = current_fresh(&app).await?;
    let mut status = now.status.clone();
    status.conditions.clone_from(&now.conditions);
    Ok(json(&status))
}

async fn api_points(State(app): State<App>) -> Result<Response, Response> {
    Ok(json(&current_fresh(&app).await?.points))
}

async fn api_drills(State(app): State<App>) -> Result<Response, Response> {
    Ok(json(&current_fresh(&app).await?.drills))
}

async fn scrape(State(app): State<App>) -> Result<Response, Response> {
    let now = current_fresh(&app).await?;
    let text = metrics::encode(&now);
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn asset(Path(name): Path<String>) -> Response {
    match assets::find(&name) {
        Some(asset) => {
            let headers =
                [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, "no-cache")];
            (headers, Body::from(asset.bytes)).into_response()
        }
        None => missing("There is no such file."),
    }
}

async fn not_found() -> Response {
    missing("There is no such page.")
}

fn missing(text: &str) -> Response {
    (StatusCode::NOT_FOUND, html(page::message("Not here", text, ""))).into_response()
}

/// Live updates: `fragments` with the parts that changed, `plot` when the history did, and `tick`
/// with every rendering, so that silence is noticed.
async fn events(State(app): State<App>) -> Response {
    let Ok(permit) = Arc::clone(&app.viewers).try_acquire_owned() else {
        let text = format!("{VIEWERS_MAX} live viewers already; reload the page later");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(follow(app.newest, app.stopped, sender, permit));
    let stream = ReceiverStream::new(receiver);
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

type EventSender = mpsc::Sender<Result<Event, Infallible>>;

/// Ends when the viewer is gone, the server stops, or nothing more will be published.
async fn follow(
    mut newest: Newest,
    stopped: watch::Receiver<bool>,
    sender: EventSender,
    _permit: OwnedSemaphorePermit,
) {
    let mut shown: Vec<Fragment> = Vec::new();
    let mut shown_plot: Arc<str> = "".into();
    loop {
        let snapshot = newest.borrow_and_update().clone();
        if let Some(snapshot) = snapshot {
            let mut events = Vec::with_capacity(3);
            let changed = changed_fragments(&shown, &snapshot.fragments);
            if !changed.is_empty() {
                events.push(Event::default().event("fragments").data(changed));
                shown.clone_from(&snapshot.fragments);
            }
            if shown_plot != snapshot.plot {
                events.push(Event::default().event("plot").data(&*snapshot.plot));
                shown_plot = Arc::clone(&snapshot.plot);
            }
            events.push(Event::default().event("tick").data(&snapshot.status.time));
            for event in events {
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
        }
        if newest.changed().await.is_err() || *stopped.borrow() {
            return;
        }
    }
}

/// The parts that differ, each wrapped to replace what stands inside its element.
fn changed_fragments(shown: &[Fragment], now: &[Fragment]) -> String {
    let is_new = |fragment: &&Fragment| !shown.contains(fragment);
    let wrap = |fragment: &Fragment| {
        format!("<div id=\"{}\" hx-swap-oob=\"innerHTML\">{}</div>", fragment.id, fragment.html)
    };
    now.iter().filter(is_new).map(wrap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_parts_are_sent() {
        let part = |id, html: &str| Fragment { id, html: html.to_owned() };
        let shown = [part("a", "1"), part("b", "1")];
        let now = [part("a", "1"), part("b", "2")];
        let sent = changed_fragments(&shown, &now);
        assert_eq!(sent, "<div id=\"b\" hx-swap-oob=\"innerHTML\">2</div>");
        assert_eq!(changed_fragments(&now, &now), "");
    }
}

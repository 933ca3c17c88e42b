//! Who may see and change what: [`protect`] stands before every page.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use axum::extract::{Form, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use maud::html;
use serde::Deserialize;

use crate::gate::{COOKIE, SESSION};
use crate::page::page;
use crate::problem::Problem;
use crate::site::{Shared, Site};

/// Stands before every page: the name it is asked under, the login, where a change comes from. Adds
/// the headers that keep a browser from doing more than these pages need.
pub(crate) async fn protect(State(site): Shared, request: Request, next: Next) -> Response {
    let gate = site.gate.as_ref();
    let is_logged_in = gate.is_none_or(|gate| gate.lets_in(request.headers()));
    let response = match refusal(&site, &request, is_logged_in) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let mut response = match response.extensions().get::<Problem>() {
        Some(problem) => problem_page(&site, problem, is_logged_in),
        None => response,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        let entry = headers.entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    response
}

fn refusal(site: &Site, request: &Request, is_logged_in: bool) -> Option<Response> {
    let headers = request.headers();
    let host = host(request.uri(), headers);
    let page = request.uri().path();
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    let is_open = page == LOGIN || page.starts_with("/assets/");
    let (status, text) = if !host.is_some_and(|host| is_known_host(host, &site.hosts)) {
        let text = "This address is not one that the dashboard answers under.";
        (StatusCode::MISDIRECTED_REQUEST, text)
    } else if site.gate.is_none() && !site.is_behind_proxy && is_proxied(headers) {
        let text = "This came through a proxy, and without a token the dashboard is for this machine alone: name a file with one \
            with --admin-token-file.";
        (StatusCode::FORBIDDEN, text)
    } else if is_change && !is_from_here(host, headers) {
        let text = "A change must come from one of these pages.";
        (StatusCode::FORBIDDEN, text)
    } else if is_foreign_load(headers) {
        let text = "Another page may link here, and load nothing from here.";
        (StatusCode::FORBIDDEN, text)
    } else if !is_logged_in && !is_open {
        if !is_change && page != "/changes" {
            return Some(Redirect::to(&site.path(LOGIN)).into_response());
        }
        (StatusCode::UNAUTHORIZED, "Please log in.")
    } else if is_change && site.is_read_only && page != LOGIN && page != "/logout" {
        (StatusCode::FORBIDDEN, "This dashboard is read-only.")
    } else {
        return None;
    };
    Some(Problem::new(status, text).into_response())
}

fn problem_page(site: &Site, problem: &Problem, is_logged_in: bool) -> Response {
    let title = problem.status.canonical_reason().unwrap_or("Problem");
    let content = html! { section.card { h1 { (title) } p { (problem.text) } } };
    let page = page(site, is_logged_in.then_some(""), title, &content);
    (problem.status, page).into_response()
}

/// Whether a proxy says that it passes on what someone else asked: loopback is no guard then.
fn is_proxied(headers: &HeaderMap) -> bool {
    PROXIED.iter().any(|name| headers.contains_key(*name))
}

/// Whether this names the machine, so that no web page reads it by a name of its own that leads here
/// (DNS rebinding).
fn is_known_host(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.strip_suffix('.').unwrap_or(host);
    !authority.as_str().contains('@')
        && (address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The name that is asked: in HTTP/2 it stands in the address (`:authority`). Where it stands in two places, both must agree.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let in_headers = headers.get_all(header::HOST).iter();
    let in_headers = in_headers.map(|host| host.to_str().unwrap_or_default());
    let mut hosts = in_headers.chain(uri.authority().map(Authority::as_str));
    let host = hosts.next()?;
    hosts.all(|other| other == host).then_some(host)
}

/// Whether one of these pages asks. Browsers send `Sec-Fetch-Site` over loopback and TLS, and
/// `Origin` with every POST; what sends neither is no browser of ours.
fn is_from_here(host: Option<&str>, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
    {
        return false;
    }
    let origin_host = origin(headers).and_then(|origin| origin.split_once("://"));
    origin_host.is_some_and(|(_, origin_host)| Some(origin_host) == host)
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

/// Whether a page of another site, or of another port, has it loaded by itself, as an image or in a frame: what costs much is not
/// for it to ask.
fn is_foreign_load(headers: &HeaderMap) -> bool {
    let is = |name: &str, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    let is_foreign = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    let is_whole = !headers.contains_key("sec-fetch-dest") || is("sec-fetch-dest", "document");
    is_foreign && !(is("sec-fetch-mode", "navigate") && is_whole)
}

pub(crate) async fn show_login(State(site): Shared) -> Response {
    match site.gate {
        Some(_) => login_page(&site, false),
        None => Redirect::to(&site.path("/")).into_response(),
    }
}

fn login_page(site: &Site, is_wrong: bool) -> Response {
    let content = html! {
        form.card.login method="post" action=(site.path(LOGIN)) {
            h1 { "Log in" }
            @if is_wrong { p.alert role="alert" { "That is not the token." } }
            label for="token" { "Token" }
            input #token name="token" type="password" autocomplete="current-password" required autofocus;
            p.hint { "The line in the file that " code { "--admin-token-file" } " names." }
            button.primary { "Log in" }
        }
    };
    let status = match is_wrong {
        true => StatusCode::UNAUTHORIZED,
        false => StatusCode::OK,
    };
    (status, page(site, None, "Log in", &content)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Login {
    token: String,
}

pub(crate) async fn login(
    State(site): Shared,
    headers: HeaderMap,
    Form(form): Form<Login>,
) -> Response {
    let home = Redirect::to(&site.path("/"));
    let Some(gate) = &site.gate else {
        return home.into_response();
    };
    if !gate.is_token(form.token.trim()) {
        tracing::warn!("a login to the dashboard failed: wrong token");
        tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
        return login_page(&site, true);
    }
    let session = gate.session(SystemTime::now());
    let cookie = cookie(&site, &headers, &session, SESSION);
    ([(header::SET_COOKIE, cookie)], home).into_response()
}

pub(crate) async fn logout(State(site): Shared, headers: HeaderMap) -> Response {
    let forget = cookie(&site, &headers, "", Duration::ZERO);
    let login = Redirect::to(&site.path(LOGIN));
    ([(header::SET_COOKIE, forget)], login).into_response()
}

/// Browsers send cookies to every port of a host, so its name has the port: two dashboards do not log each other out. The
/// origin, which every POST has, tells whether the browser speaks TLS, to a proxy perhaps.
fn cookie(site: &Site, headers: &HeaderMap, value: &str, max_age: Duration) -> String {
    let (scheme, host) = origin(headers)
        .and_then(|origin| origin.split_once("://"))
        .unwrap_or_default();
    let port = host.parse::<Authority>().ok();
    let port = port.and_then(|authority| authority.port_u16());
    let port = port.map_or_else(String::new, |port| format!("-{port}"));
    let secure = if scheme == "https" { "; Secure" } else { "" };
    let (path, max_age) = (site.path("/"), max_age.as_secs());
    format!(
        "{COOKIE}{port}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"
    )
}

/// What a response has that does not say otherwise itself.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // `no-referrer` would take `Origin` from our own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

const LOGIN: &str = "/login";
const PROXIED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(500);

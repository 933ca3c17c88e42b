//! Who may see and change what: [`protect`] stands before every page.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Form, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::html;
use serde::Deserialize;

use crate::gate::{COOKIE, SESSION};
use crate::page::Page;
use crate::problem::Problem;
use crate::site::Site;

/// Stands before every page: the name it is asked under, the login, where a change comes from. Adds
/// the headers that keep a browser from doing more than these pages need.
pub(crate) async fn protect(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let is_logged_in = site
        .gate
        .as_ref()
        .is_none_or(|gate| gate.lets_in(request.headers()));
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
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

fn refusal(site: &Site, request: &Request, is_logged_in: bool) -> Option<Response> {
    let headers = request.headers();
    if !is_known_host(headers, &site.hosts) {
        let text = "This address is not one that the dashboard answers under.";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, text).into_response());
    }
    if site.gate.is_none() && !site.is_behind_proxy && is_proxied(headers) {
        let text = "This came through a proxy, and without a token the dashboard is for this machine alone: name a file with one \
            with --admin-token-file.";
        return Some(Problem::new(StatusCode::FORBIDDEN, text).into_response());
    }
    let path = request.uri().path();
    let page = path.strip_prefix(site.base.as_str()).unwrap_or(path);
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_change && !is_from_here(headers) {
        let text = "A change must come from one of these pages.";
        return Some(Problem::new(StatusCode::FORBIDDEN, text).into_response());
    }
    if is_foreign_load(headers) {
        let text = "Another page may link here, and load nothing from here.";
        return Some(Problem::new(StatusCode::FORBIDDEN, text).into_response());
    }
    let is_open = page == LOGIN || page.starts_with("/assets/");
    if !is_logged_in && !is_open {
        let is_page = !is_change && page != "/changes";
        return Some(match is_page {
            true => Redirect::to(&format!("{}{LOGIN}", site.base)).into_response(),
            false => Problem::new(StatusCode::UNAUTHORIZED, "Please log in.").into_response(),
        });
    }
    if is_change && site.is_read_only && page != LOGIN && page != "/logout" {
        let text = "This dashboard is read-only.";
        return Some(Problem::new(StatusCode::FORBIDDEN, text).into_response());
    }
    None
}

fn problem_page(site: &Site, problem: &Problem, is_logged_in: bool) -> Response {
    let title = problem.status.canonical_reason().unwrap_or("Problem");
    let content = html! { section.card { h1 { (title) } p { (problem.text) } } };
    let page = Page::new(title, content);
    let page = match is_logged_in {
        true => page,
        false => page.without_menu(),
    };
    (problem.status, page.of(site)).into_response()
}

/// Whether a proxy says that it passes on what someone else asked: loopback is no guard then.
fn is_proxied(headers: &HeaderMap) -> bool {
    PROXIED.iter().any(|name| headers.contains_key(*name))
}

/// Whether the request names this machine, so that no web page reads it by a name of its own that
/// leads here (DNS rebinding).
fn is_known_host(headers: &HeaderMap, names: &[String]) -> bool {
    let Some(host) = host(headers) else {
        return false;
    };
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

fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None | Some(_), _) => None,
    }
}

/// Whether one of these pages asks. Browsers send `Sec-Fetch-Site` over loopback and TLS, and
/// `Origin` with every POST; what sends neither is no browser of ours.
fn is_from_here(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
    {
        return false;
    }
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|value| value.to_str().ok());
    let origin_host = origin.and_then(|origin| origin.split_once("://"));
    origin_host.is_some_and(|(_, origin_host)| Some(origin_host) == host(headers))
}

/// Whether a page of another site has it loaded by itself, as an image for instance: what costs much is not for it to ask.
fn is_foreign_load(headers: &HeaderMap) -> bool {
    let is = |name: &str, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    is("sec-fetch-site", "cross-site") && !is("sec-fetch-mode", "navigate")
}

pub(crate) async fn show_login(State(site): State<Arc<Site>>) -> Response {
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
    let page = Page::new("Log in", content).without_menu();
    (status, page.of(site)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Login {
    token: String,
}

pub(crate) async fn login(State(site): State<Arc<Site>>, Form(form): Form<Login>) -> Response {
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
    (
        [(header::SET_COOKIE, cookie(&site, &session, SESSION))],
        home,
    )
        .into_response()
}

pub(crate) async fn logout(State(site): State<Arc<Site>>) -> Response {
    let forget = cookie(&site, "", Duration::ZERO);
    let login = Redirect::to(&site.path(LOGIN));
    ([(header::SET_COOKIE, forget)], login).into_response()
}

fn cookie(site: &Site, value: &str, max_age: Duration) -> String {
    let (path, max_age) = (site.path("/"), max_age.as_secs());
    format!("{COOKIE}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Strict")
}

/// What a response has that does not say otherwise itself.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // `no-referrer` would take `Origin` from our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        header::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

const LOGIN: &str = "/login";
const PROXIED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_change(headers: &[(&'static str, &'static str)], expected: bool) {
        let headers = headers.iter().map(|(name, value)| {
            let name = header::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let headers: HeaderMap = headers.collect();
        assert_eq!(is_from_here(&headers), expected, "{headers:?}");
    }

    #[test]
    fn only_these_pages_may_change_anything() {
        let host = ("host", "127.0.0.1:9180");
        let origin = ("origin", "http://127.0.0.1:9180");
        check_change(&[host, origin, ("sec-fetch-site", "same-origin")], true);
        check_change(&[host, origin], true);
        check_change(&[host, origin, ("sec-fetch-site", "cross-site")], false);
        check_change(&[host, origin, ("sec-fetch-site", "same-site")], false);
        check_change(&[host, ("origin", "http://attacker.example")], false);
        check_change(&[host, ("origin", "http://127.0.0.1:3000")], false);
        check_change(&[host, ("origin", "null")], false);
        check_change(&[host], false);
    }

    #[track_caller]
    fn check_host(host: &'static str, expected: bool) {
        let headers = [(header::HOST, HeaderValue::from_static(host))];
        let names = ["hooks.internal".to_owned()];
        assert_eq!(
            is_known_host(&HeaderMap::from_iter(headers), &names),
            expected,
            "{host}"
        );
    }

    #[test]
    fn only_addresses_localhost_and_configured_hosts_are_known() {
        for host in [
            "127.0.0.1:9180",
            "[::1]:9180",
            "localhost",
            "LOCALHOST.:80",
            "hooks.internal",
        ] {
            check_host(host, true);
        }
        for host in [
            "attacker.example",
            "localhost.attacker.example",
            "a@127.0.0.1",
            "",
        ] {
            check_host(host, false);
        }
        assert!(!is_known_host(&HeaderMap::new(), &[]));
    }
}

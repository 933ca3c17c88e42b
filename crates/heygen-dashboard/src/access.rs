//! Who may see and change what: [`protect`] stands before every page.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Form, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
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
    let host = host(request.uri(), headers);
    let path = request.uri().path();
    let page = path.strip_prefix(site.base.as_str()).unwrap_or(path);
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
            return Some(Redirect::to(&format!("{}{LOGIN}", site.base)).into_response());
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

pub(crate) async fn login(
    State(site): State<Arc<Site>>,
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

pub(crate) async fn logout(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
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
        let host = Some("127.0.0.1:9180");
        assert_eq!(is_from_here(host, &headers), expected, "{headers:?}");
    }

    #[test]
    fn only_these_pages_may_change_anything() {
        let origin = ("origin", "http://127.0.0.1:9180");
        check_change(&[origin, ("sec-fetch-site", "same-origin")], true);
        check_change(&[origin], true);
        check_change(&[origin, ("sec-fetch-site", "cross-site")], false);
        check_change(&[origin, ("sec-fetch-site", "same-site")], false);
        check_change(&[("origin", "http://attacker.example")], false);
        check_change(&[("origin", "http://127.0.0.1:3000")], false);
        check_change(&[("origin", "null")], false);
        check_change(&[], false);
    }

    #[track_caller]
    fn check_host(host: &str, expected: bool) {
        let names = ["hooks.internal".to_owned()];
        assert_eq!(is_known_host(host, &names), expected, "{host}");
    }

    #[track_caller]
    fn check_asked(uri: &'static str, hosts: &[&'static str], expected: Option<&str>) {
        let hosts = hosts
            .iter()
            .map(|host| (header::HOST, HeaderValue::from_static(host)));
        let headers: HeaderMap = hosts.collect();
        assert_eq!(
            host(&Uri::from_static(uri), &headers),
            expected,
            "{uri} {headers:?}"
        );
    }

    #[test]
    fn host_is_read_where_each_version_of_http_has_it() {
        check_asked("/", &["127.0.0.1:9180"], Some("127.0.0.1:9180"));
        check_asked("https://hooks.internal/", &[], Some("hooks.internal"));
        check_asked(
            "https://hooks.internal/",
            &["hooks.internal"],
            Some("hooks.internal"),
        );
        check_asked("http://127.0.0.1/", &["attacker.example"], None);
        check_asked("/", &["127.0.0.1", "attacker.example"], None);
        check_asked("/", &[], None);
    }

    #[track_caller]
    fn check_cookie(origin: &'static str, expected: &str) {
        let inbox = heygen_inbox::BoxInbox::new(heygen_inbox::MemoryInbox::new());
        let headers = [(header::ORIGIN, HeaderValue::from_static(origin))];
        let headers = HeaderMap::from_iter(headers);
        let cookie = cookie(&Site::new(inbox), &headers, "s", SESSION);
        assert_eq!(cookie, expected);
    }

    #[test]
    fn cookie_is_of_its_port_and_of_tls_where_there_is_tls() {
        check_cookie(
            "http://127.0.0.1:9180",
            "heygen-webhooks-session-9180=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict",
        );
        check_cookie(
            "https://ops.internal",
            "heygen-webhooks-session=s; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure",
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
    }
}

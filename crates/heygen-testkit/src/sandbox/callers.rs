//! [`admit`]: rejects what web pages send.
//!
//! The control routes need no key, and with [`Builder::secret`](super::Builder::secret) they show a
//! secret that may be a real one. A page that is open in a browser on this machine can reach the
//! sandbox: by a name of its own that leads here (DNS rebinding), or with a request whose answer it
//! cannot read, which registers an endpoint all the same.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header, uri::Authority};
use serde_json::json;

use super::{reply, shared::Shared};

/// Lets a request pass that names this machine and does not come from a page of another address.
pub(super) async fn admit(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let (status, message) = if !is_known_host(&request, &shared.settings.hosts) {
        let message = "The sandbox answers under addresses, localhost and the names it was given.";
        (StatusCode::MISDIRECTED_REQUEST, message)
    } else if !is_from_here(request.headers()) {
        let message = "The Origin of the request is that of another web page.";
        (StatusCode::FORBIDDEN, message)
    } else {
        return next.run(request).await;
    };
    shared.note(format!("{status}: {message}"));
    let error = json!({"error": {"code": "forbidden", "message": message}});
    reply::json(status, &error).into_response()
}

/// A request without `Host` must be HTTP/1.0, which no browser sends.
fn is_known_host<B>(request: &http::Request<B>, names: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => return request.version() < http::Version::HTTP_11,
        (Some(host), None) => host.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
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

/// Only browsers send `Origin`.
fn is_from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok();
    let origin = origin.and_then(|origin| origin.strip_prefix("http://"));
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    origin.is_some() && origin == host
}

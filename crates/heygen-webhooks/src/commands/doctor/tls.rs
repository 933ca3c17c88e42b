//! One TLS handshake with the public address: whether it succeeds for that name, and until when the certificate is valid.
//!
//! How strong its keys are is the business of rustls, which refuses weak ones, and of who issued it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use heygen_http::tls_config;
use reqwest::Url;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::finding::{Finding, Level};
use super::inputs::Inputs;
use crate::api::web;
use crate::settings::when;

pub(super) async fn finding(inputs: &Inputs, url: &Url) -> Finding {
    if url.scheme() != "https" {
        return match inputs.is_sandbox {
            true => Finding::skipped(ID, "plain http, as with a sandbox"),
            false => Finding::problem(ID, "plain http: there is no TLS", "serve it with https"),
        };
    }
    match timeout(WHOLE_TIME, handshake(url)).await {
        Ok(Ok(stream)) => verdict(&stream),
        Ok(Err(finding)) => finding,
        Err(_) => Finding::problem(
            ID,
            format!("no handshake within {} s", WHOLE_TIME.as_secs()),
            "check that the port speaks TLS and answers quickly",
        ),
    }
}

async fn handshake(url: &Url) -> Result<TlsStream<TcpStream>, Finding> {
    let config = tls_config(true).map_err(|error| {
        let advice = "SSL_CERT_FILE names certificates";
        Finding::skipped(
            ID,
            format!("cannot set up TLS on this machine: {error} ({advice})"),
        )
    })?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Finding::problem(ID, error.to_string(), "correct --public-url"))?;
    let port = url.port_or_known_default().unwrap_or(443);
    let stream = connect(host, port).await.map_err(|error| {
        Finding::problem(
            ID,
            format!("cannot be reached: {error}"),
            "check that the receiver runs, and that name and port are correct",
        )
    })?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = connector.connect(name, stream).await;
    shaken.map_err(|error| refused(&error))
}

/// Tries each address of the name: the first may lead nowhere.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        match timeout(ADDRESS_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn refused(error: &io::Error) -> Finding {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let (what, fix) = match cause {
        Some(rustls::Error::InvalidCertificate(cause)) => match out_of_date(cause) {
            Some(found) => found,
            None => (
                format!("the handshake failed: {error}"),
                "get a certificate for this name from a public authority, and send the whole chain",
            ),
        },
        Some(rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_)) => (
            format!("the handshake failed: {error}"),
            "enable TLS 1.2 or 1.3 with current ciphers on the server",
        ),
        _ => (
            format!("the handshake failed: {error}"),
            "check that the port speaks TLS",
        ),
    };
    Finding::problem(ID, what, fix)
}

/// A certificate that has expired, or is not valid yet. Not every verifier of a system tells the date.
fn out_of_date(cause: &CertificateError) -> Option<(String, &'static str)> {
    let day = |seconds: u64| when::day(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let renew = "renew it, and check why it was not renewed automatically";
    let wait = "use a certificate that is valid now, or correct the clock";
    match cause {
        CertificateError::Expired => Some((EXPIRED.to_owned(), renew)),
        CertificateError::ExpiredContext { not_after, .. } => {
            Some((format!("{EXPIRED} on {}", day(not_after.as_secs())), renew))
        }
        CertificateError::NotValidYet => Some((NOT_YET.to_owned(), wait)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            let day = day(not_before.as_secs());
            Some((format!("{NOT_YET}: it is valid from {day}"), wait))
        }
        _ => None,
    }
}

/// An expired certificate fails everything that is sent to the address: it is reported once, with its date.
pub(super) fn say_once(findings: &mut [Finding]) {
    let is_told = findings.iter().any(|finding| {
        finding.id == ID
            && (finding.message.starts_with(EXPIRED) || finding.message.starts_with(NOT_YET))
    });
    if !is_told {
        return;
    }
    for finding in findings {
        let is_of_address = ["address.", "sample."]
            .iter()
            .any(|group| finding.id.starts_with(group));
        let has_failed = matches!(finding.level, Level::Problem | Level::Warn)
            || finding.level == Level::Skipped && finding.message.contains("certificate");
        if is_of_address && has_failed && finding.id != ID {
            *finding = Finding::skipped(finding.id, format!("there is no TLS: see {ID}"));
        }
    }
}

fn verdict(stream: &TlsStream<TcpStream>) -> Finding {
    let (_, connection) = stream.get_ref();
    let version = connection.protocol_version();
    let version = version.and_then(|version| version.as_str());
    let cipher = connection.negotiated_cipher_suite();
    let cipher = cipher.and_then(|cipher| cipher.suite().as_str());
    let what = format!(
        "{}, {}",
        version.unwrap_or("?").replace("TLSv1_", "TLS 1."),
        cipher.unwrap_or("?")
    );
    let own = connection.peer_certificates().and_then(<[_]>::first);
    match own.and_then(|own| web::valid_until(own)) {
        Some(until) if until < SystemTime::now() + RENEW_BEFORE => Finding::warn(
            ID,
            format!("{what}; the certificate expires on {}", when::day(until)),
            "renew it, and check why it was not renewed automatically",
        ),
        Some(until) => Finding::ok(ID, format!("{what}, valid until {}", when::day(until))),
        None => Finding::ok(ID, what),
    }
}

const ID: &str = "address.tls";
const EXPIRED: &str = "the certificate expired";
const NOT_YET: &str = "the certificate is not valid yet";
const WHOLE_TIME: Duration = Duration::from_secs(6);

/// How long one address may take to be reached.
const ADDRESS_TIME: Duration = Duration::from_secs(2);
const RENEW_BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);

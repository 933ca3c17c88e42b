//! `sandbox`: simulates HeyGen's webhook API on loopback until it is stopped.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use heygen_dashboard::Dashboard;
use heygen_inbox::MemoryInbox;
use heygen_receiver::handlers::LineSink;
use heygen_receiver::{Admin, AdminPages};
use heygen_signature::Secret;
use heygen_testkit::sandbox::{Delivery, Sandbox as Heygen};
use serde_json::json;
use tokio::runtime::Builder;

use crate::cli::Sandbox;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::{self, tame, without_query};
use crate::process::parent;
use crate::process::runtime::run_on;
use crate::process::signals::asked_to_stop;
use crate::secrets::secret;
use crate::server::listen;
use crate::server::sandbox::Control;
use crate::settings::origin;
use crate::settings::output::Log;
use crate::settings::web_address::{host_names, listen_address};
use crate::settings::when;
use crate::settings::written;

pub(super) fn run(options: &Sandbox) -> Result<(), Failure> {
    let address = address("listen", &options.listen)?;
    if !options.time_scale.is_finite() || options.time_scale < 0.0 {
        return Err(Failure::usage(format!(
            "--time-scale {}: give a factor of 0 or more, such as 0.001",
            options.time_scale
        )));
    }
    let dashboard = dashboard_address(options.dashboard.as_deref())?;
    let key = key()?;
    let secrets = secret::configured(&options.secrets.given()?.files())?;
    let secret = secrets.into_iter().next();
    logging::start(&Log::default())?;
    let lines = LineSink::stdout()?;
    let played = play(options, address, dashboard, key, secret, &lines);
    let ended = run_on(&mut Builder::new_multi_thread(), played);
    lines.flush();
    lines.report_dropped();
    ended
}

async fn play(
    options: &Sandbox,
    address: SocketAddr,
    dashboard: Page,
    key: Option<String>,
    secret: Option<Secret>,
    lines: &LineSink,
) -> Result<(), Failure> {
    // Before anyone can know the address, and so before there is a reason to stop.
    let asked = asked_to_stop(Vec::new())?;
    let abandoned = parent::abandoned(options.until_stdin_closes)?;
    let json = options.json;
    let mut builder = Heygen::builder()
        .listen(address)
        .time_scale(options.time_scale)
        .on_attempt({
            let lines = lines.clone();
            // The sandbox continues when its output is not read.
            move |delivery| lines.offer(line(delivery, json))
        });
    for name in host_names("allow-host", &options.allow_host)? {
        builder = builder.host(name);
    }
    if let Some(key) = &key {
        builder = builder.api_key(key);
    }
    let has_secret = secret.is_some();
    if let Some(secret) = secret {
        builder = builder.secret(secret);
    }
    let heygen = builder
        .start()
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    if !address.ip().is_loopback() {
        tracing::warn!(
            "anyone who can reach {address} can read every secret of the sandbox and make it send requests"
        );
    }
    let heygen = Arc::new(heygen);
    let page = dashboard.bind().await?;
    let page_url = page.as_ref().map(page_url).transpose()?;
    lines.offer(match json {
        true => output::json_line(
            &json!({"type": "listening", "url": heygen.url(), "dashboard": page_url}),
        ),
        false => welcome(heygen.url(), page_url.as_deref(), key.is_some(), has_secret),
    });
    let control = Control::new(&heygen);
    let showing = page.map(|page| tokio::spawn(show(page, control)));
    let asked = tokio::select! {
        asked = asked => asked,
        () = abandoned => {
            tracing::info!("standard input or the parent process ended: stopping");
            Ok(())
        }
    };
    if let Some(showing) = showing {
        showing.abort();
        // It fails because it was aborted.
        let _ = showing.await;
    }
    stop(heygen).await;
    asked
}

/// Stops it once no request of the page holds it, which none does for long.
async fn stop(mut heygen: Arc<Heygen>) {
    for _ in 0..STOP_ATTEMPTS {
        match Arc::try_unwrap(heygen) {
            Ok(heygen) => return heygen.stop().await,
            Err(held) => heygen = held,
        }
        tokio::time::sleep(STOP_PAUSE).await;
    }
}

/// Where the page that drives it is.
enum Page {
    /// At the usual place, or at a free port.
    Default,
    At(SocketAddr),
    Off,
}

fn dashboard_address(given: Option<&str>) -> Result<Page, Failure> {
    match given {
        None => Ok(Page::Default),
        Some("off") => Ok(Page::Off),
        Some(text) => match address("dashboard", text)? {
            address if address.ip().is_loopback() => Ok(Page::At(address)),
            address => Err(Failure::usage(format!(
                "{}: {address} is not on loopback, and anyone who can reach the page could have events sent: use `ssh -L` from elsewhere",
                origin::name("dashboard")
            ))),
        },
    }
}

impl Page {
    async fn bind(self) -> Result<Option<Admin>, Failure> {
        let bound = match self {
            Self::Off => return Ok(None),
            Self::At(address) => Admin::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address} for the dashboard"))?,
            Self::Default => match Admin::bind(DASHBOARD).await {
                Ok(bound) => bound,
                Err(_) => Admin::bind("127.0.0.1:0")
                    .await
                    .context("cannot listen on loopback for the dashboard")?,
            },
        };
        Ok(Some(bound))
    }
}

fn page_url(page: &Admin) -> Result<String, Failure> {
    Ok(listen::url("http", &page.address()?, "/"))
}

async fn show(page: Admin, control: Control) {
    let pages = Dashboard::of_sandbox(Arc::new(control)).router();
    let pages = AdminPages::new(MemoryInbox::new()).mount(pages);
    page.serve(pages, std::future::pending()).await;
}

/// Names are looked up, as `serve` does.
fn address(option: &str, text: &str) -> Result<SocketAddr, Failure> {
    let text = listen_address(option, text)?;
    let option = origin::name(option);
    let mut addresses = text.to_socket_addrs().map_err(|error| {
        Failure::usage(format!(
            "{option}: {text}: {error}; give an address and a port, such as 127.0.0.1:8090"
        ))
    })?;
    addresses.next().ok_or_else(|| {
        Failure::usage(format!(
            "{option}: {text} is not an address: give one such as 127.0.0.1:8090"
        ))
    })
}

fn key() -> Result<Option<String>, Failure> {
    let key = written::variable(KEY)?;
    Ok(key.map(|key| written::value(&key, written::nothing_is_certain, "the key", KEY).to_owned()))
}

/// What a newcomer copies into a second terminal.
fn welcome(url: &str, page: Option<&str>, has_key: bool, has_secret: bool) -> String {
    let key = match has_key {
        true => format!("${KEY}"),
        false => "any".to_owned(),
    };
    let secret = match has_secret {
        true => {
            "\nEndpoints get the signing secret of HEYGEN_WEBHOOK_SECRET or --secret-file, and any caller of the sandbox can read \
             it: use none that HeyGen signs with.\n"
        }
        false => "",
    };
    let page = page.map_or_else(String::new, |page| format!("In the browser: {page}\n\n"));
    format!(
        "sandbox listening on {url}
{secret}
{page}Register an address, deliver an event to it, see the result, and start a video whose event follows:

  curl -s -H \"x-api-key: {key}\" {url}/v3/webhooks/endpoints -d '{{\"url\": \"http://127.0.0.1:8080/webhooks/heygen\"}}'
  curl -s {url}/sandbox/events -d '{{\"event_type\": \"avatar_video.success\"}}'
  curl -s {url}/sandbox/deliveries
  curl -s -H \"x-api-key: {key}\" {url}/v3/videos -d '{{\"type\": \"avatar\"}}'
  curl -s {url}/sandbox/misbehave -d '{{\"duplicates\": 1, \"link\": \"null\"}}'
  curl -s -X POST {url}/sandbox/reset

Use {url} in place of https://api.heygen.com in any HeyGen client. Each delivery attempt is a line below; stop with
Ctrl-C.

"
    )
}

/// The last attempt of a delivery.
fn line(delivery: &Delivery, json: bool) -> String {
    let Some(attempt) = delivery.attempts.last() else {
        return String::new();
    };
    let number = delivery.attempts.len();
    let now = SystemTime::now();
    if json {
        let line = json!({
            "type": "attempt",
            "time": when::exact(now),
            "delivery_id": delivery.delivery_id,
            "event_id": delivery.event_id,
            "event_type": delivery.event_type,
            "endpoint_id": delivery.endpoint_id,
            "url": attempt.url,
            "attempt": number,
            "duplicate": attempt.duplicate,
            "accepted": attempt.accepted(),
            "status": attempt.status,
            "error": attempt.error,
            "milliseconds": attempt.duration.as_secs_f64() * 1000.0,
        });
        return output::json_line(&line);
    }
    let status = attempt
        .status
        .map_or_else(|| "---".to_owned(), |status| status.to_string());
    let kind = match attempt.duplicate {
        true => "duplicate",
        false => "attempt",
    };
    let error = attempt
        .error
        .as_ref()
        .map(|error| format!("  {}", tame(error)))
        .unwrap_or_default();
    format!(
        "{}  {status}  {:<28}  {}  {kind} {number}  {} ms  {}{error}\n",
        when::short(now),
        tame(&delivery.event_type),
        tame(&delivery.event_id),
        attempt.duration.as_millis(),
        tame(&without_query(&attempt.url)),
    )
}

/// Beside the sandbox itself.
const DASHBOARD: &str = "127.0.0.1:8091";
const KEY: &str = "HEYGEN_WEBHOOKS_SANDBOX_KEY";

const STOP_ATTEMPTS: u32 = 100;
const STOP_PAUSE: Duration = Duration::from_millis(10);

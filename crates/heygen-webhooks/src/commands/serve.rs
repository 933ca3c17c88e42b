//! `serve`: puts receiver, inbox and handlers together, and registers them at HeyGen on request.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use heygen_connect::Backfill;
use heygen_dashboard::Dashboard;
use heygen_inbox::sqlite::{RejectedAt, RejectedRing, rejected_path};
use heygen_inbox::{BoxInbox, Inbox as _};
use heygen_receiver::{ActiveSecrets, AdminPages, Handler as _, Limits, ReceiverOptions};
use tokio::sync::watch;

use crate::backfill;
use crate::cli::Serve;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::printer::Printer;
use crate::process::descriptors;
use crate::process::signals::{asked_to_stop, hangups};
use crate::secrets::secret;
use crate::server::dashboard::facts;
use crate::server::metrics::{self, BackfillCounts};
use crate::server::{RunningServer, block_on, listen};
use crate::settings::address::public_url;
use crate::settings::config::Config;
use crate::store::{self, warn_of_open_files};

mod callbacks;
mod check;
mod demo;
mod prepared;
mod registration;
mod tls;

use demo::{Demo, Tally};
use prepared::Prepared;
use registration::Registration;

pub(super) fn run(options: &Serve) -> Result<(), Failure> {
    let config = Config::of(options)?;
    logging::start(&config.log)?;
    config.file.log();
    let printer = Printer::start(&config.printing)?;
    let ended = block_on(&printer, async {
        let prepared = Prepared::new(&config, &printer).await?;
        match options.check {
            true => check::run(&config, prepared).await,
            false => serve(&config, prepared, &printer).await,
        }
    });
    match ended {
        // A demo has nothing left to do once its output is closed.
        Err(Failure::NobodyListens) if config.sandbox => Ok(()),
        ended => ended,
    }
}

async fn serve(config: &Config, prepared: Prepared, printer: &Printer) -> Result<(), Failure> {
    let Prepared {
        sources,
        client,
        built,
        callbacks,
        certificate,
        listener,
        mut admin,
        dashboard,
        show,
        registration,
    } = prepared;
    let address = listener.address()?;
    let is_exposed = !address.is_local();
    let scheme = certificate.as_ref().map_or("http", |_| "https");
    let url = listen::url(scheme, &address, &config.path);
    // Before anybody can know that there is something to stop, or to read again: opening logs already.
    let (asked, hangups) = (asked_to_stop(built.programs())?, hangups()?);
    let mut asked = pin!(asked);
    built.begin()?;

    let (inbox, opener) = BoxInbox::unopened();
    let rejected = rejected_path(&config.inbox.beside());
    let mut metrics = metrics::of_process(printer);
    if let Some(certificate) = &certificate {
        metrics = metrics::with_certificate(metrics, certificate.tls.clone());
    }
    if let Some(registration) = &registration {
        metrics = registration.registered.add_to(metrics);
    }
    let backfill_counts = BackfillCounts::default();
    if config.backfill.is_some() {
        metrics = backfill_counts.add_to(metrics);
    }
    let mut receiving = ReceiverOptions::default();
    if let Some(options) = &config.rejected {
        let ring = RejectedRing::start(rejected.clone(), options.clone())?;
        metrics = metrics.rejected_ring_dropped({
            let ring = ring.clone();
            move || ring.dropped()
        });
        receiving.observers.add(ring);
    }
    if let Some(hook) = &built.hook {
        metrics = metrics.dead_letter_hook(hook);
    }
    receiving.observers.add(metrics.clone());
    if let Some(registration) = &registration {
        receiving.observers.add(registration.rotation_hint());
    }
    let tally = Tally::default();
    if config.sandbox {
        receiving.observers.add(tally.clone());
    }
    receiving.path = Some(config.path.clone());
    receiving.limits = limits(config, built.handler.destinations());
    receiving.callback_tokens = callbacks.tokens.clone();
    let pages = AdminPages::new(inbox.clone()).hosts(&config.admin_hosts);
    let active = sources.active.clone();
    let mut shown = Dashboard::new(inbox.clone())
        .facts(facts(
            &config.inbox,
            Some(active.clone()),
            config
                .public_url
                .as_deref()
                .map(|url| public_url(url, &config.path)),
        ))
        .secrets({
            let sources = sources.clone();
            move || sources.named()
        })
        .sender(built.sender())
        .rejected(RejectedAt::new(&rejected))
        .webhook_url(&url);
    if let Some(show) = &show {
        shown = shown.sandbox(Arc::new(show.control()));
    }
    let (pages, shown) = dashboard.serve_metrics(pages, shown, &metrics, &inbox);
    let pages = dashboard.mount(pages, &admin, &config.admin_hosts, shown);
    // What the receiver accepts is known before what is signed with: the new one may be among it.
    let (reloaded, reloads) = watch::channel(0);
    let fresh_forward_secret = built.keep_fresh(reloads.clone());
    let backfill = client.zip(config.backfill).map(|(client, interval)| {
        let backfill = Backfill::new(client, inbox.clone());
        (backfill.base_url(config.api.base_url.clone()), interval)
    });

    let mut server = RunningServer::new(inbox.clone(), built, pages);
    server.receive(listener, &active, receiving);
    let working = &mut server.working;
    let refresh = sources.keep_fresh(hangups.clone(), rejected, is_exposed, reloaded);
    working.spawn_endless("refresh of secrets", refresh);
    working.spawn_endless("refresh of the forwarding secret", fresh_forward_secret);
    if let Some(certificate) = certificate {
        let refresh = certificate.keep_fresh(hangups.clone());
        working.spawn_endless("refresh of the certificate", refresh);
    }
    let refresh = callbacks.keep_fresh(hangups.clone());
    working.spawn_endless("refresh of callback tokens", refresh);
    server.administer(&mut admin);

    let opening = store::open(&config.inbox, &config.nats, &config.promise);
    let Some(mut server) = Box::pin(server.open(opener, opening, &mut asked)).await? else {
        return Ok(());
    };
    warn_of_open_files(&config.inbox);
    tracing::info!(url, inbox = %config.inbox, "listening");
    log_secrets(config, &active, is_exposed);
    admin.log();
    server.built.tell();
    // Programs find the address in the log.
    printer.say(format!("listening on {url}\n"));
    log_max_body(config, &inbox);
    dashboard.log(&admin);
    if config.is_working {
        let mut dispatching = config.dispatch.options.clone();
        dispatching.observers.add(metrics);
        if config.sandbox {
            dispatching.observers.add(tally.clone());
        }
        server.dispatch(dispatching);
    }
    server.prune(config.retention.clone());
    if let Some((backfill, interval)) = backfill {
        let working = &mut server.working;
        let watching = backfill::watch(backfill, interval, backfill_counts, working.stopped());
        working.spawn("backfill", watching);
    }
    let dashboard = admin.url().filter(|_| admin.is_loopback());
    server.announce(&format!("listening on {url}"), hangups, reloads);

    let registered = register_and_wait(
        config,
        show,
        registration,
        &tally,
        dashboard.as_deref(),
        printer,
        server.wait(asked),
    );
    let ended = Box::pin(registered).await;
    server.stop(ended).await
}

/// Registers, plays the show where one was asked for, and returns when it is time to stop, which may be at any moment of it.
async fn register_and_wait(
    config: &Config,
    show: Option<Demo>,
    registration: Option<Registration>,
    tally: &Tally,
    dashboard: Option<&str>,
    printer: &Printer,
    asked: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let is_failed = Cell::new(false);
    let work = async {
        if let Some(registration) = &registration {
            registration.persist().await?;
        }
        if let Some(show) = &show {
            let report = show.play(tally).await;
            report.log();
            is_failed.set(!report.is_good());
            printer.say(show.suggestions(&report, &config.inbox, dashboard));
        }
        std::future::pending().await
    };
    let mut work = pin!(work);
    let show_unread = async {
        match show.is_some() {
            true => printer.reader_gone().await,
            false => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = &mut work => ended,
        // Not every sample was acknowledged, and that has been reported.
        asked = asked => match is_failed.get() {
            true => asked.and(Err(Failure::Said)),
            false => asked,
        },
        () = show_unread => Err(Failure::NobodyListens),
    };
    let Some(registration) = &registration else {
        return ended;
    };
    if matches!(ended, Ok(()) | Err(Failure::Said)) {
        // A secret that HeyGen is just making would be lost, and its endpoint in the way of the next start.
        tokio::select! {
            _ = work => {}
            () = registration.secret_received() => {}
            () = tokio::time::sleep(SECRET_GRACE) => {}
        }
    }
    if config.deregister_on_exit || show.is_some() {
        registration.end().await;
    }
    ended
}

/// As many connections as there are file descriptors for. Each destination has room of its own.
fn limits(config: &Config, destinations: usize) -> Limits {
    let mut limits = config.limits.clone();
    let concurrency = config.dispatch.options.concurrency;
    let handlers = match config.is_working {
        true => concurrency.saturating_mul(destinations),
        false => 0,
    };
    descriptors::fit(&mut limits, handlers);
    limits
}

fn log_max_body(config: &Config, inbox: &BoxInbox) {
    if let Some(max_body_bytes) = inbox.max_body_bytes()
        && max_body_bytes < config.limits.max_body_bytes
    {
        tracing::info!(
            max_body_bytes,
            "--max-body-bytes lowered to what a NATS message can hold; raise max_payload at the servers"
        );
    }
}

fn log_secrets(config: &Config, active: &ActiveSecrets, is_exposed: bool) {
    let will_register = config.public_url.is_some() || config.sandbox;
    match active.get() {
        Some(secrets) => {
            tracing::info!(secrets = secrets.len(), "verifying deliveries");
            if is_exposed {
                secret::warn_of_short(&secrets);
            }
        }
        None if will_register => {}
        None => tracing::warn!(
            "no signing secret: deliveries are answered with 503 until HEYGEN_WEBHOOK_SECRET, --secret-file or --public-url provides one; probes pass"
        ),
    }
}

/// How long a process that is to stop waits for a secret that HeyGen is making.
const SECRET_GRACE: Duration = Duration::from_secs(3);

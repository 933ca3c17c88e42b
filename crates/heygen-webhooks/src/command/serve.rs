//! `serve`: receiver, inbox and printing handler put together, and registered at HeyGen where that is asked for.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use heygen_api::Client;
use heygen_inbox::sqlite::{RejectedRing, rejected_path};
use heygen_receiver::{
    ActiveSecrets, AdminPages, Limits, Metrics, Observers, Receiver, ReceiverOptions, Server,
};
use tokio::sync::watch;

use crate::address::public_url;
use crate::backfill::Backfill;
use crate::cli::Serve;
use crate::config::Config;
use crate::failure::Failure;
use crate::handing_out::{Built, Count};
use crate::printer::Printer;
use crate::secret_store::SecretStore;
use crate::signals::{asked_to_stop, hangups, until_true};
use crate::store::Store;
use crate::work::Work;
use crate::{api, descriptors, logging};

pub(super) mod admin;
mod callbacks;
mod registration;
mod secrets;
mod show;
mod tls;

use registration::{Registration, Wanted};
use secrets::SecretSources;
use show::Show;

pub(super) fn run(options: &Serve) -> Result<(), Failure> {
    let config = Config::of(options)?;
    logging::start(config.log_format, config.log.as_deref())?;
    let sources = SecretSources::load(
        &config.secret_files,
        SecretStore::beside(&config.inbox.beside()),
    )?;
    // Asked for before anything is opened: without a key there is nothing to start.
    let needs_api = config.public_url.is_some() || config.backfill.is_some();
    let client = match needs_api {
        true => Some(api::connect(&config.api)?),
        false => None,
    };
    let printer = Printer::start(config.json, config.full)?;
    let built = config.handing_out.build(&printer, sources.active())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let inbox = Store::open_promising(&config.inbox, &config.nats, &config.promise).await?;
        serve(&config, client, sources, inbox, printer, built).await
    });
    // A line that nobody reads must not keep the process: its delivery is handed out again after the next start.
    runtime.shutdown_background();
    match ended {
        // A show has nothing left to do once nobody looks.
        Err(Failure::NobodyListens) if config.sandbox => Ok(()),
        ended => ended,
    }
}

async fn serve(
    config: &Config,
    client: Option<Client>,
    sources: SecretSources,
    inbox: Store,
    printer: Printer,
    built: Built,
) -> Result<(), Failure> {
    // Before anybody can know that there is something to stop, or to read again.
    let (asked, hangups) = (asked_to_stop()?, hangups()?);
    let tokens = callbacks::load(config.callback_token_file.as_deref())?;
    let certificate = tls::load(config.tls.as_ref())?;
    let mut server = Server::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let mut scheme = "http";
    if let Some(certificate) = &certificate {
        server = server.tls(certificate.clone());
        scheme = "https";
    }
    let address = server.local_addr()?;
    let url = format!("{scheme}://{address}{}", config.path);
    tracing::info!(url, inbox = %config.inbox, "listening");
    tell_secrets(
        sources.active(),
        config.public_url.is_some() || config.sandbox,
    );
    let admin = admin::bind(&config.admin).await?;
    printer.started(&url)?;

    let beside = config.inbox.beside();
    let (stop_serving, serving_stopped) = watch::channel(false);
    let mut metrics = Metrics::new(SystemTime::now());
    let mut observers = Observers::default();
    if let Some(options) = &config.rejected {
        let ring = RejectedRing::start(rejected_path(&beside), options.clone())?;
        metrics = metrics.rejected_ring_dropped({
            let ring = ring.clone();
            move || ring.dropped()
        });
        observers.add(ring);
    }
    observers.add(metrics.clone());
    let pages = AdminPages::new(inbox.clone())
        .hosts(&config.admin_hosts)
        .metrics(metrics.clone());

    let mut receiver = ReceiverOptions::default();
    receiver.path = Some(config.path.clone());
    receiver.limits = limits(config, &inbox);
    receiver.observers = observers;
    receiver.callback_tokens = tokens.clone();
    let receiver = Receiver::with(sources.active().clone(), inbox.clone(), receiver);
    let serving = tokio::spawn(server.serve(receiver, until_true(serving_stopped)));

    let count = built.handler.count();
    let mut dispatching = config.handing_out.options.clone();
    dispatching.observers.add(metrics);
    let work = match config.is_working {
        true => Work::start(&inbox, built, dispatching, &config.retention),
        false => Work::prune(&inbox, built, &config.retention),
    };
    let backfilling = client
        .clone()
        .zip(config.backfill)
        .map(|(client, interval)| {
            let base_url = config.api.base_url.as_deref();
            let backfill = Backfill::into_inbox(client, base_url, inbox.clone());
            tokio::spawn(backfill.watch(interval, until_true(work.stopped())))
        });
    let administering = admin::start(admin, pages.clone(), work.stopped());
    let fresh = [
        tokio::spawn(
            sources
                .clone()
                .keep_fresh(hangups.clone(), rejected_path(&beside)),
        ),
        tokio::spawn(tls::keep_fresh(
            certificate,
            config.tls.clone(),
            hangups.clone(),
        )),
        tokio::spawn(callbacks::keep_fresh(
            tokens,
            config.callback_token_file.clone(),
            hangups,
        )),
    ];

    let local_url = format!("http://{}{}", show::from_here(address), config.path);
    let ended = Box::pin(register_and_wait(
        config,
        client,
        sources,
        &local_url,
        count,
        printer.unread(),
        asked,
    ))
    .await;

    // Whether all went well or not: what was taken is answered, what was handed out is recorded.
    pages.begin_shutdown();
    let _ = stop_serving.send(true);
    serving.await?;
    work.end().await?;
    if let Some(backfilling) = backfilling {
        backfilling.await?;
    }
    fresh.iter().for_each(tokio::task::JoinHandle::abort);
    administering.await?;
    inbox.close().await?;
    tracing::info!("stopped");
    ended
}

/// Registers, plays the show where one was asked for, and returns when it is time to stop, which may be at any moment of it.
async fn register_and_wait(
    config: &Config,
    client: Option<Client>,
    sources: SecretSources,
    local_url: &str,
    count: Count,
    unread: watch::Receiver<bool>,
    asked: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let show = match config.sandbox {
        true => Some(Show::start().await?),
        false => None,
    };
    let registration = registration(config, client, show.as_ref(), local_url, sources)?;
    let work = async {
        if let Some(registration) = &registration {
            registration.persist().await?;
        }
        if let Some(show) = &show {
            show.play(count).await;
            if !config.json {
                show.suggest(&config.inbox).await?;
            }
        }
        std::future::pending().await
    };
    let mut work = pin!(work);
    let show_unread = async {
        match show.is_some() {
            true => until_true(unread).await,
            false => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = asked => Ok(()),
        () = show_unread => Err(Failure::NobodyListens),
    };
    let Some(registration) = &registration else {
        return ended;
    };
    if ended.is_ok() {
        // A secret that HeyGen is just making would be lost, and its endpoint in the way of the next start.
        tokio::select! {
            _ = work => {}
            () = registration.secret_told() => {}
            () = tokio::time::sleep(SECRET_GRACE) => {}
        }
    }
    if config.deregister_on_exit || show.is_some() {
        registration.end().await;
    }
    ended
}

/// What no message could hold is refused for its length, at once, and not each time it is sent again.
fn limits(config: &Config, inbox: &Store) -> Limits {
    let mut limits = config.limits.clone();
    if let Some(max_body_bytes) = inbox.max_body_bytes()
        && max_body_bytes < limits.max_body_bytes
    {
        tracing::info!(
            max_body_bytes,
            "bodies are taken up to what a message of NATS can hold; max_payload at the servers raises it"
        );
        limits.max_body_bytes = max_body_bytes;
    }
    descriptors::fit(&mut limits, config.handing_out.options.concurrency);
    limits
}

fn tell_secrets(active: &ActiveSecrets, will_register: bool) {
    match active.get() {
        Some(secrets) => tracing::info!(secrets = secrets.len(), "deliveries are verified"),
        None if will_register => {}
        None => tracing::warn!(
            "no signing secret: probes pass, deliveries are answered 503 until HEYGEN_WEBHOOK_SECRET, --secret-file or \
             --public-url gives one"
        ),
    }
}

/// What to register, and where; `None` when nothing is to be registered.
fn registration(
    config: &Config,
    client: Option<Client>,
    show: Option<&Show>,
    local_url: &str,
    sources: SecretSources,
) -> Result<Option<Registration>, Failure> {
    let (client, url) = match (show, client, &config.public_url) {
        (Some(show), ..) => {
            let mut options = config.api.clone();
            options.base_url = Some(show.base_url().to_owned());
            (
                api::client(&options, show.credentials())?,
                local_url.to_owned(),
            )
        }
        (None, Some(client), Some(url)) => (client, public_url(url, &config.path)),
        (None, ..) => return Ok(None),
    };
    let events = config.events.as_deref().map(api::events).transpose()?;
    let wanted = Wanted {
        url,
        events,
        rotate: config.rotate_secret,
    };
    Ok(Some(Registration::new(client, sources, wanted)))
}

/// What is left of HeyGen's time to tell a secret once the process is to stop.
const SECRET_GRACE: Duration = Duration::from_secs(3);

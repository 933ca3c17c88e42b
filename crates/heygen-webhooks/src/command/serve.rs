//! `serve`: receiver, inbox and printing handler put together, and registered at HeyGen where that is asked for.

use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use heygen_api::Client;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_receiver::{ActiveSecrets, Dispatcher, Receiver, ReceiverOptions, Server};
use tokio::sync::watch;

use crate::address::public_url;
use crate::cli::Serve;
use crate::config::Config;
use crate::failure::Failure;
use crate::refusal_file::RefusalFile;
use crate::secret_store::SecretStore;
use crate::signals::{asked_to_stop, hangups, until_true};
use crate::{api, logging};

mod printer;
mod refusals;
mod registration;
mod secrets;
mod show;

use printer::{Handled, Printer};
use registration::{Registration, Wanted};
use secrets::SecretSources;
use show::Show;

pub(super) fn run(options: &Serve) -> Result<(), Failure> {
    let config = Config::of(options)?;
    logging::start(config.log_format, config.log.as_deref())?;
    let sources = SecretSources::load(&config.secret_files, SecretStore::beside(&config.inbox))?;
    // Asked for before anything is opened: without a key there is nothing to start.
    let client = match config.public_url {
        Some(_) => Some(api::connect(&config.api)?),
        None => None,
    };
    let inbox = SqliteInbox::open(&config.inbox)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(&config, client, sources, inbox));
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
    inbox: SqliteInbox,
) -> Result<(), Failure> {
    // Before anybody can know that there is something to stop, or to read again.
    let (asked, hangups) = (asked_to_stop()?, hangups()?);
    let server = Server::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = server.local_addr()?;
    let url = format!("http://{address}{}", config.path);
    tracing::info!(url, inbox = %config.inbox.display(), "listening");
    tell_secrets(
        sources.active(),
        config.public_url.is_some() || config.sandbox,
    );
    let printer = Printer::new(config.json, config.full);
    printer.started(&url)?;

    let (stop_serving, serving_stopped) = watch::channel(false);
    let (stop_dispatching, dispatching_stopped) = watch::channel(false);
    let receiver = receiver(config, sources.active().clone(), inbox.clone());
    let refusal_file = RefusalFile::beside(&config.inbox);
    let noting = tokio::spawn(refusals::write_down(
        receiver.clone(),
        refusal_file,
        until_true(dispatching_stopped.clone()),
    ));
    let serving = tokio::spawn(server.serve(receiver, until_true(serving_stopped)));
    let (handled, unread) = (printer.handled(), printer.unread());
    let built = config.handing_out.build(printer, sources.active())?;
    let dispatcher = Dispatcher::with(
        inbox.clone(),
        built.handler.clone(),
        config.handing_out.options.clone(),
    );
    let pruning = config.retention.clone();
    let pruning = tokio::spawn(pruning.run(inbox.clone(), until_true(dispatching_stopped.clone())));
    let dispatching = tokio::spawn(dispatcher.run(until_true(dispatching_stopped)));
    let fresh = tokio::spawn(sources.clone().keep_fresh(hangups));

    let local_url = format!("http://{}{}", show::from_here(address), config.path);
    let ended = Box::pin(register_and_wait(
        config, client, sources, &local_url, handled, unread, asked,
    ))
    .await;

    // Whether all went well or not: what was taken is answered, what was handed out is recorded.
    let _ = stop_serving.send(true);
    serving.await?;
    // What was kept and not handed out is handed out after the next start.
    let _ = stop_dispatching.send(true);
    dispatching.await?;
    built.end().await;
    pruning.await?;
    fresh.abort();
    noting.await?;
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
    handled: Handled,
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
            show.play(handled).await;
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

fn receiver(config: &Config, active: ActiveSecrets, inbox: SqliteInbox) -> Receiver<SqliteInbox> {
    let mut options = ReceiverOptions::default();
    options.path = Some(config.path.clone());
    options.limits = config.limits.clone();
    Receiver::with(active, inbox, options)
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

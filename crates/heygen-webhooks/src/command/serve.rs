//! `serve`: receiver, inbox and printing handler put together, and registered at HeyGen where that is asked for.

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
use crate::{api, logging, secret};

mod printer;
mod refusals;
mod registration;
mod secrets;
mod show;

use printer::Printer;
use registration::Registration;
use secrets::SecretSources;
use show::Show;

pub(super) fn run(options: &Serve) -> Result<(), Failure> {
    let config = Config::of(options)?;
    logging::start(config.log_format, config.log.as_deref())?;
    let sources = SecretSources {
        files: config.secret_files.clone(),
        store: SecretStore::beside(&config.inbox),
    };
    let active = ActiveSecrets::none();
    sources.load_into(&active)?;
    // Asked for before anything is opened: without a key there is nothing to start.
    let client = match options.registration.public_url {
        Some(_) => Some(api::connect(&options.api)?),
        None => None,
    };
    let inbox = SqliteInbox::open(&config.inbox)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(options, &config, client, sources, active, inbox));
    // A line that nobody reads must not keep the process: its delivery is handed out again after the next start.
    runtime.shutdown_background();
    ended
}

async fn serve(
    options: &Serve,
    config: &Config,
    client: Option<Client>,
    sources: SecretSources,
    active: ActiveSecrets,
    inbox: SqliteInbox,
) -> Result<(), Failure> {
    let server = Server::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let url = format!("http://{}{}", server.local_addr()?, config.path);
    tracing::info!(url, inbox = %config.inbox.display(), "listening");
    tell_secrets(
        &active,
        options.registration.public_url.is_some() || options.registration.sandbox,
    );
    let printer = Printer::new(options.json, options.full);
    printer.started(&url)?;

    let (stop_serving, serving_stopped) = watch::channel(false);
    let (stop_dispatching, dispatching_stopped) = watch::channel(false);
    let receiver = receiver(config, active.clone(), inbox.clone());
    let refusal_file = RefusalFile::beside(&config.inbox);
    let noting = tokio::spawn(refusals::write_down(
        receiver.clone(),
        refusal_file,
        until_true(dispatching_stopped.clone()),
    ));
    let serving = tokio::spawn(server.serve(receiver, until_true(serving_stopped)));
    let handled = printer.handled();
    let built = config.handing_out.build(printer, &active)?;
    let dispatcher = Dispatcher::with(
        inbox.clone(),
        built.handler.clone(),
        config.handing_out.options.clone(),
    );
    let pruning = config.retention.clone();
    let pruning = tokio::spawn(pruning.run(inbox.clone(), until_true(dispatching_stopped.clone())));
    let dispatching = tokio::spawn(dispatcher.run(until_true(dispatching_stopped)));
    let asked = asked_to_stop()?;
    let fresh = tokio::spawn(sources.clone().keep_fresh(active.clone(), hangups()?));

    let ended = async {
        let show = match options.registration.sandbox {
            true => Some(Show::start().await?),
            false => None,
        };
        let registration = registration(options, config, client, show.as_ref(), &url, &sources)?;
        let registered = match &registration {
            Some(registration) => Some((registration, registration.ensure().await?)),
            None => None,
        };
        sources.load_into(&active)?;
        if let Some(show) = &show {
            show.play(handled).await;
            show.suggest(options.json)?;
        }
        asked.await;
        if let Some((registration, endpoint_id)) = registered
            && (options.registration.deregister_on_exit || show.is_some())
        {
            registration.end(&endpoint_id).await;
        }
        Ok(())
    }
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
    options: &Serve,
    config: &Config,
    client: Option<Client>,
    show: Option<&Show>,
    local_url: &str,
    sources: &SecretSources,
) -> Result<Option<Registration>, Failure> {
    let (client, url) = match (show, client, &options.registration.public_url) {
        (Some(show), ..) => {
            let mut options = options.api.clone();
            options.base_url = Some(show.base_url().to_owned());
            (
                api::client(&options, show.credentials())?,
                local_url.to_owned(),
            )
        }
        (None, Some(client), Some(url)) => (client, public_url(url, &config.path)),
        (None, ..) => return Ok(None),
    };
    Ok(Some(Registration {
        client,
        store: sources.store.clone(),
        url,
        events: options
            .registration
            .events
            .as_deref()
            .map(api::events)
            .transpose()?,
        rotate: options.registration.rotate_secret,
        has_configured_secret: secret::load(&config.secret_files)?.is_some(),
    }))
}

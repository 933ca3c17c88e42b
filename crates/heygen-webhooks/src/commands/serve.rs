//! `serve`: receiver, inbox and printing handler put together, and registered at HeyGen where that is asked for.

use heygen_inbox::{BoxInbox, Inbox as _};
use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use heygen_api::Client;
use heygen_connect::SecretStore;
use heygen_inbox::sqlite::{RejectedRing, rejected_path};
use heygen_receiver::{
    ActiveSecrets, AdminPages, CallbackTokens, Handler as _, Limits, Metrics, Observers, Receiver,
    ReceiverOptions, Server, ServerTls,
};
use tokio::sync::watch;

use crate::api;
use crate::backfill::Backfill;
use crate::cli::Serve;
use crate::dispatch::handing_out::{Built, Count};
use crate::dispatch::work::Work;
use crate::failure::Failure;
use crate::output::lines;
use crate::output::logging;
use crate::output::printer::Printer;
use crate::process::descriptors;
use crate::process::signals::{asked_to_stop, hangups, until_true};
use crate::process::tasks::Tasks;
use crate::secrets::secret::{self, SecretSources};
use crate::settings::address::public_url;
use crate::settings::config::{self, Config};
use crate::settings::origin;
use crate::store::{self, warn_of_open_files};

pub(super) mod admin;
mod callbacks;
mod registration;
mod show;
mod tls;

use registration::{Registration, Wanted};
use show::{Show, Stored};

pub(super) fn run(options: &Serve) -> Result<(), Failure> {
    let config = Config::of(options)?;
    logging::start(config.log_format, config.log.as_deref())?;
    config::tell_file(config.file.as_deref());
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
    let forward_secret = match config.is_working {
        true => config.handing_out.forward_secret(&config.inbox)?,
        false => None,
    };
    let built = config
        .handing_out
        .build(&printer, forward_secret, sources.active())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        // Whatever else may fail at the start comes first: nothing is left behind by a start that
        // failed.
        let ready = Ready::new(&config, client.clone(), sources.clone()).await?;
        let inbox = store::open_promising(&config.inbox, &config.nats, &config.promise).await?;
        warn_of_open_files(&config.inbox);
        serve(&config, client, sources, inbox, &printer, built, ready).await
    });
    // A line that nobody reads must not keep the process: its delivery is handed out again after the next start.
    runtime.shutdown_background();
    printer.flush();
    match ended {
        // A show has nothing left to do once nobody looks.
        Err(Failure::NobodyListens) if config.sandbox => Ok(()),
        ended => ended,
    }
}

/// What is there before the inbox is opened: connections wait meanwhile.
struct Ready {
    tokens: CallbackTokens,
    certificate: Option<ServerTls>,
    server: Server,
    admin: admin::Bound,
    show: Option<Show>,
    registration: Option<Registration>,
}

impl Ready {
    async fn new(
        config: &Config,
        client: Option<Client>,
        sources: SecretSources,
    ) -> Result<Self, Failure> {
        let tokens = callbacks::load(config.callback_token_file.as_deref())?;
        let certificate = tls::load(config.tls.as_ref())?;
        let mut server = Server::bind(&config.listen).await.with_context(|| {
            let option = origin::name("listen");
            format!(
                "cannot listen on {} ({option} chooses another)",
                config.listen
            )
        })?;
        if let Some(certificate) = &certificate {
            server = server.tls(certificate.clone());
        }
        let address = show::from_here(server.local_addr()?);
        let local_url = format!("http://{address}{}", config.path);
        let admin = admin::bind(&config.admin).await?;
        let show = match config.sandbox {
            true => Some(Show::start().await?),
            false => None,
        };
        let registration = registration(config, client, show.as_ref(), &local_url, sources)?;
        Ok(Self {
            tokens,
            certificate,
            server,
            admin,
            show,
            registration,
        })
    }
}

async fn serve(
    config: &Config,
    client: Option<Client>,
    sources: SecretSources,
    inbox: BoxInbox,
    printer: &Printer,
    built: Built,
    ready: Ready,
) -> Result<(), Failure> {
    // Before anybody can know that there is something to stop, or to read again.
    let (asked, hangups) = (asked_to_stop(built.programs())?, hangups()?);
    let Ready {
        tokens,
        certificate,
        server,
        admin,
        show,
        registration,
    } = ready;
    let scheme = match certificate {
        Some(_) => "https",
        None => "http",
    };
    let address = server.local_addr()?;
    let url = format!("{scheme}://{address}{}", config.path);
    tracing::info!(url, inbox = %config.inbox, "listening");
    tell_secrets(
        sources.active(),
        config.public_url.is_some() || config.sandbox,
    );
    let is_exposed = !address.ip().is_loopback();
    if is_exposed {
        sources
            .active()
            .get()
            .iter()
            .for_each(|all| secret::warn_of_short(all));
    }
    admin.tell()?;
    built.begin()?;
    // Programs find the address in the log.
    printer.say(format!("listening on {url}\n"));

    let beside = config.inbox.beside();
    let mut metrics = Metrics::new(SystemTime::now()).log_lines_dropped(lines::dropped);
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
    let stored = Stored::default();
    if config.sandbox {
        observers.add(stored.clone());
    }
    let pages = AdminPages::new(inbox.clone())
        .hosts(&config.admin_hosts)
        .metrics(metrics.clone());

    let mut receiver = ReceiverOptions::default();
    receiver.path = Some(config.path.clone());
    // Each destination has room of its own.
    let handlers = match config.is_working {
        true => config
            .handing_out
            .options
            .concurrency
            .saturating_mul(built.handler.destinations()),
        false => 0,
    };
    receiver.limits = limits(config, &inbox, handlers);
    // It cuts off connections itself, and ends a little later than that.
    let stop_time = receiver.limits.shutdown_time + Duration::from_secs(5);
    receiver.observers = observers;
    receiver.callback_tokens = tokens.clone();
    let receiver = Receiver::with(sources.active().clone(), inbox.clone(), receiver);
    let mut serving = Tasks::new();
    let stopped = serving.stopped();
    serving.spawn("receiver", server.serve(receiver, stopped));

    let count = built.handler.count();
    // What the receiver accepts is known before what is signed with: the new one may be among it.
    let (reloaded, reloads) = watch::channel(0);
    let fresh_forward_secret = built.keep_fresh(reloads);
    let mut dispatching = config.handing_out.options.clone();
    dispatching.observers.add(metrics);
    let mut work = match config.is_working {
        true => Work::start(&inbox, built, dispatching, &config.retention),
        false => Work::prune(&inbox, built, &config.retention),
    };
    if let Some((client, interval)) = client.clone().zip(config.backfill) {
        let base_url = config.api.base_url.as_deref();
        let backfill = Backfill::into_inbox(client, base_url, inbox.clone());
        let stopped = work.tasks.stopped();
        work.tasks
            .spawn("backfill", backfill.watch(interval, stopped));
    }
    let refresh = sources.clone().keep_fresh(
        hangups.clone(),
        rejected_path(&beside),
        is_exposed,
        reloaded,
    );
    work.tasks.spawn_endless("refresh of secrets", refresh);
    work.tasks
        .spawn_endless("refresh of the forwarding secret", fresh_forward_secret);
    if let Some((certificate, files)) = certificate.zip(config.tls.clone()) {
        let refresh = tls::keep_fresh(certificate, files, hangups.clone());
        work.tasks
            .spawn_endless("refresh of the certificate", refresh);
    }
    if let Some(file) = config.callback_token_file.clone() {
        let refresh = callbacks::keep_fresh(tokens, file, hangups);
        work.tasks
            .spawn_endless("refresh of callback tokens", refresh);
    }
    let mut administering = admin::start(admin, pages.clone());

    let asked_or_ended = async {
        let ended = tokio::select! {
            asked = asked => return asked,
            ended = serving.ended_early() => ended,
            ended = work.tasks.ended_early() => ended,
            ended = administering.ended_early() => ended,
        };
        pages.report_ended(ended.name);
        Err(ended.into())
    };
    let ended = Box::pin(register_and_wait(
        config,
        show,
        registration,
        (count, &stored),
        printer,
        asked_or_ended,
    ))
    .await;

    // Whether all went well or not: what was taken is answered, what was handed out is recorded.
    pages.begin_shutdown();
    let stopped = serving.stop(stop_time).await;
    let stopped = stopped.and(work.end().await);
    let closed = store::close(&inbox).await.map_err(Failure::from);
    let stopped = stopped.and(administering.stop(admin::STOP_TIME).await);
    tracing::info!("stopped");
    ended.and(stopped).and(closed)
}

/// Registers, plays the show where one was asked for, and returns when it is time to stop, which may be at any moment of it.
async fn register_and_wait(
    config: &Config,
    show: Option<Show>,
    registration: Option<Registration>,
    (count, stored): (Count, &Stored),
    printer: &Printer,
    asked: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let is_failed = Cell::new(false);
    let work = async {
        if let Some(registration) = &registration {
            registration.persist().await?;
        }
        if let Some(show) = &show {
            let report = show.play(count, stored).await;
            report.tell();
            is_failed.set(!report.is_good());
            printer.say(show.suggestions(&report, &config.inbox));
        }
        std::future::pending().await
    };
    let mut work = pin!(work);
    let show_unread = async {
        match show.is_some() {
            true => until_true(printer.unread()).await,
            false => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = &mut work => ended,
        // Not all of what was shown worked, and that has been told.
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
fn limits(config: &Config, inbox: &BoxInbox, handlers: usize) -> Limits {
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
    descriptors::fit(&mut limits, handlers);
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
        at: match show {
            Some(_) => "the sandbox",
            None => "HeyGen",
        },
        url,
        events,
        rotate: config.rotate_secret,
    };
    Ok(Some(Registration::new(client, sources, wanted)))
}

/// What is left of HeyGen's time to tell a secret once the process is to stop.
const SECRET_GRACE: Duration = Duration::from_secs(3);

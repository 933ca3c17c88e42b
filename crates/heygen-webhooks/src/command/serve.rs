//! `serve`: the receiver, the inbox and the printing handler, put together.

use std::future::Future;
use std::process;

use anyhow::Context as _;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_receiver::{
    ActiveSecrets, Delivery, Dispatcher, Handled, Handler, Receiver, ReceiverOptions, Server,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cli::Serve;
use crate::config::Config;
use crate::failure::Failure;
use crate::{logging, output, secret, view, when};

pub(super) fn run(options: &Serve) -> Result<(), Failure> {
    let config = Config::of(options)?;
    logging::start(config.log_format, config.log.as_deref())?;
    let secrets = match secret::load(&config.secret_files)? {
        Some(secrets) => secrets.into(),
        None => ActiveSecrets::none(),
    };
    let inbox = SqliteInbox::open(&config.inbox)?;
    let printer = Printer {
        json: options.json,
        full: options.full,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&config, secrets, inbox, printer))
}

async fn serve(
    config: &Config,
    secrets: ActiveSecrets,
    inbox: SqliteInbox,
    printer: Printer,
) -> Result<(), Failure> {
    let server = Server::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let url = format!("http://{}{}", server.local_addr()?, config.path);
    tracing::info!(url, inbox = %config.inbox.display(), "listening");
    match secrets.get() {
        Some(secrets) => tracing::info!(secrets = secrets.len(), "deliveries are verified"),
        None => tracing::warn!(
            "no signing secret: probes pass, deliveries are answered 503 until HEYGEN_WEBHOOK_SECRET or --secret-file names one"
        ),
    }
    printer.started(&url)?;

    let mut receiver_options = ReceiverOptions::default();
    receiver_options.path = Some(config.path.clone());
    receiver_options.limits = config.limits.clone();
    let receiver = Receiver::with(secrets, inbox.clone(), receiver_options);

    let (stop, stopped) = watch::channel(false);
    let dispatcher = tokio::spawn(Dispatcher::new(inbox.clone(), printer).run(until_true(stopped)));
    server.serve(receiver, asked_to_stop()?).await;
    // The server has answered what it took; what it kept and was not handed out is handed out after the next start.
    let _ = stop.send(true);
    dispatcher.await?;
    inbox.close().await?;
    tracing::info!("stopped");
    Ok(())
}

async fn until_true(mut watched: watch::Receiver<bool>) {
    // An error means that the other side is gone: time to stop as well.
    let _ = watched.wait_for(|value| *value).await;
}

/// Resolves on the first SIGTERM or Ctrl-C. A second one ends the process at once: what was answered is kept all the same.
#[cfg(unix)]
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ask, asked) = watch::channel(false);
    tokio::spawn(async move {
        for is_second in [false, true] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if is_second {
                tracing::warn!(signal = name, "stopping at once");
                process::exit(1);
            }
            tracing::info!(
                signal = name,
                "stopping: what is under way is finished first"
            );
            let _ = ask.send(true);
        }
    });
    Ok(until_true(asked))
}

#[cfg(not(unix))]
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Prints each event, a line for people or for programs.
#[derive(Clone, Copy, Debug)]
struct Printer {
    json: bool,
    full: bool,
}

impl Printer {
    /// On standard output for people; programs read events there and nothing else, and find the address in the log.
    fn started(self, url: &str) -> Result<(), Failure> {
        if !self.json {
            output::write(format!("listening on {url}\n"))?;
        }
        Ok(())
    }

    fn line(self, delivery: &Delivery) -> String {
        match self.json {
            true => format!("{}\n", line_json(delivery)),
            false => self.line_text(delivery),
        }
    }

    fn line_text(self, delivery: &Delivery) -> String {
        let (name, words) = match delivery.event() {
            Ok(event) => (
                output::tame(event.event_name()),
                view::words(event, self.full),
            ),
            Err(error) => {
                let size = delivery.body().len();
                (
                    "(unreadable)".to_owned(),
                    format!("{size} bytes: {}", view::explain(error)),
                )
            }
        };
        let again = match delivery.attempt() {
            1 => String::new(),
            attempt => format!("  (attempt {attempt})"),
        };
        let received = when::short(delivery.received_at());
        format!(
            "{received}  {}  {name:<28}  {words}{again}\n",
            delivery.id()
        )
    }
}

impl Handler for Printer {
    async fn handle(&self, delivery: Delivery) -> Handled {
        match output::write(self.line(&delivery)) {
            Ok(()) => Handled::Done,
            Err(error) => Handled::retry(format!("standard output: {error}")),
        }
    }
}

/// The typed view, and around it what is known of the delivery; `event` is the body.
fn line_json(delivery: &Delivery) -> Value {
    let (mut line, event) = match delivery.event() {
        Ok(event) => (view::json(event), json!(event)),
        Err(_) => (view::unreadable_json(), Value::Null),
    };
    let around = json!({
        "id": delivery.id().to_string(),
        "received_at": when::exact(delivery.received_at()),
        "attempt": delivery.attempt(),
        "source": delivery.source().as_str(),
        "event": event,
        "error": delivery.event().err().map(view::explain),
    });
    if let (Value::Object(line), Value::Object(around)) = (&mut line, around) {
        line.extend(around);
    }
    line
}

//! `dev`: hands out what HeyGen's log tells of, for local work without a public address.

use heygen_inbox::BoxInbox;
use std::time::{Duration, SystemTime};

use heygen_connect::SecretStore;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_receiver::Retention;
use tokio::sync::oneshot;

use crate::api;
use crate::backfill::Backfill;
use crate::cli::{ApiVersion, Dev, LogFormat};
use crate::dispatch::handing_out::HandingOut;
use crate::dispatch::work::Work;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::printer::Printer;
use crate::process::signals::asked_to_stop;
use crate::secrets::secret;
use crate::settings::config;
use crate::settings::places;
use crate::store::place::Place;
use crate::store::{self, warn_of_open_files};

pub(super) fn run(options: &Dev) -> Result<(), Failure> {
    let mut file = options.config.read()?;
    let log_format = options.log_format.or(file.log_format);
    logging::start(
        log_format.unwrap_or(LogFormat::Text),
        options.log.as_deref().or(file.log.as_deref()),
    )?;
    config::tell_file(file.found_at());
    let place = Place::read(options.inbox.clone())?;
    place.check_folder()?;
    let path = place.file(
        "dev",
        "leave --inbox out, and `dev` keeps what it takes in beside you",
    )?;
    let interval = Duration::try_from_secs_f64(options.interval)
        .ok()
        .filter(|interval| *interval >= SHORTEST)
        .ok_or_else(|| {
            Failure::usage(format!(
                "interval `{}` is no number of seconds from {} on",
                options.interval,
                SHORTEST.as_secs_f64()
            ))
        })?;
    let api_options = places::api(&options.api, &file);
    let secret_files = places::secret_files(&options.secret_file, &file);
    let handing_out = HandingOut::of(&options.handing_out, file.take_handing_out())?;
    handing_out.check()?;
    let printer = Printer::start(options.json, options.full)?;
    let forward_secret = handing_out.forward_secret(&place)?;
    // A `serve` of this folder may have the secrets of HeyGen's endpoints.
    let store = SecretStore::beside(&places::inbox(None, &file)?.beside());
    let receivers = secret::of_receivers(&secret_files, &store)?;
    let built = handing_out.build(&printer, forward_secret, &receivers)?;
    let client = api::connect(&api_options)?;
    let since = options.since.map_or_else(
        || SystemTime::now() - LATE_CLOCK,
        |since| since.system_time(),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let asked = asked_to_stop(built.programs())?;
        let inbox = BoxInbox::new(SqliteInbox::open(path)?);
        warn_of_open_files(&Place::File(path.to_owned()));
        built.begin()?;
        let backfill =
            Backfill::into_inbox(client, api_options.base_url.as_deref(), inbox.clone()).since(since);
        tracing::info!(
            inbox = %options.inbox.display(),
            interval = options.interval,
            "asking HeyGen's log for what is new; whether it has events that no endpoint took is not documented"
        );
        printer.say("waiting for events of HeyGen's log; Ctrl-C ends it\n".to_owned());
        let retention = Retention::default();
        let mut work = Work::start(&inbox, built, handing_out.options.clone(), &retention);
        let (refuse, refused) = oneshot::channel();
        let (stopped, told_to_stop) = (work.tasks.stopped(), work.tasks.stopped());
        work.tasks.spawn("backfill", async move {
            if let Err(error) = backfill.watch_until_refused(interval, stopped).await {
                // No receiver means that it ends anyway.
                let _ = refuse.send(error);
                told_to_stop.await;
            }
        });
        let ended = tokio::select! {
            asked = asked => asked,
            Ok(error) = refused => Err(api::failure(ApiVersion::V3, &error)),
            ended = work.tasks.ended_early() => Err(ended.into()),
        };
        let stopped = work.end().await;
        let closed = store::close(&inbox).await;
        tracing::info!("stopped");
        ended.and(stopped).and(closed.map_err(Failure::from))
    });
    // A line that nobody reads must not keep the process: its delivery is handed out again after the next start.
    runtime.shutdown_background();
    printer.flush();
    ended
}

const SHORTEST: Duration = Duration::from_millis(100);

/// HeyGen's clock tells when an event was made, and ours when we began: neither may be trusted to the second.
const LATE_CLOCK: Duration = Duration::from_secs(2);

//! `dev`: dispatches the events of HeyGen's log, for local work without a public address.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use heygen_connect::{Backfill, SecretStore};
use heygen_dashboard::Dashboard;
use heygen_inbox::BoxInbox;
use heygen_receiver::{AdminPages, Retention};
use tokio::sync::oneshot;

use crate::api;
use crate::backfill;
use crate::cli::Dev;
use crate::dispatch::DispatchConfig;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::printer::Printer;
use crate::process::signals::asked_to_stop;
use crate::secrets::secret;
use crate::server::dashboard::facts;
use crate::server::{RunningServer, admin, block_on, dashboard};
use crate::settings::location;
use crate::settings::span::seconds;
use crate::store::location::InboxLocation;
use crate::store::nats::{Nats, Promise};
use crate::store::{self, warn_of_open_files};

pub(super) fn run(options: &Dev) -> Result<(), Failure> {
    let file = options.config.read()?;
    logging::start(&options.log.over(&file)?)?;
    file.log();
    let location = InboxLocation::read(options.inbox.clone())?;
    location.check_folder()?;
    location.file(
        "dev",
        "leave out --inbox, and `dev` stores events in a file in the current folder",
    )?;
    let interval = seconds("interval", options.interval, Some(0.1))?;
    let api_options = options.api.over(&file)?.whole()?;
    let secret_files = options.secrets.over(&file)?.files();
    let dispatch = DispatchConfig::of(
        options.handlers.over(&file)?,
        options.forward_secret.over(&file)?,
    )?;
    dispatch.check()?;
    // The file says how `serve` prints.
    let printer = Printer::start(&options.printing.given()?)?;
    let forward_secret = dispatch.forward_secret(&location)?;
    // A `serve` of this folder may have the secrets of HeyGen's endpoints.
    let store = SecretStore::beside(&location::of_serve(&file)?.beside());
    let receivers = secret::of_receivers(&secret_files, &store)?;
    let built = dispatch.build(&printer, forward_secret, &receivers)?;
    let client = api::connect(&api_options)?;
    let admin_address = options.admin.given()?.address()?;
    let dashboard = dashboard::Access::read(&options.dashboard.over(&file)?)?;
    let since = options.since.map_or_else(
        || SystemTime::now() - LATE_CLOCK,
        |since| since.system_time(),
    );
    block_on(&printer, async {
        let asked = asked_to_stop(built.programs())?;
        let mut asked = pin!(asked);
        let mut admin = admin::bind(&admin_address).await?;
        built.begin()?;
        let (inbox, opener) = BoxInbox::unopened();
        let backfill = Backfill::new(client, inbox.clone())
            .base_url(api_options.base_url.clone())
            .since(since);
        let shown = Dashboard::new(inbox.clone())
            .facts(facts(&location, None, None))
            .sender(built.sender());
        let pages = dashboard.mount(AdminPages::new(inbox.clone()), &admin, &[], shown);
        let mut server = RunningServer::new(inbox, built, pages);
        server.administer(&mut admin);
        let (nats, promise) = (Nats::default(), Promise::default());
        let opening = store::open(&location, &nats, &promise);
        let Some(mut server) = Box::pin(server.open(opener, opening, &mut asked)).await? else {
            return Ok(());
        };
        warn_of_open_files(&location);
        server.built.tell();
        tracing::info!(
            inbox = %options.inbox.display(),
            interval = options.interval,
            "polling HeyGen's event log"
        );
        printer.say("waiting for events in HeyGen's event log; stop with Ctrl-C\n".to_owned());
        admin.log();
        dashboard.log(&admin);
        server.dispatch(dispatch.options.clone());
        server.prune(Retention::default());
        let (refuse, refused) = oneshot::channel();
        let (stopped, told_to_stop) = (server.working.stopped(), server.working.stopped());
        server.working.spawn("backfill", async move {
            let watched = backfill::watch_until_refused(backfill, interval, stopped).await;
            if let Err(error) = watched {
                // No receiver means that it ends anyway.
                let _ = refuse.send(error);
                told_to_stop.await;
            }
        });
        let ended = tokio::select! {
            Ok(failure) = refused => Err(failure),
            ended = server.wait(asked) => ended,
        };
        server.stop(ended).await
    })
}

/// HeyGen's clock tells when an event was made, and ours when we began: neither may be trusted to the second.
const LATE_CLOCK: Duration = Duration::from_secs(2);

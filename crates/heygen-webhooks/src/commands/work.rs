//! `work`: dispatches the deliveries of a shared inbox on NATS.

use std::pin::pin;

use heygen_connect::SecretStore;
use heygen_dashboard::Dashboard;
use heygen_inbox::BoxInbox;
use heygen_receiver::{AdminPages, Retention};

use crate::cli::Work;
use crate::dispatch::DispatchConfig;
use crate::failure::Failure;
use crate::output::logging;
use crate::output::printer::Printer;
use crate::process::signals::{asked_to_stop, hangups};
use crate::secrets::secret;
use crate::server::dashboard::{facts, named_secrets};
use crate::server::{RunningServer, admin, block_on, dashboard, listen, metrics};
use crate::settings::config::check_location;
use crate::store;
use crate::store::location::InboxLocation;
use crate::store::nats::{Nats, Promise};

pub(super) fn run(options: &Work) -> Result<(), Failure> {
    let file = options.config.read()?;
    logging::start(&options.log.over(&file)?)?;
    file.log();
    let location = options.inbox.location(&file)?;
    let dispatch = DispatchConfig::of(
        options.handlers.over(&file)?,
        options.forward_secret.over(&file)?,
    )?;
    if let InboxLocation::File(path) = &location {
        return Err(Failure::usage(format!(
            "`work` needs a shared inbox: --inbox nats://host:4222/STREAM; for an inbox in a file ({}) use `serve`",
            path.display()
        )));
    }
    check_location(&location, true, &dispatch)?;
    dispatch.check()?;
    let nats = Nats::of(
        &options.nats_access.over(&file)?,
        &options.nats_streams.over(&file)?,
    )?;
    let promise = Promise::of(options.nats_promise.over(&file)?)?;
    let forward_secret = dispatch.forward_secret(&location)?;
    let receivers = secret::of_receivers(
        &options.secrets.over(&file)?.files(),
        &SecretStore::beside(&location.beside()),
    )?;
    let printer = Printer::start(&options.printing.over(&file)?)?;
    let built = dispatch.build(&printer, forward_secret, &receivers)?;
    let admin_address = options.admin.over(&file)?.address()?;
    let dashboard = dashboard::Access::read(&options.dashboard.over(&file)?)?;
    let admin_hosts = options.admin_hosts.over(&file)?.names()?;
    block_on(&printer, async {
        let asked = asked_to_stop(built.programs())?;
        // As at a receiver, a terminal that closes does not end it.
        let hangups = hangups()?;
        let mut admin = admin::bind(&admin_address).await?;
        listen::warn_of_unserved();
        built.begin()?;
        let mut asked = pin!(asked);
        let (inbox, opener) = BoxInbox::unopened();
        let mut metrics = metrics::of_process(&printer);
        if let Some(hook) = &built.hook {
            metrics = metrics.dead_letter_hook(hook);
        }
        let pages = AdminPages::new(inbox.clone()).hosts(&admin_hosts);
        let shown = Dashboard::new(inbox.clone())
            .facts(facts(&location, None, None))
            .secrets(named_secrets(receivers.clone()))
            .sender(built.sender());
        let (pages, shown) = dashboard.serve_metrics(pages, shown, &metrics, &inbox);
        let pages = dashboard.mount(pages, &admin, &admin_hosts, shown);
        let mut dispatching = dispatch.options.clone();
        dispatching.observers.add(metrics);
        // It is there to dispatch, so it is not ready while it cannot.
        dispatching.observers.add(pages.clone());
        let fresh_forward_secret = built.keep_fresh(hangups.clone());
        let mut server = RunningServer::new(inbox, built, pages);
        server.administer(&mut admin);
        let opening = store::open(&location, &nats, &promise);
        let Some(mut server) = Box::pin(server.open(opener, opening, &mut asked)).await? else {
            return Ok(());
        };
        admin.log();
        server.built.tell();
        tracing::info!(inbox = %location, "working");
        printer.say(format!("dispatching from {location}\n"));
        dashboard.log(&admin);
        server.dispatch(dispatching);
        // Receivers prune, each by its own options.
        server.prune(Retention::default());
        server
            .working
            .spawn_endless("refresh of the forwarding secret", fresh_forward_secret);
        server.announce(
            &format!("dispatching from {location}"),
            hangups.clone(),
            hangups,
        );
        let ended = server.wait(asked).await;
        server.stop(ended).await
    })
}

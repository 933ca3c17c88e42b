//! `work`: hands out what receivers keep on streams.

use std::time::SystemTime;

use heygen_connect::SecretStore;
use heygen_receiver::{AdminPages, Metrics, Retention};

use super::serve::admin;
use crate::cli::{LogFormat, Work as Options};
use crate::dispatch::handing_out::HandingOut;
use crate::dispatch::work::Work;
use crate::failure::Failure;
use crate::output::lines;
use crate::output::logging;
use crate::output::printer::Printer;
use crate::process::signals::{asked_to_stop, hangups};
use crate::secrets::secret;
use crate::settings::config::{self, AdminAddress, admin_hosts, check_place};
use crate::settings::places;
use crate::store;
use crate::store::nats::{Nats, Promise};
use crate::store::place::Place;

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut file = options.config.read()?;
    let log_format = options.log_format.or(file.log_format);
    let log = options.log.clone().or_else(|| file.log.clone());
    logging::start(log_format.unwrap_or(LogFormat::Text), log.as_deref())?;
    config::tell_file(file.found_at());
    let place = places::inbox(options.inbox.as_deref(), &file)?;
    let handing_out = HandingOut::of(&options.handing_out, file.take_handing_out())?;
    if let Place::File(path) = &place {
        return Err(Failure::usage(format!(
            "`work` shares an inbox on streams: --inbox nats://host:4222/STREAM; what is in a file ({}) `serve` hands out itself",
            path.display()
        )));
    }
    check_place(&place, true, &handing_out)?;
    handing_out.check()?;
    let nats = Nats::of(&options.nats_access, &options.nats_streams, &file.nats())?;
    let promise = Promise::of(&options.nats_promise, &file.nats())?;
    let forward_secret = handing_out.forward_secret(&place)?;
    let receivers = secret::of_receivers(
        &places::secret_files(&options.secret_file, &file),
        &SecretStore::beside(&place.beside()),
    )?;
    let json = options.json || (file.json && !options.full);
    let full = options.full || (file.full && !options.json);
    let printer = Printer::start(json, full)?;
    let built = handing_out.build(&printer, forward_secret, &receivers)?;
    let admin_address = AdminAddress::of(options.admin.as_ref(), &file)?;
    let admin_hosts = admin_hosts(&options.admin_host, &file);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let asked = asked_to_stop(built.programs())?;
        // As at a receiver, a terminal that closes does not end it.
        let hangups = hangups()?;
        let admin = admin::bind(&admin_address).await?;
        let inbox = store::open_promising(&place, &nats, &promise).await?;
        admin.tell()?;
        built.begin()?;
        tracing::info!(inbox = %place, "working");
        printer.say(format!("working on {place}\n"));
        let metrics = Metrics::new(SystemTime::now()).log_lines_dropped(lines::dropped);
        let pages = AdminPages::new(inbox.clone())
            .hosts(&admin_hosts)
            .metrics(metrics.clone());
        let mut dispatching = handing_out.options.clone();
        dispatching.observers.add(metrics);
        let fresh_forward_secret = built.keep_fresh(hangups);
        // Receivers prune, each by its own options.
        let mut work = Work::start(&inbox, built, dispatching, &Retention::default());
        work.tasks
            .spawn_endless("refresh of the forwarding secret", fresh_forward_secret);
        let mut administering = admin::start(admin, pages.clone());
        let ended_early = async {
            tokio::select! {
                ended = work.tasks.ended_early() => ended,
                ended = administering.ended_early() => ended,
            }
        };
        let ended = tokio::select! {
            asked = asked => asked,
            ended = ended_early => {
                pages.report_ended(ended.name);
                Err(ended.into())
            }
        };
        pages.begin_shutdown();
        let stopped = work.end().await;
        let closed = store::close(&inbox).await;
        let stopped = stopped.and(administering.stop(admin::STOP_TIME).await);
        tracing::info!("stopped");
        ended.and(stopped).and(closed.map_err(Failure::from))
    });
    // A line that nobody reads must not keep the process: its delivery is handed out again.
    runtime.shutdown_background();
    printer.flush();
    ended
}

//! [`Config`]: how `serve` is to work, put together from flags, environment and file.

use std::path::PathBuf;
use std::time::Duration;

use heygen_connect::BACKFILL_REACH;
use heygen_inbox::sqlite::RingOptions;
use heygen_receiver::{Limits, Retention};

use crate::cli::Serve;
use crate::dispatch::DispatchConfig;
use crate::failure::Failure;
use crate::settings::admin::{AdminAddress, DashboardAccess};
use crate::settings::api::ApiOptions;
use crate::settings::file::File;
use crate::settings::origin;
use crate::settings::output::{Log, Printing};
use crate::settings::receiver::TlsFiles;
use crate::settings::socket::Socket;
use crate::store::location::InboxLocation;
use crate::store::nats::{Nats, Promise};

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) file: File,
    pub(crate) listen: String,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) path: String,
    pub(crate) inbox: InboxLocation,
    pub(crate) nats: Nats,
    pub(crate) promise: Promise,
    pub(crate) is_working: bool,
    pub(crate) secret_files: Vec<PathBuf>,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    pub(crate) public_url: Option<String>,
    pub(crate) events: Option<Vec<String>>,
    pub(crate) rotate_secret: bool,
    pub(crate) deregister_on_exit: bool,
    pub(crate) sandbox: bool,
    pub(crate) printing: Printing,
    pub(crate) api: ApiOptions,
    pub(crate) dispatch: DispatchConfig,
    pub(crate) retention: Retention,
    /// How many rejected requests are stored; `None` for none.
    pub(crate) rejected: Option<RingOptions>,
    pub(crate) callback_token_file: Option<PathBuf>,
    pub(crate) admin: AdminAddress,
    /// The names that the admin listener answers under, beside addresses and `localhost`.
    pub(crate) admin_hosts: Vec<String>,
    pub(crate) dashboard: DashboardAccess,
    /// How often HeyGen's log is gone over, where that is wanted.
    pub(crate) backfill: Option<Duration>,
}

impl Config {
    /// Flags and environment go before the file, the file before the defaults.
    pub(crate) fn of(options: &Serve) -> Result<Self, Failure> {
        let file = options.config.read()?;
        let dispatch = DispatchConfig::of(
            options.handlers.over(&file)?,
            options.forward_secret.over(&file)?,
        )?;
        let retention = options.retention.over(&file)?;
        // The HeyGen of `--sandbox` is on this machine, sends plain, and has no log.
        let (public_url, tls, backfill) = match options.sandbox {
            true => (None, None, None),
            false => (
                options.public_url.over(&file)?.url()?,
                options.tls.over(&file)?.files()?,
                options.backfill.over(&file)?.interval()?,
            ),
        };
        let mut retained = retention.deliveries()?;
        // What is deleted while `backfill` still reads HeyGen's log back to it is dispatched again.
        retained.backfill_reach =
            backfill.map(|interval| interval.saturating_mul(2).saturating_add(BACKFILL_REACH));
        check_retention(&retained)?;
        let events = options.subscription.over(&file)?.events;
        if public_url.is_none() && (options.rotate_secret || options.deregister_on_exit) {
            return Err(Failure::usage(
                "--rotate-secret and --deregister-on-exit need --public-url",
            ));
        }
        // It would seem to choose what is received.
        if public_url.is_none() && !options.sandbox && events.is_some() {
            return Err(Failure::usage(format!(
                "{} has no effect without --public-url: it subscribes the endpoint that is registered; to treat events differently, use --on",
                origin::name("events")
            )));
        }
        let listen = options.listen.over(&file)?;
        if options.sandbox && Socket::is_one(listen.address()?) {
            return Err(Failure::usage(
                "--sandbox sends to an address and a port: leave out --listen, or give one",
            ));
        }
        let inbox = match options.sandbox {
            true => options.inbox.sandbox_location(),
            false => options.inbox.location(&file),
        }?;
        let is_working = !options.receive_only;
        check_location(&inbox, is_working, &dispatch)?;
        inbox.check_folder()?;
        if is_working {
            dispatch.check()?;
        }
        Ok(Self {
            listen: listen.address()?,
            path: listen.checked_path()?.to_owned(),
            tls,
            // For an inbox in a file none of the files of NATS is read.
            nats: match &inbox {
                InboxLocation::Streams(_) => Nats::of(
                    &options.nats_access.over(&file)?,
                    &options.nats_streams.over(&file)?,
                )?,
                InboxLocation::File(_) => Nats::default(),
            },
            promise: Promise::of(options.nats_promise.over(&file)?)?,
            inbox,
            is_working,
            secret_files: options.secrets.over(&file)?.files(),
            log: options.log.over(&file)?,
            limits: options.limits.over(&file)?.limits()?,
            public_url,
            events,
            rotate_secret: options.rotate_secret,
            deregister_on_exit: options.deregister_on_exit,
            sandbox: options.sandbox,
            printing: options.printing.over(&file)?,
            api: options.api.over(&file)?.whole()?,
            dispatch,
            retention: retained,
            rejected: retention.rejected(),
            callback_token_file: options.callbacks.over(&file)?.callback_token_file,
            admin: options.admin.over(&file)?.address()?,
            admin_hosts: options.admin_hosts.over(&file)?.names()?,
            dashboard: options.dashboard.over(&file)?,
            backfill,
            file,
        })
    }
}

fn check_retention(retention: &Retention) -> Result<(), Failure> {
    match (retention.keep, retention.backfill_reach) {
        (Some(keep), Some(least)) if keep < least => Err(Failure::usage(format!(
            "{} is too short for {}, which reads HeyGen's log back for days: events that were deleted meanwhile would be dispatched again; keep deliveries for 4 days plus the longest time that this machine or HeyGen's API may be away, {}d or longer",
            origin::name("keep"),
            origin::name("backfill"),
            least.as_secs().div_ceil(24 * 3600)
        ))),
        _ => Ok(()),
    }
}

/// What streams cannot do, and what a file is not for.
pub(crate) fn check_location(
    inbox: &InboxLocation,
    is_working: bool,
    dispatch: &DispatchConfig,
) -> Result<(), Failure> {
    match inbox {
        InboxLocation::Streams(_) if dispatch.is_ordered() => Err(Failure::usage(
            "--ordered: an inbox on NATS is shared by many workers and has no order; leave it out, or use an inbox in a file",
        )),
        InboxLocation::File(_) if !is_working => Err(Failure::usage(
            "--receive-only leaves dispatching to `work`, which needs an inbox on NATS: --inbox nats://host:4222/STREAM",
        )),
        InboxLocation::Streams(_) | InboxLocation::File(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};
    use heygen_receiver::{DispatchOptions, Limits};
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;
    use crate::settings::file;
    use crate::settings::handlers::Handlers;
    use crate::settings::options::Options;
    use crate::settings::receiver;
    use crate::settings::retention::RetentionOptions;

    #[test]
    fn every_option_of_serve_is_a_key_of_the_file() {
        const FLAGS_ALONE: [&str; 6] = [
            "check",
            "config",
            "deregister-on-exit",
            "receive-only",
            "rotate-secret",
            "sandbox",
        ];
        let serve = Serve::augment_args(Command::new("serve"));
        let mut options: Vec<_> = serve
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|name| !FLAGS_ALONE.contains(name))
            .map(str::to_owned)
            .collect();
        let mut keys = file::keys();
        options.sort();
        keys.sort();
        assert_eq!(options, keys);
    }

    /// What the help says of a default is what holds.
    #[track_caller]
    fn check<T: Args + DeserializeOwned>(expected: &[(&str, Value)]) {
        let group = Options::<T>::of_environment().expect("nothing is set");
        let settings = group.settings(&File::default());
        for (name, expected) in expected {
            let setting = settings.iter().find(|setting| setting.name == *name);
            assert_eq!(
                setting.map(|setting| &setting.value),
                Some(expected),
                "{name}"
            );
        }
    }

    #[test]
    fn the_help_tells_the_defaults_that_hold() {
        let limits = Limits::default();
        check::<receiver::Limits>(&[
            ("max-body-bytes", limits.max_body_bytes.into()),
            ("max-connections", limits.max_connections.into()),
            ("header-timeout", limits.header_timeout.as_secs().into()),
            ("body-timeout", limits.body_timeout.as_secs().into()),
            ("keep-alive", limits.keep_alive.as_secs().into()),
        ]);
        let dispatch = DispatchOptions::default();
        check::<Handlers>(&[
            ("concurrency", dispatch.concurrency.into()),
            (
                "retry-initial-delay",
                dispatch.schedule.initial_delay.as_secs().into(),
            ),
            (
                "retry-max-delay",
                dispatch.schedule.max_delay.as_secs().into(),
            ),
        ]);
        check::<RetentionOptions>(&[(
            "rejected-count",
            RingOptions::default().max_requests.into(),
        )]);
        let listen = receiver::Listen::default();
        check::<receiver::Listen>(&[
            ("listen", listen.address().expect("an address").into()),
            ("path", listen.path().into()),
        ]);
    }
}

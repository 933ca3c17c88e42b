//! [`Config`]: how `serve` is to work, put together from flags, environment and file.
//! [`File`]: the file, which other commands read too.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use heygen_inbox::sqlite::RingOptions;
use heygen_receiver::{Limits, Retention};
use serde::Deserialize;

use crate::cli::{ApiOptions, Keeping, LimitOptions, LogFormat, Serve};
use crate::dispatch::handing_out::{self, HandingOut};
use crate::failure::Failure;
use crate::settings::nearest::mistyped;
use crate::settings::origin;
use crate::settings::places;
use crate::settings::rule::Rule;
use crate::settings::span::{Size, Span};
use crate::settings::web_address::{check_listen, http_url};
use crate::settings::written;
use crate::store::nats::{self, Nats, Promise};
use crate::store::place::Place;

mod trust;

/// How `serve` is to work.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where some of it stood.
    pub(crate) file: Option<PathBuf>,
    pub(crate) listen: String,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) path: String,
    pub(crate) inbox: Place,
    pub(crate) nats: Nats,
    pub(crate) promise: Promise,
    /// Whether deliveries are handed out here, too.
    pub(crate) is_working: bool,
    pub(crate) secret_files: Vec<PathBuf>,
    pub(crate) log_format: LogFormat,
    pub(crate) log: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) public_url: Option<String>,
    pub(crate) events: Option<Vec<String>>,
    pub(crate) rotate_secret: bool,
    pub(crate) deregister_on_exit: bool,
    pub(crate) sandbox: bool,
    pub(crate) json: bool,
    pub(crate) full: bool,
    pub(crate) api: ApiOptions,
    pub(crate) handing_out: HandingOut,
    pub(crate) retention: Retention,
    /// How much of what was turned away is kept; `None` for nothing.
    pub(crate) rejected: Option<RingOptions>,
    pub(crate) callback_token_file: Option<PathBuf>,
    pub(crate) admin: AdminAddress,
    /// The names that the admin listener answers under, beside addresses and `localhost`.
    pub(crate) admin_hosts: Vec<String>,
    /// How often HeyGen's log is gone over, where that is wanted.
    pub(crate) backfill: Option<Duration>,
}

/// The files, both PEM, of what the server shows under TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where health, readiness and metrics are told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AdminAddress {
    /// At the usual place, if that is free.
    Default,
    /// There, and nowhere else.
    At(String),
    /// Nowhere.
    Off,
}

impl AdminAddress {
    pub(crate) fn of(option: Option<&String>, file: &File) -> Result<Self, Failure> {
        Ok(match option.or(file.admin.as_ref()).map(String::as_str) {
            None => Self::Default,
            Some("off") => Self::Off,
            Some(address) => {
                check_listen("admin", address)?;
                Self::At(address.to_owned())
            }
        })
    }
}

/// The names under which the admin listener is asked; `options` are those of flag and environment.
pub(crate) fn admin_hosts(options: &[String], file: &File) -> Vec<String> {
    match options.is_empty() {
        true => file.admin_host.clone(),
        false => options.to_vec(),
    }
}

/// The file: the options' long names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct File {
    /// Where it was read.
    #[serde(skip)]
    found_at: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    pub(crate) path: Option<String>,
    pub(crate) inbox: Option<PathBuf>,
    pub(crate) secret_file: Vec<PathBuf>,
    pub(crate) public_url: Option<String>,
    events: Option<Vec<String>>,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key_file: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) full: bool,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log: Option<String>,
    max_body_bytes: Option<usize>,
    max_connections: Option<usize>,
    header_time: Option<u64>,
    body_time: Option<u64>,
    keep_alive: Option<u64>,
    forward: Option<String>,
    forward_secret_file: Option<PathBuf>,
    exec: Vec<String>,
    print: bool,
    on: Vec<Rule>,
    ordered: bool,
    concurrency: Option<usize>,
    handler_time: Option<f64>,
    retry_first: Option<f64>,
    retry_longest: Option<f64>,
    retry_for: Option<Span>,
    attempts: Option<u32>,
    keep: Option<Span>,
    keep_bytes: Option<Size>,
    rejected_count: Option<usize>,
    rejected_bytes: Option<Size>,
    callback_token_file: Option<PathBuf>,
    admin: Option<String>,
    admin_host: Vec<String>,
    backfill: bool,
    backfill_interval: Option<f64>,
    nats_creds: Option<PathBuf>,
    nats_nkey_file: Option<PathBuf>,
    nats_user: Option<String>,
    nats_password_file: Option<PathBuf>,
    nats_token_file: Option<PathBuf>,
    nats_ca: Option<PathBuf>,
    nats_cert: Option<PathBuf>,
    nats_key: Option<PathBuf>,
    nats_subjects: Option<String>,
    nats_monitor: Vec<String>,
    require_sync: bool,
    replicas: Option<usize>,
    max_age: Option<Span>,
    max_bytes: Option<Size>,
    duplicate_window: Option<Span>,
    ack_wait: Option<f64>,
}

impl Config {
    /// Flags and environment go before the file, the file before the defaults.
    pub(crate) fn of(options: &Serve) -> Result<Self, Failure> {
        let mut file = File::find(options.config.as_deref())?;
        let handing_out = HandingOut::of(&options.handing_out, file.take_handing_out())?;
        let registration = &options.registration;
        let retention = retention(&options.keeping, &file);
        let backfill = backfill(options, &file)?;
        let rejected = rejected(&options.keeping, &file);
        let tls = tls(options, &file)?;
        let path = places::path(options.path.as_deref(), &file);
        if !path.starts_with('/') {
            return Err(Failure::usage(format!(
                "{}: path `{path}` must begin with `/`",
                origin::name("path")
            )));
        }
        let public_url = match registration.sandbox {
            true => None,
            false => registration.public_url.clone().or(file.public_url.clone()),
        };
        if let Some(url) = &public_url {
            http_url("public-url", url)?;
        }
        if public_url.is_none() && (registration.rotate_secret || registration.deregister_on_exit) {
            return Err(Failure::usage(
                "--rotate-secret and --deregister-on-exit concern the endpoint of --public-url: give the URL too",
            ));
        }
        let listen = options.listen.clone().or_else(|| file.listen.clone());
        if let Some(address) = &listen {
            check_listen("listen", address)?;
        }
        let inbox = options.inbox.as_deref();
        let inbox = match registration.sandbox {
            true => places::show_inbox(inbox),
            false => places::inbox(inbox, &file),
        }?;
        let admin = AdminAddress::of(options.admin.as_ref(), &file)?;
        let admin_hosts = admin_hosts(&options.admin_host, &file);
        let is_working = !options.no_work;
        check_place(&inbox, is_working, &handing_out)?;
        inbox.check_folder()?;
        if is_working {
            handing_out.check()?;
        }
        Ok(Self {
            file: file.found_at.take(),
            tls,
            path,
            // For an inbox in a file none of the files of NATS is read.
            nats: match &inbox {
                Place::Streams(_) => {
                    Nats::of(&options.nats_access, &options.nats_streams, &file.nats())?
                }
                Place::File(_) => Nats::default(),
            },
            promise: Promise::of(&options.nats_promise, &file.nats())?,
            inbox,
            is_working,
            secret_files: places::secret_files(&options.secret_file, &file),
            log_format: options
                .log_format
                .or(file.log_format)
                .unwrap_or(LogFormat::Text),
            limits: limits(&options.limits, &file),
            public_url,
            rotate_secret: registration.rotate_secret,
            deregister_on_exit: registration.deregister_on_exit,
            sandbox: registration.sandbox,
            // Each of the two as an option puts the other one in the file aside.
            json: options.json || (file.json && !options.full),
            full: options.full || (file.full && !options.json),
            api: places::api(&options.api, &file),
            events: registration.events.clone().or(file.events),
            listen: listen.unwrap_or_else(|| places::LISTEN.to_owned()),
            log: options.log.clone().or(file.log),
            handing_out,
            retention,
            rejected,
            callback_token_file: options
                .callback_token_file
                .clone()
                .or(file.callback_token_file),
            backfill,
            admin,
            admin_hosts,
        })
    }
}

/// What streams cannot do, and what a file is not for.
pub(crate) fn check_place(
    inbox: &Place,
    is_working: bool,
    handing_out: &HandingOut,
) -> Result<(), Failure> {
    match inbox {
        Place::Streams(_) if handing_out.is_ordered() => Err(Failure::usage(
            "--ordered: an inbox on streams hands out to many workers at once and keeps no order; leave it out, or keep the inbox \
             in a file",
        )),
        Place::File(_) if !is_working => Err(Failure::usage(
            "--no-work leaves handing out to `work`, which needs an inbox on streams: --inbox nats://host:4222/STREAM",
        )),
        Place::Streams(_) | Place::File(_) => Ok(()),
    }
}

fn tls(options: &Serve, file: &File) -> Result<Option<TlsFiles>, Failure> {
    // The show's HeyGen is on this machine and sends plain.
    if options.registration.sandbox {
        return Ok(None);
    }
    let certificate = options.tls.tls_cert.as_ref().or(file.tls_cert.as_ref());
    let key = options.tls.tls_key.as_ref().or(file.tls_key.as_ref());
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::usage(
            "--tls-cert needs the key of the certificate: --tls-key",
        )),
        (None, Some(_)) => Err(Failure::usage(
            "--tls-key needs the certificate of the key: --tls-cert",
        )),
    }
}

fn backfill(options: &Serve, file: &File) -> Result<Option<Duration>, Failure> {
    let interval = options.backfill_interval.or(file.backfill_interval);
    if !(options.backfill || file.backfill) || options.registration.sandbox {
        return Ok(None);
    }
    let seconds = interval.unwrap_or(3600.0);
    let interval = Duration::try_from_secs_f64(seconds).ok();
    let interval = interval.filter(|interval| *interval >= Duration::from_secs(1));
    interval.map(Some).ok_or_else(|| {
        Failure::usage(format!(
            "backfill-interval `{seconds}` is no number of seconds from 1 on"
        ))
    })
}

fn retention(options: &Keeping, file: &File) -> Retention {
    let mut retention = Retention::default();
    retention.keep = options.keep.or(file.keep).map(|span| span.0);
    retention.keep_bytes = options.keep_bytes.or(file.keep_bytes).map(|size| size.0);
    retention
}

fn rejected(options: &Keeping, file: &File) -> Option<RingOptions> {
    let mut ring = RingOptions::default();
    if let Some(posts) = options.rejected_count.or(file.rejected_count) {
        ring.max_posts = posts;
    }
    if let Some(size) = options.rejected_bytes.or(file.rejected_bytes) {
        ring.max_bytes = size.0;
    }
    (ring.max_posts > 0 && ring.max_bytes > 0).then_some(ring)
}

fn limits(options: &LimitOptions, file: &File) -> Limits {
    let mut limits = Limits::default();
    let seconds = |option: Option<u64>, in_file, default| {
        option.or(in_file).map_or(default, Duration::from_secs)
    };
    let count = |option: Option<usize>, in_file, default| option.or(in_file).unwrap_or(default);
    limits.max_body_bytes = count(
        options.max_body_bytes,
        file.max_body_bytes,
        limits.max_body_bytes,
    );
    limits.max_connections = count(
        options.max_connections,
        file.max_connections,
        limits.max_connections,
    );
    limits.header_time = seconds(options.header_time, file.header_time, limits.header_time);
    limits.body_time = seconds(options.body_time, file.body_time, limits.body_time);
    limits.keep_alive = seconds(options.keep_alive, file.keep_alive, limits.keep_alive);
    limits
}

impl File {
    pub(crate) fn take_handing_out(&mut self) -> handing_out::InFile {
        handing_out::InFile {
            forward: self.forward.take(),
            forward_secret_file: self.forward_secret_file.take(),
            exec: std::mem::take(&mut self.exec),
            print: self.print,
            on: std::mem::take(&mut self.on),
            ordered: self.ordered,
            concurrency: self.concurrency,
            handler_time: self.handler_time,
            retry_first: self.retry_first,
            retry_longest: self.retry_longest,
            retry_for: self.retry_for,
            attempts: self.attempts,
        }
    }

    pub(crate) fn nats(&self) -> nats::InFile {
        nats::InFile {
            nats_creds: self.nats_creds.clone(),
            nats_nkey_file: self.nats_nkey_file.clone(),
            nats_user: self.nats_user.clone(),
            nats_password_file: self.nats_password_file.clone(),
            nats_token_file: self.nats_token_file.clone(),
            nats_ca: self.nats_ca.clone(),
            nats_cert: self.nats_cert.clone(),
            nats_key: self.nats_key.clone(),
            nats_subjects: self.nats_subjects.clone(),
            nats_monitor: self.nats_monitor.clone(),
            require_sync: self.require_sync,
            replicas: self.replicas,
            max_age: self.max_age,
            max_bytes: self.max_bytes,
            duplicate_window: self.duplicate_window,
            ack_wait: self.ack_wait,
        }
    }

    /// The file that was named, else the one in the current folder, else nothing. One that nobody named may have been laid there by
    /// another user, and does not decide where keys and events go.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Self::read(path, true),
            None if Path::new(DEFAULT_FILE).exists() => Self::read(Path::new(DEFAULT_FILE), false),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path, is_named: bool) -> Result<Self, Failure> {
        let unreadable = || {
            let option = match is_named {
                true => format!("{}: ", origin::name("config")),
                false => String::new(),
            };
            format!("{option}cannot read configuration file {}", path.display())
        };
        let mut opened = fs::File::open(path).with_context(unreadable)?;
        let mut bytes = Vec::new();
        opened.read_to_end(&mut bytes).with_context(unreadable)?;
        let text = written::text(bytes).with_context(unreadable)?;
        if !is_named {
            trust::check(path, &opened, &text)?;
        }
        let mut file: Self = toml::from_str(&text).map_err(|error| {
            let said = unknown_key(&text, &error).unwrap_or_else(|| format!(": {error}"));
            Failure::usage(format!("configuration file {}{said}", path.display()))
        })?;
        file.found_at = Some(path.to_owned());
        origin::remember_file(path);
        Ok(file)
    }

    pub(crate) fn found_at(&self) -> Option<&Path> {
        self.found_at.as_deref()
    }
}

/// Tells the log which file was read.
pub(crate) fn tell_file(path: Option<&Path>) {
    if let Some(path) = path {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        tracing::info!(config = %path.display(), "configuration file read");
    }
}

/// A key that is not known, and the one that was meant, in place of all that there are.
fn unknown_key(text: &str, error: &toml::de::Error) -> Option<String> {
    let mut names = error
        .message()
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    let key = names.next()?;
    let advice = match mistyped(key, names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`serve --help` tells the options, whose long names are the keys".to_owned(),
    };
    let start = error.span()?.start;
    let line = text.get(..start)?.lines().count().max(1);
    let line = line + usize::from(text.get(..start)?.ends_with('\n'));
    Some(format!(", line {line}: there is no key `{key}`: {advice}"))
}

const DEFAULT_FILE: &str = "heygen-webhooks.toml";

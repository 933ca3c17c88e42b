//! [`Config`]: how `serve` is to work, put together from flags, environment and file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use heygen_receiver::{Limits, Retention};
use serde::Deserialize;

use crate::cli::{Keeping, LimitOptions, LogFormat, Serve};
use crate::failure::Failure;
use crate::handing_out::{self, HandingOut};
use crate::rule::Rule;
use crate::span::{Size, Span};

/// How `serve` is to work.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: String,
    pub(crate) path: String,
    pub(crate) inbox: PathBuf,
    pub(crate) secret_files: Vec<PathBuf>,
    pub(crate) log_format: LogFormat,
    pub(crate) log: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) handing_out: HandingOut,
    pub(crate) retention: Retention,
    pub(crate) callback_token_file: Option<PathBuf>,
}

/// The file: the options' long names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    listen: Option<String>,
    path: Option<String>,
    inbox: Option<PathBuf>,
    secret_file: Vec<PathBuf>,
    log_format: Option<LogFormat>,
    log: Option<String>,
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
    attempts: Option<u32>,
    keep: Option<Span>,
    keep_bytes: Option<Size>,
    callback_token_file: Option<PathBuf>,
}

impl Config {
    /// Flags and environment go before the file, the file before the defaults.
    pub(crate) fn of(options: &Serve) -> Result<Self, Failure> {
        let mut file = File::find(options.config.as_deref())?;
        let limits = limits(&options.limits, &file);
        let handing_out = HandingOut::of(&options.handing_out, file.take_handing_out())?;
        let retention = retention(&options.keeping, &file);
        let path = options
            .path
            .clone()
            .or(file.path)
            .unwrap_or_else(|| "/webhooks/heygen".to_owned());
        if !path.starts_with('/') {
            return Err(Failure::usage(format!("path `{path}` must begin with `/`")));
        }
        Ok(Self {
            listen: options
                .listen
                .clone()
                .or(file.listen)
                .unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            path,
            inbox: options
                .inbox
                .clone()
                .or(file.inbox)
                .unwrap_or_else(|| default_inbox(options).into()),
            secret_files: match options.secret_file.is_empty() {
                true => file.secret_file,
                false => options.secret_file.clone(),
            },
            log_format: options
                .log_format
                .or(file.log_format)
                .unwrap_or(LogFormat::Text),
            log: options.log.clone().or(file.log),
            limits,
            handing_out,
            retention,
            callback_token_file: options
                .callback_token_file
                .clone()
                .or(file.callback_token_file),
        })
    }
}

fn retention(options: &Keeping, file: &File) -> Retention {
    let mut retention = Retention::default();
    retention.keep = options.keep.or(file.keep).map(|span| span.0);
    retention.keep_bytes = options.keep_bytes.or(file.keep_bytes).map(|size| size.0);
    retention
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
    fn take_handing_out(&mut self) -> handing_out::InFile {
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
            attempts: self.attempts,
        }
    }

    /// The file that was named, else the one in the current folder, else nothing.
    fn find(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Self::read(path),
            None if Path::new(DEFAULT_FILE).exists() => Self::read(Path::new(DEFAULT_FILE)),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read configuration file {}", path.display()))?;
        let file = toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("configuration file {}: {error}", path.display()))
        })?;
        Ok(file)
    }
}

/// What is only played is kept apart from what is real.
fn default_inbox(options: &Serve) -> &'static str {
    match options.registration.sandbox {
        true => "./heygen-sandbox.db",
        false => "./heygen-inbox.db",
    }
}

const DEFAULT_FILE: &str = "heygen-webhooks.toml";

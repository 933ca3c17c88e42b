//! The inbox of a command, wherever it is: [`open`] for those that receive and dispatch, [`open_beside`] and [`open_existing`] for
//! those that change it and look into it meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
use heygen_inbox::sqlite::{SqliteInbox, rescued_copies};
use heygen_inbox::{BoxInbox, Inbox as _, InboxError, InboxErrorKind, private_file};
use tokio::task;

use crate::failure::{Failure, error_chain};
use crate::store::location::InboxLocation;
use crate::store::nats::{Nats, Promise};

pub(crate) mod location;
pub(crate) mod nats;

/// Opens the inbox of a process that receives or works, and makes it where there is none. It warns of
/// what may lose acknowledged deliveries.
pub(crate) async fn open(
    location: &InboxLocation,
    nats: &Nats,
    promise: &Promise,
) -> Result<BoxInbox, Failure> {
    Ok(match location {
        InboxLocation::File(path) => {
            let inbox = in_thread(SqliteInbox::open, path).await?;
            warn_of_rescued_copies(path);
            BoxInbox::new(inbox)
        }
        InboxLocation::Streams(address) => {
            let inbox = JetStreamInbox::open(address, nats.options.clone()).await?;
            promise.check(&inbox).await?;
            BoxInbox::new(inbox)
        }
    })
}

/// Copies that a process made of an inbox whose file was removed or replaced.
fn warn_of_rescued_copies(inbox: &Path) {
    for copy in rescued_copies(inbox) {
        tracing::warn!(
            inbox = %inbox.display(),
            rescued = %copy.display(),
            "deliveries of an inbox that was removed or replaced are in {0}: import them with \
             heygen-webhooks inbox export --inbox {0} | heygen-webhooks inbox import - --trust --inbox {1}; then move {0} away",
            copy.display(),
            inbox.display()
        );
    }
}

/// Opens it to change it beside the process that serves it, and makes it where there is none.
pub(crate) async fn open_beside(
    location: &InboxLocation,
    nats: &Nats,
) -> Result<BoxInbox, InboxError> {
    Ok(match location {
        InboxLocation::File(path) => {
            BoxInbox::new(in_thread(SqliteInbox::open_beside, path).await?)
        }
        InboxLocation::Streams(address) => {
            BoxInbox::new(JetStreamInbox::open(address, impatient(nats)).await?)
        }
    })
}

/// It may wait for the disk, or for another process.
async fn in_thread(
    open: fn(PathBuf) -> Result<SqliteInbox, InboxError>,
    path: &Path,
) -> Result<SqliteInbox, InboxError> {
    let path = path.to_owned();
    let opened = task::spawn_blocking(move || open(path)).await;
    opened.map_err(|error| {
        InboxError::new(InboxErrorKind::Storage, "opening the inbox panicked").with_source(error)
    })?
}

/// Opens what is there to look into it, and makes nothing.
pub(crate) async fn open_existing(
    location: &InboxLocation,
    nats: &Nats,
) -> Result<BoxInbox, InboxError> {
    Ok(match location {
        InboxLocation::File(path) => BoxInbox::new(SqliteInbox::open_read_only(path)?),
        InboxLocation::Streams(address) => {
            BoxInbox::new(JetStreamInbox::open_existing(address, impatient(nats)).await?)
        }
    })
}

/// Sees whether it could be opened and would keep what is acknowledged, makes nothing, and says what was found.
pub(crate) async fn check(
    location: &InboxLocation,
    nats: &Nats,
    promise: &Promise,
) -> Result<&'static str, Failure> {
    match location {
        InboxLocation::File(path) if !path.exists() => Ok("would be created"),
        InboxLocation::File(path) => match SqliteInbox::open_read_only(path) {
            Ok(_) => Ok("can be opened"),
            Err(error) if error.kind() == InboxErrorKind::Outdated => Ok("would be upgraded"),
            Err(error) => Err(error.into()),
        },
        InboxLocation::Streams(address) => {
            match JetStreamInbox::open_existing(address, impatient(nats)).await {
                Ok(inbox) => {
                    promise.check(&inbox).await?;
                    Ok("is there")
                }
                Err(error) if error.kind() == InboxErrorKind::Missing => Ok("would be created"),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Someone waits, and can call the command again.
fn impatient(nats: &Nats) -> JetStreamOptions {
    let mut options = nats.options.clone();
    options.connect_timeout = CONNECT_TIMEOUT;
    options
}

/// Why there is nothing to look into.
pub(crate) fn cannot_open(location: &InboxLocation, error: InboxError) -> Failure {
    if let InboxLocation::File(path) = location
        && path.is_dir()
    {
        return InboxLocation::of_folder(path);
    }
    match location.may_exist() {
        true => anyhow::Error::from(error)
            .context("cannot open the inbox")
            .into(),
        false => {
            let others = others_beside(location);
            anyhow::anyhow!(
                "no inbox at {location}: start `serve` to create one, or name another with --inbox{others}"
            )
            .into()
        }
    }
}

/// The inboxes that `dev` and `serve --sandbox` make where `serve` makes its own.
fn others_beside(location: &InboxLocation) -> String {
    let folder = location.beside().with_file_name("");
    let found = ["heygen-inbox.db", "heygen-dev.db", "heygen-sandbox.db"]
        .map(|name| folder.join(name))
        .into_iter()
        .filter(|path| path.is_file())
        .map(|path| path.display().to_string());
    match found.collect::<Vec<_>>().join(" and ") {
        found if found.is_empty() => found,
        found => format!("; there is one at {found}"),
    }
}

/// Where that takes too long, a disk that hangs for instance, the process ends all the same.
pub(crate) async fn close(inbox: &BoxInbox) -> Result<(), InboxError> {
    close_within(CLOSE_TIME, inbox).await
}

/// Writes what an inbox on streams writes only now and then (counts of unknown names and fields): a
/// command may end before. Servers that are away do not keep it.
pub(crate) async fn flush(inbox: &BoxInbox) {
    if let Err(error) = close_within(FLUSH_TIME, inbox).await {
        tracing::warn!(
            error = error_chain(&error),
            "the inbox was not closed: its counts may be too low"
        );
    }
}

async fn close_within(time: Duration, inbox: &BoxInbox) -> Result<(), InboxError> {
    match tokio::time::timeout(time, inbox.close()).await {
        Ok(closed) => closed,
        Err(_) => {
            // The last clone would wait for the thread that hangs.
            std::mem::forget(inbox.clone());
            let message = format!("the inbox did not close within {time:?}");
            Err(InboxError::new(InboxErrorKind::Storage, message))
        }
    }
}

/// Files that hold deliveries or secrets and that others on this machine can read or change: the
/// inbox, and what stands beside it.
pub(crate) fn open_to_others(location: &InboxLocation) -> Vec<PathBuf> {
    let files = files(location, &PRIVATE);
    files
        .filter(|path| private_file::is_open_to_others(path))
        .collect()
}

/// Whether a file is the inbox or one that stands beside it. A server that has it open would go on
/// writing to the one that another has replaced.
pub(crate) fn is_part_of(location: &InboxLocation, file: &Path) -> bool {
    let file = followed(file);
    let mut files = files(location, &PRIVATE).chain(files(location, &OTHERS));
    files.any(|part| followed(&part) == file)
}

fn files(
    location: &InboxLocation,
    suffixes: &'static [&'static str],
) -> impl Iterator<Item = PathBuf> + use<> {
    let inbox = location.beside();
    let suffixes = suffixes.iter();
    suffixes.map(move |suffix| private_file::with_suffix(&inbox, suffix))
}

/// Without links, also where there is no such file yet.
fn followed(file: &Path) -> PathBuf {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let named = || Some(folder.canonicalize().ok()?.join(file.file_name()?));
    let real = file.canonicalize().ok().or_else(named);
    real.unwrap_or_else(|| file.to_owned())
}

/// Says so in the log, once.
pub(crate) fn warn_of_open_files(location: &InboxLocation) {
    for path in open_to_others(location) {
        tracing::warn!("other users can read {0}: chmod 600 {0}", path.display());
    }
}

/// Only their owner may read them.
const PRIVATE: [&str; 8] = [
    "",
    "-wal",
    "-shm",
    ".lock",
    ".rescued",
    ".secrets.json",
    ".rejected",
    ".rejected-wal",
];

/// Applications read the secret of what is forwarded.
const OTHERS: [&str; 3] = ["-journal", ".rejected-shm", ".forward-secret"];

const FLUSH_TIME: Duration = Duration::from_secs(5);

const CLOSE_TIME: Duration = Duration::from_secs(60);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

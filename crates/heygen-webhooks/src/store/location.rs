//! [`InboxLocation`]: where an inbox is, in a file or on streams.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use heygen_inbox::jetstream::Address;

use crate::failure::Failure;
use crate::settings::origin;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum InboxLocation {
    /// In a SQLite file.
    File(PathBuf),
    /// On streams of NATS JetStream.
    Streams(Address),
}

impl InboxLocation {
    /// `text` is a path, or `nats://…`.
    pub(crate) fn read(text: PathBuf) -> Result<Self, Failure> {
        match text.to_str() {
            Some(address) if Address::is_meant_by(address) => match address.parse() {
                Ok(address) => Ok(Self::Streams(address)),
                Err(error) => Err(Failure::usage(format!(
                    "{}: {error}",
                    origin::name("inbox")
                ))),
            },
            Some(address) if looks_like_address(address) => Err(Failure::usage(format!(
                "{}: `{address}` is neither a file nor an inbox on NATS, as in nats://host:4222/STREAM or tls://…",
                origin::name("inbox")
            ))),
            Some(_) | None => Ok(Self::File(text)),
        }
    }

    /// The prefix of the files that this machine keeps beside the inbox: secrets and rejected requests.
    pub(crate) fn beside(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Streams(address) => format!("./heygen-inbox-{}", address.stream()).into(),
        }
    }

    /// The file; a stream has none, and `instead` says what serves there.
    pub(crate) fn file(&self, command: &str, instead: &str) -> Result<&Path, Failure> {
        match self {
            Self::File(path) => Ok(path),
            Self::Streams(_) => Err(Failure::usage(format!(
                "`{command}` is for an inbox in a file, and {self} is on NATS: {instead}"
            ))),
        }
    }

    /// Sees, before a file is made, that it can be: that its folder is there and may be written to, and that no
    /// folder has its name.
    pub(crate) fn check_folder(&self) -> Result<(), Failure> {
        let Self::File(path) = self else {
            return Ok(());
        };
        let option = origin::name("inbox");
        if path.is_dir() {
            return Err(Self::of_folder(path));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if folder.is_dir() {
            return match is_writable(folder) && (!path.exists() || is_writable(path)) {
                true => Ok(()),
                false => Err(anyhow::anyhow!(match path.exists() {
                    true => format!(
                        "{option}: this user may not write to {0}, or to the folder {1}: run as the user that {0} belongs to, \
                         or give it to this one",
                        path.display(),
                        folder.display()
                    ),
                    false => format!(
                        "{option}: this user may not create {} in the folder {}: run as one that may, or name a file elsewhere",
                        path.display(),
                        folder.display()
                    ),
                })
                .into()),
            };
        }
        let problem = match fs::metadata(folder) {
            Ok(_) => "is not a folder".to_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => format!(
                "does not exist: create it first, or choose another path for {}",
                path.display()
            ),
            Err(error) => format!("cannot be reached: {error}"),
        };
        Err(Failure::usage(format!(
            "{option}: the folder {} {problem}",
            folder.display()
        )))
    }

    /// The error of one that is a folder.
    pub(crate) fn of_folder(path: &Path) -> Failure {
        Failure::usage(format!(
            "{}: {} is a folder: name a file in it, such as {}",
            origin::name("inbox"),
            path.display(),
            path.join("heygen-inbox.db").display()
        ))
    }

    /// Whether there may be an inbox: where this user may not look, and on NATS, opening it says.
    pub(crate) fn may_exist(&self) -> bool {
        match self {
            Self::File(path) => path.try_exists().unwrap_or(true),
            Self::Streams(_) => true,
        }
    }
}

#[cfg(unix)]
fn is_writable(path: &Path) -> bool {
    use rustix::io::Errno;
    // Of anything else, such as a file system that is mounted read-only, opening it says more.
    let access = rustix::fs::access(path, rustix::fs::Access::WRITE_OK);
    !matches!(access, Err(Errno::ACCESS | Errno::PERM))
}

/// A mode does not say who may write here: opening the file does.
#[cfg(not(unix))]
fn is_writable(_: &Path) -> bool {
    true
}

/// Whether it was meant as an address, and would be a strange name for a file.
fn looks_like_address(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let is_known = scheme.is_some_and(|scheme| {
        ["nats", "tls"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    });
    is_known || text.contains("://")
}

impl fmt::Display for InboxLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Streams(address) => address.fmt(f),
        }
    }
}

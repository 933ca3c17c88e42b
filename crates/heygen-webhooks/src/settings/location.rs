//! Where the inbox of a command is: by flag, then environment, then configuration file, then default, and the same for every command.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::process::environment;
use crate::settings::file::{ConfigFile, File};
use crate::settings::inbox::InboxOption;
use crate::settings::nats::{NatsAccess, NatsStreams};
use crate::settings::options::Options;
use crate::store::location::InboxLocation;
use crate::store::nats::Nats;

/// The options of a command that opens the inbox beside `serve`.
#[derive(Args, Debug)]
pub(crate) struct InboxFile {
    #[command(flatten)]
    inbox: Options<InboxOption>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    nats: Options<NatsAccess>,
}

impl InboxFile {
    /// The one that was named, by whatever.
    pub(crate) fn location(&self) -> Result<InboxLocation, Failure> {
        self.inbox.location(&self.config.read()?)
    }

    /// How the servers are reached, where it is on some.
    pub(crate) fn nats(&self, location: &InboxLocation) -> Result<Nats, Failure> {
        match location {
            InboxLocation::File(_) => Ok(Nats::default()),
            InboxLocation::Streams(_) => Nats::of(
                &self.nats.over(&self.config.read()?)?,
                &NatsStreams::default(),
            ),
        }
    }
}

impl Options<InboxOption> {
    pub(crate) fn location(&self, file: &File) -> Result<InboxLocation, Failure> {
        let flag = from_command_line(self.given()?)?;
        let variable = || environment::variable("HEYGEN_WEBHOOKS_INBOX").map(PathBuf::from);
        let named = flag.or_else(variable).or(self.over(file)?.inbox);
        InboxLocation::read(named.unwrap_or_else(|| "./heygen-inbox.db".into()))
    }

    /// A demonstration has an inbox of its own, unless the command line itself names one.
    pub(crate) fn sandbox_location(&self) -> Result<InboxLocation, Failure> {
        let flag = from_command_line(self.given()?)?;
        InboxLocation::read(flag.unwrap_or_else(|| "./heygen-sandbox.db".into()))
    }
}

/// The inbox of `serve`, for a command without an option that names it.
pub(crate) fn of_serve(file: &File) -> Result<InboxLocation, Failure> {
    Options::<InboxOption>::of_environment()?.location(file)
}

/// What the command line says, where every list of processes shows it: so it must hold no password.
fn from_command_line(given: InboxOption) -> Result<Option<PathBuf>, Failure> {
    let has_user = |path: &Path| {
        path.to_str()
            .is_some_and(|text| text.contains("://") && text.contains('@'))
    };
    match given.inbox {
        Some(path) if has_user(&path) => Err(Failure::usage(
            "--inbox: every user of this machine can read a user or password on the command line: log in with --nats-user and --nats-password-file, --nats-token-file or --nats-creds, or put the address into HEYGEN_WEBHOOKS_INBOX",
        )),
        named => Ok(named),
    }
}

//! [`Failure`]: why a command failed, and its exit status.

use std::fmt;
use std::io;
use std::process::ExitCode;

use heygen_inbox::sqlite::is_damaged;
use heygen_inbox::{InboxError, InboxErrorKind};
use heygen_testkit::{SendError, SendErrorKind};

use crate::output::screen::BAD;
use crate::output::{notice, stderr, tame_lines};

/// How a command ends when it does not end well. The exit status is 1, or 2 when it was used wrongly.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done; printed with its chain of causes.
    Failed(anyhow::Error),
    /// It was asked for something that makes no sense.
    Usage(String),
    /// The answer is no, and is printed already.
    Said,
    /// The reader of our output has gone: nothing to say, but not everything was done or printed.
    NobodyListens,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// The end of a command that has printed its answer: whether that is yes.
    pub(crate) fn unless(is_yes: bool) -> Result<(), Self> {
        match is_yes {
            true => Ok(()),
            false => Err(Self::Said),
        }
    }

    /// A delivery that could not be sent: a wrong address or header is a mistake on the command line; the rest is the system's.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is what `map_err` hands over"
    )]
    pub(crate) fn of_sending(error: SendError) -> Self {
        let text = error_chain(&error);
        match error.kind() {
            SendErrorKind::Client => anyhow::Error::msg(text).into(),
            _ => Self::Usage(text),
        }
    }

    pub(crate) fn report(self) -> ExitCode {
        // What was warned of before may be the cause.
        notice::to_stderr();
        match self {
            Self::Failed(_) | Self::Usage(_) => {
                let error = stderr::label(BAD, "error:");
                stderr::say(format!("{error} {}\n", tame_lines(&self.to_string())));
                ExitCode::from(if matches!(self, Self::Usage(_)) { 2 } else { 1 })
            }
            Self::Said | Self::NobodyListens => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                f.write_str(&error_chain(error.as_ref()))?;
                match advice(error) {
                    Some(advice) => write!(f, "\n  {advice}"),
                    None => Ok(()),
                }
            }
            Self::Usage(message) => f.write_str(message),
            Self::Said | Self::NobodyListens => Ok(()),
        }
    }
}

/// What can be done about it, where the error itself cannot know.
fn advice(error: &anyhow::Error) -> Option<&'static str> {
    let inbox = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<InboxError>())?;
    match inbox.kind() {
        InboxErrorKind::Access => Some(LET_US_IN),
        InboxErrorKind::Outdated => Some("start `serve` once with this version to upgrade it"),
        InboxErrorKind::Subjects => {
            Some("name another stream with --inbox, or its prefix with --nats-subjects")
        }
        InboxErrorKind::Storage if is_damaged(inbox) => Some(DAMAGED),
        _ => None,
    }
}

const DAMAGED: &str = "if it is an inbox, it is damaged: `inbox check` tells where, `inbox export` saves what can be read, and a backup can take its \
     place";

pub(crate) const LET_US_IN: &str = "log in with --nats-creds, --nats-nkey-file, --nats-user and --nats-password-file, --nats-token-file, or \
     --nats-cert and --nats-key";

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let pipe_is_broken = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        if pipe_is_broken {
            return Self::NobodyListens;
        }
        Self::Failed(error)
    }
}

/// Whether it only adds the number of an error of SQLite: `Error code 26: file is not a database`.
fn is_told(text: &str, message: &str) -> bool {
    let numbered = message.strip_prefix("Error code ");
    let rest = numbered.and_then(|numbered| numbered.split_once(": "));
    rest.is_some_and(|(_, rest)| text.contains(rest))
}

/// An error with all its causes, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let message = match error.to_string() {
            message if message == NOT_TLS => IS_NOT_TLS.to_owned(),
            message => message,
        };
        // Some errors tell their cause themselves, and SQLite's twice, the second time with a number.
        let is_known = text.ends_with(&message) || is_told(&text, &message);
        let is_layer = next.is_some() && LAYERS.contains(&message.as_str());
        match text.is_empty() {
            _ if is_layer => {}
            true => text = message,
            false if is_known => {}
            false => text = format!("{text}: {message}"),
        }
    }
    text
}

/// What an HTTP client says before the cause, and helps no one.
const LAYERS: [&str; 5] = [
    "error sending request",
    "client error (Connect)",
    "tcp connect error",
    "dns error",
    "error resolving DNS",
];

/// How rustls reads an answer of plain HTTP.
const NOT_TLS: &str = "received corrupt message of type InvalidContentType";
const IS_NOT_TLS: &str = "what answers there does not speak TLS; if it speaks HTTP, use http://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_that_fails_says_only_why() {
        #[track_caller]
        fn check(causes: &[&str], expected: &str) {
            let (last, before) = causes.split_last().expect("a cause");
            let error = before
                .iter()
                .rev()
                .fold(anyhow::Error::msg((*last).to_owned()), |error, context| {
                    error.context((*context).to_owned())
                });
            assert_eq!(error_chain(error.as_ref()), expected);
        }
        let [request, client, tcp, dns, resolving] = LAYERS;
        check(
            &["no answer", request, client, tcp, "refused"],
            "no answer: refused",
        );
        check(
            &[request, client, dns, resolving, "no such name"],
            "no such name",
        );
        check(&[request, client, NOT_TLS], IS_NOT_TLS);
        check(&["a", "b: c", "c"], "a: b: c");
        check(&[tcp], tcp);
    }

    #[test]
    fn error_of_sqlite_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("inbox.db");
        std::fs::write(&path, "no database, and longer than a header: ".repeat(9)).expect("a file");
        let error = heygen_inbox::sqlite::SqliteInbox::open(&path).expect_err("it is none");
        let told = Failure::from(error).to_string();
        assert!(told.contains("file is not a database"), "{told}");
        assert!(!told.contains("Error code"), "{told}");
        assert!(told.contains("`inbox check`"), "{told}");
    }
}

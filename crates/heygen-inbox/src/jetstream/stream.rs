//! [`Stream`]: one of the streams of an inbox.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::context::{
    GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{
    self, DeleteStatus, Info, LastRawMessageErrorKind, RawMessageErrorKind, State,
};
use async_nats::jetstream::{Error, ErrorCode};
use bytes::Bytes;
use tokio::time::Instant;

use super::connection::Connection;
use super::subject::Names;
use crate::error::{InboxError, InboxErrorKind};
use crate::time::to_micros;

/// Whether something was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Written {
    Yes,
    No,
    /// No answer came, and another process wrote since: perhaps on top of it.
    Unknown,
}

/// One of the streams of an inbox.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) connection: Connection,
    pub(super) names: Names,
    pub(super) inner: stream::Stream,
}

impl Stream {
    /// As of when it was opened.
    pub(super) fn info(&self) -> &Info {
        self.inner.cached_info()
    }

    /// As of now, from its leader.
    pub(super) async fn info_now(&self) -> Result<Info, InboxError> {
        self.connection.check_connected()?;
        let info = self.inner.get_info().await;
        info.map_err(|error| self.connection.cannot("read from", error))
    }

    /// How much it holds, from its leader.
    pub(super) async fn state(&self) -> Result<State, InboxError> {
        Ok(self.info_now().await?.state)
    }

    /// Creates it again with its configuration where it is gone.
    pub(super) async fn restore(&self) -> Result<(), InboxError> {
        let (context, mut config) = (&self.connection.context, self.info().config.clone());
        let Err(error) = context.get_stream(&config.name).await else {
            return Ok(());
        };
        if !is_not_found(&error) {
            return Err(self.connection.cannot("open", error));
        }
        config.first_sequence = Some(unused_sequence());
        if let Err(error) = context.create_stream(config).await {
            // Another process may have created it in the same moment.
            return match context.get_stream(&self.info().config.name).await {
                Ok(_) => Ok(()),
                Err(_) => Err(self.connection.cannot("create a stream of", error)),
            };
        }
        tracing::warn!(
            stream = self.info().config.name,
            "the stream was deleted, and is created again"
        );
        Ok(())
    }

    /// Publishes to it, and waits for one acknowledgement.
    pub(super) async fn publish(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        let message = message.expected_stream(&self.info().config.name);
        self.connection.publish(subject, message).await
    }

    /// The same, retried while no server listens for its messages, for as long as an answer may take:
    /// a server learns late where the leader of a stream is that was just created or elected. Nothing
    /// was stored then.
    async fn publish_when_heard(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        let deadline = Instant::now() + self.connection.answer_timeout;
        loop {
            let acknowledged = self.publish(subject.clone(), message.clone()).await;
            match acknowledged {
                Err(error)
                    if error.kind() == PublishErrorKind::StreamNotFound
                        && Instant::now() < deadline =>
                {
                    tokio::time::sleep(UNHEARD_PAUSE).await;
                }
                _ => return acknowledged,
            }
        }
    }

    /// Publishes with every failure as an inbox error; gives the sequence. An error also where it
    /// is not certain yet that an earlier try of the same message is stored.
    pub(super) async fn write(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<u64, InboxError> {
        self.connection.check_connected()?;
        let acknowledged = self.publish_when_heard(subject, message).await;
        let sequence = acknowledged
            .map_err(|error| self.connection.cannot("write to", error))?
            .sequence;
        if sequence > 0 {
            return Ok(sequence);
        }
        // An earlier try is still being replicated. Servers before 2.11 may have dropped it when a
        // leader was elected, and say so until the duplicate window is over.
        let name = &self.info().config.name;
        let message = format!("the stream {name} is still storing the same message");
        Err(InboxError::new(InboxErrorKind::Storage, message))
    }

    /// Writes the newest message of a subject unless another process wrote one since `revision`, the
    /// sequence of the message before (0: there was none). Gives whether it did. Where no answer comes
    /// it is tried again, and finds what it has written itself.
    pub(super) async fn put(
        &self,
        subject: String,
        payload: Vec<u8>,
        revision: u64,
    ) -> Result<Written, InboxError> {
        self.connection.check_connected()?;
        let payload = Bytes::from(payload);
        let message = PublishMessage::build()
            .payload(payload.clone())
            .expected_last_subject_sequence(revision);
        let deadline = Instant::now() + PUT_TRIES * self.connection.answer_timeout;
        let mut is_unanswered = false;
        loop {
            let published = self.publish_when_heard(subject.clone(), message.clone());
            let Err(error) = published.await else {
                return Ok(Written::Yes);
            };
            let is_in_time = Instant::now() < deadline;
            match error.kind() {
                PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe if is_in_time => {
                    is_unanswered = true;
                    tokio::time::sleep(UNHEARD_PAUSE).await;
                }
                _ if is_conflict(&error) => {
                    if !is_unanswered {
                        return Ok(Written::No);
                    }
                    // What another process wrote, or this one when no answer came.
                    let newest = self.newest(&subject).await?;
                    if newest.is_some_and(|newest| newest.payload == payload) {
                        return Ok(Written::Yes);
                    }
                    if !is_in_flight(&error) || !is_in_time {
                        return Ok(Written::Unknown);
                    }
                    tokio::time::sleep(UNHEARD_PAUSE).await;
                }
                _ => return Err(self.connection.cannot("write to", error)),
            }
        }
    }

    /// The newest message of a subject, from the leader.
    pub(super) async fn newest(&self, subject: &str) -> Result<Option<StreamMessage>, InboxError> {
        self.connection.check_connected()?;
        match self.inner.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.connection.cannot("read from", error)),
        }
    }

    /// The first message from `first` on that matches `filter`, from the leader.
    pub(super) async fn next(
        &self,
        filter: &str,
        first: u64,
    ) -> Result<Option<StreamMessage>, InboxError> {
        self.connection.check_connected()?;
        let found = self.inner.get_first_raw_message_by_subject(filter, first);
        match found.await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.connection.cannot("read from", error)),
        }
    }

    /// Whether the leader has no message from `first` to `last` that matches `filter`.
    pub(super) async fn is_empty_between(
        &self,
        filter: &str,
        first: u64,
        last: u64,
    ) -> Result<bool, InboxError> {
        if first > last {
            return Ok(true);
        }
        let next = self.next(filter, first).await?;
        Ok(next.is_none_or(|message| message.sequence > last))
    }

    /// Deletes a message without erasing its bytes: for that a server would rewrite a whole block of
    /// the stream each time.
    pub(super) async fn delete(&self, sequence: u64) -> Result<(), InboxError> {
        self.connection.check_connected()?;
        let subject = format!("STREAM.MSG.DELETE.{}", self.info().config.name);
        let asked = serde_json::json!({ "seq": sequence, "no_erase": true });
        let context = &self.connection.context;
        let answer: Result<Response<DeleteStatus>, _> = context.request(subject, &asked).await;
        match answer {
            Ok(Response::Ok(_)) => Ok(()),
            Ok(Response::Err { error }) => Err(self.connection.cannot("delete from", error)),
            Err(error) => Err(self.connection.cannot("delete from", error)),
        }
    }
}

/// Greater than the sequences of a stream of that name that was deleted: an acknowledgement or a
/// record from before, which names its message by number, then leads to none of the new ones.
pub(super) fn unused_sequence() -> u64 {
    u64::try_from(to_micros(SystemTime::now())).unwrap_or(1)
}

/// Whether the servers say that there is no such stream.
pub(super) fn is_not_found(error: &GetStreamError) -> bool {
    let is_so = |error: &Error| error.error_code() == ErrorCode::STREAM_NOT_FOUND;
    matches!(error.kind(), GetStreamErrorKind::JetStream(ref error) if is_so(error))
}

/// Whether something was written first.
fn is_conflict(error: &PublishError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence || is_in_flight(error)
}

/// While a write is being replicated, clusters say so with a code of its own, which is no kind of the
/// client library.
fn is_in_flight(error: &PublishError) -> bool {
    error_code(error) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// The code of a publication that the servers refused; `None` where they did not answer.
pub(super) fn error_code(error: &PublishError) -> Option<ErrorCode> {
    use std::error::Error as _;
    let answer: &async_nats::jetstream::Error = error.source()?.downcast_ref()?;
    Some(answer.error_code())
}

const UNHEARD_PAUSE: Duration = Duration::from_millis(50);

/// For how many answers a change waits that may be written.
const PUT_TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use xtask_nats::{Options, Program, Server};

    use super::*;
    use crate::jetstream::streams::Streams;

    #[tokio::test]
    async fn write_that_no_server_hears_is_retried() {
        let server = Server::start(Program::Current, &Options::new()).expect("a server");
        let mut streams = Streams::at(&server).await;
        // Until then it has to be there again.
        streams.records.stream.connection.answer_timeout = Duration::from_secs(10);
        let (records, context) = (&streams.records, &streams.connection.context);
        let deleted = context.delete_stream(streams.names.records()).await;
        deleted.expect("deleted");
        let (written, restored) =
            tokio::join!(records.set_bookmark("a", "b"), records.stream.restore());
        restored.expect("created again");
        written.expect("written");
        let found = records.bookmark("a").await.expect("read");
        assert_eq!(found.as_deref(), Some("b"));
    }
}

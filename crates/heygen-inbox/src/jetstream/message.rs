//! A delivery as a message of the stream: the payload is the exact body, the headers have the rest.

use std::time::SystemTime;

use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use jiff::Timestamp;

use crate::dedup::index::Fingerprint;
use crate::dedup::v2;
use crate::delivery::{Header, NewDelivery};
use crate::record::State;
use crate::source::Source;

/// A message of the stream of events, read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) stored_at: SystemTime,
    pub(super) received_at: SystemTime,
    pub(super) source: Source,
    pub(super) headers: Vec<Header>,
    pub(super) body: Bytes,
    /// Its state in the inbox it was imported from, if it was imported.
    pub(super) imported_state: Option<State>,
}

impl Stored {
    /// A message that others published without our headers is read as an unsigned callback.
    pub(super) fn read(message: &StreamMessage) -> Self {
        let headers = &message.headers;
        let stored_at = message.time.into();
        let request_headers = headers.get(REQUEST_HEADERS);
        Self {
            sequence: message.sequence,
            stored_at,
            received_at: received_at(headers).unwrap_or(stored_at),
            source: source(headers),
            headers: request_headers.map_or_else(Vec::new, |text| read_headers(text.as_str())),
            body: message.payload.clone(),
            imported_state: imported_state(headers),
        }
    }

    pub(super) fn to_delivery(&self) -> NewDelivery {
        NewDelivery::new(
            self.received_at,
            self.source,
            self.headers.clone(),
            self.body.clone(),
        )
    }

    /// Whether it is this very delivery, and not a duplicate of it.
    pub(super) fn is_of(&self, delivery: &NewDelivery) -> bool {
        self.received_at == delivery.received_at()
            && self.source == delivery.source()
            && self.headers == delivery.headers()
            && self.body == delivery.body()
    }
}

/// What a consumer delivered, as the message of its stream.
pub(super) fn of_stream(delivered: jetstream::Message) -> Result<StreamMessage, async_nats::Error> {
    let info = delivered.info()?;
    let (sequence, time) = (info.stream_sequence, info.published);
    let message = delivered.message;
    Ok(StreamMessage {
        subject: message.subject,
        sequence,
        headers: message.headers.unwrap_or_default(),
        payload: message.payload,
        time,
    })
}

pub(super) fn received_at(headers: &HeaderMap) -> Option<SystemTime> {
    let time: Timestamp = headers.get(RECEIVED_AT)?.as_str().parse().ok()?;
    time.try_into().ok()
}

pub(super) fn source(headers: &HeaderMap) -> Source {
    let word = headers
        .get(SOURCE)
        .and_then(|word| word.as_str().parse().ok());
    word.unwrap_or(Source::Callback)
}

fn imported_state(headers: &HeaderMap) -> Option<State> {
    headers.get(PAST)?.as_str().parse().ok()
}

/// The fingerprints under which the event is found. The previous version had another header.
pub(super) fn fingerprints(headers: &HeaderMap) -> impl Iterator<Item = Fingerprint> {
    let text = headers
        .get(FINGERPRINTS)
        .or_else(|| headers.get(FINGERPRINTS_V2));
    let text = text.map(|text| text.as_str());
    text.unwrap_or_default()
        .split(',')
        .filter_map(|digits| u64::from_str_radix(digits, 16).ok().map(Fingerprint))
}

/// The message that is published for a delivery. `imported` is its state in the inbox it is
/// imported from.
pub(super) fn publication(
    delivery: &NewDelivery,
    message_id: &str,
    imported: Option<State>,
) -> PublishMessage {
    PublishMessage::build()
        .payload(delivery.body().clone())
        .headers(headers(delivery, message_id, imported))
}

/// The headers of a published message.
pub(super) fn headers(
    delivery: &NewDelivery,
    message_id: &str,
    imported: Option<State>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, message_id);
    if let Ok(time) = Timestamp::try_from(delivery.received_at()) {
        headers.insert(RECEIVED_AT, time.to_string().as_str());
    }
    headers.insert(SOURCE, delivery.source().as_str());
    headers.insert(AUTHENTICITY, delivery.source().authenticity().as_str());
    if let Some(event_id) = delivery.dedup_key().event_id().filter(|id| is_plain(id)) {
        headers.insert(EVENT_ID, event_id);
    }
    let v2 = v2::index_fingerprints_now(delivery.source(), delivery.dedup_key());
    headers.insert(FINGERPRINTS_V2, in_hex(v2.into_iter()).as_str());
    headers.insert(FINGERPRINTS, in_hex(delivery.index_fingerprints()).as_str());
    headers.insert(REQUEST_HEADERS, write_headers(delivery.headers()).as_str());
    if let Some(state) = imported {
        headers.insert(PAST, state.as_str());
    }
    headers
}

/// The id by which the servers recognise duplicates: the digest of the whole body after a letter for
/// its kind. Short, since the servers keep each in memory for the duplicate window; an event that
/// they call a duplicate is read and compared.
pub(super) fn message_id(delivery: &NewDelivery) -> String {
    let kind = match delivery.source() {
        Source::Webhook => 'p',
        Source::Backfill => 'r',
        Source::Callback => 'c',
        Source::Import => 'i',
    };
    let digest = delivery.dedup_key().body().to_hex();
    format!("{kind}{}", &digest[..32])
}

fn in_hex(fingerprints: impl Iterator<Item = Fingerprint>) -> String {
    let hex: Vec<_> = fingerprints
        .map(|fingerprint| format!("{:016x}", fingerprint.0))
        .collect();
    hex.join(",")
}

/// A JSON array of names and values: a header cannot hold a line break.
fn write_headers(headers: &[Header]) -> String {
    // Pairs of strings are always JSON, whose escapes leave no line break.
    serde_json::to_string(&to_pairs(headers)).unwrap_or_default()
}

fn read_headers(text: &str) -> Vec<Header> {
    let pairs: Pairs = serde_json::from_str(text).unwrap_or_default();
    from_pairs(&pairs)
}

/// Names and values, as the headers of a request are written.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn to_pairs(headers: &[Header]) -> Pairs {
    let pair = |header: &Header| (header.name.clone(), header.value.clone());
    headers.iter().map(pair).collect()
}

pub(super) fn from_pairs(pairs: &Pairs) -> Vec<Header> {
    let header = |(name, value): &(String, String)| Header::new(name, value.as_bytes());
    pairs.iter().map(header).collect()
}

/// Whether a header can hold it as it is.
fn is_plain(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

const MESSAGE_ID: &str = "Nats-Msg-Id";
const RECEIVED_AT: &str = "Heygen-Inbox-Received-At";
const SOURCE: &str = "Heygen-Inbox-Source";
const AUTHENTICITY: &str = "Heygen-Inbox-Authenticity";
const EVENT_ID: &str = "Heygen-Inbox-Event-Id";
const FINGERPRINTS: &str = "Heygen-Inbox-Dedup-Fingerprints";
/// Of name and data, for receivers of the previous version.
const FINGERPRINTS_V2: &str = "Heygen-Inbox-Fingerprints";
const REQUEST_HEADERS: &str = "Heygen-Inbox-Request-Headers";
const PAST: &str = "Heygen-Inbox-Past";

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn read(sequence: u64, headers: HeaderMap, payload: Bytes) -> Stored {
        Stored::read(&StreamMessage {
            subject: "heygen.events.a.b".into(),
            sequence,
            headers,
            payload,
            time: UNIX_EPOCH.into(),
        })
    }

    #[test]
    fn published_message_reads_back_equal() {
        let at = UNIX_EPOCH + Duration::from_micros(1_790_000_000_123_456);
        let headers = vec![
            Header::new("Heygen-Signature", b"ab"),
            Header::new("X-Odd", "é\r\n\t\u{fffd}".as_bytes()),
        ];
        let body = br#"{"event_id":"e 1","event_type":"a.b","event_data":{}}"#;
        let delivery = NewDelivery::new(at, Source::Backfill, headers.clone(), body[..].into());
        let published = publication(&delivery, "id", Some(State::DeadLettered));
        let message = published.outbound_message("heygen.events.a.b");
        let sent = message.headers.expect("headers");
        let stored = read(7, sent.clone(), message.payload);
        assert_eq!(stored.sequence, 7);
        assert_eq!(stored.received_at, at);
        assert_eq!(stored.source, Source::Backfill);
        assert_eq!(stored.headers, headers);
        assert_eq!(&stored.body[..], body);
        assert_eq!(stored.imported_state, Some(State::DeadLettered));
        let found: Vec<_> = fingerprints(&sent).collect();
        let filed: Vec<_> = delivery.index_fingerprints().collect();
        assert_eq!(found, filed);
        assert!(stored.to_delivery().is_duplicate_of(&delivery));
    }

    #[test]
    fn foreign_message_is_read_as_callback() {
        let stored = read(1, HeaderMap::new(), Bytes::from_static(b"{}"));
        assert_eq!(stored.source, Source::Callback);
        assert_eq!(stored.received_at, UNIX_EPOCH);
        let mut odd = HeaderMap::new();
        odd.insert(RECEIVED_AT, "yesterday");
        odd.insert(SOURCE, "heygen");
        odd.insert(PAST, "lost");
        odd.insert(REQUEST_HEADERS, "{");
        odd.insert(FINGERPRINTS_V2, "xyz,,1");
        let stored = read(1, odd.clone(), Bytes::new());
        assert_eq!(
            (stored.source, stored.imported_state),
            (Source::Callback, None)
        );
        assert_eq!(fingerprints(&odd).count(), 1);
    }

    #[test]
    fn message_id_depends_on_body_and_kind() {
        let id = |source, body: &str| {
            message_id(&NewDelivery::new(
                UNIX_EPOCH,
                source,
                Vec::new(),
                body.to_owned().into(),
            ))
        };
        let body = r#"{"event_id":"e1","event_type":"a.b","event_data":{}}"#;
        let post = |body: &str| id(Source::Webhook, body);
        assert_eq!(post(body), post(&body.replace(':', " : ")));
        assert_ne!(post(body), post(&body.replace("a.b", "c.d")));
        assert_ne!(post(body), post(&body.replace("e1", "e2")));
        assert_eq!(post(body).len(), 33);
        let ids: std::collections::HashSet<_> =
            Source::ALL.iter().map(|source| id(*source, body)).collect();
        assert_eq!(ids.len(), Source::ALL.len());
    }
}

//! Reads stored deliveries as candidates of deduplication, and links a delivery to its duplicate.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::row;
use crate::dedup::rule::{Candidate, Comparison, Link, RecordIdentity, comparison};
use crate::dedup::{BodyDigest, DedupKey};
use crate::time::{from_micros, to_micros};
use crate::{NewDelivery, Source};

/// The delivery of this id, as a candidate for one whose source is `new`. `None` when the two are
/// never the same event, and for an unreadable row, which must not prevent the new delivery from
/// being stored.
pub(super) fn read(
    connection: &Connection,
    id: i64,
    new: Source,
) -> rusqlite::Result<Option<Candidate>> {
    match read_whole(connection, id, new) {
        Err(error) if error.sqlite_error_code().is_none() => Ok(None),
        read => read,
    }
}

fn read_whole(
    connection: &Connection,
    id: i64,
    new: Source,
) -> rusqlite::Result<Option<Candidate>> {
    let found = connection
        .prepare_cached("SELECT source, received_at, body_digest FROM delivery WHERE id = ?1")?
        .query_row([id], |row| {
            let received_at = from_micros(row.get(1)?);
            Ok((row::named::<Source>(row, 0)?, received_at, digest(row, 2)?))
        })
        .optional()?;
    let Some((source, received_at, body)) = found else {
        return Ok(None);
    };
    let comparison = comparison(new, source);
    if comparison == Comparison::Never {
        return Ok(None);
    }
    if let (Comparison::Body, Some(body)) = (comparison, body) {
        return Ok(Some(Candidate {
            source,
            received_at,
            body,
            event: None,
            event_id: None,
            matched: None,
            signed: None,
        }));
    }
    let key = connection
        .prepare_cached("SELECT body FROM content WHERE id = ?1")?
        .query_row([id], |row| Ok(DedupKey::of(row.get_ref(0)?.as_blob()?)))?;
    let mut candidate = Candidate::new(source, received_at, &key);
    candidate.matched = connection
        .prepare_cached("SELECT event_id, body_digest FROM matched WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(RecordIdentity {
                event_id: row.get(0)?,
                body: BodyDigest(row.get(1)?),
            })
        })
        .optional()?;
    candidate.signed = connection
        .prepare_cached("SELECT body_digest FROM signed WHERE id = ?1")?
        .query_row([id], |row| row.get(0).map(BodyDigest))
        .optional()?;
    Ok(Some(candidate))
}

/// Stores the second form of an event with the delivery that is its first.
pub(super) fn store(
    connection: &Connection,
    id: i64,
    link: Link,
    delivery: &NewDelivery,
) -> rusqlite::Result<()> {
    match link {
        Link::Record => {
            let record = delivery.record_identity();
            store_record(connection, id, &record)
        }
        Link::Post => {
            let (at, headers) = (delivery.received_at(), delivery.headers());
            connection
                .prepare_cached(
                    "INSERT INTO signed (id, received_at, headers, body, body_digest) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    id,
                    to_micros(at),
                    row::headers_to_text(headers),
                    delivery.body().as_ref(),
                    delivery.dedup_key().body().0,
                ])?;
            Ok(())
        }
    }
}

pub(super) fn store_record(
    connection: &Connection,
    id: i64,
    record: &RecordIdentity,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO matched (id, event_id, body_digest) VALUES (?1, ?2, ?3)")?
        .execute(params![id, record.event_id, record.body.0])?;
    Ok(())
}

/// `None` for a digest of another length.
fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<BodyDigest>> {
    let bytes = row.get_ref(column)?.as_blob_or_null()?;
    Ok(bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(BodyDigest))
}

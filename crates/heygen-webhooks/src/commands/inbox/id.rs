//! [`find`]: the delivery that an id on the command line stands for.

use heygen_inbox::{BoxInbox, DeliveryId, InboxAdmin as _, Query};

use super::chunks::{newest, next_id};
use crate::failure::Failure;
use crate::output::tame;

/// A whole id, whether there is such a delivery or not; the beginning of the id of one delivery alone; or `last`.
pub(super) async fn find(inbox: &BoxInbox, text: &str) -> Result<DeliveryId, Failure> {
    if text == "last" {
        let newest = newest(inbox).await?;
        return newest.ok_or_else(|| anyhow::anyhow!("no delivery in this inbox yet").into());
    }
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let text = text.trim().to_lowercase();
    let Some((first, last)) = range(&text) else {
        return Err(Failure::usage(format!(
            "`{}` is no id: give one as `inbox list` prints it, the beginning of one, or `last`",
            tame(&text)
        )));
    };
    let mut query = Query::default().oldest_first().limit(SHOWN + 1);
    // Neither end is part of what is asked for.
    query.after = first
        .key()
        .checked_sub(1)
        .map(|key| DeliveryId::new(key, 0));
    query.before = Some(next_id(last));
    let found = inbox.list(query).await?.into_iter().map(|found| found.id);
    let mut found = found.filter(|id| id.to_string().starts_with(&text));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(anyhow::anyhow!("no delivery whose id begins with `{text}`").into()),
        (Some(first), Some(second)) => Err(Failure::usage(format!(
            "`{text}` begins more than one id, such as {first} and {second}: give more of it"
        ))),
    }
}

/// The first and the last id that begins so.
fn range(text: &str) -> Option<(DeliveryId, DeliveryId)> {
    let width = DeliveryId::new(0, 0).to_string().len();
    let padded = |digit: char| {
        let missing = width.checked_sub(text.len())?;
        let digits = std::iter::repeat_n(digit, missing);
        text.chars().chain(digits).collect::<String>().parse().ok()
    };
    let first = padded('0').filter(|_| !text.is_empty())?;
    Some((first, padded('z')?))
}

/// How many ids are looked at, of which two are named.
const SHOWN: usize = 2;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use heygen_inbox::{Inbox as _, MemoryInbox, NewDelivery, Source};

    use super::*;

    #[tokio::test]
    async fn beginnings_of_one_id_alone_stand_for_it() {
        let inbox = BoxInbox::new(MemoryInbox::new());
        let empty = find(&inbox, "last").await.expect_err("nothing there");
        assert!(empty.to_string().contains("no delivery"), "{empty}");
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut ids = Vec::new();
        for seconds in [0, 1, 500_000] {
            let at = start + Duration::from_secs(seconds);
            let body = format!("{{\"n\":{seconds}}}").into();
            let new = NewDelivery::new(at, Source::Webhook, Vec::new(), body);
            let appended = inbox.append(new).await.expect("room");
            ids.push(appended.id());
        }
        for id in &ids {
            let text = id.to_string();
            assert_eq!(find(&inbox, &text).await.ok(), Some(*id));
            for length in 9..text.len() {
                let upper = text[..length].to_uppercase();
                assert_eq!(find(&inbox, &upper).await.ok(), Some(*id), "{length}");
            }
        }
        assert_eq!(find(&inbox, "last").await.ok(), Some(ids[2]));
        let both = &ids[0].to_string()[..5];
        for (text, expected) in [
            (both, format!("such as {} and {}", ids[0], ids[1])),
            ("zzz", "no delivery whose id begins with `zzz`".to_owned()),
            ("u", "`u` is no id".to_owned()),
            ("", "`` is no id".to_owned()),
            ("0123456789abcdef", "is no id".to_owned()),
            ("1k18\u{1b}[2J", "`1k18\u{fffd}[2j` is no id".to_owned()),
        ] {
            let failure = find(&inbox, text).await.expect_err(text);
            assert!(failure.to_string().contains(&expected), "{failure}");
        }
    }
}

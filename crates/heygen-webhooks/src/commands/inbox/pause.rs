//! `inbox pause` and `inbox resume`: stops dispatch while receiving goes on.

use std::time::SystemTime;

use heygen_inbox::{BoxInbox, InboxAdmin as _};
use serde_json::json;

use super::{open_beside, open_existing};
use crate::failure::Failure;
use crate::output;
use crate::settings::location::InboxFile;
use crate::settings::when;

pub(super) async fn pause(file: &InboxFile, is_json: bool) -> Result<(), Failure> {
    let inbox = open(file).await?;
    let was_paused = inbox.paused().await?;
    inbox.pause(SystemTime::now()).await?;
    let since = inbox.paused().await?.unwrap_or_else(SystemTime::now);
    if is_json {
        return tell_json(Some(since), was_paused.is_none());
    }
    let text = match was_paused {
        Some(_) => format!("dispatch was paused already, since {}", when::short(since)),
        None => "dispatch is paused: deliveries are received and stored, and wait".to_owned(),
    };
    Ok(output::write(format!(
        "{text}; `inbox resume` resumes it\n"
    ))?)
}

pub(super) async fn resume(file: &InboxFile, is_json: bool) -> Result<(), Failure> {
    let inbox = open(file).await?;
    let since = inbox.paused().await?;
    inbox.resume().await?;
    if is_json {
        return tell_json(None, since.is_some());
    }
    let text = match since {
        Some(since) => {
            let pending = inbox.counts().await?.pending;
            let deliveries = super::size::deliveries(pending);
            let since = when::short(since);
            format!("dispatch is resumed, after a pause since {since}; {deliveries} pending\n")
        }
        None => "dispatch is not paused; nothing was changed\n".to_owned(),
    };
    Ok(output::write(text)?)
}

/// None is made: an inbox of a mistyped name would be paused, and no other.
async fn open(file: &InboxFile) -> Result<BoxInbox, Failure> {
    drop(open_existing(file).await?);
    open_beside(file).await
}

fn tell_json(since: Option<SystemTime>, is_changed: bool) -> Result<(), Failure> {
    Ok(output::json(&json!({
        "paused": since.is_some(),
        "since": since.map(when::exact),
        "changed": is_changed,
    }))?)
}

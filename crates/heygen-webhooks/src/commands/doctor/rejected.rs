//! The requests that the receiver rejected in the last day, and why.

use std::path::Path;
use std::time::{Duration, SystemTime};

use heygen_inbox::InboxError;
use heygen_inbox::sqlite::{RejectedFile, RejectedSummary, rejected_path};
use heygen_signature::signature_like_headers;

use super::finding::Finding;
use crate::failure::error_chain;
use crate::output::rejected;
use crate::settings::when;

/// Requests without any signature are a stranger's (this command's own among them) and say nothing of HeyGen; one that is
/// signed and does not verify may well be HeyGen's. Blocks for as long as the disk takes.
pub(super) fn finding(inbox: &Path) -> Finding {
    match read(inbox) {
        Ok(finding) => finding,
        Err(error) => Finding::skipped(ID, error_chain(&error)),
    }
}

fn read(inbox: &Path) -> Result<Finding, InboxError> {
    let Some(file) = RejectedFile::open(&rejected_path(inbox))? else {
        return Ok(Finding::ok(ID, NOTHING));
    };
    let mut refused = file.list(None)?;
    let now = SystemTime::now();
    let is_old = |post: &RejectedSummary| {
        let age = now.duration_since(post.last_at);
        age.is_ok_and(|age| age > LATELY)
    };
    refused.retain(|post| !is_old(post));
    // However many strangers come: what tells of HeyGen comes first, and in each group what came last.
    refused.sort_by_key(|post| !rejected::may_be_heygens(post));
    let mut items = Vec::new();
    for post in refused.iter().take(TOLD) {
        items.push(item(&file, post)?);
    }
    if refused.len() > TOLD {
        let more = refused.len() - TOLD;
        items.push(format!("{more} more: `inbox rejected list`"));
    }
    Ok(match refused.first() {
        Some(worst) if rejected::may_be_heygens(worst) => {
            let what = "signed requests were rejected in the last 24 hours";
            Finding::warn(ID, what, fix(&refused)).items(items)
        }
        Some(_) => Finding::ok(
            ID,
            "only unsigned requests were rejected, which HeyGen does not send to an endpoint",
        )
        .items(items),
        None => Finding::ok(ID, NOTHING),
    })
}

/// The diagnosis of the newest diagnosed request: in a flood not every request is diagnosed.
fn fix(refused: &[RejectedSummary]) -> String {
    let mut telling = refused
        .iter()
        .filter(|post| rejected::may_be_heygens(post))
        .peekable();
    let newest = telling.peek().copied();
    let known = telling.find(|post| post.explanation.is_some());
    let explanation = known.or(newest).map_or("", rejected::explanation);
    let may_verify = |post: &RejectedSummary| post.is_signed && post.body_bytes.is_some();
    match refused.iter().any(may_verify) {
        true => format!(
            "{explanation}; once that is fixed, `inbox rejected reverify` accepts what verifies"
        ),
        false => explanation.to_owned(),
    }
}

fn item(file: &RejectedFile, post: &RejectedSummary) -> Result<String, InboxError> {
    let whole = file.get(post.id)?;
    let names = whole.as_ref().map_or(&[][..], |whole| &whole.header_names);
    let headers: Vec<_> = signature_like_headers(names.iter().map(String::as_str)).collect();
    let times = match post.count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let headers = match headers.is_empty() {
        true => String::new(),
        false => format!(" (headers: {})", headers.join(", ")),
    };
    Ok(format!(
        "{} {}{headers}{times}",
        when::short(post.last_at),
        post.reason,
    ))
}

pub(super) const ID: &str = "rejected";
const NOTHING: &str = "nothing was rejected in the last 24 hours";
const LATELY: Duration = Duration::from_secs(24 * 3600);
const TOLD: usize = 20;

//! `inbox rejected show`: one rejected request, and whether it verifies with today's secrets.

use heygen_inbox::sqlite::Rejected;
use heygen_signature::{Secrets, diagnose};

use super::file::{NOTHING, missing, open, secrets};
use super::json::rejected_json;
use super::text::{Verification, rejected_text};
use crate::cli::{RejectedId, ShowRejected};
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &ShowRejected) -> Result<(), Failure> {
    let inbox = options.file.location()?;
    let post = match open(&inbox)? {
        Some(file) => match options.id {
            RejectedId::Number(id) => file.get(id)?,
            RejectedId::Last => match file.list(Some(1))?.first() {
                Some(last) => file.get(last.id)?,
                None => None,
            },
        },
        None => None,
    };
    let post = post.ok_or_else(|| match options.id {
        RejectedId::Number(id) => anyhow::anyhow!(missing(id, &inbox)),
        RejectedId::Last => anyhow::anyhow!(NOTHING.trim_end()),
    })?;
    if options.raw {
        let body = post.body.as_deref();
        let body = body.ok_or_else(|| {
            anyhow::anyhow!(
                "the body of request {} was not read or not kept",
                post.summary.id
            )
        })?;
        output::write_bytes(body)?;
        return Ok(());
    }
    // To look at it takes no secret: one that cannot be read is told with the rest.
    let now = now(&post, secrets(&options.file, &options.secrets));
    match (options.json, &now) {
        (true, Verification::Checked(diagnosis)) => {
            output::json(&rejected_json(&post, Some(diagnosis)))?;
        }
        (true, Verification::Unknown(_)) => output::json(&rejected_json(&post, None))?,
        (false, now) => output::write(rejected_text(&post, now))?,
    }
    Ok(())
}

fn now(post: &Rejected, secrets: Result<Option<Secrets>, Failure>) -> Verification {
    let Some(body) = &post.body else {
        return Verification::Unknown(
            "cannot be verified: its body was not read or not kept".to_owned(),
        );
    };
    match secrets {
        Ok(Some(secrets)) => Verification::Checked(diagnose(pairs(post), body, &secrets)),
        Ok(None) => {
            Verification::Unknown("not verified: no signing secret is known here".to_owned())
        }
        Err(failure) => Verification::Unknown(format!("not verified: {failure}")),
    }
}

/// Its signature headers, as they are verified.
pub(super) fn pairs(post: &Rejected) -> impl Iterator<Item = (&str, &[u8])> {
    post.signatures
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_bytes()))
}

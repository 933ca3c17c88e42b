//! `inbox rejected show`: one rejected request, and whether it verifies with today's secrets.

use heygen_inbox::sqlite::{Rejected, RejectedSummary};
use heygen_signature::{Diagnosis, Secrets, diagnose};
use serde_json::Value;

use super::file::{NOTHING, missing, number, open, secrets};
use crate::cli::{RejectedId, ShowRejected};
use crate::commands::body::diagnosis_json;
use crate::commands::inbox::text::body_text;
use crate::commands::inbox::to_json;
use crate::failure::Failure;
use crate::output::{self, rejected, tame};
use crate::settings::when;

pub(super) fn run(options: &ShowRejected) -> Result<(), Failure> {
    let inbox = options.file.location()?;
    let mut post = None;
    if let Some(file) = open(&inbox)?
        && let Some(id) = number(&file, &options.id)?
    {
        post = file.get(id)?;
    }
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
        return Ok(output::write_bytes(body)?);
    }
    // To look at it takes no secret: that one cannot be read is part of the answer.
    let now = now(&post, secrets(&options.file, &options.secrets));
    match options.json {
        true => output::json(&rejected_json(&post, now.as_ref().ok()))?,
        false => output::write(rejected_text(&post, &now))?,
    }
    Ok(())
}

/// What the present secrets make of it, or why it cannot be verified.
fn now(post: &Rejected, secrets: Result<Option<Secrets>, Failure>) -> Result<Diagnosis, String> {
    let Some(body) = &post.body else {
        return Err("cannot be verified: its body was not read or not kept".to_owned());
    };
    match secrets {
        Ok(Some(secrets)) => Ok(diagnose(pairs(post), body, &secrets)),
        Ok(None) => Err("not verified: no signing secret is known here".to_owned()),
        Err(failure) => Err(format!("not verified: {failure}")),
    }
}

/// Its signature headers, as they are verified.
pub(super) fn pairs(post: &Rejected) -> impl Iterator<Item = (&str, &[u8])> {
    post.signatures
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_bytes()))
}

pub(super) fn summary_json(summary: &RejectedSummary) -> Value {
    let mut value = to_json(summary);
    value["explanation"] = rejected::explanation(summary).into();
    value
}

/// The keys of the list, and what only one post has: `body` is null where it was not read or is not UTF-8 (`--raw` has the
/// bytes), `now` where there is no secret or no body to check.
fn rejected_json(post: &Rejected, now: Option<&Diagnosis>) -> Value {
    let mut value = to_json(post);
    value["explanation"] = rejected::explanation(&post.summary).into();
    value["now"] = now.map(diagnosis_json).into();
    value
}

fn rejected_text(post: &Rejected, now: &Result<Diagnosis, String>) -> String {
    let summary = &post.summary;
    let times = match summary.count {
        1 => when::short(summary.first_at),
        count => format!(
            "{}, {count} times until {}",
            when::short(summary.first_at),
            when::short(summary.last_at)
        ),
    };
    let now = match now {
        Ok(diagnosis) if diagnosis.is_verified() => {
            format!("verified, {diagnosis}: `inbox rejected reverify` accepts it")
        }
        Ok(diagnosis) => format!("{}: {diagnosis}", diagnosis.label()),
        Err(why) => why.clone(),
    };
    let mut parts = vec![format!(
        "request         {}\nreceived        {times}\nrejected        {}: {}\nsecrets today   {}\nheaders         {}\n",
        summary.id,
        tame(&summary.reason),
        tame(rejected::explanation(summary)),
        tame(&now),
        tame(&post.header_names.join(", ")),
    )];
    let signatures = post.signatures.iter().map(|header| {
        let value = shortened(&header.value);
        format!("{:<16}{}\n", tame(&header.name), tame(&value))
    });
    parts.extend(signatures);
    if let Some(body) = &post.body {
        parts.push(format!(
            "\nBody, {} bytes (sender not verified)\n",
            body.len()
        ));
        let lines = body_text(body, false);
        parts.extend(lines.lines().map(|line| format!("{}\n", tame(line))));
    }
    parts.concat()
}

/// Enough to tell one from another.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

const SHOWN: usize = 8;

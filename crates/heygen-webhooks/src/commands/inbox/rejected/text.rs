//! One rejected request as text.

use heygen_inbox::sqlite::Rejected;
use heygen_signature::Diagnosis;

use super::super::text::body_text;
use crate::output::rejected;
use crate::output::tame;
use crate::settings::when;

/// What the present secrets make of a post.
pub(super) enum Verification {
    Checked(Diagnosis),
    /// Why it cannot be verified.
    Unknown(String),
}

pub(super) fn rejected_text(post: &Rejected, now: &Verification) -> String {
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
        Verification::Checked(diagnosis) if diagnosis.is_verified() => {
            format!("verified, {diagnosis}: `inbox rejected reverify` accepts it")
        }
        Verification::Checked(diagnosis) => format!("{}: {diagnosis}", diagnosis.label()),
        Verification::Unknown(why) => why.clone(),
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

/// Characters of a signature.
const SHOWN: usize = 8;

//! `inbox rejected list`: rejected requests, newest first, and what their reasons mean.

use std::collections::BTreeSet;

use heygen_inbox::sqlite::{RejectedFile, RejectedSummary};
use heygen_signature::VerifyErrorKind::{self, Ambiguous, Malformed, Mismatch, Missing};
use heygen_signature::{Secret, Secrets, diagnose};

use super::file::{NOTHING, open, secrets};
use super::show::{pairs, summary_json};
use crate::cli::ListRejected;
use crate::commands::inbox::size;
use crate::commands::prose;
use crate::failure::Failure;
use crate::output::rejected;
use crate::output::screen::{PLAIN, Screen, WARN};
use crate::output::table::{Cell, Column, table};
use crate::output::{self, tame, tame_lines};

pub(super) fn run(options: &ListRejected) -> Result<(), Failure> {
    let limit = (options.limit > 0).then_some(options.limit);
    let mut found = Vec::new();
    if let Some(file) = open(&options.file.location()?)? {
        found = file.list(limit)?;
        // To list them takes no secret: `show` tells of one that cannot be read.
        let secrets = secrets(&options.file, &options.secrets).ok().flatten();
        diagnose_all(&file, secrets, &mut found)?;
    }
    if options.json {
        return Ok(output::json_array(found.iter().map(summary_json))?);
    }
    if found.is_empty() {
        return Ok(output::write(NOTHING)?);
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    // Where it is no terminal, an explanation stays one line.
    let width = prose::width();
    Ok(output::write_bytes(format!(
        "{}\n{}\n{}\n",
        table(&COLUMNS, &rows, Screen::stdout()),
        tame_lines(&reasons(&found, width)),
        prose::broken(ADVICE, 0, width.or(Some(80)))
    ))?)
}

/// A running server diagnoses only some of those that come in a flood: the others are diagnosed here.
fn diagnose_all(
    file: &RejectedFile,
    secrets: Option<Secrets>,
    found: &mut [RejectedSummary],
) -> Result<(), Failure> {
    let has_secrets = secrets.is_some();
    // What is wrong with a header is the same under any secret.
    let secrets = match secrets {
        Some(secrets) => secrets,
        None => Secret::new("any")?.into(),
    };
    for summary in found.iter_mut().filter(|one| one.explanation.is_none()) {
        let is = |kind: VerifyErrorKind| summary.reason == kind.label();
        let is_about_header = [Missing, Malformed, Ambiguous].into_iter().any(is);
        let is_about_body = has_secrets && is(Mismatch);
        if !is_about_header && !is_about_body {
            continue;
        }
        let Some(post) = file.get(summary.id)? else {
            continue;
        };
        let body = match &post.body {
            Some(body) => &body[..],
            None if is_about_header => &[],
            None => continue,
        };
        let diagnosis = diagnose(pairs(&post), body, &secrets);
        if diagnosis.is_verified() {
            let verifies = "the signature verifies now: `inbox rejected reverify` accepts it";
            summary.explanation = Some(verifies.to_owned());
        } else {
            diagnosis.label().clone_into(&mut summary.reason);
            summary.explanation = Some(diagnosis.to_string());
        }
    }
    Ok(())
}

const COLUMNS: [Column; 6] = [
    Column::new("ID"),
    Column::new("LAST"),
    Column::new("TIMES"),
    // A signed one may be HeyGen's.
    Column::new("SIGNED").styled(|signed| if signed == "yes" { WARN } else { PLAIN }),
    Column::new("BYTES").optional(1),
    Column::new("REASON").cut_middle(12),
];

fn row(summary: &RejectedSummary) -> Vec<Cell> {
    let signed = if summary.is_signed { "yes" } else { "no" };
    vec![
        summary.id.to_string().into(),
        Cell::time(summary.last_at),
        size::count(summary.count).into(),
        signed.into(),
        summary
            .body_bytes
            .map_or_else(|| "unread".to_owned(), size::count)
            .into(),
        summary.reason.as_str().into(),
    ]
}

/// What each reason in the list means, once.
fn reasons(found: &[RejectedSummary], width: Option<usize>) -> String {
    let reasons: BTreeSet<_> = found
        .iter()
        .map(|summary| (tame(&summary.reason), tame(rejected::explanation(summary))))
        .collect();
    // Of one that was not read, whose cause others show, the explanation is the beginning of theirs.
    let is_said = |(reason, explanation): &&(String, String)| {
        let says_more = |(other, more): &(String, String)| {
            other == reason && more != explanation && more.starts_with(explanation.as_str())
        };
        !reasons.iter().any(says_more)
    };
    let line = |(reason, explanation): &(String, String)| {
        let text = format!("{reason}: {explanation}");
        format!("{}\n", prose::broken(&text, 0, width))
    };
    reasons.iter().filter(is_said).map(line).collect()
}

const ADVICE: &str = "Signed requests may be HeyGen's: `doctor` and `inbox rejected show ID` tell why they do not \
    verify. Once the secret is fixed, `inbox rejected reverify` accepts those that verify. Unsigned requests usually come from \
    strangers.";

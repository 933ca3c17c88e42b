//! `inbox rejected reverify`: accepts rejected requests that verify with today's secrets.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use heygen_inbox::sqlite::{Rejected, RejectedFile, RingOptions};
use heygen_inbox::{Appended, BoxInbox, Inbox as _, NewDelivery, Source};
use heygen_signature::{Secrets, diagnose, verify};

use super::file::{number, open, secrets};
use super::outcome::Outcome;
use super::show::pairs;
use crate::cli::{self, RejectedId};
use crate::commands::inbox::open_beside;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;
use crate::settings::location::InboxFile;
use crate::store;

/// Verified requests on their way into the inbox. Only [`Reverifier::add`] puts one there.
struct Reverifier<'a> {
    options: &'a InboxFile,
    file: &'a RejectedFile,
    /// Opened when there is a request to accept, which creates a missing inbox.
    inbox: Option<BoxInbox>,
    ids: Vec<u64>,
    batch: Vec<NewDelivery>,
    batch_bytes: usize,
}

pub(super) async fn run(options: &cli::Reverify) -> Result<(), Failure> {
    let inbox = options.file.location()?;
    let secrets = secrets(&options.file, &options.secrets)?.ok_or_else(|| {
        Failure::usage(
            "no signing secret: set HEYGEN_WEBHOOK_SECRET, name a file with --secret-file, or name with --inbox the inbox beside which `serve --public-url` or `endpoints` stored it",
        )
    })?;
    let Some(file) = open(&inbox)? else {
        let named = options.ids.iter().filter_map(|id| match id {
            RejectedId::Number(number) => Some(*number),
            RejectedId::Last => None,
        });
        let mut outcome = Outcome::default();
        outcome.missing.extend(named);
        return report(options, &outcome);
    };
    if options.ids.is_empty() {
        // What a running `serve` rejected a moment ago is written by then.
        tokio::time::sleep(2 * RingOptions::default().commit_pause).await;
    }
    let mut outcome = Outcome::default();
    let ended = reverify(&file, &secrets, options, &mut outcome).await;
    // What was accepted before a failure stays so.
    if ended.is_err() && outcome.appended.is_empty() {
        return ended;
    }
    let reported = report(options, &outcome);
    ended.and(reported)
}

async fn reverify(
    file: &RejectedFile,
    secrets: &Secrets,
    options: &cli::Reverify,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let ids = chosen(file, &options.ids)?;
    let progress = progress::posts(ids.len() as u64)?;
    let mut reverifier = Reverifier::new(&options.file, file);
    for id in ids {
        match file.get(id)? {
            None => outcome.missing.push(id),
            Some(request) => match check(&request, secrets) {
                Ok(delivery) => {
                    outcome.checked += 1;
                    outcome.verified += 1;
                    if !options.dry_run {
                        reverifier.add(id, delivery, &mut outcome.appended).await?;
                    }
                }
                Err(label) => {
                    outcome.checked += 1;
                    *outcome.not_verified.entry(label).or_default() += 1;
                }
            },
        }
        progress.inc(1);
    }
    reverifier.flush(&mut outcome.appended).await?;
    if let Some(inbox) = &reverifier.inbox {
        store::flush(inbox).await;
    }
    progress.finish_and_clear();
    if options.ids.is_empty() {
        // None was named: they made room for others while this went on.
        outcome.missing.clear();
    }
    Ok(())
}

/// In the order in which they came.
fn chosen(file: &RejectedFile, named: &[RejectedId]) -> Result<Vec<u64>, Failure> {
    if !named.is_empty() {
        let numbers = named.iter().map(|id| number(file, id));
        let numbers: BTreeSet<_> = numbers.collect::<Result<_, _>>()?;
        return Ok(numbers.into_iter().flatten().collect());
    }
    let mut all = file.list(None)?;
    all.sort_by_key(|summary| (summary.first_at, summary.id));
    Ok(all.iter().map(|summary| summary.id).collect())
}

/// The delivery that it is, if one of the secrets signed it; else why not, in a word.
fn check(request: &Rejected, secrets: &Secrets) -> Result<NewDelivery, &'static str> {
    let Some(body) = &request.body else {
        return Err(NO_BODY);
    };
    if verify(pairs(request), body, secrets).is_err() {
        return Err(diagnose(pairs(request), body, secrets).label());
    }
    Ok(NewDelivery::new(
        request.summary.first_at,
        Source::Webhook,
        request.signatures.clone(),
        body.clone(),
    ))
}

impl<'a> Reverifier<'a> {
    fn new(options: &'a InboxFile, file: &'a RejectedFile) -> Self {
        Self {
            options,
            file,
            inbox: None,
            ids: Vec::new(),
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    async fn add(
        &mut self,
        id: u64,
        delivery: NewDelivery,
        appended: &mut Vec<(u64, Appended)>,
    ) -> Result<(), Failure> {
        self.batch_bytes += delivery.body().len();
        self.batch.push(delivery);
        self.ids.push(id);
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.flush(appended).await?;
        }
        Ok(())
    }

    /// They are in the inbox, on the disk, before they go from the other file. What is in both after a crash in between is
    /// a duplicate next time.
    async fn flush(&mut self, appended: &mut Vec<(u64, Appended)>) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let inbox = match &mut self.inbox {
            Some(inbox) => inbox,
            none => none.insert(open_beside(self.options).await?),
        };
        // They may be older than what servers know duplicates of.
        inbox.wait_until_synced().await;
        // Begun in their order, and together, so that they share a commit.
        let appends = self.batch.drain(..).map(|delivery| inbox.append(delivery));
        let answers = join_all(appends).await;
        self.batch_bytes = 0;
        let (mut stored, mut failed) = (Vec::new(), Ok(()));
        for (id, answer) in self.ids.drain(..).zip(answers) {
            match answer {
                Ok(answer) => {
                    appended.push((id, answer));
                    stored.push(id);
                }
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        self.file.remove(&stored)?;
        Ok(failed?)
    }
}

/// A number that was named and is not there is a failure; that some do not verify is an answer.
fn report(options: &cli::Reverify, outcome: &Outcome) -> Result<(), Failure> {
    match options.json {
        true => output::json(&outcome.json(options.dry_run))?,
        false => output::write(outcome.text(options.dry_run))?,
    }
    Failure::unless(outcome.missing.is_empty())
}

/// Stands beside the labels of a diagnosis.
const NO_BODY: &str = "body-not-read";

/// Of one transaction, so that a running server waits only shortly.
const BATCH: usize = 200;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

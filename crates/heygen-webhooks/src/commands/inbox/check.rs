//! `inbox check`: looks for damage in the inbox file.

use std::path::Path;

use heygen_inbox::sqlite::{CheckLevel, IntegrityIssue, SqliteInbox, is_damaged};
use serde::Serialize;
use serde_json::json;

use super::size;
use crate::cli::Check;
use crate::commands::progress;
use crate::failure::{Failure, error_chain};
use crate::output::{self, tame};
use crate::store::cannot_open;
use crate::store::location::InboxLocation;

#[derive(Debug, Serialize)]
struct Damage {
    what: String,
    count: u64,
    example: Option<String>,
}

pub(super) async fn run(options: &Check) -> Result<(), Failure> {
    let location = &options.file.location()?;
    let path = location.file(
        "inbox check",
        "the NATS servers maintain it; see `nats stream report`, and /readyz of `serve` and `work`",
    )?;
    let depth = match options.full {
        true => CheckLevel::Full,
        false => CheckLevel::Quick,
    };
    let damage = find_damage(location, path, depth).await?;
    if options.json {
        output::json(&json!({"sound": damage.is_empty(), "flaws": damage}))?;
    } else if damage.is_empty() {
        output::write(format!("{} is sound\n", path.display()))?;
    } else {
        let lines: String = damage.iter().map(Damage::line).collect();
        output::write(format!("{lines}\n{WHAT_TO_DO}"))?;
    }
    Failure::unless(damage.is_empty())
}

/// What is damage. A file that is damaged too badly to be opened is damage too, and no failure to look.
async fn find_damage(
    location: &InboxLocation,
    path: &Path,
    depth: CheckLevel,
) -> Result<Vec<Damage>, Failure> {
    let reader = match SqliteInbox::open_read_only(path) {
        Ok(reader) => reader,
        Err(error) if is_damaged(&error) => {
            return Ok(vec![Damage {
                what: error_chain(&error),
                count: 1,
                example: None,
            }]);
        }
        Err(error) => return Err(cannot_open(location, error)),
    };
    let progress = progress::spinner("{spinner} reading the inbox, {elapsed}")?;
    let flaws = reader.check(depth).await;
    progress.finish_and_clear();
    Ok(flaws?.into_iter().map(Damage::from).collect())
}

impl Damage {
    fn line(&self) -> String {
        let what = tame(&self.what);
        let count = size::count(self.count);
        match &self.example {
            Some(id) => format!("damaged: {what} ({count}, the first is {id})\n"),
            None => format!("damaged: {what} ({count})\n"),
        }
    }
}

impl From<IntegrityIssue> for Damage {
    fn from(flaw: IntegrityIssue) -> Self {
        Self {
            what: flaw.what,
            count: flaw.count,
            example: flaw.example.map(|id| id.to_string()),
        }
    }
}

const WHAT_TO_DO: &str = "What to do: stop `serve`, copy the file and those beside it (-wal, -shm), and restore the last backup that `inbox check` finds sound, as docs/operations.md describes. `inbox export` skips unreadable deliveries; `inbox import` adds the others to the restored inbox. Then check the disk.\n";

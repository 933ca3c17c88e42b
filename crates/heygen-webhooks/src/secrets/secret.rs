//! Where secrets come from: the environment and files, never a flag, which every process list would show.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heygen_receiver::ActiveSecrets;
use heygen_signature::{Secret, Secrets};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::secrets::private_file::is_open_to_others;
use crate::secrets::secret_store::SecretStore;
use crate::settings::origin;
use crate::settings::written;

/// Every secret of `HEYGEN_WEBHOOK_SECRET` and of the files, in this order; `None` when there is none.
pub(crate) fn load(files: &[PathBuf]) -> Result<Option<Secrets>, Failure> {
    let mut secrets = from_environment()?;
    for file in files {
        secrets.extend(from_file(file)?);
    }
    Ok(Secrets::from_iter(secrets))
}

/// Every secret that a `serve` started now would accept: as [`load`], and those that HeyGen told and that were kept.
pub(crate) fn accepted(files: &[PathBuf], store: &SecretStore) -> Result<Option<Secrets>, Failure> {
    let configured = load(files)?;
    let now = Timestamp::now();
    let (kept, retired) = (store.accepted(now)?, store.retired(now)?);
    let configured = configured.iter().flat_map(|all| all.iter()).cloned();
    let configured = configured.filter(|secret| !is_one_of(secret, &retired));
    Ok(Secrets::from_iter(configured.chain(kept)))
}

/// The secrets of receivers, as far as a process without one knows them: those it must not sign with what HeyGen did not sign.
pub(crate) fn of_receivers(
    files: &[PathBuf],
    store: &SecretStore,
) -> Result<ActiveSecrets, Failure> {
    let known = accepted(files, store)?;
    Ok(known.map_or_else(ActiveSecrets::none, ActiveSecrets::from))
}

/// Whether a secret is among these.
pub(crate) fn is_one_of(secret: &Secret, others: &[Secret]) -> bool {
    others.iter().any(|other| other.expose() == secret.expose())
}

/// Says of each secret that could be guessed that it should not be so.
pub(crate) fn warn_of_short(secrets: &Secrets) {
    let short = secrets.iter();
    let short = short.filter(|secret| secret.expose().trim_start_matches("whsec_").len() < MIN_LEN);
    match short.count() {
        0 => {}
        count => tracing::warn!(
            secrets = count,
            "a signing secret has fewer than {MIN_LEN} characters and could be guessed: whoever has it can sign"
        ),
    }
}

/// As [`load`], for commands that cannot do without.
pub(crate) fn require(files: &[PathBuf], otherwise: &str) -> Result<Secrets, Failure> {
    load(files)?.ok_or_else(|| {
        Failure::usage(format!(
            "no signing secret: set {VARIABLE}, or name a file with --secret-file{otherwise}"
        ))
    })
}

/// Says of each file that others can read, once, that it should not be so.
pub(crate) fn warn_of_open_files(files: &[PathBuf]) {
    for file in files.iter().filter(|file| is_open_to_others(file)) {
        tracing::warn!(
            "secret file {0} can be read by others: chmod 600 {0}",
            file.display()
        );
    }
}

/// The secrets of the file for what is sent on.
pub(crate) fn read_file(file: &Path) -> Result<Secrets, Failure> {
    let secrets = Secrets::from_iter(of_file("forward-secret-file", file)?);
    secrets.ok_or_else(|| Failure::usage(format!("secret file {} holds no secret", file.display())))
}

/// Every secret of `HEYGEN_WEBHOOK_SECRET`.
pub(crate) fn from_environment() -> Result<Vec<Secret>, Failure> {
    let text = written::variable(VARIABLE).map_err(|error| Failure::usage(format!("{error:#}")))?;
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    // A name may stand before all of them.
    let all = match text.contains(',') {
        true => written::without_name(&text, written::is_webhook_secret),
        false => &text,
    };
    Ok(all
        .split(',')
        .filter_map(|text| Secret::new(value(text, VARIABLE)).ok())
        .collect())
}

/// Every secret of a file while a process runs: one that holds none any more, or is gone, takes them back. Only what cannot be
/// read is an error.
pub(crate) fn from_file_again(file: &Path) -> Result<Vec<Secret>, Failure> {
    match file.try_exists() {
        Ok(false) => Ok(Vec::new()),
        Ok(true) | Err(_) => all_of("secret-file", file),
    }
}

/// Every secret of a file, which has one at least.
pub(crate) fn from_file(file: &Path) -> Result<Vec<Secret>, Failure> {
    of_file("secret-file", file)
}

/// `option` is the one that names the file.
fn of_file(option: &str, file: &Path) -> Result<Vec<Secret>, Failure> {
    let secrets = all_of(option, file)?;
    if secrets.is_empty() {
        return Err(anyhow::anyhow!(
            "{}: secret file {} holds no secret: put one on a line",
            origin::name(option),
            file.display()
        )
        .into());
    }
    Ok(secrets)
}

fn all_of(option: &str, file: &Path) -> Result<Vec<Secret>, Failure> {
    let place = format!("secret file {}", file.display());
    let text = written::read(file)
        .with_context(|| format!("{}: cannot read {place}", origin::name(option)))?;
    let values =
        written::lines(&text).map(|(line, number)| value(line, &format!("{place}, line {number}")));
    Ok(values.filter_map(|text| Secret::new(text).ok()).collect())
}

fn value<'a>(written: &'a str, place: &str) -> &'a str {
    written::value(written, written::is_webhook_secret, "the secret", place)
}

const VARIABLE: &str = "HEYGEN_WEBHOOK_SECRET";

/// Below this a secret can be found by trying.
const MIN_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("secret");
        fs::write(&file, text).expect("a file");
        let read = from_file(&file).map(|secrets| {
            secrets
                .iter()
                .map(|secret| secret.expose().to_owned())
                .collect::<Vec<_>>()
        });
        match read {
            Ok(secrets) => assert_eq!(secrets, expected),
            Err(_) => assert!(expected.is_empty(), "{text:?} was refused"),
        }
    }

    #[test]
    fn a_secret_a_line() {
        check("whsec_a", &["whsec_a"]);
        check("whsec_a\n", &["whsec_a"]);
        check(
            "# old\r\nwhsec_a==\r\n\r\n  whsec_b \r\n",
            &["whsec_a==", "whsec_b"],
        );
        check("\u{feff}whsec_a\r\n", &["whsec_a"]);
        check(
            "\u{feff}# old\nHEYGEN_WEBHOOK_SECRET=whsec_a\nwhsec_b\u{200b}\n",
            &["whsec_a", "whsec_b"],
        );
        check("", &[]);
        check("\u{feff}\n", &[]);
        check("\n \n# none\n", &[]);
    }
}

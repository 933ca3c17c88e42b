//! The certificate of `serve`: read at the start, when it changes, and on SIGHUP.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::private_file::is_open_to_others;
use heygen_receiver::ServerTls;
use tokio::sync::watch;

use crate::api::web;
use crate::failure::Failure;
use crate::settings::origin;
use crate::settings::receiver::TlsFiles;
use crate::settings::when;
use crate::settings::written;

/// The certificate in force, and the files it is read from.
pub(super) struct Certificate {
    pub(super) tls: ServerTls,
    files: TlsFiles,
    /// Of the files when the certificate in force was read.
    seen: Stamps,
    failed: Option<FailedReload>,
    /// When the log last had the chance to warn of the certificate.
    warned_at: Instant,
}

/// When each file was changed last, and its length: another stamp is another content.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Stamps([Option<(SystemTime, u64)>; 2]);

/// A reload that is tried again, because what was wrong need not show in the [`Stamps`]: permissions do not.
struct FailedReload {
    seen: Stamps,
    message: String,
    logged_at: Instant,
}

impl Certificate {
    pub(super) fn load(files: TlsFiles) -> Result<Self, Failure> {
        // Before they are read, so that no change in between is missed.
        let seen = Stamps::of(&files);
        // Each once: a pipe has nothing to read a second time.
        let certificate = text("tls-cert", &files.certificate)?;
        let key = match files.key == files.certificate {
            true => certificate.clone(),
            false => text("tls-key", &files.key)?,
        };
        let tls = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes());
        let is_read_once = [&files.certificate, &files.key]
            .iter()
            .any(|file| written::is_read_once(file));
        let tls = tls.or_else(|error| match is_read_once {
            true => Err(error),
            // For an error that names the file at fault.
            false => ServerTls::from_pem_files(&files.certificate, &files.key),
        });
        let tls = tls.map_err(|error| {
            let (certificate, key) = (origin::name("tls-cert"), origin::name("tls-key"));
            let option = match error.path() {
                None => format!("{certificate}, {key}"),
                Some(path) if path == files.key && files.key != files.certificate => key,
                Some(_) => certificate,
            };
            anyhow::Error::new(error).context(format!("{option}: cannot set up TLS"))
        })?;
        warn_of(&files, &tls);
        Ok(Self {
            tls,
            files,
            seen,
            failed: None,
            warned_at: Instant::now(),
        })
    }

    /// Reads the files again on every SIGHUP, and looks once a minute whether they have changed, because not every renewal
    /// sends a signal. Files that cannot be used leave the certificate in force, and are tried again every minute.
    pub(super) async fn keep_fresh(mut self, mut hangups: watch::Receiver<u64>) {
        loop {
            let is_asked = tokio::select! {
                changed = hangups.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            self.look(is_asked).await;
        }
    }

    async fn look(&mut self, is_asked: bool) {
        let (tls, files, before) = (self.tls.clone(), self.files.clone(), self.seen.clone());
        let is_due = is_asked || self.failed.is_some();
        let is_warning_due = self.warned_at.elapsed() >= BETWEEN_WARNINGS;
        // A disk that hangs holds up no other task.
        let looking = tokio::task::spawn_blocking(move || {
            let now = Stamps::of(&files);
            let reload = (is_due || now != before).then(|| read_again(&tls, &files));
            let is_reloaded = matches!(reload, Some(Ok(())));
            if is_warning_due && !is_reloaded {
                warn_of(&files, &tls);
            }
            (now, reload)
        });
        let Ok((now, reload)) = looking.await else {
            // A panic was logged.
            return;
        };
        if is_warning_due || matches!(reload, Some(Ok(()))) {
            self.warned_at = Instant::now();
        }
        match reload {
            None => {}
            Some(Ok(())) => {
                self.seen = now;
                self.failed = None;
            }
            Some(Err(message)) => self.failed_with(message, now, is_asked),
        }
    }

    /// Logs a failed reload, unless it is the same one as before and no one asked for it.
    fn failed_with(&mut self, message: String, seen: Stamps, is_asked: bool) {
        let is_known = self.failed.as_ref().is_some_and(|failed| {
            failed.message == message
                && failed.seen == seen
                && failed.logged_at.elapsed() < BETWEEN_WARNINGS
        });
        if is_known && !is_asked {
            return;
        }
        tracing::error!(
            "could not reload the certificate, the previous one stays in effect: {message}"
        );
        self.failed = Some(FailedReload {
            seen,
            message,
            logged_at: Instant::now(),
        });
    }
}

impl Stamps {
    fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key].map(|file| {
            // A pipe changes with everything that is written to it.
            if written::is_read_once(file) {
                return None;
            }
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        }))
    }
}

/// The text of a file of PEM, which is in an encoding that can be read.
fn text(option: &str, file: &Path) -> Result<String, Failure> {
    let read = written::read(file).map_err(|error| {
        let cannot = match error.is::<io::Error>() {
            true => "cannot be read: ",
            false => "",
        };
        let option = origin::name(option);
        error.context(format!(
            "{option}: cannot set up TLS: {cannot}{}",
            file.display()
        ))
    });
    Ok(read?)
}

/// Fails with what the log has to say.
fn read_again(tls: &ServerTls, files: &TlsFiles) -> Result<(), String> {
    if [&files.certificate, &files.key]
        .iter()
        .any(|file| written::stays_as_read(file))
    {
        return Ok(());
    }
    let replaced = tls.replace_with_pem_files(&files.certificate, &files.key);
    replaced.map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
    tracing::info!("certificate reloaded");
    warn_of(files, tls);
    Ok(())
}

fn warn_of(files: &TlsFiles, tls: &ServerTls) {
    if is_open_to_others(&files.key) {
        tracing::warn!(
            "other users can read key file {0}: chmod 600 {0}",
            files.key.display()
        );
    }
    // What is no longer read here was good enough for rustls: only the warning is lost.
    let Some(until) = web::valid_until(&tls.certificate()) else {
        return;
    };
    let file = files.certificate.display();
    let day = when::short(until);
    match until.duration_since(SystemTime::now()) {
        Err(_) => tracing::warn!("certificate {file} expired on {day}: renew it"),
        Ok(left) if left < RENEW_BEFORE => {
            tracing::warn!("certificate {file} expires on {day}: renew it");
        }
        Ok(_) => {}
    }
}

const RENEW_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);

const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Of an end that comes closer.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// Writes a new certificate, as of this second.
    fn write(folder: &Path, second: u64) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("one");
        let files = TlsFiles {
            certificate: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        put(&files.certificate, made.cert.pem(), second);
        put(&files.key, made.signing_key.serialize_pem(), second);
        files
    }

    fn put(file: &Path, text: impl AsRef<[u8]>, second: u64) {
        fs::write(file, text).expect("a file");
        let file = File::options().write(true).open(file).expect("a file");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second);
        file.set_modified(time).expect("its time");
    }

    #[tokio::test]
    async fn renewed_certificate_is_noticed_without_a_signal() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut certificate = Certificate::load(write(folder.path(), 0)).expect("usable");
        for second in 1..3 {
            let before = certificate.tls.certificate();
            certificate.look(false).await;
            assert_eq!(certificate.tls.certificate(), before);
            write(folder.path(), second);
            certificate.look(false).await;
            assert_ne!(certificate.tls.certificate(), before);
        }
    }

    /// As a key that is made readable after it was renewed: neither time nor length tell.
    #[tokio::test]
    async fn failed_reload_is_tried_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (second, is_asked) in [(1, false), (2, true)] {
            let mut certificate = Certificate::load(write(folder.path(), 0)).expect("usable");
            let before = certificate.tls.certificate();
            let files = write(folder.path(), second);
            let key = fs::read(&files.key).expect("a key");
            put(&files.key, vec![b'x'; key.len()], second);
            certificate.look(is_asked).await;
            let logged_at = |certificate: &Certificate| {
                certificate.failed.as_ref().map(|failed| failed.logged_at)
            };
            let first = logged_at(&certificate).expect("it failed");
            certificate.look(false).await;
            assert_eq!(logged_at(&certificate), Some(first), "logged once");
            assert_eq!(certificate.tls.certificate(), before);
            put(&files.key, key, second);
            certificate.look(false).await;
            assert_ne!(certificate.tls.certificate(), before);
            assert!(certificate.failed.is_none());
        }
    }

    /// As the shell makes of `--tls-key <(…)`.
    #[cfg(unix)]
    #[tokio::test]
    async fn pipe_is_read_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut files = write(folder.path(), 0);
        let key = fs::read(&files.key).expect("a key");
        files.key = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&files.key)
            .status();
        assert!(made.expect("mkfifo").success());
        let pipe = files.key.clone();
        let writing = std::thread::spawn(move || fs::write(pipe, key));
        // A second reader would wait for ever.
        let loading = tokio::task::spawn_blocking(|| Certificate::load(files));
        let loading = tokio::time::timeout(Duration::from_secs(60), loading).await;
        let loaded = loading.expect("nothing waits").expect("it ends");
        let mut certificate = loaded.expect("usable");
        writing.join().expect("it ends").expect("it was read");
        for is_asked in [false, true] {
            certificate.look(is_asked).await;
            assert!(certificate.failed.is_none());
        }
    }
}

//! The certificate of `serve`: read at the start, when it changes, and on SIGHUP.

use std::fs;
use std::io;
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
    tls: ServerTls,
    files: TlsFiles,
    /// Of the files when they were read last.
    seen: Stamps,
}

/// When each file was changed last, and its length: another stamp is another content.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Stamps([Option<(SystemTime, u64)>; 2]);

impl Certificate {
    pub(super) fn load(files: TlsFiles) -> Result<Self, Failure> {
        // Before they are read, so that no change in between is missed.
        let seen = Stamps::of(&files);
        for (option, file) in [("tls-cert", &files.certificate), ("tls-key", &files.key)] {
            match written::read(file) {
                // An unreadable file is reported below.
                Err(error) if !error.is::<io::Error>() => {
                    let place = format!(
                        "{}: cannot set up TLS: {}",
                        origin::name(option),
                        file.display()
                    );
                    return Err(error.context(place).into());
                }
                Ok(_) | Err(_) => {}
            }
        }
        let tls = ServerTls::from_pem_files(&files.certificate, &files.key).map_err(|error| {
            let is_key = error.path() == Some(&*files.key) && files.key != files.certificate;
            let option = origin::name(if is_key { "tls-key" } else { "tls-cert" });
            anyhow::Error::new(error).context(format!("{option}: cannot set up TLS"))
        })?;
        warn_of(&files, &tls);
        Ok(Self { tls, files, seen })
    }

    pub(super) fn in_force(&self) -> &ServerTls {
        &self.tls
    }

    /// Reads the files again on every SIGHUP, and looks once a minute whether they have changed, because not every renewal
    /// sends a signal. Files that cannot be used leave the certificate in force.
    pub(super) async fn keep_fresh(self, hangups: watch::Receiver<u64>) {
        self.look_every(LOOK_EVERY, hangups).await;
    }

    async fn look_every(self, interval: Duration, mut hangups: watch::Receiver<u64>) {
        let Self {
            tls,
            files,
            mut seen,
        } = self;
        let mut warned_at = Instant::now();
        loop {
            let is_asked = tokio::select! {
                changed = hangups.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = tokio::time::sleep(interval) => false,
            };
            let (tls, files, before) = (tls.clone(), files.clone(), seen.clone());
            let is_warning_due = warned_at.elapsed() >= BETWEEN_WARNINGS;
            // A disk that hangs holds up no other task.
            let looking = tokio::task::spawn_blocking(move || {
                let now = Stamps::of(&files);
                if is_asked || now != before {
                    read_again(&tls, &files);
                } else if is_warning_due {
                    warn_of(&files, &tls);
                }
                now
            });
            // One that panicked has said so.
            if let Ok(now) = looking.await {
                if is_warning_due || now != seen {
                    warned_at = Instant::now();
                }
                seen = now;
            }
        }
    }
}

impl Stamps {
    fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        }))
    }
}

fn read_again(tls: &ServerTls, files: &TlsFiles) {
    if [&files.certificate, &files.key]
        .iter()
        .any(|file| written::stays_as_read(file))
    {
        return;
    }
    match tls.replace_with_pem_files(&files.certificate, &files.key) {
        Ok(()) => {
            tracing::info!("certificate reloaded");
            warn_of(files, tls);
        }
        Err(error) => tracing::error!(
            "could not reload the certificate, the previous one stays in effect: {:#}",
            anyhow::Error::new(error)
        ),
    }
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
    use super::*;

    fn write(folder: &std::path::Path) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("one");
        let files = TlsFiles {
            certificate: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        fs::write(&files.certificate, made.cert.pem()).expect("a file");
        fs::write(&files.key, made.signing_key.serialize_pem()).expect("a file");
        files
    }

    #[tokio::test]
    async fn renewed_certificate_is_noticed_without_a_signal() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificate = Certificate::load(write(folder.path())).expect("usable");
        let tls = certificate.in_force().clone();
        let (_hangup, hangups) = watch::channel(0);
        let looking = tokio::spawn(certificate.look_every(Duration::from_millis(5), hangups));
        for _ in 0..2 {
            let before = tls.certificate();
            write(folder.path());
            let changed = async {
                while tls.certificate() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let changed = tokio::time::timeout(Duration::from_secs(60), changed).await;
            changed.expect("the new one is in force");
        }
        looking.abort();
    }
}

//! [`NewFile`]: a file that gets its name once it is whole, and is gone when the process is asked to stop before. One of a process that
//! was killed is removed by the next that makes a file in its folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use std::{process, thread};

use anyhow::Context as _;
use heygen_inbox::private_file::{Replacement, with_suffix};

use crate::failure::Failure;
use crate::process::signals;

/// A file being made under a name beside its own, readable by its owner alone. Dropped before it is kept, it is gone,
/// and so it is when the process is asked to stop.
#[derive(Debug)]
pub(crate) struct NewFile {
    target: PathBuf,
    replacement: Replacement,
}

impl NewFile {
    /// A link is followed; a device or a pipe, whose place a file would take, is refused.
    pub(crate) fn create(target: &Path) -> anyhow::Result<Self> {
        let target = followed(target)?;
        // The number keeps two processes apart that make the same file: each is whole, and the later one stays.
        let suffix = format!(".{}{HALF_MADE}", process::id());
        remove_left(&target);
        let half_made = with_suffix(&target, &suffix);
        let (listening, listens) = channel();
        let path = half_made.clone();
        thread::spawn(move || gone_when_asked_to_stop(&path, &listening));
        // From now on. An error means that no thread listens: the file would only stay behind, no reason not to make it.
        let _ = listens.recv();
        let replacement = Replacement::create(&target, &suffix)
            .with_context(|| format!("cannot create {}", half_made.display()))?;
        Ok(Self {
            target,
            replacement,
        })
    }

    /// Its name as long as it is not whole.
    pub(crate) fn path(&self) -> &Path {
        self.replacement.path()
    }

    pub(crate) fn file(&self) -> &File {
        self.replacement.file()
    }

    /// Puts it in its place, and on the disk, instead of what may be there.
    pub(crate) fn keep(self) -> anyhow::Result<()> {
        let kept = self.replacement.commit();
        kept.with_context(|| format!("cannot write {}", self.target.display()))
    }
}

fn followed(target: &Path) -> anyhow::Result<PathBuf> {
    let Ok(real) = fs::canonicalize(target) else {
        return Ok(target.to_owned());
    };
    anyhow::ensure!(
        real.is_file(),
        "{} is not a file and is not replaced: name a file",
        target.display()
    );
    Ok(real)
}

/// Removes what killed processes have left beside a file: its name says that it is ours, and no one has written to it for long.
fn remove_left(target: &Path) {
    let folder = target.parent().filter(|folder| *folder != Path::new(""));
    let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().ends_with(HALF_MADE) {
            continue;
        }
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if age.is_some_and(|age| age > LEFT_AFTER) {
            // It stays where it may not be removed.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Ends the process, as the signal would have.
fn gone_when_asked_to_stop(path: &Path, listening: &Sender<()>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let asked_to_stop = signals::asked_to_stop(Vec::new())?;
        let _ = listening.send(());
        asked_to_stop.await?;
        // It may have got its name meanwhile.
        let _ = fs::remove_file(path);
        process::exit(1)
    })
}

/// The end of a name that no one else gives.
const HALF_MADE: &str = ".heygen-webhooks.new";

/// Far longer than one that is being made is not written to: the check of a copy only reads.
const LEFT_AFTER: Duration = Duration::from_secs(6 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let names = || {
            let entries = fs::read_dir(folder.path()).expect("a folder");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
            names.sort_unstable();
            names
        };
        for (name, hours) in [
            ("of-yesterday.db.7.heygen-webhooks.new", 24),
            ("still-made.db.8.heygen-webhooks.new", 0),
            ("of-others.db.9.new", 24),
        ] {
            let file = File::create(folder.path().join(name)).expect("a file");
            let written = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
            file.set_modified(written).expect("a time");
        }
        let made = NewFile::create(&folder.path().join("a.db")).expect("a file");
        made.keep().expect("kept");
        let left = [
            "a.db",
            "of-others.db.9.new",
            "still-made.db.8.heygen-webhooks.new",
        ];
        assert_eq!(names(), left);
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("a.txt");
        fs::write(&target, "old").expect("a file");
        let names = || {
            let names = fs::read_dir(folder.path()).expect("a folder");
            names.count()
        };
        let given_up = NewFile::create(&target).expect("a file");
        given_up.file().write_all(b"half").expect("written");
        drop(given_up);
        assert_eq!(
            (fs::read(&target).expect("a file"), names()),
            (b"old".to_vec(), 1)
        );

        let kept = NewFile::create(&target).expect("a file");
        kept.file().write_all(b"whole").expect("written");
        kept.keep().expect("kept");
        assert_eq!(
            (fs::read(&target).expect("a file"), names()),
            (b"whole".to_vec(), 1)
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&target).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_device_is_replaced_and_a_link_stays_one() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;

        let folder = tempfile::tempdir().expect("a temporary folder");
        // It stands for a device, which only root can make.
        let special = folder.path().join("special");
        let _listener = UnixListener::bind(&special).expect("a socket");
        let error = NewFile::create(&special).expect_err("refused");
        assert!(error.to_string().contains("is not a file"), "{error}");
        assert!(NewFile::create(folder.path()).is_err(), "nor a folder");

        let (target, link) = (folder.path().join("a.txt"), folder.path().join("link"));
        fs::write(&target, "old").expect("a file");
        symlink(&target, &link).expect("a link");
        let kept = NewFile::create(&link).expect("a file");
        kept.file().write_all(b"new").expect("written");
        kept.keep().expect("kept");
        assert_eq!(fs::read(&target).expect("a file"), b"new");
        assert!(link.is_symlink());
    }
}

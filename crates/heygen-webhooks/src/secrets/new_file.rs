//! [`NewFile`]: a file that gets its name once it is whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::{process, thread};

use anyhow::Context as _;
use heygen_inbox::sqlite::create_private_file;

use crate::failure::Failure;
use crate::process::signals;
use crate::secrets::private_file;

/// A file being made under a name beside its own, readable by its owner alone. Dropped before it is kept, it is gone,
/// and so it is when the process is asked to stop.
#[derive(Debug)]
pub(crate) struct NewFile {
    target: PathBuf,
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl NewFile {
    /// A link is followed; a device or a pipe, whose place a file would take, is refused.
    pub(crate) fn create(target: &Path) -> anyhow::Result<Self> {
        let target = &followed(target)?;
        // The number keeps two processes apart that make the same file: each is whole, and the later one stays.
        let path = private_file::beside(target, &format!(".{}.new", process::id()));
        let (listening, listens) = channel();
        let half_made = path.clone();
        thread::spawn(move || gone_when_asked_to_stop(&half_made, &listening));
        // From now on. An error means that nobody listens: the file would only stay behind, no reason not to make it.
        let _ = listens.recv();
        let file = create_private_file(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self {
            target: target.to_owned(),
            path,
            file,
            is_kept: false,
        })
    }

    /// Its name as long as it is not whole.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in its place, and on the disk, instead of what may be there.
    pub(crate) fn keep(mut self) -> anyhow::Result<()> {
        let kept = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, &self.target));
        kept.with_context(|| format!("cannot write {}", self.target.display()))?;
        self.is_kept = true;
        sync_folder(&self.target).with_context(|| format!("cannot write {}", self.target.display()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be deleted is found by whoever looks why.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn followed(target: &Path) -> anyhow::Result<PathBuf> {
    let Ok(real) = fs::canonicalize(target) else {
        return Ok(target.to_owned());
    };
    anyhow::ensure!(
        real.is_file(),
        "{} is no file: it would be replaced by one",
        target.display()
    );
    Ok(real)
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

/// The new name has to survive too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

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
        assert!(error.to_string().contains("is no file"), "{error}");
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

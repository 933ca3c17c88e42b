//! Files that only their owner can read, in a folder that may belong to another user.
//!
//! A command that root runs beside a service works in a folder that belongs to the service's user,
//! who may have laid links in the way. So no link is followed where a file is made, and only what
//! was certainly made here changes its owner.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that takes the place of another once it is complete: a reader sees the one or the other,
/// also after a crash. Dropped before it is [kept](Self::keep), it is removed.
#[derive(Debug)]
pub struct Replacement {
    target: PathBuf,
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl Replacement {
    /// Makes the file under the name of `target` with `suffix` added; what is there under that name
    /// was left by a process that was killed, or laid there as a link, and is removed.
    ///
    /// Where root replaces a file in a folder of its own, the owner of that file stays.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being made.
    pub fn create(target: &Path, suffix: &str) -> io::Result<Self> {
        let path = beside(target, suffix);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let replacement = Self {
            file: create(&path)?,
            target: target.to_owned(),
            path,
            is_kept: false,
        };
        keep_owner_of(target, &replacement.file)?;
        Ok(replacement)
    }

    /// The name it has until it is kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts it, once it is on the disk, in the place of what may be there.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being written or renamed.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.is_kept = true;
        // Until then a crash may bring the old name back.
        sync_folder(folder_of(&self.target))
    }

    fn write(target: &Path, text: &str) -> io::Result<Self> {
        let replacement = Self::create(target, ".new")?;
        replacement.file().write_all(text.as_bytes())?;
        replacement.file().sync_all()?;
        Ok(replacement)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_kept {
            // It is of no use, and the next one of this name removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Replaces a file whole by one with this text.
///
/// # Errors
///
/// Whatever keeps it from being written; the old file is then still there.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    Replacement::write(path, text)?.keep()
}

/// Does all of [`replace`] that may fail for want of room or of a right, and undoes it.
///
/// # Errors
///
/// As [`replace`].
pub fn try_replace(path: &Path, text: &str) -> io::Result<()> {
    Replacement::write(path, text).map(drop)
}

/// Makes a file, readable by its owner alone from its first moment. What root makes belongs to the
/// owner of the folder, so that the service that works there can use it.
///
/// # Errors
///
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when there is one of that name, a link included,
/// and whatever else keeps it from being made.
pub fn create(path: &Path) -> io::Result<File> {
    let file = not_following(OpenOptions::new().write(true).create_new(true)).open(path)?;
    if let Err(error) = give_to_owner_of_folder(path, &file) {
        // A file that the service cannot open is worse than none.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Opens a file for writing, and makes it as [`create`] does where there is none. A
/// link is not followed, nor is anything but a file opened.
///
/// # Errors
///
/// Whatever keeps it from being opened or made.
pub fn open(path: &Path) -> io::Result<File> {
    for _ in 0..TRIES {
        match create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        match not_following(OpenOptions::new().write(true)).open(path) {
            // Removed in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(file) if file.metadata()?.is_file() => return Ok(file),
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is not a file",
                ));
            }
        }
    }
    Err(io::Error::from(io::ErrorKind::NotFound))
}

/// Whether another user than its owner can read or change a file.
#[cfg(unix)]
#[must_use]
pub fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// A mode does not tell here who may read a file.
#[cfg(not(unix))]
#[must_use]
pub fn is_open_to_others(_: &Path) -> bool {
    false
}

/// The path with something added to its name.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// Brings the names in a folder to the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be opened here.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// How often a file may be removed between two looks at it.
const TRIES: u32 = 8;

#[cfg(unix)]
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    // Without NONBLOCK, opening a pipe that somebody laid there would wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

#[cfg(not(unix))]
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// The file must have been made by this process a moment ago.
#[cfg(unix)]
fn give_to_owner_of_folder(path: &Path, made: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    if made.metadata()?.uid() != ROOT {
        return Ok(());
    }
    let folder = fs::metadata(folder_of(path))?;
    match folder.uid() {
        ROOT => Ok(()),
        owner => match fchown(made, Some(owner), Some(folder.gid())) {
            // Root in a container that may give nothing away can use the file all the same.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
                ) =>
            {
                tracing::warn!(%error, file = %path.display(), "a new file could not be given to the owner of its folder");
                Ok(())
            }
            given => given,
        },
    }
}

#[cfg(not(unix))]
fn give_to_owner_of_folder(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// Gives what root has made to the owner of what it replaces, in a folder where root alone can have
/// put that. In any other folder it may have been put there to be given away, and what is made
/// there belongs to the owner of the folder already.
#[cfg(unix)]
fn keep_owner_of(path: &Path, made: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let folder = fs::metadata(folder_of(path))?;
    let is_roots = folder.uid() == ROOT && folder.permissions().mode() & 0o022 == 0;
    if made.metadata()?.uid() != ROOT || !is_roots {
        return Ok(());
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(replaced) => fchown(made, Some(replaced.uid()), Some(replaced.gid())),
    }
}

#[cfg(not(unix))]
fn keep_owner_of(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
const ROOT: u32 = 0;

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("target");
        let link = folder.path().join("link");
        symlink(&target, &link).expect("a dangling link");
        assert!(create(&link).is_err());
        assert!(open(&link).is_err());
        assert!(!target.exists(), "nothing was made behind the link");
        fs::write(&target, "of someone else").expect("a file");
        assert!(open(&link).is_err());
        let made = folder.path().join("made");
        drop(open(&made).expect("a new file"));
        drop(open(&made).expect("the same file"));
        let mode = fs::metadata(&made).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn nothing_but_a_file_is_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        assert!(open(&pipe).is_err(), "and it does not wait");
        assert!(open(folder.path()).is_err());
    }

    #[test]
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn what_root_makes_belongs_to_the_owner_of_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = folder.path().join("own");
        drop(create(&own).expect("made"));
        assert_eq!(owner(&own), ROOT);
        chown(folder.path(), Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        let made = folder.path().join("made");
        drop(open(&made).expect("made"));
        assert_eq!(owner(&made), OTHER_USER);
        // What was there keeps its owner: it may have been laid there to be given away.
        drop(open(&own).expect("opened"));
        assert_eq!(owner(&own), ROOT);
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let other = folder.path().join("other");
        fs::write(&other, "of someone else").expect("a file");
        symlink(&other, beside(&path, ".new")).expect("a link");
        replace(&path, "ours").expect("replaced");
        let text = |path: &Path| fs::read_to_string(path).expect("a file");
        assert_eq!(
            (text(&path).as_str(), text(&other).as_str()),
            ("ours", "of someone else")
        );
    }

    #[test]
    fn what_was_left_open_to_all_is_closed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let left = beside(&path, ".new");
        fs::write(&left, "left by a process that was killed").expect("a file");
        fs::set_permissions(&left, fs::Permissions::from_mode(0o666)).expect("ours");
        replace(&path, "ours").expect("replaced");
        assert!(!is_open_to_others(&path));
    }

    #[test]
    fn a_trial_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        try_replace(&path, "ours").expect("tried");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let nowhere = folder.path().join("none/file");
        assert!(try_replace(&nowhere, "ours").is_err());
    }

    #[test]
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn root_takes_no_file_from_its_owner() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        chown(&path, Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        replace(&path, "ours").expect("replaced");
        assert_eq!(owner(&path), OTHER_USER);

        chown(folder.path(), Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        let first = folder.path().join("first");
        replace(&first, "ours").expect("written");
        assert_eq!(owner(&first), OTHER_USER);
        let lock = folder.path().join("lock");
        open(&lock).expect("opened");
        assert_eq!(owner(&lock), OTHER_USER);
    }

    #[test]
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn root_gives_nothing_away_to_who_laid_a_file_or_a_link_in_the_way() {
        // Anybody may make files here, as in /tmp.
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("ours");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        chown(&path, Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        replace(&path, "ours").expect("replaced");
        assert_eq!(owner(&path), ROOT);

        // The folder of one user, with a file of another and a link out of it.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roots = tempfile::tempdir().expect("a temporary folder");
        chown(folder.path(), Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        chown(&path, Some(OTHER_USER - 1), Some(OTHER_USER - 1)).expect("given");
        replace(&path, "ours").expect("replaced");
        assert_eq!(owner(&path), OTHER_USER);
        let link = folder.path().join("file.lock");
        for target in ["none", "some"] {
            let target = roots.path().join(target);
            symlink(&target, &link).expect("a link");
            open(&link).expect_err("a link is not followed");
            assert!(target.ends_with("some") || !target.exists());
            fs::remove_file(&link).expect("removed");
            fs::write(roots.path().join("some"), "").expect("a file");
        }
        assert_eq!(owner(&roots.path().join("some")), ROOT);
    }

    #[test]
    fn tests_that_need_root() {
        let file = tempfile::tempfile().expect("a temporary file");
        // The others stay listed as ignored where this is not so.
        if file.metadata().expect("its owner").uid() != ROOT {
            return;
        }
        for test in [
            "private_file::tests::what_root_makes_belongs_to_the_owner_of_the_folder",
            "private_file::tests::root_takes_no_file_from_its_owner",
            "private_file::tests::root_gives_nothing_away_to_who_laid_a_file_or_a_link_in_the_way",
            "sqlite::file::tests::an_inbox_made_by_root_belongs_to_the_owner_of_its_folder",
        ] {
            let program = std::env::current_exe().expect("this program");
            let output = std::process::Command::new(program)
                .args(["--exact", test, "--ignored"])
                .output()
                .expect("this program runs");
            let said = String::from_utf8_lossy(&output.stdout);
            let is_run = output.status.success() && said.contains("1 passed");
            assert!(is_run, "{test}:\n{said}");
        }
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).map_or(u32::MAX, |metadata| metadata.uid())
    }

    const OTHER_USER: u32 = 65534;
}

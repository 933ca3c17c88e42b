//! Files that only their owner can read, in a folder that may belong to another user.
//!
//! A command that root runs next to a service works in a folder that belongs to the service's user,
//! who may have planted links there. So no link is followed when a file is created, and only a file
//! that was certainly created here changes its owner.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that atomically replaces another once it is complete: a reader sees the one or the other,
/// also after a crash. It is removed if it is dropped before it is [committed](Self::commit).
#[derive(Debug)]
pub struct Replacement {
    target: PathBuf,
    path: PathBuf,
    file: File,
    is_committed: bool,
}

impl Replacement {
    /// Creates the file with the name of `target` and `suffix`. A file of that name was left by a
    /// process that was killed, or planted as a link, and is removed.
    ///
    /// When root replaces a file in a folder of its own, the owner of that file stays.
    ///
    /// # Errors
    ///
    /// Any error of creating the file.
    pub fn create(target: &Path, suffix: &str) -> io::Result<Self> {
        let path = with_suffix(target, suffix);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let replacement = Self {
            file: create(&path)?,
            target: target.to_owned(),
            path,
            is_committed: false,
        };
        preserve_owner(target, &replacement.file)?;
        Ok(replacement)
    }

    /// Its path until it is committed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file durable, and renames it to its target.
    ///
    /// # Errors
    ///
    /// Any error of writing or renaming it.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.is_committed = true;
        // Until then a crash may undo the rename.
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
        if !self.is_committed {
            // If this fails, the next one of this name removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Atomically replaces a file by one with this text.
///
/// # Errors
///
/// Any error of writing it; the old file then stays.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    Replacement::write(path, text)?.commit()
}

/// Does all of [`replace`] that may fail for lack of space or permission, and undoes it.
///
/// # Errors
///
/// As [`replace`].
pub fn try_replace(path: &Path, text: &str) -> io::Result<()> {
    Replacement::write(path, text).map(drop)
}

/// Creates a file, readable by its owner alone from its first moment. A file that root creates
/// belongs to the owner of the folder, so that the service that works there can use it.
///
/// # Errors
///
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when there is one of that name, even a link; any
/// other error of creating it.
pub fn create(path: &Path) -> io::Result<File> {
    let file = no_follow(OpenOptions::new().write(true).create_new(true)).open(path)?;
    if let Err(error) = chown_to_folder_owner(path, &file) {
        // A file that the service cannot open is worse than none.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Opens a file for writing, or creates it as [`create`] does. A link is not followed, and only a
/// regular file is opened.
///
/// # Errors
///
/// Any error of opening or creating it.
pub fn open(path: &Path) -> io::Result<File> {
    for _ in 0..OPEN_TRIES {
        match create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        match no_follow(OpenOptions::new().write(true)).open(path) {
            // Removed since.
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

/// On these systems the mode does not show who may read a file.
#[cfg(not(unix))]
#[must_use]
pub fn is_open_to_others(_: &Path) -> bool {
    false
}

/// The path with a suffix added to its name.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
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

/// Makes the names in a folder durable.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// On these systems a folder cannot be opened.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// How often a file may be removed between two attempts to open it.
const OPEN_TRIES: u32 = 8;

#[cfg(unix)]
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    // Without NONBLOCK, opening a planted pipe would wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

#[cfg(not(unix))]
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// The file must have been created by this process just now.
#[cfg(unix)]
fn chown_to_folder_owner(path: &Path, made: &File) -> io::Result<()> {
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
fn chown_to_folder_owner(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// Gives a file that root created to the owner of the file it replaces, in a folder that only root
/// can write. In any other folder that file may have been planted, and the new one belongs to the
/// owner of the folder already.
#[cfg(unix)]
fn preserve_owner(path: &Path, made: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let folder = fs::metadata(folder_of(path))?;
    let is_owned_by_root = folder.uid() == ROOT && folder.permissions().mode() & 0o022 == 0;
    if made.metadata()?.uid() != ROOT || !is_owned_by_root {
        return Ok(());
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(replaced) => fchown(made, Some(replaced.uid()), Some(replaced.gid())),
    }
}

#[cfg(not(unix))]
fn preserve_owner(_: &Path, _: &File) -> io::Result<()> {
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
    fn file_of_root_belongs_to_the_owner_of_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = folder.path().join("own");
        drop(create(&own).expect("made"));
        assert_eq!(owner(&own), ROOT);
        chown(folder.path(), Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        let made = folder.path().join("made");
        drop(open(&made).expect("made"));
        assert_eq!(owner(&made), OTHER_USER);
        // An existing file keeps its owner: it may have been planted.
        drop(open(&own).expect("opened"));
        assert_eq!(owner(&own), ROOT);
    }

    #[test]
    fn planted_link_is_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let other = folder.path().join("other");
        fs::write(&other, "of someone else").expect("a file");
        symlink(&other, with_suffix(&path, ".new")).expect("a link");
        replace(&path, "ours").expect("replaced");
        let text = |path: &Path| fs::read_to_string(path).expect("a file");
        assert_eq!(
            (text(&path).as_str(), text(&other).as_str()),
            ("ours", "of someone else")
        );
    }

    #[test]
    fn leftover_file_open_to_all_is_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let left = with_suffix(&path, ".new");
        fs::write(&left, "left by a process that was killed").expect("a file");
        fs::set_permissions(&left, fs::Permissions::from_mode(0o666)).expect("ours");
        replace(&path, "ours").expect("replaced");
        assert!(!is_open_to_others(&path));
    }

    #[test]
    fn trial_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        try_replace(&path, "ours").expect("tried");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let nowhere = folder.path().join("none/file");
        assert!(try_replace(&nowhere, "ours").is_err());
    }

    #[test]
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn root_preserves_the_owner_of_a_replaced_file() {
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
    fn root_gives_nothing_away_for_a_planted_file_or_link() {
        // Any user may create files here, as in /tmp.
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
            "private_file::tests::file_of_root_belongs_to_the_owner_of_the_folder",
            "private_file::tests::root_preserves_the_owner_of_a_replaced_file",
            "private_file::tests::root_gives_nothing_away_for_a_planted_file_or_link",
            "sqlite::file::tests::inbox_of_root_belongs_to_the_owner_of_its_folder",
        ] {
            let program = std::env::current_exe().expect("this program");
            let output = std::process::Command::new(program)
                .args(["--exact", test, "--ignored"])
                .output()
                .expect("this program runs");
            let output_text = String::from_utf8_lossy(&output.stdout);
            let is_run = output.status.success() && output_text.contains("1 passed");
            assert!(is_run, "{test}:\n{output_text}");
        }
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).map_or(u32::MAX, |metadata| metadata.uid())
    }

    const OTHER_USER: u32 = 65534;
}

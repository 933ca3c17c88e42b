//! Files that are their owner's alone, and are replaced whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Opens for writing; a new file is readable by its owner alone from its first moment.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let was_there = path.exists();
    let file = private(OpenOptions::new().create(true).truncate(false)).open(path)?;
    if !was_there {
        give_to_owner_of(&folder_of(path), &file)?;
    }
    Ok(file)
}

/// Puts a new file in the place of the old one: a reader sees the one or the other, also after a crash.
///
/// The owner stays who it was: what an administrator writes has to stay readable for a server that is nobody special.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = write_beside(path, text)?;
    fs::rename(&new, path)?;
    sync_folder(&folder_of(path))
}

/// Does all of [`replace`] that may fail for want of room or of a right, and takes it back.
pub(crate) fn try_replace(path: &Path, text: &str) -> io::Result<()> {
    fs::remove_file(write_beside(path, text)?)
}

/// The path with something added to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether somebody else than its owner can read or change a file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Who may read a file is not told by a mode here.
#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &Path) -> bool {
    false
}

/// The file that is to take the place of `path`, whole and on the disk.
fn write_beside(path: &Path, text: &str) -> io::Result<PathBuf> {
    let new = beside(path, ".new");
    // Left by a process that was killed, or laid there as a link to what is not ours to write: gone in either case.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = private(OpenOptions::new().create_new(true)).open(&new)?;
    let written = give_to_owner_of(path, &file)
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // What is half written helps nobody; the first error is the one to tell.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    Ok(new)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.write(true)
}

/// Gives what root has made to whom `like` belongs, and while that is not there, to whom its folder belongs.
#[cfg(unix)]
fn give_to_owner_of(like: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let made = file.metadata()?;
    if made.uid() != ROOT {
        return Ok(());
    }
    let owner = match fs::symlink_metadata(like) {
        Err(error) if error.kind() == ErrorKind::NotFound => fs::metadata(folder_of(like))?,
        found => found?,
    };
    match owner.uid() {
        ROOT => Ok(()),
        uid => fchown(file, Some(uid), Some(owner.gid())),
    }
}

#[cfg(not(unix))]
fn give_to_owner_of(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// Until then a crash may bring the old name back.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be opened here.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => ".".into(),
    }
}

#[cfg(unix)]
const ROOT: u32 = 0;

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let other = folder.path().join("other");
        fs::write(&other, "of somebody else").expect("a file");
        symlink(&other, beside(&path, ".new")).expect("a link");
        replace(&path, "ours").expect("replaced");
        let text = |path: &Path| fs::read_to_string(path).expect("a file");
        assert_eq!(
            (text(&path).as_str(), text(&other).as_str()),
            ("ours", "of somebody else")
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
    fn root_takes_no_file_from_its_owner() {
        const NOBODY: u32 = 65534;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        let owner = |path: &Path| fs::metadata(path).expect("a file").uid();
        // Nobody but root can give files away, so nobody but root can take one.
        if owner(&path) != ROOT {
            return;
        }
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("given");
        replace(&path, "ours").expect("replaced");
        assert_eq!(owner(&path), NOBODY);

        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given");
        let first = folder.path().join("first");
        replace(&first, "ours").expect("written");
        assert_eq!(owner(&first), NOBODY);
        let lock = folder.path().join("lock");
        open(&lock).expect("opened");
        assert_eq!(owner(&lock), NOBODY);
    }
}

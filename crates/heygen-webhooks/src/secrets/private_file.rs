//! Files that are their owner's alone, and are replaced whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use heygen_inbox::sqlite::create_private_file;
pub(crate) use heygen_inbox::sqlite::open_private_file as open;

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
    let mut file = create_private_file(&new)?;
    let written = keep_owner_of(path, &file)
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // What is half written helps nobody; the first error is the one to tell.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    Ok(new)
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
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(replaced) => fchown(made, Some(replaced.uid()), Some(replaced.gid())),
    }
}

#[cfg(not(unix))]
fn keep_owner_of(_: &Path, _: &File) -> io::Result<()> {
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
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn root_takes_no_file_from_its_owner() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
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

    #[test]
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn root_gives_nothing_away_to_who_laid_a_file_or_a_link_in_the_way() {
        // Anybody may make files here, as in /tmp.
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("ours");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("given");
        replace(&path, "ours").expect("replaced");
        assert_eq!(owner(&path), ROOT);

        // The folder of one user, with a file of another and a link out of it.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let roots = tempfile::tempdir().expect("a temporary folder");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given");
        let path = folder.path().join("file");
        fs::write(&path, "").expect("a file");
        chown(&path, Some(NOBODY - 1), Some(NOBODY - 1)).expect("given");
        replace(&path, "ours").expect("replaced");
        assert_eq!(owner(&path), NOBODY);
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
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        // The others stay listed as ignored where this is not so.
        if owner(file.path()) != ROOT {
            return;
        }
        for test in [
            "root_takes_no_file_from_its_owner",
            "root_gives_nothing_away_to_who_laid_a_file_or_a_link_in_the_way",
        ] {
            let test = format!("private_file::tests::{test}");
            let output = std::process::Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", &test, "--ignored"])
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

    const NOBODY: u32 = 65534;
}

//! Files that are their owner's alone, made where somebody else may own the folder.
//!
//! A command that root runs beside a service works in a folder that belongs to the service's user,
//! who may have laid links in the way. So no link is followed where a file is made, and only what
//! was certainly made here changes its owner.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::path::folder_of;

/// Makes a file, readable by its owner alone from its first moment. What root makes belongs to the
/// owner of the folder, so that the service that works there can use it.
///
/// # Errors
///
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when there is one of that name, a link included,
/// and whatever else keeps it from being made.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    let file = not_following(OpenOptions::new().write(true).create_new(true)).open(path)?;
    if let Err(error) = give_to_owner_of_folder(path, &file) {
        // A file that the service cannot open is worse than none.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// Opens a file for writing, and makes it as [`create_private_file`] does where there is none. A
/// link is not followed, nor is anything but a file opened.
///
/// # Errors
///
/// Whatever keeps it from being opened or made.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    for _ in 0..TRIES {
        match create_private_file(path) {
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
    let folder = std::fs::metadata(folder_of(path))?;
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

#[cfg(unix)]
const ROOT: u32 = 0;

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = folder.path().join("target");
        let link = folder.path().join("link");
        symlink(&target, &link).expect("a dangling link");
        assert!(create_private_file(&link).is_err());
        assert!(open_private_file(&link).is_err());
        assert!(!target.exists(), "nothing was made behind the link");
        fs::write(&target, "of somebody else").expect("a file");
        assert!(open_private_file(&link).is_err());
        let made = folder.path().join("made");
        drop(open_private_file(&made).expect("a new file"));
        drop(open_private_file(&made).expect("the same file"));
        let mode = fs::metadata(&made).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn nothing_but_a_file_is_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        assert!(open_private_file(&pipe).is_err(), "and it does not wait");
        assert!(open_private_file(folder.path()).is_err());
    }

    #[test]
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn what_root_makes_belongs_to_the_owner_of_the_folder() {
        const NOBODY: u32 = 65534;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let owner = |path: &Path| {
            let metadata = fs::symlink_metadata(path).expect("a file");
            (metadata.uid(), metadata.gid())
        };
        let own = folder.path().join("own");
        drop(create_private_file(&own).expect("made"));
        assert_eq!(owner(&own), (ROOT, ROOT));
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given");
        let made = folder.path().join("made");
        drop(open_private_file(&made).expect("made"));
        assert_eq!(owner(&made), (NOBODY, NOBODY));
        // What was there keeps its owner: it may have been laid there to be given away.
        drop(open_private_file(&own).expect("opened"));
        assert_eq!(owner(&own), (ROOT, ROOT));
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
            "file::tests::an_inbox_made_by_root_belongs_to_the_owner_of_its_folder",
        ] {
            let test = format!("sqlite::{test}");
            let program = std::env::current_exe().expect("this program");
            let output = std::process::Command::new(program)
                .args(["--exact", &test, "--ignored"])
                .output()
                .expect("this program runs");
            let said = String::from_utf8_lossy(&output.stdout);
            let is_run = output.status.success() && said.contains("1 passed");
            assert!(is_run, "{test}:\n{said}");
        }
    }
}

//! [`UnixSocket`]: a socket in the file system, whose file is removed with it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::BACKLOG;

#[derive(Debug)]
pub(super) struct UnixSocket {
    /// Before the listener, so that it is removed first: no client finds a file that no one serves.
    _file: Option<SocketFile>,
    listener: UnixListener,
}

/// The file of a socket that this process made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl UnixSocket {
    pub(super) async fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        let path = path::absolute(path)?;
        // Two that start at once must not each remove what the other has just made.
        let _lock = lock_folder(&path).await;
        remove_if_stale(&path).await?;
        let socket = tokio::net::UnixSocket::new_stream()?;
        socket.bind(&path)?;
        let file = SocketFile::made_at(&path)?;
        // Before it listens, so that no one connects with the permissions of the umask.
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(Self {
            _file: Some(file),
            listener: socket.listen(BACKLOG)?,
        })
    }

    pub(super) fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            _file: None,
            listener: UnixListener::from_std(listener)?,
        })
    }

    pub(super) fn path(&self) -> io::Result<Option<PathBuf>> {
        let address = self.listener.local_addr()?;
        Ok(address.as_pathname().map(Path::to_owned))
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }
}

impl SocketFile {
    fn made_at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            device_and_inode: device_and_inode(path)?,
        })
    }
}

impl Drop for SocketFile {
    /// Not what was put in its place since.
    fn drop(&mut self) {
        if device_and_inode(&self.path).is_ok_and(|found| found == self.device_and_inode) {
            // A folder that was made read-only keeps it; the next start finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes the file that a killed process left, which no one answers at.
async fn remove_if_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "what is there is no socket, and stays",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // With a full queue it would block.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(_) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process serves this socket",
        )),
    }
}

/// Held while a socket is made in the folder. Any user who may read the folder could hold it, so there is
/// no waiting for ever.
async fn lock_folder(path: &Path) -> Option<File> {
    let folder = File::open(path.parent()?).ok()?;
    for _ in 0..LOCK_ATTEMPTS {
        if folder.try_lock().is_ok() {
            return Some(folder);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    None
}

const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

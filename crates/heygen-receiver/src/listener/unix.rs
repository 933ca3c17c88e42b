//! [`UnixSocket`]: a socket in the file system, whose file is made again when it is lost, and removed at the end.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep_until};

use crate::line_throttle::LineThrottle;
use crate::panics::locked;

use super::BACKLOG;

#[derive(Debug)]
pub(super) struct UnixSocket(Mutex<Bound>);

#[derive(Debug)]
struct Bound {
    /// Before the listener, so that it is removed first: no client finds a file that no one serves.
    /// `None` for a socket that someone else has opened.
    file: Option<SocketFile>,
    listener: Arc<UnixListener>,
    /// When it was last checked that the file is in its place.
    checked_at: Instant,
    throttle: LineThrottle,
    /// Whether something else was in the place of the file when it was last checked.
    is_replaced: bool,
}

/// The file of a socket that this process made.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    mode: u32,
    device_and_inode: (u64, u64),
}

impl UnixSocket {
    pub(super) async fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        let (file, listener) = bind(&path::absolute(path)?, mode).await?;
        Ok(Self::new(Some(file), listener))
    }

    pub(super) fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::new(None, UnixListener::from_std(listener)?))
    }

    fn new(file: Option<SocketFile>, listener: UnixListener) -> Self {
        Self(Mutex::new(Bound {
            file,
            listener: Arc::new(listener),
            checked_at: Instant::now(),
            throttle: LineThrottle::default(),
            is_replaced: false,
        }))
    }

    pub(super) fn path(&self) -> io::Result<Option<PathBuf>> {
        let address = self.bound().listener.local_addr()?;
        Ok(address.as_pathname().map(Path::to_owned))
    }

    /// Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (listener, check_at) = {
                let bound = self.bound();
                let check_at = bound.file.as_ref().map(|_| bound.checked_at + CHECK_EVERY);
                (Arc::clone(&bound.listener), check_at)
            };
            let checking = async {
                match check_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // With the listener that a check replaces, its queue would be lost.
                biased;
                accepted = listener.accept() => return accepted.map(|(stream, _)| stream),
                () = checking => self.check().await,
            }
        }
    }

    /// Makes the file again if it was removed. Without it no client finds the socket, and nothing
    /// else would show that.
    ///
    /// What is there instead stays: another process serves it, or is about to, and one that was
    /// meant to replace this one must not lose its socket to it.
    async fn check(&self) {
        let (path, mode) = {
            let mut bound = self.bound();
            bound.checked_at = Instant::now();
            let Some(file) = &bound.file else {
                return;
            };
            let found = device_and_inode(&file.path);
            let (path, mode) = (file.path.clone(), file.mode);
            match found {
                Ok(found) if found == file.device_and_inode => {
                    bound.is_replaced = false;
                    return;
                }
                Ok(_) => {
                    bound.replaced(&path);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => (path, mode),
                Err(error) => {
                    bound.failed(&path, &error);
                    return;
                }
            }
        };
        // The old listener stays open meanwhile, so that the new file has another inode.
        match make_again(&path, mode).await {
            Ok((file, listener)) => {
                let mut bound = self.bound();
                bound.file = Some(file);
                bound.listener = Arc::new(listener);
                bound.throttle = LineThrottle::default();
                bound.is_replaced = false;
                tracing::warn!(
                    socket = %path.display(),
                    "the file of the socket was removed; made again"
                );
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => self.bound().replaced(&path),
            Err(error) => self.bound().failed(&path, &error),
        }
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        // What the lock protects is whole at every moment.
        locked(&self.0)
    }
}

impl Bound {
    /// Something else is at the path.
    fn replaced(&mut self, path: &Path) {
        if !self.is_replaced {
            self.is_replaced = true;
            tracing::error!(
                socket = %path.display(),
                "another process serves this path: no client can connect here until its file is removed"
            );
        }
    }

    /// Nothing is at the path, and it stays so.
    fn failed(&mut self, path: &Path, error: &io::Error) {
        self.is_replaced = false;
        if self.throttle.pass(std::time::Instant::now()).is_some() {
            tracing::error!(
                socket = %path.display(),
                %error,
                "no client can connect: the file of the socket was removed, and cannot be made again"
            );
        }
    }
}

async fn bind(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    // Two that start at once must not each remove what the other has just made.
    let _lock = lock_folder(path).await;
    remove_if_stale(path).await?;
    listen(path, mode)
}

/// Where nothing is: what has come there meanwhile stays.
async fn make_again(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    let _lock = lock_folder(path).await;
    listen(path, mode)
}

fn listen(path: &Path, mode: u32) -> io::Result<(SocketFile, UnixListener)> {
    let socket = tokio::net::UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        mode,
        device_and_inode: device_and_inode(path)?,
    };
    // Before it listens, so that no one connects with the permissions of the umask.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok((file, socket.listen(BACKLOG)?))
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

const CHECK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as StdListener;

    use super::*;

    #[tokio::test]
    async fn socket_of_another_process_is_neither_asked_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let socket = UnixSocket::bind(&path, 0o600).await.unwrap();
        fs::remove_file(&path).unwrap();
        let other = StdListener::bind(&path).unwrap();
        other.set_nonblocking(true).unwrap();
        let its_file = device_and_inode(&path).unwrap();
        for _ in 0..2 {
            socket.check().await;
            assert!(socket.bound().is_replaced);
        }
        let asked = other.accept().unwrap_err();
        assert_eq!(asked.kind(), io::ErrorKind::WouldBlock);
        // It ends without removing its file, which a start that follows finds stale.
        drop(other);
        socket.check().await;
        assert_eq!(device_and_inode(&path).unwrap(), its_file);
        fs::remove_file(&path).unwrap();
        socket.check().await;
        assert!(!socket.bound().is_replaced);
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), socket.accept());
        connected.unwrap();
        accepted.unwrap();
        drop(socket);
        assert!(!path.exists());
    }
}

//! Unix sockets: what is served, and which files come and go.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener as StdListener};
use std::path::Path;

use heygen_inbox::{InboxAdmin as _, MemoryInbox};
use heygen_receiver::{ListenAddress, Listener, Receiver, Server};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::client::{Client, probe, signed};
use crate::support::{body, secret, until, within_patience};

async fn connect(path: &Path) -> Client<UnixStream> {
    Client::over(within_patience(UnixStream::connect(path)).await.unwrap())
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[tokio::test]
async fn deliveries_come_in_over_a_unix_socket_and_its_file_goes_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let server = Server::from(Listener::bind_unix(&path, 0o660).await.unwrap());
    assert_eq!(
        server.address().unwrap(),
        ListenAddress::Unix(Some(path.clone()))
    );
    assert_eq!(
        server.local_addr().unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let inbox = MemoryInbox::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let receiver = Receiver::new(secret(), inbox.clone());
    let serving = tokio::spawn(server.serve(receiver, async {
        let _ = stopped.await;
    }));
    let mut client = connect(&path).await;
    assert_eq!(client.ask(signed(body("a"))).await.verdict(), "accepted");
    assert_eq!(client.ask(probe()).await.status, 204);
    assert_eq!(inbox.counts().await.unwrap().pending, 1);
    drop(stop);
    within_patience(serving).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn file_has_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o660, 0o666] {
        let path = folder.path().join("x.sock");
        let _listener = Listener::bind_unix(&path, mode).await.unwrap();
        let permissions = fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn socket_of_a_killed_process_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    drop(StdListener::bind(&path).unwrap());
    assert!(is_socket(&path));
    let listener = Listener::bind_unix(&path, 0o600).await.unwrap();
    drop(UnixStream::connect(&path).await.unwrap());
    drop(listener);
    assert!(!path.exists());
}

/// `ErrorKind` of a refusal that leaves what is there.
async fn check(make: impl FnOnce(&Path), expected: ErrorKind) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    make(&path);
    let before = fs::symlink_metadata(&path).unwrap().file_type();
    let error = Listener::bind_unix(&path, 0o600).await.unwrap_err();
    assert_eq!(error.kind(), expected, "{error}");
    assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), before);
}

#[tokio::test]
async fn what_is_no_stale_socket_stays() {
    check(
        |path| fs::write(path, "mine").unwrap(),
        ErrorKind::AlreadyExists,
    )
    .await;
    check(
        |path| fs::create_dir(path).unwrap(),
        ErrorKind::AlreadyExists,
    )
    .await;
    let stale = tempfile::tempdir().unwrap();
    let stale = stale.path().join("stale.sock");
    check(
        |path| std::os::unix::fs::symlink(&stale, path).unwrap(),
        ErrorKind::AlreadyExists,
    )
    .await;
    let mut others = Vec::new();
    check(
        |path| others.push(StdListener::bind(path).unwrap()),
        ErrorKind::AddrInUse,
    )
    .await;
}

#[tokio::test]
async fn socket_of_another_kind_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let _log = UnixDatagram::bind(&path).unwrap();
    Listener::bind_unix(&path, 0o600).await.unwrap_err();
    assert!(is_socket(&path));
}

#[tokio::test]
async fn full_queue_is_not_taken_for_a_stale_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    let _never_accepts = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = UnixStream::connect(&path).await {
        waiting.push(stream);
    }
    let error = Listener::bind_unix(&path, 0o600).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(is_socket(&path));
}

#[tokio::test]
async fn what_took_the_place_of_the_file_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listener = Listener::bind_unix(&path, 0o600).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _other = StdListener::bind(&path).unwrap();
    drop(listener);
    assert!(is_socket(&path));
}

#[tokio::test]
async fn file_that_was_removed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("run");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("x.sock");
    let server = Server::from(Listener::bind_unix(&path, 0o600).await.unwrap());
    let receiver = Receiver::new(secret(), MemoryInbox::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(receiver, async {
        let _ = stopped.await;
    }));
    let answers = async || connect(&path).await.ask(probe()).await.status == 204;
    assert!(answers().await);
    fs::remove_file(&path).unwrap();
    until(async || UnixStream::connect(&path).await.is_ok()).await;
    assert!(answers().await);
    let permissions = fs::metadata(&path).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    // Its folder too, as systemd does at the end of another unit that has the same.
    fs::remove_dir_all(&inner).unwrap();
    fs::create_dir(&inner).unwrap();
    until(async || UnixStream::connect(&path).await.is_ok()).await;
    assert!(answers().await);
    drop(stop);
    within_patience(serving).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn of_many_that_start_at_once_over_a_stale_socket_one_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    drop(StdListener::bind(&path).unwrap());
    let starting: Vec<_> = (0..16)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { Listener::bind_unix(&path, 0o600).await })
        })
        .collect();
    let mut bound = Vec::new();
    for start in starting {
        bound.extend(within_patience(start).await.unwrap());
    }
    assert_eq!(bound.len(), 1);
    drop(UnixStream::connect(&path).await.unwrap());
}

#[tokio::test]
async fn socket_of_someone_else_is_served_and_its_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let opened = StdListener::bind(&path).unwrap();
    let server = Server::from(Listener::try_from(opened.try_clone().unwrap()).unwrap());
    // It waits in the queue until it is served, and survives a server that ends.
    let mut waiting = connect(&path).await;
    waiting.send(signed(body("a"))).await;
    drop(server);
    assert!(is_socket(&path));
    let server = Server::from(Listener::try_from(opened).unwrap());
    let receiver = Receiver::new(secret(), MemoryInbox::new());
    let serving = tokio::spawn(server.serve(receiver, std::future::pending()));
    assert_eq!(waiting.answer().await.verdict(), "accepted");
    serving.abort();
}

#[cfg(feature = "admin")]
#[tokio::test]
async fn admin_pages_accept_any_host_over_a_unix_socket() {
    use heygen_receiver::{Admin, AdminPages};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let admin = Admin::from(Listener::bind_unix(&path, 0o600).await.unwrap());
    let pages = AdminPages::new(MemoryInbox::new());
    let serving = tokio::spawn(admin.serve(pages, std::future::pending()));
    let asked = b"GET /readyz HTTP/1.1\r\nHost: anything\r\n\r\n";
    assert_eq!(connect(&path).await.ask(asked).await.status, 200);
    serving.abort();
}

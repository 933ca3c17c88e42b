//! Failing output streams, and processes that write to them.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::endpoint;
use crate::support::{SECRET, eventually};
use crate::terminal;

/// What is the matter with a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// `| head -1`.
    ReaderGone,
    TerminalClosed,
    /// `2>&-`.
    Closed,
    DiskFull,
    /// A reader that stopped reading: the pipe is full.
    Stalled,
    /// The same with a pipe that does not block.
    StalledNonBlocking,
}

impl Trouble {
    pub(super) const ALL: [Self; 6] = [
        Self::ReaderGone,
        Self::TerminalClosed,
        Self::Closed,
        Self::DiskFull,
        Self::Stalled,
        Self::StalledNonBlocking,
    ];

    /// Whether it can be noticed at all: std opens `/dev/null` in place of a stream that is closed.
    pub(super) fn is_counted(self) -> bool {
        self != Self::Closed
    }

    /// Such a stream, and the reader of a pipe where it has one.
    pub(super) fn stream(self) -> (Stdio, Option<PipeReader>) {
        match self {
            Self::ReaderGone => (pipe().1.into(), None),
            Self::TerminalClosed => (closed_terminal().into(), None),
            Self::Closed => (Stdio::null(), None),
            Self::DiskFull => {
                let full = File::options().write(true).open("/dev/full");
                (full.expect("a full disk").into(), None)
            }
            Self::Stalled | Self::StalledNonBlocking => {
                let (reader, mut writer) = pipe();
                fill(&mut writer);
                set_blocking(&writer, self == Self::Stalled);
                (writer.into(), Some(reader))
            }
        }
    }
}

pub(super) fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("a pipe")
}

pub(super) fn set_blocking(file: impl AsFd, is_blocking: bool) {
    let flags = fcntl_getfl(&file).expect("flags");
    let flags = match is_blocking {
        true => flags - OFlags::NONBLOCK,
        false => flags | OFlags::NONBLOCK,
    };
    fcntl_setfl(&file, flags).expect("flags");
}

/// Fills a pipe with lines of dots.
pub(super) fn fill(writer: &mut PipeWriter) {
    set_blocking(&*writer, false);
    let mut line = [b'.'; 64];
    line[63] = b'\n';
    let full = loop {
        if let Err(error) = writer.write(&line) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
}

/// A terminal whose other side is gone: what is written fails with EIO.
pub(super) fn closed_terminal() -> OwnedFd {
    let (_, side) = terminal::open();
    side.into()
}

/// An address where nothing listens yet. Each has an IP address of its own: a port of 127.0.0.1 that was
/// let go could be taken by another test before the binary listens there.
pub(super) fn free_address() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let last = u8::try_from(number).expect("few tests");
    let own = match cfg!(target_os = "linux") {
        true => Ipv4Addr::new(127, 0, 99, last),
        // Elsewhere there is no other by default.
        false => Ipv4Addr::LOCALHOST,
    };
    let listener = TcpListener::bind((own, 0)).expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// An application that counts its posts, and refuses them until it is told otherwise.
#[derive(Clone)]
pub(super) struct Application {
    pub(super) url: String,
    is_well: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Application {
    pub(super) fn start() -> Self {
        let [is_well, taken, refused] = [(); 3].map(|()| Arc::<AtomicUsize>::default());
        let ours = (is_well.clone(), taken.clone(), refused.clone());
        let url = endpoint::start(move |request| {
            let (is_well, taken, refused) = &ours;
            if request.method != "POST" {
                return 204;
            }
            let (count, status) = match is_well.load(Ordering::SeqCst) {
                0 => (refused, 500),
                _ => (taken, 200),
            };
            count.fetch_add(1, Ordering::SeqCst);
            status
        });
        Self {
            url,
            is_well,
            taken,
            refused,
        }
    }

    pub(super) fn become_well(&self) {
        self.is_well.store(1, Ordering::SeqCst);
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// A process with a stream in trouble. Dropped, it is killed.
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) reader: Option<PipeReader>,
}

impl Process {
    /// Starts it with such a standard error.
    pub(super) fn with_stderr(command: Command, trouble: Trouble) -> Self {
        let (stderr, reader) = trouble.stream();
        let mut command = match trouble {
            Trouble::Closed => closed(&command),
            _ => command,
        };
        let command = command.stdout(Stdio::null()).stderr(stderr);
        Self::start(command, reader)
    }

    /// Starts it with such a standard output.
    pub(super) fn with_stdout(mut command: Command, trouble: Trouble) -> Self {
        let (stdout, reader) = trouble.stream();
        Self::start(command.stdout(stdout).stderr(Stdio::null()), reader)
    }

    pub(super) fn start(command: &mut Command, reader: Option<PipeReader>) -> Self {
        let child = command
            .env("HEYGEN_WEBHOOK_SECRET", SECRET)
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary starts");
        // With the command goes what it has of the stream: else the pipe would not end with the
        // process.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { child, reader }
    }

    #[track_caller]
    pub(super) fn listens_at(&mut self, address: &str) {
        eventually(|| {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{ended:?}");
            TcpStream::connect(address).is_ok()
        });
    }

    #[track_caller]
    pub(super) fn ends_well(&mut self) {
        signal(&self.child, "TERM");
        let mut status = None;
        eventually(|| {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        let status = status.expect("it has ended");
        assert_eq!(status.code(), Some(0), "{status:?}");
    }

    /// Reads from now on, to the end.
    pub(super) fn read(&mut self) -> Reading {
        let mut reader = self.reader.take().expect("a reader");
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let ours = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(len @ 1..) = reader.read(&mut part) {
                ours.lock().expect("no panic").extend(&part[..len]);
            }
        });
        Reading { text, thread }
    }
}

/// What was read of a stream.
pub(super) struct Reading {
    text: Arc<Mutex<Vec<u8>>>,
    thread: thread::JoinHandle<()>,
}

impl Reading {
    pub(super) fn has(&self, text: &str) -> bool {
        let read = self.text.lock().expect("no panic");
        read.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// The lines that are not ours, once the stream has ended.
    pub(super) fn lines(self) -> Vec<String> {
        self.thread.join().expect("it ends");
        let read = self.text.lock().expect("no panic");
        let text = String::from_utf8(read.clone()).expect("text");
        let lines = text.lines().filter(|line| !line.starts_with('.'));
        lines.map(str::to_owned).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same command, whose standard error is closed from the start.
pub(super) fn closed(plain: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"exec "$@" 2>&-"#, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(plain.get_current_dir().expect("a folder"));
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

pub(super) fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.expect("a shell").success(), "{kill}");
}

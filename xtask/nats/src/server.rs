//! One `nats-server` process.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::options::Options;
use crate::program::Program;
use crate::{monitor, ports, wait};

/// One server on loopback, with JetStream in a temporary folder. It is killed when this is dropped, and its data deleted.
#[derive(Debug)]
pub struct Server {
    program: Program,
    name: String,
    client: SocketAddr,
    monitor: SocketAddr,
    folder: TempDir,
    /// `None` while it does not run.
    child: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it is healthy.
    pub fn start(program: Program, options: &Options) -> Result<Self> {
        with_other_ports_on_a_clash(|| {
            let mut server = Self::new(program, options, ALONE, "")?;
            server.restart()?;
            Ok(server)
        })
    }

    /// Prepares a server that does not run yet; `cluster` is that block of the configuration.
    pub(crate) fn new(
        program: Program,
        options: &Options,
        name: &str,
        cluster: &str,
    ) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("nats-");
        let folder = match &options.below {
            Some(below) => builder.tempdir_in(below),
            None => builder.tempdir(),
        };
        let folder = folder.context("make a folder for nats-server")?;
        let [client, monitor] = [ports::free()?, ports::free()?];
        let sync = match program.knows_sync_always()? {
            // In quotes: `2m` without them is a number of millions.
            true => format!(
                "sync_interval: \"{}\"",
                options.sync_interval.as_deref().unwrap_or("always")
            ),
            false => String::new(),
        };
        let text = format!(
            "server_name: \"{name}\"\n\
             listen: \"{client}\"\n\
             http: \"{monitor}\"\n\
             jetstream {{\nstore_dir: \"{store}\"\n{sync}\n}}\n\
             {cluster}\
             {config}",
            store = folder.path().join("store").display(),
            config = options.config,
        );
        let server = Self {
            program,
            name: name.to_owned(),
            client,
            monitor,
            folder,
            child: None,
        };
        fs::write(server.config(), text).context("write the configuration of nats-server")?;
        Ok(server)
    }

    /// `nats://127.0.0.1:PORT`. The port stays the same however often it is started again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.client)
    }

    /// Where it listens for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.client
    }

    /// `http://127.0.0.1:PORT`, where it tells about itself.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.monitor)
    }

    /// All that it has logged since it was first started.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.log_file()).context("read the log of nats-server")
    }

    /// What its monitoring port answers to a path, such as `/varz` or `/jsz?streams=true`.
    pub fn monitor(&self, path: &str) -> Result<Value> {
        monitor::get(self.monitor, path)
    }

    /// Ends it at once, with SIGKILL. Nothing happens when it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        child.kill().context("kill nats-server")?;
        child.wait().context("wait for nats-server to end")?;
        Ok(())
    }

    /// Lets it end in order, with SIGTERM, and waits for that. Nothing happens when it does not run.
    pub fn stop(&mut self) -> Result<()> {
        if self.child.is_none() {
            return Ok(());
        }
        self.signal("TERM")?;
        // A paused process would get the other signal only afterwards.
        self.signal("CONT")?;
        wait::until("nats-server to end", || {
            Ok(self
                .has_ended()?
                .then_some(())
                .ok_or_else(|| "it still runs".to_owned()))
        })?;
        self.child = None;
        Ok(())
    }

    /// Stops it in the middle of what it does, with SIGSTOP: connections stay open, and nothing is answered.
    pub fn pause(&mut self) -> Result<()> {
        self.signal("STOP")?;
        // Until its last thread has stopped it may still answer.
        #[cfg(target_os = "linux")]
        if let Some(child) = &self.child {
            use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(Pid::from_child(child)), stopped).context("wait for SIGSTOP")?;
        }
        Ok(())
    }

    /// Lets a paused server go on.
    pub fn resume(&mut self) -> Result<()> {
        self.signal("CONT")
    }

    /// Starts it again, on the same ports and data, and waits until it is ready; one that still runs is stopped first.
    ///
    /// A node of a cluster is waited for only until it listens: healthy it is not before the others are there.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.spawn()?;
        self.wait_until_ready()
    }

    /// Starts the process, and does not wait until it is ready.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .context("open the log of nats-server")?;
        let path = self.program.path()?;
        let child = Command::new(&path)
            .arg("-c")
            .arg(self.config())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("open the log twice")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        self.child = Some(child);
        Ok(())
    }

    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        // `/healthz` of a node waits for its cluster.
        let path = match self.name == ALONE {
            true => "/healthz",
            false => "/varz",
        };
        let what = format!("{} to answer", self.name);
        let waited = wait::until(&what, || {
            self.check_running()?;
            Ok(self.answers(path).map_err(|error| format!("{error:#}")))
        });
        waited.map_err(|error| self.with_log(&error))
    }

    /// An error when it does not run.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.has_ended()? {
            true => bail!("nats-server {} has ended", self.name),
            false => Ok(()),
        }
    }

    /// The error, with the end of the log.
    pub(crate) fn with_log(&self, error: &anyhow::Error) -> anyhow::Error {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(LOG_LINES)..];
        anyhow!(
            "{error:#}\nthe end of the log of {}:\n{}",
            self.name,
            end.join("\n")
        )
    }

    fn answers(&self, path: &str) -> Result<()> {
        TcpStream::connect_timeout(&self.client, Duration::from_secs(5))
            .with_context(|| format!("connect to {}", self.client))?;
        self.monitor(path).map(drop)
    }

    fn has_ended(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else {
            return Ok(true);
        };
        let status = child.try_wait().context("look after nats-server")?;
        Ok(status.is_some())
    }

    fn signal(&mut self, name: &str) -> Result<()> {
        // The id of a process that has ended may be that of another by now; until `try_wait` has seen that, it is not.
        self.check_running()?;
        let Some(id) = self.child.as_ref().map(Child::id) else {
            return Ok(());
        };
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status()
            .context("start sh")?;
        if !status.success() {
            bail!("`kill -{name}` of nats-server {} failed", self.name);
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("nats-server.conf")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("nats-server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // No one hears of a failure, and the folder is deleted whatever happens.
        let _ = self.kill();
    }
}

/// Starts something again, with other ports, when the log that its error shows says that another process had taken one.
pub(crate) fn with_other_ports_on_a_clash<T>(start: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match start() {
            Err(error) if error.to_string().contains("address already in use") => {}
            started => return started,
        }
    }
    start()
}

const ALONE: &str = "single";
const LOG_LINES: usize = 30;
const TRIES: u32 = 5;

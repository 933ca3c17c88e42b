//! [`Serve`]: a running server, which is killed when a trial fails.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::system::run;

pub(super) struct Serve {
    child: Child,
    /// Open as long as the server runs, which prints each delivery.
    output: Option<BufReader<ChildStdout>>,
    pub(super) url: String,
}

impl Serve {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start serve")?;
        let mut serve = Self {
            child,
            output: None,
            url: String::new(),
        };
        let output = serve.child.stdout.take().context("its output")?;
        let mut line = String::new();
        let output = serve.output.insert(BufReader::new(output));
        output.read_line(&mut line)?;
        serve.url = url(&line)?.to_owned();
        Ok(serve)
    }

    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends this signal to the process that was started. What that may have started ends too.
    pub(super) fn stop(self, signal: &str) -> Result<()> {
        let (process, url) = (self.process_id(), self.url.clone());
        self.stop_at(process, signal)?;
        ensure_stopped(&url)
    }

    /// Sends this signal to another process, with which the one that was started ends.
    pub(super) fn stop_at(mut self, process: u32, signal: &str) -> Result<()> {
        run(Command::new("kill").args(["-s", signal, &process.to_string()]))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "serve ended with {status}");
        Ok(())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that `serve` prints.
pub(super) fn url(said: &str) -> Result<&str> {
    let mut lines = said.lines().map(str::trim);
    let found = lines.find_map(|line| line.strip_prefix("listening on "));
    found.with_context(|| format!("it said {said:?}"))
}

/// Nothing listens at this address.
pub(super) fn ensure_stopped(url: &str) -> Result<()> {
    let address = url.trim_start_matches("http://").split('/').next();
    let address = address.unwrap_or_default();
    ensure!(
        TcpStream::connect(address).is_err(),
        "the program runs on at {url}"
    );
    Ok(())
}

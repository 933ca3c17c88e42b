//! Which `nats-server`: where it is, and its version.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// A `nats-server` that `cargo xtask nats` brings.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Program {
    /// The current release. The variable `NATS_SERVER_CURRENT` may name another program.
    Current,
    /// The one in Debian 12: 2.9.10, which cannot be set to write to the disk before it acknowledges.
    /// The variable `NATS_SERVER_DEBIAN` may name another program.
    Debian,
}

impl Program {
    /// All of them: what is said of one server is tested with each.
    pub const ALL: [Self; 2] = [Self::Current, Self::Debian];

    /// The folder that it lies in, relative to the root of the repository.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Current => "target/nats/current",
            Self::Debian => "target/nats/debian",
        }
    }

    /// The environment variable that names another program.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Current => "NATS_SERVER_CURRENT",
            Self::Debian => "NATS_SERVER_DEBIAN",
        }
    }

    /// Where the program is.
    pub fn path(self) -> Result<PathBuf> {
        let path = self.find(&root(), env::var_os(self.variable()));
        if !path.is_file() {
            bail!(
                "there is no {}: `cargo xtask nats` brings it, and {} may name another",
                path.display(),
                self.variable()
            );
        }
        Ok(path)
    }

    /// Its version, as `2.9.10`.
    pub fn version(self) -> Result<String> {
        version_of(&self.path()?)
    }

    /// Whether it knows `sync_interval: always`, as every release since 2.10 does. Asks the program once.
    pub(crate) fn knows_sync_always(self) -> Result<bool> {
        static KNOWN: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
        let known = &KNOWN[self as usize];
        if let Some(known) = known.get() {
            return Ok(*known);
        }
        let version = self.version()?;
        let mut numbers = version.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => {
                Ok(*known.get_or_init(|| (major, minor) >= (2, 10)))
            }
            _ => bail!("`{version}` is no version of nats-server"),
        }
    }

    fn find(self, root: &Path, named: Option<OsString>) -> PathBuf {
        match named {
            Some(path) => path.into(),
            None => root.join(self.folder()).join("nats-server"),
        }
    }
}

/// The version that a `nats-server` tells of itself.
pub fn version_of(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().strip_prefix("nats-server: v") {
        Some(version) if output.status.success() => Ok(version.to_owned()),
        _ => bail!("{} is no nats-server", program.display()),
    }
}

/// The root of the repository whose tests these are.
///
/// Cargo tells at run time where the tested crate is; the place known at build time may have been moved since.
fn root() -> PathBuf {
    let tested = env::var_os("CARGO_MANIFEST_DIR");
    let tested = tested.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut folders = Path::new(&tested).ancestors();
    let root = folders.find(|folder| folder.join("xtask/nats").is_dir());
    root.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_in_its_folder_unless_it_is_named() {
        let root = Path::new("/r");
        let brought = Program::Debian.find(root, None);
        assert_eq!(brought, Path::new("/r/target/nats/debian/nats-server"));
        let named = Program::Current.find(root, Some("/usr/sbin/nats-server".into()));
        assert_eq!(named, Path::new("/usr/sbin/nats-server"));
    }

    #[test]
    fn only_a_server_tells_its_version() {
        let error = version_of(Path::new("true")).unwrap_err();
        assert_eq!(error.to_string(), "true is no nats-server");
        assert!(version_of(Path::new("no-such-program")).is_err());
    }
}

//! Programs that others have made, such as `wrk`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Where a program is: on the path, or what Debian's package of that name holds, unpacked into the target directory.
///
/// Unpacked, nothing is installed, no service is started, and nobody has to be root.
pub fn find(name: &str) -> Result<PathBuf> {
    if let Some(found) = on_the_path(name) {
        return Ok(found);
    }
    let folder = workspace::target()?.join("tools").join(name);
    let program = folder.join("usr/bin").join(name);
    if !program.is_file() {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let script = "apt-get download \"$0\" && dpkg-deb --extract ./\"$0\"_*.deb .";
        let unpacked = Command::new("sh")
            .args(["-c", script, name])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .context("start sh")?;
        if !unpacked.status.success() {
            let text = String::from_utf8_lossy(&unpacked.stderr);
            let last = text.lines().last().unwrap_or_default();
            bail!("`{name}` is missing (Debian and Ubuntu: `apt-get install {name}`): {last}");
        }
    }
    let starts = Command::new(&program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    // What the loader says of a program whose libraries are missing.
    if starts.status.code() == Some(127) {
        bail!(
            "`{name}` needs libraries that are missing (Debian and Ubuntu: `apt-get install {name}`)"
        );
    }
    Ok(program)
}

/// Where the path has this program.
#[must_use]
pub fn on_the_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_on_the_path_is_found_and_an_unknown_one_is_named() {
        assert_eq!(find("sh").ok(), on_the_path("sh"));
        let error = find("no-such-program-of-anybody").unwrap_err().to_string();
        assert!(error.contains("no-such-program-of-anybody"), "{error}");
    }
}

//! Programs that others have made, such as `wrk`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask_checks::debian;

use crate::workspace;

/// What starts a program: its name, where it is on the path, or else where Debian's package of that name is unpacked in the
/// target directory.
pub fn find(name: &str) -> Result<PathBuf> {
    if starts(Path::new(name)) {
        return Ok(name.into());
    }
    let folder = workspace::target()?.join("tools").join(name);
    let program = folder.join("usr/bin").join(name);
    let advice = format!("(Debian and Ubuntu: `apt-get install {name}`)");
    if !program.is_file() {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let unpacked = debian::unpack(name, &folder);
        unpacked.with_context(|| format!("`{name}` is missing {advice}"))?;
    }
    match starts(&program) {
        true => Ok(program),
        false => bail!("`{name}` needs libraries that are missing {advice}"),
    }
}

/// Not when there is none, nor with the status of the loader for a program whose libraries are missing.
fn starts(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    let output = command.output();
    output.is_ok_and(|output| output.status.code() != Some(127))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_on_the_path_is_found() {
        assert_eq!(find("sh").unwrap(), Path::new("sh"));
        assert!(!starts(Path::new("no-such-program-of-anybody")));
    }
}

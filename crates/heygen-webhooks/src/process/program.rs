//! [`check`]: whether a program can be started at all, found out without starting it.

#[cfg(unix)]
use std::path::{Path, PathBuf};

/// Why a program cannot be started; in words that follow its name.
#[cfg(unix)]
pub(crate) fn check(program: &str) -> Result<(), String> {
    let path = find(program)?;
    let Some(head) = head(&path) else {
        // What cannot be read can be run all the same, unless it is a script.
        return Ok(());
    };
    match head.strip_prefix(b"#!") {
        Some(rest) => check_interpreter(rest),
        None if IS_LINUX && is_text(&head) => Err(
            "is neither a program nor a script that starts with `#!`: put the interpreter in its first line, such as #!/bin/sh"
                .to_owned(),
        ),
        None => Ok(()),
    }
}

/// Nothing is known here of what the system can start.
#[cfg(not(unix))]
pub(crate) fn check(_: &str) -> Result<(), String> {
    Ok(())
}

/// The file: a path, or a name that is looked for in `PATH` as the system does.
#[cfg(unix)]
fn find(program: &str) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        return check_file(&path).map(|()| path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let mut first_problem = None;
    for folder in std::env::split_paths(&folders) {
        let path = folder.join(program);
        match check_file(&path) {
            Ok(()) => return Ok(path),
            // A file that cannot be run is passed over, and reported if no other is found.
            Err(problem) if path.exists() && !path.is_dir() => {
                first_problem.get_or_insert(format!("({}) {problem}", path.display()));
            }
            Err(_) => {}
        }
    }
    Err(first_problem.unwrap_or_else(|| {
        let hint = match Path::new(program).exists() {
            true => format!("; the one in this folder is ./{program}"),
            false => String::new(),
        };
        format!("is not found in PATH{hint}")
    }))
}

#[cfg(unix)]
fn check_file(path: &Path) -> Result<(), String> {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be reached: {error}"),
    })?;
    if metadata.is_dir() {
        return Err("is a folder".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    match rustix::fs::access(path, rustix::fs::Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(_) if metadata.permissions().mode() & 0o111 == 0 => {
            Err(format!("is not executable: chmod +x {}", path.display()))
        }
        Err(error) => Err(format!(
            "is not executable by this user, or is on a file system that forbids it: {error}"
        )),
    }
}

/// `rest` is what stands behind `#!`.
#[cfg(unix)]
fn check_interpreter(rest: &[u8]) -> Result<(), String> {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    if line.ends_with('\r') {
        return Err(
            "has Windows line endings (CR LF), which become part of the interpreter's name: save it with LF"
                .to_owned(),
        );
    }
    let mut words = line.split_whitespace();
    let interpreter = words
        .next()
        .ok_or("names no interpreter behind `#!`".to_owned())?;
    let wrong =
        |name: &str, problem: String| format!("needs the interpreter {name}, which {problem}");
    check_file(Path::new(interpreter)).map_err(|problem| wrong(interpreter, problem))?;
    if Path::new(interpreter).file_name() != Some("env".as_ref()) {
        return Ok(());
    }
    // `env` looks for a program in PATH; what else may stand before that is not judged.
    let is_before = |word: &&str| matches!(*word, "-S" | "-i" | "-") || word.contains('=');
    match words.find(|word| !is_before(word)) {
        Some(name) if !name.starts_with('-') => {
            find(name).map(drop).map_err(|problem| wrong(name, problem))
        }
        _ => Ok(()),
    }
}

/// The first bytes of a file, as many as the system looks at.
#[cfg(unix)]
fn head(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read as _;

    let mut head = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(256).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Programs are not; an empty file is.
#[cfg(unix)]
fn is_text(head: &[u8]) -> bool {
    !head.contains(&0) && !head.starts_with(b"\x7fELF")
}

/// Elsewhere the system may give what it does not know to a shell.
#[cfg(unix)]
const IS_LINUX: bool = cfg!(target_os = "linux");

/// What the system takes where there is no `PATH`.
#[cfg(unix)]
const USUAL_PATH: &str = "/bin:/usr/bin";

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[track_caller]
    fn check_script(content: &str, mode: u32, expected: Option<&str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("handle-event");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        check_path(path.to_str().expect("UTF-8"), expected);
    }

    #[track_caller]
    fn check_path(program: &str, expected: Option<&str>) {
        match (check(program), expected) {
            (Ok(()), None) => {}
            (Err(problem), Some(expected)) => assert!(problem.contains(expected), "{problem}"),
            (found, _) => panic!("{program}: {found:?}"),
        }
    }

    #[test]
    fn startable_programs_pass() {
        check_path("sh", None);
        check_path("/bin/sh", None);
        check_script("#!/bin/sh\nexit 0\n", 0o755, None);
        check_script("#! /bin/sh -e\nexit 0\n", 0o700, None);
        check_script("#!/usr/bin/env sh\n", 0o755, None);
        check_script("#!/usr/bin/env -S LANG=C sh -e\n", 0o755, None);
        check_script("#!/usr/bin/env -S -u NAME sh\n", 0o755, None);
        check_script("\x7fELF\0", 0o755, None);
    }

    #[test]
    fn unstartable_programs_are_reported() {
        check_path("./no-such-file", Some("does not exist"));
        check_path("no-such-program-anywhere", Some("not found in PATH"));
        check_path("/tmp/", Some("is a folder"));
        check_path("/dev/null", Some("is not a file"));
        check_script("#!/bin/sh\n", 0o644, Some("is not executable: chmod +x"));
        check_script("echo hello\n", 0o755, Some("`#!`"));
        check_script("", 0o755, Some("`#!`"));
        check_script("\u{feff}#!/bin/sh\n", 0o755, Some("`#!`"));
        check_script("#!/bin/sh\r\nexit 0\r\n", 0o755, Some("CR LF"));
        check_script("#!/usr/bin/env python3\r\n", 0o755, Some("CR LF"));
        check_script("#!\n", 0o755, Some("names no interpreter"));
        check_script(
            "#!/no/such/interpreter\n",
            0o755,
            Some("/no/such/interpreter, which does not exist"),
        );
        check_script(
            "#!/usr/bin/env no-such-interpreter\n",
            0o755,
            Some("no-such-interpreter, which is not found"),
        );
    }
}

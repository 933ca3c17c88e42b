//! [`Socket`]: what `--listen` and `--admin` take besides an address and a port.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::settings::origin;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Socket {
    /// `unix:/run/x.sock`, or `unix:/run/x.sock,mode=666`.
    Unix { path: PathBuf, mode: u32 },
    /// `systemd`, or `systemd:NAME` where several are passed.
    Systemd(Option<String>),
}

impl Socket {
    /// Whether it is meant for one, written correctly or not.
    pub(crate) fn is_one(written: impl AsRef<str>) -> bool {
        !matches!(parse(written.as_ref().trim()), Ok(None))
    }

    /// `None` for what is written in another way, such as an address and a port.
    pub(crate) fn read(option: &str, written: &str) -> Result<Option<Self>, Failure> {
        parse(written.trim()).map_err(|problem| {
            Failure::usage(format!("{}: `{written}`: {problem}", origin::name(option)))
        })
    }
}

fn parse(written: &str) -> Result<Option<Socket>, String> {
    if let Some(rest) = written.strip_prefix("unix:") {
        return unix(rest).map(Some);
    }
    Ok(match written.split_once(':') {
        None if written == "systemd" => Some(Socket::Systemd(None)),
        Some(("systemd", "")) => {
            return Err("give the name after the colon, or leave it out".into());
        }
        Some(("systemd", name)) => Some(Socket::Systemd(Some(name.to_owned()))),
        _ => None,
    })
}

fn unix(rest: &str) -> Result<Socket, String> {
    let (path, mode) = match rest.rsplit_once(",mode=") {
        Some((path, mode)) => (path, Some(mode)),
        None => (rest, None),
    };
    // As a URL: unix:///run/x.sock.
    let path = match path.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    if path.is_empty() || path.ends_with('/') {
        return Err("give a file, as in unix:/run/heygen-webhooks/receiver.sock".to_owned());
    }
    if path.starts_with('@') {
        return Err("abstract sockets have no permissions: give a file".to_owned());
    }
    let mode = match mode {
        None => DEFAULT_MODE,
        Some(mode) => u32::from_str_radix(mode, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .ok_or("the mode is three octal digits, as in mode=660")?,
    };
    Ok(Socket::Unix {
        path: path.into(),
        mode,
    })
}

/// For its user and group, as a reverse proxy in the same group needs it.
const DEFAULT_MODE: u32 = 0o660;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: Result<Option<Socket>, &str>) {
        match (parse(written), expected) {
            (Err(problem), Err(expected)) => assert!(problem.contains(expected), "{problem}"),
            (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{written}"),
        }
    }

    #[test]
    fn sockets_are_told_from_addresses() {
        let unix = |path: &str, mode| {
            let path = path.into();
            Ok(Some(Socket::Unix { path, mode }))
        };
        check("unix:/run/x.sock", unix("/run/x.sock", 0o660));
        check("unix:x.sock", unix("x.sock", 0o660));
        check("unix:///run/x.sock", unix("/run/x.sock", 0o660));
        check("unix:/run/x.sock,mode=600", unix("/run/x.sock", 0o600));
        check("unix:/run/x.sock,mode=0666", unix("/run/x.sock", 0o666));
        check("unix:/run/a,b:c", unix("/run/a,b:c", 0o660));
        for mode in ["", "9", "1777", "rw", "-1"] {
            check(&format!("unix:/x,mode={mode}"), Err("octal"));
        }
        check("unix:", Err("give a file"));
        check("unix:/run/", Err("give a file"));
        check("unix:@name", Err("abstract"));
        check("systemd", Ok(Some(Socket::Systemd(None))));
        check(
            "systemd:web",
            Ok(Some(Socket::Systemd(Some("web".to_owned())))),
        );
        check("systemd:", Err("after the colon"));
        for written in [
            "127.0.0.1:8080",
            "[::1]:80",
            "8081",
            "/run/x.sock",
            "off",
            "",
        ] {
            check(written, Ok(None));
        }
    }
}

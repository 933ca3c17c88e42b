//! Addresses as people write them: URLs to send to, and addresses to listen on.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use crate::failure::Failure;
use crate::output::without_query;
use crate::settings::address::is_private;
use crate::settings::nearest::mistyped;
use crate::settings::origin;
use crate::settings::socket::Socket;

/// Reads the value of `option` as an address of `http` or `https`.
pub(crate) fn http_url(option: &str, written: &str) -> Result<Url, Failure> {
    read(written).map_err(|reason| {
        let meant = meant_url(written).or_else(|| without_scheme(written));
        let advice = meant.map(|meant| without_query(&meant)).map_or_else(
            || "give one such as http://localhost:3000/path".to_owned(),
            |meant| format!("did you mean {meant}?"),
        );
        Failure::usage(format!(
            "{}: `{}` is not a URL to send to, {reason}: {advice}",
            origin::name(option),
            without_query(written)
        ))
    })
}

/// The address of `http` or `https` that the value of `option` stands for, which may leave out the scheme, and for this machine
/// the host: `3000`, `localhost:3000/x`, `app.example/x`.
pub(crate) fn destination(option: &str, written: &str) -> Result<String, Failure> {
    match without_scheme(written) {
        Some(url) => Ok(url),
        None => http_url(option, written).map(|_| written.to_owned()),
    }
}

/// The host and the port that the value of `option` stands for, whatever they lead to. A port alone is one of this machine.
pub(crate) fn listen_address(option: &str, written: &str) -> Result<String, Failure> {
    if is_listen_address(written) {
        return Ok(written.to_owned());
    }
    if let Some(port) = port(written) {
        return Ok(format!("127.0.0.1:{port}"));
    }
    let advice = match meant_listen(written) {
        Some(meant) => format!("did you mean {meant}?"),
        None if has_too_large_port(written) => "a port is at most 65535".to_owned(),
        None => "give both, as in 127.0.0.1:8080".to_owned(),
    };
    Err(Failure::usage(format!(
        "{}: `{}` is not an address and a port: {advice}",
        origin::name(option),
        without_query(written)
    )))
}

/// The values of `option` as names of hosts. Requests are compared by the name alone: with a scheme or a port it would match none.
pub(crate) fn host_names(option: &str, written: &[String]) -> Result<Vec<String>, Failure> {
    let name = |written: &String| {
        let written = written.trim();
        let (_, rest) = written.split_once("://").unwrap_or(("", written));
        let end = match rest.starts_with('[') {
            true => rest.find(']').map(|bracket| bracket + 1),
            false => rest.find(['/', ':']),
        };
        let name = &rest[..end.unwrap_or(rest.len())];
        match name == written || written.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            true => Ok(written.to_owned()),
            false => Err(Failure::usage(format!(
                "{}: `{}` is not the name of a host alone: did you mean {name}?",
                origin::name(option),
                without_query(written)
            ))),
        }
    };
    written.iter().map(name).collect()
}

fn has_too_large_port(written: &str) -> bool {
    let digits = written.trim().rsplit(':').next().unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && digits.parse::<u16>().is_err()
}

fn read(written: &str) -> Result<Url, String> {
    let url = Url::parse(written.trim()).map_err(|error| match written.contains("://") {
        true => error.to_string(),
        false => "neither http nor https".to_owned(),
    })?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) if !host.is_empty() && written.contains("://") => Ok(url),
        ("http" | "https", _) => Err("without `://` and a host".to_owned()),
        _ => Err("neither http nor https".to_owned()),
    }
}

/// The URL that was probably meant, of which the scheme was mistyped.
fn meant_url(written: &str) -> Option<String> {
    let written = written.trim();
    let (scheme, rest) = match written.split_once("://") {
        Some((scheme, rest)) => {
            let near = mistyped(&scheme.to_lowercase(), ["http", "https"])?;
            (near, rest)
        }
        None => match written.split_once(':')? {
            (scheme @ ("http" | "https"), rest) => (scheme, rest.trim_start_matches('/')),
            _ => return None,
        },
    };
    let meant = format!("{scheme}://{}", with_host(rest));
    read(&meant).is_ok().then_some(meant)
}

/// The URL that is meant by one without a scheme: `https`, unless it leads to this machine or its network.
fn without_scheme(written: &str) -> Option<String> {
    let written = written.trim();
    let is_scheme = |(start, _): (&str, &str)| ["http", "https"].contains(&start);
    if written.contains("://") || written.split_once(':').is_some_and(is_scheme) {
        return None;
    }
    let rest = with_host(written.trim_start_matches("//"));
    let url = read(&format!("http://{rest}")).ok()?;
    let host = url.host_str().unwrap_or_default();
    // What is known by neither a dot nor a port may be anything; a number that is no port is read as an address.
    let name = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty();
    let is_host = url.port().is_some() || host.contains(['.', ':']) || host == "localhost";
    let is_host = is_host && !is_number;
    let scheme = if is_private(&url) { "http" } else { "https" };
    is_host.then(|| format!("{scheme}://{rest}"))
}

/// With the host of this machine, where there is a port alone.
fn with_host(rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    match port(host) {
        Some(port) => format!("localhost:{port}{path}"),
        None => rest.to_owned(),
    }
}

/// Of `3000` and `:3000`.
fn port(written: &str) -> Option<u16> {
    let written = written.trim();
    let digits = written.strip_prefix(':').unwrap_or(written);
    // A sign is read as part of a number.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn is_listen_address(written: &str) -> bool {
    if Socket::is_one(written) || written.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let is_name = |host: &str| !host.is_empty() && !host.contains([':', '/', ' ', '[', ']']);
    let parts = written.rsplit_once(':');
    parts.is_some_and(|(host, port)| is_name(host) && port.parse::<u16>().is_ok())
}

fn meant_listen(written: &str) -> Option<String> {
    let written = written.trim();
    let bare = written.split_once("://").map_or(written, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or_default();
    let meant = if bare.parse::<Ipv6Addr>().is_ok() {
        format!("[{bare}]:8080")
    } else if bare.contains(':') {
        bare.to_owned()
    } else {
        format!("{bare}:8080")
    };
    let is_host = bare.contains([':', '.']) || bare == "localhost";
    (is_host && is_listen_address(&meant)).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_have_no_scheme_and_no_port() {
        let names = |written: &str| host_names("admin-host", &[written.to_owned()]);
        for name in ["ops.internal", "127.0.0.1", "::1", "[::1]"] {
            assert_eq!(names(name).expect(name), [name]);
        }
        assert_eq!(names(" ops.internal").expect("a name"), ["ops.internal"]);
        for written in [
            "ops.internal:9180",
            "http://ops.internal",
            "https://ops.internal:1/x",
        ] {
            let error = names(written).expect_err(written).to_string();
            assert!(error.ends_with("did you mean ops.internal?"), "{error}");
        }
        for written in ["[::1]:9180", "http://[::1]/x"] {
            let error = names(written).expect_err(written).to_string();
            assert!(error.ends_with("did you mean [::1]?"), "{error}");
        }
    }

    #[track_caller]
    fn check_url(written: &str, expected: Option<&str>) {
        assert!(destination("to", written).is_err(), "{written}");
        assert_eq!(meant_url(written).as_deref(), expected, "{written}");
    }

    #[test]
    fn addresses_to_send_to() {
        for written in [
            "http://localhost:3000/x",
            "https://hooks.example.com",
            "http://[::1]:3000/",
            " http://localhost/ ",
        ] {
            assert!(read(written).is_ok(), "{written}");
        }
        for (written, expected) in [
            ("localhost:3000/x", "http://localhost:3000/x"),
            ("localhost:3000", "http://localhost:3000"),
            ("localhost", "http://localhost"),
            ("3000", "http://localhost:3000"),
            ("3000/x", "http://localhost:3000/x"),
            (" :3000/x?a=b", "http://localhost:3000/x?a=b"),
            ("127.0.0.1:3000/x", "http://127.0.0.1:3000/x"),
            ("[::1]:3000/x", "http://[::1]:3000/x"),
            ("app:3000", "http://app:3000"),
            ("hooks.example.com/x", "https://hooks.example.com/x"),
            ("hooks.example.com:8443", "https://hooks.example.com:8443"),
            ("HTTP://a.example", "HTTP://a.example"),
        ] {
            assert_eq!(destination("to", written).ok().as_deref(), Some(expected));
        }
        check_url("htp://localhost:3000/x", Some("http://localhost:3000/x"));
        check_url("http:localhost:3000", Some("http://localhost:3000"));
        check_url("http:/localhost:3000", Some("http://localhost:3000"));
        check_url(
            "htp://3000/x?key=secret",
            Some("http://localhost:3000/x?key=secret"),
        );
        check_url("ftp://localhost/x", None);
        check_url("garbage", None);
        check_url("", None);
        check_url("http://", None);
        check_url("99999", None);
        check_url("99999/x", None);
    }

    #[track_caller]
    fn check_meant(written: &str, expected: Option<&str>) {
        assert!(listen_address("listen", written).is_err(), "{written}");
        assert_eq!(meant_listen(written).as_deref(), expected, "{written}");
    }

    #[test]
    fn addresses_to_listen_on() {
        for written in [
            "127.0.0.1:0",
            "0.0.0.0:443",
            "[::]:8080",
            "localhost:8080",
            "box:80",
            "unix:/run/x.sock",
            "systemd:web",
        ] {
            assert!(is_listen_address(written), "{written}");
        }
        for written in ["8081", ":8081", " 8081 "] {
            let address = listen_address("listen", written).ok();
            assert_eq!(address.as_deref(), Some("127.0.0.1:8081"));
        }
        check_meant("0.0.0.0", Some("0.0.0.0:8080"));
        check_meant("::", Some("[::]:8080"));
        check_meant("localhost", Some("localhost:8080"));
        check_meant("http://127.0.0.1:8080/x", Some("127.0.0.1:8080"));
        check_meant("127.0.0.1:99999", None);
        for (written, is_too_large) in [
            ("127.0.0.1:99999", true),
            ("65536", true),
            (":65536", true),
            ("127.0.0.1:", false),
            ("garbage", false),
        ] {
            let failure = listen_address("listen", written).expect_err("no address");
            let text = failure.to_string();
            assert_eq!(
                text.ends_with("a port is at most 65535"),
                is_too_large,
                "{text}"
            );
        }
        check_meant("garbage", None);
        check_meant("", None);
    }
}

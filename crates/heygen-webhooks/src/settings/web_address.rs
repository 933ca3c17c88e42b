//! Addresses as people write them: URLs to send to, and addresses to listen on.

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
        let advice = meant_url(written).map_or_else(
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

/// Sees that the value of `option` is a host and a port, whatever they lead to.
pub(crate) fn check_listen(option: &str, written: &str) -> Result<(), Failure> {
    if is_listen_address(written) {
        return Ok(());
    }
    let advice = meant_listen(written).map_or_else(
        || "give both, as in 127.0.0.1:8080".to_owned(),
        |meant| format!("did you mean {meant}?"),
    );
    Err(Failure::usage(format!(
        "{}: `{}` is not an address and a port: {advice}",
        origin::name(option),
        without_query(written)
    )))
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

/// The URL that was probably meant.
fn meant_url(written: &str) -> Option<String> {
    let written = written.trim();
    let (scheme, rest) = match written.split_once("://") {
        Some((scheme, rest)) => {
            let near = mistyped(&scheme.to_lowercase(), ["http", "https"])?;
            (Some(near), rest)
        }
        None => match written.split_once(':') {
            Some((scheme @ ("http" | "https"), rest)) => {
                (Some(scheme), rest.trim_start_matches('/'))
            }
            _ => (None, written.trim_start_matches("//")),
        },
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let host = match host.strip_prefix(':').unwrap_or(host) {
        port if is_port(port) => format!("localhost:{port}"),
        _ => host.to_owned(),
    };
    let meant = |scheme: &str| read(&format!("{scheme}://{host}{path}")).ok();
    let url = meant(scheme.unwrap_or("http"))?;
    // What is known by neither a dot nor a port may be anything.
    let is_host = url.port().is_some() || host.contains('.') || host == "localhost";
    let url = match scheme {
        None if !is_private(&url) => meant("https")?,
        _ => url,
    };
    let text = without_query(url.as_str());
    let text = match path.is_empty() {
        true => text.trim_end_matches('/').to_owned(),
        false => text,
    };
    (is_host || scheme.is_some()).then_some(text)
}

fn is_listen_address(written: &str) -> bool {
    if Socket::is_one(written) {
        return true;
    }
    let Some((host, port)) = written.rsplit_once(':') else {
        return false;
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => is_ipv6(address),
        None => !host.is_empty() && !host.contains([':', '/', ' ', '[', ']']),
    };
    is_host && port.parse::<u16>().is_ok()
}

fn is_ipv6(address: &str) -> bool {
    let address = address.split('%').next().unwrap_or_default();
    address.parse::<std::net::Ipv6Addr>().is_ok()
}

/// The address that was probably meant.
fn meant_listen(written: &str) -> Option<String> {
    let written = written.trim();
    let bare = written.split_once("://").map_or(written, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or_default();
    let port = bare.strip_prefix(':').unwrap_or(bare);
    let meant = if port.parse::<u16>().is_ok() {
        format!("127.0.0.1:{port}")
    } else if is_ipv6(bare) {
        format!("[{bare}]:8080")
    } else if bare.contains(':') {
        bare.to_owned()
    } else {
        format!("{bare}:8080")
    };
    let is_host = bare.contains([':', '.']) || bare == "localhost" || port != bare;
    ((is_host || port.parse::<u16>().is_ok()) && is_listen_address(&meant)).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_url(written: &str, expected: Option<&str>) {
        assert!(read(written).is_err(), "{written}");
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
        check_url("localhost:3000/x", Some("http://localhost:3000/x"));
        check_url("localhost:3000", Some("http://localhost:3000"));
        check_url("localhost", Some("http://localhost"));
        check_url("3000", Some("http://localhost:3000"));
        check_url("3000/x", Some("http://localhost:3000/x"));
        check_url(":3000/x", Some("http://localhost:3000/x"));
        check_url("127.0.0.1:3000/x", Some("http://127.0.0.1:3000/x"));
        check_url("[::1]:3000/x", Some("http://[::1]:3000/x"));
        check_url("hooks.example.com/x", Some("https://hooks.example.com/x"));
        check_url("htp://localhost:3000/x", Some("http://localhost:3000/x"));
        check_url("http:localhost:3000", Some("http://localhost:3000"));
        check_url("http:/localhost:3000", Some("http://localhost:3000"));
        check_url(
            "localhost:3000/x?key=secret",
            Some("http://localhost:3000/x?…"),
        );
        check_url("ftp://localhost/x", None);
        check_url("garbage", None);
        check_url("", None);
        check_url("http://", None);
        check_url("99999", None);
    }

    #[track_caller]
    fn check_meant(written: &str, expected: Option<&str>) {
        assert!(!is_listen_address(written), "{written}");
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
        check_meant("8081", Some("127.0.0.1:8081"));
        check_meant(":8081", Some("127.0.0.1:8081"));
        check_meant("0.0.0.0", Some("0.0.0.0:8080"));
        check_meant("::", Some("[::]:8080"));
        check_meant("localhost", Some("localhost:8080"));
        check_meant("http://127.0.0.1:8080/x", Some("127.0.0.1:8080"));
        check_meant("127.0.0.1:99999", None);
        check_meant("garbage", None);
        check_meant("", None);
    }
}

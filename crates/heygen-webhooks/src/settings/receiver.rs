//! The options of the receiver: where it listens, TLS, callbacks and limits.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::tame;
use crate::settings::origin;
use crate::settings::web_address::listen_address;

/// Where deliveries are received.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listen {
    /// Address and port to listen on; a port alone is on 127.0.0.1, port 0 picks a free one; or
    /// unix:PATH, or systemd [default: 127.0.0.1:8080]
    ///
    /// unix:/run/x.sock,mode=600 is a Unix socket with these permissions (without them 660). systemd
    /// is the socket that a .socket unit passes (LISTEN_FDS), systemd:NAME the one of that
    /// FileDescriptorName.
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_LISTEN")]
    listen: Option<String>,
    /// Path that receives deliveries [default: /webhooks/heygen]
    #[arg(long, value_name = "PATH", env = "HEYGEN_WEBHOOKS_PATH")]
    path: Option<String>,
}

impl Listen {
    /// Whether the address was given, and is not the default.
    pub(crate) fn is_given(&self) -> bool {
        self.listen.is_some()
    }

    pub(crate) fn address(&self) -> Result<String, Failure> {
        listen_address("listen", self.listen.as_deref().unwrap_or("127.0.0.1:8080"))
    }

    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/webhooks/heygen")
    }

    /// The path, where it can be served.
    pub(crate) fn checked_path(&self) -> Result<&str, Failure> {
        let path = self.path();
        let problem = if !path.starts_with('/') {
            "must begin with `/`"
        } else if path.contains(['?', '#']) {
            "must have no `?` and no `#`: requests are accepted with any query"
        } else if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            "is not as a request has it: write other characters than printable ASCII as `%` and hexadecimal digits, as in /caf%C3%A9"
        } else {
            return Ok(path);
        };
        Err(Failure::usage(format!(
            "{}: path `{}` {problem}",
            origin::name("path"),
            tame(path)
        )))
    }
}

/// TLS without a reverse proxy.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "TLS")]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Tls {
    /// Serve https with the certificate chain in this PEM file, the server's own first; read again when
    /// it changes, and on SIGHUP [default: plain http]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the key of --tls-cert
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_TLS_KEY")]
    tls_key: Option<PathBuf>,
}

/// The files, both PEM, of what the server shows under TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Tls {
    /// `None` for plain HTTP.
    pub(crate) fn files(self) -> Result<Option<TlsFiles>, Failure> {
        match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::usage(
                "--tls-cert needs the key of the certificate: --tls-key",
            )),
            (None, Some(_)) => Err(Failure::usage(
                "--tls-key needs the certificate of the key: --tls-cert",
            )),
        }
    }
}

/// Which requests are accepted without a signature.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Callbacks {
    /// File with one token per line: requests to PATH/callbacks/TOKEN are accepted without a signature,
    /// for `callback_url`
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_CALLBACK_TOKEN_FILE")]
    pub(crate) callback_token_file: Option<PathBuf>,
}

/// The limits of the receiver.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Limits")]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Limits {
    /// Largest accepted body [default: 1048576]
    #[arg(long, value_name = "BYTES", env = "HEYGEN_WEBHOOKS_MAX_BODY_BYTES")]
    max_body_bytes: Option<usize>,
    /// Maximum number of concurrent connections [default: 10000]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_MAX_CONNECTIONS")]
    max_connections: Option<usize>,
    /// Seconds a client may take to send a request header [default: 5]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_HEADER_TIMEOUT")]
    header_timeout: Option<u64>,
    /// Seconds a client may take to send a request body [default: 10]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_BODY_TIMEOUT")]
    body_timeout: Option<u64>,
    /// Seconds an idle connection stays open; set it longer than that of your load balancer [default:
    /// 75]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_KEEP_ALIVE")]
    keep_alive: Option<u64>,
}

impl Limits {
    pub(crate) fn limits(&self) -> Result<heygen_receiver::Limits, Failure> {
        for (option, is_zero) in [
            ("max-body-bytes", self.max_body_bytes == Some(0)),
            ("max-connections", self.max_connections == Some(0)),
            ("header-timeout", self.header_timeout == Some(0)),
            ("body-timeout", self.body_timeout == Some(0)),
        ] {
            if is_zero {
                return Err(Failure::usage(format!(
                    "{}: 0 would reject every delivery",
                    origin::name(option)
                )));
            }
        }
        let mut limits = heygen_receiver::Limits::default();
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        limits.max_body_bytes = self.max_body_bytes.unwrap_or(limits.max_body_bytes);
        limits.max_connections = self.max_connections.unwrap_or(limits.max_connections);
        limits.header_timeout = seconds(self.header_timeout, limits.header_timeout);
        limits.body_timeout = seconds(self.body_timeout, limits.body_timeout);
        limits.keep_alive = seconds(self.keep_alive, limits.keep_alive);
        Ok(limits)
    }
}

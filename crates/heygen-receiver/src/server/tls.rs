//! [`ServerTls`]: the certificate of a server, which may change while it serves.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsAcceptor;

use self::error::TlsErrorKind::{KeyDoesNotFit, NoCertificate, NoKey, Unusable};
pub use self::error::{TlsError, TlsErrorKind};

mod error;

/// The certificate chain and the key of a [`Server`](crate::Server). Clones share them, so that a
/// renewed certificate can be set under a running server: open connections keep the old one, the
/// next handshake uses the new one.
///
/// TLS 1.2 and 1.3 by rustls and ring, HTTP/2 and HTTP/1.1 by ALPN, without client certificates and
/// early data.
///
/// # Examples
///
/// ```no_run
/// use heygen_receiver::{Server, ServerTls};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = ServerTls::from_pem_files("fullchain.pem", "privkey.pem")?;
/// let server = Server::bind("0.0.0.0:443").await?.tls(tls.clone());
/// // After a renewal, while `server` serves:
/// tls.replace_with_pem_files("fullchain.pem", "privkey.pem")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<RwLock<Certificate>>,
}

/// The current certificate, ready to serve.
#[derive(Clone)]
struct Certificate {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl ServerTls {
    /// From a certificate chain, the server's own first, and its key: both PEM, the key as PKCS#8,
    /// PKCS#1 or SEC1.
    ///
    /// # Errors
    ///
    /// When they cannot be used; [`TlsErrorKind`] says why.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let current = Certificate::of_pem(certificates, key)?;
        Ok(Self {
            current: Arc::new(RwLock::new(current)),
        })
    }

    /// As [`from_pem`](Self::from_pem), from two files, which may be the same. They are read once
    /// and not watched.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and [`TlsErrorKind::CannotRead`].
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let current = Certificate::of_files(certificates.as_ref(), key.as_ref())?;
        Ok(Self {
            current: Arc::new(RwLock::new(current)),
        })
    }

    /// Replaces certificate and key with those in these files.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files); the old ones then stay.
    pub fn replace_with_pem_files(
        &self,
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<(), TlsError> {
        let current = Certificate::of_files(certificates.as_ref(), key.as_ref())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    /// The server's own current certificate, as DER.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        self.current().certificate.to_vec()
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().config)
    }

    fn current(&self) -> Certificate {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl Certificate {
    fn of_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| fs::read(path).map_err(|cause| TlsError::cannot_read(path, cause));
        let (chain, secret) = (read(certificates)?, read(key)?);
        Self::of_pem(&chain, &secret).map_err(|error| error.in_files(certificates, key))
    }

    fn of_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let (certificates, key) = (without_mark(certificates), without_mark(key));
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| TlsError::certificate(Unusable, "a certificate is damaged PEM"))?;
        let Some(certificate) = chain.first().cloned() else {
            let what = "there is no certificate in PEM";
            return Err(TlsError::certificate(NoCertificate, what));
        };
        let no_key = "there is no private key in PEM without a passphrase";
        let key = PrivateKeyDer::pem_slice_iter(key)
            .next()
            .ok_or_else(|| TlsError::key(NoKey, no_key))?
            // The cause is dropped: it may quote the key.
            .map_err(|_| TlsError::key(Unusable, "the private key is damaged PEM"))?;
        let provider = Arc::new(ring::default_provider());
        let certified = certified(chain, key, &provider)?;
        // The provider is chosen here, so that no process-wide default is set or needed.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| TlsError::certificate(Unusable, "TLS cannot be set up").caused(cause))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            certificate,
        })
    }
}

/// Cuts a byte order mark, as editors on Windows write it, which would hide the first line.
fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(pem)
        .trim_ascii_start()
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let key = provider.key_provider.load_private_key(key);
    let key = key
        .map_err(|cause| TlsError::key(Unusable, "the private key cannot be used").caused(cause))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::key(
            KeyDoesNotFit,
            "the key is not that of the first certificate",
        )),
        Err(cause) => {
            Err(TlsError::certificate(Unusable, "the certificate cannot be used").caused(cause))
        }
    }
}

//! A certificate for one test.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A key and its certificate for `localhost`, as PEM.
pub(crate) struct Identity {
    der: CertificateDer<'static>,
    pub(crate) certificate: String,
    private: PrivateKeyDer<'static>,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With a certificate that `set` changes.
    pub(crate) fn with(set: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        set(&mut parameters);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.pem(),
            der: certificate.der().clone(),
            key: key.serialize_pem(),
            private: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        }
    }

    pub(crate) fn for_rustls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.der.clone()], self.private.clone_key())
    }
}

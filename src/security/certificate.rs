//! The certificate that the service shows, and its private key.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use thiserror::Error;
use x509_cert::der::Decode;

use super::digest::Digest;
use crate::model::Time;

/// How long before its end a certificate is warned about: 14 days, in milliseconds.
const EXPIRY_WARNING_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// What is spoken over TLS, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a certificate is not taken. Shows no content of a file.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file could not be read.
    #[error("the file {} cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// A file is no PEM, or holds nothing of the kind.
    #[error("the file {} holds no {what} that can be read as PEM", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// A certificate, or a private key.
        what: &'static str,
    },
    /// The certificate says something that cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Malformed(x509_cert::der::Error),
    /// The two do not belong together, or TLS cannot use them.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// It ended.
    #[error("the certificate expired at {0}")]
    Expired(Time),
}

/// A certificate with its key, fit for use.
#[derive(Clone)]
pub struct Certificate {
    /// For new connections.
    pub config: Arc<ServerConfig>,
    /// When the first certificate of its chain ends.
    pub expires_at: Time,
    /// Of both files, to know them again.
    digest: Digest,
}

impl Certificate {
    /// Reads a chain of certificates and the key of the first, both as PEM.
    ///
    /// # Errors
    /// [`CertificateError`], but not for one that has expired: see [`check`](Self::check).
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, CertificateError> {
        let (chain_pem, key_pem) = (read(certificates)?, read(key)?);
        let missing = |path: &Path, what| CertificateError::Missing { path: path.into(), what };
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&chain_pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| missing(certificates, "certificate"))?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem);
        let private = private.map_err(|_| missing(key, "private key"))?;
        let expires_at = expires_at(&chain)?;
        let digest = Digest::of(&[chain_pem, key_pem].concat());
        Ok(Self { config: Arc::new(config(chain, private)?), expires_at, digest })
    }

    /// That it has not expired.
    ///
    /// # Errors
    /// [`CertificateError::Expired`].
    pub fn check(&self, now: Time) -> Result<(), CertificateError> {
        match now >= self.expires_at {
            true => Err(CertificateError::Expired(self.expires_at)),
            false => Ok(()),
        }
    }

    /// Over, or within 14 days of its end.
    pub fn is_expiring(&self, now: Time) -> bool {
        self.expires_at.since(now) <= EXPIRY_WARNING_MS
    }

    /// Whether both come from files with the same content.
    pub fn is_same(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.digest.ct_eq(&other.digest).into()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|cause| CertificateError::Unreadable { path: path.into(), cause })
}

fn expires_at(chain: &[CertificateDer<'_>]) -> Result<Time, CertificateError> {
    let mut soonest = i64::MAX;
    for certificate in chain {
        let parsed = x509_cert::Certificate::from_der(certificate);
        let parsed = parsed.map_err(CertificateError::Malformed)?;
        let end = parsed.tbs_certificate.validity.not_after.to_unix_duration().as_millis();
        soonest = soonest.min(i64::try_from(end).unwrap_or(i64::MAX));
    }
    Ok(Time::from_millis(soonest))
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(config)
}

//! What stands in the way of a connection, in words that say what to do about it.
//!
//! The texts of the errors themselves hold addresses, which may hold secrets: only their sort is told.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::{CertificateError, InvalidMessage};

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::collect) enum Obstacle {
    /// There is no address of the name.
    #[error("failed to connect: the server's name cannot be resolved; is it spelled right, and does DNS work here?")]
    Unresolved,
    /// Nobody listens at the address.
    #[error("failed to connect: nobody listens there; are address and port right, and is the server up?")]
    Refused,
    /// Nobody answers.
    #[error("failed to connect: no answer in time; is the address right, and does a firewall let us through?")]
    Silent,
    /// The certificate was valid once.
    #[error("failed to connect: the server's certificate has expired; renew it, or set the clock of this machine")]
    Expired,
    /// The certificate will be valid.
    #[error(
        "failed to connect: the server's certificate is not valid yet; set the clock of this machine, or the server's"
    )]
    NotValidYet,
    /// The certificate is somebody else's.
    #[error(
        "failed to connect: the server's certificate is for another name; is the address right, or is it a proxy's?"
    )]
    OtherName,
    /// The certificate is by nobody who is trusted.
    #[error(
        "failed to connect: nobody trusted here issued the server's certificate; install its issuer's, unless it is a proxy's that should not be there"
    )]
    UnknownIssuer,
    /// Another protocol is spoken there.
    #[error("failed to connect: the server does not speak TLS; is its address right, and not one of http?")]
    NotTls,
    /// TLS failed in another way.
    #[error("failed to connect: the TLS handshake failed; do server and proxies offer TLS 1.2 or newer?")]
    Tls,
}

impl Obstacle {
    /// Returns what an error came from, if that is known.
    pub(in crate::collect) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        sources(error).find_map(|error| match (error.downcast_ref(), error.downcast_ref()) {
            (Some(error), _) => Some(Self::of_tls(error)),
            (None, Some(error)) => Self::of_system(error),
            // Its type is nobody's to name.
            _ if error.to_string() == "dns error" => Some(Self::Unresolved),
            _ if error.downcast_ref().is_some_and(reqwest::Error::is_timeout) => Some(Self::Silent),
            _ => None,
        })
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotValidYet,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                _ => Self::Tls,
            },
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            _ => Self::Tls,
        }
    }

    fn of_system(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::ConnectionRefused => Some(Self::Refused),
            ErrorKind::TimedOut => Some(Self::Silent),
            _ => None,
        }
    }

    /// Returns whether it stands until somebody does something: another attempt is none the wiser.
    pub(in crate::collect) fn is_lasting(self) -> bool {
        !matches!(self, Self::Unresolved | Self::Refused | Self::Silent)
    }
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let inner = |error: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let error: &'a (dyn Error + 'static) = *error;
        // An error of the system says of what it is made only so.
        let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        io.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source())
    };
    std::iter::successors(Some(error), inner)
}

#[cfg(test)]
pub(in crate::collect) mod tests;

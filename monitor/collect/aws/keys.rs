//! An access key that the configuration refers to, for where Amazon's own chain of credentials does not reach.
//!
//! Its secrets are read each time they are asked for, so that a rotated key is picked up without a restart.

use std::fmt;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::secret::{Secret, SecretError};

/// An access key; the secrets are references.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
    /// The token of a temporary key.
    #[serde(default)]
    pub session_token: Option<Secret>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Keys {
    fn read(&self) -> Result<Credentials, SecretError> {
        let secret = self.secret_access_key.read()?;
        let token = self.session_token.as_ref().map(Secret::read).transpose()?;
        let token = token.map(|token| token.expose_secret().to_owned());
        Ok(Credentials::new(&self.access_key_id, secret.expose_secret(), token, None, "configuration"))
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let read: provider::Result = self.read().map_err(CredentialsError::provider_error);
        future::ProvideCredentials::ready(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rotated_secret_is_picked_up_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let text = format!("{{access_key_id: AKIA1, secret_access_key: '${{file:{}}}'}}", path.display());
        let keys: Keys = serde_saphyr::from_str(&text).unwrap();
        assert!(keys.provide_credentials().await.is_err());
        for secret in ["hunter1", "hunter2"] {
            std::fs::write(&path, secret).unwrap();
            let credentials = keys.provide_credentials().await.unwrap();
            assert_eq!(credentials.secret_access_key(), secret);
            assert!(!format!("{keys:?} {credentials:?}").contains(secret));
        }
    }
}

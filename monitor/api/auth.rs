//! Who may ask: bearer tokens, kept as hashes. The probes and the metrics are open; everything else is not.
//!
//! Without tokens the daemon serves this machine only: it refuses to listen elsewhere, and a page in a browser that was
//! led here under another name (DNS rebinding) gets nothing.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use crate::secret::{Secret, SecretError};

/// Shorter tokens can be guessed.
const SHORTEST_TOKEN: usize = 16;
const OPEN_TO_ALL: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Who may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bearer tokens; without any, only this machine is served.
    pub tokens: Vec<TokenConfig>,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Who uses it; what the audit log says.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// The token: a reference, at least 16 characters.
    pub token: Secret,
}

/// What somebody may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Silence and approve.
    Operator,
    /// Reload.
    Admin,
}

/// Why the tokens cannot be used, or the address not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The secret could not be had.
    #[error("failed to read the token `{name}`")]
    Secret {
        /// Name of the token.
        name: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// It can be guessed.
    #[error("invalid token `{name}`: it has fewer than {SHORTEST_TOKEN} characters")]
    Short {
        /// Name of the token.
        name: String,
    },
    /// Two names have one token: the audit log could not tell them apart.
    #[error("invalid token `{name}`: another one has the same value")]
    Doubled {
        /// Name of the token.
        name: String,
    },
    /// Everybody on the network could ask.
    #[error("not allowed to listen on {address} without tokens")]
    Open {
        /// The address.
        address: SocketAddr,
    },
}

/// Somebody who showed a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Name of the token.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
}

/// The tokens, as hashes.
#[derive(Debug, Default)]
pub struct Tokens(Vec<(blake3::Hash, Bearer)>);

impl Tokens {
    /// Reads the tokens.
    pub fn read(config: &Config) -> Result<Self, AuthError> {
        let mut tokens = Vec::new();
        for TokenConfig { name, role, token } in &config.tokens {
            let name = || name.clone();
            let token = token.read().map_err(|source| AuthError::Secret { name: name(), source })?;
            if token.expose_secret().len() < SHORTEST_TOKEN {
                return Err(AuthError::Short { name: name() });
            }
            let hash = blake3::hash(token.expose_secret().as_bytes());
            if tokens.iter().any(|(known, _)| *known == hash) {
                return Err(AuthError::Doubled { name: name() });
            }
            tokens.push((hash, Bearer { name: name(), role: *role }));
        }
        Ok(Self(tokens))
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whose token was sent. Hashes are compared in constant time, and with every token.
    fn bearer(&self, headers: &HeaderMap) -> Option<&Bearer> {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let value = sent.next().filter(|_| sent.next().is_none())?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let hash = blake3::hash(token.as_bytes());
        self.0.iter().fold(None, |found, (known, bearer)| if *known == hash { Some(bearer) } else { found })
    }
}

/// Refuses to serve the network without tokens.
pub fn check_listen(address: SocketAddr, tokens: &Tokens) -> Result<(), AuthError> {
    if tokens.is_empty() && !is_loopback(address.ip()) { Err(AuthError::Open { address }) } else { Ok(()) }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Lets through what is open to all, and whoever may ask.
pub(super) async fn check(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if !OPEN_TO_ALL.contains(&request.uri().path()) {
        match admitted(&api.tokens, request.headers()) {
            Ok(bearer) => drop(bearer.cloned().map(|bearer| request.extensions_mut().insert(bearer))),
            Err(error) => return error.into_response(),
        }
    }
    next.run(request).await
}

fn admitted<'a>(tokens: &'a Tokens, headers: &HeaderMap) -> Result<Option<&'a Bearer>, ApiError> {
    if tokens.is_empty() {
        return if is_local_host(headers) { Ok(None) } else { Err(ApiError::host()) };
    }
    tokens.bearer(headers).map(Some).ok_or_else(ApiError::unauthorized)
}

/// Returns whether the host that was asked for is this machine by number or as `localhost`.
fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let entry = |token: &str, name: &str| {
            (blake3::hash(token.as_bytes()), Bearer { name: name.to_owned(), role: Role::Viewer })
        };
        Tokens(vec![entry("first-token-of-16", "ci"), entry("second-token-of-16", "ops")])
    }

    /// Answers with the name of the token that the headers show, or `-`.
    fn check(values: &[&str], name: &str) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(tokens().bearer(&headers).map_or("-", |bearer| &bearer.name), name, "{values:?}");
    }

    #[test]
    fn only_a_whole_token_is_let_in() {
        check(&["Bearer first-token-of-16"], "ci");
        check(&["bearer second-token-of-16"], "ops");
        check(&[], "-");
        check(&["Bearer"], "-");
        check(&["Bearer "], "-");
        check(&["Bearer first-token-of-1"], "-");
        check(&["Bearer first-token-of-16 "], "-");
        check(&["Bearer  first-token-of-16"], "-");
        check(&["Basic first-token-of-16"], "-");
        check(&["first-token-of-16"], "-");
        check(&["Bearer no", "Bearer first-token-of-16"], "-");
    }

    #[test]
    fn the_network_is_served_with_tokens_only() {
        let allowed = |address: &str, tokens: &Tokens| check_listen(address.parse().unwrap(), tokens).is_ok();
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(allowed(address, &Tokens::default()), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!allowed(address, &Tokens::default()), "{address}");
            assert!(allowed(address, &tokens()), "{address}");
        }
    }

    #[test]
    fn without_tokens_only_names_of_this_machine_are_served() {
        let local = |host: &str| is_local_host(&[(header::HOST, host.parse().unwrap())].into_iter().collect());
        for host in ["localhost", "LOCALHOST:9465", "127.0.0.1:9465", "[::1]:9465", "[::1]"] {
            assert!(local(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:9465", "10.0.0.1", "", "[evil]"] {
            assert!(!local(host), "{host}");
        }
    }

    #[test]
    fn tokens_that_can_be_guessed_or_mixed_up_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let token = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::write(&path, text).unwrap();
            let token = Secret::parse(&format!("${{file:{}}}", path.display())).unwrap();
            TokenConfig { name: file.to_owned(), role: Role::Admin, token }
        };
        let read = |tokens: Vec<TokenConfig>| Tokens::read(&Config { tokens });
        assert!(matches!(read(vec![token("a", "short")]), Err(AuthError::Short { .. })));
        let (a, b) = (token("a", "sixteen-characters"), token("b", "sixteen-characters\n"));
        assert!(matches!(read(vec![a.clone(), b]), Err(AuthError::Doubled { .. })));
        assert!(!read(vec![a]).unwrap().is_empty());
    }
}

//! What one part needs of another, filled in: parts never use each other.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use driftwarden_core::compare::MaskKey;

use crate::config::Config;
use crate::store;

/// Returns the key of the digests of sensitive values: made once, kept beside the database, so that the same secret looks
/// the same after a restart.
pub(super) fn mask_key(store: &store::Config) -> anyhow::Result<MaskKey> {
    let path = PathBuf::from(format!("{}.key", store.url.strip_prefix("sqlite://").unwrap_or(&store.url)));
    if !path.exists() {
        write_key(&path).with_context(|| format!("failed to write the key `{}`", path.display()))?;
    }
    let bytes = fs::read(&path).with_context(|| format!("failed to read the key `{}`", path.display()))?;
    match <[u8; 32]>::try_from(bytes) {
        Ok(key) => Ok(MaskKey::new(key)),
        Err(_) => bail!("invalid key `{}`: expected 32 bytes; remove it to have a new one made", path.display()),
    }
}

fn write_key(path: &Path) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&random()?)?;
    file.sync_all()?;
    Ok(())
}

/// Returns a key that nobody keeps.
pub(super) fn fresh_key() -> anyhow::Result<MaskKey> {
    Ok(MaskKey::new(random()?))
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("failed to get random bytes")?;
    Ok(bytes)
}

/// Refuses a change of what cannot be changed while the daemon runs.
pub(super) fn check_unchanged(before: &Config, after: &Config) -> anyhow::Result<()> {
    let same = [
        ("listen", before.listen == after.listen),
        ("store", before.store == after.store),
        ("telemetry", before.telemetry == after.telemetry),
        ("audit", before.audit == after.audit),
    ];
    let changed: Vec<&str> = same.into_iter().filter(|(_, same)| !same).map(|(section, _)| section).collect();
    if !changed.is_empty() {
        bail!("a change of `{}` needs a restart", changed.join("`, `"));
    }
    Ok(())
}

//! What to do about an error that does not say so itself.

use std::io::ErrorKind;

use crate::store::StoreError;

/// Returns what to do about an error, if that is known.
pub(super) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(of_store).or_else(|| error.chain().find_map(of_rest))
}

fn of_store(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match cause.downcast_ref::<StoreError>()? {
        StoreError::Url => Some("write a path, such as sqlite://./driftwarden.db"),
        StoreError::Foreign { .. } => Some("name another file under `store.url`"),
        StoreError::Damaged { .. } => {
            Some("put a backup in its place, or move it away to begin anew; what it remembers is lost then")
        }
        StoreError::Newer { .. } => Some("run the newer program, or name another file under `store.url`"),
        StoreError::Stale { .. } => Some("another daemon has taken over this database: stop one of them"),
        StoreError::Database { .. } => Some("the folder of `store.url` must be there, be writable and have room"),
        _ => None,
    }
}

fn of_rest(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) {
        return Some("start it with `driftwarden run`, or say where it is with --url");
    }
    match cause.downcast_ref::<std::io::Error>()?.kind() {
        ErrorKind::AddrInUse => Some("another program, perhaps another driftwarden, listens there: set `listen`"),
        ErrorKind::AddrNotAvailable => Some("this machine has no such address: set `listen`"),
        ErrorKind::ReadOnlyFilesystem => Some("the folder of `store.url` must be writable"),
        ErrorKind::StorageFull => Some("make room on the disk, and start again: nothing is lost"),
        ErrorKind::PermissionDenied => Some("run as a user who may do that, or choose another place"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn check(error: impl Into<anyhow::Error>, words: &str) {
        let error = Err::<(), anyhow::Error>(error.into()).context("failed to start").unwrap_err();
        assert!(hint(&error).is_some_and(|hint| hint.contains(words)), "{error:#}");
    }

    #[test]
    fn what_goes_wrong_at_the_start_has_a_hint() {
        check(std::io::Error::from(ErrorKind::AddrInUse), "`listen`");
        check(std::io::Error::from(ErrorKind::ReadOnlyFilesystem), "writable");
        check(std::io::Error::from(ErrorKind::StorageFull), "room");
        check(StoreError::Newer { found: 9, known: 2 }, "newer program");
        check(StoreError::Foreign { path: "x".to_owned() }, "another file");
        let source = sqlx::Error::Io(std::io::Error::from(ErrorKind::ReadOnlyFilesystem));
        check(StoreError::Database { what: "open the database", source }, "writable");
    }
}

//! The audit chain in the store: joins two parts that do not know each other, and nothing more.

use std::sync::Arc;

use async_trait::async_trait;

use crate::audit::chain::Row;
use crate::audit::{AuditStore, BoxError};
use crate::store::{AuditRow, Store};

/// The audit chain, kept in a store.
#[derive(Debug)]
pub struct Ledger(pub Arc<dyn Store>);

#[async_trait]
impl AuditStore for Ledger {
    async fn append(&self, rows: &[Row]) -> Result<(), BoxError> {
        let rows: Vec<_> = rows.iter().cloned().map(to_store).collect();
        Ok(self.0.audit_append(&rows).await?)
    }

    async fn rows(&self, seq: u64, limit: u32) -> Result<Vec<Row>, BoxError> {
        Ok(self.0.audit_rows(seq, limit).await?.into_iter().map(from_store).collect())
    }

    async fn last(&self) -> Result<Option<Row>, BoxError> {
        Ok(self.0.audit_last().await?.map(from_store))
    }
}

fn to_store(row: Row) -> AuditRow {
    let Row { seq, at, body, prev, hash } = row;
    AuditRow { seq, at, body, prev, hash }
}

fn from_store(row: AuditRow) -> Row {
    let AuditRow { seq, at, body, prev, hash } = row;
    Row { seq, at, body, prev, hash }
}

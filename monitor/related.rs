//! What the rest of a scope says of what is declared, asked for before each look, and only where a declaration needs it.
//!
//! It is not remembered: that an alias was given another key is news. That it could not be had never stops a scan; what hangs
//! on it is unknown then.

use std::collections::BTreeMap;
use std::time::Duration;

use driftwarden_core::expected::Expected;
use driftwarden_core::related::Related;
use driftwarden_core::resource::Scope;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::collect::Collector;
use crate::telemetry::emit;
use crate::telemetry::events::RelatedLacked;

/// How long a scan waits for the facts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks for facts, and what of it was told.
#[derive(Debug)]
pub struct Relations {
    /// Why facts could not be had, by scope.
    lacking: Mutex<BTreeMap<Scope, String>>,
    patience: Duration,
}

impl Default for Relations {
    fn default() -> Self {
        Self { lacking: Mutex::default(), patience: PATIENCE }
    }
}

impl Relations {
    /// Returns what is to be known besides the resources of a scope, as far as it can be read.
    pub async fn of(&self, (scope, collector): (&Scope, &dyn Collector), expected: &Expected) -> Related {
        if !expected.names_alias() {
            return Related::default();
        }
        let why = match timeout(self.patience, collector.key_aliases(scope)).await {
            Ok(Ok(targets)) => {
                self.lacking.lock().remove(scope);
                return Related::of_aliases(&targets);
            }
            Ok(Err(error)) => format!("{:#}", anyhow::Error::from(error)),
            Err(_) => "the provider did not answer in time".to_owned(),
        };
        self.lack(scope, &why);
        Related::default()
    }

    /// Tells what could not be had, once for each reason.
    fn lack(&self, scope: &Scope, why: &str) {
        let before = self.lacking.lock().insert(scope.clone(), why.to_owned());
        if before.as_deref() != Some(why) {
            emit(&RelatedLacked { scope, why });
        }
    }
}

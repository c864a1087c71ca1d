//! Resources that nobody declares because something else made them: the children of a controller.

use serde_json::Value;

use crate::resource::{Kind, Provider};

/// Returns whether a resource belongs to another one that made it, and so is nobody's omission in Git.
pub fn is_owned(provider: Provider, kind: &Kind, name: &str, attributes: &Value) -> bool {
    let _ = (kind, name);
    provider == Provider::Kubernetes
        && attributes
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array)
            .is_some_and(|owners| owners.iter().any(|owner| owner.get("controller") == Some(&Value::Bool(true))))
}

//! Mending: the gate before a hook, and one file per hook type.

//! Telling people: one file per receiver type, one line each in [`NOTIFIERS`].

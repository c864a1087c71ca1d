//! Rebuilds the daemon when a migration changes: they are embedded by a macro, which Cargo does not see.

fn main() {
    println!("cargo::rerun-if-changed=monitor/store/migrations");
}

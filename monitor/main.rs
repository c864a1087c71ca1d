//! The program `driftwarden`: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Fails only if somebody installed one before; then that one is used.
    drop(rustls::crypto::ring::default_provider().install_default());
    driftwarden::cli::main()
}

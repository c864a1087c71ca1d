//! The program `driftwarden`: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A page of two megabytes for some kilobytes doubles what a small program holds. Where it is refused, nothing is lost.
    #[cfg(target_os = "linux")]
    let _is_refused = rustix::thread::disable_transparent_huge_pages(true).is_err();
    // Fails only if somebody installed one before; then that one is used.
    drop(rustls::crypto::ring::default_provider().install_default());
    driftwarden::cli::main()
}

//! The program `driftwarden`.

fn main() {}

//! The one integration binary.
//!
//! A new test goes into the module of its topic: one line here and a file beside this one. What needs a third-party peer
//! or a running daemon takes it from `harness`. What can be tested beside the code it tests belongs there, not here.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a failed look-up is a failed test")]
#![expect(clippy::print_stdout, reason = "a test that skips or measures says so")]
#![expect(
    clippy::let_underscore_must_use,
    clippy::string_slice,
    clippy::type_complexity,
    reason = "tests are not production"
)]
#![expect(unreachable_pub, reason = "nobody uses a test binary as a library")]

mod accepted;
mod accounts;
mod alerts;
mod api_server;
mod authors;
mod broken_answers;
mod clouds;
mod conformance;
mod demo;
mod direct;
mod estate;
mod first_light;
mod harness;
mod key_aliases;
mod left_out;
mod noticed;
mod peers;
mod power_cuts;
mod provider_schemas;
mod repositories;
mod rescans;
mod starts;
mod stated_schemas;
mod synthetic;
mod telling;
mod tidy;
mod watched;

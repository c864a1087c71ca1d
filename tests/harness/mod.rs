//! What the tests stand on: peers that other people wrote, a daemon started as a process, and small means to talk to both.
//!
//! Nothing in here goes through the code under test: seeds are sown and answers are read as any outsider would.
//! A starter returns `None` after saying `SKIPPED peer …` on standard error when its peer cannot be had on this machine;
//! with `DRIFTWARDEN_REQUIRE_PEERS=1` that is a failure instead.

#![allow(dead_code, reason = "a harness offers more than the tests of one day use")]

pub mod aws;
pub mod aws_estate;
pub mod daemon;
pub mod estate;
pub mod git;
pub mod http;
pub mod kubernetes;
pub mod moto;
pub mod observe;
pub mod peers;
pub mod process;
pub mod recorder;
pub mod scripted;
pub mod world;

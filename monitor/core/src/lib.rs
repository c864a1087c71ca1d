//! The pure middle of driftwarden: the words of the field, and what a scan makes of what was read.
//!
//! Nothing here waits, reads a file, opens a socket or asks the time: `now` is always an argument. That is what lets
//! every decision be tested as a table, and what makes the same input give the same bytes on every machine.
//!
//! In reading order:
//! [`resource`] → [`region`] → [`siblings`] → [`scalers`] → [`related`] → [`expected`] → [`schema`] → [`normalize`] → [`compare`] →
//! [`rule`] → [`ignore`] → [`snapshot`] → [`control`] → [`cause`] → [`finding`] → [`priority`] → [`decide`] → [`group`].

pub mod cause;
pub mod compare;
pub mod control;
pub mod decide;
pub mod expected;
pub mod finding;
pub mod group;
pub mod ignore;
pub mod matcher;
pub mod normalize;
pub mod ownership;
pub mod priority;
pub mod region;
pub mod related;
pub mod resource;
pub mod rule;
pub mod scalers;
pub mod schema;
pub mod siblings;
pub mod snapshot;

//! Answers by script, for the faults that no well-behaved peer can be made to commit.
//!
//! Proves how the daemon takes an answer, never that a cloud gives it: the shapes come from recordings and documentation.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::harness::http::Answer;

/// A way in which an API misbehaves, with the JSON it would have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends in the middle of the body.
    HalfABody,
    /// The body is complete by its length, but its JSON stops.
    CutJson,
    /// A proxy's login page, with status 200.
    LoginPage,
    /// A JSON document of another shape.
    OtherShape,
    /// HTTP 429 for good.
    Throttled,
    /// HTTP 500 for good.
    Broken,
    /// HTTP 403.
    Forbidden,
    /// Nothing, for longer than anybody waits.
    Silent,
}

impl Fault {
    /// Returns what is sent instead of `body`.
    pub fn answer(self, body: &Value) -> Answer {
        let text = body.to_string();
        match self {
            Self::HalfABody => Answer::json(200, body).cut_after(text.len() / 2),
            Self::CutJson => Answer::new(200, "application/json", &text.as_bytes()[..text.len() / 2]),
            Self::LoginPage => Answer::new(200, "text/html", "<html><form action=/login>password</form></html>"),
            Self::OtherShape => Answer::json(200, &json!(["unexpected", 1, null])),
            Self::Throttled => Answer::json(429, &json!({"message": "slow down"})).with("retry-after", "1"),
            Self::Broken => Answer::json(500, &json!({"message": "internal failure"})),
            Self::Forbidden => Answer::json(403, &json!({"message": "forbidden"})),
            Self::Silent => Answer::json(200, body).after(Duration::from_mins(10)),
        }
    }
}

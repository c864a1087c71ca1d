//! The chain of records and its anchors: the formats, and what makes them believable. Reads and writes nothing.
//!
//! # The chain
//!
//! A row is `seq`, `at`, `body`, `prev`, `hash`. `seq` counts from 1 without holes. `at` is a time in RFC 3339, for
//! people: the order is that of `seq`. `body` is a JSON text, taken as the bytes that it is. `prev` is the `hash` of the
//! row before, and 64 zeros in the first row. `hash` is the SHA-256, in 64 lower-case hexadecimal digits, of the
//! following bytes: five fields, each written as its length in bytes (decimal digits), a colon, its bytes, a line feed.
//!
//! ```text
//! driftwarden-audit-v1    the name of this format
//! seq                     in decimal digits
//! at
//! prev
//! body
//! ```
//!
//! # The anchors
//!
//! A text file outside the database, one line for each row that was ever written. A *confirmation* is `SEQ HASH`; before
//! it, an *announcement* is `? SEQ HASH`; each ends with a line feed. What follows the last line feed was torn by a kill
//! and means nothing. A chain is intact if and only if
//!
//! 1. every line is of one of these two forms, and the confirmations count from 1 without holes;
//! 2. every row follows the one before it, by `seq` and `prev`, and its `hash` is what its fields hash to;
//! 3. every confirmation has the `hash` of the row of that `seq`; no confirmed row is missing;
//! 4. every row after the last confirmation has the `hash` of the last announcement of its `seq`.

use std::collections::HashMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// What the first record follows.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const FORMAT: &str = "driftwarden-audit-v1";

/// One record in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Position, from 1.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// JSON text of the record.
    pub body: String,
    /// Hash of the row before.
    pub prev: String,
    /// Hash of this row.
    pub hash: String,
}

impl Row {
    /// Returns what the fields hash to.
    pub fn computed_hash(&self) -> String {
        let Self { seq, at, body, prev, hash: _ } = self;
        let mut hasher = Sha256::new();
        for field in [FORMAT, &seq.to_string(), at, prev, body] {
            hasher.update(format!("{}:", field.len()));
            hasher.update(field);
            hasher.update("\n");
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }
}

/// Returns the rows that continue a chain after `seq`, whose hash is `prev`.
pub fn continued(seq: u64, prev: &str, bodies: Vec<(Timestamp, String)>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(bodies.len());
    for ((at, body), seq) in bodies.into_iter().zip(seq.saturating_add(1)..) {
        let prev = rows.last().map_or(prev, |row| &row.hash).to_owned();
        let mut row = Row { seq, at: at.to_string(), body, prev, hash: String::new() };
        row.hash = row.computed_hash();
        rows.push(row);
    }
    rows
}

/// Returns the lines that announce rows.
pub fn announcements(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("? {} {}\n", row.seq, row.hash)).collect::<Vec<_>>().concat()
}

/// Returns the lines that confirm rows.
pub fn confirmations(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{} {}\n", row.seq, row.hash)).collect::<Vec<_>>().concat()
}

/// A chain or its anchors are not what they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid audit chain at record {index}: {why}")]
pub struct Broken {
    /// Position of the first bad record.
    pub index: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A chain is what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many records it has.
    pub records: u64,
}

/// What the lines of an anchor file say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchored {
    /// Confirmed hashes; that of record 1 comes first.
    pub confirmed: Vec<String>,
    /// Announced and not confirmed, by position; the last word counts.
    pub announced: HashMap<u64, String>,
}

impl Anchored {
    /// Reads the lines of an anchor file up to the last line feed.
    pub fn parse(text: &str) -> Result<Self, Broken> {
        let mut anchored = Self::default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _torn)| whole);
        for line in whole.split('\n').filter(|_| !whole.is_empty()) {
            anchored.take(line)?;
        }
        Ok(anchored)
    }

    fn take(&mut self, line: &str) -> Result<(), Broken> {
        let index = self.next();
        let broken = |why| Broken { index, why };
        let (is_announced, pair) = line.strip_prefix("? ").map_or((false, line), |pair| (true, pair));
        let (seq, hash) = parse_pair(pair).ok_or_else(|| broken("a line of the anchors means nothing"))?;
        if is_announced {
            self.announced.insert(seq, hash);
        } else if seq == index {
            self.confirmed.push(hash);
            self.announced.remove(&seq);
        } else {
            return Err(broken("its anchor is missing"));
        }
        Ok(())
    }

    /// Returns the position after the last confirmed one.
    pub fn next(&self) -> u64 {
        u64::try_from(self.confirmed.len()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn hash_of(&self, seq: u64) -> Option<&String> {
        let position = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.confirmed.get(position).or_else(|| self.announced.get(&seq))
    }
}

fn parse_pair(pair: &str) -> Option<(u64, String)> {
    let (digits, hash) = pair.split_once(' ')?;
    let seq: u64 = digits.parse().ok()?;
    let is_hex = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (seq.to_string() == digits && hash.len() == GENESIS.len() && is_hex).then(|| (seq, hash.to_owned()))
}

/// Checks a chain, row by row, from the first to the last.
#[derive(Debug)]
pub struct Verifier<'a> {
    pub(super) anchored: &'a Anchored,
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl<'a> Verifier<'a> {
    /// Begins before the first row.
    pub fn new(anchored: &'a Anchored) -> Self {
        Self { anchored, seq: 0, hash: GENESIS.to_owned() }
    }

    /// Takes the next row.
    pub fn take(&mut self, row: &Row) -> Result<(), Broken> {
        let index = self.seq.saturating_add(1);
        let why = if row.seq != index {
            "a record is missing, or is there twice"
        } else if row.prev != self.hash {
            "it does not follow the record before"
        } else if row.hash != row.computed_hash() {
            "its hash is not that of its text"
        } else if self.anchored.hash_of(index) != Some(&row.hash) {
            "its anchor says otherwise"
        } else {
            self.seq = index;
            self.hash.clone_from(&row.hash);
            return Ok(());
        };
        Err(Broken { index, why })
    }

    /// Ends after the last row.
    pub fn finish(self) -> Result<Verified, Broken> {
        let next = self.seq.saturating_add(1);
        if next < self.anchored.next() {
            return Err(Broken { index: next, why: "it is anchored, and gone" });
        }
        Ok(Verified { records: self.seq })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const RECORDS: u64 = 200;

    /// Made once: unoptimized hashing is slow.
    static CHAIN: LazyLock<Vec<Row>> = LazyLock::new(chain);
    static ANCHORED: LazyLock<Anchored> = LazyLock::new(|| Anchored::parse(&anchors(&CHAIN)).unwrap());

    fn chain() -> Vec<Row> {
        let body = |n| format!("{{\"actor\":\"a\",\"what\":\"hook.started\",\"subject\":{{\"n\":{n}}}}}");
        let at = |n| Timestamp::from_second(1_790_000_000 + n).unwrap();
        continued(0, GENESIS, (0..RECORDS.cast_signed()).map(|n| (at(n), body(n))).collect())
    }

    fn anchors(rows: &[Row]) -> String {
        announcements(rows) + &confirmations(rows)
    }

    /// Answers with the first bad index, or 0 for an intact chain.
    fn verdict(rows: &[Row], anchors: &str) -> u64 {
        Anchored::parse(anchors)
            .and_then(|anchored| verify(rows, Verifier::new(&anchored)))
            .unwrap_or_else(|it| it.index)
    }

    fn verify(rows: &[Row], mut verifier: Verifier<'_>) -> Result<u64, Broken> {
        rows.iter().try_for_each(|row| verifier.take(row))?;
        verifier.finish().map(|_| 0)
    }

    /// The chain must break at `index` when `change` was done to it.
    fn check(index: u64, change: impl FnOnce(&mut Vec<Row>)) {
        let mut rows = CHAIN.clone();
        change(&mut rows);
        // What is before the change was hashed often enough.
        let same = rows.iter().zip(CHAIN.iter()).take_while(|(row, known)| row == known).count();
        let hash = same.checked_sub(1).map_or(GENESIS, |last| &rows[last].hash).to_owned();
        let verifier = Verifier { anchored: &ANCHORED, seq: u64::try_from(same).unwrap(), hash };
        assert_eq!(verify(&rows[same..], verifier).unwrap_or_else(|broken| broken.index), index);
    }

    /// Hashes everything anew from `from` on, as somebody who knows the format would.
    fn rewrite(rows: &mut [Row], from: usize) {
        for n in from..rows.len() {
            rows[n].seq = u64::try_from(n).unwrap() + 1;
            rows[n].prev = if n == 0 { GENESIS.to_owned() } else { rows[n - 1].hash.clone() };
            rows[n].hash = rows[n].computed_hash();
        }
    }

    #[test]
    fn an_intact_chain_is_intact() {
        assert_eq!(verdict(&CHAIN, &anchors(&CHAIN)), 0);
        assert_eq!(verdict(&[], ""), 0);
    }

    /// Each field as bytes, in the order of the columns.
    fn fields(row: &mut Row) -> [&mut String; 4] {
        [&mut row.at, &mut row.body, &mut row.prev, &mut row.hash]
    }

    #[test]
    fn every_changed_byte_is_found_where_it_is() {
        for (n, row) in CHAIN.iter().enumerate() {
            let before = n.checked_sub(1).map_or(GENESIS, |n| &CHAIN[n].hash).to_owned();
            for field in 0..4 {
                for byte in 0..fields(&mut row.clone())[field].len() {
                    let mut changed = row.clone();
                    let text = &mut *fields(&mut changed)[field];
                    let mut bytes = text.clone().into_bytes();
                    // The lowest bit keeps ASCII what it is.
                    bytes[byte] ^= 1;
                    *text = String::from_utf8(bytes).unwrap();
                    let mut verifier = Verifier { anchored: &ANCHORED, seq: row.seq - 1, hash: before.clone() };
                    assert_eq!(verifier.take(&changed).unwrap_err().index, row.seq, "{changed:?}");
                }
            }
        }
    }

    #[test]
    fn every_deleted_doubled_or_swapped_record_is_found() {
        for n in 0..usize::try_from(RECORDS).unwrap() {
            let index = u64::try_from(n).unwrap() + 1;
            check(index, |rows| drop(rows.remove(n)));
            check(index + 1, |rows| rows.insert(n, rows[n].clone()));
            if index < RECORDS {
                check(index, |rows| rows.swap(n, n + 1));
            }
        }
    }

    #[test]
    fn every_cut_is_found() {
        for length in 0..usize::try_from(RECORDS).unwrap() {
            check(u64::try_from(length).unwrap() + 1, |rows| rows.truncate(length));
        }
    }

    #[test]
    fn every_rewritten_suffix_is_found() {
        for n in (0..usize::try_from(RECORDS).unwrap()).step_by(3) {
            let index = u64::try_from(n).unwrap() + 1;
            check(index, |rows| {
                rows[n].body.push(' ');
                rewrite(rows, n);
            });
            check(index, |rows| {
                let mut forged = rows[n].clone();
                forged.body.push(' ');
                rows.insert(n, forged);
                rewrite(rows, n);
            });
            check(index, |rows| {
                rows.remove(n);
                rewrite(rows, n);
            });
        }
    }

    #[test]
    fn a_forged_record_at_the_end_is_found() {
        check(RECORDS + 1, |rows| {
            let forged = rows[0].clone();
            rows.push(forged);
            let last = rows.len() - 1;
            rewrite(rows, last);
        });
    }

    #[test]
    fn anchors_of_another_time_or_chain_are_found() {
        let rows = &*CHAIN;
        let older: String = anchors(&rows[..150]);
        let mut other = CHAIN.clone();
        other[3].body.push(' ');
        rewrite(&mut other, 3);
        assert_eq!(verdict(rows, ""), 1);
        assert_eq!(verdict(rows, &older), 151);
        assert_eq!(verdict(&rows[..150], &anchors(rows)), 151);
        assert_eq!(verdict(rows, &anchors(&other)), 4);
    }

    #[test]
    fn every_changed_byte_of_a_confirmation_is_found() {
        let rows = &CHAIN[..20];
        let whole = confirmations(rows);
        // Without its last line feed the last line is torn, and the record was never announced: that is found, too.
        for byte in 0..whole.len() {
            let mut bytes = whole.clone().into_bytes();
            bytes[byte] ^= 1;
            assert_ne!(verdict(rows, &String::from_utf8(bytes).unwrap()), 0, "byte {byte}");
        }
    }

    fn cut(text: &str, length: usize) -> &str {
        text.get(..length).unwrap()
    }

    /// Plays a kill after each step of an append; the record must then stand, or be gone without a trace.
    #[test]
    fn a_kill_between_two_steps_leaves_an_intact_chain() {
        let rows = &*CHAIN;
        let (before, batch) = rows.split_at(197);
        let (announced, confirmed) = (announcements(batch), confirmations(batch));
        let start = anchors(before);
        for torn in 0..=announced.len() {
            assert_eq!(verdict(before, &format!("{start}{}", cut(&announced, torn))), 0, "announcing, {torn}");
        }
        for torn in 0..=confirmed.len() {
            let lines = format!("{start}{announced}{}", cut(&confirmed, torn));
            // After a kill the confirmed lines stand, and what was announced must not be forgotten by them.
            assert_eq!(verdict(rows, &lines), 0, "confirming, {torn}");
        }
    }
}

//! What the demo shows: lines of text from what the daemon says and what was planted.
//!
//! Only text; whoever runs the demo writes it to a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::{SignedDuration, Timestamp};

use super::{Story, Summary};
use crate::view::FindingView;

/// What is known of one scope.
#[derive(Debug, Clone)]
pub struct ScopeLine {
    /// Its name.
    pub scope: String,
    /// Whether the last look read all of it.
    pub complete: bool,
    /// How many resources were seen.
    pub resources: u64,
    /// How many of them Git declares.
    pub managed: u64,
    /// When the last look ended.
    pub read_at: Timestamp,
}

/// One moment of the demo.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The time.
    pub now: Timestamp,
    /// Since the start.
    pub elapsed: SignedDuration,
    /// Where the daemon listens.
    pub url: &'a str,
    /// What is watched.
    pub scopes: &'a [ScopeLine],
    /// What the daemon says.
    pub findings: &'a [FindingView],
    /// What happened, and when after the start.
    pub stories: &'a [(SignedDuration, Story)],
    /// How it went so far.
    pub summary: &'a Summary,
}

/// How large the terminal is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Characters in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Stories that are shown below the table.
const STORIES: usize = 8;

/// Returns the lines of one moment, none longer than the terminal is wide, and no more than it is high.
pub fn draw(moment: &Moment<'_>, size: Size) -> Vec<String> {
    let mut lines = head(moment, size.width);
    let told = moment.stories.len().min(STORIES);
    let room = size.height.saturating_sub(lines.len() + told + 4).max(3);
    lines.extend(table(moment, size.width, room));
    lines.push(String::new());
    let skipped = moment.stories.len() - told;
    lines.extend(moment.stories.iter().skip(skipped).map(|(at, story)| story_line(*at, story, size.width)));
    lines
}

fn head(moment: &Moment<'_>, width: usize) -> Vec<String> {
    let summary = moment.summary;
    let title = format!("driftwarden demo  {}  {}", clock(moment.elapsed), moment.url);
    let score = format!(
        "intruder {}  detected {}  mended {}  false alarms {}",
        summary.intrusions, summary.detected, summary.mended, summary.false_alarms
    );
    let mut lines = vec![styled(&title, width, BOLD), styled(&score, width, Style::new())];
    if moment.scopes.is_empty() {
        lines.push(styled("reading both clouds for the first time", width, DIM));
    }
    for scope in moment.scopes {
        let (word, style) = if scope.complete { ("complete", GREEN) } else { ("INCOMPLETE", YELLOW) };
        let read = seconds(moment.now.duration_since(scope.read_at));
        let line = format!(
            "{:<36} {word}  {} resources, {} declared, read {read} ago",
            scope.scope, scope.resources, scope.managed
        );
        lines.push(styled(&line, width, style));
    }
    lines.push(String::new());
    lines
}

fn table(moment: &Moment<'_>, width: usize, room: usize) -> Vec<String> {
    let mut shown: Vec<_> = moment.findings.iter().filter(|finding| finding.phase != "resolved").collect();
    shown.sort_by(|a, b| (a.priority, &b.first_seen).cmp(&(b.priority, &a.first_seen)));
    let mut lines = vec![styled(&row(["FOUND", "P", "PHASE", "WHAT", "CAUSE", "AGE", "RESOURCE"]), width, DIM)];
    for finding in shown.iter().take(room) {
        let style = match finding.phase {
            "open" if finding.priority <= 2 => RED,
            "open" => YELLOW,
            _ => DIM,
        };
        lines.push(styled(&finding_row(finding, moment.now), width, style));
    }
    match shown.len() {
        0 => lines.push(styled("nothing: everything is as Git says", width, GREEN)),
        all if all > room => lines.push(styled(&format!("and {} more", all - room), width, DIM)),
        _ => {}
    }
    lines
}

fn finding_row(finding: &FindingView, now: Timestamp) -> String {
    let seen = finding.first_seen.parse::<Timestamp>().ok();
    let age = seen.map(|seen| seconds(now.duration_since(seen))).unwrap_or_default();
    let what = if finding.type_ == "drift" { finding.drift } else { "violation" };
    let about = if finding.rule.is_empty() { String::new() } else { format!("  [{}]", finding.rule) };
    let resource = format!("{} {}{about}", finding.resource.kind, finding.resource.name);
    let found = seen.map(|seen| seen.strftime("%H:%M:%S").to_string()).unwrap_or_default();
    row([&found, &format!("P{}", finding.priority), finding.phase, what, finding.cause, &age, &resource])
}

fn row([found, priority, phase, what, cause, age, resource]: [&str; 7]) -> String {
    format!("{found:<9} {priority:<3} {phase:<8} {what:<10} {cause:<17} {age:>7}  {resource}")
}

/// Returns one line of the story.
pub fn story_line(at: SignedDuration, story: &Story, width: usize) -> String {
    let (who, text, style) = match story {
        Story::Planted(what) => ("intruder", what.clone(), CYAN),
        Story::Committed(what) => ("git", format!("{what}, but nobody applies it"), CYAN),
        Story::Detected(what, after) => ("found", format!("{what}: confirmed after {}", seconds(*after)), RED),
        Story::Mended(what, after) => ("hook", format!("{what}: mended after {}", seconds(*after)), GREEN),
        Story::Restored(what) => ("colleague", format!("{what}: put back by hand"), Style::new()),
        Story::FalseAlarm(what) => ("FALSE", format!("{what}: nobody did that"), YELLOW),
    };
    styled(&format!("{} {who:<9} {text}", clock(at)), width, style)
}

/// Returns the last words of the demo.
pub fn closing(summary: &Summary, requests: u64, elapsed: SignedDuration) -> Vec<String> {
    let mut detection = String::new();
    if let (Some(median), Some(slowest)) = (summary.median_detection, summary.slowest_detection) {
        // Writing to a string cannot fail.
        write!(detection, " (median {}, slowest {})", seconds(median), seconds(slowest)).ok();
    }
    let pending = summary.intrusions.saturating_sub(summary.detected + summary.too_brief);
    for (count, what) in [(summary.too_brief, "put back before they were confirmed"), (pending, "not yet")] {
        if count > 0 {
            write!(detection, ", {count} {what}").ok();
        }
    }
    let (commits, told) = summary.unapplied;
    vec![
        format!("{} of demo, {requests} requests to the simulated clouds", clock(elapsed)),
        format!("changes by the intruder   {}", summary.intrusions),
        format!("confirmed                 {}{detection}", summary.detected),
        format!("mended by the hook        {}", summary.mended),
        format!("unapplied commits         {commits}, of which {told} were told from tampering"),
        format!("false alarms              {}", summary.false_alarms),
    ]
}

/// Cuts a line to the width, and colors it.
fn styled(line: &str, width: usize, style: Style) -> String {
    let cut: String = line.chars().filter(|c| !c.is_control()).take(width).collect();
    format!("{style}{cut}{style:#}")
}

fn clock(elapsed: SignedDuration) -> String {
    let seconds = elapsed.as_secs().max(0);
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

fn seconds(duration: SignedDuration) -> String {
    let tenths = duration.as_millis().max(0) / 100;
    if tenths >= 1200 { format!("{} min", tenths / 600) } else { format!("{}.{} s", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            intrusions: 9,
            detected: 8,
            too_brief: 1,
            median_detection: Some(SignedDuration::from_millis(4_250)),
            slowest_detection: Some(SignedDuration::from_millis(7_100)),
            mended: 2,
            unapplied: (2, 2),
            false_alarms: 0,
        }
    }

    #[test]
    fn the_closing_says_how_it_went() {
        let text = closing(&summary(), 1234, SignedDuration::from_secs(61)).join("\n");
        assert_eq!(
            text,
            "01:01 of demo, 1234 requests to the simulated clouds\n\
             changes by the intruder   9\n\
             confirmed                 8 (median 4.2 s, slowest 7.1 s), 1 put back before they were confirmed\n\
             mended by the hook        2\n\
             unapplied commits         2, of which 2 were told from tampering\n\
             false alarms              0"
        );
    }

    #[test]
    fn no_line_is_wider_and_no_frame_higher_than_the_terminal() {
        let scope = |complete| ScopeLine {
            scope: "aws://123456789012/eu-west-1".to_owned(),
            complete,
            resources: 120,
            managed: 118,
            read_at: Timestamp::UNIX_EPOCH,
        };
        let stories: Vec<_> = (0..30)
            .map(|at| (SignedDuration::from_secs(at), Story::Planted("deletes a thing of a very long name".to_owned())))
            .collect();
        let moment = Moment {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(90),
            elapsed: SignedDuration::from_secs(90),
            url: "http://127.0.0.1:9465",
            scopes: &[scope(true), scope(false)],
            findings: &[],
            stories: &stories,
            summary: &summary(),
        };
        let lines = draw(&moment, Size { width: 30, height: 24 });
        assert!(lines.len() <= 24, "{}", lines.len());
        for line in lines {
            let seen: usize = line
                .split('\u{1b}')
                .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest))
                .map(|part| part.chars().count())
                .sum();
            assert!(seen <= 30, "{line:?}");
        }
    }
}

//! What goes wrong at the start is told at once: what, why, and what to do; with code 1.

use crate::harness::daemon::Daemon;

/// A cloud that nothing answers for.
const NOBODY: &str = "clouds: [{name: shop, type: kubernetes, server: \"http://127.0.0.1:1\", every: 1s}]\n";

/// Runs a command with another configuration in the folder of a daemon; checks its code and that each text is printed.
fn check(daemon: &Daemon, (command, config): (&str, &str), code: i32, texts: &[&str]) {
    let path = daemon.dir().join("other.yaml");
    std::fs::write(&path, config.replace("{dir}", &daemon.dir().display().to_string())).unwrap();
    let (found, out, err) = daemon.cli(&[command, "--config", &path.display().to_string()]);
    assert_eq!(found, code, "{config}\n{out}\n{err}");
    for text in texts {
        assert!(out.contains(text) || err.contains(text), "no {text:?} in\n{out}\n{err}");
    }
}

#[test]
fn what_cannot_start_says_why_and_what_to_do() {
    let daemon = Daemon::prepare(NOBODY, &[]);
    let with = |more: &str| format!("{more}\n{NOBODY}");
    std::fs::write(daemon.dir().join("foreign.db"), vec![b'x'; 5000]).unwrap();
    let foreign = with("store: {url: \"sqlite://{dir}/foreign.db\"}");
    check(&daemon, ("run", &foreign), 1, &["failed to open the store", "foreign.db", "hint: "]);
    let nowhere = with("store: {url: \"sqlite://{dir}/no/such/folder/x.db\"}");
    check(&daemon, ("run", &nowhere), 1, &["no/such/folder", "hint: "]);
    let open = with("listen: 0.0.0.0:9466");
    check(&daemon, ("run", &open), 1, &["not allowed to listen", "hint: listen on 127.0.0.1"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = with(&format!("listen: {}", listener.local_addr().unwrap()));
    check(&daemon, ("run", &taken), 1, &["failed to listen", "hint: another program"]);
    check(
        &daemon,
        ("check", NOBODY),
        1,
        &["failed  cloud shop", "failed to connect: nobody listens there; are address and port right"],
    );
}

#[test]
fn a_second_daemon_does_not_depose_the_first() {
    let mut daemon = Daemon::prepare(NOBODY, &[]);
    daemon.restart();
    let second = format!("listen: 127.0.0.1:0\nstore: {{url: \"sqlite://{{dir}}/driftwarden.db\"}}\n{NOBODY}");
    check(&daemon, ("run", &second), 1, &["another driftwarden runs on it", "hint: stop that one"]);
    let before = daemon.api("/api/v1/scans?limit=1").json()["scans"][0]["id"].clone();
    let newer =
        || Some(daemon.api("/api/v1/scans?limit=1").json()["scans"][0]["id"].clone()).filter(|id| *id != before);
    crate::harness::process::eventually("the first one still saves", 30, newer);
    daemon.kill9();
    daemon.restart();
    assert_eq!(daemon.stop(), Some(0), "what was killed holds nothing");
}

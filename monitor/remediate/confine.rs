//! What a command may use, and the end of everything that it started.
//!
//! Limits are set from outside, before the command gets its input: what it does before it reads that is not yet limited.
//! Elsewhere than on Linux there is no way to do either without unsafe code, and the process group is all there is.

use std::io;

use rustix::process::Pid;

use super::config::ExecLimits;

#[cfg(target_os = "linux")]
pub(super) use linux::{confine, end_all};

/// Sets the limits of a process that was just started, and of what it has started meanwhile.
#[cfg(not(target_os = "linux"))]
pub(super) fn confine(_leader: Pid, _mark: &[u8], _limits: ExecLimits) -> io::Result<()> {
    Ok(())
}

/// Ends every relative of a process that was started with that mark in its environment.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_all(_leader: Pid, _mark: &[u8]) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet};
    use std::fs::{self, File};
    use std::io::Read as _;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, prlimit};

    use super::{ExecLimits, Pid, io};

    const MIB: u64 = 1 << 20;
    /// How much of an environment is looked through.
    const ENVIRONMENT: u64 = 128 << 10;
    /// What starts others faster than they are ended is given up after that many rounds.
    const ROUNDS: usize = 20;
    const PAUSE: Duration = Duration::from_millis(10);

    /// Sets the limits of a process that was just started, and of what it has started meanwhile.
    pub(in crate::remediate) fn confine(leader: Pid, mark: &[u8], limits: ExecLimits) -> io::Result<()> {
        let ExecLimits { memory_mib, open_files, processes, file_size_mib } = limits;
        let wanted = [
            (Resource::As, memory_mib.saturating_mul(MIB)),
            (Resource::Nofile, open_files),
            (Resource::Nproc, processes),
            (Resource::Fsize, file_size_mib.saturating_mul(MIB)),
            // What a core would hold, the finding and the environment, belongs into no file.
            (Resource::Core, 0),
        ];
        for pid in std::iter::once(leader).chain(relatives(leader, mark)) {
            for (resource, most) in wanted {
                limit(pid, resource, most)?;
            }
        }
        Ok(())
    }

    fn limit(pid: Pid, resource: Resource, most: u64) -> io::Result<()> {
        // A process without privileges cannot give another one more than it has itself.
        let most = Some(getrlimit(resource).maximum.map_or(most, |own| own.min(most)));
        match prlimit(Some(pid), resource, Rlimit { current: most, maximum: most }) {
            Ok(_) | Err(Errno::SRCH) => Ok(()),
            Err(Errno::PERM) => {
                // What the configuration has run as another user, by `sudo` for one, is its own business.
                tracing::warn!(pid = pid.as_raw_nonzero(), "a command runs as another user, without limits");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends every relative of a process that was started with that mark in its environment. Blocks.
    pub(in crate::remediate) fn end_all(leader: Pid, mark: &[u8]) {
        for _ in 0..ROUNDS {
            let relatives = relatives(leader, mark);
            if relatives.is_empty() {
                return;
            }
            for pid in relatives {
                // One that is gone already is what is wanted.
                kill_process(pid, Signal::Kill).ok();
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Returns the living descendants of a process, and whoever has its mark: those whose parents have died are children
    /// of another process now, and may have left their group and session.
    fn relatives(leader: Pid, mark: &[u8]) -> HashSet<Pid> {
        let mut children = HashMap::<Pid, Vec<Pid>>::new();
        let mut found = Vec::new();
        for pid in processes().filter(|pid| *pid != getpid()) {
            if let Some(parent) = parent(pid) {
                children.entry(parent).or_default().push(pid);
            }
            if has_mark(pid, mark) {
                found.push(pid);
            }
        }
        found.push(leader);
        let mut relatives = HashSet::new();
        while let Some(pid) = found.pop() {
            if relatives.insert(pid) {
                found.extend(children.remove(&pid).unwrap_or_default());
            }
        }
        relatives.remove(&leader);
        relatives
    }

    fn processes() -> impl Iterator<Item = Pid> {
        let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
    }

    /// Returns the parent of a process that is not a zombie.
    fn parent(pid: Pid) -> Option<Pid> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The name of the program stands in brackets and may hold some.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = Pid::from_raw(fields.next()?.parse().ok()?);
        parent.filter(|_| state != "Z")
    }

    fn has_mark(pid: Pid, mark: &[u8]) -> bool {
        let mut environment = Vec::new();
        let file = File::open(format!("/proc/{}/environ", pid.as_raw_nonzero()));
        let read = file.and_then(|file| file.take(ENVIRONMENT).read_to_end(&mut environment));
        read.is_ok() && environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    }
}

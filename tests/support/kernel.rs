//! The kernel's own answers, given to processes with chosen credentials (tests/harness/access.py). Needs root and Python.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use perms::grants::access::{Capability, Credentials};
use serde_json::{Value, json};

use crate::support;

/// tests/harness/access.py, running: the kernel's answers.
pub(crate) struct Kernel {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Kernel {
    /// Starts it.
    pub(crate) fn start() -> Kernel {
        let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/access.py");
        let mut child = Command::new(support::which("python3").unwrap())
            .arg(harness)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Kernel { child, answers }
    }

    /// For each check 0 or the errno, as a process with these credentials gets it.
    pub(crate) fn ask(&mut self, creds: &Credentials, checks: &[Value]) -> Vec<i32> {
        let caps: u64 = [Capability::DacOverride, Capability::DacReadSearch, Capability::Fowner]
            .into_iter()
            .filter(|c| creds.capabilities.has(*c))
            .map(|c| 1 << c as u64)
            .sum();
        let line = json!({
            "uid": creds.uid, "gid": creds.gid, "groups": creds.groups, "caps": caps, "checks": checks,
        });
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let answer = self.answers.next().expect("the harness failed").unwrap();
        let answer: Vec<i32> = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.len(), checks.len());
        answer
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

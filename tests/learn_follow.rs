//! `perms why --follow` and `perms learn --follow` on a log that really grows: by bytes, over a renaming and over a
//! copy that is cut to nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn event(serial: u32, target: &str) -> String {
    format!(
        "type=AVC msg=audit(1795243565.012:{serial}): avc:  denied  {{ read }} for  pid=7 comm=\"a\" name=\"x\" dev=\"vda\" \
         ino=9 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:{target}:s0 tclass=file permissive=0\n\
         type=SYSCALL msg=audit(1795243565.012:{serial}): arch=c000003e syscall=257 success=no exit=-13 pid=7 uid=33 \
         comm=\"a\" exe=\"/usr/sbin/program-{serial}\" key=(null)\n\
         type=PROCTITLE msg=audit(1795243565.012:{serial}): proctitle=\"a\"\n"
    )
}

struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_perms"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Running { child, lines }
    }

    /// Waits for a line that holds `text`; all lines up to it.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) if line.contains(text) => {
                    seen.push(line);
                    return seen;
                }
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with `{text}`, but {seen:#?}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_growing_log_is_followed_over_rotations() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("audit.log");
    append(&log, &event(1, "one_t"));
    let running = Running::start(&["why", "--no-policy", "--follow", log.to_str().unwrap()]);
    running.until("(one_t)");

    // Known already; then a new one, in pieces that end anywhere, the event's rest a while later.
    append(&log, &event(2, "one_t"));
    let text = event(3, "two_t");
    let (avc, rest) = text.split_at(text.find("type=SYSCALL").unwrap());
    for piece in avc.as_bytes().chunks(97) {
        append(&log, std::str::from_utf8(piece).unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    append(&log, rest);
    let seen = running.until("program-3");
    let again = |line: &String| line.contains("was denied") && line.contains("one_t");
    assert!(!seen.iter().any(again), "what is known is not told again: {seen:#?}");
    assert!(seen.iter().any(|line| line.contains("(two_t)")));

    // Renamed in the middle of an event, and written to once more under its new name.
    let text = event(4, "three_t");
    let (avc, rest) = text.split_at(text.find("type=SYSCALL").unwrap());
    append(&log, avc);
    let old = dir.path().join("audit.log.1");
    std::fs::rename(&log, &old).unwrap();
    append(&old, &event(5, "four_t"));
    append(&log, rest);
    let mut seen = running.until("program-");
    seen.extend(running.until("program-"));
    let has = |text: &str| seen.iter().any(|line| line.contains(text));
    assert!(has("(three_t)") && has("(four_t)") && has("program-4") && has("program-5"), "{seen:#?}");

    // Copied away and cut to nothing.
    std::fs::copy(&log, dir.path().join("audit.log.2")).unwrap();
    File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    append(&log, &event(6, "five_t"));
    running.until("program-6");

    // A denial whose event never becomes whole is told all the same.
    append(&log, event(7, "six_t").lines().next().unwrap());
    append(&log, "\n");
    running.until("(six_t)");
}

#[test]
fn modules_follow_too_and_a_pipe_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_perms"))
        .args(["learn", "--no-policy", "--follow", "-o", dir.path().to_str().unwrap(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(event(1, "var_t").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    pipe.write_all(event(2, "usr_t").as_bytes()).unwrap();
    drop(pipe);
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let report = String::from_utf8(out.stdout).unwrap();
    assert!(report.contains("var_t") && report.contains("usr_t"), "{report}");
    let module = std::fs::read_to_string(dir.path().join("httpd_t.te")).unwrap();
    assert!(module.contains("var_t") && module.contains("usr_t"), "the module holds all: {module}");
}

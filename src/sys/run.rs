//! Running the host's own tools: always with an argument vector, never a shell, with a plain environment.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where administrators' tools are looked for; the caller's PATH is not trusted.
pub const TOOL_PATH: &[&str] =
    &["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// How a tool ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether its exit status was 0.
    pub success: bool,
    /// Its exit status, if it was not killed.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Ended {
    /// What it said, standard error first, as text.
    pub fn said(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.stderr).trim().to_owned();
        if text.is_empty() {
            text = String::from_utf8_lossy(&self.stdout).trim().to_owned();
        }
        text
    }
}

/// The path of a tool, if it is installed.
pub fn find(tool: &str) -> Option<PathBuf> {
    TOOL_PATH.iter().map(|d| Path::new(d).join(tool)).find(|p| p.is_file())
}

/// Runs `tool` with `args` and `input` on its standard input, and waits for it.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where it is not installed, else whatever starting it gave.
pub fn run<S: AsRef<OsStr>>(tool: &str, args: &[S], input: &[u8]) -> io::Result<Ended> {
    let path = find(tool)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("`{tool}` is not installed")))?;
    let search: Vec<OsString> = TOOL_PATH.iter().map(OsString::from).collect();
    let mut child = Command::new(path)
        .args(args)
        // Not ours: Ctrl-C ends perms between two changes, but must not end useradd in the middle of one.
        .process_group(0)
        .current_dir("/")
        .env_clear()
        .env("PATH", std::env::join_paths(search).unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // From a thread of its own: a tool that answers before it has read everything must not block us.
    let stdin = child.stdin.take();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&input);
        }
    });
    let output = child.wait_with_output()?;
    let _ = feeder.join();
    Ok(Ended {
        success: output.status.success(),
        code: output.status.code(),
        stdout: output.stdout,
        stderr: output.stderr,
    })
}

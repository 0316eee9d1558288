//! The real sudo, asked about a policy of ours: in a mount namespace of its own, over a copy of /etc, so that the
//! machine's own policy is neither read nor touched.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use perms::grants::identity::Identity;
use perms::grants::sudoers::ast::Digest;
use perms::grants::sudoers::{FileText, Files, FilesError, Folder, Programs, Reading, ThisHost, Tree};

use crate::support;

/// The accounts of the copy, beside those of the machine.
pub(crate) const PASSWD: &str = "dep:x:2000:2000::/home/dep:/bin/sh\nbob:x:2001:2001::/home/bob:/bin/sh\n\
                          eve:x:2002:2000::/home/eve:/bin/sh\n";
pub(crate) const GROUPS: &str = "dep:x:2000:\nbob:x:2001:dep\nops:x:2010:dep,eve\nmixedCase:x:2011:bob\n";

const SHADOW: &str = "dep:*:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\neve:*:19000:0:99999:7:::\n";

pub(crate) fn dep() -> Identity {
    Identity::new("dep", Some(2000))
        .with_group("dep", Some(2000))
        .with_group("bob", Some(2001))
        .with_group("ops", Some(2010))
}

pub(crate) fn bob() -> Identity {
    Identity::new("bob", Some(2001)).with_group("bob", Some(2001)).with_group("mixedCase", Some(2011))
}

pub(crate) fn eve() -> Identity {
    Identity::new("eve", Some(2002)).with_group("dep", Some(2000)).with_group("ops", Some(2010))
}

pub(crate) fn daemon() -> Identity {
    Identity::new("daemon", Some(1)).with_group("daemon", Some(1))
}

pub(crate) fn root() -> Identity {
    Identity::new("root", Some(0)).with_group("root", Some(0))
}

pub(crate) fn host() -> ThisHost {
    ThisHost { short: "web1".into(), full: "web1.example.org".into(), addresses: Some(Vec::new()) }
}

pub(crate) fn reading() -> Reading {
    Reading { host: b"web1".to_vec(), apparmor: false }
}

/// A copy of /etc and a shell over it that runs sudo.
pub(crate) struct Sudo {
    dir: tempfile::TempDir,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Ends each answer of the shell.
const END: &str = "--end-of-answer--";

impl Sudo {
    /// `None` where the tools or the rights are not there: the test returns.
    pub(crate) fn new() -> Option<Sudo> {
        if !["sudo", "visudo", "unshare", "mount"].iter().all(|t| support::have(t)) {
            return None;
        }
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout != b"0\n" && !support::skip("needs root for a mount namespace") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        assert!(Command::new("cp").args(["-a", "/etc"]).arg(&etc).status().unwrap().success());
        for (file, more) in [("passwd", PASSWD), ("group", GROUPS), ("shadow", SHADOW)] {
            let path = etc.join(file);
            let old = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{}\n{more}", old.trim_end())).unwrap();
        }
        std::fs::write(etc.join("hosts"), "127.0.0.1 localhost\n127.0.0.1 web1.example.org web1\n").unwrap();
        let script = "mount --make-rprivate / && mount --bind \"$0/etc\" /etc && hostname web1 && exec sh";
        let child = Command::new("unshare")
            .args(["-m", "-u", "sh", "-c", script])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut sudo = Sudo { dir, child, input, output };
        sudo.policy("root ALL=ALL\n");
        if sudo.shell("hostname").0 != "web1\n" && !support::skip("needs a mount namespace") {
            return None;
        }
        Some(sudo)
    }

    /// The file that is `path` for sudo.
    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    /// Sets the main file, and empties the include folder.
    pub(crate) fn policy(&mut self, text: impl AsRef<[u8]>) {
        let dir = self.real("/etc/sudoers.d");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        self.file("/etc/sudoers", text);
    }

    /// Sets a file of the policy, 0440.
    pub(crate) fn file(&mut self, path: &str, text: impl AsRef<[u8]>) {
        let real = self.real(path);
        let _ = std::fs::remove_file(&real);
        std::fs::write(&real, text).unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o440)).unwrap();
    }

    /// Runs a line of shell below the copy; its output (standard error with it) and status.
    pub(crate) fn shell(&mut self, line: &str) -> (String, i32) {
        self.send(line);
        self.receive()
    }

    /// Sends a line whose answer is received later, in the same order.
    fn send(&mut self, line: &str) {
        writeln!(self.input, "{{ {line}\n}} 2>&1 </dev/null; echo \"{END}$?\"").unwrap();
        self.input.flush().unwrap();
    }

    fn receive(&mut self) -> (String, i32) {
        let mut out = Vec::new();
        loop {
            let mut got = Vec::new();
            assert!(self.output.read_until(b'\n', &mut got).unwrap() > 0, "the shell has ended");
            let text = String::from_utf8_lossy(&got);
            if let Some((before, rc)) = text.trim_end().split_once(END) {
                out.extend_from_slice(before.as_bytes());
                return (String::from_utf8_lossy(&out).into_owned(), rc.parse().unwrap());
            }
            out.extend_from_slice(&got);
        }
    }

    /// Whether sudo would let `user` run this, as root asks. `options`: `-u USER`. (With `-g`, and for an empty runas
    /// list, sudo takes root for the one who asks; [`Sudo::ask`] is the better question then.)
    pub(crate) fn allows(&mut self, user: &str, options: &[&str], command: &[&str]) -> bool {
        let line = format!("sudo -n -l -U {user} {} -- {}", options.join(" "), all_quoted(command));
        self.shell(&line).1 == 0
    }

    /// Puts sudo-rs beside the copy; `false` where it is not there: the test returns.
    pub(crate) fn with_rs(&mut self) -> bool {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sudo-rs/bin/sudo");
        if !built.exists() {
            return support::skip(
                "needs sudo-rs: cargo install --locked --version 0.2.15 --root target/sudo-rs sudo-rs (with libpam0g-dev)",
            );
        }
        let here = self.dir.path().join("sudo-rs");
        std::fs::copy(built, &here).unwrap();
        // It refuses to work without.
        std::fs::set_permissions(here, std::fs::Permissions::from_mode(0o4755)).unwrap();
        true
    }

    /// Whether sudo-rs would let `user` run this, as root asks; and what it says of the policy.
    pub(crate) fn allows_rs(&mut self, user: &str, options: &[&str], command: &[&str]) -> (bool, String) {
        let line = format!(
            "{}/sudo-rs -n -l -U {user} {} -- {}",
            self.dir.path().display(),
            options.join(" "),
            all_quoted(command)
        );
        let (said, rc) = self.shell(&line);
        (rc == 0, said)
    }

    /// Whether sudo would let `user` run this, as they ask themselves. The policy must hold `Defaults listpw=never`.
    /// Asked here, answered by [`Sudo::allowed`], so that several can be under way.
    pub(crate) fn ask(&mut self, user: &str, options: &[&str], command: &[&str]) {
        let line =
            format!("{} sudo -n -l {} -- {}", become_user(user), options.join(" "), all_quoted(command));
        self.send(&line);
    }

    /// The answer to the first question that has none yet.
    pub(crate) fn allowed(&mut self) -> bool {
        self.receive().1 == 0
    }

    /// Whether sudo runs the command for `user` without a password.
    pub(crate) fn runs(&mut self, user: &str, options: &[&str], command: &[&str]) -> bool {
        let line =
            format!("{} sudo -n -k {} -- {}", become_user(user), options.join(" "), all_quoted(command));
        self.shell(&line).1 == 0
    }

    /// Whether visudo takes the policy, and what it says.
    pub(crate) fn visudo(&mut self) -> (bool, String) {
        let (out, rc) = self.shell("visudo -c");
        (rc == 0, out)
    }

    /// The policy as we read it.
    pub(crate) fn tree(&self) -> Tree {
        Tree::read(self, Path::new("/etc/sudoers"), &reading())
    }
}

impl Drop for Sudo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Files for Sudo {
    fn read(&self, path: &Path) -> Result<FileText, FilesError> {
        let real = self.real(path.to_str().unwrap());
        let meta = std::fs::metadata(&real).map_err(fail)?;
        if !meta.is_file() {
            return Err(FilesError::WrongKind);
        }
        let bytes = std::fs::read(&real).map_err(fail)?;
        Ok(FileText { bytes: bytes.into(), uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o7777 })
    }

    fn list(&self, dir: &Path) -> Result<Folder, FilesError> {
        use std::os::unix::ffi::OsStrExt as _;
        let real = self.real(dir.to_str().unwrap());
        let meta = std::fs::metadata(&real).map_err(fail)?;
        let names = std::fs::read_dir(&real)
            .map_err(fail)?
            .map(|e| e.unwrap().file_name().as_bytes().to_vec())
            .collect();
        Ok(Folder { uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o7777, names })
    }
}

fn fail(e: std::io::Error) -> FilesError {
    match e.kind() {
        std::io::ErrorKind::NotFound => FilesError::NotFound,
        _ => FilesError::Other(e.to_string()),
    }
}

/// The machine's own programs.
pub(crate) struct Real;

impl Programs for Real {
    fn identity(&self, path: &[u8]) -> Option<(u64, u64)> {
        use std::os::unix::ffi::OsStrExt as _;
        let meta = std::fs::metadata(std::ffi::OsStr::from_bytes(path)).ok()?;
        Some((meta.dev(), meta.ino()))
    }

    fn names(&self, dir: &[u8]) -> Vec<Vec<u8>> {
        use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
        let dir = std::fs::read_dir(std::ffi::OsStr::from_bytes(dir));
        dir.map(|d| d.flatten().map(|e| e.file_name().into_vec()).collect()).unwrap_or_default()
    }

    fn canonical(&self, dir: &[u8]) -> Option<Vec<u8>> {
        use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
        Some(std::fs::canonicalize(std::ffi::OsStr::from_bytes(dir)).ok()?.into_os_string().into_vec())
    }

    fn has_digest(&self, path: &[u8], digest: &Digest) -> Option<bool> {
        let path = String::from_utf8(path.to_vec()).ok()?;
        let out = Command::new(format!("{}sum", digest.kind.word())).arg(path).output().ok()?;
        let hex = String::from_utf8(out.stdout).ok()?.split(' ').next()?.to_owned();
        Some(hex.eq_ignore_ascii_case(&String::from_utf8_lossy(&digest.text)))
    }
}

fn become_user(user: &str) -> String {
    let gid = if user == "eve" { "dep" } else { user };
    format!("setpriv --reuid={user} --regid={gid} --init-groups")
}

fn all_quoted(words: &[&str]) -> String {
    words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")
}

/// A word for the shell.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How many generated cases a test runs: `PERMS_CASES`, else the number that fits into a quick run.
pub(crate) fn cases(quick: u32) -> u32 {
    std::env::var("PERMS_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(quick)
}

/// Says how far a long run is, where output is not captured.
pub(crate) fn progress(asked: u32, allowed: u32) {
    if asked.is_multiple_of(6000) {
        eprintln!("{asked} equal, {allowed} of them allowed");
    }
}

/// A small generator of random numbers (xorshift64*): the same seed gives the same cases everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// `PERMS_SEED` chooses other cases.
    pub(crate) fn new(seed: u64) -> Self {
        let shift = std::env::var("PERMS_SEED").ok().and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        Random((seed ^ shift.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Less than `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

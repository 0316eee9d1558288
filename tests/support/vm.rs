//! Runs `perms` in the virtual machine of tests/vm: Debian 12 under enforcing SELinux, fresh for each run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// The machine, known to be ready: a run starts in a second or two. At most two run at once on a host, whichever
/// test process asks (tests/vm/selinux-vm holds the rest back).
pub struct Vm {
    script: PathBuf,
    binary: PathBuf,
}

/// What to do in a fresh machine. The program under test is there as `perms`, in root's PATH.
pub struct RunSpec {
    /// Files or folders of this host, and where they go in the guest (owned by root there).
    pub puts: Vec<(PathBuf, String)>,
    /// Files or folders of the guest, and where they go on this host. One that is not there fails the test.
    pub gets: Vec<(String, PathBuf)>,
    /// The command and its arguments, run as root, in root's home.
    pub argv: Vec<String>,
    /// Variables for the command, beside HOME, LANG, LOGNAME, PATH, SHELL and USER.
    pub env: Vec<(String, String)>,
    /// After this the command is ended, with status 124. Emulation may be slow: be generous.
    pub timeout: Duration,
}

/// What a command did.
#[derive(Debug)]
pub struct Output {
    /// Exit status as a shell gives it: 124 timed out, 126 and 127 not started, 128+N signal N.
    pub status: i32,
    /// Standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl Output {
    /// Fails the test, showing what was said, unless the status is `status`.
    #[track_caller]
    pub fn expect(&self, status: i32) -> &Self {
        assert!(self.status == status, "expected status {status}:\n{self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}\n--- stdout\n{}--- stderr\n{}---", self.status, self.stdout, self.stderr)
    }
}

impl RunSpec {
    /// Runs a command.
    pub fn argv<const N: usize>(argv: [&str; N]) -> Self {
        Self {
            puts: Vec::new(),
            gets: Vec::new(),
            argv: argv.map(str::to_owned).to_vec(),
            env: Vec::new(),
            timeout: Duration::from_secs(300),
        }
    }

    /// Runs lines of bash; an error does not end them unless they say `set -e`.
    pub fn script(text: &str) -> Self {
        Self::argv(["bash", "-uc", text])
    }

    /// Also copies `source` of this host to `target` in the guest.
    pub fn put(mut self, source: impl Into<PathBuf>, target: &str) -> Self {
        self.puts.push((source.into(), target.to_owned()));
        self
    }

    /// Also copies `source` of the guest to `target` on this host, when the command has ended.
    pub fn get(mut self, source: &str, target: impl Into<PathBuf>) -> Self {
        self.gets.push((source.to_owned(), target.into()));
        self
    }

    /// Also sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Ends the command after that long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Vm {
    /// The machine. Where it cannot run, or has not been built, the test is skipped aloud (in CI it fails).
    pub fn get() -> Option<Self> {
        static READY: OnceLock<Result<(), String>> = OnceLock::new();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/selinux-vm");
        if let Err(lacking) = READY.get_or_init(|| ready(&script)) {
            super::skip(&format!("needs the virtual machine of tests/vm: {lacking}"));
            return None;
        }
        Some(Self { script, binary: binary() })
    }

    /// Runs one command in a fresh machine and waits for it. Fails the test where the machine itself failed.
    #[track_caller]
    pub fn run(&self, spec: &RunSpec) -> Output {
        let mut command = Command::new(&self.script);
        command.arg("run").arg("--timeout").arg(spec.timeout.as_secs().to_string());
        let perms = (self.binary.clone(), "/usr/local/bin/perms".to_owned());
        for (source, target) in std::iter::once(&perms).chain(&spec.puts) {
            command.arg("--put").arg(format!("{}:{target}", source.display()));
        }
        for (source, target) in &spec.gets {
            command.arg("--get").arg(format!("{source}:{}", target.display()));
        }
        for (name, value) in &spec.env {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        let output = command.arg("--").args(&spec.argv).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e}", self.script.display()));
        let output = Output {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(output.status != HARNESS_FAILED, "the virtual machine failed:\n{output}");
        assert!(
            !output.stderr.contains("version `GLIBC_"),
            "this host's C library is newer than the guest's: tests/run builds a static binary for it and names it in \
             PERMS_VM_BINARY\n{output}"
        );
        output
    }

    /// Runs several pieces of bash, one after the other, in one fresh machine, and gives what each did, in order.
    /// A piece that fails does not end the rest. `spec.argv` is not looked at.
    #[track_caller]
    pub fn steps<const N: usize>(&self, spec: RunSpec, steps: [&str; N]) -> [Output; N] {
        let here = tempfile::tempdir().unwrap();
        let there = "/run/perms-steps";
        for (number, text) in steps.iter().enumerate() {
            std::fs::write(here.path().join(format!("{number}.sh")), text).unwrap();
        }
        std::fs::write(here.path().join("all"), STEPS).unwrap();
        let results = here.path().join("results");
        let argv = vec!["bash".to_owned(), format!("{there}/all"), N.to_string()];
        let spec = RunSpec { argv, ..spec };
        let spec = spec.put(here.path(), there).get(&format!("{there}/results"), &results);
        let whole = self.run(&spec);
        std::array::from_fn(|number| {
            let read = |what: &str| {
                let bytes = std::fs::read(results.join(format!("{number}.{what}")));
                let bytes = bytes.unwrap_or_else(|e| panic!("step {number} left no {what} ({e}):\n{whole}"));
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let status = read("status").trim().parse().unwrap();
            Output { status, stdout: read("out"), stderr: read("err") }
        })
    }
}

/// selinux-vm's status for its own failures.
const HARNESS_FAILED: i32 = 125;

/// Runs each `N.sh` beside it. The pipes into `cat` are for programs that leave root's domain (semodule, semanage):
/// SELinux lets them write to a pipe, but not to a file of ours.
const STEPS: &str = r#"
cd "$(dirname "$0")" && mkdir results || exit
for ((n = 0; n < $1; n++)); do
    { (here=$PWD; cd /root && exec bash -u "$here/$n.sh") 2>&3 3>&- </dev/null | cat > results/$n.out
      echo "${PIPESTATUS[0]}" > results/$n.status
    } 3>&1 | cat > results/$n.err
done
"#;

/// Whether a run would start at once; else what is lacking and what to do.
fn ready(script: &Path) -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("its guest is an x86-64 one".to_owned());
    }
    let status = Command::new(script).arg("status").stdin(Stdio::null()).output();
    let status = status.map_err(|e| format!("{}: {e} (it is a Python script)", script.display()))?;
    if status.status.success() {
        return Ok(());
    }
    // What it prints tells a reader at the terminal which part is missing; a skip's reason is one line.
    Err("`tests/vm/selinux-vm status` says it is not built; tests/run, or `tests/vm/selinux-vm build`, builds it".into())
}

/// The program to test, without its debugging symbols: they would be nine tenths of what goes over the wire.
fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let whole = || {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_perms"));
        std::env::var_os("PERMS_VM_BINARY").map_or(built, PathBuf::from)
    };
    BINARY.get_or_init(|| stripped(&whole()).unwrap_or_else(whole)).clone()
}

/// A stripped copy, made once per build; `None` where there is no `strip` that does it.
fn stripped(whole: &Path) -> Option<PathBuf> {
    let about = std::fs::metadata(whole).unwrap_or_else(|e| panic!("{}: {e}", whole.display()));
    let age = about.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let copy =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("perms-{}-{}", about.len(), age.as_nanos()));
    if !copy.exists() {
        let unfinished = copy.with_extension(std::process::id().to_string());
        let strip = super::which("strip")?;
        let done = Command::new(strip).arg("-o").arg(&unfinished).arg(whole).output().ok()?;
        done.status.success().then_some(())?;
        std::fs::rename(&unfinished, &copy).unwrap();
    }
    Some(copy)
}

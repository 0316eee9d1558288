//! Look-ups of file contexts equal to those of the installed libselinux, over generated paths and specifications.
//!
//! `PERMS_CASES` sets how many look-ups each test compares (20,000 without it), `PERMS_SEED` which ones. To compare
//! with another libselinux: `PERMS_SELABEL_ORACLE` names tests/harness/selabel_oracle.c linked with it, and
//! `PERMS_SELABEL_VERSION` its version.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use perms::selinux::contexts::{Answer, FileContexts, FileKind, Files, Precedence, Text};

const INSTALLED: [&str; 2] =
    ["/etc/selinux/default/contexts/files/file_contexts", "/etc/selinux/mls/contexts/files/file_contexts"];
const NEXT_TO_IT: [&str; 5] = ["", ".homedirs", ".local", ".subs", ".subs_dist"];
const KINDS: &[u8] = b"-dlspcba";

/// The harness, compiled once, and the rules of the libselinux that it is linked with.
fn oracle() -> Option<(&'static Path, Precedence)> {
    static BUILT: OnceLock<Option<(tempfile::TempDir, PathBuf, Precedence)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        if let Some(program) = std::env::var_os("PERMS_SELABEL_ORACLE") {
            let version = std::env::var("PERMS_SELABEL_VERSION").unwrap();
            return Some((dir, program.into(), Precedence::of_version_text(&version).unwrap()));
        }
        if !support::have("cc") {
            return None;
        }
        if !Path::new("/usr/include/selinux/label.h").exists() {
            support::skip("needs libselinux1-dev");
            return None;
        }
        let program = dir.path().join("oracle");
        let out = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&program)
            .args(["tests/harness/selabel_oracle.c", "-lselinux"])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        // Which file it is linked with, as the dynamic linker says.
        let out = Command::new("ldd").arg(&program).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let library = text.lines().find(|l| l.contains("libselinux.so.1")).unwrap();
        let library = library.split_whitespace().find(|w| w.starts_with('/')).unwrap();
        let precedence = Precedence::of_library(&std::fs::read(library).unwrap()).unwrap();
        Some((dir, program, precedence))
    });
    built.as_ref().map(|(_, program, precedence)| (program.as_path(), *precedence))
}

/// Asks all questions at once.
fn ask(file: &Path, questions: &[(u8, Vec<u8>)]) -> Vec<String> {
    let mut child = Command::new(oracle().unwrap().0)
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut input = Vec::new();
    for (kind, path) in questions {
        input.push(*kind);
        input.extend(path);
        input.push(0);
    }
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let answers = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    answers
}

fn load(file: &Path, precedence: Precedence) -> FileContexts {
    let texts = NEXT_TO_IT.map(|suffix| {
        let name = format!("{}{suffix}", file.display());
        std::fs::read(&name).ok().map(|bytes| (Arc::<str>::from(name), bytes))
    });
    let [main, homedirs, local, subs, subs_dist] =
        texts.each_ref().map(|t| t.as_ref().map(|(name, bytes)| Text::new(Arc::clone(name), bytes)));
    FileContexts::new(Files { main, homedirs, local, subs, subs_dist }, precedence)
}

fn cases() -> usize {
    std::env::var("PERMS_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(20_000)
}

/// xorshift64*: the same cases in every run, others by PERMS_SEED.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("PERMS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1u64);
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A text that the pattern may well match: alternatives chosen, repetitions written out.
struct Instance<'p> {
    text: &'p [u8],
    at: usize,
}

impl Instance<'_> {
    fn of(pattern: &str, random: &mut Random) -> Vec<u8> {
        Instance { text: pattern.as_bytes(), at: 0 }.alternatives(random)
    }

    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or_default()
    }

    fn alternatives(&mut self, random: &mut Random) -> Vec<u8> {
        let mut all = vec![self.branch(random)];
        while self.peek() == b'|' {
            self.at += 1;
            all.push(self.branch(random));
        }
        random.pick(&all).clone()
    }

    fn branch(&mut self, random: &mut Random) -> Vec<u8> {
        let mut out = Vec::new();
        while self.at < self.text.len() && !matches!(self.peek(), b'|' | b')') {
            let start = self.at;
            let mut item = self.item(random);
            let end = self.at;
            let times = match self.peek() {
                b'*' => random.below(3),
                b'+' => 1 + random.below(2),
                b'?' => random.below(2),
                b'{' => {
                    self.at += self.text[self.at..].iter().position(|b| *b == b'}').unwrap_or(0);
                    1 + random.below(4)
                }
                _ => {
                    out.extend(item);
                    continue;
                }
            };
            self.at += 1;
            let after = self.at;
            for i in 0..times {
                if i > 0 {
                    self.at = start;
                    item = self.item(random);
                    assert_eq!(self.at, end);
                }
                out.extend(&item);
            }
            self.at = after;
        }
        out
    }

    fn item(&mut self, random: &mut Random) -> Vec<u8> {
        let byte = self.peek();
        self.at += 1;
        match byte {
            b'(' => {
                if self.text[self.at..].starts_with(b"?:") {
                    self.at += 2;
                }
                let inner = self.alternatives(random);
                self.at += usize::from(self.peek() == b')');
                inner
            }
            b'[' => {
                let len = self.text[self.at..].iter().skip(1).position(|b| *b == b']').map_or(0, |i| i + 1);
                let inside = &self.text[self.at..(self.at + len).min(self.text.len())];
                self.at += len + 1;
                let one = inside.get(random.below(inside.len().max(1))).copied().unwrap_or(b'a');
                vec![*random.pick(&[one, one, b'5', b'k', b' ', b'_'])]
            }
            b'.' => random.pick(&["a", "x1", "lib", ".", "/b", "/", "\u{e9}", "0"]).as_bytes().to_vec(),
            b'\\' => {
                let escaped = self.peek();
                self.at += 1;
                match escaped {
                    b'd' => vec![b'7'],
                    b'w' => vec![b'w'],
                    b's' => vec![b' '],
                    other => vec![other],
                }
            }
            b'^' | b'$' => Vec::new(),
            other => vec![other],
        }
    }
}

/// The path a little otherwise.
fn mutate(path: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(path.len() + 1);
    match random.below(16) {
        0 => path.push(b'/'),
        1 => path.extend(b"/x"),
        2 => path.push(b'\n'),
        3 if at < path.len() => drop(path.remove(at)),
        4 => path.insert(at, *random.pick(b"a/.-_0Z~ ")),
        5 => path.insert(at, b'/'),
        6 => path.truncate(at),
        7 if at < path.len() => path[at] = *random.pick(b"ax/.-0\n\xff"),
        8 => path.extend(b".so.1"),
        9 => {
            if let Some(slash) = path.iter().rposition(|b| *b == b'/') {
                path.truncate(slash);
            }
        }
        10 => path
            .splice(0..0, random.pick(&["/usr", "/var/run", "/lib64", "/home/u", "/run"]).bytes())
            .for_each(drop),
        _ => {}
    }
}

fn paths(contexts: &FileContexts, count: usize, random: &mut Random) -> Vec<(u8, Vec<u8>)> {
    let patterns: Vec<&str> = contexts.specs().map(|s| &*s.pattern).collect();
    (0..count)
        .map(|i| {
            // Every specification comes up.
            let mut path = Instance::of(patterns[i % patterns.len()], random);
            for _ in 0..random.below(3) {
                mutate(&mut path, random);
            }
            path.retain(|b| *b != 0);
            (*random.pick(KINDS), path)
        })
        .collect()
}

/// Compares; how many answers had a context, and how many were left undecided by us.
fn compare(file: &Path, contexts: &FileContexts, questions: &[(u8, Vec<u8>)]) -> (usize, usize) {
    let answers = ask(file, questions);
    assert_eq!(answers.len(), questions.len());
    let mut lookups = contexts.lookups();
    let (mut with_context, mut undecided) = (0, 0);
    for ((letter, path), theirs) in questions.iter().zip(&answers) {
        let answer = lookups.lookup(path, FileKind::of_letter(*letter));
        let ours = answer.context().unwrap_or("<<none>>");
        let shown = || format!("{} {} by {:?}", char::from(*letter), path.escape_ascii(), answer.spec());
        if let Answer::Undecided(spec) = answer {
            let told = contexts.problems().iter().any(|p| spec.is_some_and(|s| s.place == p.place));
            assert!(told, "undecided, and no problem is told: {}", shown());
            undecided += 1;
            continue;
        }
        with_context += usize::from(ours != "<<none>>");
        // An empty path is an error there.
        let theirs = if theirs == "error" && path.is_empty() { "<<none>>" } else { theirs };
        assert_eq!(ours, theirs, "{}: {}\n{}", file.display(), shown(), odd_files(file));
    }
    (with_context, undecided)
}

/// The files' content, where they are small.
fn odd_files(file: &Path) -> String {
    let read = |suffix| std::fs::read_to_string(format!("{}{suffix}", file.display())).unwrap_or_default();
    NEXT_TO_IT.map(|suffix| (suffix, read(suffix))).iter().fold(String::new(), |mut all, (suffix, text)| {
        if text.len() < 10_000 {
            let _ = write!(all, "== file_contexts{suffix}\n{text}");
        }
        all
    })
}

#[test]
fn the_installed_specifications_decide_as_in_libselinux() {
    let Some((_, precedence)) = oracle() else { return };
    let mut random = Random::new();
    for file in INSTALLED.map(Path::new) {
        if !file.exists() {
            support::skip(&format!("needs {}", file.display()));
            continue;
        }
        let contexts = load(file, precedence);
        assert_eq!(contexts.problems(), []);
        let questions = paths(&contexts, cases(), &mut random);
        let (with_context, undecided) = compare(file, &contexts, &questions);
        assert_eq!(undecided, 0);
        eprintln!("{}: {} look-ups equal, {with_context} with a context", file.display(), questions.len());
    }
}

/// Real paths of this machine, with their kinds.
#[test]
fn real_paths_are_looked_up_as_in_libselinux() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::FileTypeExt as _;
    let Some((_, precedence)) = oracle() else { return };
    let file = Path::new(INSTALLED[0]);
    if !file.exists() {
        support::skip(&format!("needs {}", file.display()));
        return;
    }
    let letter = |t: std::fs::FileType| match t {
        t if t.is_dir() => b'd',
        t if t.is_symlink() => b'l',
        t if t.is_socket() => b's',
        t if t.is_fifo() => b'p',
        t if t.is_char_device() => b'c',
        t if t.is_block_device() => b'b',
        _ => b'-',
    };
    // Asked for more, all of the machine.
    let tops: &[&str] = match cases() {
        0..100_000 => &["/etc", "/usr/lib", "/var/lib", "/dev", "/bin", "/run"],
        _ => &["/"],
    };
    let unreal = |e: &walkdir::DirEntry| ["/proc", "/sys"].iter().all(|u| e.path() != Path::new(u));
    // Each as what it is, and as another kind, in turn all of them.
    let questions: Vec<(u8, Vec<u8>)> = tops
        .iter()
        .flat_map(|top| walkdir::WalkDir::new(top).sort_by_file_name().into_iter().filter_entry(unreal))
        .filter_map(Result::ok)
        .zip(KINDS.iter().cycle())
        .flat_map(|(e, other)| {
            let path = e.path().as_os_str().as_bytes().to_vec();
            [(letter(e.file_type()), path.clone()), (*other, path)]
        })
        .take(2 * cases())
        .collect();
    let (with_context, _) = compare(file, &load(file, precedence), &questions);
    eprintln!("{} look-ups of real paths equal, {with_context} with a context", questions.len());
    // Most of /tmp and of homes has none.
    assert!(with_context > questions.len() / 4);
}

/// Specifications that nobody would write, which is where engines differ: each file a few lines, each asked a lot.
#[test]
fn odd_specifications_decide_as_in_libselinux() {
    const PIECES: &[&str] = &[
        "/srv",
        "/a",
        "/a",
        "/b",
        "/",
        "/.*",
        "(/.*)?",
        "/[^/]+",
        "x",
        "y?",
        "[a-c]",
        "[^x]",
        "(b|cd)",
        "a|/b",
        "|",
        "\\.",
        "\\-",
        "\\_",
        "a+",
        "{2}",
        "a{1,2}",
        "]",
        "}",
        "{",
        "\\d",
        "[[:alpha:]]",
        ".",
        "?",
        "*",
        "//",
        "^/a",
        "$",
        "(?:x|)",
        "(?=x)",
        "(x)\\1",
        "a++",
        "(?>a*)",
        "\\Qa.b\\E",
        "(?i)A",
        "\\K",
        "\\b",
        "(?#c)",
        "\\x41",
        "[]a]",
        "[\\w-]",
        "(",
        ")",
        "[a",
        "{,2}",
        "a{2}{2}",
        "\\",
        "\\/",
        "[a\\]b]",
        ".+?",
        "a??",
        "\\n",
        "\\N",
        "[^\\n]",
        "(^/a)",
        "(a$)",
    ];
    const NAMES: &[&str] =
        &["/a", "/b", "/srv", "x", "/x", "a", "b", "/", ".", "-", "aa", "\n", "A", "]", "}", "{", "d", "1"];
    let Some((_, precedence)) = oracle() else { return };
    let mut random = Random::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file_contexts");
    let each = 200;
    let (mut total, mut undecided) = (0, 0);
    for _ in 0..cases().div_ceil(each) {
        for suffix in NEXT_TO_IT {
            let mut text = String::new();
            let strange = random.below(5) == 0;
            for line in 0..random.below(6) {
                if suffix.starts_with(".subs") {
                    let mut path = || {
                        (0..1 + random.below(2))
                            .map(|_| *random.pick(&["/a", "/b", "/srv", "/"]))
                            .collect::<String>()
                    };
                    let _ = writeln!(text, "{} {}", path(), path());
                    continue;
                }
                // Most files hold only what is understood, so that most answers are compared.
                let pieces = if strange { PIECES } else { &PIECES[..33] };
                let pattern: String = (0..1 + random.below(4)).map(|_| *random.pick(pieces)).collect();
                let start = random.pick(&["/", "/a", "/srv", "/a/b", "", "/a/b/a/b"]);
                let kind = random.pick(&["", "", "", "--", "-d", "-l"]);
                let context = match random.below(6) {
                    0 => "<<none>>".to_owned(),
                    _ => format!("u:r:t{}_{line}:s0", suffix.trim_start_matches('.')),
                };
                let _ = writeln!(text, "{start}{pattern}\t{kind}\t{context}");
            }
            if suffix.is_empty() {
                text.push_str("/.* u:r:all_t:s0\n");
            }
            std::fs::write(format!("{}{suffix}", file.display()), text).unwrap();
        }
        let contexts = load(&file, precedence);
        let mut questions = paths(&contexts, each / 2, &mut random);
        questions.extend((0..each / 2).map(|_| {
            let path: String = (0..1 + random.below(5)).map(|_| *random.pick(NAMES)).collect();
            (*random.pick(KINDS), path.into_bytes())
        }));
        total += questions.len();
        undecided += compare(&file, &contexts, &questions).1;
    }
    assert!(undecided * 2 < total, "{undecided} of {total} were left undecided");
    eprintln!("{total} look-ups compared, {undecided} of them left undecided by us");
}

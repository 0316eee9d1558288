//! What a program's code comes from: the program, the interpreter of a script, and the files and folders that this takes
//! more code from. Whoever can write one of them decides what the program does.
//!
//! Taken from the interpreters' documentation: Python's sys.path (the folder of the script, the environment of
//! `pyvenv.cfg`, site-packages and the `.pth` files in it), Perl's `use lib` and @INC, a shell's `.` and `source`, Node's
//! `node_modules`, Ruby's `-I` and `require`. Paths that a script puts together at run time are not seen.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::sys::{Handle, Kind, Root};

/// How much of a script is read for the files that it names.
const SCRIPT: u64 = 256 << 10;
/// How much of a `.pth` file is read, and of how many.
const PTH: u64 = 64 << 10;
const PTH_FILES: usize = 100;

/// Where `env` looks for an interpreter: as sudo's `secure_path` and systemd have it.
const BIN: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where Perl looks, as far as there is such a folder. `*`: any name.
const PERL: [&str; 12] = [
    "/etc/perl",
    "/usr/local/lib/*/perl/*",
    "/usr/local/share/perl/*",
    "/usr/local/lib/site_perl",
    "/usr/lib/*/perl5/*",
    "/usr/lib/*/perl-base",
    "/usr/share/perl5",
    "/usr/local/lib64/perl5",
    "/usr/local/share/perl5",
    "/usr/lib64/perl5",
    "/usr/share/perl5/vendor_perl",
    "/usr/lib64/perl5/vendor_perl",
];

/// The program, and all that its code comes from, each once, in the order in which they come to matter. Paths are as they are
/// named: links in them are not resolved. Nothing is run.
pub fn code_of(root: &Root, program: &Path) -> Vec<PathBuf> {
    let found = root.resolve(program).ok();
    code_of_open(root, program, found.as_ref().map(|f| &f.handle))
}

/// [`code_of`] a program that is at hand, or cannot be looked at.
pub fn code_of_open(root: &Root, program: &Path, file: Option<&Handle>) -> Vec<PathBuf> {
    let mut code = Code { root, parts: vec![program.to_owned()] };
    let script = file.and_then(|f| Script::read(root, f));
    let interpreter = script.as_ref().map_or(program, |s| &s.interpreter);
    if script.is_some() {
        code.add(interpreter.to_owned());
    }
    match language(interpreter) {
        "python" | "pypy" => code.python(program, interpreter, script.as_ref()),
        "perl" if script.is_some() => PERL.iter().for_each(|pattern| code.folders(pattern)),
        "node" | "nodejs" if script.is_some() => {
            for above in program.ancestors().skip(1) {
                code.folder(above.join("node_modules"));
            }
        }
        _ => {}
    }
    if let Some(script) = &script {
        script.named().for_each(|at| code.add(at));
    }
    code.parts
}

/// The interpreter that the first line of a script names, as the kernel reads it (fs/binfmt_script.c), and what is behind it
/// on the line. `text`: the beginning of a file; 256 bytes of it count. `None`: it is no script.
pub fn first_line(text: &[u8]) -> Option<(&OsStr, &[u8])> {
    let head = text.get(..text.len().min(256))?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = line.iter().position(|b| !blank(b))?;
    let line = line.get(start..)?;
    let (name, rest) = line.split_at(line.iter().position(|b| blank(b) || *b == 0).unwrap_or(line.len()));
    Some((OsStr::from_bytes(name), rest))
}

/// A program's name without its version: `python` for `python3.11`.
fn language(interpreter: &Path) -> &str {
    let name = interpreter.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

/// A text that an interpreter runs.
struct Script {
    interpreter: PathBuf,
    /// What the first line gives to the interpreter.
    arguments: Vec<String>,
    text: Vec<u8>,
}

impl Script {
    fn read(root: &Root, program: &Handle) -> Option<Script> {
        use std::io::Read as _;
        let file = program.open_file().ok()?;
        let mut text = Vec::with_capacity(256);
        (&file).take(256).read_to_end(&mut text).ok()?;
        first_line(&text)?;
        (&file).take(SCRIPT).read_to_end(&mut text).ok()?;
        let (name, rest) = first_line(&text)?;
        let rest = String::from_utf8_lossy(rest);
        let mut words = rest.split_whitespace().map(str::to_owned);
        let mut interpreter = PathBuf::from(name);
        if interpreter.file_name() == Some(OsStr::new("env")) {
            let mut words = words.by_ref().skip_while(|w| w.starts_with('-') || w.contains('='));
            let name = words.next()?;
            let places = BIN.iter().map(|dir| Path::new(dir).join(&name));
            interpreter = places.into_iter().find(|p| root.resolve(p).is_ok())?;
        }
        let arguments: Vec<String> = words.collect();
        interpreter.is_absolute().then_some(Script { interpreter, arguments, text })
    }

    /// Files and folders with code that the script names in full.
    fn named(&self) -> impl Iterator<Item = PathBuf> {
        /// Each with the path as its only group.
        static FORMS: LazyLock<Vec<(&[&str], Regex)>> = LazyLock::new(|| {
            let path = r#"(/[^\s'"$`*?;&|()<>\\]+)"#;
            let forms: [(&[&str], String); 4] = [
                (&["sh", "bash", "dash", "ksh", "zsh"], format!(r#"(?m)^\s*(?:\.|source)\s+["']?{path}"#)),
                (
                    &["python", "pypy"],
                    format!(r#"sys\.path\.(?:append|insert)\(\s*(?:\d+\s*,\s*)?r?["']{path}"#),
                ),
                (
                    &["perl"],
                    format!(r#"(?m)^\s*(?:use\s+lib|require|do)\s*\(?\s*(?:qw\s*[(/{{<\[]\s*)?["']?{path}"#),
                ),
                (
                    &["ruby", "node", "nodejs", "php"],
                    format!(
                        r#"(?:require|require_once|include|include_once|load|unshift)\s*\(?\s*["']{path}"#
                    ),
                ),
            ];
            forms.into_iter().filter_map(|(of, form)| Some((of, Regex::new(&form).ok()?))).collect()
        });
        let language = language(&self.interpreter);
        let forms = FORMS.iter().filter(move |(of, _)| of.contains(&language));
        let named = forms.flat_map(|(_, form)| form.captures_iter(&self.text)).filter_map(|c| c.get(1));
        let named = named.map(|m| PathBuf::from(OsStr::from_bytes(m.as_bytes())));
        let included =
            self.arguments.iter().filter_map(|a| a.strip_prefix("-I")).filter(|p| p.starts_with('/'));
        named.chain(included.map(PathBuf::from))
    }
}

/// What was found so far.
struct Code<'a> {
    root: &'a Root,
    parts: Vec<PathBuf>,
}

impl Code<'_> {
    fn add(&mut self, at: PathBuf) {
        if !self.parts.contains(&at) {
            self.parts.push(at);
        }
    }

    /// A folder that code is taken from, if it is there; and what lies in it that somebody else than root can write, one of
    /// each owner: one is enough.
    fn folder(&mut self, at: PathBuf) {
        let Some(found) = self.root.resolve(&at).ok().filter(|f| f.meta.kind == Kind::Directory) else {
            return;
        };
        self.add(at.clone());
        if found.meta.is_open() {
            return;
        }
        let mut owners = Vec::new();
        for name in found.handle.names().unwrap_or_default() {
            let Ok(meta) = found.handle.open_child(&name).and_then(|h| h.meta()) else { continue };
            let whose = (meta.uid, meta.gid, meta.mode & 0o022);
            if meta.is_open() && !owners.contains(&whose) {
                owners.push(whose);
                self.add(at.join(name));
            }
        }
    }

    /// The folders of this form.
    fn folders(&mut self, pattern: &str) {
        let mut found = vec![PathBuf::from("/")];
        for part in pattern.split('/').filter(|p| !p.is_empty()) {
            let next = |at: PathBuf| match part {
                "*" => self.root.names(&at).unwrap_or_default().into_iter().map(|n| at.join(n)).collect(),
                name => vec![at.join(name)],
            };
            found = found.into_iter().flat_map(next).collect();
        }
        found.into_iter().for_each(|at| self.folder(at));
    }

    /// What Python's sys.path comes to, and what decides it.
    fn python(&mut self, program: &Path, interpreter: &Path, script: Option<&Script>) {
        // -I and -P leave the script's folder out.
        let isolated = |a: &String| {
            a.starts_with('-') && !a.starts_with("--") && a.contains(['I', 'P']) && !a.contains(['c', 'm'])
        };
        if script.is_some_and(|s| !s.arguments.iter().any(isolated))
            && let Ok(found) = self.root.resolve(program)
            && let Some(folder) = found.path.parent()
        {
            self.folder(folder.to_owned());
        }
        let mut tops = Vec::new();
        for at in [program, interpreter] {
            let Some(top) = at.parent().filter(|f| f.ends_with("bin")).and_then(Path::parent) else {
                continue;
            };
            let Ok(text) = self.root.read(&top.join("pyvenv.cfg"), PTH) else { continue };
            // The environment whole: who can write in it can replace `lib`.
            self.add(top.to_owned());
            self.add(top.join("pyvenv.cfg"));
            tops.push(top.to_owned());
            let text = String::from_utf8_lossy(&text);
            let home = text.lines().filter_map(|l| l.split_once('=')).find(|(k, _)| k.trim() == "home");
            tops.extend(home.and_then(|(_, bin)| Some(Path::new(bin.trim()).parent()?.to_owned())));
        }
        if tops.is_empty()
            && let Ok(found) = self.root.resolve(interpreter)
        {
            tops.extend(found.path.parent().and_then(Path::parent).map(Path::to_owned));
        }
        if tops.iter().any(|top| top == Path::new("/usr")) {
            tops.push(PathBuf::from("/usr/local"));
        }
        for top in tops {
            for lib in ["lib", "lib64"] {
                let lib = top.join(lib);
                for name in self.root.names(&lib).unwrap_or_default() {
                    if !name.as_bytes().starts_with(b"python3") && !name.as_bytes().starts_with(b"pypy3") {
                        continue;
                    }
                    let at = lib.join(name);
                    self.folder(at.clone());
                    for packages in ["site-packages", "dist-packages"] {
                        self.packages(at.join(packages));
                    }
                }
            }
        }
    }

    /// A folder of packages, and what its `.pth` files add: each line that is no `import` is a folder.
    fn packages(&mut self, at: PathBuf) {
        self.folder(at.clone());
        let names = self.root.names(&at).unwrap_or_default();
        for name in names.iter().filter(|n| n.as_bytes().ends_with(b".pth")).take(PTH_FILES) {
            let text = self.root.read(&at.join(name), PTH).unwrap_or_default();
            for line in text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).take(PTH_FILES) {
                if line.is_empty() || line.starts_with(b"#") || line.starts_with(b"import") {
                    continue;
                }
                self.folder(at.join(OsStr::from_bytes(line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let at = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, text).unwrap();
        }
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    fn parts(root: &Root, program: &str) -> Vec<String> {
        code_of(root, Path::new(program)).iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn a_program_is_its_own_code() {
        let (_dir, root) = tree(&[("/usr/bin/true", "\x7fELF")]);
        assert_eq!(parts(&root, "/usr/bin/true"), ["/usr/bin/true"]);
        assert_eq!(parts(&root, "/usr/bin/none"), ["/usr/bin/none"], "what is not there can be made");
    }

    #[test]
    fn a_python_script_takes_modules_from_its_environment_and_from_beside_it() {
        let (dir, root) = tree(&[
            ("/srv/app/venv/bin/serve", "#!/srv/app/venv/bin/python3\nimport app\n"),
            ("/srv/app/venv/bin/python3", ""),
            ("/srv/app/venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n"),
            (
                "/srv/app/venv/lib/python3.11/site-packages/app.pth",
                "/srv/app/src\nimport x\n# no\n\n../gone\n",
            ),
            ("/srv/app/src/app/__init__.py", ""),
            ("/usr/lib/python3/dist-packages/yaml.py", ""),
        ]);
        let found = parts(&root, "/srv/app/venv/bin/serve");
        for wanted in [
            "/srv/app/venv/bin/python3",
            "/srv/app/venv/bin",
            "/srv/app/venv/pyvenv.cfg",
            "/srv/app/venv/lib/python3.11/site-packages",
            "/srv/app/src",
            "/usr/lib/python3/dist-packages",
        ] {
            assert!(found.iter().any(|f| f == wanted), "{wanted} in {found:?}");
        }
        assert!(!found.iter().any(|f| f.contains("gone")), "{found:?}");
        // What somebody can write in a folder that is closed.
        let module = dir.path().join("usr/lib/python3/dist-packages/yaml.py");
        fs::set_permissions(module, fs::Permissions::from_mode(0o666)).unwrap();
        let found = parts(&root, "/srv/app/venv/bin/serve");
        assert!(
            found.iter().any(|f| f.ends_with("dist-packages/yaml.py"))
                || !rustix::process::geteuid().is_root()
        );
    }

    #[test]
    fn isolated_python_leaves_the_scripts_folder_out() {
        let (_dir, root) = tree(&[("/opt/x/run", "#!/usr/bin/python3 -I\n"), ("/usr/bin/python3", "")]);
        assert_eq!(parts(&root, "/opt/x/run"), ["/opt/x/run", "/usr/bin/python3"]);
    }

    #[test]
    fn a_shell_script_is_what_it_sources() {
        let text = "#!/usr/bin/env -S bash -e\n. /etc/default/app\n source \"/opt/app/lib.sh\" x\n# . /no\n. $HOME/x\n";
        let (_dir, root) = tree(&[("/opt/app/run", text), ("/usr/bin/bash", "")]);
        assert_eq!(
            parts(&root, "/opt/app/run"),
            ["/opt/app/run", "/usr/bin/bash", "/etc/default/app", "/opt/app/lib.sh"]
        );
    }

    #[test]
    fn perl_ruby_and_node_name_what_they_load() {
        let (_dir, root) = tree(&[
            ("/opt/p", "#!/usr/bin/perl -I/opt/inc -w\nuse lib '/opt/lib';\nuse lib qw(/opt/more);\n"),
            ("/opt/r", "#!/usr/bin/ruby\nrequire '/opt/r.rb'\n$:.unshift(\"/opt/rl\")\n"),
            ("/opt/n/bin/n", "#!/usr/bin/node\nrequire('/opt/n.js')\n"),
            ("/opt/n/node_modules/a/index.js", ""),
            ("/usr/share/perl5/X.pm", ""),
        ]);
        assert_eq!(
            parts(&root, "/opt/p"),
            ["/opt/p", "/usr/bin/perl", "/usr/share/perl5", "/opt/lib", "/opt/more", "/opt/inc"]
        );
        assert_eq!(parts(&root, "/opt/r"), ["/opt/r", "/usr/bin/ruby", "/opt/r.rb", "/opt/rl"]);
        assert_eq!(
            parts(&root, "/opt/n/bin/n"),
            ["/opt/n/bin/n", "/usr/bin/node", "/opt/n/node_modules", "/opt/n.js"]
        );
    }
}

//! Programs through which the right to run one command becomes more than that: our own table, one file a class.
//!
//! A line is `NAME [WORD…] | HOW [| ARGUMENTS]`, blank lines and lines that begin with `#` are passed over, and `[CLASS]`
//! is the class of the lines below it.
//!
//! - `NAME` is a program's file name without a version (`python` is `python3.11` too), or an absolute path.
//! - `WORD…`: open only to who may give these arguments; `!WORD`: only while this one is not given.
//! - `HOW` completes the sentence "because …" and names what does it, so that a reader can try it.
//! - `ARGUMENTS` are enough for the program's usual task and do not open it.
//!
//! Written from the programs' manual pages. A site adds its own programs in the same form ([`Table::extended`]).

mod table;

use std::sync::LazyLock;

pub use table::{Table, TableError};

/// What a program gives to who may run it as somebody else, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It is a shell or an interpreter: without arguments, or with a program of the caller's choice, it runs that.
    Shell,
    /// It runs commands from within (an editor, a pager): whatever its arguments.
    Interactive,
    /// An argument names a command, or code, that it runs.
    Command,
    /// It runs hooks, jobs or a configuration of the caller's choice, or makes a service run them.
    Hook,
    /// It writes a file of the caller's choice, or changes who may, or a disk, or the kernel.
    Write,
    /// It prints a file of the caller's choice.
    Read,
}

impl Class {
    /// All, the strongest first.
    pub const ALL: [Class; 6] =
        [Class::Shell, Class::Interactive, Class::Command, Class::Hook, Class::Write, Class::Read];

    /// Its word in tables: `interactive`.
    pub const fn word(self) -> &'static str {
        match self {
            Class::Shell => "shell",
            Class::Interactive => "interactive",
            Class::Command => "command",
            Class::Hook => "hook",
            Class::Write => "write",
            Class::Read => "read",
        }
    }

    /// Whether it amounts to the account that the program runs as. All do but [`Class::Read`], which gives its files.
    pub const fn is_account(self) -> bool {
        !matches!(self, Class::Read)
    }
}

/// One way in which a program gives more than it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What it gives.
    pub class: Class,
    /// Arguments without which it is not open.
    pub words: Vec<String>,
    /// Arguments with which it is not open.
    pub without: Vec<String>,
    /// What does it: "`--deploy-hook CMD` runs CMD".
    pub how: String,
}

/// A program of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file name without a version, or its absolute path.
    pub name: String,
    /// The ways, the strongest first.
    pub ways: Vec<Way>,
    /// Arguments that are enough for its usual task; empty where none are known.
    pub narrower: Vec<String>,
}

/// The arguments that somebody may give to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments<'a> {
    /// Any, or some part of them is the caller's choice.
    Any,
    /// Exactly these.
    Exact(&'a [&'a str]),
}

impl Program {
    /// The ways that are open to who may give these arguments, the strongest first.
    ///
    /// With arguments of the caller's choice all are. With fixed ones a shell is open only where there are none (or those
    /// of the way), what is interactive remains so, and what takes a file or command as an argument takes that one.
    pub fn open(&self, arguments: Arguments<'_>) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(move |way| match arguments {
            Arguments::Any => true,
            Arguments::Exact(given) => {
                let has = |word: &String| given.contains(&word.as_str());
                match way.class {
                    Class::Shell => way.words.iter().eq(given),
                    Class::Interactive => way.words.iter().all(has) && !way.without.iter().any(has),
                    _ => false,
                }
            }
        })
    }

    /// The strongest way that is open to who may give these arguments.
    pub fn strongest(&self, arguments: Arguments<'_>) -> Option<&Way> {
        self.open(arguments).next()
    }
}

static BUILT_IN: LazyLock<Table> = LazyLock::new(|| {
    let texts = [
        include_str!("shell.table"),
        include_str!("interactive.table"),
        include_str!("command.table"),
        include_str!("hook.table"),
        include_str!("write.table"),
        include_str!("read.table"),
    ];
    let mut table = Table::default();
    for text in texts {
        // A test holds that these have no errors.
        let _ = table.read(text);
    }
    table
});

/// The table that comes with `perms`.
pub fn built_in() -> &'static Table {
    &BUILT_IN
}

/// The program of this path in the built-in table.
pub fn find(path: &str) -> Option<&'static Program> {
    built_in().find(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_file_name_whatever_its_version() {
        assert_eq!(find("/usr/bin/python3.11").unwrap().name, "python");
        assert_eq!(find("/opt/x/bin/perl5.36.0").unwrap().name, "perl");
        assert_eq!(find("/usr/bin/sqlite3").unwrap().name, "sqlite3");
        assert_eq!(find("/lib64/ld-linux-x86-64.so.2").unwrap().name, "ld-linux-x86-64.so");
        assert_eq!(find("/usr/bin/certbot").unwrap().strongest(Arguments::Any).unwrap().class, Class::Hook);
        for path in ["/usr/bin/true", "/usr/bin/", "/usr/bin/7", ""] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn fixed_arguments_close_what_takes_arguments() {
        let strongest =
            |path, args: &[&str]| find(path).unwrap().strongest(Arguments::Exact(args)).map(|w| w.class);
        assert_eq!(strongest("/bin/bash", &[]), Some(Class::Shell));
        assert_eq!(strongest("/bin/bash", &["/opt/x.sh"]), None);
        assert_eq!(strongest("/bin/busybox", &["sh"]), Some(Class::Shell));
        assert_eq!(strongest("/bin/busybox", &["ls"]), None);
        assert_eq!(strongest("/usr/bin/vim", &["/etc/motd"]), Some(Class::Interactive));
        assert_eq!(strongest("/usr/bin/systemctl", &["status", "nginx"]), Some(Class::Interactive));
        assert_eq!(strongest("/usr/bin/systemctl", &["--no-pager", "status", "nginx"]), None);
        assert_eq!(strongest("/usr/bin/systemctl", &["reload", "nginx"]), None);
        assert_eq!(strongest("/usr/bin/tee", &["/etc/motd"]), None);
        assert_eq!(find("/usr/bin/tee").unwrap().strongest(Arguments::Any).unwrap().class, Class::Write);
    }

    #[test]
    fn the_table_is_in_good_shape() {
        let mut all = Table::default();
        let mut names = 0;
        for (class, text) in [
            (Class::Shell, include_str!("shell.table")),
            (Class::Interactive, include_str!("interactive.table")),
            (Class::Command, include_str!("command.table")),
            (Class::Hook, include_str!("hook.table")),
            (Class::Write, include_str!("write.table")),
            (Class::Read, include_str!("read.table")),
        ] {
            let mut one = Table::default();
            assert_eq!(one.read(text), Ok(()), "{}", class.word());
            assert_eq!(all.read(text), Ok(()));
            assert!(one.programs().flat_map(|p| &p.ways).all(|w| w.class == class));
            let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with(['#', '['])).collect();
            let key = |l: &str| l.split(" | ").next().unwrap().trim().to_owned();
            assert!(lines.windows(2).all(|w| key(w[0]) < key(w[1])), "{}: sorted, none twice", class.word());
            names += lines.len();
            for way in one.programs().flat_map(|p| &p.ways) {
                assert!(
                    way.how.len() < 100 && !way.how.ends_with('.') && way.how.trim() == way.how,
                    "{way:?}"
                );
                assert_eq!(way.how.matches('`').count() % 2, 0, "{way:?}");
            }
        }
        let programs = all.programs().count();
        assert!(programs >= 600 && names >= programs, "{programs}");
        assert_eq!(built_in().programs().count(), programs);
        for program in all.programs() {
            let narrower: Vec<&str> = program.narrower.iter().map(String::as_str).collect();
            let open = program.strongest(Arguments::Exact(&narrower));
            assert!(narrower.is_empty() || open.is_none(), "{}: {open:?}", program.name);
        }
    }
}

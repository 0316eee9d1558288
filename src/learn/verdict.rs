//! Why an access was denied, and the smallest thing that helps.

use serde::Serialize;

use super::files::Below;
use crate::report::Code;
use crate::selinux::module::{Name, Statement};

/// Why an access was denied, with the evidence, and what helps. Texts may hold names and paths from the log;
/// renderers escape them. Where only remedies are wanted ([`Options::brief`](super::Options::brief)) there are no texts but
/// on what needs somebody's hand.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The kind of cause.
    pub code: Code,
    /// The cause in a sentence.
    pub cause: String,
    /// What shows it: lines of the policy, of file_contexts, of the log.
    pub evidence: Vec<String>,
    /// What helps.
    pub remedy: Remedy,
    /// What was weighed and is worse.
    pub not: Vec<Not>,
}

/// A remedy that was weighed and is worse, or would not help.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Not {
    /// Which.
    pub remedy: String,
    /// Why not.
    pub why: String,
}

impl Verdict {
    /// A remedy without a word on why.
    pub(super) fn brief(code: Code, remedy: Remedy) -> Verdict {
        Verdict { code, cause: String::new(), evidence: Vec::new(), remedy, not: Vec::new() }
    }
}

/// What helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing is to be done.
    Nothing,
    /// Somebody has to decide or to look: steps, the likeliest first.
    ByHand {
        /// Commands or sentences.
        steps: Vec<String>,
    },
    /// The label on disk is not the one that the specifications give.
    Relabel {
        /// The files.
        paths: Vec<Box<[u8]>>,
        /// There were more in the log than were kept.
        more: bool,
        /// The type that they should have.
        to: String,
        /// Only `restorecon -F` changes it: the type is one that administrators choose, or the level is wrong.
        force: bool,
        /// The folder of the first on this host, if more files than these are wrong below it.
        below: Option<Box<Below>>,
    },
    /// Specifications of their own for files that have the type of a whole tree.
    Places(Vec<Place>),
    /// A label for a port that has none of its own.
    Port {
        /// `tcp`, `udp`, `dccp` or `sctp`.
        protocol: &'static str,
        /// The ports.
        ports: Vec<u16>,
        /// The type.
        ty: String,
    },
    /// Booleans to set, all of them.
    Booleans {
        /// Each with its new state.
        set: Vec<(String, bool)>,
        /// How many other accesses this opens.
        opens: usize,
    },
    /// A statement in the module which is no rule about types.
    Statement(Statement),
    /// A `dontaudit` rule: the program does not need it.
    Silence {
        /// What it does not need, sorted.
        permissions: Box<[Name]>,
    },
    /// An `allow` rule.
    Allow {
        /// What is missing, sorted.
        permissions: Box<[Name]>,
        /// The policy filters commands of ioctl (or netlink messages) here: they need an `allowxperm` rule.
        filtered: bool,
    },
}

impl Below {
    /// The sentence for a report, with the command.
    pub fn text(&self, force: bool) -> String {
        let least = if self.whole { "" } else { "at least " };
        let folder = super::advice::shell_word(&self.folder).unwrap_or_else(|| "FOLDER".to_owned());
        let files = super::text::count(self.wrong, "file is", "files are");
        let flag = if force { "F" } else { "" };
        format!("{least}{files} wrong below {folder} on this host: restorecon -R{flag}v {folder}")
    }
}

/// A place in the file system that gets a type of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The regular expression of the specification.
    pub pattern: String,
    /// The folder or file.
    pub path: String,
    /// The type.
    pub ty: String,
    /// Whether the type is new, made by the module.
    pub new: bool,
    /// Whether everything below has it too.
    pub tree: bool,
    /// What else the type opens, beside the same of a rule on the shared type: two sentences.
    pub surplus: [String; 2],
}

impl Remedy {
    /// A word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Remedy::Nothing => "nothing",
            Remedy::ByHand { .. } => "by-hand",
            Remedy::Relabel { .. } => "relabel",
            Remedy::Places(places) if places.iter().any(|p| p.new) => "own-type",
            Remedy::Places(_) => "fcontext",
            Remedy::Port { .. } => "port",
            Remedy::Booleans { .. } => "boolean",
            Remedy::Statement(_) => "statement",
            Remedy::Silence { .. } => "dontaudit",
            Remedy::Allow { .. } => "allow",
        }
    }

    /// The commands to type, or the sentence to follow.
    pub fn steps(&self) -> Vec<String> {
        match self {
            Remedy::Nothing | Remedy::Silence { .. } | Remedy::Allow { .. } => Vec::new(),
            Remedy::ByHand { steps } => steps.clone(),
            Remedy::Relabel { paths, force, .. } => restorecon(paths, *force),
            Remedy::Places(places) => places.iter().flat_map(Place::steps).collect(),
            Remedy::Port { protocol, ports, ty } => {
                let one = |port: &u16| format!("semanage port -a -t {ty} -p {protocol} {port}");
                ports.iter().map(one).collect()
            }
            Remedy::Booleans { set, .. } => {
                let pairs: Vec<String> = set
                    .iter()
                    .map(|(name, on)| format!("{name}={}", if *on { "on" } else { "off" }))
                    .collect();
                vec![match set.as_slice() {
                    [(name, on)] => format!("setsebool -P {name} {}", if *on { "on" } else { "off" }),
                    _ => format!("setsebool -P {}", pairs.join(" ")),
                }]
            }
            Remedy::Statement(statement) => vec![statement.to_string()],
        }
    }
}

impl Place {
    /// The commands: the specification comes with the module where the type is new.
    pub fn steps(&self) -> Vec<String> {
        let word = super::advice::shell_word(self.path.as_bytes()).unwrap_or_else(|| "PATH".to_owned());
        let restorecon = format!("restorecon -{}v {word}", if self.tree { "R" } else { "" });
        if self.new {
            return vec![restorecon];
        }
        vec![format!("semanage fcontext -a -t {} '{}'", self.ty, self.pattern), restorecon]
    }
}

/// `restorecon` on some paths, as one command where they can all be pasted.
fn restorecon(paths: &[Box<[u8]>], force: bool) -> Vec<String> {
    let flags = if force { "-Fv" } else { "-v" };
    let words: Option<Vec<String>> = paths.iter().map(|p| super::advice::shell_word(p)).collect();
    match words {
        Some(words) if !words.is_empty() => vec![format!("restorecon {flags} {}", words.join(" "))],
        _ => vec![format!("restorecon {flags} PATH")],
    }
}

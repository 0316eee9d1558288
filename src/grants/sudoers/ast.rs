//! What a sudoers text says, entry by entry. Every part keeps the bytes it was written in.

use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use smallvec::SmallVec;

pub use super::bytes::Bytes;

/// A list of which nearly all have one member.
pub type Few<T> = SmallVec<[T; 1]>;

/// A range of bytes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end: end.max(start) }
    }

    /// The least span that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// As a range.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// A member of a list, perhaps with an odd number of `!` before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member<T> {
    /// Whether it takes away.
    pub negated: bool,
    /// What it names.
    pub value: T,
    /// Where it is written, from its `!`.
    pub span: Span,
}

/// A member of a user list, a runas list or a runas group list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum User {
    /// `ALL`.
    All,
    /// The invoking user: what an empty runas list stands for. Never written.
    Myself,
    /// A word: a user's name, or `#` and a uid (in a group list: a group's name, or `#` and a gid).
    Word(Bytes),
    /// `%NAME`, `%#GID`, `%:NAME`, `%:#GID`, with the `%`.
    Group(Bytes),
    /// `+NAME`, with the `+`.
    Netgroup(Bytes),
    /// An upper-case word: an alias; where there is none of that name, a word.
    Alias(Bytes),
}

/// What may stand for an alias.
pub trait MayBeAlias {
    /// The alias's name, if it is one.
    fn alias(&self) -> Option<&Bytes>;
}

impl MayBeAlias for User {
    fn alias(&self) -> Option<&Bytes> {
        if let User::Alias(name) = self { Some(name) } else { None }
    }
}

impl MayBeAlias for Host {
    fn alias(&self) -> Option<&Bytes> {
        if let Host::Alias(name) = self { Some(name) } else { None }
    }
}

impl MayBeAlias for Command {
    fn alias(&self) -> Option<&Bytes> {
        if let Command::Alias(name) = self { Some(name) } else { None }
    }
}

/// A member of a host list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// `ALL`.
    All,
    /// A host's name, perhaps with wildcards.
    Word(Bytes),
    /// An address, perhaps with `/` and a mask.
    Address(Bytes),
    /// `+NAME`, with the `+`.
    Netgroup(Bytes),
    /// An alias; where there is none of that name, a word.
    Alias(Bytes),
}

/// A member of a command list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// `ALL`, perhaps only for files with one of these digests.
    All(Vec<Digest>),
    /// An alias.
    Alias(Bytes),
    /// A path, `sudoedit`, `list`, a folder (ending in `/`) or a regular expression (`^…$`).
    Path(CommandPath),
}

/// A command with a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandPath {
    /// The path or pattern, the escapes of sudoers resolved and those of wildcards kept.
    pub path: Bytes,
    /// The arguments, joined by single spaces, escapes likewise. `None`: any; `""` (two quotes): none at all.
    pub args: Option<Bytes>,
    /// Digests, one of which the file must have; empty: none asked.
    pub digests: Vec<Digest>,
}

/// A digest before a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Which function.
    pub kind: DigestKind,
    /// As written: hexadecimal or base64.
    pub text: Bytes,
}

/// The functions of a [`Digest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// `sha224`.
    Sha224,
    /// `sha256`.
    Sha256,
    /// `sha384`.
    Sha384,
    /// `sha512`.
    Sha512,
}

impl Digest {
    /// Its bytes; `None` where it has not the length that the function gives.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let hexadecimal = self.text.len() == 2 * self.kind.bytes();
        let bytes = if hexadecimal { from_hexadecimal(&self.text) } else { from_base64(&self.text) };
        bytes.filter(|b| b.len() == self.kind.bytes())
    }
}

fn from_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for &c in text.iter().filter(|c| **c != b'=') {
        bits = bits << 6 | u32::from(digit(c)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

impl DigestKind {
    /// Length of the digest in bytes.
    pub fn bytes(self) -> usize {
        match self {
            DigestKind::Sha224 => 28,
            DigestKind::Sha256 => 32,
            DigestKind::Sha384 => 48,
            DigestKind::Sha512 => 64,
        }
    }

    /// Its word in sudoers.
    pub fn word(self) -> &'static str {
        match self {
            DigestKind::Sha224 => "sha224",
            DigestKind::Sha256 => "sha256",
            DigestKind::Sha384 => "sha384",
            DigestKind::Sha512 => "sha512",
        }
    }
}

/// `(users : groups)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Runas {
    /// The user list; [`User::Myself`] alone where it was empty.
    pub users: Few<Member<User>>,
    /// The group list; empty where none was given, as nearly always.
    pub groups: Vec<Member<User>>,
    /// Where it is written, with the parentheses.
    pub span: Span,
}

/// What `SETENV` amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Setenv {
    /// Not said.
    #[default]
    Unset,
    /// By a bare `ALL`: the user may set the environment, but the tag is not handed on along the list.
    Implied,
    /// `SETENV:`.
    Yes,
    /// `NOSETENV:`.
    No,
}

/// The tags of a command; `None` where nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tags {
    /// `NOPASSWD` (true) or `PASSWD`.
    pub nopasswd: Option<bool>,
    /// `NOEXEC` or `EXEC`.
    pub noexec: Option<bool>,
    /// `INTERCEPT` or `NOINTERCEPT`.
    pub intercept: Option<bool>,
    /// `SETENV` or `NOSETENV`.
    pub setenv: Setenv,
    /// `LOG_INPUT` or `NOLOG_INPUT`.
    pub log_input: Option<bool>,
    /// `LOG_OUTPUT` or `NOLOG_OUTPUT`.
    pub log_output: Option<bool>,
    /// `MAIL` or `NOMAIL`.
    pub mail: Option<bool>,
    /// `FOLLOW` or `NOFOLLOW`.
    pub follow: Option<bool>,
}

/// A moment of `NOTBEFORE` or `NOTAFTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Seconds since 1970, as if the zone were UTC where none was written.
    pub seconds: i64,
    /// No zone was written: sudo takes the host's.
    pub local: bool,
}

/// The options of a command. Few have any, and those that have none need no room.
#[derive(Debug, Clone, Default)]
pub struct Options(Option<Arc<OptionValues>>);

/// What the options of a command say; `None` where nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OptionValues {
    /// `CWD=`.
    pub cwd: Option<Arc<[u8]>>,
    /// `CHROOT=`.
    pub chroot: Option<Arc<[u8]>>,
    /// `ROLE=`.
    pub role: Option<Arc<[u8]>>,
    /// `TYPE=`.
    pub setype: Option<Arc<[u8]>>,
    /// `APPARMOR_PROFILE=`.
    pub apparmor: Option<Arc<[u8]>>,
    /// `TIMEOUT=`, in seconds.
    pub timeout: Option<u32>,
    /// `NOTBEFORE=`.
    pub notbefore: Option<Moment>,
    /// `NOTAFTER=`.
    pub notafter: Option<Moment>,
}

/// What is said where nothing is.
static NO_OPTIONS: OptionValues = OptionValues {
    cwd: None,
    chroot: None,
    role: None,
    setype: None,
    apparmor: None,
    timeout: None,
    notbefore: None,
    notafter: None,
};

impl Options {
    /// Whether none was written.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

// By what they say: there may be room for some, and none said.
impl PartialEq for Options {
    fn eq(&self, other: &Options) -> bool {
        **self == **other
    }
}

impl Eq for Options {}

impl Hash for Options {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Deref for Options {
    type Target = OptionValues;

    fn deref(&self) -> &OptionValues {
        self.0.as_deref().unwrap_or(&NO_OPTIONS)
    }
}

impl DerefMut for Options {
    fn deref_mut(&mut self) -> &mut OptionValues {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

/// All that is said before a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Settings {
    /// `(users : groups)`; `None`: the runas_default user.
    pub runas: Option<Arc<Runas>>,
    /// Tags.
    pub tags: Tags,
    /// Options.
    pub options: Options,
}

/// One command of a privilege.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandSpec {
    /// From its runas list, options or tags to the end of its arguments.
    pub span: Span,
    /// What is written before this command itself.
    pub written: Settings,
    /// What holds for it: what earlier commands of the list handed on included.
    pub settings: Settings,
    /// The command.
    pub command: Member<Command>,
}

/// `hosts = commands`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Privilege {
    /// From the first host to the end of the last command.
    pub span: Span,
    /// Where.
    pub hosts: Few<Member<Host>>,
    /// What.
    pub commands: Few<CommandSpec>,
}

/// `users hosts = commands : hosts = commands …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserSpec {
    /// Who.
    pub users: Few<Member<User>>,
    /// Where and what.
    pub privileges: Few<Privilege>,
    /// Whether it runs on from the end of its file (after a last `\`) into the next one, so that spans past the end
    /// of the file mean nothing.
    pub crosses: bool,
}

/// The four kinds of alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AliasKind {
    /// `User_Alias`.
    User,
    /// `Runas_Alias`.
    Runas,
    /// `Host_Alias`.
    Host,
    /// `Cmnd_Alias` or `Cmd_Alias`.
    Command,
}

impl AliasKind {
    /// Its word in sudoers.
    pub fn word(self) -> &'static str {
        match self {
            AliasKind::User => "User_Alias",
            AliasKind::Runas => "Runas_Alias",
            AliasKind::Host => "Host_Alias",
            AliasKind::Command => "Cmnd_Alias",
        }
    }
}

/// The list behind an alias, or the list that a `Defaults` is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Members {
    /// Users, or runas users.
    Users(Few<Member<User>>),
    /// Hosts.
    Hosts(Few<Member<Host>>),
    /// Commands.
    Commands(Few<Member<Command>>),
}

impl Members {
    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Members::Users(v) => v.len(),
            Members::Hosts(v) => v.len(),
            Members::Commands(v) => v.len(),
        }
    }
}

/// `NAME = list`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alias {
    /// Which kind.
    pub kind: AliasKind,
    /// Its name.
    pub name: Bytes,
    /// Where the name is written.
    pub name_span: Span,
    /// The whole definition.
    pub span: Span,
    /// The list.
    pub members: Members,
}

/// Whom a `Defaults` line is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `Defaults`.
    All,
    /// `Defaults@hosts`.
    Hosts(Few<Member<Host>>),
    /// `Defaults:users`.
    Users(Few<Member<User>>),
    /// `Defaults>runas`.
    Runas(Few<Member<User>>),
    /// `Defaults!commands`.
    Commands(Few<Member<Command>>),
}

/// How a `Defaults` parameter is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// `NAME`.
    On,
    /// `!NAME`.
    Off,
    /// `NAME = VALUE`.
    Set,
    /// `NAME += VALUE`.
    Add,
    /// `NAME -= VALUE`.
    Remove,
}

/// One parameter of a `Defaults` line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Its name.
    pub name: Bytes,
    /// What is done.
    pub change: Change,
    /// The value; empty without one.
    pub value: Bytes,
    /// From its `!` or name to the end of its value.
    pub span: Span,
}

/// A `Defaults` line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Defaults {
    /// For whom.
    pub scope: Scope,
    /// What.
    pub settings: Vec<Setting>,
}

/// `@include`, `@includedir`, or the same with `#`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Include {
    /// Whether it is a folder.
    pub dir: bool,
    /// The path as written, escapes resolved, `%h` kept.
    pub path: Bytes,
    /// Where the path is written, with its quotes.
    pub path_span: Span,
}

/// One entry: a logical line with its newline, continuation lines included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item {
    /// Its bytes; items lie end to end and cover the file.
    pub span: Span,
    /// What it says.
    pub kind: ItemKind,
}

/// What an [`Item`] says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// Nothing, or a comment.
    Blank,
    /// An include.
    Include(Include),
    /// Aliases of one kind. Those before a mistake hold.
    Aliases(Vec<Arc<Alias>>),
    /// Defaults.
    Defaults(Box<Defaults>),
    /// A user specification.
    UserSpec(Box<UserSpec>),
    /// A mistake; sudo drops the whole entry. (A user specification with a mistake in its second `hosts = commands`
    /// may be kept in part; it is then a [`ItemKind::UserSpec`] and a problem is reported beside it.)
    Bad,
    /// The rest of an entry that began in the file read before, whose last line ends in `\`.
    Tail,
}

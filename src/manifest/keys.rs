//! The keys of a manifest, in one table: what each is called, what it takes, what holds if it is not written.
//!
//! Everything that depends on the keys is derived from here: which keys are known and which are suggested for a
//! misspelt one ([`super::shape`]), the JSON Schema ([`super::schema`]) and the reference in `docs/manifest.md`
//! ([`super::reference`]).

/// A table of the manifest.
#[derive(Debug)]
pub struct Table {
    /// As it is written: `[app]`, `[[path]]`.
    pub header: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// Its keys, in the order in which they are documented.
    pub keys: &'static [Key],
}

impl Table {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }
}

/// A key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// What holds if it is not written.
    pub absent: Absent,
    /// What it says, in one line of Markdown.
    pub doc: &'static str,
}

/// What holds if a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// That is an error.
    Required,
    /// Nothing is declared.
    Nothing,
    /// This, in Markdown.
    Default(&'static str),
}

/// What a key takes.
#[derive(Debug)]
pub enum Shape {
    /// A string.
    Text(Text),
    /// An array of strings.
    Texts(Text),
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Whole {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// One of some words, each with its meaning.
    Word(&'static [(&'static str, &'static str)]),
    /// A mode: a string, or a number written in octal.
    Mode,
    /// A port: a number, or a range in a string.
    Port,
    /// A table.
    Table(&'static Table),
    /// A string, or a table.
    TextOrTable(Text, &'static Table),
    /// An array of tables.
    Tables(&'static Table),
    /// A table from names to `true` or `false`.
    Flags(Text),
    /// A table from finding codes to reasons.
    Reasons,
}

/// A kind of string.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// What it is, with its article: `an absolute path`.
    pub what: &'static str,
    /// A regular expression that holds for all valid ones (ECMA dialect, for the JSON Schema).
    pub pattern: Option<&'static str>,
}

const APP_NAME: Text = Text { what: "an application's name", pattern: Some("^[a-z][a-z0-9_-]{0,31}$") };
const USER: Text = Text { what: "a user's name", pattern: Some("^[A-Za-z_][A-Za-z0-9_.@-]*\\$?$") };
const UNIT: Text = Text {
    what: "a systemd unit's name, such as `shop.service`",
    pattern: Some("^[A-Za-z0-9:_.@\\\\-]+\\.[a-z]+$"),
};
const GROUP: Text = Text { what: "a group's name", pattern: Some("^[A-Za-z_][A-Za-z0-9_.@-]*\\$?$") };
const OWNER: Text =
    Text { what: "a user's name or number", pattern: Some("^([A-Za-z_][A-Za-z0-9_.@-]*\\$?|[0-9]+)$") };
const OWNING_GROUP: Text =
    Text { what: "a group's name or number", pattern: Some("^([A-Za-z_][A-Za-z0-9_.@-]*\\$?|[0-9]+)$") };
const PATH: Text = Text { what: "an absolute path", pattern: Some("^/") };
const RULE_TEXT: Text = Text { what: "a rule as it stands in its file", pattern: None };
const DIGEST: Text =
    Text { what: "a digest such as `sha256:…`", pattern: Some("^sha(224|256|384|512):[A-Za-z0-9+/=]+$") };
const ARGUMENT: Text = Text { what: "the command's absolute path, then its arguments", pattern: None };
const ACL_ENTRY: Text = Text {
    what: "an entry such as `user:alice:rwX`",
    pattern: Some("^(u|user|g|group):[A-Za-z0-9_.@$-]+:[rwxX-]+$"),
};
const SELINUX_TYPE: Text =
    Text { what: "the name of an SELinux type", pattern: Some("^[A-Za-z][A-Za-z0-9_.-]*$") };
const SELINUX_BOOLEAN: Text =
    Text { what: "the name of an SELinux boolean", pattern: Some("^[A-Za-z][A-Za-z0-9_.-]*$") };
const LEVEL: Text =
    Text { what: "an SELinux level", pattern: Some("^s[0-9]+(:c[0-9.,c]+)?(-s[0-9]+(:c[0-9.,c]+)?)?$") };
const MODULE_FILE: Text = Text {
    what: "a file's path, beside the manifest unless absolute",
    pattern: Some("^[^\\u0000-\\u001f]+\\.(te|fc|cil)$"),
};
const ADDRESS: Text = Text {
    what: "an address and the length of its mask, such as `10.1.0.0/16`",
    pattern: Some("^[0-9A-Fa-f.:]+/[0-9]{1,3}$"),
};
const INTERFACE: Text =
    Text { what: "a network interface's name", pattern: Some("^[A-Za-z0-9_.@:-]{1,15}$") };
const LOGIN: Text = Text {
    what: "a user's name, or `%GROUP`",
    pattern: Some("^(%?[A-Za-z_][A-Za-z0-9_.@-]*\\$?|__default__)$"),
};
const SELINUX_USER: Text =
    Text { what: "the name of an SELinux user", pattern: Some("^[A-Za-z][A-Za-z0-9_.-]*$") };
const REGEX: Text = Text { what: "a regular expression over whole paths", pattern: Some("^/") };

/// The greatest user or group number: the one above it means "no change" to chown(2).
pub const MAX_ID: u32 = u32::MAX - 1;

const ACCEPT: Key = Key {
    name: "accept",
    shape: Shape::Reasons,
    absent: Absent::Nothing,
    doc: "risks that are acknowledged here: each by its finding code, with the reason",
};

/// The whole manifest.
pub static ROOT: Table = Table {
    header: "the manifest",
    doc: "One TOML file an application.",
    keys: &[
        Key {
            name: "app",
            shape: Shape::Table(&APP),
            absent: Absent::Required,
            doc: "the application and its account",
        },
        Key {
            name: "group",
            shape: Shape::Tables(&GROUP_TABLE),
            absent: Absent::Nothing,
            doc: "groups of the application's own",
        },
        Key {
            name: "path",
            shape: Shape::Tables(&PATH_TABLE),
            absent: Absent::Nothing,
            doc: "rights on files and folders",
        },
        Key {
            name: "command",
            shape: Shape::Tables(&COMMAND),
            absent: Absent::Nothing,
            doc: "commands that it may run as somebody else",
        },
        Key {
            name: "rule",
            shape: Shape::Tables(&RULE),
            absent: Absent::Nothing,
            doc: "rules of sudo and doas that stand elsewhere and are kept",
        },
        Key {
            name: "selinux",
            shape: Shape::Table(&SELINUX),
            absent: Absent::Nothing,
            doc: "labels, booleans, ports, modules and more",
        },
    ],
};

/// `[app]`.
pub static APP: Table = Table {
    header: "[app]",
    doc: "The application and the account that it runs as.",
    keys: &[
        Key {
            name: "name",
            shape: Shape::Text(APP_NAME),
            absent: Absent::Required,
            doc: "lower-case letters, digits, `-` and `_`, a letter first, at most 32: it names the sudoers fragment, which sudo would skip if it held a dot",
        },
        Key {
            name: "user",
            shape: Shape::TextOrTable(USER, &USER_TABLE),
            absent: Absent::Default("the account that has the application's name; it is not managed"),
            doc: "a name: an account that is there already and is left as it is. A table: an account that is made and kept as declared",
        },
        Key {
            name: "units",
            shape: Shape::Texts(UNIT),
            absent: Absent::Nothing,
            doc: "its systemd units, such as `shop.service`: they may run as its user, and `perms learn` knows its denials by them",
        },
        Key {
            name: "executables",
            shape: Shape::Texts(PATH),
            absent: Absent::Nothing,
            doc: "programs that are its own, such as `/srv/shop/venv/bin/gunicorn`: `perms learn` knows its denials by them",
        },
        ACCEPT,
    ],
};

/// `[app.user]`.
pub static USER_TABLE: Table = Table {
    header: "[app.user]",
    doc: "An account that is made and kept as declared; also written `user = { … }` in `[app]`.",
    keys: &[
        Key {
            name: "name",
            shape: Shape::Text(USER),
            absent: Absent::Default("the application's name"),
            doc: "the account's name",
        },
        Key {
            name: "uid",
            shape: Shape::Whole { min: 1, max: MAX_ID },
            absent: Absent::Default("the next free one"),
            doc: "its number",
        },
        Key {
            name: "group",
            shape: Shape::Text(GROUP),
            absent: Absent::Default("a group named as the user"),
            doc: "its primary group",
        },
        Key { name: "home", shape: Shape::Text(PATH), absent: Absent::Nothing, doc: "its home folder" },
        Key { name: "shell", shape: Shape::Text(PATH), absent: Absent::Nothing, doc: "its login shell" },
        Key {
            name: "login",
            shape: Shape::Word(&[
                ("locked", "no password opens it; ssh keys, and sudo to it, still do"),
                ("none", "locked, and its shell is nologin"),
                ("password", "a password may be set; it is left alone"),
            ]),
            absent: Absent::Nothing,
            doc: "how it may be entered",
        },
        Key {
            name: "groups",
            shape: Shape::Texts(GROUP),
            absent: Absent::Default("none: `[]`"),
            doc: "its supplementary groups, exactly these",
        },
        Key {
            name: "system",
            shape: Shape::Bool,
            absent: Absent::Default("`false`"),
            doc: "whether its number is from the system range",
        },
    ],
};

/// `[[group]]`.
pub static GROUP_TABLE: Table = Table {
    header: "[[group]]",
    doc: "A group of the application's own, made if it is not there.",
    keys: &[
        Key { name: "name", shape: Shape::Text(GROUP), absent: Absent::Required, doc: "its name" },
        Key {
            name: "gid",
            shape: Shape::Whole { min: 1, max: MAX_ID },
            absent: Absent::Default("the next free one"),
            doc: "its number",
        },
        Key {
            name: "system",
            shape: Shape::Bool,
            absent: Absent::Default("`false`"),
            doc: "whether its number is from the system range",
        },
    ],
};

/// `[[path]]`.
pub static PATH_TABLE: Table = Table {
    header: "[[path]]",
    doc: "Rights on a file, a folder or a tree.",
    keys: &[
        Key {
            name: "path",
            shape: Shape::Text(PATH),
            absent: Absent::Required,
            doc: "absolute, without `.` and `..`",
        },
        Key {
            name: "access",
            shape: Shape::Word(&[
                (
                    "read",
                    "read files, list and enter folders, and no more: what groups or others give beyond is taken away, what it owns or could replace is found",
                ),
                ("write", "also change, create and delete"),
            ]),
            absent: Absent::Nothing,
            doc: "what the application's user can do there, by whatever it takes: an ACL entry, default entries for new files, the mask, search permission on every parent",
        },
        Key {
            name: "kind",
            shape: Shape::Word(&[("file", "a regular file"), ("directory", "a folder")]),
            absent: Absent::Default("what is there"),
            doc: "what it is",
        },
        Key {
            name: "create",
            shape: Shape::Bool,
            absent: Absent::Default("`false`"),
            doc: "make it if it is not there; needs `kind` and `mode`",
        },
        Key {
            name: "recursive",
            shape: Shape::Bool,
            absent: Absent::Default(
                "`access` holds for everything below, and with it `acl` and `default_acl`; `owner`, `group` and `mode` do not",
            ),
            doc: "whether all that is said here holds for everything below, too, or nothing of it",
        },
        Key { name: "owner", shape: Shape::Text(OWNER), absent: Absent::Nothing, doc: "who owns it" },
        Key {
            name: "group",
            shape: Shape::Text(OWNING_GROUP),
            absent: Absent::Nothing,
            doc: "the group that owns it",
        },
        Key {
            name: "mode",
            shape: Shape::Mode,
            absent: Absent::Nothing,
            doc: "`\"0640\"` or `0o640`: all twelve bits. `\"u=rwX,g=rX,o=\"`: exact for owner, owning group and others; `X` is `x` for folders and for files that have any execute bit",
        },
        Key {
            name: "acl",
            shape: Shape::Texts(ACL_ENTRY),
            absent: Absent::Nothing,
            doc: "named ACL entries, exactly these beside those of `access`",
        },
        Key {
            name: "default_acl",
            shape: Shape::Texts(ACL_ENTRY),
            absent: Absent::Nothing,
            doc: "named entries of the default ACL, which new files in the folder get",
        },
        ACCEPT,
    ],
};

/// `[[rule]]`.
pub static RULE: Table = Table {
    header: "[[rule]]",
    doc: "A rule of sudo or doas for the application's user that somebody else wrote and that is kept as it is, as `perms import` finds them. A `[[command]]` is the better way: it is exact, and written by `perms`.",
    keys: &[
        Key {
            name: "file",
            shape: Shape::Text(PATH),
            absent: Absent::Required,
            doc: "the file that it stands in: sudoers, one that it includes, or `/etc/doas.conf`",
        },
        Key {
            name: "text",
            shape: Shape::Text(RULE_TEXT),
            absent: Absent::Required,
            doc: "the whole entry as it stands there, a blank for any blanks; another text is another rule",
        },
    ],
};

/// `[[command]]`.
pub static COMMAND: Table = Table {
    header: "[[command]]",
    doc: "A command that the application's user may run as somebody else.",
    keys: &[
        Key {
            name: "run",
            shape: Shape::Texts(ARGUMENT),
            absent: Absent::Required,
            doc: "the command's absolute path, then its arguments; exactly this vector, without wildcards. The path alone: no arguments",
        },
        Key {
            name: "args",
            shape: Shape::Word(&[("any", "any arguments; `run` then holds the path alone")]),
            absent: Absent::Default("exactly those of `run`"),
            doc: "which arguments it takes",
        },
        Key {
            name: "as",
            shape: Shape::Text(USER),
            absent: Absent::Default("`\"root\"`"),
            doc: "as whom; `\"ALL\"` for anybody",
        },
        Key {
            name: "with",
            shape: Shape::Word(&[
                ("sudo", "a sudoers fragment"),
                ("doas", "a rule in doas.conf"),
                (
                    "polkit",
                    "a rule of polkit, for `systemctl VERB UNIT` alone, which is then called without sudo",
                ),
            ]),
            absent: Absent::Default("`\"sudo\"`"),
            doc: "what grants it",
        },
        Key {
            name: "digest",
            shape: Shape::Text(DIGEST),
            absent: Absent::Nothing,
            doc: "sudo runs the command only while its file has this digest (`sha256sum`); for programs that somebody else may write it is too late. Not with sudo-rs",
        },
        Key {
            name: "nopasswd",
            shape: Shape::Bool,
            absent: Absent::Default("`false`"),
            doc: "whether no password is asked for",
        },
        ACCEPT,
    ],
};

/// `[selinux]`.
pub static SELINUX: Table = Table {
    header: "[selinux]",
    doc: "What the application needs of SELinux.",
    keys: &[
        Key {
            name: "domain",
            shape: Shape::Text(SELINUX_TYPE),
            absent: Absent::Nothing,
            doc: "the type of its processes",
        },
        Key {
            name: "booleans",
            shape: Shape::Flags(SELINUX_BOOLEAN),
            absent: Absent::Nothing,
            doc: "booleans and their values: `{ httpd_can_network_connect = true }`",
        },
        Key {
            name: "ports",
            shape: Shape::Tables(&PORT),
            absent: Absent::Nothing,
            doc: "ports and their types",
        },
        Key {
            name: "nodes",
            shape: Shape::Tables(&NODE),
            absent: Absent::Nothing,
            doc: "addresses of hosts and nets, and their types",
        },
        Key {
            name: "interfaces",
            shape: Shape::Tables(&INTERFACE_TABLE),
            absent: Absent::Nothing,
            doc: "network interfaces and their types",
        },
        Key {
            name: "logins",
            shape: Shape::Tables(&LOGIN_TABLE),
            absent: Absent::Nothing,
            doc: "which SELinux user people who log in become",
        },
        Key {
            name: "permissive",
            shape: Shape::Texts(SELINUX_TYPE),
            absent: Absent::Nothing,
            doc: "domains in which SELinux only reports; exactly these, as far as the application's own domain goes",
        },
        Key {
            name: "dontaudit",
            shape: Shape::Bool,
            absent: Absent::Nothing,
            doc: "whether denials that the policy calls harmless stay out of the log (of the whole host)",
        },
        Key { name: "label", shape: Shape::Tables(&LABEL), absent: Absent::Nothing, doc: "labels of files" },
        Key {
            name: "module",
            shape: Shape::Tables(&MODULE),
            absent: Absent::Nothing,
            doc: "policy modules, built from their sources and installed at priority 500",
        },
    ],
};

/// `[[selinux.module]]`.
pub static MODULE: Table = Table {
    header: "[[selinux.module]]",
    doc: "A policy module, from its source: `te` (with `fc`, if it has file contexts), or `cil`. Its name is the file's.",
    keys: &[
        Key {
            name: "te",
            shape: Shape::Text(MODULE_FILE),
            absent: Absent::Nothing,
            doc: "rules in the module language, `NAME.te`, that begin with `module NAME VERSION;`",
        },
        Key {
            name: "fc",
            shape: Shape::Text(MODULE_FILE),
            absent: Absent::Nothing,
            doc: "file contexts that belong to `te`, `NAME.fc`",
        },
        Key {
            name: "cil",
            shape: Shape::Text(MODULE_FILE),
            absent: Absent::Nothing,
            doc: "the module in CIL, `NAME.cil`, instead of `te`",
        },
    ],
};

/// An element of `nodes`.
pub static NODE: Table = Table {
    header: "selinux.nodes",
    doc: "Addresses and their type: `nodes = [{ address = \"10.1.0.0/16\", type = \"intranet_node_t\" }]`.",
    keys: &[
        Key {
            name: "address",
            shape: Shape::Text(ADDRESS),
            absent: Absent::Required,
            doc: "IPv4 or IPv6, and the length of the mask",
        },
        Key { name: "type", shape: Shape::Text(SELINUX_TYPE), absent: Absent::Required, doc: "their type" },
    ],
};

/// An element of `interfaces`.
pub static INTERFACE_TABLE: Table = Table {
    header: "selinux.interfaces",
    doc: "A network interface and its type: `interfaces = [{ name = \"eth1\", type = \"netif_t\" }]`.",
    keys: &[
        Key { name: "name", shape: Shape::Text(INTERFACE), absent: Absent::Required, doc: "its name" },
        Key { name: "type", shape: Shape::Text(SELINUX_TYPE), absent: Absent::Required, doc: "its type" },
    ],
};

/// An element of `logins`.
pub static LOGIN_TABLE: Table = Table {
    header: "selinux.logins",
    doc: "What a person who logs in becomes: `logins = [{ name = \"alice\", user = \"staff_u\" }]`.",
    keys: &[
        Key {
            name: "name",
            shape: Shape::Text(LOGIN),
            absent: Absent::Required,
            doc: "a user's name, or `%GROUP` for all members of a group",
        },
        Key {
            name: "user",
            shape: Shape::Text(SELINUX_USER),
            absent: Absent::Required,
            doc: "the SELinux user",
        },
        Key {
            name: "range",
            shape: Shape::Text(LEVEL),
            absent: Absent::Default("what is there is kept; a new one gets that of the SELinux user"),
            doc: "the level, or the range of levels",
        },
    ],
};

/// An element of `ports`.
pub static PORT: Table = Table {
    header: "selinux.ports",
    doc: "A port, or a range of ports, and its type: `ports = [{ protocol = \"tcp\", port = 2003, type = \"http_port_t\" }]`.",
    keys: &[
        Key {
            name: "protocol",
            shape: Shape::Word(&[("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP"), ("dccp", "DCCP")]),
            absent: Absent::Required,
            doc: "the protocol",
        },
        Key {
            name: "port",
            shape: Shape::Port,
            absent: Absent::Required,
            doc: "a number, or a range such as `\"8000-8010\"`",
        },
        Key { name: "type", shape: Shape::Text(SELINUX_TYPE), absent: Absent::Required, doc: "its type" },
    ],
};

/// `[[selinux.label]]`.
pub static LABEL: Table = Table {
    header: "[[selinux.label]]",
    doc: "A file-context specification: which label the files under a path have.",
    keys: &[
        Key {
            name: "paths",
            shape: Shape::Text(REGEX),
            absent: Absent::Required,
            doc: "a regular expression over whole paths, as in file_contexts: `\"/srv/app/live(/.*)?\"`",
        },
        Key { name: "type", shape: Shape::Text(SELINUX_TYPE), absent: Absent::Required, doc: "the type" },
        Key {
            name: "files",
            shape: Shape::Word(FILE_WORDS),
            absent: Absent::Default("`\"all\"`"),
            doc: "which kind of file it is for",
        },
        Key {
            name: "level",
            shape: Shape::Text(LEVEL),
            absent: Absent::Default("a file's own is kept; a new one is `s0`"),
            doc: "the level, such as `\"s0:c1\"`",
        },
    ],
};

/// The words of `files`; [`file_letter`] gives the letter of file_contexts for each.
const FILE_WORDS: &[(&str, &str)] = &[
    ("all", "any kind"),
    ("file", "regular files"),
    ("directory", "folders"),
    ("link", "symbolic links"),
    ("socket", "sockets"),
    ("pipe", "named pipes"),
    ("char", "character devices"),
    ("block", "block devices"),
];

/// The letter that file_contexts has for a word of `files`; `None` for `all`.
pub fn file_letter(word: &str) -> Option<char> {
    Some(match word {
        "file" => '-',
        "directory" => 'd',
        "link" => 'l',
        "socket" => 's',
        "pipe" => 'p',
        "char" => 'c',
        "block" => 'b',
        _ => return None,
    })
}

impl Shape {
    /// What it takes, as the end of "`key` takes …".
    pub fn expected(&self) -> String {
        match self {
            Shape::Text(t) => format!("a string: {}", t.what),
            Shape::Texts(t) => format!("an array of strings: {}", t.what),
            Shape::Bool => "`true` or `false`".to_owned(),
            Shape::Whole { .. } => "a whole number".to_owned(),
            Shape::Word(words) => list(words.iter().map(|(w, _)| format!("`\"{w}\"`"))),
            Shape::Mode => "a mode such as `\"0640\"`, `0o640` or `\"u=rwX,g=rX,o=\"`".to_owned(),
            Shape::Port => "a number from 1 to 65535, or a range such as `\"8000-8010\"`".to_owned(),
            Shape::Table(t) => format!("a table: `{}`", t.header),
            Shape::TextOrTable(t, table) => format!("{} in a string, or a table: `{}`", t.what, table.header),
            Shape::Tables(t) if t.header.starts_with('[') => format!("an array of tables: `{}`", t.header),
            Shape::Tables(_) => "an array of tables: `[{ … }]`".to_owned(),
            Shape::Flags(_) => "a table: `{ NAME = true }`".to_owned(),
            Shape::Reasons => "a table: `{ \"code\" = \"reason\" }`".to_owned(),
        }
    }
}

/// `a, b or c`.
pub fn list(words: impl IntoIterator<Item = String>) -> String {
    let mut words: Vec<String> = words.into_iter().collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

//! SELinux as a host has it: whether it is on, and what its policy store holds of local changes.

use std::path::{Path, PathBuf};

use crate::sys::{Root, run};

const LIMIT: u64 = 64 << 20;

/// SELinux on a host.
#[derive(Debug, Clone, Default)]
pub struct Selinux {
    /// The running kernel enforces or permits by a policy (and the tree that is looked at is its own).
    pub active: bool,
    /// `SELINUXTYPE` of /etc/selinux/config.
    pub policy_type: Option<String>,
    /// Whether the policy store can be changed from here.
    pub store: Store,
    booleans_local: Vec<(String, bool)>,
    ports_local: Vec<Port>,
    contexts_local: Vec<Context>,
}

/// Whether the policy store can be looked at and changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Store {
    /// It can.
    Ready,
    /// It cannot, and why.
    #[default]
    Absent,
    /// It is there and cannot be read.
    Unreadable(String),
}

/// A port definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// `tcp`, `udp` …
    pub protocol: String,
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
    /// Its type.
    pub setype: String,
}

/// A local file-context specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The regular expression.
    pub pattern: String,
    /// The kind's letter; none for any.
    pub files: Option<char>,
    /// The type; none for `<<none>>`.
    pub setype: Option<String>,
}

impl Selinux {
    /// Looks at SELinux beneath `root`.
    pub fn observe(root: &Root) -> Self {
        let config = root.read(Path::new("/etc/selinux/config"), LIMIT).unwrap_or_default();
        let policy_type = String::from_utf8_lossy(&config)
            .lines()
            .filter_map(|l| l.trim().strip_prefix("SELINUXTYPE="))
            .map(|t| t.trim().to_owned())
            .next_back()
            .filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        let active = root.is_host() && Path::new("/sys/fs/selinux/enforce").exists();
        let mut s = Selinux { active, policy_type, ..Selinux::default() };
        if let Some(t) = s.policy_type.clone().filter(|_| active) {
            s.read_store(root, &PathBuf::from("/var/lib/selinux").join(t).join("active"));
        }
        s
    }

    fn read_store(&mut self, root: &Root, active: &Path) {
        if let Err(e) = root.names(active) {
            self.store = if e.is_not_found() { Store::Absent } else { Store::Unreadable(e.to_string()) };
            return;
        }
        if run::find("semanage").is_none() {
            self.store = Store::Unreadable("`semanage` is not installed".into());
            return;
        }
        let text = |name: &str| {
            String::from_utf8_lossy(&root.read(&active.join(name), LIMIT).unwrap_or_default()).into_owned()
        };
        self.booleans_local = parse_booleans(&text("booleans.local"));
        self.ports_local = parse_ports(&text("ports.local"));
        self.contexts_local = parse_contexts(&text("file_contexts.local"));
        self.store = Store::Ready;
    }

    /// The running value of a boolean.
    pub fn running_boolean(&self, root: &Root, name: &str) -> Option<bool> {
        let path = Path::new("/sys/fs/selinux/booleans").join(name);
        let text = root.read(&path, 64).ok()?;
        match text.first() {
            Some(b'1') => Some(true),
            Some(b'0') => Some(false),
            _ => None,
        }
    }

    /// The value that the store has for a boolean, if it was ever set there.
    pub fn stored_boolean(&self, name: &str) -> Option<bool> {
        self.booleans_local.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    /// Local port definitions.
    pub fn local_ports(&self) -> &[Port] {
        &self.ports_local
    }

    /// All port definitions, the policy's own too, as `semanage port -l` lists them.
    pub fn all_ports(&self) -> Result<Vec<Port>, String> {
        let ended = run::run("semanage", &["port", "-l", "-n"], b"").map_err(|e| e.to_string())?;
        if !ended.success {
            return Err(ended.said());
        }
        Ok(parse_port_list(&String::from_utf8_lossy(&ended.stdout)))
    }

    /// The local specification with this pattern and kind.
    pub fn local_context(&self, pattern: &str, files: Option<char>) -> Option<&Context> {
        self.contexts_local.iter().rev().find(|c| c.pattern == pattern && c.files == files)
    }
}

/// `NAME=0|1` (booleans.local of the store).
fn parse_booleans(text: &str) -> Vec<(String, bool)> {
    text.lines()
        .filter(|l| !l.trim_start().starts_with('#'))
        .filter_map(|l| {
            let (name, value) = l.split_once('=')?;
            Some((name.trim().to_owned(), matches!(value.trim(), "1" | "true" | "on")))
        })
        .collect()
}

/// `portcon tcp 2003 system_u:object_r:http_port_t:s0` (ports.local of the store).
fn parse_ports(text: &str) -> Vec<Port> {
    text.lines()
        .filter_map(|l| {
            let mut words = l.split_whitespace();
            if words.next()? != "portcon" {
                return None;
            }
            let (protocol, range, context) = (words.next()?, words.next()?, words.next()?);
            let (low, high) = parse_range(range)?;
            Some(Port {
                protocol: protocol.to_owned(),
                low,
                high,
                setype: context.split(':').nth(2)?.to_owned(),
            })
        })
        .collect()
}

fn parse_range(range: &str) -> Option<(u16, u16)> {
    match range.split_once('-') {
        Some((low, high)) => Some((low.trim().parse().ok()?, high.trim().parse().ok()?)),
        None => range.trim().parse().ok().map(|p| (p, p)),
    }
}

/// `http_port_t  tcp  80, 81, 8000-8010` (semanage port -l -n).
fn parse_port_list(text: &str) -> Vec<Port> {
    let mut ports = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(setype), Some(protocol)) = (words.next(), words.next()) else { continue };
        for range in words.flat_map(|w| w.split(',')).filter(|r| !r.is_empty()) {
            if let Some((low, high)) = parse_range(range) {
                ports.push(Port { protocol: protocol.to_owned(), low, high, setype: setype.to_owned() });
            }
        }
    }
    ports
}

/// `PATTERN [-- -d …] CONTEXT` (file_contexts.local of the store).
fn parse_contexts(text: &str) -> Vec<Context> {
    text.lines()
        .filter(|l| !l.trim_start().starts_with('#'))
        .filter_map(|l| {
            let words: Vec<&str> = l.split_whitespace().collect();
            let (pattern, files, context) = match words.as_slice() {
                [pattern, context] => (*pattern, None, *context),
                [pattern, files, context] => (*pattern, files.chars().nth(1), *context),
                _ => return None,
            };
            let setype = context.split(':').nth(2).map(str::to_owned);
            Some(Context { pattern: pattern.to_owned(), files, setype })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_read_as_semanage_writes_it() {
        assert_eq!(
            parse_booleans("# c\nhttpd_x=1\ny = 0\n"),
            [("httpd_x".into(), true), ("y".into(), false)]
        );
        let p = Port { protocol: "tcp".into(), low: 2003, high: 2010, setype: "http_port_t".into() };
        assert_eq!(
            parse_ports("portcon tcp 2003-2010 system_u:object_r:http_port_t:s0\nx\n"),
            std::slice::from_ref(&p)
        );
        assert_eq!(parse_port_list("http_port_t                    tcp      2003-2010\n\n"), [p]);
        let c = parse_contexts("/srv/a(/.*)?    --   system_u:object_r:usr_t:s0\n/b <<none>>\n");
        assert_eq!(
            c[0],
            Context { pattern: "/srv/a(/.*)?".into(), files: Some('-'), setype: Some("usr_t".into()) }
        );
        assert_eq!(c[1].setype, None);
    }
}

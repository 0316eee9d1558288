//! The files of a policy store that hold what was changed locally, read as libsemanage writes them.

/// A local port definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPort {
    /// `tcp`, `udp` …
    pub protocol: String,
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
    /// Its context, whole.
    pub context: String,
}

impl LocalPort {
    /// The type in its context.
    pub fn setype(&self) -> &str {
        field(&self.context, 2)
    }
}

/// A local definition of a net's or a host's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalNode {
    /// `ipv4` or `ipv6`.
    pub protocol: String,
    /// Address.
    pub address: String,
    /// Mask, in full.
    pub mask: String,
    /// Its context, whole.
    pub context: String,
}

/// A local definition of a network interface's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalInterface {
    /// Its name.
    pub name: String,
    /// Its context, whole. (That of its packets, which nothing uses, is always the same.)
    pub context: String,
}

/// Which SELinux user somebody becomes by logging in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalLogin {
    /// A user's name, `%GROUP` or `__default__`.
    pub name: String,
    /// The SELinux user.
    pub user: String,
    /// The range of levels; empty where the policy has none.
    pub range: String,
}

/// Whether a local definition is of this net; addresses have several spellings.
pub fn same_node(node: &LocalNode, protocol: &str, address: &str, mask: &str) -> bool {
    let same = |a: &str, b: &str| match (a.parse::<std::net::IpAddr>(), b.parse::<std::net::IpAddr>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    };
    node.protocol == protocol && same(&node.address, address) && same(&node.mask, mask)
}

/// A field of a context: its type is number 2, its level number 3.
pub fn context_field(context: &str, n: usize) -> &str {
    field(context, n)
}

/// A file-context specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalContext {
    /// The regular expression.
    pub pattern: String,
    /// The kind's letter (`-` for regular files); none for any.
    pub files: Option<char>,
    /// The context, whole; none for `<<none>>`.
    pub context: Option<String>,
}

impl LocalContext {
    /// The type, `<<none>>` for none.
    pub fn setype(&self) -> &str {
        self.context.as_deref().map_or("<<none>>", |c| field(c, 2))
    }

    /// The level or range; none for none, or where the policy has no levels.
    pub fn level(&self) -> Option<&str> {
        self.context.as_deref().and_then(|c| c.splitn(4, ':').nth(3))
    }
}

/// A field of `user:role:type:range`.
fn field(context: &str, n: usize) -> &str {
    context.splitn(4, ':').nth(n).unwrap_or_default()
}

/// Lines that hold something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}

/// `NAME=0|1` (booleans.local).
pub(super) fn parse_booleans(text: &str) -> Vec<(String, bool)> {
    let pairs = lines(text).filter_map(|l| l.split_once('='));
    pairs.map(|(n, v)| (n.trim().to_owned(), matches!(v.trim(), "1" | "true" | "on"))).collect()
}

/// `portcon tcp 2003 system_u:object_r:http_port_t:s0`, a range with spaces round its dash: `2004 - 2010`
/// (ports.local).
pub(super) fn parse_ports(text: &str) -> Vec<LocalPort> {
    let port = |l: &str| {
        let rest = l.strip_prefix("portcon")?.trim_start();
        let (protocol, rest) = rest.split_once(char::is_whitespace)?;
        let (range, context) = rest.trim().rsplit_once(char::is_whitespace)?;
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low.trim().parse().ok()?, high.trim().parse().ok()?),
            None => range.trim().parse().ok().map(|p| (p, p))?,
        };
        Some(LocalPort { protocol: protocol.to_owned(), low, high, context: context.to_owned() })
    };
    lines(text).filter_map(port).collect()
}

/// `nodecon ipv4 10.1.0.0 255.255.0.0 system_u:object_r:node_t:s0` (nodes.local).
pub(super) fn parse_nodes(text: &str) -> Vec<LocalNode> {
    let node = |l: &str| {
        let mut words = l.strip_prefix("nodecon")?.split_whitespace().map(str::to_owned);
        Some(LocalNode {
            protocol: words.next()?,
            address: words.next()?,
            mask: words.next()?,
            context: words.next()?,
        })
    };
    lines(text).filter_map(node).collect()
}

/// `netifcon eth1 CONTEXT CONTEXT` (interfaces.local).
pub(super) fn parse_interfaces(text: &str) -> Vec<LocalInterface> {
    let interface = |l: &str| {
        let mut words = l.strip_prefix("netifcon")?.split_whitespace().map(str::to_owned);
        Some(LocalInterface { name: words.next()?, context: words.next()? })
    };
    lines(text).filter_map(interface).collect()
}

/// `alice:staff_u:s0-s0:c0.c1023` (seusers.local, seusers).
pub(super) fn parse_logins(text: &str) -> Vec<LocalLogin> {
    let login = |l: &str| {
        let mut fields = l.splitn(3, ':').map(|f| f.trim().to_owned());
        let (name, user) = (fields.next()?, fields.next()?);
        Some(LocalLogin { name, user, range: fields.next().unwrap_or_default() })
    };
    lines(text).filter_map(login).collect()
}

/// `PATTERN [-- -d …] CONTEXT` (file_contexts, file_contexts.local).
pub fn parse_contexts(text: &str) -> Vec<LocalContext> {
    let context = |l: &str| {
        let mut words = l.split_whitespace();
        let (pattern, second) = (words.next()?, words.next()?);
        let (files, context) = match words.next() {
            Some(third) => (second.strip_prefix('-')?.chars().next(), third),
            None => (None, second),
        };
        let context = (context != "<<none>>").then(|| context.to_owned());
        Some(LocalContext { pattern: pattern.to_owned(), files, context })
    };
    lines(text).filter_map(context).collect()
}

/// `old_name new_name` (booleans.subs_dist).
pub(super) fn parse_boolean_names(text: &str) -> Vec<(String, String)> {
    let pairs = lines(text).filter_map(|l| {
        let mut words = l.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# This file is auto-generated by libsemanage\n# Do not edit directly.\n\n";

    #[test]
    fn booleans() {
        let text = format!("{HEAD}httpd_x=1\ny=0\n");
        assert_eq!(parse_booleans(&text), [("httpd_x".into(), true), ("y".into(), false)]);
    }

    #[test]
    fn ports() {
        let text = format!(
            "{HEAD}portcon tcp 2003 system_u:object_r:http_port_t:s0\nportcon udp 2004 - 2010 u:r:x_t:s0-s0:c1\n\
             portcon udp nonsense u:r:x_t:s0\nx\n"
        );
        let ports = parse_ports(&text);
        let seen: Vec<_> = ports.iter().map(|p| (p.protocol.as_str(), p.low, p.high, p.setype())).collect();
        assert_eq!(seen, [("tcp", 2003, 2003, "http_port_t"), ("udp", 2004, 2010, "x_t")]);
    }

    #[test]
    fn nodes_interfaces_and_logins() {
        let text =
            format!("{HEAD}nodecon ipv6 fd00:: ff00:: system_u:object_r:node_t:s0\nnodecon ipv4 short\n");
        let nodes = parse_nodes(&text);
        assert_eq!(nodes.len(), 1);
        assert_eq!((nodes[0].address.as_str(), nodes[0].mask.as_str()), ("fd00::", "ff00::"));
        let text = format!("{HEAD}netifcon eth1 system_u:object_r:a_t:s0 system_u:object_r:b_t:s0\n");
        assert_eq!(context_field(&parse_interfaces(&text)[0].context, 2), "a_t");
        let logins = parse_logins("%wheel:staff_u:s0-s0:c0.c1023\nbob:user_u\nx\n");
        let seen: Vec<_> = logins.iter().map(|l| (&*l.name, &*l.user, &*l.range)).collect();
        assert_eq!(seen, [("%wheel", "staff_u", "s0-s0:c0.c1023"), ("bob", "user_u", "")]);
    }

    #[test]
    fn contexts() {
        let text = format!(
            "{HEAD}/live(/.*)?    system_u:object_r:usr_t:s0\n/a{{2,3}} -d system_u:object_r:var_t:s0:c1,c2\n\
             /srv/a -- system_u:object_r:var_t:s0\n/none -l <<none>>\n"
        );
        let all = parse_contexts(&text);
        let seen: Vec<_> = all.iter().map(|c| (c.pattern.as_str(), c.files, c.setype(), c.level())).collect();
        assert_eq!(
            seen,
            [
                ("/live(/.*)?", None, "usr_t", Some("s0")),
                ("/a{2,3}", Some('d'), "var_t", Some("s0:c1,c2")),
                ("/srv/a", Some('-'), "var_t", Some("s0")),
                ("/none", Some('l'), "<<none>>", None),
            ]
        );
    }
}

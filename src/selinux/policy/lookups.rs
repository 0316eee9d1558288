//! The contexts of what carries no label: which statement the kernel takes (security/selinux/ss/services.c).

use std::net::IpAddr;

use super::context::Context;
use super::database::Policy;
use super::id::ClassId;
use super::object_contexts::{FsUseKind, Port};

/// Policy capability `netif_wildcard`: names of interfaces may hold `*` and `?`.
const NETIF_WILDCARD: u32 = 10;
/// Policy capability `genfs_seclabel_wildcard`: genfs paths are patterns and not prefixes.
const GENFS_WILDCARD: u32 = 11;

/// How a file system's files are labelled, and the statement that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem<'p> {
    /// How.
    pub kind: FsUseKind,
    /// Of `fs_use_*`, or of the file system's root by `genfscon`; `None` where the policy says nothing.
    pub context: Option<&'p Context>,
}

impl Policy {
    /// The context of an initial SID by its number in the kernel.
    pub fn initial_context(&self, sid: u32) -> Option<&Context> {
        self.object_contexts.initial_sids.iter().find(|s| s.sid == sid).map(|s| &s.context)
    }

    /// The `portcon` of a port: the first whose protocol (6 tcp, 17 udp, 33 dccp, 132 sctp) and range fit. Without
    /// one, the kernel takes the initial SID `port`.
    pub fn port(&self, protocol: u32, port: u16) -> Option<&Port> {
        let mut ports = self.object_contexts.ports.iter();
        ports.find(|p| p.protocol == protocol && p.low <= port && port <= p.high)
    }

    /// The context of an address: of the first `nodecon` whose address and mask fit. Without one, the kernel takes
    /// the initial SID `node`.
    pub fn node(&self, address: IpAddr) -> Option<&Context> {
        match address {
            IpAddr::V4(a) => {
                let mut nodes = self.object_contexts.nodes4.iter();
                nodes.find(|n| a.to_bits() & n.mask.to_bits() == n.address.to_bits()).map(|n| &n.context)
            }
            IpAddr::V6(a) => {
                let mut nodes = self.object_contexts.nodes6.iter();
                nodes.find(|n| a.to_bits() & n.mask.to_bits() == n.address.to_bits()).map(|n| &n.context)
            }
        }
    }

    /// The contexts of a network interface and (which the kernel no longer uses) of its packets. Without a
    /// `netifcon`, the initial SIDs `netif` and `netmsg` stand in.
    pub fn interface(&self, name: &[u8]) -> Option<(&Context, &Context)> {
        let wildcard = self.capabilities.contains(NETIF_WILDCARD);
        let fits = |n: &[u8]| if wildcard { matches(n, name) } else { n == name };
        let mut found = self.object_contexts.interfaces.iter().filter(|n| fits(&n.name));
        found.next().map(|n| (&n.context, &n.second))
    }

    /// How the files of a file system of this type are labelled.
    pub fn file_system(&self, fstype: &[u8]) -> FileSystem<'_> {
        if let Some(found) = self.object_contexts.fs_uses.iter().find(|f| &*f.name == fstype) {
            return FileSystem { kind: found.kind, context: Some(&found.context) };
        }
        let dir = self.classes.id("dir");
        match self.genfs_path(fstype, b"/", dir) {
            Some(context) => FileSystem { kind: FsUseKind::Genfs, context: Some(context) },
            None => FileSystem { kind: FsUseKind::None, context: None },
        }
    }

    /// The `genfscon` context of a path (from the file system's root) and class: of the longest path that fits.
    pub fn genfs_path(&self, fstype: &[u8], path: &[u8], class: Option<ClassId>) -> Option<&Context> {
        // The kernel drops all but the last of leading slashes.
        let slashes = path.iter().take_while(|b| **b == b'/').count();
        let path = path.get(slashes.saturating_sub(1)..).unwrap_or(path);
        let wildcard = self.capabilities.contains(GENFS_WILDCARD);
        let fits = |p: &[u8]| if wildcard { matches(p, path) } else { path.starts_with(p) };
        let genfs = self.genfs.iter().find(|g| &*g.fstype == fstype)?;
        let fitting = genfs
            .paths
            .iter()
            .filter(|p| p.class.is_none() || class.is_none() || p.class == class)
            .filter(|p| fits(&p.path));
        // Of paths of one length, the first.
        fitting.rev().max_by_key(|p| p.path.len()).map(|p| &p.context)
    }
}

/// Whether a text fits a pattern of `*` (any bytes) and `?` (any one), in time linear in each star.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t += 1;
            }
            Some(b) if b == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("/sys/*", "/sys/net", true),
            ("/sys/*", "/proc/net", false),
            ("eth?", "eth0", true),
            ("eth?", "eth10", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyyd", false),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }
}

//! Names of types, roles, users, classes and permissions, checked.
//!
//! Everything that `perms` writes into a module passes through [`Name`]: there is no other way for a text from a log
//! to reach a policy.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Longest name taken. The kernel bounds a whole context by a page; no policy comes near this.
const LONGEST: usize = 255;

/// An identifier of SELinux: a letter or `_`, then letters, digits, `_`, `-`, and `.` within.
///
/// Such a name can be written in CIL. Whether it can be written in a `.te` module, too, is [`Name::in_te`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<str>);

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        // Names of one log share their memory.
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Name {
    /// Takes `text` if it is an identifier.
    pub fn new(text: &str) -> Option<Name> {
        is_identifier(text.as_bytes()).then(|| Name(text.into()))
    }

    /// Takes `bytes` if they are an identifier.
    pub fn from_bytes(bytes: &[u8]) -> Option<Name> {
        if !is_identifier(bytes) {
            return None;
        }
        std::str::from_utf8(bytes).ok().map(|t| Name(t.into()))
    }

    /// A name for a module made from any text: what cannot be in one becomes `_`, and what would be a word of the
    /// module language gets a tail.
    pub fn for_module(text: &str) -> Name {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let mut name: String = text.chars().take(64).map(plain).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert_str(0, "m_");
        }
        if is_reserved(&name) {
            name.push_str("_module");
        }
        Name(name.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether checkmodule reads it as a name of its own: no word of the language, no dot (a dotted type would
    /// demand a parent type that bounds it), a letter first.
    pub fn in_te(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_alphabetic())
            && !self.0.contains('.')
            && !is_reserved(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

/// Whether `bytes` are an identifier as [`Name`] tells.
pub fn is_identifier(bytes: &[u8]) -> bool {
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.len() <= LONGEST
        && (first.is_ascii_alphabetic() || *first == b'_')
        && *last != b'.'
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !bytes.windows(2).any(|w| w == b"..")
}

/// The words of the module language (checkpolicy's scanner takes each in lower and in upper case), in order.
const RESERVED: &[&str] = &[
    "alias",
    "allow",
    "allowxperm",
    "and",
    "attribute",
    "attribute_role",
    "auditallow",
    "auditallowxperm",
    "auditdeny",
    "base",
    "bool",
    "category",
    "class",
    "clone",
    "common",
    "constrain",
    "default_range",
    "default_role",
    "default_type",
    "default_user",
    "devicetreecon",
    "dom",
    "domby",
    "dominance",
    "dontaudit",
    "dontauditxperm",
    "else",
    "eq",
    "equals",
    "expandattr",
    "expandattribute",
    "false",
    "false_val",
    "fs_use_task",
    "fs_use_trans",
    "fs_use_xattr",
    "fscon",
    "genfscon",
    "glblub",
    "h1",
    "h2",
    "high",
    "ibendportcon",
    "ibpkeycon",
    "if",
    "incomp",
    "inherits",
    "iomemcon",
    "ioportcon",
    "l1",
    "l2",
    "level",
    "low",
    "low_high",
    "mlsconstrain",
    "mlsvalidatetrans",
    "module",
    "netifcon",
    "neverallow",
    "neverallowxperm",
    "neveraudit",
    "nodecon",
    "not",
    "optional",
    "or",
    "pcidevicecon",
    "permissive",
    "pirqcon",
    "policycap",
    "portcon",
    "r1",
    "r2",
    "r3",
    "range",
    "range_transition",
    "require",
    "role",
    "role_transition",
    "roleattribute",
    "roles",
    "sameuser",
    "segregate",
    "self",
    "sensitivity",
    "sid",
    "source",
    "t1",
    "t2",
    "t3",
    "target",
    "true",
    "true_val",
    "type",
    "type_change",
    "type_member",
    "type_transition",
    "typealias",
    "typeattribute",
    "typebounds",
    "types",
    "u1",
    "u2",
    "u3",
    "user",
    "validatetrans",
    "version_identifier",
    "xor",
];

fn is_reserved(word: &str) -> bool {
    let lower = || word.bytes().map(|b| b.to_ascii_lowercase());
    RESERVED.binary_search_by(|known| known.bytes().cmp(lower())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_language_is_found() {
        assert!(RESERVED.is_sorted());
        for word in RESERVED {
            assert!(is_reserved(word) && is_reserved(&word.to_uppercase()), "{word}");
            assert!(!is_reserved(&format!("{word}_")), "{word}");
        }
    }

    #[test]
    fn what_a_name_is() {
        for good in ["httpd_t", "a", "x-y", "container.process", "_x", "NetworkManager_t"] {
            assert!(Name::new(good).is_some(), "{good}");
        }
        for bad in ["", "1a", "a b", "a;", "a\n", "é", "a.", ".a", "a..b", "?", "(null)", "a{b", "\"a\""] {
            assert!(Name::new(bad).is_none(), "{bad}");
        }
        assert!(Name::new(&"a".repeat(256)).is_none());
        assert!(Name::new("httpd_t").unwrap().in_te());
        for cil_only in ["container.process", "type", "SELF", "_x", "r1"] {
            assert!(!Name::new(cil_only).unwrap().in_te(), "{cil_only}");
        }
        for text in ["httpd_t", "container.process", "user", "", "9", "a b;\n", "é", "_x", &"x".repeat(999)]
        {
            let name = Name::for_module(text);
            assert!(name.in_te() && Name::new(name.as_str()).is_some(), "{text} {name}");
        }
        assert_eq!(Name::for_module("container.process").as_str(), "container_process");
    }
}

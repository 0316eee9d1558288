//! An account as the grant files see it: a name, a number, and groups.

/// An account and the groups it is in. Numbers may be unknown (an account that does not exist yet).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The account's name.
    pub name: String,
    /// Its user id, if it has one already.
    pub uid: Option<u32>,
    /// Its groups, the primary one first, then the supplementary ones: name and id.
    pub groups: Vec<(String, Option<u32>)>,
}

impl Identity {
    /// An account without groups.
    pub fn new(name: impl Into<String>, uid: Option<u32>) -> Self {
        Identity { name: name.into(), uid, groups: Vec::new() }
    }

    /// The same with one more group.
    #[must_use]
    pub fn with_group(mut self, name: impl Into<String>, gid: Option<u32>) -> Self {
        self.groups.push((name.into(), gid));
        self
    }

    /// Whether it is in a group of this name.
    pub fn in_group(&self, name: &str) -> bool {
        self.groups.iter().any(|(n, _)| n == name)
    }

    /// Whether it is in the group with this id; `None` if one of its groups has no known id, so that it may be.
    pub fn in_gid(&self, gid: u32) -> Option<bool> {
        if self.groups.iter().any(|(_, g)| *g == Some(gid)) {
            return Some(true);
        }
        if self.groups.iter().any(|(_, g)| g.is_none()) { None } else { Some(false) }
    }

    /// The primary group, if known.
    pub fn primary(&self) -> Option<&(String, Option<u32>)> {
        self.groups.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_not_taken_for_absent() {
        let id = Identity::new("a", Some(1)).with_group("g", Some(5));
        assert_eq!(id.in_gid(5), Some(true));
        assert_eq!(id.in_gid(6), Some(false));
        assert_eq!(id.with_group("new", None).in_gid(6), None);
    }
}

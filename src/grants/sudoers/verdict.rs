//! Answers that may be uncertain: which outcomes a list can have, and why it is not known which.

use std::fmt;

/// What a list says about somebody or something: any of the outcomes that are possible. Where more than one is, the
/// reason is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It may match.
    pub allow: bool,
    /// It may match a negated member.
    pub deny: bool,
    /// It may match nothing.
    pub none: bool,
    /// Why it is not certain.
    pub doubt: Option<Doubt>,
}

/// Why something cannot be told from the texts alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// Netgroups are asked of the network.
    Netgroup,
    /// The host's addresses are not known.
    Address,
    /// The account has no known uid.
    UserId,
    /// A group of the account has no known gid.
    GroupId,
    /// A group provider plugin answers.
    GroupPlugin,
    /// A regular expression that is not linear, or not one.
    Regex,
    /// The file's digest is not known.
    Digest,
    /// The command is looked up below another root.
    Chroot,
    /// The rule holds for a time only, and the time is not known.
    Time,
    /// Aliases lie too deep in each other.
    Depth,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::Netgroup => "netgroups are not looked up",
            Doubt::Address => "the addresses of this host are not known",
            Doubt::UserId => "the account has no uid yet",
            Doubt::GroupId => "a group of the account has no gid yet",
            Doubt::GroupPlugin => "a group plugin is asked, which this program cannot",
            Doubt::Regex => "the regular expression cannot be evaluated safely",
            Doubt::Digest => "the digest of the file is not known",
            Doubt::Chroot => "the command is looked up in another root",
            Doubt::Time => "the rule is limited in time, and the time is not known",
            Doubt::Depth => "aliases lie too deep in each other",
        })
    }
}

impl Verdict {
    /// It matches.
    pub const ALLOW: Verdict = Verdict { allow: true, deny: false, none: false, doubt: None };
    /// It matches a negated member.
    pub const DENY: Verdict = Verdict { allow: false, deny: true, none: false, doubt: None };
    /// It matches nothing.
    pub const NONE: Verdict = Verdict { allow: false, deny: false, none: true, doubt: None };

    /// A match or none, for this reason unknown.
    pub fn maybe(doubt: Doubt) -> Verdict {
        Verdict { allow: true, deny: false, none: true, doubt: Some(doubt) }
    }

    /// Anything at all.
    pub fn unknown(doubt: Doubt) -> Verdict {
        Verdict { allow: true, deny: true, none: true, doubt: Some(doubt) }
    }

    /// A match if `yes`.
    pub fn of(yes: bool) -> Verdict {
        if yes { Verdict::ALLOW } else { Verdict::NONE }
    }

    /// The verdict of a member with a `!` before it, if `negated`.
    #[must_use]
    pub fn negate(self, negated: bool) -> Verdict {
        if negated { Verdict { allow: self.deny, deny: self.allow, ..self } } else { self }
    }

    /// Certainly a match.
    pub fn is_allow(self) -> bool {
        self.allow && !self.deny && !self.none
    }

    /// Certainly a match of a negated member.
    pub fn is_deny(self) -> bool {
        self.deny && !self.allow && !self.none
    }

    /// Not one certain outcome.
    pub fn is_uncertain(self) -> bool {
        u8::from(self.allow) + u8::from(self.deny) + u8::from(self.none) > 1
    }
}

/// The verdict of a list, of which the last matching member decides.
pub(super) fn last_match(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut sum = Verdict { allow: false, deny: false, none: true, doubt: None };
    for v in verdicts {
        sum.allow |= v.allow;
        sum.deny |= v.deny;
        sum.doubt = sum.doubt.or(v.doubt);
        if !v.none {
            sum.none = false;
            break;
        }
    }
    if !sum.is_uncertain() {
        sum.doubt = None;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_matters_only_where_it_could_change_the_outcome() {
        let ng = Verdict::maybe(Doubt::Netgroup);
        // `ALL, +ng`: a match either way. (The last member comes first.)
        assert_eq!(last_match([ng, Verdict::ALLOW].into_iter()), Verdict::ALLOW);
        // `ALL, !+ng`: not known.
        let v = last_match([ng.negate(true), Verdict::ALLOW].into_iter());
        assert!(v.allow && v.deny && !v.none && v.doubt == Some(Doubt::Netgroup));
        // `+ng, !bob` for bob: no.
        assert_eq!(last_match([Verdict::DENY, ng].into_iter()), Verdict::DENY);
        assert_eq!(last_match(std::iter::empty()), Verdict::NONE);
    }
}

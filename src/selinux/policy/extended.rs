//! Decisions on single ioctl commands and netlink message types (`avc_has_extended_perms` in security/selinux/avc.c).

use super::context::Context;
use super::decide::View;
use super::id::{ClassId, TypeId};
use super::rules::{Extended, ExtendedKind, RuleKind};

/// What is asked for: a command or a message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// An ioctl command (its low 16 bits), under the permission `ioctl`.
    Ioctl(u16),
    /// A netlink message type, under the permission `nlmsg` (kernel 6.13, capability `netlink_xperm`).
    Netlink(u16),
}

impl Command {
    /// The permission that is needed besides.
    pub fn permission(self) -> &'static str {
        match self {
            Command::Ioctl(_) => "ioctl",
            Command::Netlink(_) => "nlmsg",
        }
    }

    fn is_in(self, extended: &Extended) -> bool {
        match (self, extended.kind) {
            (Command::Ioctl(c), ExtendedKind::IoctlFunction | ExtendedKind::IoctlDriver) => {
                extended.contains(c)
            }
            (Command::Netlink(c), ExtendedKind::Netlink) => extended.contains(c),
            _ => false,
        }
    }
}

/// The decision on one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedAccess {
    /// Whether it is allowed, the permission itself included.
    pub allowed: bool,
    /// Whether the permission itself (`ioctl`, `nlmsg`) is allowed.
    pub permission: bool,
    /// Whether any rule of extended permissions is in force between these types for this class: then only listed
    /// commands pass, and an `auditallowxperm` or `dontauditxperm` rule is enough for that.
    pub filtered: bool,
    /// Whether it is reported: a denial that no rule silences, or what `auditallow` asks for.
    pub audited: bool,
}

impl View<'_> {
    /// Decides on one command.
    pub fn extended_access(
        &self,
        source: &Context,
        target: &Context,
        class: ClassId,
        command: Command,
    ) -> ExtendedAccess {
        let vector = self.policy().permission(class, command.permission()).unwrap_or(0);
        let access = self.access(source, target, class);
        let listed = self.listed(source.ty, target.ty, class, command);
        let permission = vector != 0 && access.allowed & vector != 0;
        let allowed = permission && (!listed.filtered || listed.allow);
        let audited = if allowed {
            access.audit_allow & vector != 0 && (!listed.filtered || listed.audit_allow)
        } else {
            access.audit_deny & vector != 0 && !listed.dont_audit
        };
        ExtendedAccess { allowed, permission, filtered: listed.filtered, audited }
    }

    /// The commands that rules in force allow between two types: sorted ranges; `None` where no rule filters, so that
    /// the permission alone decides.
    pub fn allowed_commands(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        netlink: bool,
    ) -> Option<Vec<(u16, u16)>> {
        let mut filtered = false;
        let mut ranges = Vec::new();
        self.each_extended(source, target, class, |kind, extended| {
            filtered = true;
            if kind == RuleKind::AllowX && (extended.kind == ExtendedKind::Netlink) == netlink {
                ranges.extend(extended.ranges());
            }
        });
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => merged.push((first, last)),
            }
        }
        filtered.then_some(merged)
    }

    fn listed(&self, source: TypeId, target: TypeId, class: ClassId, command: Command) -> Listed {
        let mut listed = Listed::default();
        self.each_extended(source, target, class, |kind, extended| {
            listed.filtered = true;
            if command.is_in(extended) {
                match kind {
                    RuleKind::AllowX => listed.allow = true,
                    RuleKind::AuditAllowX => listed.audit_allow = true,
                    _ => listed.dont_audit = true,
                }
            }
        });
        listed
    }

    fn each_extended(
        &self,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        mut call: impl FnMut(RuleKind, &Extended),
    ) {
        let policy = self.policy();
        self.each_rule(source, target, class, |rule| {
            if let Some(extended) = policy.extended(&rule) {
                call(rule.kind(), &extended);
            }
        });
    }
}

#[derive(Default)]
struct Listed {
    filtered: bool,
    allow: bool,
    audit_allow: bool,
    dont_audit: bool,
}

//! Manifests: TOML → spanned tree → a valid [`Manifest`].
//!
//! A [`Manifest`] exists only if its text was without errors; each value in it knows where it was
//! written, so that a finding about the host cites the line that caused it.

pub mod model;

pub use model::{
    Access, AclEntry, AclPerms, AclWho, App, Args, BooleanRule, CommandRule, FileKind, Grantor, GroupRule,
    LabelRule, Login, Manifest, ModeSpec, PathRule, PortProtocol, PortRule, SelinuxRules, UserRule,
};

//! Manifests: TOML → spanned tree → a valid [`Manifest`].
//!
//! A [`Manifest`] exists only if its text was without errors; each value in it knows where it was
//! written, so that a finding about the host cites the line that caused it.
//!
//! [`keys`] is the one table of what may be written. A text is parsed as far as it can be, compared with that table
//! (`shape`), read into the [`model`] (`lower*`, with the small texts in `text`), and a valid one is looked over for
//! risks (`lint`) and compared with the others (`across`).

mod across;
pub mod keys;
mod lint;
pub mod load;
mod lower;
mod lower_command;
mod lower_path;
mod lower_selinux;
mod lower_store;
pub mod model;
pub mod reference;
pub mod schema;
mod shape;
mod syntax;
mod text;
mod tree;

pub use lint::writes;
pub use load::{Loaded, load, load_all, load_dir, parse};
pub use model::{
    Acceptance, Access, AclEntry, AclPerms, AclWho, App, Args, BooleanRule, CommandRule, FileKind, Grantor,
    GroupRule, InterfaceRule, KeptRule, LabelRule, Login, LoginRule, Manifest, ModeSpec, ModuleLanguage,
    ModuleRule, ModuleSource, NodeRule, PathRule, PortProtocol, PortRule, SelinuxRules, UserRule,
};
pub use schema::schema;

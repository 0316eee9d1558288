//! The SELinux policy that the kernel loads: read, written back, and reasoned over, in safe Rust.
//!
//! ```text
//! bytes ─► Policy (sections, as in the file; index) ─► View (booleans set) ─► access · new_context
//! ```
//!
//! A [`Policy`] exists only if it is valid: it is read whole, every number refers to something, every count was
//! bounded by the bytes that are left. Ids are tagged, so that a type is no class. The sections lie one to a file.
//! This room depends on no other.

mod between;
mod bitmap;
mod boolean_changes;
mod booleans;
mod capabilities;
mod classes;
mod compute;
mod conditionals;
mod constraint_eval;
mod constraint_tree;
mod constraints;
mod context;
mod cursor;
mod database;
mod decide;
mod diff;
mod error;
mod explain;
mod extended;
mod genfs;
mod id;
mod index;
mod lookups;
mod mls;
mod name_transitions;
mod names;
mod object_contexts;
mod open;
mod openings;
mod overlay;
mod package;

mod range_transitions;
mod reach;
mod role_rules;
mod roles;
mod rule_tables;
mod rules;
mod search;
mod symbols;
mod text;
mod types;
mod users;

pub use between::{Attributes, Barriers, Between, Granting, OnTarget};
pub use bitmap::Bitmap;
pub use boolean_changes::BooleanChange;
pub use booleans::Boolean;
pub use capabilities::capability_name;
pub use classes::{Class, Common, DefaultFrom, DefaultRange, Defaults, Permission, Permissions};
pub use compute::{New, Rules};
pub use conditionals::{CondNode, Conditional};
pub use constraint_tree::{Change, Leaf, Tree, WAYS, Whose};
pub use constraints::{Constraint, Names, Node, Op, TypeSet, attr};
pub use context::Context;
pub use database::{HandleUnknown, NEWEST, OLDEST, Policy};
pub use decide::{Access, View};
pub use diff::Difference;
pub use error::{OpenError, ReadError};
pub use explain::{Conditioned, Explanation, FailedConstraint, Nearest};
pub use extended::{Command, ExtendedAccess};
pub use genfs::{Genfs, GenfsPath};
pub use id::{BooleanId, CategoryId, ClassId, CommonId, Id, OBJECT_R, RoleId, SensitivityId, TypeId, UserId};
pub use lookups::FileSystem;
pub use mls::{Category, Level, Range, Sensitivity};
pub use name_transitions::NameTransition;
pub use names::{ContextError, InvalidContext};
pub use object_contexts::{
    FsUse, FsUseKind, IbEndPort, IbPkey, InitialSid, Named, NetNode, ObjectContexts, Port,
};
pub use open::{Origin, locate, read_file};
pub use overlay::{Overlay, OverlayError};
pub use package::{Module, Package, is_module, is_package};
pub use range_transitions::RangeTransition;
pub use reach::{DomainTransition, Grant};
pub use role_rules::{RoleAllow, RoleTransition};
pub use roles::Role;
pub use rule_tables::RuleList;
pub use rules::{Extended, ExtendedKind, Rule, RuleKind};
pub use search::{Found, Party, Query};
pub use symbols::{Symbol, Symbols};
pub use text::commands_text;
pub use types::{Type, TypeKind};
pub use users::User;

//! Denials → causes, remedies and rules, per application.
//!
//! ```text
//! Denial × policy × labels ─► Judged (cause, remedy) ─► settled together ─► modules, fixes ─► replayed
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | [`lesson`] | all of it together: what a log teaches |
//! | [`ground`] | what denials are judged by: policy, specifications, host |
//! | [`causes`] | why each access was denied; one file a cause |
//! | [`verdict`] | cause and remedy |
//! | [`places`] | folders that get a type of their own instead of a rule on a shared one |
//! | [`cover`] | few booleans for many denials |
//! | [`interfaces`] | interfaces of the reference policy in place of rules |
//! | [`replay`] | all remedies laid over the policy, every denial asked again; the proof that none is too much |
//! | [`files`] | this host's files by their labels: what a rule on a type opens |
//! | [`surplus`] | what else became possible |
//! | [`sum`] | what is said of many denials together, summed up while they are at hand |
//! | [`group`] | which denial belongs to which application or domain |
//! | [`fixes`] | the remedies of an application, each said once |
//! | [`mode`] | whether it was stopped, or logged and let through |
//! | [`advice`] | dangers of a rule; what can be told without a policy |
//! | [`types`] | the types, classes and permissions that advice is about |
//! | [`module`] | rules as module texts, and their files |
//! | [`text`], [`why`], [`json`] | the reports |
//!
//! Without a policy, rules are made from the denials alone, and the report says so.

pub mod advice;
pub mod causes;
pub mod cover;
pub mod files;
pub mod fixes;
pub mod ground;
pub mod group;
pub mod interfaces;
pub mod json;
pub mod lesson;
pub mod mode;
pub mod module;
pub mod places;
pub mod replay;
pub mod sum;
pub mod surplus;
pub mod text;
mod text_about;
pub mod text_fixes;
pub mod types;
pub mod verdict;
pub mod why;

pub use advice::Advice;
pub use ground::{Ground, Labels};
pub use group::Owner;
pub use lesson::{Caution, Group, Judgement, Learned, Lesson, Options, Refused, judge, learn};

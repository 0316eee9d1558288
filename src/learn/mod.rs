//! Denials → advice and rules, per application.
//!
//! | file | what it does |
//! |---|---|
//! | [`lesson`] | all of it together: what a log teaches |
//! | [`group`] | which denial belongs to which application or domain |
//! | [`advice`] | what to look at before a rule goes in, and where no rule helps |
//! | [`types`] | the types, classes and permissions that advice is about |
//! | [`module`] | rules as module texts, and their files |
//! | [`text`] | the report for people |
//! | [`why`] | the story of each denial |
//! | [`json`] | the report for programs |
//!
//! In this form no policy is read: what the policy already allows, its constraints and its booleans are not known,
//! and the report says so.

pub mod advice;
pub mod group;
pub mod json;
pub mod lesson;
pub mod module;
pub mod text;
pub mod types;
pub mod why;

pub use advice::Advice;
pub use group::Owner;
pub use lesson::{Caution, Group, Learned, Lesson, Options, Refused, learn};

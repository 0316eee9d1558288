//! `perms`: privileges as code.
//!
//! Two flows stand on shared knowledge, and the modules follow them:
//!
//! ```text
//! declare → host     manifest ─► desired state ┐
//!                                              ├─► plan ─► apply (journal first)
//!                    host (observed state) ────┘      └──► audit (findings)
//! log → policy       bytes ─► denials ─► learn ─► modules and remedies
//! ```
//!
//! | room | what it holds |
//! |---|---|
//! | [`cli`] | one file a command, the terminal, exit status |
//! | [`manifest`] | TOML → spanned tree → valid [`manifest::Manifest`] |
//! | [`host`] | what is there: accounts, files, sudoers, doas, SELinux state; reads only |
//! | [`escalation`] | which accounts can become which others, and root in how many steps |
//! | [`plan`] | desired × observed → differences and the changes that mend them |
//! | [`apply`] | journal first, then the changes; undo |
//! | [`audit`] | differences → findings and exit status |
//! | [`denials`] | log bytes → records → events → denials |
//! | [`learn`] | denials → causes, rules, modules |
//! | [`selinux`] | the policy, file contexts, and the module language |
//! | [`rights`] | one question through every layer: may they, who may |
//! | [`grants`] | sudoers, doas, ACLs, and who may do what |
//! | [`report`] | finding codes, places, renderers |
//! | [`trial`] | the throw-away copy of `perms try` |
//! | [`sys`] | system calls: directory handles, safe walk, extended attributes, atomic write |
//!
//! `tests/architecture.rs` holds which room may use which.

pub mod apply;
pub mod audit;
pub mod cli;
pub mod denials;
pub mod escalation;
pub mod grants;
pub mod host;
pub mod learn;
pub mod manifest;
pub mod plan;
pub mod report;
pub mod rights;
pub mod selinux;
pub mod sys;
pub mod trial;

//! What `perms` knows of SELinux: the binary policy, file contexts, and the module language.

pub mod contexts;
pub mod interfaces;
pub mod module;
pub mod policy;

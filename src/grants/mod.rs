//! Who may do what: sudoers, doas, POSIX ACLs, and the kernel's file access decision.

pub mod doas;
pub mod identity;
pub mod sudoers;

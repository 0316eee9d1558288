//! Who may do what: sudoers, doas, POSIX ACLs, and the kernel's file access decision.

pub mod access;
pub mod acl;
pub mod daemons;
pub mod doas;
pub mod identity;
pub mod programs;
pub mod sudoers;

//! Who may do what: sudoers, doas, polkit, POSIX ACLs, and the kernel's file access decision.

pub mod access;
pub mod acl;
pub mod daemons;
pub mod doas;
pub mod identity;
pub mod polkit;
pub mod programs;
pub mod set_id;
pub mod sudoers;

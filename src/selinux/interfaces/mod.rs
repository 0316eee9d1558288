//! The reference policy's interfaces, read from the headers that a host has (`selinux-policy-devel`, `selinux-policy-dev`).
//!
//! | file | what it does |
//! |---|---|
//! | [`m4`] | the part of m4 that the headers are written in |
//! | [`statements`] | what comes out of it: rules, what they require, what is optional or conditional |
//! | [`headers`] | the headers' texts → the interfaces, expanded |
//!
//! Headers are read as they are at run time, and may hold anything: work and memory are bounded, and what cannot be
//! understood makes its interface unusable, nothing else.

pub mod headers;
pub mod m4;
pub mod statements;

pub use headers::{DOMAIN, HeaderFile, Headers, Interface};
pub use statements::{Allow, Set, Statements};

//! The only room that talks to the kernel about files: directory handles, the safe walk, extended
//! attributes, atomic replacement, and running tools.
//!
//! `perms` runs as root in directories where others may write. A path given as text could be
//! swapped for a symlink between a look and a change, so a path is resolved once, component by
//! component ([`root`]), to a [`handle::Handle`] on the object itself, and what is read and changed
//! is read and changed on that handle. Reading lives in `root`, `handle` and `walk`; everything
//! that writes lives in [`write`], which `audit` does not use.

pub mod beside;
pub mod handle;
pub mod mounts;
pub mod root;
pub mod run;
pub mod scan;
pub mod walk;
pub mod write;

pub use beside::Beside;
pub use handle::{Attributes, Handle, Kind, Meta, Mount};
pub use root::{HIDDEN, ResolveError, Resolved, Root};

//! POSIX ACLs as Linux stores and judges them: the type (`model`), its bytes (`xattr`), its text (`text`), changes that
//! widen nobody (`edit`), and what `chmod` and creation make of it (`inherit`).
//!
//! No I/O: callers read and write `system.posix_acl_access` and `system.posix_acl_default` and pass bytes.

mod edit;
mod error;
mod inherit;
mod model;
mod perms;
mod text;
mod xattr;

pub use edit::{Change, Granted};
pub use error::{AclError, Problem};
pub use model::{Acl, Entry, Tag};
pub use perms::Perms;
pub use text::Long;
pub use xattr::{Parsed, XATTR_ACCESS, XATTR_DEFAULT};

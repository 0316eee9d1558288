//! What can be wrong with a policy file.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// A byte or a number that is not what the format has there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found} at offset {offset} in section {section}")]
pub struct ReadError {
    /// What the format has there.
    pub expected: Cow<'static, str>,
    /// What is there; raw text of the file where it is text.
    pub found: String,
    /// Bytes from the start of the (decompressed) file.
    pub offset: usize,
    /// The part of the policy.
    pub section: &'static str,
}

/// Why a policy could not be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is no valid policy.
    #[error("`{}` is no valid policy: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        error: ReadError,
    },
    /// The file decompresses to more than any policy needs.
    #[error("`{}` decompresses to more than {limit} bytes, which no policy needs", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// No policy was named and none was found.
    #[error("no policy found: {tried}; name one with --policy FILE")]
    NoPolicy {
        /// Where it was looked for.
        tried: String,
    },
}

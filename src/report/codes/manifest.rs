//! Codes for mistakes in manifests.

use super::codes;

codes! { "manifest";
    UNKNOWN_KEY => Error, "unknown-key", "a key that perms does not know";
}

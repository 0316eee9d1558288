//! Codes for accounts that can become root.

use super::codes;

codes! { "root";
    PATH => Warning, "path", "an account can become root";
}

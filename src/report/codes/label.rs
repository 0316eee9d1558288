//! Codes for SELinux labels, booleans and ports.

use super::codes;

codes! { "label";
    WRONG => Error, "wrong", "another SELinux label than declared";
    MISSING => Error, "missing", "no SELinux label";
    LIVE_ONLY => Error, "live-only", "a label rule that the policy store does not have";
    BOOLEAN => Error, "boolean", "an SELinux boolean is not as declared";
    PORT => Error, "port", "a port does not have the declared SELinux type";
    UNCHECKED => Warning, "unchecked", "SELinux is not there to be asked";
}

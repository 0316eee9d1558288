//! Codes for ACL entries.

use super::codes;

codes! { "acl";
    MISSING_ENTRY => Error, "missing-entry", "a declared ACL entry is not there";
    MASKED => Error, "masked", "the mask takes rights from a declared ACL entry";
    WRONG_ENTRY => Error, "wrong-entry", "an ACL entry gives other rights than declared";
    WIDER_ENTRY => Error, "wider-entry", "an ACL entry gives more than declared";
    UNDECLARED_ENTRY => Error, "undeclared-entry", "an ACL entry on a declared path that no manifest declares";
}

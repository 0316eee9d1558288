//! Codes for doas rules.

use super::codes;

codes! { "doas";
    MISSING_RULE => Error, "missing-rule", "the block in doas.conf is not there";
    WRONG_BLOCK => Error, "wrong-block", "the block in doas.conf is not as declared";
    UNDECLARED_RULE => Error, "undeclared-rule", "a doas rule for a declared user that its manifest does not declare";
    BROKEN => Error, "broken", "doas.conf does not parse";
    LEFT_OVER => Error, "left-over", "a block of an application that declares no doas commands";
    NOT_CHECKABLE => Warning, "not-checkable", "doas.conf could not be read";
}

//! Codes for sudo rules.

use super::codes;

codes! { "sudo";
    MISSING_RULE => Error, "missing-rule", "the sudoers fragment is not there";
    WRONG_FRAGMENT => Error, "wrong-fragment", "the sudoers fragment is not as declared";
    UNDECLARED_RULE => Error, "undeclared-rule", "a sudo rule for a declared user that its manifest does not declare";
    IGNORED_FRAGMENT => Warning, "ignored-fragment", "a file in the include folder that sudo skips";
    NOT_INCLUDED => Error, "not-included", "sudoers does not include the folder";
    BROKEN => Error, "broken", "sudoers does not parse";
    LEFT_OVER => Error, "left-over", "a fragment of an application that declares no commands";
    NOT_CHECKABLE => Warning, "not-checkable", "sudo rules that could not be read";
}

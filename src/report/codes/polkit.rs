//! Codes for polkit's rules.

use super::codes;

codes! { "polkit";
    MISSING_RULE => Error, "missing-rule", "the polkit rules of an application are not there";
    WRONG_RULES => Error, "wrong-rules", "the polkit rules of an application are not as declared";
    LEFT_OVER => Error, "left-over", "polkit rules of an application that declares none";
    NOT_CHECKABLE => Warning, "not-checkable", "polkit rules that could not be read";
    UNSUPPORTED => Error, "unsupported", "a polkit that cannot grant one verb on one unit, or none at all";
    UNDECLARED_RULE => Warning, "undeclared-rule", "a polkit rule of somebody else names a declared user";
    MANAGES_UNITS => Warning, "manages-units", "a polkit rule that is as good as root";
}

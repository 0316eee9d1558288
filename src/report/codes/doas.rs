//! Codes for doas rules.

use super::codes;

codes! { "doas";
    MISSING_RULE => Error, "missing-rule", "the block in doas.conf is not there";
    WRONG_BLOCK => Error, "wrong-block", "the block in doas.conf is not as declared";
    UNDECLARED_RULE => Error, "undeclared-rule", "a doas rule for a declared user that its manifest does not declare";
    BROKEN => Error, "broken", "doas.conf does not parse";
    LEFT_OVER => Error, "left-over", "a block of an application that declares no doas commands";
    ANY_TARGET => Warning, "any-target", "a rule without `as`, which is for every target";
    ANY_COMMAND => Warning, "any-command", "a rule without `cmd`, which is for every command";
    ANY_ARGUMENTS => Warning, "any-arguments", "a rule without `args`, which is for any";
    RELATIVE_COMMAND => Warning, "relative-command", "a command that is compared as typed and then looked for";
    KEEPENV => Warning, "keepenv", "the caller's environment is kept";
    DENIED_COMMAND => Warning, "denied-command", "a `deny` of one spelling of a command";
    LOST_OPTIONS => Warning, "lost-options", "a later rule that takes the options of an earlier one away";
    UNKNOWN_NAME => Warning, "unknown-name", "a user or group that does not exist";
    NOT_CHECKABLE => Warning, "not-checkable", "doas.conf could not be read";
}

//! Codes for sudo rules, and for what is risky in the commands of a manifest (granted by doas, too).

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
    ANY_TARGET => Warning, "any-target", "a command that may be run as any user";
    NO_PASSWORD_POSSIBLE => Warning, "no-password-possible", "a password is asked for that the account does not have";
    HOOK_RUNNER => Warning, "hook-runner", "any arguments for a program that an argument makes run commands";
    INTERACTIVE_ESCAPE => Warning, "interactive-escape", "a program that runs commands from within";
    FILE_WRITER => Warning, "file-writer", "any arguments for a program that writes the file that an argument names";
    FILE_READER => Warning, "file-reader", "any arguments for a program that prints the file that an argument names";
    SHELL => Warning, "shell", "a shell or an interpreter";
    ANY_ARGUMENTS => Warning, "any-arguments", "a command without arguments, which sudo lets run with any";
    WILDCARD_ARGUMENTS => Warning, "wildcard-arguments", "a wildcard among the arguments, which matches spaces and slashes";
    WRITABLE_COMMAND => Warning, "writable-command", "a command that somebody else than root or the target can replace";
    MISSING_COMMAND => Warning, "missing-command", "a rule for a command that is not there";
    NEGATED_COMMAND => Warning, "negated-command", "an exception by `!`, which a copy of the command gets around";
    UNKNOWN_NAME => Warning, "unknown-name", "a user or group that does not exist";
    NO_AUTHENTICATION => Warning, "no-authentication", "Defaults that let every rule without a tag run without a password";
    SETENV => Warning, "setenv", "a command whose caller sets its environment";
    SUDO_RS => Warning, "sudo-rs", "an entry that sudo-rs leaves out";
    OLD_VERSION => Warning, "old-version", "a sudo with known holes that these rules open";
    JOINED_ARGUMENTS => Warning, "joined-arguments", "an argument with a space, which sudo cannot tell from two";
    LITERAL_WILDCARD => Warning, "literal-wildcard", "a `*` that stands for itself";
    SPACE_IN_COMMAND => Warning, "space-in-command", "a command whose path holds a space";
}

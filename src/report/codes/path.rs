//! Codes for files and folders.

use super::codes;

codes! { "path";
    MISSING => Error, "missing", "a declared path does not exist";
    WRONG_KIND => Error, "wrong-kind", "a declared path is another kind of object";
    WRONG_OWNER => Error, "wrong-owner", "another owner or owning group than declared";
    WRONG_MODE => Error, "wrong-mode", "other rights than declared";
    NO_ACCESS => Error, "no-access", "the application cannot do what was declared";
    NO_SEARCH => Error, "no-search", "the application cannot pass through a folder on the way";
    HARD_LINK => Warning, "hard-link", "a file below a declared folder has another name elsewhere";
    UNTRUSTED_LINK => Error, "untrusted-link", "a symbolic link on the way could have been placed by another user";
    UNREADABLE => Warning, "unreadable", "a file could not be looked at";
    DAEMON_CONFIG_AND_RELOAD => Warning, "daemon-config-and-reload", "root in two steps: a daemon's configuration, and its reload";
    OWNED_BY_READER => Error, "owned-by-reader", "the application owns what it may only read, and so can change it";
    REPLACEABLE => Error, "replaceable", "the application can put another in the place of what is not its to change";
    WRITE_IS_ROOT => Warning, "write-is-root", "a place where writing is being root";
}

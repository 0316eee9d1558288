//! Codes for what a log holds that cannot be taken at its word.

use super::codes;

codes! { "log";
    UNREAD_LINE => Warning, "unread-line", "a line that is no audit record and no known kind of log line";
    BAD_RECORD => Warning, "bad-record", "an AVC or SELINUX_ERR record that is not whole";
    CUT_LINE => Warning, "cut-line", "a record that was cut off";
    LONG_LINE => Warning, "long-line", "a line of more than a megabyte";
    FORGED_RECORD => Warning, "forged-record", "a record with two sets of contexts";
    BAD_CONTEXT => Warning, "bad-context", "a context that is none";
    UNKNOWN_CLASS => Warning, "unknown-class", "an object class that no kernel and no object manager is known to have";
    UNKNOWN_PERMISSION => Warning, "unknown-permission", "a permission that the class is not known to have";
    TOO_MANY => Warning, "too-many", "more distinct denials than are kept apart";
    LOST_RECORDS => Warning, "lost-records", "the kernel says that audit records were lost";
    FORGEABLE => Warning, "forgeable", "denials that any local user could have written";
    PERMISSIVE => Warning, "permissive", "denials that were logged and let through";
    OLD_POLICY => Warning, "old-policy", "denials from before the policy was last loaded";
}

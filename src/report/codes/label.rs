//! Codes for SELinux labels, booleans, ports and other local changes of the policy store.

use super::codes;

codes! { "label";
    WRONG => Error, "wrong", "another SELinux label than declared";
    MISSING => Error, "missing", "no SELinux label";
    LIVE_ONLY => Error, "live-only", "a label rule that the policy store does not have";
    BOOLEAN => Error, "boolean", "an SELinux boolean is not as declared";
    PORT => Error, "port", "a port does not have the declared SELinux type";
    OUTRANKED => Error, "outranked", "a specification of the policy decides before the declared one";
    ALIASED => Error, "aliased", "SELinux looks these files up under another path than declared";
    UNDECLARED => Error, "undeclared", "an undeclared local specification decides on declared paths";
    NOT_INSTALLED => Error, "not-installed", "what the policy store holds is not what is installed or loaded";
    UNDECLARED_CHANGE => Error, "undeclared-change", "an undeclared local change of the policy store that touches the application";
    NETWORK => Error, "network", "a node or an interface does not have the declared SELinux type";
    LOGIN => Error, "login", "somebody who logs in does not become the declared SELinux user";
    DONTAUDIT => Error, "dontaudit", "harmless denials are logged, or kept out of the log, other than declared";
    NOT_PERMISSIVE => Error, "not-permissive", "a domain that is declared permissive is not";
    UNKNOWN_NAME => Error, "unknown-name", "the policy has no such type, level or boolean";
    PERMISSIVE_DOMAIN => Error, "permissive-domain", "SELinux stops nothing that the declared domain does";
    NOT_ENFORCING => Error, "not-enforcing", "SELinux only reports on this host, or will after the next boot";
    UNCHECKED => Warning, "unchecked", "SELinux is not there to be asked";
}

//! Codes for denials that an allow rule does not mend, or mends dangerously.

use super::codes;

codes! { "rule";
    UNKNOWN_NAME => Warning, "unknown-name", "a type, class or permission that the policy does not have";
    ALLOWED_TODAY => Warning, "allowed-today", "the policy allows it today";
    CONSTRAINT => Warning, "constraint", "a constraint denies it: no allow rule helps";
    WRONG_LABEL => Warning, "wrong-label", "the object has another label than the specifications give";
    BOOLEAN => Warning, "boolean", "a rule is there and turned off by a boolean";
    PROBE => Warning, "probe", "asked for by the way; nothing fails without it";
    FILTERED => Warning, "filtered", "commands are filtered, and this one is not listed";
    NO_RULE => Warning, "no-rule", "no rule allows it";
    UNKNOWN_LABEL => Warning, "unknown-label", "the object has a label that the policy does not know";
    LEVEL => Warning, "level", "the levels differ: an allow rule may not help";
    ROLE => Warning, "role", "the user or role changes: an allow rule may not help";
    GENERIC_TYPE => Warning, "generic-type", "the object has a type that many objects share";
    GENERIC_PORT => Warning, "generic-port", "the port has no type of its own";
    DAC_OVERRIDE => Warning, "dac-override", "a root process was refused by owner and mode";
    DAC_READ_SEARCH => Warning, "dac-read-search", "a root process was refused reading by owner and mode";
    EXECMEM => Warning, "execmem", "memory that is written and then run";
    EXECMOD => Warning, "execmod", "a library that is changed in memory and then run";
    EXECSTACK => Warning, "execstack", "a stack that can be run";
    EXECHEAP => Warning, "execheap", "a heap that can be run";
    PTRACE => Warning, "ptrace", "watching or changing another process";
    MODULE_LOAD => Warning, "module-load", "loading kernel modules";
    POLICY => Warning, "policy", "changing SELinux itself";
    SECRETS => Warning, "secrets", "files that hold secrets";
    EXECUTABLE_WRITE => Warning, "executable-write", "writing what others run";
    IOCTL => Warning, "ioctl", "all commands of ioctl at once";
    INHERITED => Warning, "inherited", "a descriptor that the program was handed";
    NAME => Warning, "name", "a name that a .te module cannot write";
    INVALID_CONTEXT => Warning, "invalid-context", "a context that the policy does not allow to exist";
    BOUNDED_TRANSITION => Warning, "bounded-transition", "a transition refused because privileges must not grow";
    VALIDATE_TRANSITION => Warning, "validate-transition", "a relabelling that the policy forbids";
    BOUNDS => Warning, "bounds", "permissions taken away by a type's bounds";
    LABEL_NOT_IN_POLICY => Warning, "label-not-in-policy", "a program set a label that the policy does not have";
}

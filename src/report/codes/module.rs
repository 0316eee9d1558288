//! Codes for policy modules.

use super::codes;

codes! { "module";
    MISSING => Error, "missing", "a declared policy module is not installed";
    OLDER => Error, "older", "an installed policy module is not what its source says now";
    ALTERED => Error, "altered", "an installed policy module is not the one that perms built";
    HIDDEN => Error, "hidden", "another module of the same name is in force in its place";
    HIDES => Error, "hides", "a declared module has the name of one of the policy's own";
    DISABLED => Error, "disabled", "a declared policy module is disabled";
    UNDECLARED => Error, "undeclared", "a module at the priority of perms that no manifest declares";
    UNCHECKED => Warning, "unchecked", "an installed policy module could not be read";
}

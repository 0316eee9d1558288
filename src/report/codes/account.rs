//! Codes for users and groups.

use super::codes;

codes! { "account";
    MISSING_USER => Error, "missing-user", "a declared user does not exist";
    MISSING_GROUP => Error, "missing-group", "a declared group does not exist";
    WRONG_GROUP => Error, "wrong-group", "a group has another gid than declared";
    WRONG_USER => Error, "wrong-user", "an account differs from its declaration";
    UNLOCKED => Error, "unlocked", "an account that is declared locked has a password";
    UNDECLARED_GROUP => Error, "undeclared-group", "a declared user is in a group that the manifest does not name";
    MISSING_MEMBERSHIP => Error, "missing-membership", "a declared user is not in a declared group";
    UNCHECKED_PASSWORD => Warning, "unchecked-password", "whether a password opens the account could not be seen";
    ELSEWHERE => Error, "elsewhere", "a managed account comes from another source than the account files";
}

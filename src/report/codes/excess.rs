//! Codes for what is on a host and that nobody declared: `audit --all`, and what concerns declared users always.

use super::codes;

codes! { "excess";
    SET_ID => Warning, "set-id", "a program that runs as its owner or group and is not known to need it";
    CAPABILITY => Warning, "capability", "a program with capabilities that is not known to need them";
    WORLD_WRITABLE => Warning, "world-writable", "a file or folder that everybody may write";
    OPEN_DISK => Warning, "open-disk", "a disk that everybody may read or write";
    WRITABLE => Warning, "writable", "an application can write what its manifest does not name";
    ACL_ENTRY => Warning, "acl-entry", "an ACL entry for a user or group that nobody declared";
    SECRET => Warning, "secret", "a secret that everybody may read";
    ROOT_PLACE => Warning, "root-place", "somebody else than root can write where root acts on what is written";
    OWN_CODE => Warning, "own-code", "a service can write the code that it runs";
    JOB => Warning, "job", "a job runs as a declared user, and its manifest says nothing of it";
    SSH_KEY => Warning, "ssh-key", "a key opens the account of a declared user";
    SHARED_UID => Warning, "shared-uid", "another account has the number of a declared user";
    MEMBER => Warning, "member", "somebody whom no manifest names is in an application's own group";
    WEAK_COMMAND => Warning, "weak-command", "what a sudo or doas rule lets run can be replaced by somebody else";
    MISSING_COMMAND => Warning, "missing-command", "a sudo or doas rule names a command that is not there";
    IGNORED_FRAGMENT => Warning, "ignored-fragment", "a file in a folder of sudoers that sudo skips";
    RULE => Warning, "rule", "a sudo or doas rule that no manifest declares";
    GROUP => Warning, "group", "membership of a group that is as good as root";
    UNREAD => Warning, "unread", "files and folders that could not be looked at";
    UNLABELLED => Warning, "unlabelled", "a file system on which nothing has an SELinux label";
}

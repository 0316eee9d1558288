//! A small host in a folder, for tests that apply to it with `--root`.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The deployer of use case 1, as a manifest without commands (those are added by the tests that want them).
pub const DEPLOYER: &str = r#"[app]
name = "durhack-deployer"
user = { home = "/home/durhack-deployer", login = "locked", groups = [] }

[[path]]
path = "/etc/nginx/conf.d"
access = "write"
"#;

/// A tree that is a host as far as `perms` looks at one.
pub struct Tree {
    dir: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Tree {
    /// A tree with accounts, sudoers, and nginx's conf.d with three files, of which one is another user's.
    pub fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    /// With no manifest but that of an application `app` (uid 990), whose account there is, as there are groups with these
    /// lines of group(5).
    pub fn with_app(manifest: &str, groups: &str) -> Self {
        let t = Self::new();
        std::fs::remove_file(t.at("etc/perms.d/durhack-deployer.toml")).unwrap();
        let user = "app:x:990:990::/var/lib/app:/usr/sbin/nologin\n";
        t.write("etc/passwd", &format!("{}{user}", t.read("etc/passwd")));
        t.write("etc/group", &format!("{}app:x:990:\n{groups}", t.read("etc/group")));
        t.manifest("app", manifest);
        t
    }

    /// The same in a folder that is there.
    pub fn within(dir: tempfile::TempDir) -> Self {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let t = Tree { dir };
        t.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\n");
        t.write("etc/group", "root:x:0:\nsudo:x:27:alice\nadm:x:4:\nalice:x:1000:\n");
        t.write("etc/shadow", "root:*:19000:0:99999:7:::\nalice:$y$j9T$x:19000:0:99999:7:::\n");
        t.write("etc/gshadow", "root:*::\nsudo:*::alice\nadm:*::\nalice:!::\n");
        t.chmod("etc/shadow", 0o640);
        t.chmod("etc/gshadow", 0o640);
        t.write(
            "etc/sudoers",
            "Defaults\tenv_reset\nroot\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        );
        t.chmod("etc/sudoers", 0o440);
        t.mkdir("etc/sudoers.d");
        t.chmod("etc/sudoers.d", 0o750);
        t.mkdir("home");
        t.write("etc/nginx/conf.d/default.conf", "server {}\n");
        t.write("etc/nginx/conf.d/secret.conf", "secret\n");
        t.chmod("etc/nginx/conf.d/secret.conf", 0o600);
        t.write("etc/nginx/conf.d/sub/more.conf", "more\n");
        t.manifest("durhack-deployer", DEPLOYER);
        t
    }

    /// The tree's root, from outside.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the tree, from outside.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap()
    }

    pub fn mkdir(&self, path: &str) {
        std::fs::create_dir_all(self.at(path)).unwrap();
    }

    pub fn chmod(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.at(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn manifest(&self, name: &str, text: &str) {
        self.write(&format!("etc/perms.d/{name}.toml"), text);
    }

    /// Runs `perms` on the tree.
    pub fn perms(&self, args: &[&str]) -> Said {
        run(Command::new(env!("CARGO_BIN_EXE_perms")).arg("--root").arg(self.root()).args(args))
    }

    /// Runs `perms`, which must exit with `status`.
    #[track_caller]
    pub fn expect(&self, status: i32, args: &[&str]) -> Said {
        let said = self.perms(args);
        assert_eq!(said.status, status, "perms {args:?}\n{}\n{}", said.out, said.err);
        said
    }

    /// The codes that `audit` finds, sorted, each with its place.
    #[track_caller]
    pub fn audit(&self, status: i32) -> Vec<(String, String)> {
        let said = self.expect(status, &["audit", "--format", "json"]);
        let report = super::schema::report(&said.out);
        let text = |f: &serde_json::Value, key: &str| f[key].as_str().unwrap().to_owned();
        let mut codes: Vec<_> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| (text(f, "code"), text(f, "place")))
            .collect();
        codes.sort();
        codes
    }

    /// Everything that rollback must bring back: `getfacl -n`, owner, mode and content of each file, without what
    /// `perms` and the account tools keep for themselves.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let mut all = BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.root()).sort_by_file_name() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(self.root()).unwrap().to_owned();
            let text = path.to_str().unwrap_or_default();
            if text.starts_with("var") || text.ends_with('-') || text == "etc/.pwd.lock" {
                continue;
            }
            let meta = entry.path().symlink_metadata().unwrap();
            let content = if meta.is_file() { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
            let acl = run(Command::new("getfacl").args(["-n", "-p", "-P", "-c"]).arg(entry.path())).out;
            let label = xattr::get(entry.path(), "security.selinux").ok().flatten().unwrap_or_default();
            all.insert(
                path,
                format!(
                    "{}:{} {:o}\n{acl}{}\n{}",
                    meta.uid(),
                    meta.gid(),
                    meta.mode(),
                    String::from_utf8_lossy(&label),
                    String::from_utf8_lossy(&content)
                ),
            );
        }
        all
    }
}

/// Runs a command.
pub fn run(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The first difference of two snapshots, for a message.
#[track_caller]
pub fn assert_same(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) {
    for (path, was) in before {
        match after.get(path) {
            None => panic!("{} is gone", path.display()),
            Some(is) => assert_eq!(was, is, "{}", path.display()),
        }
    }
    for path in after.keys() {
        assert!(before.contains_key(path), "{} is new", path.display());
    }
}

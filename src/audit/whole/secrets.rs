//! What is a secret, by its name, and where the name alone does not tell by its content.

use memchr::memmem::find;

/// Why a file is taken for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Secret {
    /// A private key.
    Key,
    /// Password hashes.
    Hashes,
    /// Passwords or tokens.
    Credentials,
}

impl Secret {
    pub(super) fn words(self) -> &'static str {
        match self {
            Secret::Key => "a private key",
            Secret::Hashes => "password hashes",
            Secret::Credentials => "passwords or tokens",
        }
    }
}

/// Files in which credentials are kept, by their whole name.
const NAMES: &[&str] = &[
    ".git-credentials",
    ".htpasswd",
    ".msmtprc",
    ".my.cnf",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    ".s3cfg",
    ".vault-token",
    "credentials.json",
    "debian.cnf",
    "krb5.keytab",
    "master.key",
    "secrets.yaml",
    "secrets.yml",
    "wp-config.php",
];

/// What a name makes of a file; its content may still say otherwise ([`confirmed`]).
pub(super) fn by_name(path: &[u8]) -> Option<Secret> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    // Packages put nothing secret here, and much that has such names (tests, examples).
    let packaged = path.starts_with(b"/usr/") && !path.starts_with(b"/usr/local/");
    if packaged || name.is_empty() {
        return None;
    }
    let ends = |suffix: &str| name.ends_with(suffix.as_bytes());
    let begins = |prefix: &str| name.starts_with(prefix.as_bytes());
    if (begins("id_") && !ends(".pub")) || ends("_key") || ends(".key") || ends(".pem") || ends(".ppk") {
        return Some(Secret::Key);
    }
    if begins("shadow") || begins("gshadow") || begins("opasswd") || begins("master.passwd") {
        return Some(Secret::Hashes);
    }
    let example = [".example", ".sample", ".dist", ".template"].into_iter().any(ends);
    // An environment file of a unit or of a container: `shop.env`, `.env.staging`.
    if (ends(".env") || begins(".env.")) && !example {
        return Some(Secret::Credentials);
    }
    if ends(".keytab") || ends(".kdbx") || NAMES.iter().any(|n| n.as_bytes() == name) {
        return Some(Secret::Credentials);
    }
    None
}

/// Whether the beginning of a file's content is that of such a secret.
pub(super) fn confirmed(secret: Secret, content: &[u8]) -> bool {
    match secret {
        Secret::Key => {
            let private =
                find(content, b"PRIVATE KEY-----").is_some() || content.starts_with(b"PuTTY-User-Key");
            private && find(content, b"ENCRYPTED").is_none()
        }
        // NAME:HASH:NUMBER:…, nine fields (shadow) or four (gshadow), one line with a hash at least.
        Secret::Hashes => content.split(|b| *b == b'\n').any(|line| {
            let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
            let hash = fields.get(1).copied().unwrap_or_default();
            matches!(fields.len(), 4 | 9)
                && hash.strip_prefix(b"$").is_some_and(|h| h.get(..4).is_some_and(|h| h.contains(&b'$')))
        }),
        Secret::Credentials => {
            let text = content.to_ascii_lowercase();
            let words: [&[u8]; 6] = [b"pass", b"secret", b"token", b"key", b"://", b":$"];
            content.starts_with(b"\x05\x02")
                || content.starts_with(b"\x03\xd9\xa2\x9a")
                || words.iter().any(|w| find(&text, w).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name_and_content() {
        let secret = |path: &str, content: &str| {
            by_name(path.as_bytes()).is_some_and(|s| confirmed(s, content.as_bytes()))
        };
        assert!(secret("/home/a/.ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert!(!secret("/home/a/.ssh/id_ed25519.pub", "ssh-ed25519 AAAA"));
        assert!(!secret("/etc/ssl/certs/ca.pem", "-----BEGIN CERTIFICATE-----\n"));
        assert!(secret("/etc/ssl/site.pem", "-----BEGIN RSA PRIVATE KEY-----\n"));
        assert!(secret("/var/backups/shadow.bak", "root:$y$j9T$x:1::::::\n"));
        assert!(!secret("/etc/shadow-", "root:*:1::::::\n"), "nobody has a password");
        assert!(secret("/srv/app/.env", "DB_PASSWORD=x\n"));
        assert!(secret("/etc/shop/secret.env", "DB_PASSWORD=x\n"));
        assert!(secret("/srv/app/.env.staging", "DB_PASSWORD=x\n"));
        assert!(!secret("/srv/app/.env.example", "DB_PASSWORD=\n"));
        assert!(!secret("/etc/shop/locale.env", "LANG=C.UTF-8\n"));
        assert!(!secret("/usr/lib/python3/test/key.pem", "-----BEGIN PRIVATE KEY-----"));
    }
}

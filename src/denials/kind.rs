//! What an audit record is, by its name or number.

use super::record::number;

/// What a record is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// 1400, kernel.
    Avc,
    /// 1107, an object manager in user space.
    UserAvc,
    /// 1401 and 1122.
    SelinuxErr,
    /// 1300.
    Syscall,
    /// 1302.
    Path,
    /// 1307.
    Cwd,
    /// 1327; the last record of an event.
    Proctitle,
    /// 1306.
    Sockaddr,
    /// 1309.
    Execve,
    /// 1402: the path of an AVC, in old kernels.
    AvcPath,
    /// 1403 and 2310.
    PolicyLoad,
    /// 1404.
    Status,
    /// 1405.
    Boolean,
    /// 1127: the host was started.
    Boot,
    /// 1420 and its like: IPE's, of no interest here.
    Ipe,
    /// Any other audit record.
    Other,
}

impl Kind {
    /// Whether records of this kind tell something of a denial in the same event.
    pub(super) fn tells_of_event(self) -> bool {
        matches!(
            self,
            Kind::Syscall
                | Kind::Path
                | Kind::Cwd
                | Kind::Proctitle
                | Kind::Sockaddr
                | Kind::Execve
                | Kind::AvcPath
        )
    }

    pub(super) fn by_name(name: &[u8]) -> Option<Kind> {
        Some(match name {
            b"AVC" => Kind::Avc,
            b"USER_AVC" => Kind::UserAvc,
            b"SELINUX_ERR" | b"USER_SELINUX_ERR" => Kind::SelinuxErr,
            b"SYSCALL" => Kind::Syscall,
            b"PATH" => Kind::Path,
            b"CWD" => Kind::Cwd,
            b"PROCTITLE" | b"EOE" => Kind::Proctitle,
            b"SOCKADDR" => Kind::Sockaddr,
            b"EXECVE" => Kind::Execve,
            b"AVC_PATH" => Kind::AvcPath,
            b"MAC_POLICY_LOAD" | b"USER_MAC_POLICY_LOAD" => Kind::PolicyLoad,
            b"MAC_STATUS" => Kind::Status,
            b"MAC_CONFIG_CHANGE" => Kind::Boolean,
            b"SYSTEM_BOOT" => Kind::Boot,
            b"IPE_ACCESS" | b"IPE_CONFIG_CHANGE" | b"IPE_POLICY_LOAD" => Kind::Ipe,
            _ => {
                let inner = name.strip_prefix(b"UNKNOWN[").and_then(|n| n.strip_suffix(b"]"));
                if let Some(number) = number(inner.unwrap_or(name)) {
                    return Some(Kind::by_number(number));
                }
                let plausible = name.len() >= 2
                    && name.len() <= 40
                    && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
                return plausible.then_some(Kind::Other);
            }
        })
    }

    fn by_number(number: u64) -> Kind {
        match number {
            1107 => Kind::UserAvc,
            1127 => Kind::Boot,
            1122 | 1401 => Kind::SelinuxErr,
            1300 => Kind::Syscall,
            1302 => Kind::Path,
            1306 => Kind::Sockaddr,
            1307 => Kind::Cwd,
            1309 => Kind::Execve,
            1320 | 1327 => Kind::Proctitle,
            1400 => Kind::Avc,
            1402 => Kind::AvcPath,
            1403 | 2310 => Kind::PolicyLoad,
            1404 => Kind::Status,
            1405 => Kind::Boolean,
            1420..=1422 => Kind::Ipe,
            _ => Kind::Other,
        }
    }
}

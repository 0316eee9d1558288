//! What a `systemctl VERB UNIT` comes to in the words that systemd uses towards polkit.

/// Verbs of systemctl, each with the one that polkit is told (systemd, bus_unit_method_start_generic).
const VERBS: [(&str, &str); 7] = [
    ("start", "start"),
    ("stop", "stop"),
    ("reload", "reload"),
    ("restart", "restart"),
    ("try-restart", "try-restart"),
    ("reload-or-restart", "reload-or-restart"),
    ("try-reload-or-restart", "reload-or-try-restart"),
];

/// What a unit's name may end in (systemd.unit(5)); systemctl puts `.service` after any other.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".automount",
    ".path",
    ".slice",
    ".scope",
    ".swap",
    ".device",
];

/// The longest name of a unit.
const LONGEST: usize = 255;

/// One thing that is done to one unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitJob {
    /// The unit's whole name: `nginx.service`.
    pub unit: String,
    /// What is done, as polkit is told.
    pub verb: &'static str,
}

/// Why a command is nothing that polkit could grant by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoJob {
    /// Not `systemctl`.
    #[error("it is not systemctl: polkit is asked by services, not for commands")]
    NotSystemctl,
    /// Another number of arguments than two.
    #[error("exactly a verb and a unit are needed: [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]")]
    NotTwo,
    /// No verb that is about one unit.
    #[error(
        "`{0}` is no verb whose unit polkit is told; those are start, stop, reload, restart, try-restart, reload-or-restart, try-reload-or-restart"
    )]
    Verb(String),
    /// No name of a unit.
    #[error("`{0}` is no name of one unit")]
    Unit(String),
}

impl UnitJob {
    /// What a command line asks systemd for.
    ///
    /// # Errors
    /// Why polkit cannot grant it by itself.
    pub fn of(vector: &[&str]) -> Result<UnitJob, NoJob> {
        let Some((program, args)) = vector.split_first() else { return Err(NoJob::NotTwo) };
        if program.rsplit('/').next() != Some("systemctl") {
            return Err(NoJob::NotSystemctl);
        }
        let [verb, unit] = args else { return Err(NoJob::NotTwo) };
        let Some((_, told)) = VERBS.iter().find(|(v, _)| v == verb) else {
            return Err(NoJob::Verb((*verb).to_owned()));
        };
        let unit = whole_name(unit).ok_or_else(|| NoJob::Unit((*unit).to_owned()))?;
        Ok(UnitJob { unit, verb: told })
    }

    /// The verb as systemctl takes it.
    pub fn typed(&self) -> &'static str {
        VERBS.iter().find(|(_, told)| *told == self.verb).map_or(self.verb, |(typed, _)| typed)
    }
}

/// The name as systemctl completes it. A pattern, a path and a template without its instance are no names of one unit.
fn whole_name(unit: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '\\' | '@' | '-');
    if unit.is_empty() || unit.starts_with(['-', '.', '@']) || !unit.chars().all(plain) {
        return None;
    }
    let suffix = SUFFIXES.iter().find(|s| unit.len() > s.len() && unit.ends_with(**s));
    let stem = suffix.and_then(|s| unit.strip_suffix(s)).unwrap_or(unit);
    if stem.ends_with('@') {
        return None;
    }
    let whole = if suffix.is_some() { unit.to_owned() } else { format!("{unit}.service") };
    (whole.len() <= LONGEST).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_and_a_unit() {
        let job = |v: &[&str]| UnitJob::of(v).map(|j| (j.unit, j.verb));
        assert_eq!(job(&["/usr/bin/systemctl", "reload", "nginx"]), Ok(("nginx.service".into(), "reload")));
        assert_eq!(job(&["/bin/systemctl", "stop", "a@b.socket"]), Ok(("a@b.socket".into(), "stop")));
        assert_eq!(
            job(&["/bin/systemctl", "try-reload-or-restart", "a.b"]),
            Ok(("a.b.service".into(), "reload-or-try-restart"))
        );
        for wrong in [
            &["/usr/bin/ls", "reload", "nginx"] as &[&str],
            &["/usr/bin/systemctl"],
            &["/usr/bin/systemctl", "reload"],
            &["/usr/bin/systemctl", "reload", "nginx", "--now"],
            &["/usr/bin/systemctl", "--now", "reload", "nginx"],
            &["/usr/bin/systemctl", "enable", "nginx"],
            &["/usr/bin/systemctl", "edit", "nginx"],
            &["/usr/bin/systemctl", "reload", "ngin*"],
            &["/usr/bin/systemctl", "reload", "--all"],
            &["/usr/bin/systemctl", "reload", "a b"],
            &["/usr/bin/systemctl", "reload", "a@.service"],
            &["/usr/bin/systemctl", "reload", "/dev/sda"],
            &["/usr/bin/systemctl", "reload", ""],
            &[],
        ] {
            assert!(job(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! Templates of home directories, expanded as libsemanage's genhomedircon expands them.
//!
//! A policy's own specifications speak of `HOME_DIR`, `HOME_ROOT`, `%{USERNAME}`, `%{USERID}` (older ones of `USER` and
//! `ROLE`). When a policy is built, those lines go into `homedir_template`, and from it and the logins of the host
//! file_contexts.homedirs is written: once for the homes below each root with a pattern for the name, and once for
//! each login that is mapped by name.

use std::fmt::Write as _;

/// Somebody whose home has specifications of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The login's name.
    pub name: String,
    /// The user number.
    pub uid: String,
    /// The home.
    pub home: String,
    /// What is known of the SELinux user that the login is mapped to.
    pub selinux: SelinuxUser,
}

/// An SELinux user, as far as templates need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelinuxUser {
    /// Its name, which takes the place of the user in contexts.
    pub name: String,
    /// Its prefix (users_extra), which takes the place of `ROLE`.
    pub prefix: String,
    /// Its lowest level, which takes the place of the level in contexts; `None` without MLS.
    pub level: Option<String>,
    /// Whether the prefix is a role of it (or `object_r`), which then takes the place of the role.
    pub prefix_is_role: bool,
}

/// The homes of a host.
#[derive(Debug, Clone, Default)]
pub struct Homes {
    /// Folders with homes in them: `/home`.
    pub roots: Vec<String>,
    /// What `__default__` is mapped to; without it contexts stay as the template has them.
    pub fallback: Option<SelinuxUser>,
    /// Logins mapped by name, in the order of seusers(5) sorted by name.
    pub people: Vec<Person>,
}

/// A line made from a template, and the line of the template, from 1 on.
pub type Line = (u32, String);

/// Whether a line is a template.
pub fn is_template(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    !first.starts_with('#') && (is_home(line) || is_root(line) || is_name(line) || is_user(line))
}

fn is_home(line: &str) -> bool {
    line.starts_with("HOME_DIR")
}

fn is_root(line: &str) -> bool {
    line.starts_with("HOME_ROOT")
}

fn is_name(line: &str) -> bool {
    line.contains("%{USERNAME}") || line.contains("%{USERID}")
}

/// The older form.
fn is_user(line: &str) -> bool {
    !is_name(line) && line.contains("USER")
}

impl Homes {
    /// The lines of file_contexts.homedirs.
    pub fn expand(&self, template: &str) -> Vec<Line> {
        let lines: Vec<(u32, &str)> = (1..).zip(template.lines()).filter(|(_, l)| is_template(l)).collect();
        let mut out = Vec::new();
        let anybody = |home: String| Person {
            name: "[^/]+".to_owned(),
            uid: "[0-9]+".to_owned(),
            home,
            selinux: self.fallback.clone().unwrap_or_else(SelinuxUser::nobody),
        };
        for root in &self.roots {
            let person = anybody(format!("{root}/[^/]+"));
            for (n, line) in lines.iter().filter(|(_, l)| is_home(l)) {
                out.push((*n, person.home_line(line)));
            }
            for (n, line) in lines.iter().filter(|(_, l)| is_root(l)) {
                out.push((*n, line.replace("HOME_ROOT", root)));
            }
        }
        let names = |person: &Person, out: &mut Vec<Line>| {
            for (n, line) in lines.iter().filter(|(_, l)| is_name(l)) {
                out.push((*n, person.name_line(line)));
            }
            for (n, line) in lines.iter().filter(|(_, l)| is_user(l)) {
                out.push((*n, person.user_line(line)));
            }
        };
        names(&anybody(String::new()), &mut out);
        // The list is written from its end.
        for person in self.people.iter().rev() {
            for (n, line) in lines.iter().filter(|(_, l)| is_home(l)) {
                out.push((*n, person.home_line(line)));
            }
            names(person, &mut out);
        }
        out
    }
}

impl SelinuxUser {
    /// Stands in where no login is mapped: contexts stay as they are.
    fn nobody() -> Self {
        SelinuxUser { name: String::new(), prefix: "user".to_owned(), level: None, prefix_is_role: false }
    }

    /// The context of a line, with this user's parts in it.
    fn in_context(&self, line: &str) -> String {
        let trimmed = line.trim_end();
        let start = trimmed.rfind(char::is_whitespace).map_or(0, |i| i + 1);
        let (before, context) = trimmed.split_at_checked(start).unwrap_or((trimmed, ""));
        let mut fields = context.splitn(4, ':');
        let (Some(_), Some(role), Some(ty)) = (fields.next(), fields.next(), fields.next()) else {
            return line.to_owned(); // `<<none>>`
        };
        if self.name.is_empty() {
            return line.to_owned();
        }
        let role = if self.prefix_is_role { &self.prefix } else { role };
        let mut out = format!("{before}{}:{role}:{ty}", self.name);
        if let Some(level) = fields.next() {
            let _ = write!(out, ":{}", self.level.as_deref().unwrap_or(level));
        }
        out
    }
}

impl Person {
    fn home_line(&self, line: &str) -> String {
        self.finish(&line.replace("HOME_DIR", &self.home))
    }

    fn name_line(&self, line: &str) -> String {
        self.finish(&line.replace("%{USERNAME}", &self.name).replace("%{USERID}", &self.uid))
    }

    fn user_line(&self, line: &str) -> String {
        self.finish(&line.replace("USER", &self.name))
    }

    fn finish(&self, line: &str) -> String {
        self.selinux.in_context(&line.replace("ROLE", &self.selinux.prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
# HOME_DIR/comment u:r:t:s0
HOME_DIR/.+\tsystem_u:object_r:ROLE_home_t:s0-s15
HOME_ROOT\t-d\tsystem_u:object_r:home_root_t:s0
/run/user/%{USERID}/.+\t<<none>>
/tmp/x-%{USERNAME}\t--\tsystem_u:object_r:x_t:s0
/tmp/old-USER system_u:object_r:old_t:s0
";

    #[test]
    fn a_template_is_written_out_for_everybody_and_for_each_login() {
        let selinux = |name: &str| SelinuxUser {
            name: name.to_owned(),
            prefix: "staff".to_owned(),
            level: Some("s0".to_owned()),
            prefix_is_role: false,
        };
        let anna = Person {
            name: "anna".into(),
            uid: "1000".into(),
            home: "/home/anna".into(),
            selinux: selinux("staff_u"),
        };
        let homes =
            Homes { roots: vec!["/home".into()], fallback: Some(selinux("user_u")), people: vec![anna] };
        let lines: Vec<String> =
            homes.expand(TEMPLATE).into_iter().map(|(n, line)| format!("{n} {line}")).collect();
        assert_eq!(
            lines,
            [
                "2 /home/[^/]+/.+\tuser_u:object_r:staff_home_t:s0",
                "3 /home\t-d\tsystem_u:object_r:home_root_t:s0",
                "4 /run/user/[0-9]+/.+\t<<none>>",
                "5 /tmp/x-[^/]+\t--\tuser_u:object_r:x_t:s0",
                "6 /tmp/old-[^/]+ user_u:object_r:old_t:s0",
                "2 /home/anna/.+\tstaff_u:object_r:staff_home_t:s0",
                "4 /run/user/1000/.+\t<<none>>",
                "5 /tmp/x-anna\t--\tstaff_u:object_r:x_t:s0",
                "6 /tmp/old-anna staff_u:object_r:old_t:s0",
            ]
        );
    }
}

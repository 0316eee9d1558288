//! What runs by itself: crontabs (crontab(5)) and systemd's units (systemd.service(5), systemd.unit(5)).

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::sys::{Kind, Root};

/// Files larger than this are no crontab and no unit.
const LIMIT: u64 = 1 << 20;
/// Folders of units, the one that counts first before the others.
const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Folders whose files are run by root one after the other.
const CRON_FOLDERS: [&str; 4] =
    ["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"];
/// Folders of crontabs by user (Debian's, and Red Hat's).
const SPOOLS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];

/// By what it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// cron.
    Cron,
    /// A service of systemd.
    Service,
    /// A service that a timer starts.
    Timer,
}

/// Something that runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// By what.
    pub by: By,
    /// A unit's name; empty for cron.
    pub name: String,
    /// `FILE:LINE`, or the file.
    pub place: String,
    /// The user that it runs as, by name or number.
    pub user: String,
    /// Programs and scripts that it runs, by absolute path.
    pub runs: Vec<PathBuf>,
    /// What it runs, as written.
    pub command: String,
}

/// Everything that runs by itself, by place. What cannot be read is left out of it and told.
pub fn jobs(root: &Root) -> (Vec<Job>, Vec<String>) {
    let mut reader = Reader { root, jobs: Vec::new(), unread: Vec::new() };
    reader.crontab(Path::new("/etc/crontab"), None);
    for (path, _) in reader.files(Path::new("/etc/cron.d")) {
        // cron passes over names with dots, as run-parts does.
        if !path.file_name().is_some_and(|n| n.as_bytes().contains(&b'.')) {
            reader.crontab(&path, None);
        }
    }
    for folder in CRON_FOLDERS {
        for (path, executable) in reader.files(Path::new(folder)) {
            if executable {
                let place = path.display().to_string();
                let job = Job {
                    by: By::Cron,
                    name: String::new(),
                    command: place.clone(),
                    place,
                    user: "root".to_owned(),
                    runs: vec![path],
                };
                reader.jobs.push(job);
            }
        }
    }
    for folder in SPOOLS {
        for (path, _) in reader.files(Path::new(folder)) {
            let user = path.file_name().map(|n| n.to_string_lossy().into_owned());
            reader.crontab(&path, user);
        }
    }
    reader.units();
    let Reader { mut jobs, mut unread, .. } = reader;
    jobs.sort_by(|a, b| (&a.place, a.by).cmp(&(&b.place, b.by)));
    unread.sort();
    (jobs, unread)
}

/// The unit that this one is another name of, if its file is a link to one.
pub fn unit_link(root: &Root, unit: &str) -> Option<String> {
    let found = UNIT_FOLDERS.iter().find_map(|f| root.resolve_link(&Path::new(f).join(unit)).ok())?;
    if found.meta.kind != Kind::Link {
        return None;
    }
    let target = found.handle.link_target().ok()?;
    let name = String::from_utf8(target.rsplit(|b| *b == b'/').next()?.to_vec()).ok()?;
    // An instance is no name of its template, and what leads to /dev/null is masked.
    let ending = |n: &str| n.rsplit_once('.').map(|(_, e)| e.to_owned());
    let template = name.split_once('@').is_some_and(|(_, rest)| rest.starts_with('.'));
    (name != unit && !template && ending(&name) == ending(unit)).then_some(name)
}

struct Reader<'a> {
    root: &'a Root,
    jobs: Vec<Job>,
    unread: Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, path: &Path) -> Option<String> {
        match self.root.read(path, LIMIT) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(e) => {
                if !e.is_not_found() {
                    self.unread.push(e.to_string());
                }
                None
            }
        }
    }

    /// The regular files in a folder, and whether each can be executed.
    fn files(&mut self, folder: &Path) -> Vec<(PathBuf, bool)> {
        let names = match self.root.names(folder) {
            Ok(names) => names,
            Err(e) => {
                if !e.is_not_found() {
                    self.unread.push(e.to_string());
                }
                return Vec::new();
            }
        };
        let file = |name| {
            let path = folder.join(name);
            let found = self.root.resolve(&path).ok()?;
            (found.meta.kind == Kind::File).then_some((path, found.meta.mode & 0o111 != 0))
        };
        names.into_iter().filter_map(file).collect()
    }

    fn crontab(&mut self, path: &Path, owner: Option<String>) {
        let Some(text) = self.text(path) else { return };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((user, command)) = cron_line(line, owner.as_deref()) {
                self.jobs.push(Job {
                    by: By::Cron,
                    name: String::new(),
                    place: format!("{}:{number}", path.display()),
                    user,
                    runs: programs(&command),
                    command,
                });
            }
        }
    }

    fn units(&mut self) {
        let mut services: BTreeMap<String, (PathBuf, Unit)> = BTreeMap::new();
        let mut timers: Vec<(String, PathBuf, Option<String>)> = Vec::new();
        let mut drop_ins: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for folder in UNIT_FOLDERS {
            for name in self.root.names(Path::new(folder)).unwrap_or_default() {
                let Some(name) = name.to_str() else { continue };
                let path = Path::new(folder).join(name);
                if name.ends_with(".service") && !services.contains_key(name) {
                    let masked = self.root.resolve(&path).is_ok_and(|r| r.meta.kind != Kind::File);
                    let unit = if masked { Unit::default() } else { self.unit(&path) };
                    services.insert(name.to_owned(), (path, unit));
                } else if name.ends_with(".timer") && !timers.iter().any(|(n, ..)| n == name) {
                    let starts = self.unit(&path).starts;
                    timers.push((name.to_owned(), path, starts));
                } else if let Some(of) = name.strip_suffix(".d").filter(|n| n.ends_with(".service")) {
                    for (file, _) in self.files(&path) {
                        if file.extension().is_some_and(|e| e == "conf")
                            && let Some(text) = self.text(&file)
                        {
                            drop_ins.entry(of.to_owned()).or_default().push(text);
                        }
                    }
                }
            }
        }
        for (name, texts) in drop_ins {
            if let Some((_, unit)) = services.get_mut(&name) {
                for text in texts {
                    unit.read(&text);
                }
            }
        }
        for (timer, path, starts) in timers {
            let service = starts.unwrap_or_else(|| format!("{}.service", timer.trim_end_matches(".timer")));
            if let Some((_, unit)) = services.get(&service) {
                self.jobs.push(unit.job(By::Timer, &timer, &path));
            }
        }
        let jobs = services.iter().filter(|(_, (_, u))| !u.commands.is_empty());
        self.jobs.extend(jobs.map(|(name, (path, unit))| unit.job(By::Service, name, path)));
    }

    fn unit(&mut self, path: &Path) -> Unit {
        let mut unit = Unit::default();
        if let Some(text) = self.text(path) {
            unit.read(&text);
        }
        unit
    }
}

/// What of a unit counts here.
#[derive(Debug, Default)]
struct Unit {
    user: Option<String>,
    commands: Vec<String>,
    starts: Option<String>,
}

impl Unit {
    /// Reads a unit file, or a drop-in after it.
    fn read(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match key.trim() {
                "User" => self.user = Some(value.to_owned()).filter(|v| !v.is_empty()),
                "DynamicUser" if matches!(value, "yes" | "true" | "1" | "on") => {
                    self.user.get_or_insert_with(|| "(dynamic)".to_owned());
                }
                "Unit" => self.starts = Some(value.to_owned()),
                "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecReload" | "ExecStop"
                | "ExecStopPost" | "ExecCondition" => {
                    // An empty value takes back what was said before.
                    if value.is_empty() && key.trim() == "ExecStart" {
                        self.commands.clear();
                    } else if !value.is_empty() {
                        self.commands.push(value.to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    fn job(&self, by: By, name: &str, path: &Path) -> Job {
        let mut runs: Vec<PathBuf> = self
            .commands
            .iter()
            .flat_map(|c| programs(c.trim_start_matches(['@', '-', ':', '+', '!', '|'])))
            .collect();
        runs.sort();
        runs.dedup();
        Job {
            by,
            name: name.to_owned(),
            place: path.display().to_string(),
            user: self.user.clone().unwrap_or_else(|| "root".to_owned()),
            runs,
            command: self.commands.join("; "),
        }
    }
}

/// The user and the command of a line of a crontab; none for what is no job. In a user's own crontab the user is not
/// written.
fn cron_line(line: &str, owner: Option<&str>) -> Option<(String, String)> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let mut rest = line;
    for n in 0..fields {
        let (field, after) = rest.split_once([' ', '\t'])?;
        // `NAME = VALUE` sets the environment.
        let time = |c: char| c.is_ascii_alphanumeric() || "*/,-@~".contains(c);
        if (n == 0 && field.contains('=')) || !field.chars().all(time) {
            return None;
        }
        rest = after.trim_start();
    }
    if rest.is_empty() || rest.starts_with('=') {
        return None;
    }
    match owner {
        Some(owner) => Some((owner.to_owned(), rest.to_owned())),
        None => {
            let (user, command) = rest.split_once([' ', '\t'])?;
            Some((user.to_owned(), command.trim_start().to_owned()))
        }
    }
}

/// Programs whose first argument is a program too.
const INTERPRETERS: [&str; 14] = [
    "sh", "bash", "dash", "zsh", "ksh", "env", "exec", "nice", "nohup", "flock", "php", "ruby", "perl",
    "python",
];

/// The programs of a command line, and scripts that interpreters are given, by absolute path.
fn programs(command: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for simple in command.split([';', '|', '&', '(', ')', '`', '\n']) {
        let words = simple.split_whitespace().map(|w| w.trim_matches(['"', '\'']));
        let mut interpreter = true;
        for word in words {
            let name = word.rsplit('/').next().unwrap_or(word);
            let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            let assignment = word.contains('=') && !word.starts_with('/');
            if !interpreter {
                break;
            }
            if word.starts_with('/') {
                found.push(PathBuf::from(word));
            }
            let passes = assignment || word.starts_with('-') || matches!(word, "if" | "then" | "!" | "{");
            interpreter = passes || INTERPRETERS.contains(&bare);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_crontabs() {
        let job = |line| cron_line(line, None);
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            job("17 *\t* * *\troot\tcd / && run-parts /etc/cron.hourly"),
            pair("root", "cd / && run-parts /etc/cron.hourly")
        );
        assert_eq!(job("@reboot app /srv/app/run"), pair("app", "/srv/app/run"));
        assert_eq!(cron_line("*/5 0-3,7 * * mon /x y", Some("bob")), pair("bob", "/x y"));
        for no in [
            "",
            "# * * * * * root x",
            "PATH=/usr/bin:/bin",
            "MAILTO = root",
            "SHELL=/bin/sh -x y z a b c",
            "1 2 3",
        ] {
            assert_eq!(job(no), None, "{no}");
        }
    }

    #[test]
    fn programs_of_a_command() {
        for (command, expected) in [
            ("/usr/bin/x --y /etc/z", vec!["/usr/bin/x"]),
            ("cd / && /a/b; test -x /usr/sbin/anacron || ( /c )", vec!["/a/b", "/c"]),
            ("FOO=1 /bin/sh -e /srv/s.sh /arg", vec!["/bin/sh", "/srv/s.sh"]),
            (
                "\"/opt/v/bin/python3.11\" /opt/app/manage.py run",
                vec!["/opt/v/bin/python3.11", "/opt/app/manage.py"],
            ),
            ("run-parts /etc/cron.daily", vec![]),
        ] {
            assert_eq!(
                programs(command),
                expected.iter().map(PathBuf::from).collect::<Vec<_>>(),
                "{command}"
            );
        }
    }

    #[test]
    fn units_with_drop_ins_and_resets() {
        let mut unit = Unit::default();
        unit.read("[Service]\nUser=app\nExecStartPre=-+/bin/true\nExecStart=/srv/old \\\n  --x\n");
        unit.read("[Service]\nExecStart=\nExecStart=@/srv/new\n");
        let job = unit.job(By::Service, "app.service", Path::new("/etc/systemd/system/app.service"));
        assert_eq!((job.user.as_str(), job.runs), ("app", vec![PathBuf::from("/srv/new")]));
    }
}

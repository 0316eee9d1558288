//! `perms can`: may a user do something, through every layer.

use std::cell::RefCell;
use std::io::{self, BufRead as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::error::CliError;
use super::label::load as contexts;
use super::ui::Ui;
use crate::host::Host;
use crate::host::contexts::file_kind;
use crate::host::selinux::Selinux;
use crate::host::sudo::Dialect;
use crate::report::Format;
use crate::report::escape;
use crate::report::nearest::near;
use crate::report::style::Paint;
use crate::rights::domain::{Expected, Labels};
use crate::rights::files::{capability, with_capabilities};
use crate::rights::run::{Command, may_run};
use crate::rights::{Action, Answer, Asker, Domain, Layer, Step, Verdict, may};
use crate::selinux::policy::{Origin, Policy, locate};
use crate::sys::Root;

/// Version of the JSON form, which docs/schema/can.schema.json describes.
const JSON_VERSION: u32 = 1;

/// Answer whether a user can do something, and name what decides
///
/// Asks every layer: each parent's search permission, mode, ACL and mask,
/// capabilities, read-only and noexec mounts, immutable and append-only files,
/// the sticky bit, and with --domain the SELinux policy. `run` asks sudo and
/// doas. The user is taken as a session of the account has it: its groups, and
/// capabilities for root only. What a file system's server decides (NFS, FUSE),
/// and other security modules, cannot be known from here. To write a socket is to
/// connect to it.
///
/// Exit status: 0 yes, 4 no, 16 not knowable.
///
/// Examples:
///   perms can bornhack write /home/bar/db.sqlite3
///   perms can www-data read /srv/shop/secret.env --domain httpd_t
///   perms can deploy run -- /usr/bin/systemctl reload nginx
///   perms can deploy run --as flame -- /home/flame/bin/flame status
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CanArgs {
    /// The account
    #[arg(required_unless_present = "from")]
    user: Option<String>,
    /// read, write, execute, search, create, delete, chmod, or run
    #[arg(required_unless_present = "from")]
    action: Option<String>,
    /// The path; for run the command and its arguments, after `--`
    #[arg(value_name = "PATH | -- COMMAND ARG", required_unless_present = "from")]
    what: Vec<String>,
    /// Answer many questions: one a line of this file (- is standard input), `USER ACTION PATH [DOMAIN]` with tabs
    /// between, each answered by a line `yes|no|not knowable`, the question, and what decides
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "action", "what", "domain"])]
    from: Option<PathBuf>,
    /// Ask SELinux too, for a process in this domain: a context, or a type
    #[arg(long, value_name = "CONTEXT")]
    domain: Option<String>,
    /// The policy to ask instead of the running kernel's
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// As if the process had this capability: dac_override, dac_read_search, fowner
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,
    /// With run: as whom [default: whom sudo takes, which is root]
    #[arg(long = "as", value_name = "TARGET")]
    target: Option<String>,
    /// With run: on the host of this name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// With run: as this sudo decides, whichever is there
    #[arg(long, value_name = "WHICH", value_enum)]
    sudo: Option<WhichSudo>,
    /// Show the layers that allow it too
    #[arg(long)]
    all: bool,
}

/// A way of deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WhichSudo {
    /// The original
    Classic,
    /// The one in Rust
    SudoRs,
}

impl WhichSudo {
    /// The dialect.
    pub(super) fn dialect(self) -> Dialect {
        match self {
            WhichSudo::Classic => Dialect::Classic,
            WhichSudo::SudoRs => Dialect::Rs,
        }
    }
}

/// The policy and the specifications that questions about domains need.
pub(super) struct Selinuxed {
    policy: Policy,
    enforced: Option<bool>,
    contexts: Option<contexts::Loaded>,
}

impl Selinuxed {
    /// Reads them.
    pub(super) fn load(common: &Common, root: &Root, policy: Option<&Path>) -> Result<Selinuxed, CliError> {
        let tree = (common.root != Path::new("/")).then_some(&*common.root);
        let origin = locate(policy, tree).map_err(|e| CliError::new(e.to_string()))?;
        let policy = Policy::open(origin.path()).map_err(|e| CliError::new(e.to_string()))?;
        let enforced = match origin {
            Origin::Kernel(_) => Selinux::observe(root).enforcing,
            _ => None,
        };
        // The running kernel tells a label for each file; elsewhere some may have none yet.
        let contexts = contexts::load(root, None, None).ok();
        Ok(Selinuxed { policy, enforced, contexts })
    }

    /// To ask of.
    pub(super) fn labels(&self) -> Labels<'_> {
        let expected: Box<Expected<'_>> = match &self.contexts {
            None => Box::new(|_, _| None),
            Some(loaded) => {
                let lookups = RefCell::new(loaded.contexts.lookups());
                Box::new(move |path, meta| {
                    let kind = Some(file_kind(meta.kind));
                    let answer = lookups.borrow_mut().lookup(path.as_os_str().as_bytes(), kind);
                    answer.context().map(str::to_owned)
                })
            }
        };
        Labels { view: self.policy.view(), enforced: self.enforced, expected }
    }
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, common: &Common, args: &CanArgs) -> Result<u8, CliError> {
    let mut host = Host::observe(super::load::root(common)?)?;
    if let Some(file) = &args.from {
        return many(ui, common, &host, args, file);
    }
    let (Some(user), Some(action)) = (&args.user, &args.action) else {
        return Err(CliError::new("a user, an action and a path are needed"));
    };
    host.accounts.look_elsewhere_for_user(user);
    account(&host, user)?;
    host.accounts.look_elsewhere_for_groups_of(user);
    let (answer, question) = if action == "run" {
        let Some((command, rest)) = args.what.split_first() else {
            return Err(CliError::new("no command is named: perms can USER run -- COMMAND ARG…"));
        };
        if let Some(target) = &args.target
            && !target.starts_with('#')
        {
            host.accounts.look_elsewhere_for_user(target);
            account(&host, target)?;
        }
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let command = Command {
            target: args.target.as_deref(),
            host: args.host.as_deref(),
            dialect: args.sudo.map(WhichSudo::dialect),
            command,
            args: &rest,
        };
        let question = json!({ "user": user, "action": action, "command": args.what, "as": args.target });
        (may_run(&host, user, &command), question)
    } else {
        for (given, option) in [
            (args.target.is_some(), "--as"),
            (args.host.is_some(), "--host"),
            (args.sudo.is_some(), "--sudo"),
        ] {
            if given {
                return Err(CliError::new(format!("{option} goes with run only")));
            }
        }
        let action = action_of(action)?;
        let [path] = &*args.what else {
            return Err(CliError::new("one path is needed: perms can USER ACTION PATH"));
        };
        let path = absolute(common, Path::new(path))?;
        let asker = asker(&host, user, args)?;
        let selinux = match &args.domain {
            Some(_) => Some(Selinuxed::load(common, &host.root, args.policy.as_deref())?),
            None => None,
        };
        let labels = selinux.as_ref().map(Selinuxed::labels);
        let domain = match (&labels, &args.domain) {
            (Some(labels), Some(text)) => {
                Some(Domain::new(labels, text).map_err(|e| CliError::new(e.to_string()))?)
            }
            _ => None,
        };
        let answer = may(&host, &asker, action, &path, domain.as_ref());
        let question = json!({
            "user": user,
            "action": action.word(),
            "path": path.to_string_lossy(),
            "domain": domain.as_ref().map(Domain::text),
        });
        (answer, question)
    };
    match ui.format {
        Format::Json => {
            let mut report = json!({ "version": JSON_VERSION, "kind": "can" });
            let (Some(report_map), Value::Object(question)) = (report.as_object_mut(), question) else {
                return Ok(answer.verdict.status());
            };
            report_map.extend(question);
            report_map.insert("verdict".to_owned(), json!(answer.verdict.word()));
            report_map
                .insert("resolved".to_owned(), json!(answer.path.as_ref().map(|p| p.to_string_lossy())));
            let steps: Vec<Value> = answer.steps.iter().map(step_json).collect();
            report_map.insert("steps".to_owned(), json!(steps));
            serde_json::to_writer_pretty(&mut *ui.out, &report).map_err(io::Error::from)?;
            writeln!(ui.out)?;
        }
        Format::Human | Format::Plain => text(&mut *ui.out, &answer, args.all, ui.paint)?,
    }
    Ok(answer.verdict.status())
}

/// The account must be known.
fn account(host: &Host, name: &str) -> Result<(), CliError> {
    if host.accounts.user(name).is_some() {
        return Ok(());
    }
    let known = host.accounts.users().iter().map(|u| u.name.as_str());
    let near: Vec<String> = near(name, known).iter().map(|k| format!("`{k}`")).collect();
    let error = CliError::new(format!("there is no account `{name}`"));
    Err(if near.is_empty() { error } else { error.hint(format!("did you mean {}?", near.join(" or "))) })
}

/// The action of a word.
pub(super) fn action_of(word: &str) -> Result<Action, CliError> {
    Action::of(word).ok_or_else(|| {
        let all: Vec<&str> = Action::ALL.iter().map(|a| a.word()).collect();
        CliError::new(format!("`{word}` is no action")).hint(format!("there are {}, and run", all.join(", ")))
    })
}

/// A path from the root; what is relative starts where the command was called.
pub(super) fn absolute(common: &Common, path: &Path) -> Result<PathBuf, CliError> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    if common.root == Path::new("/") {
        return Ok(std::env::current_dir()?.join(path));
    }
    Err(CliError::new(format!("`{}` is not an absolute path", path.display()))
        .hint("with --root a path is seen from inside the tree"))
}

fn asker(host: &Host, user: &str, args: &CanArgs) -> Result<Asker, CliError> {
    let mut asker = Asker::of_user(&host.accounts, user)
        .ok_or_else(|| CliError::new(format!("there is no account `{user}`")))?;
    let mut more = Vec::new();
    for name in &args.capabilities {
        more.push(capability(name).ok_or_else(|| {
            CliError::new(format!("`{name}` is no capability that file access turns on"))
                .hint("there are dac_override, dac_read_search and fowner")
        })?);
    }
    let set = &mut asker.credentials.capabilities;
    *set = with_capabilities(*set, &more);
    Ok(asker)
}

/// Answers the questions of a file, one line each.
fn many(ui: &mut Ui, common: &Common, host: &Host, args: &CanArgs, file: &Path) -> Result<u8, CliError> {
    let reader: Box<dyn io::BufRead> = if file == Path::new("-") {
        Box::new(io::BufReader::new(io::stdin()))
    } else {
        let open = std::fs::File::open(file);
        Box::new(io::BufReader::new(open.map_err(|e| CliError::new(format!("{}: {e}", file.display())))?))
    };
    // Read when the first question names a domain.
    let selinux = std::cell::OnceCell::new();
    let labels = std::cell::OnceCell::new();
    let mut verdict = Verdict::Yes;
    let mut domains: std::collections::BTreeMap<String, Domain<'_>> = std::collections::BTreeMap::new();
    for (number, line) in reader.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let wrong = |what: String| CliError::new(format!("line {}: {what}", number + 1));
        let (user, action, path, domain) = match *fields {
            [user, action, path] => (user, action, path, None),
            [user, action, path, domain] => (user, action, path, Some(domain)),
            _ => {
                return Err(wrong("USER, ACTION, PATH and perhaps DOMAIN are expected, tabs between".into()));
            }
        };
        account(host, user)?;
        let asker = asker(host, user, args)?;
        if let Some(text) = domain
            && !domains.contains_key(text)
        {
            if selinux.get().is_none() {
                let _ = selinux.set(Selinuxed::load(common, &host.root, args.policy.as_deref())?);
            }
            let Some(selinux) = selinux.get() else { continue };
            let labels = labels.get_or_init(|| selinux.labels());
            let new = Domain::new(labels, text).map_err(|e| wrong(e.to_string()))?;
            domains.insert(text.to_owned(), new);
        }
        let domain = domain.and_then(|text| domains.get(text));
        let answer = may(host, &asker, action_of(action)?, &absolute(common, Path::new(path))?, domain);
        verdict = verdict.and(answer.verdict);
        let by = answer.deciding().map_or_else(String::new, |s| format!("{}: {}", s.at, s.by));
        match ui.format {
            Format::Json => {
                let report = json!({
                    "version": JSON_VERSION,
                    "kind": "can",
                    "user": user,
                    "action": action,
                    "path": path,
                    "domain": domain.map(Domain::text),
                    "verdict": answer.verdict.word(),
                    "resolved": answer.path.as_ref().map(|p| p.to_string_lossy()),
                    "steps": answer.steps.iter().map(step_json).collect::<Vec<_>>(),
                });
                serde_json::to_writer(&mut *ui.out, &report).map_err(io::Error::from)?;
                writeln!(ui.out)?;
            }
            _ => writeln!(ui.out, "{}\t{}\t{}", answer.verdict.word(), escape(&line), escape(&by))?,
        }
        // Who asks may wait for the answer.
        ui.out.flush()?;
    }
    Ok(verdict.status())
}

fn step_json(step: &Step) -> Value {
    json!({
        "layer": step.layer.word(),
        "at": step.at,
        "what": step.what,
        "verdict": step.verdict.word(),
        "by": step.by,
        "object": step.object.as_ref().map(|o| json!({ "mode": o.mode, "owner": o.owner, "group": o.group })),
        "notes": step.notes,
    })
}

/// The answer first, then what decides it, then what goes without saying.
fn text(out: &mut dyn Write, answer: &Answer, all: bool, paint: Paint) -> io::Result<()> {
    let word = match answer.verdict {
        Verdict::Yes => paint.good("yes"),
        Verdict::No => paint.bad("no"),
        Verdict::Unknown => paint.change("not knowable"),
    };
    writeln!(out, "{word}")?;
    let last = answer.steps.last().map(|s| s.at.clone()).unwrap_or_default();
    let routes = answer.steps.iter().any(|s| matches!(s.layer, Layer::Sudo | Layer::Doas));
    let shown = |s: &Step| match answer.verdict {
        _ if all || routes => true,
        Verdict::Yes => s.at == last || s.what != "search" && s.layer != Layer::Selinux,
        _ => s.verdict != Verdict::Yes,
    };
    let (steps, rest): (Vec<&Step>, Vec<&Step>) = answer.steps.iter().partition(|s| shown(s));
    let columns: Vec<[String; 2]> = steps
        .iter()
        .map(|s| {
            let object = s.object.as_ref().map_or_else(String::new, |o| {
                format!("{} {} {}", o.mode, escape(&o.owner), escape(&o.group))
            });
            [escape(&s.at), object]
        })
        .collect();
    let width =
        |i: usize| columns.iter().filter_map(|c| c.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for (step, columns) in steps.iter().zip(&columns) {
        let [at, object] = columns;
        let verdict = match step.verdict {
            Verdict::Yes => String::new(),
            Verdict::No => format!("{} ", paint.bad("denied:")),
            Verdict::Unknown => format!("{} ", paint.change("not knowable:")),
        };
        let gap = if second > 0 { "  " } else { "" };
        writeln!(
            out,
            "  {at:first$}{gap}{object:second$}  {}: {verdict}{}",
            escape(&step.what),
            escape(&step.by)
        )?;
        for note in &step.notes {
            writeln!(out, "  {:first$}{gap}{:second$}    {}", "", "", paint.faint(&escape(note)))?;
        }
    }
    if !rest.is_empty() && answer.verdict == Verdict::Yes {
        let folders: Vec<String> =
            rest.iter().filter(|s| s.layer == Layer::Access).map(|s| escape(&s.at)).collect();
        writeln!(out, "  {}", paint.faint(&format!("may pass {}; --all shows by what", folders.join(" "))))?;
    }
    Ok(())
}

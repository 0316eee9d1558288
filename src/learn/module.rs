//! Rules as module texts, and their files.

use super::{Group, Lesson, Options, text};
use crate::selinux::module::te::{self, Form, Style};

/// First line of every file written; a file that begins otherwise is somebody else's.
pub const MARK: &str = "Made by `perms learn`, which may overwrite this file; without this line it will not.";

/// The version that modules get.
pub const VERSION: &str = "1.0";

/// A module's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// `NAME.te`, `NAME.fc`, `NAME.if` or `NAME.cil`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The names of [`files`], without their texts.
pub fn names(group: &Group<'_>, options: &Options) -> Vec<String> {
    let module = &group.module;
    let mut list = Vec::new();
    if !group.te.is_empty() {
        list.push(format!("{module}.te"));
    }
    if !group.specs.is_empty() {
        list.push(format!("{module}.fc"));
    }
    if !group.new_types.is_empty() && options.form == Form::PolicyModule {
        list.push(format!("{module}.if"));
    }
    if !group.cil.is_empty() {
        // A module's name is its file's; the two must not replace each other.
        let part = if group.te.is_empty() { "" } else { "_cil" };
        list.push(format!("{module}{part}.cil"));
    }
    list
}

/// The files of a group's module: a `.te` with its `.fc` and `.if` where it makes types, a `.cil`, all or none.
pub fn files(lesson: &Lesson<'_>, group: &Group<'_>, options: &Options) -> Vec<ModuleFile> {
    let head = head(lesson, group);
    let style = |name| Style {
        name,
        version: group.version.clone(),
        head: head.clone(),
        form: options.form,
        xperms: options.xperms,
    };
    let text = |name: &String| match name.rsplit('.').next() {
        Some("te") => te::te(&style(group.module.clone()), &group.te),
        Some("fc") => contexts(group, options.form),
        Some("if") => interfaces(group),
        _ => te::cil(&style(group.module.clone()), &group.cil),
    };
    names(group, options).into_iter().map(|name| ModuleFile { text: text(&name), name }).collect()
}

/// The lines of the head comment: only our own words and numbers.
fn head(lesson: &Lesson<'_>, group: &Group<'_>) -> Vec<String> {
    let mut head = vec![MARK.to_owned()];
    let denials = group.denials.iter().filter(|d| d.has_rule()).count();
    let times: u64 =
        group.denials.iter().filter(|d| d.has_rule()).map(|d| d.denial.seen.counts.least()).sum();
    let mut from = format!(
        "From {}, recorded {}",
        text::count(text::len(denials), "distinct denial", "distinct denials"),
        text::count(times, "time", "times")
    );
    if let (Some(first), Some(last)) = (group.sum.period.first, group.sum.period.last) {
        from.push_str(&format!(", {}", text::span(first, last)));
    }
    head.push(from + ".");
    match &lesson.judgement {
        None => head.push("No policy was read: part of it may be allowed already.".to_owned()),
        Some(judgement) => {
            let replay = &judgement.replay;
            let (now, of) =
                (text::thousands(text::len(replay.allowed)), text::thousands(text::len(replay.asked)));
            head.push(format!(
                "Judged by a policy of version {}; with all remedies {now} of {of} distinct denials of the log are allowed.",
                judgement.version
            ));
        }
    }
    let unread = lesson.log.tally.set_aside;
    if unread > 0 {
        head.push(format!("Not read: {}.", text::count(unread, "line", "lines")));
    }
    head
}

/// The `.fc` text. Patterns hold paths from the log: printable ASCII without spaces, escaped.
fn contexts(group: &Group<'_>, form: Form) -> String {
    let mut out = format!("# {MARK}\n");
    for spec in &group.specs {
        let kind = if spec.kind.is_empty() { String::new() } else { format!("  {}", spec.kind) };
        let context = match (form, spec.context.splitn(4, ':').collect::<Vec<_>>().as_slice()) {
            (Form::PolicyModule, [user, role, ty, range]) => {
                format!("gen_context({user}:{role}:{ty},{range})")
            }
            (Form::PolicyModule, _) => format!("gen_context({})", spec.context),
            (Form::Module, _) => spec.context.clone(),
        };
        out.push_str(&format!("{}{kind}  {context}\n", spec.pattern));
    }
    out
}

/// The `.if` text: for each type of the module, what other modules may ask of it.
fn interfaces(group: &Group<'_>) -> String {
    let mut out = format!("## <summary>Types that {} makes.</summary>\n# {MARK}\n", group.module);
    for new in &group.new_types {
        let stem = new.name.as_str().strip_suffix("_t").unwrap_or(new.name.as_str());
        for (verb, does, files, folders) in [
            ("read", "Read", "{ getattr open read }", "{ getattr open read search }"),
            (
                "manage",
                "Create, write and remove",
                "{ append create getattr open read rename setattr unlink write }",
                "{ add_name create getattr open read remove_name rename reparent rmdir search setattr write }",
            ),
        ] {
            let name = &new.name;
            out.push_str(&format!(
                "\n########################################\n## <summary>\n##\t{does} files of type {name}.\n## </summary>\n\
                 ## <param name=\"domain\">\n##\t<summary>\n##\tThe domain that may.\n##\t</summary>\n## </param>\n#\n\
                 interface(`{verb}_{stem}_files',`\n\tgen_require(`\n\t\ttype {name};\n\t')\n\n\
                 \tallow $1 {name}:dir {folders};\n\tallow $1 {name}:file {files};\n')\n"
            ));
        }
    }
    out
}

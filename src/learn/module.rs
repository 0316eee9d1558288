//! Rules as module texts.

use super::{Group, Lesson, Options, text};
use crate::selinux::module::te::{self, Style};

/// First line of every file written; a file that begins otherwise is somebody else's.
pub const MARK: &str = "Made by `perms learn`, which may overwrite this file; without this line it will not.";

/// The version that modules get.
const VERSION: &str = "1.0";

/// A module's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// `NAME.te` or `NAME.cil`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The files of a group's rules: a `.te`, a `.cil`, both or neither.
pub fn files(lesson: &Lesson<'_>, group: &Group<'_>, options: &Options) -> Vec<ModuleFile> {
    let mut head = vec![MARK.to_owned()];
    let denials = group.denials.iter().filter(|d| d.has_rule()).count();
    let times: u64 =
        group.denials.iter().filter(|d| d.has_rule()).map(|d| d.denial.seen.counts.least()).sum();
    let (first, last) = text::period(group.denials.iter().map(|d| &d.denial.seen));
    let mut from = format!(
        "From {}, recorded {}",
        text::count(text::len(denials), "distinct denial", "distinct denials"),
        text::count(times, "time", "times")
    );
    if let (Some(first), Some(last)) = (first, last) {
        from.push_str(&format!(", {}", text::span(first, last)));
    }
    head.push(from + ".");
    head.push("No policy was read: part of it may be allowed already.".to_owned());
    let unread = lesson.log.tally.set_aside;
    if unread > 0 {
        head.push(format!("Not read: {}.", text::count(unread, "line", "lines")));
    }
    let mut list = Vec::new();
    let style =
        |name| Style { name, version: VERSION.to_owned(), head: head.clone(), xperms: options.xperms };
    if !group.te.is_empty() {
        let text = te::te(&style(group.module.clone()), &group.te);
        list.push(ModuleFile { name: format!("{}.te", group.module), text });
    }
    if !group.cil.is_empty() {
        // A module's name is its file's; the two must not replace each other.
        let name =
            if group.te.is_empty() { group.module.to_string() } else { format!("{}_cil", group.module) };
        list.push(ModuleFile {
            name: format!("{name}.cil"),
            text: te::cil(&style(group.module.clone()), &group.cil),
        });
    }
    list
}

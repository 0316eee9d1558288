//! Modules as text: `.te` for checkmodule, `.cil` for names that the `.te` language cannot write.
//!
//! The texts are the same for the same rules: everything is sorted. Nothing but checked names, numbers and our own
//! words is written (comments included).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::rules::{Grant, ranges};
use super::{Content, Name, Rule};

/// The form of a `.te` text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// `module NAME VERSION;`: checkmodule reads it as it is.
    #[default]
    Module,
    /// `policy_module(NAME, VERSION)`: for the reference policy's Makefile.
    PolicyModule,
}

/// How a module is written.
#[derive(Debug, Clone)]
pub struct Style {
    /// The module's name.
    pub name: Name,
    /// Its version, for example `1.0`.
    pub version: String,
    /// Lines of the head comment, without the mark.
    pub head: Vec<String>,
    /// The form of a `.te`.
    pub form: Form,
    /// Whether `allowxperm` rules on ioctl commands are written, and not only told in a comment. Those on netlink
    /// messages always stay a comment: compilers older than a year refuse them.
    pub xperms: bool,
}

/// The `.te` text. All of the content must be such that a `.te` can hold it ([`Content::split`]).
pub fn te(style: &Style, content: &Content) -> String {
    let mut out = String::new();
    comment(&mut out, "#", &style.head);
    let (open, close) = match style.form {
        Form::Module => {
            let _ = writeln!(out, "module {} {};\n", style.name, style.version);
            ("require {", "}")
        }
        Form::PolicyModule => {
            let _ = writeln!(out, "policy_module({}, {})\n", style.name, style.version);
            ("gen_require(`", "')")
        }
    };
    let needs = content.needs();
    let _ = writeln!(out, "{open}");
    for name in &needs.attributes {
        let _ = writeln!(out, "\tattribute {name};");
    }
    for name in &needs.types {
        let _ = writeln!(out, "\ttype {name};");
    }
    for name in &needs.roles {
        let _ = writeln!(out, "\trole {name};");
    }
    for (class, permissions) in &needs.classes {
        let _ = writeln!(out, "\tclass {class} {};", te_set(permissions.iter().copied()));
    }
    let _ = writeln!(out, "{close}");
    if !content.types.is_empty() {
        out.push('\n');
    }
    for (name, attributes) in &content.types {
        let with: String = attributes.iter().map(|a| format!(", {a}")).collect();
        let _ = writeln!(out, "type {name}{with};");
    }
    if !content.statements.is_empty() {
        out.push('\n');
    }
    for statement in &content.statements {
        let _ = writeln!(out, "{statement}");
    }
    if !content.calls.is_empty() {
        out.push('\n');
    }
    for (interface, domain) in &content.calls {
        let _ = writeln!(out, "{interface}({domain})");
    }
    let mut source = None;
    for (rule, grant) in content.rules.iter() {
        if source.replace(&rule.source) != Some(&rule.source) {
            out.push('\n');
        }
        remarks(&mut out, "#", grant);
        let target = rule.target_text();
        if !grant.permissions.is_empty() {
            let permissions = te_set(grant.permissions.iter());
            let _ = writeln!(out, "allow {} {target}:{} {permissions};", rule.source, rule.class);
        }
        for (operation, numbers) in [("ioctl", &grant.ioctls), ("nlmsg", &grant.nlmsgs)] {
            if numbers.is_empty() {
                continue;
            }
            let list: Vec<String> = ranges(numbers)
                .into_iter()
                .map(|(a, b)| if a == b { format!("0x{a:x}") } else { format!("0x{a:x}-0x{b:x}") })
                .collect();
            let list = list.join(" ");
            let mark = match operation {
                _ if grant.filtered => "",
                "ioctl" if style.xperms => "",
                "nlmsg" => "# (checkpolicy 3.8 and later) ",
                _ => "# ",
            };
            let _ = writeln!(
                out,
                "{mark}allowxperm {} {target}:{} {operation} {{ {list} }};",
                rule.source, rule.class
            );
        }
    }
    if !content.silent.is_empty() {
        out.push('\n');
    }
    for (rule, grant) in content.silent.iter() {
        remarks(&mut out, "#", grant);
        let permissions = te_set(grant.permissions.iter());
        let _ =
            writeln!(out, "dontaudit {} {}:{} {permissions};", rule.source, rule.target_text(), rule.class);
    }
    out
}

/// The `.cil` text. CIL has no `require`: a name that the policy does not have fails the link.
pub fn cil(style: &Style, content: &Content) -> String {
    let mut out = String::new();
    comment(&mut out, ";", &style.head);
    for (name, attributes) in &content.types {
        let _ = writeln!(out, "(type {name})\n(roletype object_r {name})");
        for attribute in attributes {
            let _ = writeln!(out, "(typeattributeset {attribute} ({name}))");
        }
    }
    for statement in &content.statements {
        let _ = writeln!(out, "{}", statement.cil());
    }
    for (rule, grant) in content.rules.iter() {
        remarks(&mut out, ";", grant);
        let target = rule.target_text();
        if !grant.permissions.is_empty() {
            cil_rule(&mut out, "allow", rule, grant);
        }
        for (operation, numbers) in [("ioctl", &grant.ioctls), ("nlmsg", &grant.nlmsgs)] {
            if numbers.is_empty() {
                continue;
            }
            let list: Vec<String> = ranges(numbers)
                .into_iter()
                .map(|(a, b)| if a == b { format!("0x{a:x}") } else { format!("(range 0x{a:x} 0x{b:x})") })
                .collect();
            let mark = match operation {
                _ if grant.filtered => "",
                "ioctl" if style.xperms => "",
                "nlmsg" => "; (secilc 3.8 and later) ",
                _ => "; ",
            };
            let list = list.join(" ");
            let _ = writeln!(
                out,
                "{mark}(allowx {} {target} ({operation} {} ({list})))",
                rule.source, rule.class
            );
        }
    }
    for (rule, grant) in content.silent.iter() {
        remarks(&mut out, ";", grant);
        cil_rule(&mut out, "dontaudit", rule, grant);
    }
    out
}

fn cil_rule(out: &mut String, kind: &str, rule: &Rule, grant: &Grant) {
    let permissions: Vec<&str> = grant.permissions.iter().map(Name::as_str).collect();
    let (source, target, class) = (&rule.source, rule.target_text(), &rule.class);
    let _ = writeln!(out, "({kind} {source} {target} ({class} ({})))", permissions.join(" "));
}

/// One rule as a line of a report.
pub fn one_line(rule: &Rule, permissions: &BTreeSet<Name>) -> String {
    format!("allow {} {}:{} {};", rule.source, rule.target_text(), rule.class, te_set(permissions.iter()))
}

fn te_set<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    let list: Vec<&str> = names.into_iter().map(Name::as_str).collect();
    match list.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("{{ {} }}", many.join(" ")),
    }
}

fn comment(out: &mut String, mark: &str, lines: &[String]) {
    for line in lines {
        // A line break in a comment would end it; there is none in what we write, and this makes sure.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(out, "{mark} {}", line.trim_end());
    }
}

fn remarks(out: &mut String, mark: &str, grant: &Grant) {
    for remark in &grant.remarks {
        comment(out, mark, std::slice::from_ref(remark));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(s: &str) -> Name {
        Name::new(s).unwrap()
    }

    #[test]
    fn a_module_is_minimal_and_ordered() {
        let mut content = Content::default();
        let rules = &mut content.rules;
        rules
            .grant(Rule::new(name("httpd_t"), name("httpd_t"), name("process")))
            .permissions
            .insert(name("execmem"));
        let g = rules.grant(Rule::new(name("httpd_t"), name("var_t"), name("file")));
        g.permissions.extend([name("write"), name("ioctl")]);
        g.ioctls.extend([0x5401, 0x5402, 0x8901]);
        g.remarks.insert("a remark\nallow evil evil:file read;".into());
        let style = Style {
            name: name("wsgi"),
            version: "1.0".into(),
            head: vec!["Head.".into()],
            form: Form::Module,
            xperms: false,
        };
        assert_eq!(
            te(&style, &content),
            "# Head.\nmodule wsgi 1.0;\n\nrequire {\n\ttype httpd_t;\n\ttype var_t;\n\tclass file { ioctl write };\n\
             \tclass process execmem;\n}\n\nallow httpd_t self:process execmem;\n\
             # a remark allow evil evil:file read;\nallow httpd_t var_t:file { ioctl write };\n\
             # allowxperm httpd_t var_t:file ioctl { 0x5401-0x5402 0x8901 };\n"
        );
        assert!(
            cil(&Style { xperms: true, ..style }, &content)
                .contains("(allowx httpd_t var_t (ioctl file ((range 0x5401 0x5402) 0x8901)))")
        );
    }
}

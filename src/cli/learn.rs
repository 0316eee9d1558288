//! `perms learn`: denials → modules and advice.

use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::rc::Rc;

use super::ground::GroundArgs;
use super::learn_follow;
use super::learn_input::{self, InputArgs};
use super::learn_interfaces::{self, FOLDER};
use super::learn_summary::{self, SummaryArgs};
use crate::learn::text::Look;
use crate::learn::{self, Options, json, module, text, text_fixes};
use crate::manifest::Manifest;
use crate::report::escape::escape_path;
use crate::report::style::Paint;
use crate::report::{Format, escape};
use crate::selinux::module::te::Form;
use crate::selinux::module::{Name, parse};

/// Turn the denials of audit logs into advice and SELinux modules
///
/// Each application has a module of its own; what no manifest declares has one
/// for each domain.
///
/// LOG is an audit.log, plain or compressed (found out by content), a folder of
/// them, the output of `ausearch` (raw or -i), dmesg, or the journal (text or -o
/// json). Without LOG, standard input is read.
///
/// Each denial is judged by the policy: the answer is the smallest thing that
/// helps (a label, a port, a boolean, a type of its own, a rule), and all of it
/// together is replayed.
///
/// Nothing is changed on the host, unless --install is given: modules are written
/// into the folder that -o names, and a file there that was not made by `perms
/// learn` is left alone. Every line that could not be read is counted and shown
/// with its number.
///
/// Exit status: 0 when the logs were read (also if there is no denial in them,
/// which is said), 1 when nothing in the input could be understood, a log could
/// not be opened, or a module could not be written, 2 for wrong usage.
///
/// Examples:
///   perms learn /var/log/audit/audit.log -o fixes
///   perms learn --name wsgi -o . audit.log.1.gz audit.log
///   journalctl -o json _TRANSPORT=audit | perms learn -
///   perms learn --summary - /var/log/audit | ssh hub 'cat > web1.jsonl'
///   perms learn --merge *.jsonl          (there)
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Write the modules into this folder.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Make one module of this name for all denials.
    #[arg(long, value_name = "NAME", value_parser = module_name)]
    pub name: Option<Name>,
    /// Write allowxperm rules for the ioctl commands and netlink messages that were denied (see
    /// `perms explain rule::ioctl` first).
    #[arg(long)]
    pub xperms: bool,
    /// Summaries.
    #[command(flatten)]
    pub summary: SummaryArgs,
    /// Keep the rules of this module (a `.te` that `perms learn` wrote): what the log asks for is merged into it. May be
    /// given for several; each goes with the module of its name.
    #[arg(long, value_name = "FILE")]
    pub into: Vec<PathBuf>,
    /// Compile the modules and install them into the policy store, after showing which; asks, unless --yes.
    #[arg(long, conflicts_with = "follow")]
    pub install: bool,
    /// Install without asking.
    #[arg(long, requires = "install")]
    pub yes: bool,
    /// Take each permission out of the rules in turn, and show the denial that returns.
    #[arg(long)]
    pub prove: bool,
    /// The form of `.te` files.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub form: Form,
    /// Call interfaces of the reference policy in place of rules where they open little else (form policy-module). They
    /// are read from DIR, else from the host's headers, /usr/share/selinux/devel/include.
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = FOLDER,
        conflicts_with_all = ["install", "into", "no_policy"]
    )]
    pub interfaces: Option<PathBuf>,
    /// What is judged by.
    #[command(flatten)]
    pub ground: GroundArgs,
    /// Form of the report: that of the common option.
    #[arg(skip)]
    pub format: Format,
    /// Colours of the report, where it has any.
    #[arg(skip)]
    pub paint: Option<Paint>,
}

fn module_name(text: &str) -> Result<Name, String> {
    Name::new(text).filter(|n| n.in_te() && text.len() <= 64).ok_or_else(|| {
        "a module's name is a letter, then letters, digits, `_` and `-`, and no word of the language".into()
    })
}

/// Runs the command. `stdin` stands for standard input; `None` is the process's own.
///
/// # Errors
/// Only what writing to `out` and `err` gives; everything else is reported there and in the exit status.
pub fn run(
    args: &Args,
    manifests: &[Manifest],
    stdin: Option<Box<dyn Read + Send>>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let Some(merge) = read_modules(&args.into, err)? else { return Ok(1) };
    if args.install && args.form == Form::PolicyModule {
        writeln!(
            err,
            "error: a policy_module is built by the headers' Makefile: --install takes --form module"
        )?;
        return Ok(2);
    }
    let interfaces = match &args.interfaces {
        Some(folder) => learn_interfaces::read(&args.ground.root, folder, err)?.map(Rc::new),
        None => None,
    };
    let options = Options {
        name: args.name.clone(),
        xperms: args.xperms,
        prove: args.prove,
        form: if interfaces.is_some() { Form::PolicyModule } else { args.form },
        interfaces,
        merge,
        brief: args.format != Format::Json,
        ends: !args.input.follow,
    };
    if args.input.follow {
        let Ok(ground) = super::ground::open(&args.ground, err)? else { return Ok(1) };
        return follow(args, &options, (manifests, ground.as_ref()), stdin, out, err);
    }
    let read = if args.summary.merge { learn_summary::read } else { learn_input::read };
    let Some((log, mut status)) = read(&args.input, stdin, err)? else { return Ok(2) };
    // The process ends with this command: what it holds needs no freeing piece by piece, a tenth of the whole time.
    let log = ManuallyDrop::new(log);
    if let Some(file) = &args.summary.summary {
        if let Err(error) = learn_summary::write(&log, file, out) {
            writeln!(err, "error: cannot write `{}`: {error}", escape(&file.display().to_string()))?;
            status = 1;
        }
        return Ok(status);
    }
    let Ok(ground) = super::ground::open(&args.ground, err)? else { return Ok(1) };
    let ground = ManuallyDrop::new(ground);
    let lesson = ManuallyDrop::new(learn::judge(&log, manifests, &options, ground.as_ref()));
    let look = Look { format: args.format, paint: args.paint.unwrap_or(Paint::PLAIN) };
    let modules =
        || -> Vec<_> { lesson.groups.iter().flat_map(|g| module::files(&lesson, g, &options)).collect() };
    let mut names: Vec<Vec<String>> = lesson.groups.iter().map(|g| module::names(g, &options)).collect();
    if let Some(folder) = &args.output {
        match super::module_files::write(folder, &modules()) {
            Ok(_) => {
                for name in names.iter_mut().flatten() {
                    *name = folder.join(&*name).display().to_string();
                }
            }
            Err(error) => {
                writeln!(err, "error: {}", escape(&error.to_string()))?;
                writeln!(err, "no module was written; move the file away, or name another folder with -o")?;
                status = 1;
            }
        }
    }
    if args.format == Format::Json {
        serde_json::to_writer_pretty(&mut *out, &json::report("learn", &lesson, &names))?;
        writeln!(out)?;
        if args.install && status == 0 {
            // What is said of it must not be in the middle of the JSON.
            let mut said = Vec::new();
            status = super::learn_install::install(&lesson, &modules(), args.yes, &mut said, err)?;
            err.write_all(&said)?;
        }
        return Ok(status);
    }
    text::opening(out, &lesson, args.format)?;
    for (group, files) in lesson.groups.iter().zip(&names) {
        let written = if args.output.is_some() && status == 0 { files.as_slice() } else { &[] };
        text::group(out, group, written, look)?;
    }
    if !lesson.other_refusals.is_empty() {
        writeln!(out, "\nother refusals")?;
        text::refusals(out, &lesson.other_refusals, args.format)?;
    }
    if let Some(judgement) = &lesson.judgement {
        text_fixes::replay(out, judgement, look)?;
    }
    for name in &lesson.unmerged {
        writeln!(out, "\nNothing in the log belongs to the module {name}: it stays as it is.")?;
    }
    text::unread(out, &lesson, "perms learn")?;
    if args.install && status == 0 {
        return super::learn_install::install(&lesson, &modules(), args.yes, out, err);
    }
    if log.denials.is_empty() && status == 0 {
        writeln!(out, "No denial was found.")?;
    } else if args.output.is_none() && lesson.groups.iter().any(|g| !g.te.is_empty() || !g.cil.is_empty()) {
        writeln!(out, "\nNothing was written: -o DIR writes the modules.")?;
    } else if status == 0 && options.form == Form::PolicyModule && !names.is_empty() {
        writeln!(
            out,
            "\nTo build and install: make -f /usr/share/selinux/devel/Makefile NAME.pp && semodule -i NAME.pp"
        )?;
    } else if status == 0 && names.iter().flatten().any(|n| n.ends_with(".te")) {
        writeln!(
            out,
            "\nTo build and install: checkmodule -M -m -o NAME.mod NAME.te && semodule_package -o NAME.pp -m NAME.mod && \
             semodule -i NAME.pp\nA module of the same name in the store is replaced; `semodule -l` lists them."
        )?;
    }
    Ok(status)
}

/// Reads the modules to merge with; `None` where one cannot be kept whole, which is said.
fn read_modules(paths: &[PathBuf], err: &mut dyn Write) -> io::Result<Option<Vec<parse::Module>>> {
    let mut all = Vec::new();
    for path in paths {
        let read = std::fs::read_to_string(path)
            .map_err(|e| e.to_string())
            .and_then(|text| parse::te(&text).map_err(|e| e.to_string()));
        match read {
            Ok(module) => all.push(module),
            Err(error) => {
                writeln!(err, "error: {}: {}", escape_path(path), escape(&error))?;
                return Ok(None);
            }
        }
    }
    Ok(Some(all))
}

/// Tells of what is new; the modules are of all.
fn follow(
    args: &Args,
    options: &Options,
    (manifests, ground): (&[Manifest], Option<&learn::Ground>),
    stdin: Option<Box<dyn Read + Send>>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let look = Look { format: args.format, paint: args.paint.unwrap_or(Paint::PLAIN) };
    learn_follow::follow(&args.input, stdin, err, |new, all| {
        let lesson = learn::judge(new, manifests, options, ground);
        if args.format == Format::Json {
            serde_json::to_writer(&mut *out, &json::report("learn", &lesson, &[]))?;
            writeln!(out)?;
        } else {
            for group in &lesson.groups {
                text::group(out, group, &[], look)?;
            }
            text::refusals(out, &lesson.other_refusals, args.format)?;
        }
        if let Some(folder) = &args.output {
            let lesson = learn::judge(all, manifests, options, ground);
            let files: Vec<module::ModuleFile> =
                lesson.groups.iter().flat_map(|g| module::files(&lesson, g, options)).collect();
            if let Err(error) = super::module_files::write(folder, &files) {
                return Err(io::Error::other(error.to_string()));
            }
        }
        out.flush()
    })
}

//! `perms learn --install`: modules compiled and put into the policy store, in one transaction, after the plan was shown.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use crate::learn::Lesson;
use crate::learn::module::ModuleFile;
use crate::report::escape;
use crate::sys::run;

/// The priority that semodule gives to what administrators install.
const PRIORITY: &str = "400";

/// One module's files.
struct Module<'a> {
    name: &'a str,
    te: Option<&'a ModuleFile>,
    fc: Option<&'a ModuleFile>,
    cil: Option<&'a ModuleFile>,
}

/// Shows what would be installed, asks unless `yes`, and installs. The number is the exit status.
pub(super) fn install(
    lesson: &Lesson<'_>,
    files: &[ModuleFile],
    yes: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let modules = modules(files);
    if modules.is_empty() {
        writeln!(out, "\nNo module is to be installed.")?;
        return Ok(0);
    }
    let installed = match installed() {
        Ok(installed) => installed,
        Err(error) => {
            writeln!(err, "error: cannot list the modules of the store: {}", escape(&error))?;
            return Ok(1);
        }
    };
    writeln!(out, "\nTo be installed:")?;
    let mut refused = false;
    for module in &modules {
        let there = installed.get(module.name).map(String::as_str);
        let note = match there {
            None => "new",
            Some(PRIORITY) => "in place of the one that is installed; --into keeps its rules",
            Some(_) => {
                refused = true;
                "the distribution has a module of this name: choose another with --name"
            }
        };
        writeln!(out, "  {}  {note}", escape(module.name))?;
    }
    if refused {
        writeln!(err, "error: nothing was installed: a module of the distribution would be replaced")?;
        return Ok(1);
    }
    if !yes && !ask(out)? {
        writeln!(err, "Nothing was installed; --yes installs without asking.")?;
        return Ok(1);
    }
    let mls = lesson.judgement.as_ref().is_none_or(|j| j.mls);
    match put(&modules, mls) {
        Ok(()) => {
            writeln!(out, "Installed. Undo: semodule -r {}", names(&modules))?;
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "error: nothing was installed: {}", escape(&error))?;
            Ok(1)
        }
    }
}

fn names(modules: &[Module<'_>]) -> String {
    modules.iter().map(|m| m.name).collect::<Vec<_>>().join(" ")
}

fn ask(out: &mut dyn Write) -> io::Result<bool> {
    // Who does not see the question cannot answer it.
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(false);
    }
    write!(out, "Install? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The files by module.
fn modules(files: &[ModuleFile]) -> Vec<Module<'_>> {
    let mut list: Vec<Module<'_>> = Vec::new();
    for file in files {
        let Some((name, kind)) = file.name.rsplit_once('.') else { continue };
        let at = match list.iter().position(|m| m.name == name) {
            Some(at) => at,
            None => {
                list.push(Module { name, te: None, fc: None, cil: None });
                list.len() - 1
            }
        };
        let Some(module) = list.get_mut(at) else { continue };
        match kind {
            "te" => module.te = Some(file),
            "fc" => module.fc = Some(file),
            "cil" => module.cil = Some(file),
            // An interface is for other modules' sources.
            _ => {}
        }
    }
    list.retain(|m| m.te.is_some() || m.cil.is_some());
    list
}

/// The modules of the store, each with its highest priority.
fn installed() -> Result<BTreeMap<String, String>, String> {
    let ended = run::run("semodule", &["--list-modules=full"], &[]).map_err(|e| e.to_string())?;
    if !ended.success {
        return Err(ended.said());
    }
    let mut all = BTreeMap::new();
    // PRIORITY NAME LANGUAGE [disabled], the highest priority of a name first.
    for line in String::from_utf8_lossy(&ended.stdout).lines() {
        let mut words = line.split_whitespace();
        if let (Some(priority), Some(name)) = (words.next(), words.next()) {
            all.entry(name.to_owned()).or_insert_with(|| priority.to_owned());
        }
    }
    Ok(all)
}

/// Compiles the modules in a private folder and installs them all at once.
fn put(modules: &[Module<'_>], mls: bool) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("perms-learn-").tempdir().map_err(|e| e.to_string())?;
    let mut arguments: Vec<String> = vec!["-i".to_owned()];
    for module in modules {
        if module.te.is_some() {
            arguments.push(package(module, folder.path(), mls)?);
        }
        if let Some(cil) = module.cil {
            arguments.push(write(folder.path(), cil)?);
        }
    }
    tool("semodule", &arguments)
}

/// The module's package.
fn package(module: &Module<'_>, folder: &Path, mls: bool) -> Result<String, String> {
    let path = |extension: &str| folder.join(format!("{}.{extension}", module.name)).display().to_string();
    let Some(te) = module.te else { return Err(format!("{} has no rules", module.name)) };
    let te = write(folder, te)?;
    let (compiled, package) = (path("mod"), path("pp"));
    let mut arguments = vec!["-m".to_owned(), "-o".to_owned(), compiled.clone(), te];
    if mls {
        arguments.insert(0, "-M".to_owned());
    }
    tool("checkmodule", &arguments)?;
    let mut arguments = vec!["-o".to_owned(), package.clone(), "-m".to_owned(), compiled];
    if let Some(fc) = module.fc {
        arguments.extend(["-f".to_owned(), write(folder, fc)?]);
    }
    tool("semodule_package", &arguments)?;
    Ok(package)
}

fn write(folder: &Path, file: &ModuleFile) -> Result<String, String> {
    let path: PathBuf = folder.join(&file.name);
    std::fs::write(&path, &file.text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path.display().to_string())
}

fn tool(name: &str, arguments: &[String]) -> Result<(), String> {
    let ended = run::run(name, arguments, &[]).map_err(|e| e.to_string())?;
    if ended.success { Ok(()) } else { Err(format!("{name}: {}", ended.said())) }
}

//! What `[selinux]` declares of the policy store beside booleans, ports and labels: nodes, interfaces, logins,
//! permissive domains, and modules with their sources.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use super::keys;
use super::lower::refuse_twice;
use super::model::{
    InterfaceRule, LoginRule, Manifest, ModuleLanguage, ModuleRule, ModuleSource, NodeRule, SelinuxRules,
    mask,
};
use super::text;
use super::tree::{Flaw, Placed, Reader, Sink};
use crate::report::codes::manifest as code;
use crate::report::{Diagnostic, Spanned};

/// The largest source of a module that is read, in bytes.
const LARGEST_SOURCE: u64 = 4 << 20;

/// Reads what is said into `rules`.
pub(super) fn store(sink: &mut Sink, table: &Reader<'_>, rules: &mut SelinuxRules) {
    rules.nodes = nodes(sink, table);
    rules.interfaces = interfaces(sink, table);
    rules.logins = logins(sink, table);
    if let Some((names, _)) = table.texts("permissive") {
        let read = |(t, span): Placed<'_>| sink.value(span, text::selinux_name(t, "type"));
        rules.permissive = names.into_iter().filter_map(read).collect();
        refuse_twice(sink, &rules.permissive, "the domain", &code::DUPLICATE_ENTRY);
    }
    rules.dontaudit = table.flag("dontaudit").map(|(said, span)| Spanned::new(said, sink.origin(span)));
    rules.modules = modules(sink, table);
}

fn nodes(sink: &mut Sink, selinux: &Reader<'_>) -> Vec<NodeRule> {
    let mut rules: Vec<NodeRule> = Vec::new();
    for table in selinux.tables("nodes", &keys::NODE) {
        let address = table.text("address").and_then(|(t, span)| sink.value(span, address(t)));
        let setype = table.text("type").and_then(|(t, span)| sink.value(span, text::selinux_name(t, "type")));
        let (Some(address), Some(setype)) = (address, setype) else { continue };
        let (ip, prefix) = address.value;
        rules.push(NodeRule { address: Spanned::new(ip, address.origin), prefix, setype });
    }
    let names: Vec<_> = rules
        .iter()
        .map(|r| Spanned::new(format!("{}/{}", r.address.value, r.prefix), r.address.origin.clone()))
        .collect();
    refuse_twice(sink, &names, "the node", &code::DUPLICATE_ENTRY);
    rules
}

/// `10.1.0.0/16`, `fd00::/8`.
fn address(text: &str) -> Result<(IpAddr, u8), Flaw> {
    let bad =
        |label: &str| Flaw::new(&code::BAD_ADDRESS, format!("`{text}` is no address with its mask"), label);
    let (ip, prefix) =
        text.split_once('/').ok_or_else(|| bad("write the length of the mask too: `10.1.0.0/16`"))?;
    let ip: IpAddr =
        ip.parse().map_err(|_| bad("an IPv4 or IPv6 address, `/`, and the length of the mask"))?;
    let widest = if ip.is_ipv4() { 32 } else { 128 };
    let whole = prefix.parse::<u8>().ok().filter(|p| *p <= widest && !prefix.starts_with('+'));
    let prefix = whole.ok_or_else(|| bad(&format!("the mask's length is from 0 to {widest}")))?;
    let net = match (ip, mask(ip, prefix)) {
        (IpAddr::V4(a), IpAddr::V4(m)) => IpAddr::V4(a & m),
        (IpAddr::V6(a), IpAddr::V6(m)) => IpAddr::V6(a & m),
        _ => ip,
    };
    if net != ip {
        // The kernel compares masked addresses with this one: it would never match.
        return Err(
            bad("bits are set that the mask leaves out").note("help", format!("write `{net}/{prefix}`"))
        );
    }
    Ok((ip, prefix))
}

fn interfaces(sink: &mut Sink, selinux: &Reader<'_>) -> Vec<InterfaceRule> {
    let mut rules = Vec::new();
    for table in selinux.tables("interfaces", &keys::INTERFACE_TABLE) {
        let name = table.text("name").and_then(|(t, span)| sink.value(span, interface(t)));
        let setype = table.text("type").and_then(|(t, span)| sink.value(span, text::selinux_name(t, "type")));
        let (Some(name), Some(setype)) = (name, setype) else { continue };
        rules.push(InterfaceRule { name, setype });
    }
    let names: Vec<_> = rules.iter().map(|r| r.name.clone()).collect();
    refuse_twice(sink, &names, "the interface", &code::DUPLICATE_ENTRY);
    rules
}

fn interface(text: &str) -> Result<String, Flaw> {
    let good = (1..=15).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@:-".contains(&b))
        && !text.starts_with('-');
    let label = "at most 15 letters, digits, `_`, `.`, `@`, `:` and `-`";
    let message = || format!("`{text}` is not the name of a network interface");
    if good { Ok(text.to_owned()) } else { Err(Flaw::new(&code::BAD_SELINUX_NAME, message(), label)) }
}

fn logins(sink: &mut Sink, selinux: &Reader<'_>) -> Vec<LoginRule> {
    let mut rules = Vec::new();
    for table in selinux.tables("logins", &keys::LOGIN_TABLE) {
        let name = table.text("name").and_then(|(t, span)| sink.value(span, login(t)));
        let user = table.text("user").and_then(|(t, span)| sink.value(span, text::selinux_name(t, "user")));
        let range = table.text("range").and_then(|(t, span)| sink.value(span, text::level(t)));
        let (Some(name), Some(user)) = (name, user) else { continue };
        rules.push(LoginRule { name, user, range });
    }
    let names: Vec<_> = rules.iter().map(|r| r.name.clone()).collect();
    refuse_twice(sink, &names, "the login", &code::DUPLICATE_ENTRY);
    rules
}

fn login(text: &str) -> Result<String, Flaw> {
    let name = text.strip_prefix('%').unwrap_or(text);
    let name = name.strip_suffix('$').unwrap_or(name);
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b));
    let message = || format!("`{text}` is no login");
    let label = "a user's name, `%GROUP`, or `__default__`";
    if good { Ok(text.to_owned()) } else { Err(Flaw::new(&code::BAD_SELINUX_NAME, message(), label)) }
}

fn modules(sink: &mut Sink, selinux: &Reader<'_>) -> Vec<ModuleRule> {
    let mut rules = Vec::new();
    for table in selinux.tables("module", &keys::MODULE) {
        let origin = sink.origin(table.span.clone());
        let mut sources = Vec::new();
        let mut names: Vec<Spanned<String>> = Vec::new();
        for language in [ModuleLanguage::Te, ModuleLanguage::Fc, ModuleLanguage::Cil] {
            let Some((file, span)) = table.text(language.word()) else { continue };
            let Some(name) = sink.value(span.clone(), module_name(file, language)) else { continue };
            names.push(name);
            let file = Spanned::new(file.to_owned(), sink.origin(span));
            let path = sink.source.path.parent().unwrap_or(Path::new("")).join(&file.value);
            sources.push(ModuleSource { language, file, path, text: String::new() });
        }
        let languages: Vec<ModuleLanguage> = sources.iter().map(|s| s.language).collect();
        let label = match languages.as_slice() {
            [ModuleLanguage::Te] | [ModuleLanguage::Te, ModuleLanguage::Fc] | [ModuleLanguage::Cil] => None,
            [ModuleLanguage::Fc] => Some("the rules that the file contexts belong to are missing: add `te`"),
            [] if table.has_unknown() || names.is_empty() && table.value("te").is_some() => continue,
            [] => Some("write `te = \"NAME.te\"` or `cil = \"NAME.cil\"`"),
            _ => Some("a module is written either in `te` or in `cil`, which has file contexts of its own"),
        };
        if let Some(label) = label {
            sink.absent(Diagnostic::new(&code::BAD_MODULE, "this is no module", origin, label));
            continue;
        }
        let Some(name) = names.first().cloned() else { continue };
        if let Some(other) = names.iter().find(|n| n.value != name.value) {
            let message = format!("`{}` and `{}` are of two modules", name.value, other.value);
            let label = format!("its name would be `{}.fc`", name.value);
            sink.push(Diagnostic::new(&code::BAD_MODULE, message, other.origin.clone(), label));
            continue;
        }
        rules.push(ModuleRule { origin, name, sources });
    }
    let names: Vec<_> = rules.iter().map(|r| r.name.clone()).collect();
    refuse_twice(sink, &names, "the module", &code::DUPLICATE_ENTRY);
    rules
}

/// The name of the module that a file is a source of.
fn module_name(file: &str, language: ModuleLanguage) -> Result<String, Flaw> {
    let ending = format!(".{}", language.word());
    let bad =
        |label: String| Flaw::new(&code::BAD_MODULE, format!("`{file}` is no source of a module"), label);
    if file.chars().any(char::is_control) {
        return Err(bad("it holds a control character".to_owned()));
    }
    let stem = file.rsplit('/').next().and_then(|f| f.strip_suffix(ending.as_str()));
    let stem = stem.ok_or_else(|| bad(format!("its name ends in `{ending}`")))?;
    // libsemanage's rule (semanage_module_validate_name), without the characters that its own file names use.
    let good = stem.starts_with(|c: char| c.is_ascii_alphabetic())
        && stem.len() <= 128
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && !stem.contains("..");
    if good {
        Ok(stem.to_owned())
    } else {
        Err(bad("a module's name has letters, digits, `_`, `-` and `.`, a letter first".to_owned()))
    }
}

/// Reads the sources of a manifest's modules, which lie beside it. What cannot be read is said at the place that names
/// it.
pub(super) fn read_sources(manifest: &mut Manifest) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for module in manifest.selinux.iter_mut().flat_map(|s| &mut s.modules) {
        for source in &mut module.sources {
            let problem = match read(&source.path) {
                Ok(text) => {
                    source.text = text;
                    misnamed(source, &module.name.value)
                }
                Err(why) => Some(why),
            };
            if let Some(why) = problem {
                let message = format!("the module's source `{}` cannot be used", source.file.value);
                wrong.push(
                    Diagnostic::new(&code::MODULE_SOURCE, message, source.file.origin.clone(), why)
                        .note("file", source.path.display().to_string()),
                );
            }
        }
    }
    wrong
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err("it is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_SOURCE + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > LARGEST_SOURCE {
        return Err("it is larger than 4 MiB".to_owned());
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| format!("byte {} is not UTF-8", e.utf8_error().valid_up_to()))?;
    if text.contains('\0') {
        return Err("it holds a NUL: is it compiled?".to_owned());
    }
    Ok(text)
}

/// Why a source in the module language is not the module that its file's name says.
fn misnamed(source: &ModuleSource, name: &str) -> Option<String> {
    if source.language != ModuleLanguage::Te {
        return None;
    }
    let code = source.text.lines().map(|l| l.split('#').next().unwrap_or_default());
    let code: Vec<&str> = code.flat_map(str::split_whitespace).take(3).collect();
    match code.as_slice() {
        ["module", said, ..] if said.trim_end_matches(';') == name => None,
        ["module", said, ..] => {
            Some(format!("it says `module {}`; a module's file has its name", said.trim_end_matches(';')))
        }
        [first, ..] if first.starts_with("policy_module") => Some(
            "`policy_module` is a macro of the reference policy, which is not expanded here: write `module NAME VERSION;` and a `require` block"
                .to_owned(),
        ),
        _ => Some(format!("it does not begin with `module {name} VERSION;`")),
    }
}

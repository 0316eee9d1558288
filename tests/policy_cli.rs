//! `perms policy` as its users see it: what is supposed with --with and --set counts, and only in the answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

mod support;

use std::process::Command;

use serde_json::Value;

const POLICY: &str = "tests/policies/features.33";

/// Status, standard output and standard error.
fn ask(arguments: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_perms"))
        .args(["policy", "--policy", POLICY])
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (run.status.code().unwrap(), text(run.stdout), text(run.stderr))
}

/// Whether `perms policy why` says that a process of app_t, or of another domain of app_r, may.
fn allowed(with: &[&str], source: &str, target: &str, class: &str, permission: &str) -> bool {
    let source = format!("sys_u:app_r:{source}:s0");
    let target = format!("sys_u:object_r:{target}:s0");
    let arguments = [&["why"], with, &[&source, &target, class, permission]].concat();
    let (status, out, err) = ask(&arguments);
    assert!((status == 0 || status == 4) && err.is_empty(), "{arguments:?}: {out}{err}");
    for line in with.iter().filter(|w| !w.starts_with("--")) {
        assert!(out.contains(&format!("\n  with {line}\n")), "what is supposed is said: {out}");
    }
    status == 0
}

#[test]
fn what_is_supposed_counts() {
    // What is supposed, then what is asked; none of it is allowed without.
    let cases: [(&[&str], [&str; 4]); 12] = [
        (&["--with", "allow app_t shadow_t:file read;"], ["app_t", "shadow_t", "file", "read"]),
        (
            &["--with", "allow {app_t init_t} { port_t shadow_t } : { dir file } { open read }"],
            ["app_t", "shadow_t", "dir", "open"],
        ),
        (&["--with", "allow domain files:file *"], ["app_t", "shadow_t", "file", "unlink"]),
        (&["--with", "allow domain files:file ~{ read open }"], ["app_t", "shadow_t", "file", "unlink"]),
        (&["--with", "typeattribute app_data_t domain"], ["app_t", "app_t", "process", "execmem"]),
        (&["--with", "allow domain self:process execmem"], ["app_t", "app_t", "process", "execmem"]),
        (
            &["--with", "type new_t, files", "--with", "allow app_t new_t:dir rmdir"],
            ["app_t", "new_t", "dir", "rmdir"],
        ),
        (&["--with", "type new_t, files"], ["app_t", "new_t", "file", "getattr"]),
        (
            &["--with", "type new_t", "--with", "typeattribute new_t files"],
            ["app_t", "new_t", "file", "getattr"],
        ),
        (&["--set", "allow_log=on"], ["app_t", "app_port_t", "tcp_socket", "name_connect"]),
        (
            &["--set", "allow_log=off", "--set", "allow_net=true"],
            ["app_t", "app_port_t", "tcp_socket", "name_connect"],
        ),
        (
            &["--with", "role app_r types shadow_t", "--with", "allow shadow_t app_data_t:dir search"],
            ["shadow_t", "app_data_t", "dir", "search"],
        ),
    ];
    for (with, [source, target, class, permission]) in cases {
        // The fifth case supposes what does not help: an attribute alone gives no such rule.
        let helps = with != ["--with", "typeattribute app_data_t domain"];
        assert_eq!(allowed(with, source, target, class, permission), helps, "{with:?}");
        let known = !with.iter().any(|w| w.contains("new_t") || w.contains("role "));
        assert!(!known || !allowed(&[], source, target, class, permission), "{with:?}");
    }
}

#[test]
fn every_answer_is_as_its_schema_says() {
    let (app, shadow) = ("sys_u:app_r:app_t:s0", "sys_u:object_r:shadow_t:s0");
    let questions: [&[&str]; 11] = [
        &["info"],
        &["search"],
        &["search", "-A", "--expand"],
        &["search", "-s", "app_t", "--with", "allow app_t shadow_t:file read", "--set", "allow_net=on"],
        &["who-can", "app_data_t", "file", "read,open", "--all"],
        &["reach", "app_t"],
        &["reach", "init_t", "--expand"],
        &["why", app, shadow, "file", "read"],
        &["why", "sys_u:app_r:app_t:s0", "sys_u:object_r:app_data_t:s2", "file", "read", "open"],
        &["diff", POLICY, "tests/policies/features-nomls.33"],
        &["diff", "--summary", POLICY, "tests/policies/features-nomls.33"],
    ];
    for question in questions {
        let (status, out, err) = ask(&[question, &["--format", "json"]].concat());
        assert!((status == 0 || status == 4) && err.is_empty(), "{question:?}: {err}");
        support::schema::report(&out);
    }
}

#[test]
fn allow_rules_are_listed_as_sesearch_calls_them() {
    let (_, short, _) = ask(&["search", "-A", "-s", "app_t"]);
    let (_, long, _) = ask(&["search", "--kind", "allow", "-s", "app_t"]);
    assert_eq!(short, long);
    let rules: Vec<&str> = short.lines().filter(|l| l.starts_with("allow ")).collect();
    let mut sorted = rules.clone();
    sorted.sort_by_key(|l| l.split([' ', ':']).take(4).map(str::to_owned).collect::<Vec<_>>());
    assert!(!rules.is_empty() && rules == sorted, "{short}");
    assert!(short.ends_with(&format!("{} rules\n", rules.len())), "{short}");
}

#[test]
fn what_is_supposed_counts_in_every_question() {
    let count = |arguments: &[&str]| {
        let (status, out, err) = ask(&[arguments, &["--format", "json"]].concat());
        assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let rule = "allow app_t shadow_t:file { read open };";
    let before = count(&["search", "-s", "app_t", "-t", "shadow_t", "--kind", "allow"]);
    let after = count(&["search", "-s", "app_t", "-t", "shadow_t", "--kind", "allow", "--with", rule]);
    assert_eq!(after["policy"]["with"]["statements"][0], rule);
    assert!(before["policy"].get("with").is_none());
    let rules = |answer: &Value| answer["rules"].as_array().unwrap().len();
    assert_eq!(rules(&after), rules(&before) + 1, "{after}");

    let who = |with: &[&str]| {
        let answer = count(&[&["who-can", "shadow_t", "file", "read"], with].concat());
        answer["types"].as_array().unwrap().iter().map(|t| t["type"].as_str().unwrap().to_owned()).collect()
    };
    let (before, after): (Vec<String>, Vec<String>) = (who(&[]), who(&["--with", rule]));
    assert!(!before.contains(&"app_t".to_owned()) && after.contains(&"app_t".to_owned()), "{after:?}");

    let reach = |with: &[&str]| count(&[&["reach", "app_t"], with].concat())["access"].to_string();
    assert!(!reach(&[]).contains("name_connect"));
    assert!(reach(&["--set", "allow_net=on"]).contains("name_connect"));
    assert!(reach(&["--with", "allow app_t port_t:tcp_socket name_connect"]).contains("name_connect"));

    let (status, out, _) = ask(&[
        "why",
        "--with",
        "permissive app_t",
        "sys_u:app_r:app_t:s0",
        "sys_u:object_r:shadow_t:s0",
        "file",
        "read",
    ]);
    assert_eq!(status, 4);
    assert!(out.contains("permissive"), "{out}");
    // The policy itself is not another one for it.
    assert_eq!(count(&["search", "-t", "shadow_t"])["rules"], count(&["search", "-t", "shadow_t"])["rules"]);
}

#[test]
fn a_statement_that_is_none_is_refused() {
    let cases = [
        ("", "it is empty"),
        ("permit app_t", "`permit` is not among those that can be added"),
        ("allow app_t shadow_t:file", "expected a permission at its end"),
        ("allow app_t shadow_t file read", "`file`"),
        ("allow app_t { shadow_t:file read", "expected a target"),
        ("allow app_t shadow_t:file { read", "expected a permission at its end"),
        ("allow app_t shadow_t:file read write", "`write` is too much"),
        ("allow app_t shadwo_t:file read", "did you mean `shadow_t`"),
        ("allow app_t shadow_t:file reat", "did you mean `read`"),
        ("type app_t", "`app_t` already"),
        ("typeattribute domain files", "`domain` is no type"),
        ("type_transition init_t app_exec_t:process init_t", "`app_t` already"),
        ("type_member init_t app_exec_t:process init_t \"name\"", "only type_transition"),
        ("allowxperm app_t app_data_t:file ioctl 0x12345", "`0x12345` is no command"),
        ("bool allow_log maybe", "expected true or false"),
        ("type_transition init_t app_exec_t:file init_t \"name", "too much"),
        ("allow \u{1b}[31m x:y z", "no type"),
    ];
    for (statement, part) in cases {
        let (status, out, err) = ask(&["search", "--with", statement]);
        assert!(status == 1 && out.is_empty() && err.contains(part), "{statement}: {status} {out}{err}");
        assert!(!err.contains('\u{1b}'), "{err:?}");
    }
    let (status, _, err) = ask(&["search", "--set", "allow_log"]);
    assert!(status == 1 && err.contains("`allow_log` is not BOOLEAN=on or BOOLEAN=off"), "{err}");
    let (status, _, err) = ask(&["search", "--set", "allow_lgo=on"]);
    assert!(status == 1 && err.contains("did you mean `allow_log`"), "{err}");
}

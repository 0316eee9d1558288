//! Reading, linting and deciding by a sudoers of 10,000 rules (`benches/sudoers.sh` sets reading beside visudo's).

use std::path::Path;

use perms::grants::identity::Identity;
use perms::grants::programs::built_in;
use perms::grants::sudoers::{
    Behaviour, MemoryFiles, NoPrograms, Question, Reading, Session, Target, ThisHost, Tree, check,
};

use perms::host::Host;
use perms::rights::lint_sudo;
use perms::sys::Root;

fn main() {
    divan::main();
}

/// 10,000 rules: those of 1,000 users and groups for 100 applications, aliases, tags, arguments with wildcards and without.
fn text() -> String {
    let mut text = String::from("Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n");
    for n in 0..10_000 {
        let user = n % 1000;
        let app = n / 5 % 100;
        text.push_str(&match n % 5 {
            0 => format!("user{user} ALL=(root) NOPASSWD: /usr/bin/systemctl reload unit{n}\n"),
            1 => format!("user{user} ALL=(root) /usr/bin/cat /var/log/app{app}/*, /usr/bin/tail -n 100 /var/log/app{app}\n"),
            2 => format!("%group{user} ALL=(app{app}) /opt/app{app}/bin/manage \"\"\n"),
            3 => format!("Cmnd_Alias APP{n} = /opt/app{app}/bin/run, !/opt/app{app}/bin/stop\nuser{user} web{user} = (root) APP{n}\n"),
            _ => format!("user{user}, !user{n} ALL=(root) /usr/bin/id ^-[a-z]+$\n"),
        });
    }
    text
}

fn tree(text: &str) -> Tree {
    let files = MemoryFiles::new().with("/etc/sudoers", text);
    Tree::read(&files, Path::new("/etc/sudoers"), &Reading::default())
}

#[divan::bench]
fn read_and_check(bencher: divan::Bencher<'_, '_>) {
    let text = text();
    bencher.bench(|| {
        // Given away, so that what a command does not do is not timed: to take the tree apart.
        let tree = tree(&text);
        let found = check(&tree);
        (tree, found)
    });
}

#[divan::bench]
fn read_alone(bencher: divan::Bencher<'_, '_>) {
    let text = text();
    bencher.bench(|| tree(&text));
}

/// Everything that `perms check` finds, on the host that `benches/sudoers.sh` makes.
#[divan::bench]
fn read_and_lint(bencher: divan::Bencher<'_, '_>) {
    let Some(root) = std::env::var_os("SUDOERS_ROOT") else { return };
    let Ok(host) = Root::open(Path::new(&root)).map(Host::observe) else { return };
    let Ok(host) = host else { return };
    bencher.bench(|| {
        let tree = lint_sudo::read(&host.root, &host.name, Path::new("/etc/sudoers"));
        let found = lint_sudo::sudoers(&host, &tree, built_in(), None);
        (tree, found)
    });
}

/// 10,000 decisions, of ten users who ask 1,000 each.
#[divan::bench]
fn decide_10000(bencher: divan::Bencher<'_, '_>) {
    let text = text();
    let tree = tree(&text);
    let host = ThisHost::named("web1");
    let root = Target::Default(Identity::new("root", Some(0)).with_group("root", Some(0)));
    bencher.bench(|| {
        let mut allowed = 0;
        for user in 0..10 {
            let who = Identity::new(format!("user{user}"), Some(2000 + user))
                .with_group(format!("group{user}"), None);
            let session = Session::new(&tree, &who, &host);
            for n in 0..1000 {
                let unit = format!("unit{n}");
                let question = Question {
                    who: &who,
                    host: &host,
                    target: &root,
                    command: b"/usr/bin/systemctl",
                    args: &[b"reload", unit.as_bytes()],
                    programs: &NoPrograms,
                    behaviour: Behaviour::Sudo1914,
                    now: None,
                };
                allowed += u32::from(session.decide(&question).allowed());
            }
        }
        allowed
    });
}

/// Writes the text, for the script.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn text_to_file() {
    if let Some(path) = std::env::var_os("SUDOERS_OUT") {
        let _ = std::fs::write(path, text());
    }
}

//! The help texts, held against files. When one changes on purpose, the message says how to accept it.

use super::project::Project;
use std::path::Path;

#[test]
fn help_is_as_recorded() {
    let p = Project::new();
    let names = [
        "",
        "init",
        "train",
        "prune",
        "demo",
        "compress",
        "generate",
        "simulate",
        "regress",
        "infer",
        "inspect",
        "store",
        "decompress",
        "stats",
        "estimate",
        "build",
        "report",
        "load",
        "run",
        "board-sim",
    ];
    for name in names {
        let arguments: Vec<&str> = [name, "--help"].into_iter().filter(|a| !a.is_empty()).collect();
        let ran = p.run(&arguments);
        assert_eq!(ran.stderr, "");
        let text: String = ran.did_it().lines().map(|l| l.trim_end().to_string() + "\n").collect();
        let file = format!("{}.txt", if name.is_empty() { "lacuna" } else { name });
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help").join(&file);
        if std::fs::read_to_string(&recorded).unwrap_or_default() != text {
            let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&file);
            std::fs::write(&new, &text).unwrap();
            panic!("the help of `lacuna {name}` has changed; if that is wanted: cp {} {}", new.display(), recorded.display());
        }
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_say_what_is_right() {
    let p = Project::new();
    p.refuses(&[], &["Usage: lacuna <COMMAND>"]);
    p.refuses(&["compres"], &["similar subcommands exist: 'decompress', 'compress'"]);
    p.refuses(&["compress", "-c", "net.toml"], &["--output <FILE>"]);
    p.refuses(&["infer", "--container", "a", "--inputs", "b", "--limit", "0"], &["0 is not in 1.."]);
    p.refuses(&["simulate", "--container", "a", "--inputs", "b", "--stalls", "96"], &["96 is not in 0..=95"]);
}

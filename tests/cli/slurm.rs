//! `scripts/slurm` on a cluster of this machine, with a controller, two daemons and a kill. It needs root and
//! `scripts/setup --slurm`.

use super::project::{left_out, ran, Project, Ran};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than any step takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A cluster, which ends with the test.
struct Cluster(tempfile::TempDir);

fn script(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

impl Cluster {
    /// None, and a line that says so, where there can be no cluster.
    fn new() -> Option<Cluster> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
        let there = ["slurmctld", "slurmd", "munged"].iter().all(|name| Path::new("/usr/sbin").join(name).is_file());
        if !root || !there {
            left_out("scripts/slurm did not run: that takes root, and the packages of scripts/setup --slurm");
            return None;
        }
        // sockets have short names, and munge wants a folder that only root writes to
        let cluster = Cluster(tempfile::Builder::new().prefix("slurm").tempdir().unwrap());
        ran(Command::new(script("tests/slurm/cluster")).arg("up").arg(cluster.0.path())).did_it();
        Some(cluster)
    }

    fn ask(&self, command: &mut Command) -> Ran {
        ran(command.env("SLURM_CONF", self.0.path().join("slurm.conf")).env("LACUNA", env!("CARGO_BIN_EXE_lacuna")))
    }

    /// State of a job's task.
    fn state(&self, job: &str) -> String {
        self.ask(Command::new("squeue").args(["--noheader", "-o", "%T", "-j", job])).stdout.trim().to_string()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        ran(Command::new(script("tests/slurm/cluster")).arg("down").arg(self.0.path()));
    }
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_killed_shard_is_queued_again_and_nothing_is_lost_or_counted_twice() {
    let Some(cluster) = Cluster::new() else { return };
    let p = Project::new();
    let (folder, regress) = (p.path("out"), script("scripts/slurm/regress"));
    let said = cluster.ask(Command::new(&regress).args(["2", "out", "--runs", "12", "--seed", "5"]).current_dir(p.path(""))).did_it();
    let job = said.split_whitespace().nth(2).unwrap().trim_end_matches(',').to_string();
    for shard in ["shard-1", "shard-2"] {
        assert!(folder.join(shard).join("plan.json").is_file(), "plans are there before anything runs");
    }

    let journal = folder.join("shard-1/results.jsonl");
    let lines = || std::fs::read_to_string(&journal).unwrap_or_default().matches('\n').count();
    // its second configuration is being built then
    wait("the first results", || lines() >= 4);
    let pattern = format!("regress .*-o {}", folder.canonicalize().unwrap().join("shard-1").display());
    ran(Command::new("pkill").args(["-KILL", "-f", &pattern])).did_it();
    let before = std::fs::read_to_string(&journal).unwrap();
    let task = format!("{job}_1");
    wait("the shard in the queue", || cluster.state(&task) == "PENDING");
    // Slurm lets two minutes pass, since a daemon refuses a job again at the time at which it was told to end it
    std::thread::sleep(Duration::from_secs(3));
    cluster.ask(Command::new("scontrol").args(["update", &format!("JobId={task}"), "StartTime=now"])).did_it();
    wait("the end", || folder.join("whole/results.json").is_file());

    let log = String::from_utf8(p.read("out/shard-1.log")).unwrap();
    assert!(log.contains("shard 1/2 ended with 137 and is queued again"), "{log}");
    assert!(std::fs::read_to_string(&journal).unwrap().starts_with(&before), "finished runs stay");
    let results: serde_json::Value = serde_json::from_slice(&p.read("out/whole/results.json")).unwrap();
    assert_eq!(results["passed"], true, "{results:#}");
    let whole = String::from_utf8(p.read("out/whole/results.jsonl")).unwrap();
    let runs: Vec<(String, u64)> = (whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()))
        .filter(|line| line["line"] == "run")
        .map(|line| (line["configuration"].as_str().unwrap().to_string(), line["run"].as_u64().unwrap()))
        .collect();
    let expected = ["eie-0000", "eie-0002", "ese-0001", "ese-0003"].into_iter().flat_map(|c| (0..3).map(move |run| (c.to_string(), run)));
    assert_eq!(runs.len(), 12, "{runs:?}");
    assert_eq!(BTreeSet::from_iter(runs), expected.collect());
}

#[test]
fn what_no_cluster_can_run_is_refused() {
    let p = Project::new();
    let regress = |arguments: &[&str], path: &str| {
        let mut command = Command::new(script("scripts/slurm/regress"));
        ran(command.args(arguments).env("PATH", path).env("LACUNA", env!("CARGO_BIN_EXE_lacuna")).current_dir(p.path("")))
    };
    let path = std::env::var("PATH").unwrap();
    for (arguments, says) in [
        (&["2"][..], "found 1 arguments, expected SHARDS DIR"),
        (&["0", "out"], "found 0 shards, expected a number of 1 to 9999"),
        (&["2", "out", "-o", "other"], "found -o, which this script says itself"),
    ] {
        let found = regress(arguments, &path);
        assert!(found.code == Some(2) && found.stderr.contains(says), "{found:?}");
    }
    // a folder with the tools that the script calls, and no sbatch
    let tools = p.path("tools");
    std::fs::create_dir(&tools).unwrap();
    for name in ["bash", "env", "realpath", "dirname", "sed", "mkdir"] {
        let from = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap();
        std::os::unix::fs::symlink(from, tools.join(name)).unwrap();
    }
    let found = regress(&["2", "out"], tools.to_str().unwrap());
    assert!(found.code == Some(2) && found.stderr.contains("sbatch is not on PATH"), "{found:?}");
    assert!(!p.path("out").exists());
}

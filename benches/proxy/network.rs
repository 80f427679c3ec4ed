//! A network namespace where all addresses of the two enterprises are on the loopback.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network; it goes when the processes in it and this have gone.
pub struct Network {
    namespace: File,
}

impl Network {
    /// A fresh one.
    pub fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut line = String::new();
        let output = holder.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n", "this needs root");
        let network = Self::at(&format!("/proc/{}/ns/net", holder.id()));
        drop(holder.stdin.take());
        holder.wait().expect("it ends");
        network
    }

    /// That of the thread of a process which ends TLS connections.
    pub fn of_proxy(process: &Child) -> Self {
        let tasks = format!("/proc/{}/task", process.id());
        let tasks = std::fs::read_dir(tasks).expect("it runs");
        let named = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name == "tls-proxy\n")
        };
        let mut paths = tasks.map(|task| task.expect("a task").path());
        let path = paths.find(named).expect("the thread of the proxy");
        Self::at(&path.join("ns/net").display().to_string())
    }

    fn at(path: &str) -> Self {
        let namespace = File::open(path).expect("a namespace");
        let network = Self { namespace };
        let routes = PREFIXES.map(|prefix| format!("route add local {prefix} dev lo"));
        network.enter(|| {
            for words in ["link set lo up".to_owned()].into_iter().chain(routes) {
                let output = Command::new("ip").args(words.split(' ')).output();
                let output = output.expect("ip runs");
                assert!(output.status.success(), "ip {words}: {output:?}");
            }
        });
        network
    }

    /// Does something there; threads and programs that it starts stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.namespace.as_fd(), kind).expect("this needs root");
            work()
        };
        let done = std::thread::scope(|scope| scope.spawn(inside).join());
        done.expect("it did not panic")
    }
}

/// Where the partners, our addresses outside, and our server are.
const PREFIXES: [&str; 3] = ["198.51.100.0/24", "192.0.2.0/24", "10.0.0.0/24"];

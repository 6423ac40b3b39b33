//! What the program and its children have of this machine, from /proc.

use std::fmt;
use std::fs;

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Memory of its own, MiB.
    pub own_mib: u64,
}

/// The program and its children.
#[derive(Clone, Debug)]
pub struct Processes {
    pub host: Process,
    pub children: Vec<Process>,
    /// Open descriptors of the program.
    pub descriptors: usize,
}

impl Processes {
    pub fn of(host: u32) -> Self {
        let children = fs::read_dir("/proc").expect("/proc").flatten();
        let ids = children.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = ids.filter(|id| parent(*id) == Some(host)).map(process).collect();
        let descriptors = fs::read_dir(format!("/proc/{host}/fd")).map_or(0, Iterator::count);
        Self { host: process(host), children, descriptors }
    }

    /// The largest child, MiB.
    pub fn largest_child(&self) -> u64 {
        self.children.iter().map(|child| child.own_mib).max().unwrap_or(0)
    }
}

impl fmt::Display for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children: Vec<u64> = self.children.iter().map(|child| child.own_mib).collect();
        let (host, open) = (self.host.own_mib, self.descriptors);
        write!(f, "host {host} MiB with {open} descriptors, children {children:?} MiB")
    }
}

fn process(id: u32) -> Process {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Process { own_mib: kib.unwrap_or(0) / 1024 }
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

//! What the child gives up before it reads a script: files, sockets, other programs, memory.
//!
//! It was started without an environment and without descriptors; here it loses the means to get
//! any. Whatever the system cannot do is told, never passed over.

use nix::sys::resource::{Resource, setrlimit};

/// Descriptors that the child may have: its three, one for each thread's clock, and a few.
const DESCRIPTORS: u64 = 64;
/// Bytes that its record and its last words may grow to.
const FILE_BYTES: u64 = 1024 * 1024;

/// Sets the limits that hold from the start of a program on; gives what could not be set.
pub(super) fn limits(memory_mib: u64) -> Vec<String> {
    let memory = memory_mib.saturating_mul(1024 * 1024);
    let mut missing = Vec::new();
    for (what, resource, value) in [
        ("core files", Resource::RLIMIT_CORE, 0),
        ("descriptors", Resource::RLIMIT_NOFILE, DESCRIPTORS),
        ("memory", Resource::RLIMIT_AS, memory),
        ("file size", Resource::RLIMIT_FSIZE, FILE_BYTES),
    ] {
        if let Err(error) = setrlimit(resource, value, value) {
            missing.push(format!("the limit of {what} ({error})"));
        }
    }
    missing
}

/// Closes what whoever started the bot left open: our own descriptors close themselves when a
/// program starts, others do not. Called before anything else is opened.
#[cfg(target_os = "linux")]
pub(super) fn close_strays() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    // The listing itself has one; all are known before the first is closed.
    let open: Vec<i32> = open.flatten().filter_map(number).filter(|number| *number > 2).collect();
    for number in open {
        // That of the listing is closed already.
        let _ = nix::unistd::close(number);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn close_strays() {}

/// No new privileges, no look into its memory, no life without its parent.
#[cfg(target_os = "linux")]
pub(super) fn privileges() -> Vec<String> {
    use nix::sys::prctl;
    let mut missing = Vec::new();
    let results = [
        ("no new privileges", prctl::set_no_new_privs()),
        ("no debugging", prctl::set_dumpable(false)),
        ("ending with its parent", prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)),
    ];
    for (what, result) in results {
        if let Err(error) = result {
            missing.push(format!("{what} ({error})"));
        }
    }
    missing
}

#[cfg(not(target_os = "linux"))]
pub(super) fn privileges() -> Vec<String> {
    vec!["no new privileges (this system has no such thing)".to_owned()]
}

/// Leaves all threads only the calls of the system that running scripts needs; gives what is
/// missing. Called when every thread runs.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn calls() -> Vec<String> {
    match filter::apply() {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("a filter of system calls ({error})")],
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn calls() -> Vec<String> {
    vec!["a filter of system calls (Linux on x86-64 and ARM has one)".to_owned()]
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter {
    //! The list of calls that are left, for seccomp
    //! (<https://man7.org/linux/man-pages/man2/seccomp.2.html>).

    use std::collections::BTreeMap;

    use nix::libc;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    /// Reading and writing what is open, memory, waiting, time, chance, ending. Nothing that
    /// opens, connects, starts or looks at anything.
    const LEFT: &[libc::c_long] = &[
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_tgkill,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    /// Everything else fails with `EPERM`: a library that asks for a luxury goes without, where a
    /// kill would look like a hostile script.
    pub(super) fn apply() -> Result<(), String> {
        let rules: BTreeMap<i64, Vec<_>> = LEFT.iter().map(|call| (*call, Vec::new())).collect();
        let arch = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch);
        let program: BpfProgram =
            filter.and_then(SeccompFilter::try_into).map_err(|error| error.to_string())?;
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())
    }
}

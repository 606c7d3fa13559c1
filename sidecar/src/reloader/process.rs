//! The process that a signal goes to, by its name.

use std::{fs, io, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use crate::SidecarError;

/// The most bytes of a name that Linux keeps in `comm`.
const COMM: usize = 15;

/// Sends SIGHUP to the process called `name`, the one with the lowest number where there are several.
///
/// # Errors
/// When there is none, or it may not be signalled.
pub(super) fn hang_up(name: &str) -> Result<(), SidecarError> {
    let failed = |reason: String| SidecarError::Process {
        name: name.to_owned(),
        reason,
    };
    let proc = Path::new("/proc");
    let own = std::process::id();
    let found = find(proc, name).map_err(|e| failed(format!("listing /proc: {e}")))?;
    let mut others = found.into_iter().filter(|pid| *pid != own);
    let Some(pid) = others.next() else {
        return Err(failed("no such process".to_owned()));
    };
    if others.next().is_some() {
        tracing::warn!(
            process = name,
            pid,
            "several processes of this name, the first gets the signal"
        );
    }
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let target = target.ok_or_else(|| failed(format!("process {pid}: no such number")))?;
    kill_process(target, Signal::HUP)
        .map_err(|e| failed(format!("sending SIGHUP to process {pid}: {e}")))
}

/// The numbers of the processes called `name`, ascending, below a folder such as `/proc`.
fn find(proc: &Path, name: &str) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(proc)? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|n| n.parse().ok());
        // A process that ends meanwhile is none.
        if let Some(pid) = pid
            && is_called(&entry.path(), name).unwrap_or(false)
        {
            found.push(pid);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether the executable of a process is called so.
fn is_called(process: &Path, name: &str) -> io::Result<bool> {
    let comm = fs::read(process.join("comm"))?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    let (name, start) = (name.as_bytes(), name.as_bytes().get(..COMM));
    let Some(start) = start.filter(|_| name.len() > COMM) else {
        return Ok(comm == name);
    };
    if comm != start {
        return Ok(false);
    }
    let line = fs::read(process.join("cmdline"))?;
    let program = line.split(|b| *b == 0).next().unwrap_or_default();
    Ok(program.rsplit(|b| *b == b'/').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_found_by_the_whole_name_of_their_executable() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, comm, line) in [
            ("12", "prometheus", "/bin/prometheus\0--config.file=a\0"),
            ("7", "prometheus", "prometheus\0"),
            ("8", "prometheus-conf", "/bin/prometheus-config-reloader\0"),
            ("9", "prometheus-conf", "/bin/prometheus-config-other\0"),
            ("self", "prometheus", ""),
        ] {
            let process = dir.path().join(pid);
            fs::create_dir(&process).unwrap();
            fs::write(process.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(process.join("cmdline"), line).unwrap();
        }
        fs::create_dir(dir.path().join("77")).unwrap();
        let find = |name| find(dir.path(), name).unwrap();
        assert_eq!(find("prometheus"), [7, 12]);
        assert_eq!(find("prometheus-config-reloader"), [8]);
        assert_eq!(find("thanos"), [0_u32; 0]);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = hang_up("varve-no-such-process").unwrap_err();
        assert_eq!(
            error.to_string(),
            "process \"varve-no-such-process\": no such process"
        );
    }
}

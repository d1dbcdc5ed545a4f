//! What process groups occupy: resident memory, as `/proc` tells it.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// Bytes of each of these groups, by the number of its leader; those that have ended are missing. Reads a line of every
/// process of the machine.
pub fn memory_by_group(groups: &BTreeSet<i32>) -> HashMap<i32, u64> {
    let mut memory = HashMap::new();
    if groups.is_empty() {
        return memory;
    }
    let Ok(processes) = fs::read_dir("/proc") else { return memory };
    for process in processes.flatten() {
        let is_process = process.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        if !is_process {
            continue;
        }
        // It may end between two looks.
        let Some(group) = group(&process.path()).filter(|group| groups.contains(group)) else { continue };
        *memory.entry(group).or_default() += resident(&process.path()).unwrap_or(0);
    }
    memory
}

/// The third field behind the name, which may hold anything (proc(5)).
fn group(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(2)?.parse().ok()
}

fn resident(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_group_is_that_of_its_processes() {
        let own = rustix::process::getpgrp().as_raw_nonzero().get();
        let ballast = vec![1_u8; 64 << 20];
        let memory = memory_by_group(&BTreeSet::from([own, i32::MAX]));
        assert!(memory[&own] >= ballast.len() as u64, "{memory:?}");
        assert_eq!(memory.len(), 1);
        assert!(memory_by_group(&BTreeSet::new()).is_empty());
    }
}

//! The memory that there is: asked about before much of it is taken, because a system that lends
//! more than it has kills the process at the first touch instead of refusing the allocation.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What is never too much to ask for without looking.
const SMALL: u64 = 64 << 20;

/// Where Linux mounts its control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What may be taken, and who says so.
struct Limit {
    bytes: u64,
    source: &'static str,
}

/// Refuses what does not fit `limit`, or, if that is `None`, the least of the memory available, the
/// control groups' limits and the process's own; a system that tells none of them refuses nothing.
/// `what` needs `bytes`, and `advice` says how to need less.
///
/// # Errors
/// `OutOfMemory`.
pub fn check(bytes: u64, limit: Option<u64>, what: &str, advice: &str) -> Result<()> {
    let limit = match limit {
        Some(most) => (bytes > most).then_some(Limit { bytes: most, source: "memory_limit_bytes" }),
        None => exceeded(bytes),
    };
    match limit {
        Some(Limit { bytes: most, source }) => Err(Error::out_of_memory(format!(
            "{what} of memory, but {source} leaves {}; {advice}, or set memory_limit_bytes if more \
             may be used",
            size(most)
        ))),
        None => Ok(()),
    }
}

/// `len` times `value`, where a file or a user decides how many; `what` they are is said where there is
/// no room for them.
///
/// # Errors
/// `OutOfMemory`.
pub fn filled<T: Clone>(value: T, len: usize, what: &str) -> Result<Vec<T>> {
    let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
    if bytes <= SMALL {
        return Ok(vec![value; len]);
    }
    if let Some(Limit { bytes: most, source }) = exceeded(bytes) {
        return Err(Error::out_of_memory(format!(
            "{what} need {}, but {source} leaves {}",
            size(bytes),
            size(most)
        )));
    }
    let mut values = Vec::new();
    let reserved = values.try_reserve_exact(len);
    reserved.map_err(|_| Error::out_of_memory(format!("there is no memory for {what}")))?;
    values.resize(len, value);
    Ok(values)
}

/// The limit that so many bytes exceed, if they do.
fn exceeded(bytes: u64) -> Option<Limit> {
    if bytes <= SMALL {
        return None;
    }
    detect(Path::new("/proc"), Path::new(CGROUPS)).filter(|limit| bytes > limit.bytes)
}

/// The least of the limits that the system tells.
fn detect(proc: &Path, cgroups: &Path) -> Option<Limit> {
    let available = fs::read_to_string(proc.join("meminfo")).ok().and_then(|text| {
        let kib = field(&text, "MemAvailable:")?;
        Some(Limit { bytes: kib.saturating_mul(1024), source: "the memory available" })
    });
    let space = fs::read_to_string(proc.join("self/limits")).ok().and_then(|text| {
        let bytes = field(&text, "Max address space")?;
        Some(Limit { bytes, source: "the limit on the process's address space" })
    });
    let group = fs::read_to_string(proc.join("self/cgroup"))
        .ok()
        .and_then(|text| text.lines().filter_map(|line| group_limit(line, cgroups)).min())
        .map(|bytes| Limit { bytes, source: "the control group's limit" });
    available.into_iter().chain(space).chain(group).min_by_key(|limit| limit.bytes)
}

/// The number after a name, at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The limit of a control group and of those around it, by a line of `/proc/self/cgroup`: its number,
/// its controllers (version 2 names none) and its path. A container may not see the path's beginning.
fn group_limit(line: &str, cgroups: &Path) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (root, file) = if controllers.is_empty() {
        (cgroups.to_owned(), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (cgroups.join("memory"), "memory.limit_in_bytes")
    } else {
        return None;
    };
    let own: PathBuf = root.join(path.trim_start_matches('/'));
    own.ancestors()
        .take_while(|folder| folder.starts_with(&root))
        .filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok())
        .min()
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(5);
    format!("{:.1} {}", bytes as f64 / (1u64 << (10 * unit)) as f64, UNITS[unit as usize])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tempfile::TempDir;

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_memory_lacks_is_refused_before_it_is_taken() {
        assert_eq!(filled(7u8, 5, "numbers").unwrap(), [7; 5]);
        assert_eq!(filled(1u8, (64 << 20) + 1, "numbers").unwrap().len(), (64 << 20) + 1);
        for count in [1usize << 50, usize::MAX] {
            let error = filled(0.0f64, count, "the cells of a window").unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::OutOfMemory);
            assert!(error.message.starts_with("the cells of a window need"), "{error}");
        }
    }

    #[test]
    fn the_least_limit_counts() {
        let dir = TempDir::new().unwrap();
        let (proc, groups) = (dir.path().join("proc"), dir.path().join("groups"));
        let found = || detect(&proc, &groups).map(|limit| (limit.bytes, limit.source));
        assert_eq!(found(), None);
        write(&proc.join("meminfo"), "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n");
        assert_eq!(found(), Some((8_192_000, "the memory available")));
        let limits =
            "Limit  Soft  Hard\nMax address space         7000000      unlimited    bytes\n";
        write(&proc.join("self/limits"), limits);
        assert_eq!(found().unwrap().0, 7_000_000);
        // Version 2: the group has no limit of its own, the one around it has.
        write(&proc.join("self/cgroup"), "0::/outer/inner\n");
        write(&groups.join("outer/inner/memory.max"), "max\n");
        write(&groups.join("outer/memory.max"), "6000000\n");
        assert_eq!(found(), Some((6_000_000, "the control group's limit")));
        // Version 1, in a container that sees its own group as the root.
        write(&proc.join("self/cgroup"), "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n");
        write(&groups.join("memory/memory.limit_in_bytes"), "5000000\n");
        assert_eq!(found().unwrap().0, 5_000_000);
        write(&proc.join("self/limits"), "Max address space         unlimited    unlimited\n");
        write(&proc.join("self/cgroup"), "");
        assert_eq!(found().unwrap().0, 8_192_000);
    }

    #[test]
    fn a_refusal_tells_the_numbers() {
        let refused = |bytes, limit| check(bytes, limit, "x needs y", "use less");
        assert!(refused(1000, Some(1000)).is_ok());
        let text = refused(3 << 30, Some(2 << 30)).unwrap_err().to_string();
        assert!(text.contains("memory_limit_bytes leaves 2.0 GiB"), "{text}");
        assert!(
            refused(u64::MAX, None).is_err()
                || detect(Path::new("/proc"), Path::new(CGROUPS)).is_none()
        );
        assert!(refused(u64::MAX, Some(u64::MAX)).is_ok());
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(size(0), "0.0 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(64 << 30), "64.0 GiB");
        assert_eq!(size(u64::MAX), "16384.0 PiB");
    }
}

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::error::{Error, Kind};

const SHAPE: Shape = Shape { slots: 20, slot_bytes: 10_000 };

fn open(dir: &Path, budget: u64) -> DiskCache {
    let path = dir.to_str().unwrap().to_owned();
    DiskCache::open(&DiskCacheOptions { path, budget }).unwrap()
}

fn refusal(dir: &Path) -> Error {
    let path = dir.to_str().unwrap().to_owned();
    DiskCache::open(&DiskCacheOptions { path, budget: 1 << 30 }).err().unwrap()
}

/// Bytes that differ from block to block.
fn block(seed: u64) -> Vec<u8> {
    (0..9_000u64).map(|i| ((i * (2 * seed + 1)) >> 3) as u8).collect()
}

#[test]
fn a_block_that_will_not_be_written_is_not_made() {
    let dir = TempDir::new().unwrap();
    let cache = open(dir.path(), 1 << 30);
    let file = cache.file(b"x", SHAPE).unwrap();
    let made = |cache: &DiskCache, slot, size: usize| {
        let mut made = false;
        cache.write_behind_with(&file, slot, size, || {
            made = true;
            Arc::new(vec![1; size])
        });
        made
    };
    assert!(made(&cache, 0, 9_000));
    assert!(!made(&cache, SHAPE.slots, 9_000), "no such slot");
    assert!(!made(&cache, 0, 10_001), "too long");
    cache.counters.fail(&"no more room");
    assert!(!made(&cache, 0, 9_000));
}

fn fill(cache: &DiskCache, name: &str, slots: std::ops::Range<u64>) {
    let file = cache.file(name.as_bytes(), SHAPE).unwrap();
    slots.for_each(|slot| cache.write_behind(&file, slot, &Arc::new(block(slot))));
}

/// Writes, and waits until everything is written.
fn filled(dir: &Path, name: &str) {
    fill(&open(dir, 1 << 30), name, 0..SHAPE.slots);
}

fn found(cache: &DiskCache, name: &str) -> BTreeSet<u64> {
    let Some(file) = cache.file(name.as_bytes(), SHAPE) else { return BTreeSet::new() };
    let sound = |slot: &u64| {
        let read = cache.read(&file, *slot);
        assert!(read.is_none() || read == Some(block(*slot)), "never anything else");
        read.is_some()
    };
    (0..SHAPE.slots).filter(sound).collect()
}

fn block_files(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "blocks")).collect()
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn all() -> BTreeSet<u64> {
    (0..SHAPE.slots).collect()
}

#[test]
fn what_one_opening_writes_the_next_reads() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path(), 1 << 30);
    assert_eq!(found(&first, "a"), BTreeSet::new());
    fill(&first, "a", 0..7);
    drop(first);
    let second = open(dir.path(), 1 << 30);
    assert_eq!(found(&second, "a"), (0..7).collect());
    assert_eq!(found(&second, "b"), BTreeSet::new());
    let stats = DiskCacheStats { blocks_read: 7, ..Default::default() };
    assert_eq!(second.stats(), stats);
}

#[test]
fn what_waits_is_found() {
    let dir = TempDir::new().unwrap();
    let cache = open(dir.path(), 1 << 30);
    let shape = Shape { slots: 400, slot_bytes: 1 << 14 };
    let file = cache.file(b"large", shape).unwrap();
    for slot in 0..400 {
        let block = Arc::new(vec![slot as u8; 1 << 14]);
        cache.write_behind(&file, slot, &block);
        assert_eq!(cache.read(&file, slot).as_deref(), Some(&**block), "{slot}");
    }
    assert_eq!(cache.stats().blocks_read, 400);
}

#[test]
fn a_file_of_another_shape_is_another_file() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), "a");
    let cache = open(dir.path(), 1 << 30);
    let other = cache.file(b"a", Shape { slots: 20, slot_bytes: 9_999 }).unwrap();
    assert!(cache.read(&other, 0).is_none());
    assert_eq!(found(&cache, "a"), all());
}

#[test]
fn any_damage_is_found_and_mended() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), "a");
    let [path] = &<[_; 1]>::try_from(block_files(dir.path())).unwrap();
    let whole = fs::read(path).unwrap();
    let pitch = 16 + SHAPE.slot_bytes as usize;
    // A bit in the length, in the checksum, and in the block, of slots 1, 2 and 3.
    for (slot, within) in [(1, 1), (2, 12), (3, 16 + 8_999)] {
        let mut damaged = whole.clone();
        damaged[64 + slot * pitch + within] ^= 4;
        fs::write(path, damaged).unwrap();
        let cache = open(dir.path(), 1 << 30);
        let mut expected = all();
        expected.remove(&(slot as u64));
        assert_eq!(found(&cache, "a"), expected);
        assert_eq!(cache.stats().blocks_damaged, 1);
        fill(&cache, "a", slot as u64..slot as u64 + 1);
        drop(cache);
        assert_eq!(found(&open(dir.path(), 1 << 30), "a"), all());
    }
}

#[test]
fn a_block_in_the_wrong_slot_or_file_does_not_count() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), "a");
    filled(dir.path(), "b");
    let [one, other] = &<[_; 2]>::try_from(block_files(dir.path())).unwrap();
    let mut swapped = fs::read(one).unwrap();
    let foreign = fs::read(other).unwrap();
    let pitch = 16 + SHAPE.slot_bytes as usize;
    let slot = |i: usize| 64 + i * pitch..64 + (i + 1) * pitch;
    swapped.copy_within(slot(4), slot(5).start);
    swapped[slot(6)].copy_from_slice(&foreign[slot(6)]);
    fs::write(one, swapped).unwrap();
    let cache = open(dir.path(), 1 << 30);
    let both = [found(&cache, "a"), found(&cache, "b")];
    assert!(both.contains(&all()), "{both:?}");
    assert!(both.contains(&all().into_iter().filter(|slot| ![5, 6].contains(slot)).collect()));
}

#[test]
fn a_truncated_file_is_mended_also_under_an_open_handle() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), "a");
    let cache = open(dir.path(), 1 << 30);
    let held = cache.file(b"a", SHAPE).unwrap();
    let [path] = &<[_; 1]>::try_from(block_files(dir.path())).unwrap();
    OpenOptions::new().write(true).open(path).unwrap().set_len(45_000).unwrap();
    assert!(cache.read(&held, 19).is_none());
    assert!(cache.read(&held, 4).is_none(), "the cut goes through it");
    assert_eq!(cache.read(&held, 3), Some(block(3)));
    fill(&cache, "a", 4..20);
    drop(cache);
    assert_eq!(found(&open(dir.path(), 1 << 30), "a"), all());
    for bytes in [0, 10, 64] {
        OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
        assert_eq!(found(&open(dir.path(), 1 << 30), "a"), BTreeSet::new());
        filled(dir.path(), "a");
        assert_eq!(found(&open(dir.path(), 1 << 30), "a"), all());
    }
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("thesis.tex"), "42").unwrap();
    let error = refusal(dir.path());
    assert_eq!(error.kind, Kind::InvalidInput);
    assert!(error.to_string().contains("neither empty nor a disk cache"), "{error}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(refusal(&dir.path().join("thesis.tex")).kind, Kind::Unwritable);
}

#[test]
fn another_format_is_refused() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), "a");
    fs::write(dir.path().join("OCEANARROW-DISK-CACHE"), "format 2\n").unwrap();
    let error = refusal(dir.path());
    assert_eq!(error.kind, Kind::InvalidInput);
    assert!(error.to_string().contains("another version"), "{error}");
    assert_eq!(block_files(dir.path()).len(), 1);
}

#[test]
fn many_may_create_a_cache_and_its_files_at_once() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("deep").join("cache");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| filled(&path, "a"));
        }
    });
    assert_eq!(found(&open(&path, 1 << 30), "a"), all());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "the marker and one file");
}

#[test]
fn the_budget_holds_and_the_least_recently_used_goes_first() {
    let dir = TempDir::new().unwrap();
    let names = ["a", "b", "c", "d"];
    names.iter().for_each(|name| filled(dir.path(), name));
    let disk = |path: &Path| {
        block_files(path).iter().map(|file| fs::metadata(file).unwrap().blocks() * 512).sum::<u64>()
    };
    let each = disk(dir.path()) / 4;
    // "b" was used long ago, then "d", "a", "c".
    age(dir.path(), &[("b", 400), ("d", 300), ("a", 200), ("c", 100)]);
    let foreign = dir.path().join("0123456789abcdef0123456789abcdef.blocks");
    fs::write(&foreign, "not ours, whatever its name").unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let old = SystemTime::now() - Duration::from_secs(1 << 20);
    let times = FileTimes::new().set_modified(old);
    File::open(&foreign).unwrap().set_times(times).unwrap();

    let budget = 3 * each + each / 2;
    let cache = open(dir.path(), budget);
    fill(&cache, "new", 0..SHAPE.slots);
    drop(cache);
    assert!(disk(dir.path()) <= budget + each / 8, "{} of {budget}", disk(dir.path()));
    assert!(foreign.exists() && dir.path().join("notes.txt").exists());
    let cache = open(dir.path(), budget);
    let kept: Vec<&str> =
        ["a", "b", "c", "d", "new"].into_iter().filter(|n| found(&cache, n) == all()).collect();
    assert_eq!(kept, ["a", "c", "new"]);
}

/// Sets the times of last use to so many seconds ago.
fn age(dir: &Path, ages: &[(&str, u64)]) {
    for (name, seconds) in ages {
        let path = dir.join(directory::file_name(&directory::digest(name.as_bytes(), SHAPE)));
        let used = SystemTime::now() - Duration::from_secs(*seconds);
        File::open(path).unwrap().set_times(FileTimes::new().set_modified(used)).unwrap();
    }
}

#[test]
fn what_is_in_use_stays_and_what_is_too_much_is_left_out() {
    let dir = TempDir::new().unwrap();
    let cache = open(dir.path(), 500_000);
    for name in ["a", "b", "c", "d"] {
        fill(&cache, name, 0..SHAPE.slots);
    }
    drop(cache);
    let cache = open(dir.path(), 500_000);
    assert_eq!(found(&cache, "a"), all());
    assert_eq!(found(&cache, "b"), all());
    let (c, d) = (found(&cache, "c"), found(&cache, "d"));
    assert!(!c.is_empty() && c.len() < 20 && d.is_empty(), "{c:?} {d:?}");
    assert_eq!(cache.stats().failure, None);
}

#[test]
fn what_a_dead_process_left_half_made_goes() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), "a");
    let half = |name: &str, age: u64| {
        let path = dir.path().join(name);
        fs::write(&path, "oarrowB1 and so on").unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        File::open(&path).unwrap().set_times(FileTimes::new().set_modified(used)).unwrap();
        path
    };
    let (old, young) = (half("new-x7Yz.blocks", 4000), half("new-A8Bc.blocks", 10));
    filled(dir.path(), "b");
    assert!(!old.exists() && young.exists());
}

#[test]
fn a_cache_that_vanishes_switches_itself_off() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cache");
    let cache = open(&path, 1 << 30);
    fs::remove_dir_all(&path).unwrap();
    assert!(cache.file(b"a", SHAPE).is_none());
    assert!(cache.stats().failure.is_some_and(|why| why.contains("No such file")));
    assert!(cache.file(b"a", SHAPE).is_none());
}

#[test]
fn absurd_shapes_and_blocks_are_left_out() {
    let dir = TempDir::new().unwrap();
    let cache = open(dir.path(), 1 << 30);
    let empty = cache.file(b"none", Shape { slots: 0, slot_bytes: 4 }).unwrap();
    assert!(cache.read(&empty, 0).is_none());
    assert!(cache.file(b"b", SHAPE).is_some());
    assert!(cache.file(b"c", Shape { slots: u64::MAX, slot_bytes: 8 }).is_none());
    let file = cache.file(b"b", SHAPE).unwrap();
    for (slot, bytes) in [(20, 5), (0, 0), (0, 10_001)] {
        cache.write_behind(&file, slot, &Arc::new(vec![1; bytes]));
    }
    drop(cache);
    let cache = open(dir.path(), 1 << 30);
    assert_eq!(found(&cache, "b"), BTreeSet::new());
    assert_eq!(cache.stats(), DiskCacheStats::default());
}

#[test]
fn upkeep_removes_the_least_recently_used_and_nothing_foreign() {
    let dir = TempDir::new().unwrap();
    let absent = dir.path().join("absent");
    assert_eq!(DiskCache::measure(&absent).unwrap(), None);
    assert_eq!(DiskCache::prune(&absent, None).unwrap(), DiskCacheUse::default());
    assert!(!absent.exists(), "looking makes no directory");

    let path = dir.path().join("cache");
    fs::create_dir(&path).unwrap();
    assert_eq!(DiskCache::measure(&path).unwrap(), None);
    for (name, age) in [("new", 10), ("old", 3000), ("older", 4000)] {
        filled(&path, name);
        let latest = block_files(&path).into_iter().max_by_key(|file| modified(file)).unwrap();
        let file = OpenOptions::new().write(true).open(latest).unwrap();
        file.sync_all().unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        file.set_times(FileTimes::new().set_modified(used)).unwrap();
    }
    fs::write(path.join("notes.txt"), "mine").unwrap();
    fs::write(path.join(format!("{}.blocks", "0".repeat(32))), "not what we write").unwrap();
    let all = DiskCache::measure(&path).unwrap().unwrap();
    // Each of the three takes as much as the others.
    let removed = DiskCache::prune(&path, Some(all.bytes / 3 + 8192)).unwrap();
    assert_eq!(removed.files, 2, "one is not enough");
    let cache = open(&path, 1 << 30);
    assert_eq!(found(&cache, "new").len(), SHAPE.slots as usize);
    drop(cache);
    assert_eq!(block_files(&path).len(), 2, "one of them is not ours");
    assert_eq!(DiskCache::prune(&path, None).unwrap().files, 1);
    assert_eq!(fs::read_to_string(path.join("notes.txt")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3, "the marker and what is not ours");
    filled(&path, "new");
}

#[test]
fn upkeep_refuses_a_foreign_directory() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("thesis.tex"), "mine").unwrap();
    for refused in [
        DiskCache::measure(dir.path()).unwrap_err(),
        DiskCache::prune(dir.path(), None).unwrap_err(),
    ] {
        assert_eq!(refused.kind, Kind::InvalidInput);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

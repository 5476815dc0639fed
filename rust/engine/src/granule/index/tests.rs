#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::entry::tests::grid;
use super::*;
use crate::error::Kind;
use crate::store::DiskCacheOptions;

const PLACES: [&str; 3] = ["2023_04_01/A/x.nc", "2023_04_01/B/x.nc", "2023_04_02/A/x.nc"];

/// Objects of 1,000 bytes, all of them `content`, in this state; notes what it is told of them.
struct Stated {
    version: Option<&'static str>,
    content: u8,
    assumed: Mutex<Vec<(u64, Option<String>)>>,
    reads: AtomicU64,
}

impl ByteSource for Stated {
    fn read(&self, _: &Location, range: Range<u64>) -> Result<Bytes> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(vec![self.content; (range.end - range.start) as usize].into())
    }

    fn size(&self, _: &Location) -> Result<u64> {
        Ok(1000)
    }

    fn version(&self, _: &Location) -> Result<Option<String>> {
        Ok(self.version.map(str::to_owned))
    }

    fn assume(&self, _: &Location, size: u64, version: Option<&str>) {
        self.assumed.lock().unwrap().push((size, version.map(str::to_owned)));
    }
}

fn stated(version: Option<&'static str>) -> Stated {
    holding(version, 7)
}

fn holding(version: Option<&'static str>, content: u8) -> Stated {
    Stated { version, content, assumed: Mutex::default(), reads: AtomicU64::new(0) }
}

/// What opening read of such an object.
fn evidence() -> Evidence {
    let witness = Witness::new(Arc::new(stated(None)));
    let location = Location::whole("/x.nc");
    witness.read_start(&location, 100).unwrap();
    witness.read(&location, 300..400).unwrap();
    witness.read_many(&location, &[900..1000, 300..400]).unwrap();
    witness.evidence()
}

fn a_grid() -> Grid {
    grid().new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

fn write(path: &Path, grid: &Grid, size: u64, version: Option<&str>, origin: &[&str]) {
    let origin: Vec<String> = origin.iter().map(|object| (*object).to_owned()).collect();
    let mut writer = IndexWriter::new(std::fs::File::create(path).unwrap(), &origin).unwrap();
    for place in PLACES {
        let (path, variable) = (place.to_owned(), "v".to_owned());
        let entry = entry::encode(grid, Some(&evidence())).unwrap();
        let version = version.map(str::to_owned);
        writer.add(IndexRow { path, variable, size, version, entry }).unwrap();
    }
    writer.finish().unwrap();
}

fn known(path: &Path, root: &str) -> KnownGrids {
    let known = KnownGrids::default();
    let at = |place: &&str| (place.to_string(), vec![Location::whole(format!("{root}/{place}"))]);
    known.ship(|| Index::read(path, &PLACES.iter().skip(1).map(at).collect()));
    assert_eq!(known.failure(), None);
    known
}

/// What is found of the second granule.
fn found(known: &KnownGrids, source: &Stated, root: &str) -> bool {
    let place = Location::whole(format!("{root}/{}", PLACES[1]));
    known.find(source, None, &place, "v", None).is_some()
}

#[test]
fn what_opening_read_is_evidence() {
    let location = Location::whole("/y.nc");
    assert!(evidence().holds(&stated(None), &location).unwrap());
    assert!(!evidence().holds(&holding(None, 8), &location).unwrap());
    let ranges = [(0, 100), (300, 400), (900, 1000)];
    assert_eq!(evidence().ranges(), ranges);
    let nothing = Witness::new(Arc::new(stated(None))).evidence();
    assert!(!nothing.holds(&stated(None), &location).unwrap(), "nothing proves nothing");
}

#[test]
fn a_local_file_is_known_by_its_size_and_time_or_by_what_it_holds() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("index");
    write(&path, &a_grid(), 1000, Some("1000 77"), &[]);
    let at = known(&path, "/copy");
    // Of size and time alone, nothing is read.
    let same = holding(Some("1000 77"), 8);
    assert!(found(&at, &same, "/copy"));
    assert_eq!(same.reads.into_inner(), 0);
    for version in [Some("1000 78"), None] {
        assert!(found(&at, &stated(version), "/copy"));
        assert!(!found(&at, &holding(version, 8), "/copy"));
    }
    let elsewhere = Location::whole(format!("/copy/{}", PLACES[0]));
    assert!(at.find(&stated(None), None, &elsewhere, "v", None).is_none());
    let second = Location::whole(format!("/copy/{}", PLACES[1]));
    assert!(at.find(&stated(None), None, &second, "w", None).is_none());
    write(&path, &a_grid(), 1001, Some("1000 77"), &[]);
    assert!(!found(&known(&path, "/copy"), &stated(Some("1000 77")), "/copy"));
}

#[test]
fn a_remote_object_is_known_by_its_tag_or_by_what_it_holds() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("index");
    let (home, mirror) = ("https://home/ocean", "https://home/ocean2");
    write(&path, &a_grid(), 1000, Some("etag"), &[home]);
    for root in [home, mirror] {
        let source = stated(Some("etag"));
        assert!(found(&known(&path, root), &source, root));
        let assumed = if root == home { vec![(1000, Some("etag".to_owned()))] } else { vec![] };
        assert_eq!(*source.assumed.lock().unwrap(), assumed);
        // The tag is compared when something is read.
        let reads = if root == home { 0 } else { 3 };
        assert_eq!(source.reads.into_inner(), reads);
        assert_eq!(found(&known(&path, root), &holding(None, 8), root), root == home);
    }
    write(&path, &a_grid(), 1001, None, &[home]);
    assert!(!found(&known(&path, mirror), &stated(None), mirror), "of another size");
}

#[test]
fn the_disk_cache_keeps_what_was_opened() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = DiskCacheOptions { path: folder.path().display().to_string(), budget: 1 << 30 };
    for (object, versions) in [("/a.nc", ["1", "2"]), ("https://home/a.nc", ["1", "1"])] {
        let mut grid = a_grid();
        grid.array.location = Location::whole(object);
        let location = grid.array.location.clone();
        let find = |version| {
            let cache = DiskCache::open(&options).unwrap();
            let (known, source) = (KnownGrids::default(), stated(version));
            let found = known.find(&source, Some(&cache), &location, "v", None);
            (found.map(|grid| format!("{:?}", grid.lat)), source.assumed.into_inner().unwrap())
        };
        assert!(find(Some("1")).0.is_none());
        for version in [None, Some("1")] {
            let cache = DiskCache::open(&options).unwrap();
            KnownGrids::default().keep(&stated(version), &cache, &grid);
            drop(cache);
            assert_eq!(find(Some("1")).0.is_some(), version.is_some());
        }
        let (found, assumed) = find(Some("1"));
        assert_eq!(found, Some(format!("{:?}", grid.lat)));
        let remote = is_remote(object);
        assert_eq!(assumed.len(), usize::from(remote));
        // A file of another version has another name; that of a remote object is compared later.
        assert_eq!(find(Some("2")).0.is_some(), remote, "{versions:?}");

        let cache = DiskCache::open(&options).unwrap();
        let known = KnownGrids::default();
        known.distrust(&stated(Some("1")), Some(&cache), &grid);
        assert!(known.find(&stated(Some("1")), Some(&cache), &location, "v", None).is_none());
        drop(cache);
        assert!(find(Some("1")).0.is_none(), "an entry that proved wrong is withdrawn");
    }
}

#[test]
fn what_is_no_index_says_how_to_make_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("index");
    let problem = |kind: Kind| {
        let error = Index::check(&path).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.message.contains("oceanarrow index"), "{error}");
        assert!(Index::read(&path, &HashMap::new()).failure().is_some());
        error.message.into_owned()
    };
    assert!(problem(Kind::NotFound).contains("no such file"));
    std::fs::write(&path, b"").unwrap();
    assert!(problem(Kind::InvalidInput).contains("no sound Parquet"));
    write(&path, &a_grid(), 1, None, &[]);
    Index::check(&path).unwrap();
    let sound = std::fs::read(&path).unwrap();
    for cut in [4, 9, sound.len() / 2, sound.len() - 1] {
        std::fs::File::create(&path).unwrap().write_all(&sound[..cut]).unwrap();
        problem(Kind::InvalidInput);
    }
    let text = String::from_utf8_lossy(&sound);
    assert!(text.contains("oceanarrow.index"));
    let at = sound.windows(16).position(|bytes| bytes == b"oceanarrow.index").unwrap();
    let mut other = sound.clone();
    other[at] = b'x';
    std::fs::write(&path, other).unwrap();
    assert!(problem(Kind::InvalidInput).contains("no index"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_index_never_yields_another_grid(
        at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("index");
        let grid = a_grid();
        write(&path, &grid, 1000, None, &[]);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        std::fs::write(&path, bytes).unwrap();
        let place = Location::whole("/x.nc");
        let known = KnownGrids::default();
        known.ship(|| Index::read(&path, &Granules::from([(PLACES[1].to_owned(), vec![place.clone()])])));
        if let Some(found) = known.find(&stated(None), None, &place, "v", None) {
            prop_assert_eq!(format!("{:?}", found.lat), format!("{:?}", grid.lat));
            prop_assert_eq!(format!("{:?}", found.packing), format!("{:?}", grid.packing));
        }
    }
}

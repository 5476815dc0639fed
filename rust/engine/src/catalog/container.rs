//! Which kind of container a root is, found out by reading, never by listing.

use super::assets::{Asset, Contents, MAX_JSON, MAX_PARQUET, read_together};
use super::collection::{Collection, DEPTH};
use super::zip::Archive;
use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Location, is_remote, normalise};

const CAT: &str = ".tacocat";

/// One set of level tables and where the files they list lie.
pub(super) struct Container {
    /// The description as it is, and what the catalog takes of it.
    pub(super) description: Contents,
    pub(super) collection: Collection,
    /// The level tables, from level 0 on.
    pub(super) levels: Vec<Contents>,
    pub(super) layout: FileLayout,
}

/// Where a container keeps its files.
pub(super) enum FileLayout {
    /// As files below `{root}/DATA`.
    Folder { root: String },
    /// As entries of one archive; `reserved` are the `(offset, end)` that hold no data.
    Archive { path: String, size: u64, reserved: Vec<(u64, u64)> },
    /// As entries of the archives in this directory that the rows name.
    Cat { directory: String },
}

/// The containers of some datasets: FOLDERs, archives and TacoCats, or the parts of a split archive.
pub(super) fn open(source: &dyn ByteSource, roots: &[String]) -> Result<Vec<Container>> {
    match roots {
        [] => Err(Error::invalid_input("no dataset given: pass the path of a TACO dataset")),
        [root] => Ok(vec![open_root(source, normalise(root)?)?]),
        parts => open_parts(source, parts),
    }
}

fn open_parts(source: &dyn ByteSource, parts: &[String]) -> Result<Vec<Container>> {
    let mut paths = parts.iter().map(|part| normalise(part)).collect::<Result<Vec<_>>>()?;
    paths.sort_unstable();
    for pair in paths.windows(2) {
        if let [a, b] = pair
            && a == b
        {
            return Err(Error::invalid_input("the same part is given twice").asset(a));
        }
    }
    if paths.iter().all(|path| is_archive_name(path)) {
        return open_archives(source, &paths);
    }
    paths.into_iter().map(|path| open_root(source, path)).collect()
}

fn open_root(source: &dyn ByteSource, root: String) -> Result<Container> {
    let name = root.rsplit('/').next().unwrap_or(&root);
    if name == "__TACOCAT__" {
        return Err(Error::unsupported(
            "a single-file __TACOCAT__ is not read; give the .tacocat directory or the parts",
        )
        .asset(root));
    }
    if name == CAT {
        return open_cat(source, &root);
    }
    if is_archive_name(name) {
        return open_archive(source, root);
    }
    let level = |k| {
        let name = format!("METADATA/level{k}.parquet");
        let location = Location::whole(format!("{root}/{name}"));
        Asset::new(name, location)
    };
    let (description, levels) =
        read_metadata(source, collection_in(&root), (0..=DEPTH).map(level).collect())?;
    match Collection::read(&description) {
        Ok(collection) => Ok(open_folder(source, root, (description, collection), levels)),
        Err(e) if e.kind == Kind::NotFound => open_cat(source, &format!("{root}/{CAT}")),
        // A file has no COLLECTION.json below it, which disks report in their own ways.
        Err(_) if !is_remote(&root) && source.size(&Location::whole(root.as_str())).is_ok() => {
            open_archive(source, root)
        }
        Err(e) => Err(e),
    }
}

fn is_archive_name(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.ends_with(".tacozip") || lower.ends_with(".zip")
}

/// A description and its levels, asked for together: remote datasets are opened in few round trips.
fn read_metadata(
    source: &dyn ByteSource,
    collection: Asset,
    levels: Vec<Asset>,
) -> Result<(Contents, Vec<Contents>)> {
    let levels = levels.into_iter().map(|level| (level, MAX_PARQUET));
    let all = [(collection, MAX_JSON)].into_iter().chain(levels).collect();
    let mut read = read_together(source, all).into_iter();
    let description = read.next().ok_or_else(|| Error::internal("nothing was read"))?;
    Ok((description, read.collect()))
}

fn open_folder(
    source: &dyn ByteSource,
    root: String,
    (description, mut collection): (Contents, Collection),
    levels: Vec<Contents>,
) -> Container {
    // Remote roots are spared the probe.
    let cat = collection_in(&format!("{root}/{CAT}"));
    if !is_remote(&root) && source.size(&cat.location).is_ok() {
        collection.warnings.push(format!(
            "{root} holds both COLLECTION.json and {CAT}; reading the former (to read the latter, \
             give {root}/{CAT})"
        ));
    }
    Container { description, collection, levels, layout: FileLayout::Folder { root } }
}

fn open_archive(source: &dyn ByteSource, path: String) -> Result<Container> {
    let mut opened = open_archives(source, &[path])?;
    opened.pop().ok_or_else(|| Error::internal("an archive was not opened"))
}

/// Opens archives: one round trip for their headers, one for their metadata.
fn open_archives(source: &dyn ByteSource, paths: &[String]) -> Result<Vec<Container>> {
    let mut layouts = Vec::with_capacity(paths.len());
    let mut wanted = Vec::new();
    for (archive, path) in Archive::open(source, paths).into_iter().zip(paths) {
        let Archive { size, reserved, collection, levels } = archive?;
        layouts.push((FileLayout::Archive { path: path.clone(), size, reserved }, levels.len()));
        wanted.push((collection, MAX_JSON));
        wanted.extend(levels.into_iter().map(|level| (level, MAX_PARQUET)));
    }
    let mut read = read_together(source, wanted).into_iter();
    layouts
        .into_iter()
        .map(|(layout, depth)| {
            let description = read.next().ok_or_else(|| Error::internal("nothing was read"))?;
            let levels = read.by_ref().take(depth).collect();
            let collection = Collection::read(&description)?;
            Ok(Container { description, collection, levels, layout })
        })
        .collect()
}

/// Opens the TacoCat in `cat`, whose parts lie beside it.
fn open_cat(source: &dyn ByteSource, cat: &str) -> Result<Container> {
    let directory = cat.strip_suffix(CAT).unwrap_or(cat).trim_end_matches('/').to_owned();
    let level = |k: usize| {
        let name = format!("{CAT}/level{k}.parquet");
        Asset::new(name, Location::whole(format!("{cat}/level{k}.parquet")))
    };
    let (description, levels) =
        read_metadata(source, collection_in(cat), (0..=DEPTH).map(level).collect())?;
    let has_levels = levels.first().is_some_and(|level| level.bytes.is_ok());
    let collection = Collection::read(&description).map_err(|e| {
        if e.kind != Kind::NotFound {
            e
        } else if has_levels {
            Error::invalid_dataset(
                "the .tacocat has no COLLECTION.json: its writer stops before that file when the \
                 parts differ in which files are missing; give the list of .tacozip parts instead",
            )
            .asset(cat)
        } else {
            Error::not_found(format!(
                "no TACO dataset here: neither COLLECTION.json nor .tacocat/COLLECTION.json exists \
                 ({})",
                e.message
            ))
            .asset(&directory)
        }
    })?;
    Ok(Container { description, collection, levels, layout: FileLayout::Cat { directory } })
}

fn collection_in(directory: &str) -> Asset {
    Asset::new("COLLECTION.json", Location::whole(format!("{directory}/COLLECTION.json")))
}

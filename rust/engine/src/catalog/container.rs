//! Which kind of container a root is, found out by reading, never by listing.

use std::path;

use super::assets::Asset;
use super::collection::{Collection, DEPTH};
use super::zip::Archive;
use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Location};

const CAT: &str = ".tacocat";

/// One set of level tables and where the files they list lie.
pub(super) struct Container {
    pub(super) collection: Collection,
    /// The level tables, from level 0 on.
    pub(super) levels: Vec<Asset>,
    pub(super) layout: Layout,
}

/// Where a container keeps its files.
pub(super) enum Layout {
    /// As files below `{root}/DATA`.
    Folder { root: String },
    /// As entries of one archive; `reserved` are the `(offset, end)` that hold no data.
    Archive { path: String, size: u64, reserved: Vec<(u64, u64)> },
    /// As entries of the archives in this directory that the rows name.
    Cat { directory: String },
}

/// The containers of a dataset: a FOLDER, an archive or a TacoCat, or the parts of a split archive.
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
    paths
        .into_iter()
        .map(|path| {
            let container = open_root(source, path.clone())?;
            match container.layout {
                Layout::Archive { .. } => Ok(container),
                _ => Err(Error::invalid_input(
                    "several paths must all be .tacozip parts of one dataset; this is none",
                )
                .asset(path)),
            }
        })
        .collect()
}

/// An absolute path without a trailing slash. Locations outlive the working directory.
fn normalise(root: &str) -> Result<String> {
    if root.is_empty() || root.contains('\0') {
        return Err(Error::invalid_input(format!("{root:?} is no path of a dataset")));
    }
    if root.contains("://") {
        return Ok(root.trim_end_matches('/').to_owned());
    }
    let absolute = path::absolute(root)
        .map_err(|e| Error::invalid_input(format!("{root:?} is no path of a dataset: {e}")))?;
    let absolute = absolute.to_string_lossy();
    let trimmed = absolute.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
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
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(".tacozip") || lower.ends_with(".zip") {
        return open_archive(source, root);
    }
    let description = collection_in(&root);
    match Collection::read(source, &description) {
        Ok(collection) => Ok(open_folder(source, root, collection)),
        Err(e) if e.kind == Kind::NotFound => open_cat(source, &format!("{root}/{CAT}")),
        // A file has no COLLECTION.json below it, which stores report in their own ways.
        Err(_) if source.size(&Location::whole(root.as_str())).is_ok() => {
            open_archive(source, root)
        }
        Err(e) => Err(e),
    }
}

fn open_folder(source: &dyn ByteSource, root: String, mut collection: Collection) -> Container {
    // Remote roots are spared the probe.
    let cat = collection_in(&format!("{root}/{CAT}"));
    if !root.contains("://") && source.size(&cat.location).is_ok() {
        collection.warnings.push(format!(
            "{root} holds both COLLECTION.json and {CAT}; reading the former (to read the latter, \
             give {root}/{CAT})"
        ));
    }
    let levels = (0..=DEPTH)
        .map(|k| {
            let name = format!("METADATA/level{k}.parquet");
            let location = Location::whole(format!("{root}/{name}"));
            Asset::new(name, location)
        })
        .collect();
    Container { collection, levels, layout: Layout::Folder { root } }
}

fn open_archive(source: &dyn ByteSource, path: String) -> Result<Container> {
    let archive = Archive::open(source, &path)?;
    Ok(Container {
        collection: Collection::read(source, &archive.collection)?,
        levels: archive.levels,
        layout: Layout::Archive { path, size: archive.size, reserved: archive.reserved },
    })
}

/// Opens the TacoCat in `cat`, whose parts lie beside it.
fn open_cat(source: &dyn ByteSource, cat: &str) -> Result<Container> {
    let directory = cat.strip_suffix(CAT).unwrap_or(cat).trim_end_matches('/').to_owned();
    let level = |k: usize| {
        let name = format!("{CAT}/level{k}.parquet");
        Asset::new(name, Location::whole(format!("{cat}/level{k}.parquet")))
    };
    let collection = Collection::read(source, &collection_in(cat)).map_err(|e| {
        if e.kind != Kind::NotFound {
            e
        } else if source.size(&level(0).location).is_ok() {
            Error::invalid_dataset(
                "the .tacocat has no COLLECTION.json: its writer stops before that file when the \
                 parts differ in which files are missing; give the list of .tacozip parts instead",
            )
            .asset(cat)
        } else {
            Error::not_found(
                "no TACO dataset here: neither COLLECTION.json nor .tacocat/COLLECTION.json exists",
            )
            .asset(&directory)
        }
    })?;
    Ok(Container {
        collection,
        levels: (0..=DEPTH).map(level).collect(),
        layout: Layout::Cat { directory },
    })
}

fn collection_in(directory: &str) -> Asset {
    Asset::new("COLLECTION.json", Location::whole(format!("{directory}/COLLECTION.json")))
}

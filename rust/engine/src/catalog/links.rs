//! Symbolic links that lead out of a local dataset: the user's own disk, so worth a warning only.

use std::fs;
use std::path::Path;

use super::{Catalog, date_id};

/// Warns of a `DATA` folder or a date's folder that is a link to somewhere outside the root.
///
/// Files are not looked at one by one: that would cost more than reading the tables.
pub(super) fn warnings(catalog: &Catalog, root: &str) -> Vec<String> {
    let Ok(real_root) = fs::canonicalize(root) else { return Vec::new() };
    let data = format!("{root}/DATA");
    let mut days: Vec<i32> = catalog.granules.iter().map(|g| g.day).collect();
    days.dedup();
    let folders = days.into_iter().map(|day| format!("{data}/{}", date_id(day)));
    let outside: Vec<String> = std::iter::once(data.clone())
        .chain(folders)
        .filter(|folder| leads_outside(Path::new(folder), &real_root))
        .collect();
    match outside.first() {
        None => Vec::new(),
        Some(first) => vec![format!(
            "{} folder(s) of the dataset are links to somewhere outside it, the first is {first}",
            outside.len()
        )],
    }
}

fn leads_outside(folder: &Path, real_root: &Path) -> bool {
    folder.is_symlink()
        && fs::canonicalize(folder).is_ok_and(|target| !target.starts_with(real_root))
}

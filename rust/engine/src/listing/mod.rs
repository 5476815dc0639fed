//! Makes catalogues: opens the files to be listed once each, on many threads, and writes down their
//! granules and, beside them, the index of their chunks.
//!
//! ```text
//!  Files --survey--> Surveyed (days, footprints, units, index entries; what cannot be read)
//!                        |
//!                        +--write--> catalogue, index
//! ```

mod days;
mod known;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::catalog::{Group, Identity, ListedFile, ListedGranule, Listing, Steps, is_listing};
use crate::error::{Error, Result};
use crate::granule::{
    Chunking, Described, GranuleReader, IndexRow, IndexWriter, Survey, SurveyedVariable, Wanted,
};
use crate::new_file::NewFile;
use crate::parallel::in_order;
use crate::store::{Location, Store, is_remote};
use crate::unit;

pub use days::{DayRule, Occasion, Span, occasions};
pub use known::Known;

/// Chunks of more days, or more bytes, are warned about.
const MANY_DAYS: u64 = 8;
const MANY_BYTES: u64 = 32 << 20;

/// Files that are listed by the same rules.
#[derive(Clone, Debug)]
pub struct Files {
    /// The files.
    pub paths: Vec<FilePath>,
    /// Names and what is read for them; `None`: all gridded variables, under their own names.
    pub variables: Option<Vec<(String, Wanted)>>,
    /// How days are found.
    pub days: DayRule,
    /// Of one variable and day, granules of the highest priority count.
    pub priority: i32,
}

/// A file to be listed.
#[derive(Clone, Debug)]
pub struct FilePath {
    /// Where it lies now: an absolute path, or an address.
    pub location: String,
    /// What the catalogue calls it.
    pub kept: String,
    /// Its day, where its name tells it.
    pub day: Option<i32>,
}

/// Variables of a file that have the same days and footprint.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    variables: Vec<String>,
    days: Vec<(Occasion, Steps)>,
    edges: [f64; 4],
    resolution: f64,
}

/// A file that was surveyed, or is known from before.
#[derive(Clone, Debug)]
struct FileRows {
    path: Arc<str>,
    priority: i32,
    identity: Identity,
    parts: Vec<Part>,
    /// The units that it states, by variable; none of a file that is known.
    units: Vec<(String, Option<String>)>,
    /// Chunks that cost much to read a patch from, by variable.
    costly: Vec<(String, Chunking)>,
    entries: Vec<IndexRow>,
}

/// What opening the files told.
#[derive(Debug, Default)]
pub struct Surveyed {
    files: Vec<FileRows>,
    /// What cannot be listed, and why.
    pub unreadable: Vec<Error>,
    /// How many files were opened for it; the others are known.
    pub opened: usize,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Granules: days of files.
    pub granules: usize,
    /// Files.
    pub files: usize,
    /// What is odd about them.
    pub warnings: Vec<String>,
}

/// Opens the files, but for those that are `known` and unchanged. `progress` is told how many of how
/// many are done; its error ends the work.
///
/// # Errors
/// `Io`, `AccessDenied`: the store fails. `Cancelled`. What is wrong with single files is none.
pub fn survey(
    store: &Arc<Store>,
    files: &[Files],
    known: &Known,
    threads: usize,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Surveyed> {
    let reader = GranuleReader::new(store.clone(), 0);
    let tasks: Vec<(&Files, &FilePath)> =
        files.iter().flat_map(|files| files.paths.iter().map(move |path| (files, path))).collect();
    let look = |(files, path): &(&Files, &FilePath)| match known.find(&**store, files, path) {
        Some(rows) => Ok((rows, false)),
        None => FileRows::read(&reader, files, path).map(|rows| (rows, true)),
    };
    let mut surveyed = Surveyed::default();
    let mut take = |_: usize, found: Result<(FileRows, bool)>| match found {
        Ok((rows, opened)) => {
            surveyed.files.push(rows);
            surveyed.opened += usize::from(opened);
            Ok(())
        }
        Err(e) if e.concerns_one_file() || e.kind == crate::error::Kind::InvalidInput => {
            surveyed.unreadable.push(e);
            Ok(())
        }
        Err(e) => Err(e),
    };
    let total = tasks.len() as u64;
    in_order(&tasks, threads, look, &mut take, |done| progress(done as u64, total))?;
    Ok(surveyed)
}

impl FileRows {
    fn read(reader: &GranuleReader, files: &Files, path: &FilePath) -> Result<Self> {
        let location = Location::whole(path.location.as_str());
        if is_listing(&path.location) {
            return Err(Error::unsupported("a catalogue is no file to be listed").asset(&location));
        }
        let wanted: Option<Vec<Wanted>> = files
            .variables
            .as_ref()
            .map(|variables| variables.iter().map(|(_, wanted)| wanted.clone()).collect());
        let survey = reader.survey(&location, wanted.as_deref())?;
        let names: Vec<String> = match &files.variables {
            Some(variables) => variables.iter().map(|(name, _)| name.clone()).collect(),
            None => survey.variables.iter().map(|variable| variable.name.clone()).collect(),
        };
        let rule = DayRule { day: path.day, ..files.days };
        let parts = parts(&survey, &names, &rule, files.variables.is_none());
        let parts = parts.map_err(|e| e.asset(&location))?;
        let told = || names.iter().zip(&survey.variables);
        let is_costly = |chunks: &&Chunking| chunks.steps >= MANY_DAYS || chunks.bytes > MANY_BYTES;
        let costly = told().filter_map(|(name, variable)| {
            Some((name.clone(), variable.chunks.as_ref().filter(is_costly)?.clone()))
        });
        let Survey { size, version, evidence, .. } = &survey;
        let entry = |(variable, described): &(String, Described)| IndexRow {
            path: path.kept.clone(),
            variable: variable.clone(),
            size: described.size,
            version: described.version.clone(),
            entry: described.entry.clone(),
        };
        Ok(Self {
            path: path.kept.as_str().into(),
            priority: files.priority,
            identity: Identity::new(*size, version.as_deref(), evidence),
            parts,
            units: told().map(|(name, variable)| (name.clone(), variable.unit.clone())).collect(),
            costly: costly.collect(),
            entries: survey.entries.iter().map(entry).collect(),
        })
    }
}

/// The variables by days and footprint. Of all variables of a file, those without days are left out
/// beside others that have some.
fn parts(survey: &Survey, names: &[String], rule: &DayRule, all: bool) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut problem = None;
    for (name, variable) in names.iter().zip(&survey.variables) {
        let SurveyedVariable { lat, lon, resolution, steps, .. } = variable;
        let days = match occasions(steps, rule) {
            Ok(days) => days,
            Err(e) if all => {
                problem = problem.or(Some(e.variable(name)));
                continue;
            }
            Err(e) => return Err(e.variable(name)),
        };
        let edges = [lon.0, lon.1, lat.0, lat.1];
        match parts.iter_mut().find(|part| part.days == days && part.edges == edges) {
            Some(part) => part.variables.push(name.clone()),
            None => {
                let variables = vec![name.clone()];
                parts.push(Part { variables, days, edges, resolution: *resolution });
            }
        }
    }
    match problem {
        Some(problem) if parts.is_empty() => Err(problem),
        _ => Ok(parts),
    }
}

impl Surveyed {
    /// The units that the files state of each variable, each with the first file that states it, in
    /// the order of the files.
    pub fn units(&self) -> Vec<(String, Option<String>, String)> {
        let mut found: Vec<(String, Option<String>, String)> = Vec::new();
        for file in &self.files {
            for (name, unit) in &file.units {
                if !found.iter().any(|(n, u, _)| n == name && u == unit) {
                    found.push((name.clone(), unit.clone(), file.path.to_string()));
                }
            }
        }
        found
    }

    /// The variables that any file holds.
    pub fn names(&self) -> Vec<String> {
        let parts = self.files.iter().flat_map(|file| &file.parts);
        let mut names: Vec<String> = parts.flat_map(|part| part.variables.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The places that a cycle of a variable lacks, from 1 on: one may be spread over files.
    ///
    /// # Errors
    /// `InvalidInput`: naming the first of them.
    fn check_cycles(&self) -> Result<()> {
        let mut found: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
        for part in self.files.iter().flat_map(|file| &file.parts) {
            let places = || part.days.iter().filter_map(|(occasion, _)| occasion.cycle);
            for name in part.variables.iter().filter(|_| places().next().is_some()) {
                found.entry(name).or_default().extend(places());
            }
        }
        for (name, places) in found {
            // Files of single days of a year may be many, and 12 of them no months.
            let due = if places.len() > 12 || places.last() > Some(&11) { 365 } else { 12 };
            if let Some(lacking) = (0..due).find(|place| !places.contains(place)) {
                return Err(Error::invalid_input(format!(
                    "a cycle is whole, or it serves no year: there is no file or step of its place \
                     {} of {due}",
                    lacking + 1
                ))
                .variable(name));
            }
        }
        Ok(())
    }

    /// Counts the files as unreadable of which a unit does not convert to the one that the variable
    /// is delivered in.
    pub fn check_units(&mut self, delivered: &HashMap<String, String>) {
        let problem = |(name, unit): &(String, Option<String>)| {
            let (stated, wanted) = (unit.as_ref()?, delivered.get(name)?);
            if !wanted.is_empty() && unit::conversion(stated, wanted).is_some() {
                return None;
            }
            let others = match wanted.as_str() {
                "" => "others state none".to_owned(),
                wanted => format!("it is delivered in {wanted:?}"),
            };
            Some(
                Error::unsupported(format!(
                    "the file states the unit {stated:?}, but {others}; give the one to deliver: \
                     Files(..., units={{{name:?}: ...}})"
                ))
                .variable(name),
            )
        };
        let files = std::mem::take(&mut self.files);
        for file in files {
            match file.units.iter().find_map(problem) {
                None => self.files.push(file),
                Some(error) => self.unreadable.push(error.asset(&file.path)),
            }
        }
    }

    /// Writes the catalogue to `path`, and the index to `index`. `variables` and `request` are JSON
    /// that the catalogue keeps.
    ///
    /// # Errors
    /// `InvalidInput`: there is nothing to list. `Unwritable`, `Io`: a file cannot be written.
    pub fn write(
        self,
        path: &Path,
        index: &Path,
        variables: String,
        request: String,
    ) -> Result<Written> {
        if self.files.is_empty() {
            return Err(Error::invalid_input("there is no file to list"));
        }
        self.check_cycles()?;
        self.write_index(index).map_err(|e| NewFile::blame(index, e))?;
        let listing = self.listing(variables, request)?;
        let file = NewFile::create(path, "catalogue")?;
        listing.write(file).map_err(|e| NewFile::blame(path, e))?.keep()?;
        Ok(Written {
            granules: listing.granules.len(),
            files: listing.files.len(),
            warnings: listing.warnings,
        })
    }

    fn write_index(&self, path: &Path) -> Result<()> {
        let mut entries: Vec<&IndexRow> = self.files.iter().flat_map(|f| &f.entries).collect();
        entries.sort_by(|a, b| (&a.path, &a.variable).cmp(&(&b.path, &b.variable)));
        entries.dedup_by(|a, b| (&a.path, &a.variable) == (&b.path, &b.variable));
        let mut remote: Vec<String> = self.files.iter().map(|file| file.path.to_string()).collect();
        remote.retain(|path| is_remote(path));
        let mut writer = IndexWriter::new(NewFile::create(path, "index")?, &remote)?;
        entries.into_iter().try_for_each(|row| writer.add(row.clone()))?;
        writer.finish()?.keep().map(drop)
    }

    fn listing(&self, variables: String, request: String) -> Result<Listing> {
        let mut listing =
            Listing { variables, request, warnings: self.warnings(), ..Listing::default() };
        let mut groups: HashMap<Group, u32> = HashMap::new();
        let mut numbers: HashMap<Arc<str>, u32> = HashMap::new();
        for FileRows { path, priority, identity, parts, .. } in &self.files {
            let file = *numbers.entry(path.clone()).or_insert_with(|| {
                let file = ListedFile { path: path.clone(), identity: identity.clone() };
                listing.files.push(file);
                listing.files.len() as u32 - 1
            });
            for part in parts {
                let group = Group { variables: part.variables.clone(), priority: *priority };
                let group = *groups.entry(group.clone()).or_insert_with(|| {
                    listing.groups.push(group);
                    listing.groups.len() as u32 - 1
                });
                listing.granules.extend(part.days.iter().map(|&(occasion, steps)| ListedGranule {
                    file,
                    group,
                    day: occasion.day,
                    cycle: occasion.cycle,
                    steps,
                    edges: part.edges,
                    res_deg_lat: part.resolution,
                }));
            }
        }
        if u32::try_from(listing.granules.len()).is_err() {
            return Err(Error::invalid_input("a catalogue lists at most 2^32 granules"));
        }
        Ok(listing)
    }

    /// Variables whose chunks cost much to read a patch from.
    fn warnings(&self) -> Vec<String> {
        let mut costly: BTreeMap<&str, (usize, &str, &Chunking)> = BTreeMap::new();
        for file in &self.files {
            for (name, chunks) in &file.costly {
                let known = costly.entry(name).or_insert((0, &file.path, chunks));
                known.0 += 1;
            }
        }
        let warning = |(name, (files, path, chunks)): (&str, (usize, &str, &Chunking))| {
            let better: Vec<String> =
                chunks.better.iter().map(|(name, length)| format!("{name}/{length}")).collect();
            format!(
                "{name}: a chunk holds {} time steps and {} MiB, all of which is decoded for any \
                 patch in it ({files} files, the first is {path}); to rechunk a file: nccopy -c \
                 {} {path} new.nc",
                chunks.steps,
                chunks.bytes.div_ceil(1 << 20),
                better.join(",")
            )
        };
        costly.into_iter().map(warning).collect()
    }
}

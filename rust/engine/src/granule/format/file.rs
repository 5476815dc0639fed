//! An open file of either kind of NetCDF, and its variables: what the rest of the engine knows of
//! formats.

use crate::error::{Error, Result};
use crate::granule::format::array::Array;
use crate::granule::format::attribute::Attribute;
use crate::granule::format::blocks::Blocks;
use crate::granule::format::{classic, hdf5};
use crate::store::Location;

/// An open file: metadata only.
pub(in crate::granule) struct File {
    location: Location,
    format: Format,
}

enum Format {
    Hdf5(hdf5::File),
    Classic(Box<classic::File>),
}

/// A variable of the file.
pub(in crate::granule) struct Variable<'a> {
    file: &'a File,
    stored: Stored<'a>,
    /// A path, if it lies in a group.
    pub name: String,
}

enum Stored<'a> {
    Hdf5(Box<hdf5::Dataset<'a>>),
    Classic(classic::Variable<'a>),
}

impl File {
    pub(in crate::granule) fn open(blocks: Blocks) -> Result<Self> {
        let location = blocks.location().clone();
        let format = if classic::File::is_one(&blocks)? {
            Format::Classic(Box::new(classic::File::open(blocks)?))
        } else {
            Format::Hdf5(hdf5::File::open(blocks)?)
        };
        Ok(Self { location, format })
    }

    /// The variable of this name (a path, if in a group); `None` if there is none.
    pub(in crate::granule) fn variable(&self, name: &str) -> Result<Option<Variable<'_>>> {
        let stored = match &self.format {
            Format::Hdf5(file) => file.dataset(name)?.map(|found| Stored::Hdf5(Box::new(found))),
            Format::Classic(file) => file.variable(name).map(Stored::Classic),
        };
        Ok(stored.map(|stored| Variable { file: self, stored, name: name.to_owned() }))
    }

    /// The variable that stands for a dimension, by what [`Variable::scales`] gave, if it is in the
    /// root group or in `parent`.
    pub(in crate::granule) fn at(
        &self,
        address: u64,
        parent: &str,
    ) -> Result<Option<Variable<'_>>> {
        match &self.format {
            Format::Hdf5(file) => match file.name_at(address, parent)? {
                Some(name) => self.variable(&name),
                None => Ok(None),
            },
            Format::Classic(file) => Ok(file.at(address).map(|stored| Variable {
                file: self,
                name: stored.name().to_owned(),
                stored: Stored::Classic(stored),
            })),
        }
    }

    /// Names of the variables in the group `parent`; none if the group holds objects that cannot be
    /// listed.
    pub(in crate::granule) fn names(&self, parent: &str) -> Result<Vec<String>> {
        match &self.format {
            Format::Hdf5(file) => file.names(parent),
            Format::Classic(file) if parent.is_empty() => Ok(file.names()),
            Format::Classic(_) => Ok(Vec::new()),
        }
    }

    /// Fails if a read failed unnoticed while metadata were parsed.
    pub(in crate::granule) fn healthy(&self) -> Result<()> {
        match &self.format {
            Format::Hdf5(file) => file.healthy(),
            // Its reads are our own.
            Format::Classic(_) => Ok(()),
        }
    }
}

impl Variable<'_> {
    pub(in crate::granule) fn shape(&self) -> &[u64] {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.shape(),
            Stored::Classic(variable) => variable.shape(),
        }
    }

    /// What tells it from the file's other variables.
    pub(in crate::granule) fn address(&self) -> u64 {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.address(),
            Stored::Classic(variable) => variable.address(),
        }
    }

    pub(in crate::granule) fn is_numeric(&self) -> bool {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.is_numeric(),
            Stored::Classic(variable) => variable.is_numeric(),
        }
    }

    /// Whether dimension `d` may grow.
    pub(in crate::granule) fn is_unlimited(&self, d: usize) -> bool {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.is_unlimited(d),
            Stored::Classic(variable) => variable.is_unlimited(d),
        }
    }

    /// The attribute of this name.
    pub(in crate::granule) fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.attribute(name),
            Stored::Classic(variable) => variable.attribute(name),
        }
    }

    /// The attribute of this name as text; `None` if missing or of another type.
    pub(in crate::granule) fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(match self.attribute(name)? {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        })
    }

    /// Its elements, which are strings.
    pub(in crate::granule) fn texts(&self) -> Result<Vec<String>> {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.texts(),
            Stored::Classic(_) => {
                Err(Error::unsupported("strings are read of NetCDF-4 files only"))
            }
        }
    }

    /// Whether it only stands for a dimension, and holds no coordinates.
    pub(in crate::granule) fn is_bare_dimension(&self) -> Result<bool> {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.is_bare_dimension(),
            Stored::Classic(variable) => Ok(variable.is_bare_dimension()),
        }
    }

    /// For each dimension the address of the variable that stands for it, if any.
    pub(in crate::granule) fn scales(&self) -> Result<Vec<Option<u64>>> {
        match &self.stored {
            Stored::Hdf5(dataset) => dataset.scales(),
            Stored::Classic(variable) => Ok(variable.scales()),
        }
    }

    /// The array behind the variable, and where its bytes lie. `shape` may extend unlimited
    /// dimensions beyond what is stored: NetCDF dimensions are as long as their longest variable.
    pub(in crate::granule) fn array(&self, shape: &[u64]) -> Result<Array> {
        let location = &self.file.location;
        let described = match &self.stored {
            Stored::Hdf5(dataset) => dataset.describe(shape.to_vec()),
            Stored::Classic(variable) => variable.describe(shape.to_vec()),
        };
        let array = described.map_err(|e| e.asset(location).variable(&self.name))?;
        Ok(Array { location: location.clone(), name: self.name.clone(), ..array }.keyed())
    }
}

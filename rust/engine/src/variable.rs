//! The registry: what a variable name stands for.

use serde::{Deserialize, Serialize};

/// The shape of a variable's data in its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Geometry {
    /// Values on 1-D latitude and longitude axes.
    Grid,
    /// Values at scattered positions (profiles).
    Points,
}

impl Geometry {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Points => "points",
        }
    }
}

/// Whether a variable is an input, a target, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// An input.
    pub input: bool,
    /// A target.
    pub target: bool,
}

impl Role {
    /// As it stands in a schema.
    pub const fn name(self) -> &'static str {
        match (self.input, self.target) {
            (true, true) => "input,target",
            (false, true) => "target",
            _ => "input",
        }
    }
}

/// What a variable name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variable {
    /// The name in queries, batches and samples.
    pub name: String,
    /// The catalog's `data_source`.
    pub source: String,
    /// The file's name in a region's folder.
    pub file: String,
    /// The variable's name in the file.
    pub netcdf: String,
    /// The unit it is delivered in.
    pub unit: String,
    /// Grid or points.
    pub geometry: Geometry,
}

/// Token, source, file, NetCDF variable, unit: the OceanTACO variables.
const BUILT_IN: &[(&str, &str, &str, &str, &str)] = &[
    ("l4_ssh", "l4_ssh", "l4_ssh.nc", "sla", "m"),
    ("l4_sst", "l4_sst", "l4_sst.nc", "analysed_sst", "degC"),
    ("l4_sss", "l4_sss", "l4_sss.nc", "sos", "PSS-78"),
    ("l4_wind", "l4_wind", "l4_wind.nc", "eastward_wind", "m s-1"),
    ("l3_sst", "l3_sst", "l3_sst.nc", "adjusted_sea_surface_temperature", "degC"),
    ("l3_ssh", "l3_ssh", "l3_ssh.nc", "sla_filtered", "m"),
    ("l3_swot", "l3_swot", "l3_swot.nc", "ssha_filtered", "m"),
    ("l3_sss_smos_asc", "l3_sss_smos_asc", "l3_sss_asc.nc", "Sea_Surface_Salinity", "PSS-78"),
    ("l3_sss_smos_desc", "l3_sss_smos_desc", "l3_sss_desc.nc", "Sea_Surface_Salinity", "PSS-78"),
    ("glorys_ssh", "glorys", "glorys.nc", "zos", "m"),
    ("glorys_sst", "glorys", "glorys.nc", "thetao", "degC"),
    ("glorys_sss", "glorys", "glorys.nc", "so", "PSS-78"),
    ("glorys_uo", "glorys", "glorys.nc", "uo", "m s-1"),
    ("glorys_vo", "glorys", "glorys.nc", "vo", "m s-1"),
    ("argo", "argo", "argo.nc", "TEMP", "degC"),
];

/// The OceanTACO variables, in their documented order.
pub fn built_in() -> impl Iterator<Item = Variable> {
    BUILT_IN.iter().map(|&(name, source, file, netcdf, unit)| Variable {
        name: name.into(),
        source: source.into(),
        file: file.into(),
        netcdf: netcdf.into(),
        unit: unit.into(),
        geometry: if name == "argo" { Geometry::Points } else { Geometry::Grid },
    })
}

/// The `data_source` a file name stands for, where the catalog has no such column.
pub fn source_of_file(file: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|entry| entry.2 == file).map(|entry| entry.1)
}

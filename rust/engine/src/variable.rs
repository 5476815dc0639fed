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

/// On which days a variable's fields hold, and where they come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Supply {
    /// From files, each on days of its own.
    #[default]
    Daily,
    /// From files that hold on every day.
    Static,
    /// From the twelve months of a climatology. They stand in their middle; between two of them a day
    /// lies on the line, or else takes its own month's.
    Monthly {
        /// Whether it lies on the line.
        linear: bool,
    },
    /// From the days of a climatology of a year.
    DayOfYear,
    /// From a formula.
    Computed(Channel),
}

impl Supply {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Static => "static",
            Self::Monthly { linear: true } => "month",
            Self::Monthly { linear: false } => "month_steps",
            Self::DayOfYear => "day_of_year",
            Self::Computed(_) => "computed",
        }
    }

    /// What such a name, of a variable that is called so in its files, stands for.
    pub fn of(name: &str, netcdf: &str) -> Option<Self> {
        Some(match name {
            "daily" => Self::Daily,
            "static" => Self::Static,
            "month" => Self::Monthly { linear: true },
            "month_steps" => Self::Monthly { linear: false },
            "day_of_year" => Self::DayOfYear,
            "computed" => Self::Computed(Channel::of(netcdf)?),
            _ => return None,
        })
    }

    /// Whether one field serves all days.
    pub const fn is_constant(self) -> bool {
        match self {
            Self::Static => true,
            Self::Computed(channel) => !channel.is_of_day(),
            _ => false,
        }
    }
}

/// A field that is computed at the pixels' own coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Channel {
    Latitude,
    Longitude,
    SinLatitude,
    CosLatitude,
    SinLongitude,
    CosLongitude,
    SinDayOfYear,
    CosDayOfYear,
    Coriolis,
    CellArea,
    LandFraction,
    Insolation,
}

/// Each channel, its name and its unit.
const CHANNELS: [(Channel, &str, &str); 12] = [
    (Channel::Latitude, "latitude", "degrees_north"),
    (Channel::Longitude, "longitude", "degrees_east"),
    (Channel::SinLatitude, "sin_latitude", "1"),
    (Channel::CosLatitude, "cos_latitude", "1"),
    (Channel::SinLongitude, "sin_longitude", "1"),
    (Channel::CosLongitude, "cos_longitude", "1"),
    (Channel::SinDayOfYear, "sin_day_of_year", "1"),
    (Channel::CosDayOfYear, "cos_day_of_year", "1"),
    (Channel::Coriolis, "coriolis", "s-1"),
    (Channel::CellArea, "cell_area", "km2"),
    (Channel::LandFraction, "land_fraction", "1"),
    (Channel::Insolation, "insolation", "W m-2"),
];

impl Channel {
    /// The channel of a name.
    pub fn of(name: &str) -> Option<Self> {
        CHANNELS.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }

    /// Whether it differs from day to day.
    pub const fn is_of_day(self) -> bool {
        matches!(self, Self::SinDayOfYear | Self::CosDayOfYear | Self::Insolation)
    }
}

/// The computed variables, in their documented order.
pub fn computed() -> impl Iterator<Item = Variable> {
    CHANNELS.iter().map(|&(channel, name, unit)| Variable {
        name: name.into(),
        source: "computed".into(),
        file: String::new(),
        netcdf: name.into(),
        unit: unit.into(),
        geometry: Geometry::Grid,
        supply: Supply::Computed(channel),
    })
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
    /// On which days its fields hold.
    pub supply: Supply,
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
        supply: Supply::Daily,
    })
}

/// The `data_source` a file name stands for, where the catalog has no such column.
pub fn source_of_file(file: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|entry| entry.2 == file).map(|entry| entry.1)
}

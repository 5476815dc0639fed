//! One rendering kernel, over and over, for instruction counters: `kernels <name> <repetitions>`
//! prints a checksum, `kernels --list` the names. Data are made up and stay in memory.
#![allow(missing_docs)]

use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use oceanarrow_engine::error::Result;
use oceanarrow_engine::granule::{Dtype, GranuleReader, RawGrid, When};
use oceanarrow_engine::query::Query;
use oceanarrow_engine::render::{
    Day, GridRule, PatchMut, Recipe, Resampling, Rules, TemporalAgg, Tile,
};
use oceanarrow_engine::store::{ByteSource, Location};

/// A patch of 10 degrees out of a grid, as the files of a source store it.
struct Kernel {
    name: &'static str,
    resampling: Resampling,
    dtype: Dtype,
    /// Cells along each axis.
    cells: (usize, usize),
    chunk: (usize, usize),
    /// Pixels.
    shape: (usize, usize),
    /// Only swaths are valid, a cell in twelve.
    sparse: bool,
}

const KERNELS: [Kernel; 4] = [
    Kernel {
        name: "bilinear_i16",
        resampling: Resampling::Bilinear,
        dtype: Dtype::I16,
        cells: (200, 200),
        chunk: (113, 113),
        shape: (64, 64),
        sparse: false,
    },
    Kernel {
        name: "area_i16",
        resampling: Resampling::Area,
        dtype: Dtype::I16,
        cells: (200, 200),
        chunk: (113, 113),
        shape: (64, 64),
        sparse: false,
    },
    Kernel {
        name: "nearest_i16",
        resampling: Resampling::Nearest,
        dtype: Dtype::I16,
        cells: (200, 200),
        chunk: (113, 113),
        shape: (64, 64),
        sparse: false,
    },
    Kernel {
        name: "area_f32_sparse",
        resampling: Resampling::Area,
        dtype: Dtype::F32,
        cells: (555, 394),
        chunk: (157, 111),
        shape: (128, 128),
        sparse: true,
    },
];

/// One object.
struct Memory(Bytes);

impl ByteSource for Memory {
    fn read(&self, _: &Location, range: Range<u64>) -> Result<Bytes> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }

    fn size(&self, _: &Location) -> Result<u64> {
        Ok(self.0.len() as u64)
    }
}

impl Kernel {
    /// Chunks of smooth numbers.
    fn stored(&self) -> Bytes {
        let chunks = self.cells.0.div_ceil(self.chunk.0) * self.cells.1.div_ceil(self.chunk.1);
        let number = |i: usize| (i * 37 % 20_011) as i16;
        let elements = 0..chunks * self.chunk.0 * self.chunk.1;
        let bytes: Vec<u8> = match self.dtype {
            Dtype::F32 => elements
                .map(|i| if i % 96 < 8 || !self.sparse { f32::from(number(i)) } else { f32::NAN })
                .flat_map(f32::to_ne_bytes)
                .collect(),
            _ => elements.map(number).flat_map(i16::to_ne_bytes).collect(),
        };
        bytes.into()
    }

    fn grid(&self) -> RawGrid {
        let axis = |start: f64, n: usize| -> Vec<f64> {
            (0..n).map(|i| start + (i as f64 + 0.5) * 10.0 / n as f64).collect()
        };
        RawGrid {
            location: Location::whole("memory"),
            dtype: self.dtype,
            chunk: self.chunk,
            lat: axis(20.0, self.cells.0),
            lon: axis(-60.0, self.cells.1),
            north_first: false,
            fill: Some(-32_767.0),
            scale: 0.001,
            offset: 20.0,
            key: 1,
        }
    }

    fn run(&self, repetitions: usize) -> Result<f64> {
        let reader = GranuleReader::new(Arc::new(Memory(self.stored())), 64 << 20);
        let tile = Tile {
            object: 0,
            grid: Arc::new(self.grid().into()),
            when: When::Day(0),
            resolution: f32::NAN,
            conditions: Vec::new(),
        };
        let days = [Day::whole(0, vec![tile])];
        let query = Query {
            lon_min: -60.0,
            lon_max: -50.0,
            lat_min: 20.0,
            lat_max: 30.0,
            day_start: 0,
            day_end: 0,
        };
        let rules = Rules {
            resampling: self.resampling,
            grid: GridRule::Exact,
            temporal: TemporalAgg::Mean,
            min_support: 0.01,
            fill_value: 0.0,
            normalize: None,
        };
        let size = self.shape.0 * self.shape.1;
        let (mut values, mut mask) = (vec![0.0; size], vec![0; size]);
        let mut checksum = 0.0;
        for _ in 0..repetitions {
            let mut out = PatchMut::new(&mut values, &mut mask, None, size);
            let recipe = Recipe::new(&days, &query, Some(self.shape), &rules)?;
            recipe.paint(|reading| reader.window(reading), &mut out)?;
            checksum += f64::from(values[size / 2]) + f64::from(mask[size / 3]);
        }
        Ok(checksum)
    }
}

fn start() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => KERNELS.iter().for_each(|kernel| println!("{}", kernel.name)),
        [name, repetitions] => {
            let kernel = KERNELS.iter().find(|kernel| kernel.name == *name);
            let kernel =
                kernel.ok_or_else(|| format!("there is no kernel {name:?}; see --list"))?;
            println!("{}", kernel.run(repetitions.parse()?)?);
        }
        _ => return Err("usage: kernels <name> <repetitions>, or kernels --list".into()),
    }
    Ok(())
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

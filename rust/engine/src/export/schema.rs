//! The schema of a batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use crate::collate::{ColumnKind, GridShape};
use crate::error::Result;
use crate::query::RelativeDays;
use crate::variable::Role;

/// What the schema says of a variable.
pub struct ColumnField {
    /// The variable's name.
    pub name: String,
    /// Its columns.
    pub kind: ColumnKind,
    /// Input, target, or both.
    pub role: Role,
    /// The unit of its values.
    pub unit: String,
    /// How it was resampled.
    pub resample: &'static str,
    /// Mean and standard deviation that it was normalised with.
    pub normalize: Option<(f64, f64)>,
    /// The days that it is read on, relative to the query's.
    pub days: RelativeDays,
    /// What was selected along further dimensions: `name=a`, or `name=[a,b]` of a list, or `#0` of a
    /// position, joined by `;`.
    pub levels: Option<String>,
}

/// The schema of batches of these variables.
///
/// # Errors
/// `InvalidInput`: a tensor has more values than Arrow counts.
pub fn batch_schema(columns: &[ColumnField], metadata: HashMap<String, String>) -> Result<Schema> {
    let fields: Vec<Vec<Field>> = columns.iter().map(variable_fields).collect::<Result<_>>()?;
    let mut fields = fields.concat();
    fields.push(Field::new("query", DataType::Int64, false));
    for edge in ["lon_min", "lon_max", "lat_min", "lat_max"] {
        fields.push(Field::new(edge, DataType::Float64, false));
    }
    fields.push(Field::new("time_start", DataType::Date32, false));
    fields.push(Field::new("time_end", DataType::Date32, false));
    fields.push(Field::new("n_files", DataType::Int32, false));
    fields.push(Field::new("status", DataType::UInt8, false));
    fields.push(Field::new("sample_weight", DataType::Float32, false));
    Ok(Schema::new_with_metadata(fields, metadata))
}

fn variable_fields(column: &ColumnField) -> Result<Vec<Field>> {
    let name = |suffix: &str| format!("{}{suffix}", column.name);
    let normalize = column
        .normalize
        .map(|(mean, std)| ("normalize".to_owned(), serde_json::json!([mean, std]).to_string()));
    let described = [
        ("role".to_owned(), column.role.name().to_owned()),
        ("unit".to_owned(), column.unit.clone()),
        ("resample".to_owned(), column.resample.to_owned()),
        ("days".to_owned(), format!("{},{}", column.days.first, column.days.last)),
    ]
    .into_iter()
    .chain(normalize)
    .chain(column.levels.clone().map(|levels| ("levels".to_owned(), levels)))
    .collect::<HashMap<_, _>>();
    let present = Field::new(name("_present"), DataType::Boolean, false);
    match column.kind {
        ColumnKind::Grid(shape) => grid_fields(&name, shape, described, present)
            .map_err(|error| error.variable(&column.name)),
        ColumnKind::Points => {
            let list =
                |suffix: &str, item: DataType| Field::new(name(suffix), list_type(item), false);
            Ok(vec![
                list("", DataType::Float32).with_metadata(described),
                list("_lat", DataType::Float32),
                list("_lon", DataType::Float32),
                list("_time", DataType::Float64),
                list("_pressure", DataType::Float32),
                present,
            ])
        }
    }
}

fn grid_fields(
    name: &dyn Fn(&str) -> String,
    shape: GridShape,
    described: HashMap<String, String>,
    present: Field,
) -> Result<Vec<Field>> {
    let (dims, size) = (shape.dims(), shape.list_size()?);
    let days = shape.layers.map(|_| "time");
    let names: Vec<&str> =
        days.into_iter().chain(shape.levels.map(|_| "level")).chain(["y", "x"]).collect();
    let mut values = tensor_field(name(""), DataType::Float32, &dims, size, &names);
    let mut metadata = values.metadata().clone();
    metadata.extend(described);
    values.set_metadata(metadata);
    let mut fields =
        vec![values, tensor_field(name("_mask"), DataType::UInt8, &dims, size, &names), present];
    if shape.support {
        fields.push(tensor_field(name("_support"), DataType::Float32, &dims, size, &names));
    }
    if shape.axes {
        for (suffix, side, dim) in [("_lat", shape.height, "y"), ("_lon", shape.width, "x")] {
            // No longer than the whole, which fits.
            let length = side as i32;
            fields.push(tensor_field(name(suffix), DataType::Float32, &[side], length, &[dim]));
        }
    }
    Ok(fields)
}

/// A list of non-null items.
pub fn list_type(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, false)))
}

/// A `arrow.fixed_shape_tensor` field. The metadata are written by hand: arrow-rs 59 serialises
/// `dim_names: null` and `permutations`, which pyarrow refuses or misreads.
fn tensor_field(
    name: String,
    item: DataType,
    dims: &[usize],
    size: i32,
    dim_names: &[&str],
) -> Field {
    let item = Arc::new(Field::new("item", item, false));
    let extension = serde_json::json!({ "shape": dims, "dim_names": dim_names }).to_string();
    Field::new(name, DataType::FixedSizeList(item, size), false).with_metadata(HashMap::from([
        ("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned()),
        ("ARROW:extension:metadata".to_owned(), extension),
    ]))
}

//! The schema of a batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use crate::collate::{ColumnKind, GridShape};

/// Whether a variable is an input, a target, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Role {
    /// An input.
    pub input: bool,
    /// A target.
    pub target: bool,
}

impl Role {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match (self.input, self.target) {
            (true, true) => "input,target",
            (false, true) => "target",
            _ => "input",
        }
    }
}

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
}

/// The schema of batches of these variables.
pub fn batch_schema(columns: &[ColumnField], metadata: HashMap<String, String>) -> Schema {
    let mut fields: Vec<Field> = columns.iter().flat_map(variable_fields).collect();
    fields.push(Field::new("query", DataType::Int64, false));
    for edge in ["lon_min", "lon_max", "lat_min", "lat_max"] {
        fields.push(Field::new(edge, DataType::Float64, false));
    }
    fields.push(Field::new("time_start", DataType::Date32, false));
    fields.push(Field::new("time_end", DataType::Date32, false));
    fields.push(Field::new("n_files", DataType::Int32, false));
    fields.push(Field::new("status", DataType::UInt8, false));
    fields.push(Field::new("sample_weight", DataType::Float32, false));
    Schema::new_with_metadata(fields, metadata)
}

fn variable_fields(column: &ColumnField) -> Vec<Field> {
    let name = |suffix: &str| format!("{}{suffix}", column.name);
    let normalize = column
        .normalize
        .map(|(mean, std)| ("normalize".to_owned(), serde_json::json!([mean, std]).to_string()));
    let described = [
        ("role".to_owned(), column.role.name().to_owned()),
        ("unit".to_owned(), column.unit.clone()),
        ("resample".to_owned(), column.resample.to_owned()),
    ]
    .into_iter()
    .chain(normalize)
    .collect::<HashMap<_, _>>();
    let present = Field::new(name("_present"), DataType::Boolean, false);
    match column.kind {
        ColumnKind::Grid(shape) => grid_fields(&name, shape, described, present),
        ColumnKind::Points => {
            let list =
                |suffix: &str, item: DataType| Field::new(name(suffix), list_type(item), false);
            vec![
                list("", DataType::Float32).with_metadata(described),
                list("_lat", DataType::Float32),
                list("_lon", DataType::Float32),
                list("_time", DataType::Float64),
                list("_pressure", DataType::Float32),
                present,
            ]
        }
    }
}

fn grid_fields(
    name: &dyn Fn(&str) -> String,
    shape: GridShape,
    described: HashMap<String, String>,
    present: Field,
) -> Vec<Field> {
    let dims = shape.dims();
    let names: &[&str] = if dims.len() == 3 { &["time", "y", "x"] } else { &["y", "x"] };
    let mut values = tensor_field(name(""), DataType::Float32, &dims, names);
    let mut metadata = values.metadata().clone();
    metadata.extend(described);
    values.set_metadata(metadata);
    let mut fields =
        vec![values, tensor_field(name("_mask"), DataType::UInt8, &dims, names), present];
    if shape.support {
        fields.push(tensor_field(name("_support"), DataType::Float32, &dims, names));
    }
    if shape.axes {
        fields.push(tensor_field(name("_lat"), DataType::Float32, &[shape.height], &["y"]));
        fields.push(tensor_field(name("_lon"), DataType::Float32, &[shape.width], &["x"]));
    }
    fields
}

/// A list of non-null items.
pub fn list_type(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, false)))
}

/// A `arrow.fixed_shape_tensor` field. The metadata are written by hand: arrow-rs 59 serialises
/// `dim_names: null` and `permutations`, which pyarrow refuses or misreads.
fn tensor_field(name: String, item: DataType, dims: &[usize], dim_names: &[&str]) -> Field {
    let size = dims.iter().product::<usize>() as i32;
    let item = Arc::new(Field::new("item", item, false));
    let extension = serde_json::json!({ "shape": dims, "dim_names": dim_names }).to_string();
    Field::new(name, DataType::FixedSizeList(item, size), false).with_metadata(HashMap::from([
        ("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned()),
        ("ARROW:extension:metadata".to_owned(), extension),
    ]))
}

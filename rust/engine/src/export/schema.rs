//! The schema of a batch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use crate::collate::{ColumnKind, GridShape};
use crate::error::{Error, Result};
use crate::query::RelativeDays;
use crate::variable::Role;

/// What the schema says of a variable, or of several in one tensor.
pub struct ColumnField {
    /// The name of its own column.
    pub name: String,
    /// Its columns.
    pub kind: ColumnKind,
    /// Input, target, or both.
    pub role: Role,
    /// What it holds; several, or one whose tensor has channels, are described channel by channel.
    pub members: Vec<MemberField>,
}

/// One variable of a column.
pub struct MemberField {
    /// Its name.
    pub name: String,
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
    /// The variable whose values were taken from its own.
    pub anomaly: Option<String>,
    /// The names of its planes, as channels of a tensor.
    pub channels: Vec<String>,
}

impl MemberField {
    /// What is said of it, by key.
    fn described(&self) -> BTreeMap<String, String> {
        let normalize =
            self.normalize.map(|(mean, std)| serde_json::json!([mean, std]).to_string());
        let told = [
            ("unit", Some(self.unit.clone())),
            ("resample", Some(self.resample.to_owned())),
            ("days", Some(format!("{},{}", self.days.first, self.days.last))),
            ("normalize", normalize),
            ("levels", self.levels.clone()),
            ("anomaly", self.anomaly.clone()),
        ];
        told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

/// The schema of batches of these variables; `augmented` ones say how each row lies.
///
/// # Errors
/// `InvalidInput`: a tensor has more values than Arrow counts.
pub fn batch_schema(
    columns: &[ColumnField],
    augmented: bool,
    metadata: HashMap<String, String>,
) -> Result<Schema> {
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
    if augmented {
        fields.push(Field::new("augmentation", DataType::UInt8, false));
    }
    Ok(Schema::new_with_metadata(fields, metadata))
}

fn variable_fields(column: &ColumnField) -> Result<Vec<Field>> {
    let name = |suffix: &str| format!("{}{suffix}", column.name);
    let mut described = match (column.members.as_slice(), column.kind) {
        (_, ColumnKind::Grid(GridShape { channels: Some(_), .. })) => {
            let names: Vec<&String> = column.members.iter().flat_map(|m| &m.channels).collect();
            let members = column.members.iter().map(|member| {
                let mut told = member.described();
                told.insert("name".to_owned(), member.name.clone());
                told.insert("channels".to_owned(), member.channels.len().to_string());
                told
            });
            let members: Vec<BTreeMap<String, String>> = members.collect();
            BTreeMap::from([
                ("channels".to_owned(), serde_json::json!(names).to_string()),
                ("members".to_owned(), serde_json::json!(members).to_string()),
            ])
        }
        ([member], _) => member.described(),
        _ => return Err(Error::internal("a column of several variables without channels")),
    };
    described.insert("role".to_owned(), column.role.name().to_owned());
    let described: HashMap<String, String> = described.into_iter().collect();
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
    let planes = [
        shape.channels.map(|_| "channel"),
        shape.layers.map(|_| "time"),
        shape.levels.map(|_| "level"),
    ];
    let names: Vec<&str> = planes.into_iter().flatten().chain(["y", "x"]).collect();
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

//! The columns of a batch: a tensor each of one variable, or of several as its channels.

use super::setup::{Request, Setup};
use crate::collate::{ColumnKind, Columns, GridShape, Member};
use crate::error::{Error, Result};
use crate::export::{ColumnField, MemberField};
use crate::granule::Selection;
use crate::render::GridRule;
use crate::variable::Geometry;

impl Setup {
    /// The columns of a batch, and which request fills which planes of them.
    pub fn columns(&self) -> Result<Columns> {
        let mut columns = Columns::default();
        for requests in self.by_column() {
            let kinds = requests.iter().map(|request| self.kind(request));
            let kinds = kinds.collect::<Result<Vec<_>>>()?;
            let column = columns.kinds.len();
            columns
                .members
                .extend(kinds.iter().map(|kind| Member { column, planes: kind.planes() }));
            columns.kinds.push(match (requests, kinds.as_slice()) {
                ([Request { tensor: None, .. }, ..], [kind]) => *kind,
                _ => joined(requests, &kinds)?,
            });
        }
        Ok(columns)
    }

    /// What a schema says of the columns.
    pub fn fields(&self) -> Result<Vec<ColumnField>> {
        let kinds = self.columns()?.kinds;
        let column = |(requests, kind): (&[Request], ColumnKind)| {
            let first = requests.first().ok_or_else(|| Error::internal("a column of nothing"))?;
            Ok(ColumnField {
                name: first.tensor.clone().unwrap_or_else(|| first.variable.name.clone()),
                kind,
                role: first.role,
                members: requests.iter().map(|r| self.member(r)).collect::<Result<_>>()?,
            })
        };
        self.by_column().zip(kinds).map(column).collect()
    }

    /// Where the components of vectors that flips and turns change lie, as JSON: of each pair the
    /// column, the first plane and how many, twice.
    pub fn vectors(&self) -> Result<Option<String>> {
        let vectors = match &self.options.augment {
            Some(augment) if !augment.vectors.is_empty() => &augment.vectors,
            _ => return Ok(None),
        };
        let fields = self.fields()?;
        let members = self.columns()?.members;
        let place = |request: usize| {
            let member = members.get(request)?;
            let before = members.iter().take(request).filter(|other| other.column == member.column);
            let first: usize = before.map(|other| other.planes).sum();
            Some((&fields.get(member.column)?.name, first, member.planes))
        };
        let pair = |&(east, north): &(usize, usize)| [place(east), place(north)];
        let pairs: Vec<_> = vectors.iter().map(pair).collect();
        Ok(Some(serde_json::json!(pairs).to_string()))
    }

    /// The requests of each column.
    fn by_column(&self) -> impl Iterator<Item = &[Request]> {
        self.requests.chunk_by(|a, b| a.tensor.is_some() && a.tensor == b.tensor)
    }

    fn member(&self, request: &Request) -> Result<MemberField> {
        let Request { variable, selections, rules, minus, .. } = request;
        let kind = self.kind(request)?;
        Ok(MemberField {
            name: variable.name.clone(),
            unit: variable.unit.clone(),
            resample: match variable.geometry {
                Geometry::Grid => rules.resampling.name(),
                Geometry::Points => "none",
            },
            normalize: rules.normalize,
            days: request.days,
            levels: selected(selections),
            anomaly: minus.as_ref().map(|minus| minus.variable.name.clone()),
            channels: channel_names(request, kind),
        })
    }

    fn kind(&self, request: &Request) -> Result<ColumnKind> {
        let Request { variable, selections, rules, shape, .. } = request;
        Ok(match variable.geometry {
            Geometry::Points => ColumnKind::Points,
            Geometry::Grid => {
                let (height, width) = shape.ok_or_else(|| {
                    Error::invalid_input("batches need a patch size for every gridded variable")
                        .variable(&variable.name)
                })?;
                ColumnKind::Grid(GridShape {
                    layers: if request.is_stacked() {
                        Some(self.window_days(request)?)
                    } else {
                        None
                    },
                    levels: Selection::levels(selections),
                    channels: None,
                    height,
                    width,
                    support: self.options.support,
                    axes: rules.grid == GridRule::Crop,
                })
            }
        })
    }

    /// The one window length of all queries, which a stacked tensor needs.
    fn window_days(&self, request: &Request) -> Result<usize> {
        let asked = self.queries.iter().map(|query| request.asked(query));
        let mut lengths: Vec<usize> = asked.map(|query| query.n_days()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        match lengths[..] {
            [one] => Ok(one),
            _ => Err(Error::invalid_input(format!(
                "temporal_agg=\"stack\" needs queries of one window length; these have {lengths:?} days"
            ))
            .variable(&request.variable.name)),
        }
    }
}

/// One tensor of all planes of its members.
fn joined(requests: &[Request], kinds: &[ColumnKind]) -> Result<ColumnKind> {
    let mut whole: Option<GridShape> = None;
    for (request, kind) in requests.iter().zip(kinds) {
        let tensor = request.tensor.as_deref().unwrap_or_default();
        let refused = |why: String| {
            Err(Error::invalid_input(format!("cannot be a channel of {tensor:?}: {why}"))
                .variable(&request.variable.name))
        };
        let ColumnKind::Grid(shape) = kind else {
            return refused("it has profiles, not pixels; give it a column of its own".to_owned());
        };
        if shape.axes {
            return refused(
                "it lies on its own cells; give it grid=\"exact\" or a column of its own"
                    .to_owned(),
            );
        }
        let (height, width) = (shape.height, shape.width);
        match &mut whole {
            Some(whole) if (whole.height, whole.width) != (height, width) => {
                return refused(format!(
                    "it has {height} x {width} pixels, not {} x {} as the channel before it; give \
                     all one size in patch_sizes",
                    whole.height, whole.width
                ));
            }
            Some(whole) => {
                whole.channels = whole.channels.map(|n| n.saturating_add(kind.planes()));
            }
            None => {
                let channels = Some(kind.planes());
                whole = Some(GridShape { channels, layers: None, levels: None, ..*shape });
            }
        }
    }
    whole.map(ColumnKind::Grid).ok_or_else(|| Error::internal("a column of nothing"))
}

/// The names of a request's planes: its own, with the day of a stack (relative to the first day of the
/// query) and the level of a list.
fn channel_names(request: &Request, kind: ColumnKind) -> Vec<String> {
    let name = &request.variable.name;
    let ColumnKind::Grid(GridShape { layers, .. }) = kind else { return Vec::new() };
    let days: Vec<Option<String>> = match layers {
        None => vec![None],
        Some(n) => {
            let day = |i: usize| Some((i64::from(request.days.first) + i as i64).to_string());
            (0..n).map(day).collect()
        }
    };
    let listed = request.selections.iter().filter(|selection| selection.listed);
    // The last list varies fastest, as the levels do.
    let places = listed.fold(vec![Vec::new()], |before, selection| {
        let with = |place: &String| format!("{}={place}", selection.dimension);
        let places: Vec<String> = selection.places.names().iter().map(with).collect();
        let all = before.iter().flat_map(|before: &Vec<String>| {
            places
                .iter()
                .map(move |place| [before.as_slice(), std::slice::from_ref(place)].concat())
        });
        all.collect()
    });
    let named = |day: &Option<String>, places: &Vec<String>| {
        let parts: Vec<String> = day.iter().chain(places).cloned().collect();
        if parts.is_empty() { name.clone() } else { format!("{name}[{}]", parts.join(", ")) }
    };
    days.iter().flat_map(|day| places.iter().map(move |places| named(day, places))).collect()
}

/// What is selected, as a schema says it.
fn selected(selections: &[Selection]) -> Option<String> {
    let of = |selection: &Selection| {
        let places = selection.places.names().join(",");
        let places = if selection.listed { format!("[{places}]") } else { places };
        format!("{}={places}", selection.dimension)
    };
    let texts: Vec<String> = selections.iter().map(of).collect();
    (!texts.is_empty()).then(|| texts.join(";"))
}

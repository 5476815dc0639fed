//! Python bindings of the oceanarrow engine: conversions only, one file a Python-visible concept.

mod augment;
mod batch;
mod catalog;
mod disk_cache;
mod engine;
mod error;
mod events;
mod frozen;
mod granule;
mod indexing;
mod leaks;
mod listing;
mod options;
mod order;
mod progress;
mod query;
mod request;
mod schema;
mod statistics;
mod store;
mod stream;
mod subset;
mod tensor;

use oceanarrow_engine::render::RULES_VERSION;
use oceanarrow_engine::store::DiskCache;
use pyo3::prelude::*;

/// The native module of oceanarrow; `_engine.pyi` documents it.
#[pymodule(gil_used = true)]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DISK_CACHE_FORMAT", DiskCache::format())?;
    module.add("RULES_VERSION", RULES_VERSION)?;
    module.add_class::<batch::Batch>()?;
    module.add_class::<catalog::Catalog>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<order::Order>()?;
    module.add_class::<request::Request>()?;
    module.add_class::<store::Store>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<listing::Survey>()?;
    module.add_class::<subset::Subset>()?;
    module.add_class::<subset::Transfer>()?;
    module.add_class::<tensor::Tensor>()?;
    module.add_function(wrap_pyfunction!(disk_cache::measure_disk_cache, module)?)?;
    module.add_function(wrap_pyfunction!(disk_cache::prune_disk_cache, module)?)?;
    module.add_function(wrap_pyfunction!(error::error_kinds, module)?)?;
    module.add_function(wrap_pyfunction!(events::event_kinds, module)?)?;
    module.add_function(wrap_pyfunction!(events::take_events, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::cell_digests, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::open_frozen, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::write_shard, module)?)?;
    module.add_function(wrap_pyfunction!(granule::read_points, module)?)?;
    module.add_function(wrap_pyfunction!(granule::read_window, module)?)?;
    module.add_function(wrap_pyfunction!(indexing::write_index, module)?)?;
    module.add_function(wrap_pyfunction!(leaks::find_leaks, module)?)?;
    module.add_function(wrap_pyfunction!(listing::listed_variables, module)?)?;
    module.add_function(wrap_pyfunction!(listing::survey_files, module)?)?;
    module.add_function(wrap_pyfunction!(order::content_id, module)?)?;
    module.add_function(wrap_pyfunction!(order::order_key, module)?)?;
    module.add_function(wrap_pyfunction!(order::order_permute, module)?)?;
    module.add_function(wrap_pyfunction!(request::built_in_variables, module)?)?;
    module.add_function(wrap_pyfunction!(request::same_unit, module)?)?;
    module.add_function(wrap_pyfunction!(statistics::measure_statistics, module)?)?;
    module.add_function(wrap_pyfunction!(statistics::seen_days, module)?)?;
    module.add_function(wrap_pyfunction!(statistics::summarize, module)?)?;
    Ok(())
}

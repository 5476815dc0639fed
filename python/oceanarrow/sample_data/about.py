"""What the sample data say about themselves."""

from __future__ import annotations

from datetime import date

from oceanarrow.sample_data.download import ATTRIBUTION

_HEAD = """\
# A small ocean to try things with

{days} day(s) from {start}, grids coarsened {scale:g} times. Written by `oceanarrow sample-data`.

{origin}
"""

_PART = """
`OceanTACO/`: a TACO folder of {sources} in eight regions, laid out, packed and chunked as OceanTACO
is published.
"""

_ALL = """
Everything else is synthetic: made so that it belongs together (eddies of sea level are warm or
cold, currents flow around them, the mean of what sensors see is what the analyses show), with gaps
as sensors have them. It is no measurement of any ocean.

* `OceanTACO/`: a TACO folder of eleven sources in eight regions, laid out, packed and chunked as
  OceanTACO is published. Sea level anomaly (`sla`, `ssha_*`) is `adt` less a smooth mean.
* `files/`: the same ocean as plain files.
  * `ssh/`: daily, global, longitudes 0..360.
  * `ghrsst/`: daily temperature in kelvin with `quality_level` and `sea_ice_fraction`.
  * `model/`: daily temperature at three depths.
  * `wind_*_days.nc`: many days in one file.
  * `bathymetry.nc`: no time.
  * `sst_climatology.nc`: twelve months.

Try:

```sh
oceanarrow catalog 'files/ssh/*.nc' --variables ssh=sla u=ugos v=vgos -o files/ssh.parquet
oceanarrow catalog 'files/ghrsst/*.nc' --variables sst=analysed_sst --units sst=degC \\
    --valid quality_level=4:5 sea_ice_fraction=:0.15 -o files/sst.parquet
oceanarrow catalog files/bathymetry.nc --variables depth=elevation --static -o files/depth.parquet
oceanarrow catalog files/sst_climatology.nc --variables normal=sst --units normal=degC \\
    --cycle month -o files/normal.parquet
```

```python
from oceanarrow import Loader
from oceanarrow.dataset import Query

files = [f"files/{{name}}.parquet" for name in ("ssh", "sst", "depth", "normal")]
queries = [Query(-60.0, -50.0, 30.0, 40.0, "{start}", "{start}")]
for batch in Loader(files, queries, {{"x": ["ssh", "sst", "depth", "sin_latitude"]}},
                    anomaly={{"sst": "normal"}}, default_patch_size=(64, 64), batch_size=1):
    print(batch, batch.to_numpy()["metadata"]["channels"])
```
"""

_REAL = f"Real: {ATTRIBUTION}. Maps are averaged to the grids' cells, gaps on land aside."
_MADE_UP = "Nothing here is real: sea level is made of random waves, and orbits are circular."


def readme(synthetic: bool, days: list[date], scale: float, sources: list[str] | None) -> str:
    """The text of `README.md`, of some sources or all that there is."""
    origin = _MADE_UP if synthetic else _REAL
    head = _HEAD.format(origin=origin, days=len(days), start=days[0], scale=scale)
    if sources is None:
        return head + _ALL.format(start=days[0])
    return head + _PART.format(sources=", ".join(sources))

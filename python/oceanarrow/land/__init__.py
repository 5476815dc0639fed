"""Where land is: a mask for choosing queries, outlines for drawing maps. Natural Earth 1:110m."""

from oceanarrow.land.mask import LandMask
from oceanarrow.land.outlines import Outline, outlines

__all__ = ["LandMask", "Outline", "outlines"]

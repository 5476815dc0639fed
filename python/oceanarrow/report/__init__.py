"""`oceanarrow report`: a page that shows what there is in a dataset."""

from oceanarrow.report.page import write_report

__all__ = ["write_report"]

"""Where the published dataset lives."""

from __future__ import annotations

HF_DEFAULT_URL = "https://huggingface.co/datasets/nilsleh/OceanTACO/resolve/main/"
"""Root of OceanTACO on the Hugging Face Hub; give it as `taco_path`."""

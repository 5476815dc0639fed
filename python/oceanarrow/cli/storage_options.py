"""`--storage-option KEY=VALUE`, for commands that read a dataset."""

from __future__ import annotations

import argparse
import json
from typing import Any

_TEXTS = {
    "access_key_id",
    "account",
    "endpoint",
    "region",
    "secret_access_key",
    "session_token",
    "token",
}
"""What is text even if it looks like a number."""


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Adds the option; `storage_options(options)` gives what the user said."""
    parser.add_argument(
        "--storage-option",
        action="append",
        default=[],
        type=_entry,
        metavar="KEY=VALUE",
        dest="storage_options",
        help="an option of a remote dataset's store, such as endpoint, region, anonymous=true, "
        'timeout=60 or headers=\'{"X-Key": "..."}\'; may be repeated. Other users of this machine '
        "can see it: keep tokens in the environment (HF_TOKEN, AWS_SECRET_ACCESS_KEY)",
    )


def storage_options(options: argparse.Namespace) -> dict[str, Any]:
    """The storage options, as `oceanarrow.Loader` takes them."""
    return dict(options.storage_options)


def _entry(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError("expected KEY=VALUE")
    if key in _TEXTS:
        return key, value
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value

"""Functions that pass their arguments on, and show whose they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_arguments_of(source: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Shows the parameters of `source` in the place of `*args` and `**kwargs`."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = signature.parameters.values()
        before = [
            parameter for parameter in own if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
        ]
        after = [parameter for parameter in own if parameter.kind is Parameter.KEYWORD_ONLY]
        passed = inspect.signature(source).parameters.values()
        shown = signature.replace(parameters=[*before, *passed, *after])
        vars(function)["__signature__"] = shown
        return function

    return decorate

"""Configuration templates: @name@ stands for a value. A name without a value is an error, so a typo cannot reach a running server."""

import re
from typing import Mapping

_PLACEHOLDER = re.compile(r"@([a-z][a-z0-9_.]*)@")


def fill(template: str, values: Mapping[str, str]) -> str:
    unknown = sorted({name for name in _PLACEHOLDER.findall(template) if name not in values})
    if unknown:
        raise KeyError(f"no value for {', '.join(unknown)}; there are {', '.join(sorted(values))}")
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)

#!/usr/bin/env python3
"""Writes files as C arrays of known size: embed.py OUTPUT.c OUTPUT.h NAME=FILE...; each becomes `const char NAME[]`."""

import sys
from pathlib import Path

source, header, *pairs = sys.argv[1:]
definitions, declarations = [f'#include "{Path(header).name}"'], ["#pragma once"]
for pair in pairs:
    name, path = pair.split("=", 1)
    data = Path(path).read_bytes()
    declarations.append(f"extern const char {name}[{len(data)}];")
    values = ",".join(str(byte - 256 if byte > 127 else byte) for byte in data)
    definitions.append(f"const char {name}[{len(data)}] = {{{values}}};")
Path(source).write_text("\n".join(definitions) + "\n")
Path(header).write_text("\n".join(declarations) + "\n")

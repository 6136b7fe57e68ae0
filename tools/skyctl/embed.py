"""Writes a file's bytes as a C array: embed.py INPUT OUTPUT NAME."""

import sys

source, target, name = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
rows = (",".join(str(byte) for byte in data[at : at + 32]) for at in range(0, len(data), 32))
with open(target, "w", encoding="ascii") as file:
    file.write(f"#include <stddef.h>\nextern const unsigned char {name}[];\nextern const size_t {name}_size;\n")
    file.write(f"const unsigned char {name}[] = {{\n" + ",\n".join(rows) + f"\n}};\nconst size_t {name}_size = {len(data)};\n")

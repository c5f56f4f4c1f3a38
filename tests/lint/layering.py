#!/usr/bin/env python3
"""Fails when code reaches where its folder must not: to another layer, a library, the terminal, the environment.

The tables are the architecture; the drawing in src/README.md shows the same edges.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

MAY_USE = {
    "src/base": set(),
    "src/crypto": {"src/base"},
    "src/http": {"src/base", "src/crypto"},
    "wallet": {"src/base", "src/crypto"},
    "src/payment": {"src/base", "src/crypto", "src/http", "wallet"},
    "src/protocols": {"src/base", "src/crypto", "src/http", "src/payment"},
    "src/evm": {"src/base", "src/crypto", "src/http"},
    "src/discovery": {"src/base"},
    "src/validation": {"src/base", "src/crypto", "src/discovery", "src/http", "src/payment", "wallet"},
    "src/methods": {"src/base", "src/crypto", "src/evm", "src/http", "src/payment", "wallet"},
    "commands": {"src/base", "src/crypto", "src/discovery", "src/evm", "src/http", "src/methods", "src/payment", "src/protocols",
                 "src/validation", "wallet"},
    "src/main.cpp": {"src/base", "commands"},
}

# Libraries, by the start of their headers' names, and the only folder that may include them.
LIBRARIES = {
    "nlohmann/": "src/base", "secp256k1": "src/crypto", "openssl/": "src/crypto", "curl/": "src/http", "wslay/": "src/http",
    "sqlite3": "wallet", "libsecret/": "wallet", "toml++/": "wallet", "CLI/": "commands",
}

# What only these files may do. Below `commands` nothing prints, nothing ends the process.
DEEDS = [
    (r"\bgetenv\(|\bunsetenv\(|\bsetenv\(|\benviron\b", "touches the environment",
     {"wallet/settings.cpp", "wallet/environment.cpp"}),
    (r"\bstd::(cout|cerr|clog)\b|\b(f?printf|puts|fputs|perror)\(|STD(OUT|ERR)_FILENO\b|\bstd(out|err)\b(?!\w)",
     "talks to people", {"commands/"}),
    (r"(?<![\w.>])(?:::|std::)?(_?exit|quick_exit)\(", "ends the process", {"commands/signals.cpp", "commands/parallel.cpp"}),
    (r"\bthrow\b", "throws", set()),
    (r"\b(rand|srand|time|localtime|gmtime)\(", "uses time or chance that a test cannot set", set()),
]


def owner(path):
    """The entry of MAY_USE for `path`; None for a folder it does not know."""
    return next((name for name in MAY_USE if path == name or path.startswith(name + "/")), None)


def method_of(path):
    found = re.match(r"src/methods/(\w+)/", path)
    return found and found[1]


def include_error(path, own, line):
    library = re.match(r"\s*#\s*include <(.+)>", line)
    if library:
        home = next((folder for start, folder in LIBRARIES.items() if library[1].startswith(start)), own)
        return None if home == own else f"<{library[1]}> is for {home} only"
    included = re.match(r'\s*#\s*include "(.+)"', line)
    if not included:
        return None
    used = owner(included[1])
    if used is None:
        return f"include by path from the root, not {included[1]}"
    if used != own and used not in MAY_USE[own]:
        return f"{own} may not use {used}"
    if method_of(path) and method_of(included[1]) not in (None, method_of(path)):
        return "one payment method may not use another"
    return None


def without_texts(line):
    """The line without its strings and its comment."""
    return re.sub(r"//.*", "", re.sub(r'"(\\.|[^"\\])*"', '""', line))


def errors_of(file):
    path = str(file.relative_to(ROOT))
    own = owner(path)
    if own is None:
        yield f"{path}: its folder is not in the table of tests/lint/layering.py"
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        wrong = include_error(path, own, line)
        if wrong:
            yield f"{path}:{number}: {wrong}"
        for pattern, deed, places in DEEDS:
            if re.search(pattern, without_texts(line)) and not any(path.startswith(place) for place in places):
                yield f"{path}:{number}: {deed}"


def main():
    files = [file for root in ("src", "commands", "wallet") for file in sorted((ROOT / root).rglob("*.[ch]*"))]
    errors = [error for file in files for error in errors_of(file)]
    print("\n".join(errors) or f"layering: {len(files)} files ok")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())

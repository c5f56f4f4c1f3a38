#!/usr/bin/env python3
"""Fails when man page, completions, tests or contract say something else than the program.

    tests/lint/documents.py       PAYCURL names the binary (default: build/dev/paycurl)
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAYCURL = os.environ.get("PAYCURL", str(ROOT / "build/dev/paycurl"))
COMMON_GROUPS = ("Common", "Output")  # of subcommands: declared once for all of them
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z0-9#][A-Za-z0-9.-]*")

errors = []


def output_of(*arguments):
    return subprocess.run([PAYCURL, *arguments], capture_output=True, text=True, check=True).stdout


def differ(what, ours, theirs, where):
    errors.extend(f"{where}: {what} {name} is missing" for name in sorted(ours - theirs))
    errors.extend(f"{where}: {what} {name} does not exist" for name in sorted(theirs - ours))


def options_of(help_text, skip=()):
    """The options of a help text, each a tuple of its names, leaving out whole groups."""
    options, group = [], ""
    for line in help_text.splitlines():
        if re.match(r"\w.*:$", line):
            group = line[:-1]
        elif line.startswith("  -") and group not in skip:
            options.append(tuple(OPTION.findall(re.split(r"  +", line.strip())[0])))
    return options


def man_sections():
    """Section name to the source lines in it."""
    sections, lines = {}, []
    for line in (ROOT / "man/paycurl.1").read_text().splitlines():
        if line.startswith(".Sh "):
            lines = sections.setdefault(line[4:], [])
        lines.append(line)
    return sections


def man_options(lines):
    """The options that have an entry: ".It Fl X , Fl -request Ar method"."""
    names = set()
    for line in lines:
        if line.startswith(".It Fl "):
            names.update("-" + name for name in re.findall(r"\bFl (\S+)", line))
    return names


def check_options(sections):
    helps = {"OPTIONS": options_of(output_of("--help", "all")),
             "ACCOUNTS": options_of(output_of("account", "--help"), COMMON_GROUPS),
             "SESSIONS": options_of(output_of("sessions", "--help"), COMMON_GROUPS),
             "PAYMENTS": options_of(output_of("payments", "--help"), COMMON_GROUPS),
             "SIGN": options_of(output_of("sign", "--help", "all"), COMMON_GROUPS),
             "SERVICES": options_of(output_of("services", "--help"), COMMON_GROUPS)}
    for section, options in helps.items():
        declared, described = {name for option in options for name in option}, man_options(sections[section])
        if section != "OPTIONS":  # there one of the names is enough
            described |= {name for option in options for name in option if described & set(option)}
        differ("option", declared, described, f"man/paycurl.1 {section}")
    tests = "".join(path.read_text() for pattern in ("cli/*.txt", "e2e/*.py", "unit/**/*.cpp")
                    for path in sorted((ROOT / "tests").glob(pattern)))
    for option in sorted(set().union(*helps.values())):
        names = "|".join(re.escape(name) for name in option + tuple("--no-" + n[2:] for n in option))
        if not re.search(rf"(?<![\w-])({names})(?![\w-])", tests):
            errors.append("tests: no test uses " + ", ".join(option))


def check_commands(sections):
    commands = {line.split()[0] for line in output_of("--help").split("Commands")[1].splitlines()[1:] if line.strip()}
    described = set(re.findall(r"^\.(?:Op )?Cm (\w+)", "\n".join(sections["SYNOPSIS"]), re.M))
    verbs = set()
    for command in ("account", "sessions", "payments", "services"):
        usage = output_of(command, "--help").splitlines()[0]
        verbs |= {(command, verb) for verb in re.findall(r"[a-z]+(?= \||(?: \[))", usage.split(command, 1)[1])}
    entries = set(re.findall(r"^\.It Cm (account|sessions|payments|services) (\w+)", "\n".join(sum(sections.values(), [])), re.M))
    differ("command", commands, described & commands | (described - commands - {"create", "list", "bash"}),
           "man/paycurl.1 SYNOPSIS")
    differ("command", {" ".join(v) for v in verbs}, {" ".join(v) for v in entries}, "man/paycurl.1")


def check_exit_status(sections):
    declared = set(re.findall(r"^  \w+ = (\d+),", (ROOT / "src/base/error.h").read_text(), re.M))
    declared -= {"3"}  # a range of curl's
    described = set()
    for line in sections["EXIT STATUS"]:
        if line.startswith(".It "):
            described.update(re.findall(r"(?<![-\d])\d+(?![-\d])", line))
        described.update(re.findall(r"\b22\b", line))
    differ("exit status", declared, described - {"0"}, "man/paycurl.1 EXIT STATUS")


def check_write_out(sections):
    ours = set(re.findall(r'\{"(payment_\w+)"', (ROOT / "commands/write_out.cpp").read_text()))
    theirs = set(re.findall(r"payment_\w+", "\n".join(sections["OPTIONS"])))
    differ("variable", ours, theirs, "man/paycurl.1 --write-out")


def check_environment(sections):
    sources = "".join((ROOT / path).read_text() for path in ("wallet/settings.cpp", "wallet/environment.cpp",
                                                             "wallet/accounts.cpp"))
    # Read for later options only, or not ours to describe.
    unused = {"SSLKEYLOGFILE", "HOME", "DISPLAY", "WAYLAND_DISPLAY"}
    ours = set(re.findall(r'"((?:PAYCURL|MPPX|SSL|CURL)_[A-Z_]+[A-Z])_?"', sources)) - unused
    theirs = set(re.findall(r"\b(?:PAYCURL|MPPX|SSL|CURL)_[A-Z_]+[A-Z]", "\n".join(sections["ENVIRONMENT"])))
    differ("variable", ours, theirs, "man/paycurl.1 ENVIRONMENT")


def check_completions():
    for shell, name in (("bash", "paycurl.bash"), ("zsh", "_paycurl"), ("fish", "paycurl.fish")):
        if (ROOT / "completions" / name).read_text() != output_of("completions", shell):
            errors.append(f"completions/{name}: write it again with: paycurl completions {shell}")


def check_sources_are_listed():
    listed = (ROOT / "CMakeLists.txt").read_text() + (ROOT / "tests/CMakeLists.txt").read_text()
    for folder in ("src", "commands", "wallet"):
        for path in sorted((ROOT / folder).rglob("*.cpp")):
            if str(path.relative_to(ROOT)) not in listed:
                errors.append(f"CMakeLists.txt: {path.relative_to(ROOT)} is missing")


def check_map():
    """Every folder of the tree stands in src/README.md, and every path it names exists."""
    text = (ROOT / "src/README.md").read_text()
    for folder in ("src", "commands", "wallet"):
        for path in sorted({p.parent for p in (ROOT / folder).rglob("*.h")}):
            name = str(path.relative_to(ROOT))
            if name not in text:
                errors.append(f"src/README.md: {name} is missing")
    for name in re.findall(r"`((?:src|commands|wallet|tests|man|completions|scripts)/[\w./-]*\w)`", text):
        if not (ROOT / name).exists():
            errors.append(f"src/README.md: there is no {name}")


def main():
    sections = man_sections()
    check_options(sections)
    check_commands(sections)
    check_exit_status(sections)
    check_write_out(sections)
    check_environment(sections)
    check_completions()
    check_sources_are_listed()
    check_map()
    print("\n".join(errors) or "documents: ok")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())

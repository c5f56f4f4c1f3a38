#!/usr/bin/env python3
"""Fails when man page, completions, tests, contract or guides say something else than the program.

    tests/lint/documents.py                 PAYCURL names the binary (default: build/dev/paycurl)
    tests/lint/documents.py --self-check    takes an option out of each of them, and expects to hear of it
"""

import functools
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
replaced = {}  # by the self-check: what a file, or the program with these arguments, says instead


def text_of(name):
    return replaced.get(name) or (ROOT / name).read_text()


@functools.cache
def run(*arguments):
    return subprocess.run([PAYCURL, *arguments], capture_output=True, text=True, check=True).stdout


def output_of(*arguments):
    return replaced[arguments] if arguments in replaced else run(*arguments)


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
    for line in text_of("man/paycurl.1").splitlines():
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
             "SERVICES": options_of(output_of("services", "--help"), COMMON_GROUPS),
             "DOCTOR": options_of(output_of("doctor", "--help"), COMMON_GROUPS),
             "VALIDATION": [option for command in ("validate", "discover")
                            for option in options_of(output_of(command, "--help", "all"), COMMON_GROUPS)]}
    for section, options in helps.items():
        declared, described = {name for option in options for name in option}, man_options(sections[section])
        if section != "OPTIONS":  # there one of the names is enough
            described |= {name for option in options for name in option if described & set(option)}
        differ("option", declared, described, f"man/paycurl.1 {section}")
    tests = "".join(path.read_text() for pattern in ("cli/*.txt", "e2e/*.py", "e2e/*.txt", "unit/**/*.cpp")
                    for path in sorted((ROOT / "tests").glob(pattern)))
    for option in sorted(set().union(*helps.values())):
        names = "|".join(re.escape(name) for name in option + tuple("--no-" + n[2:] for n in option))
        if not re.search(rf"(?<![\w-])({names})(?![\w-])", tests):
            errors.append("tests: no test uses " + ", ".join(option))


def all_options():
    """The options of all commands, each a tuple of its names."""
    commands = [line.split()[0] for line in output_of("--help").split("Commands")[1].splitlines()[1:] if line.startswith("  ")]
    return set(options_of(output_of("--help", "all"))).union(*(options_of(output_of(name, "--help")) for name in commands[1:]))


def check_declarations():
    """The help is made from the parser: what the sources declare has to be in it."""
    declared = set()
    for path in sorted((ROOT / "commands").glob("*.cpp")):
        calls = re.findall(r'\.(?:flag|counter|action|value|list|ordered|add_option)\(\s*(?:\w+ \? "(-[^"]*)" : )?"(-[^"]*)"',
                           text_of(f"commands/{path.name}"))
        declared |= {name for names in calls for name in ",".join(names).split(",") if name.startswith("-")}
    differ("option", declared, {name for option in all_options() for name in option}, "--help")


def check_contract():
    """One of an option's names stands somewhere in the contract, and its lists of options name no others."""
    contract = text_of("man/contract.md")
    named = set(OPTION.findall(contract))
    options = all_options()
    for option in sorted(options):
        same = set().union(*(other for other in options if set(other) & set(option)))  # some commands leave a letter out
        if not named & (same | {"--no-" + name[2:] for name in option}):
            errors.append("man/contract.md: option " + ", ".join(option) + " is missing")
    known = {name for option in options for name in option}
    known |= {"--no-" + name[2:] for name in known if name.startswith("--")}
    later = contract.split("**Not there yet**")[1].split("\n\n")[0] if "**Not there yet**" in contract else ""
    listed = set()
    if "of curl's options" not in later:
        listed |= set(OPTION.findall(contract.split("## HTTP options")[1].split("**Not as in curl")[0]))
    for line in contract.split("## Payment options")[1].split("\n\nEnvironment forms")[0].splitlines():
        if line.startswith("| `"):
            listed |= set(OPTION.findall(line.split(" | ")[0]))
    for name in sorted(listed - known - set(OPTION.findall(later))):
        errors.append(f"man/contract.md: option {name} does not exist")


def check_guides():
    """The options in the examples of README and docs exist."""
    known = {name for option in all_options() for name in option}
    known |= {"--no-" + name[2:] for name in known if name.startswith("--")}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        name = str(path.relative_to(ROOT))
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", text_of(name)):
            if not (path.parent / link).exists():
                errors.append(f"{name}: there is no {link}")
        blocks = re.findall(r"^```(?:sh|sh run|console|yaml)?\n(.*?)^```", text_of(name), re.M | re.S)
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            for command in re.findall(r"(?:^|[\s(;|])paycurl((?: (?:'[^']*'|\"[^\"]*\"|[^|;#)\s]+))*)", line):
                bare = re.sub(r"'[^']*'|\"[^\"]*\"", "X", command)
                for option in re.findall(r"(?<= )--?[A-Za-z#][\w-]*", bare):
                    letters = not option.startswith("--") and {"-" + letter for letter in option[1:]}
                    if option not in known and not (letters and (letters <= known or option[:2] in known)):
                        errors.append(f"{name}: option {option} does not exist: {line.strip()}")


def check_commands(sections):
    commands = {line.split()[0] for line in output_of("--help").split("Commands")[1].splitlines()[1:] if line.strip()}
    described = set(re.findall(r"^\.(?:Op )?Cm (\w+)", "\n".join(sections["SYNOPSIS"]), re.M))
    verbs = set()
    for command in ("account", "sessions", "payments", "services", "config"):
        usage = output_of(command, "--help").splitlines()[0]
        verbs |= {(command, verb) for verb in re.findall(r"[a-z]+(?= \|| \[|$)", usage.split(command, 1)[1])}
    entries = set(re.findall(r"^\.It Cm (account|sessions|payments|services|config) (\w+)", "\n".join(sum(sections.values(), [])), re.M))
    differ("command", commands, described & commands | (described - commands - {"create", "list", "show", "bash"}),
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
        if text_of(f"completions/{name}") != output_of("completions", shell):
            errors.append(f"completions/{name}: write it again with: paycurl completions {shell}")


def check_curl_options():
    """docs/curl.md has a line for each of curl's options, and says truly whether it is there."""
    theirs = [line for line in text_of("tests/lint/curl-options.txt").splitlines() if not line.startswith("#")]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ?(.*?) ?\|$", text_of("docs/curl.md"), re.M)
    differ("option", set(theirs), {name for name, _, _ in rows}, "docs/curl.md")
    ours = {name for option in options_of(output_of("--help", "all")) for name in option}
    for option, state, text in rows:
        name = option.split(", ")[-1]
        is_there = name in ours or (name.startswith("--no-") and "--" + name[5:] in ours)
        if state not in ("same", "different", "not there"):
            errors.append(f"docs/curl.md: {name} is neither same, different nor not there")
        if is_there != (state != "not there"):
            errors.append(f"docs/curl.md: {name} is {'there' if is_there else 'not there'}")
        if state != "same" and not text.strip():
            errors.append(f"docs/curl.md: {name} is {state}, and nothing says how")
    known = set(re.findall(r'"([a-z0-9.-]+)",', text_of("commands/curl_options.cpp")))
    differ("option", {option.split("--")[1] for option in theirs}, known, "commands/curl_options.cpp")


def check_checks():
    """The checks of validate: ID, severity, sentence and source are in the table of docs/validate.md."""
    source = text_of("src/validation/check.cpp")
    drafts = dict(re.findall(r'string_view (k\w+) = "([^"]+)"', source))
    kinds = re.findall(r'CheckKind\{"([^"]+)", k(Fail|Warn),\s*"([^"]+)",\s*(?:(k\w+)|""), "([^"]*)"\}', source)
    ours = {f"| `{name}` | {severity.lower()}s | {sentence} | {', '.join(filter(None, (drafts.get(draft), section)))} |"
            for name, severity, sentence, draft, section in kinds}
    theirs = {line for line in text_of("docs/validate.md").splitlines() if re.match(r"\| `\w+\.", line)}
    differ("check", ours, theirs, "docs/validate.md")
    used = set(re.findall(r'"((?:discovery|challenge|request|error|payment|endpoints)\.[a-z0-9-]+)"', "".join(
        path.read_text() for path in [*(ROOT / "src/validation").glob("*.cpp"), ROOT / "commands/validate.cpp"]
        if path.name != "check.cpp")))
    differ("check", {kind[0] for kind in kinds}, used, "src/validation, commands/validate.cpp")


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


def check_all():
    sections = man_sections()
    check_options(sections)
    check_declarations()
    check_contract()
    check_guides()
    check_commands(sections)
    check_exit_status(sections)
    check_write_out(sections)
    check_environment(sections)
    check_completions()
    check_curl_options()
    check_checks()
    check_sources_are_listed()
    check_map()


def self_check():
    """An option that is missing in one place, or too many there, must be found; returns what was not."""
    option, unknown = "--max-redirs", "--no-such-option"
    without = lambda name: re.sub(rf"-?{option[1:]}(?![\w-])", "", text_of(name))
    help_lines = output_of("--help", "all").splitlines(keepends=True)
    declaration = f'.flag("{unknown}", o.nothing, "")'
    changes = {
        "man page without an option": {"man/paycurl.1": re.sub(r"^\.It Fl -max-redirs .*\n", "", text_of("man/paycurl.1"), flags=re.M)},
        "man page with an unknown one": {"man/paycurl.1": text_of("man/paycurl.1").replace(".It Fl -max-redirs ", f".It Fl {unknown[1:]} Ar n\n.It Fl -max-redirs ")},
        "contract without an option": {"man/contract.md": without("man/contract.md")},
        "contract with an unknown one": {"man/contract.md": text_of("man/contract.md").replace("| `--dry-run`", f"| `--dry-run` `{unknown}`")},
        "help without an option": {("--help", "all"): "".join(line for line in help_lines if option not in line)},
        "parser with an undocumented option": {"commands/request_options.cpp": text_of("commands/request_options.cpp") + declaration},
        "table of curl's options without one": {"docs/curl.md": re.sub(r"^\| `--max-redirs` .*\n", "", text_of("docs/curl.md"), flags=re.M)},
        "table of curl's options that says it is not there": {"docs/curl.md": text_of("docs/curl.md").replace("| `--max-redirs` | same |", "| `--max-redirs` | not there | why")},
        "guide with an unknown option": {"README.md": text_of("README.md") + f"```\npaycurl {unknown} URL\n```\n"},
    }
    for name in ("paycurl.bash", "_paycurl", "paycurl.fish"):
        changes[f"{name} without an option"] = {f"completions/{name}": without(f"completions/{name}").replace(" -l max-redirs", "")}
    missed = []
    for what, texts in changes.items():
        errors.clear()
        replaced.clear()
        assert all(text != (output_of(*name) if isinstance(name, tuple) else text_of(name)) for name, text in texts.items()), what
        replaced.update(texts)
        check_all()
        if not any(option in error or unknown in error or "completions/" in error for error in errors):
            missed.append("not noticed: " + what)
    return missed


def main():
    if sys.argv[1:] == ["--self-check"]:
        missed = self_check()
        print("\n".join(missed) or "documents: every drift is noticed")
        return bool(missed)
    check_all()
    print("\n".join(errors) or "documents: ok")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())

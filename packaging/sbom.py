#!/usr/bin/env python3
"""What a paycurl binary is made of, as SPDX 2.3 JSON on stdout: the Debian packages that it links, that were compiled
into it, and that it loads when there is need.

    packaging/sbom.py BINARY VERSION

The same binary on the same system gives the same bytes: the time is that of SOURCE_DATE_EPOCH.
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys

HEADERS = ["libcli11-dev", "nlohmann-json3-dev"]  # nothing but headers: they are inside
LOADED = ["libsecret-1-0"]


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def owner_of(path):
    """The package that a library came with; its path may have been recorded with or without /usr."""
    real = os.path.realpath(path)
    for name in (path, real, real.removeprefix("/usr"), "/usr" + path):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise SystemExit(f"{path} belongs to no package")


def linked_packages(binary):
    """The packages of the libraries that the binary itself asks for."""
    needed = {line.split()[1] for line in output_of("objdump", "-p", binary).splitlines() if line.startswith("  NEEDED")}
    resolved = dict(line.split()[0:3:2] for line in output_of("ldd", binary).splitlines() if "=>" in line)
    return sorted({owner_of(resolved[name]) for name in needed & resolved.keys()})  # all but the loader, which is libc6's


def described(name):
    """A Debian package as one of SPDX; None when it is not installed."""
    fields = "${Version}\n${Architecture}\n${source:Package}\n${source:Version}\n${Homepage}"
    done = subprocess.run(["dpkg-query", "-W", "-f", fields, name], capture_output=True, text=True)
    if done.returncode != 0:
        return None
    version, architecture, source, source_version, homepage = done.stdout.split("\n")
    return {
        "SPDXID": "SPDXRef-" + name, "name": name, "versionInfo": version, "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "homepage": homepage or "NOASSERTION",
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{name}@{version.replace(':', '%3A')}?arch={architecture}"
                                f"&upstream={source}@{source_version.replace(':', '%3A')}"}]}


def main():
    binary, version = sys.argv[1:]
    digest = hashlib.sha256(pathlib.Path(binary).read_bytes()).hexdigest()
    created = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    main_package = {
        "SPDXID": "SPDXRef-paycurl", "name": "paycurl", "versionInfo": version,
        "supplier": "Organization: The paycurl authors", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "primaryPackagePurpose": "APPLICATION", "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "licenseConcluded": "MIT", "licenseDeclared": "MIT", "copyrightText": "2026 The paycurl authors"}
    packages, relations = [main_package], [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-paycurl")]
    for relation, names in (("DYNAMIC_LINK", linked_packages(binary)), ("STATIC_LINK", HEADERS),
                            ("OPTIONAL_DEPENDENCY_OF", LOADED)):
        for package in filter(None, map(described, names)):
            packages.append(package)
            ends = ("SPDXRef-paycurl", package["SPDXID"])
            first, second = reversed(ends) if relation.endswith("_OF") else ends
            relations.append((first, relation, second))
    print(json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"paycurl-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/paycurl-{version}-{digest[:32]}",
        "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: packaging/sbom.py"]},
        "packages": packages,
        "relationships": [{"spdxElementId": first, "relationshipType": relation, "relatedSpdxElement": second}
                          for first, relation, second in relations],
    }, indent=1))


if __name__ == "__main__":
    main()

"""Writes a bill of materials (CycloneDX 1.5, JSON) of the program for a target, from Cargo's own metadata and lock file.

    python3 .ci/sbom.py TARGET > keyhaven.cdx.json

What is listed is what is linked or runs at build time; test dependencies are not. No network, no other tool, and the same
sources give the same bytes: the time is SOURCE_DATE_EPOCH, the serial number comes from the lock file.
"""

import datetime
import json
import os
import subprocess
import sys
import tomllib
import uuid


def metadata(target):
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def checksums(lock):
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def reached(resolve):
    """The packages that the program needs, and what each of them needs; `dev` edges are for tests only."""
    nodes = {node["id"]: node for node in resolve["nodes"]}
    needs, open_ids = {}, [resolve["root"]]
    while open_ids:
        id_ = open_ids.pop()
        if id_ not in needs:
            kinds = lambda dep: {kind["kind"] for kind in dep["dep_kinds"]}
            needs[id_] = sorted(dep["pkg"] for dep in nodes[id_]["deps"] if kinds(dep) != {"dev"})
            open_ids += needs[id_]
    return needs


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, digest):
    made = {
        "type": "application" if digest is None else "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["description"]:
        made["description"] = " ".join(package["description"].split())
    if digest:
        made["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package["license"]:
        # Old crates write the alternative with a slash.
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def main(target):
    found = metadata(target)
    with open("Cargo.lock", "rb") as file:
        lock = file.read()
    digests = checksums(tomllib.loads(lock.decode()))
    needs = reached(found["resolve"])
    packages = {package["id"]: package for package in found["packages"] if package["id"] in needs}
    of = lambda id_: component(packages[id_], digests[packages[id_]["name"], packages[id_]["version"]])
    root = found["resolve"]["root"]
    time = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    ordered = sorted((id_ for id_ in packages if id_ != root), key=lambda id_: purl(packages[id_]))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, lock.decode() + target)}",
        "version": 1,
        "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": of(root)},
        "components": [of(id_) for id_ in ordered],
        "dependencies": [
            {"ref": purl(packages[id_]), "dependsOn": sorted(purl(packages[need]) for need in needs[id_])}
            for id_ in [root, *ordered]
        ],
    }
    json.dump(bill, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1])

#!/usr/bin/env python3
"""A second reader of format 1, written from docs/format.md.

It shares no line with Keyhaven: Python's standard library, and the tools `age`, `zstd` and `openssl`. It checks a
repository in a folder as far as the given identities open it, and prints what it found as one JSON document. Exit code
0: nothing wrong; 1: problems, all named; 2: it could not be asked that way.

    second_reader.py FOLDER REPOSITORY-ID [--catalogue-identity FILE] [--recovery-identity FILE]
"""
import argparse
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

from second_reader_ledger import Ledger
from second_reader_text import (DIGEST, Fields, Refused, base64_of, digest, item_key, list_of, number, parse,
                                refuse_unless, sha256, text, time, version, version_of_format)

MIB = 1 << 20
KINDS = ("configuration", "group", "registration", "secret")
CLASSES = ("exact", "converted", "reissued", "definition_only", "impossible")


def run(command, data, limit, what):
    """What a tool makes of these bytes, up to a limit."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tool:
        def feed():
            try:
                with tool.stdin:
                    tool.stdin.write(data)
            except BrokenPipeError:
                pass  # It has refused; its exit code says so.
        feeder = threading.Thread(target=feed)
        feeder.start()
        out = tool.stdout.read(limit + 1)
        if len(out) > limit:
            tool.kill()
        feeder.join()
    refuse_unless(len(out) <= limit, f"{what}: more than {limit} bytes")
    refuse_unless(tool.returncode == 0, f"{what}: {command[0]} refuses it")
    return out


def frame_end(data):
    """Where the one zstd frame (RFC 8878) ends. Refuses windows and dictionaries that format 1 has not."""
    refuse_unless(data[:4] == b"\x28\xb5\x2f\xfd", "no zstd frame")
    head = data[4]
    single, has_checksum = head >> 5 & 1, head >> 2 & 1
    refuse_unless(head & 3 == 0, "a dictionary")
    size_bytes = (single, 2, 4, 8)[head >> 6]
    at = 5
    if not single:
        window = (1 << 10 + (data[at] >> 3)) // 8 * (8 + data[at] % 8)
        at += 1
    size = int.from_bytes(data[at:at + size_bytes], "little") + (256 if size_bytes == 2 else 0)
    refuse_unless((size if single else window) <= 64 * MIB, "a window that is too large")
    at += size_bytes
    last = False
    while not last:
        refuse_unless(at + 3 <= len(data), "a frame that ends early")
        block = int.from_bytes(data[at:at + 3], "little")
        last, kind = block & 1, block >> 1 & 3
        at += 3 + (1 if kind == 1 else block >> 3)
    at += 4 * has_checksum
    refuse_unless(at <= len(data), "a frame that ends early")
    return at


def open_sealed(sealed, identity):
    """The lines in a pack or a catalogue part."""
    refuse_unless(len(sealed) <= 80 * MIB, "more sealed bytes than allowed")
    refuse_unless(sealed.startswith(b"age-encryption.org/v1\n"), "no binary age file")
    data = run(["age", "-d", "-i", identity], sealed, 80 * MIB, "unsealing")
    try:
        end = frame_end(data)
    except IndexError:
        raise Refused("a frame that ends early") from None
    if rest := data[end:]:
        zeros = len(rest) - 8
        refuse_unless(rest == b"\x50\x2a\x4d\x18" + max(zeros, 0).to_bytes(4, "little") + bytes(max(zeros, 0)),
                      "something else than padding behind the frame")
    return lines_of(run(["zstd", "-d", "-c", "--memory=64MB"], data[:end], 64 * MIB, "decompressing"))


def lines_of(data):
    refuse_unless(data.endswith(b"\n"), "no line feed behind the last line")
    return [Fields(parse(line)) for line in data[:-1].split(b"\n")]


def header(fields, kind, repository=None):
    fields.get("format", version_of_format)
    refuse_unless(fields.get("kind", text) == kind, f"another kind than {kind}")
    if repository:
        refuse_unless(fields.get("repository", digest) == repository, "another repository")
        fields.get("source", text)


def read_list(data):
    refuse_unless(len(data) <= MIB, "longer than a pack list may be")
    first, *rest = lines_of(data)
    header(first, "list")
    first.get("nonce", text, "")
    packs = [(each.get("pack", digest), each.get("size", number)) for each in rest]
    refuse_unless([name for name, _ in packs] == sorted(dict(packs)), "packs out of order")
    for each in rest:
        each.get("recipients", list_of(text))
    return dict(packs)


def pointer(value):
    fields = Fields(value)
    return fields.get("version", version), fields.get("pack", digest)


def read_part(lines, repository):
    """The items of a catalogue part: key, class, pointers."""
    header(lines[0], "catalogue", repository)
    items = []
    for line in lines[1:]:
        for name, read, absent in (("name", text, Refused), ("type", text, Refused), ("group", text, None),
                                   ("revision", digest, None), ("read_at", time, None), ("docs", Fields, Refused)):
            line.get(name, read, absent)
        level = line.get("class", text)
        refuse_unless(level in CLASSES, f"the class {level}")
        items.append((line.get("key", item_key), level, line.get("payloads", list_of(pointer), [])))
    return items


def read_pack(lines, repository):
    """Keys and versions of the payloads in a pack, each with its MAC checked."""
    header(lines[0], "pack", repository)
    mac_key, found = lines[0].get("mac_key", base64_of(32)), set()
    for line in lines[1:]:
        key, which, payload = line.get("key", item_key), line.get("version", version), line.get("payload", text)
        mac = hmac.new(mac_key, f"{key}\n{which}\n{payload}".encode(), "sha256").digest()
        refuse_unless(hmac.compare_digest(mac, line.get("mac", base64_of(32))), f"{key} {which}: the MAC does not fit")
        refuse_unless((key, which) not in found, f"{key} {which} twice")
        found.add((key, which))
    return found


class Reader:
    """A repository in a folder; everything wrong with it becomes a line in `problems`."""

    def __init__(self, folder, repository, catalogue, recovery):
        self.folder, self.repository = folder, repository
        self.catalogue, self.recovery = catalogue or recovery, recovery
        self.problems, self.memory, self.pointers = [], {}, set()

    def files(self, below):
        for folder, _, names in os.walk(os.path.join(self.folder, below)):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self.folder).replace(os.sep, "/")

    def bytes_of(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def once(self, name, read, *what):
        """What an object holds, read once, with its digest checked; nothing, and a problem, when it is refused."""
        if name not in self.memory:
            self.memory[name] = None
            try:
                data = self.bytes_of(name)
                refuse_unless(sha256(data) == re.split("[/.]", name)[1], "the digest is another")
                self.memory[name] = len(data), read(data, *what)
            except OSError:
                self.problems.append(f"{name}: not there")
            except Refused as why:
                self.problems.append(f"{name}: {why}")
        return self.memory[name]

    def expect(self, holds, name, what):
        if not holds:
            self.problems.append(f"{name}: {what}")

    def check(self):
        for below in ("packs", "catalogues", "lists", "evidence"):
            for name in sorted(self.files(below)):
                self.expect(sha256(self.bytes_of(name)) == re.split("[/.]", name)[1], name, "the digest is another")
        with tempfile.TemporaryDirectory() as scratch:
            files = {name: self.bytes_of(name) for name in self.files("ledger")}
            ledger = Ledger(files, self.repository, scratch)
        self.problems += [f"{name}: {why}" for name, why in ledger.refused.items()]
        self.problems += [f"{name}: not there, a parent of {named_by[0]}" for name, named_by in ledger.holes.items()]
        self.expect(ledger.first, "ledger", "the first entry is not there")
        self.problems += [f"{each.name}: a snapshot of a later version, which cannot be checked"
                          for each in ledger.counting if each.kind == "snapshot" and not each.body]
        try:
            fits = not ledger.first or sha256(self.bytes_of("RECOVER.md")) == ledger.first.body["recover_md"]
            self.expect(fits, "RECOVER.md", "not what the first entry says")
        except OSError:
            self.problems.append("RECOVER.md: not there")
        # What was forgotten must still be there; what was swept need not.
        snapshots = [self.snapshot(each, ledger.good(each)) for each in ledger.snapshots
                     if each.digest not in ledger.swept]
        self.problems += [f"{digest}: ignored by rule {why}" for digest, why in ledger.ignored.items()]
        held = {below: [held[1] for name, held in self.memory.items() if held and held[1] is not None
                        and name.startswith(below)] for below in ("packs/", "catalogues/")}
        counts = {"entries": len(ledger.counting), "entries_ignored": len(ledger.ignored), "snapshots": len(snapshots),
                  "parts": len(held["catalogues/"]), "items": sum(map(len, held["catalogues/"])),
                  "packs": len(held["packs/"]), "payloads": sum(map(len, held["packs/"])),
                  "pointers": len(self.pointers)}
        return {"repository": self.repository, "ok": not self.problems, "counts": counts,
                "heads": [each.digest for each in ledger.heads], "latest": ledger.latest and ledger.latest.digest,
                "ignored": ledger.ignored, "holes": ledger.holes, "snapshots": snapshots, "problems": self.problems,
                "warnings": ledger.warnings, "forgotten": sorted(ledger.forgotten), "swept": sorted(ledger.swept),
                "pinned": sorted(ledger.pinned)}

    def snapshot(self, entry, is_good):
        """Follows a snapshot's entry as far down as the identities allow."""
        body, name = entry.body, entry.name
        found = {"entry": entry.digest, "sequence": entry.sequence, "good": is_good, "packs": body["packs"]}
        listed = self.once(f"lists/{body['list']}.jsonl", read_list)
        packs = listed[1] if listed else {}
        if listed:
            self.expect(len(packs) == body["packs"], name, "another number of packs than listed")
            self.expect(sum(packs.values()) == body["sealed_bytes"], name, "another sealed size than listed")
        opened = {pack: self.pack(pack, size) for pack, size in packs.items()}
        parts = [self.part(each) for each in body["parts"]]
        if not self.catalogue or None in parts:
            return found
        items = [each for one in parts for each in one]
        keys = [key.encode() for key, _, _ in items]
        self.expect(all(a < b for a, b in zip(keys, keys[1:])), name, "keys that do not rise")
        for member, of, words in (("counts", lambda item: item[0].partition("/")[0], KINDS),
                                  ("classes", lambda item: item[1], CLASSES)):
            kinds = [of(item) for item in items]
            self.expect(all(body[member].get(kind, 0) == kinds.count(kind) for kind in words), name, f"other {member}")
        pointers = [(key, which, pack) for key, _, versions in items for which, pack in versions]
        self.pointers.update(pointers)
        for key, which, pack in pointers:
            self.expect(not listed or pack in packs, name, f"{key} {which} points to a pack that is not listed")
            held = opened.get(pack)
            self.expect(held is None or (key, which) in held, name, f"{key} {which} is not in its pack")
        return {**found, "items": len(items), "pointers": len(pointers)}

    def pack(self, pack, size):
        opens = lambda data: read_pack(open_sealed(data, self.recovery), self.repository) if self.recovery else None
        held = self.once(f"packs/{pack}.jsonl.zst.age", opens)
        self.expect(not held or held[0] == size, f"packs/{pack}.jsonl.zst.age", "another size than listed")
        return held[1] if held else None

    def part(self, named):
        name = f"catalogues/{named['digest']}.jsonl.zst.age"
        opens = lambda data: read_part(open_sealed(data, self.catalogue), self.repository) if self.catalogue else None
        held = self.once(name, opens)
        if not held:
            return None
        self.expect(held[0] == named["size"], name, "another size than in the entry")
        fits = held[1] is None or len(held[1]) == named["items"]
        self.expect(fits, name, "another number of items than in the entry")
        return held[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("repository")
    parser.add_argument("--catalogue-identity")
    parser.add_argument("--recovery-identity")
    asked = parser.parse_args()
    if not DIGEST.fullmatch(asked.repository):
        parser.error("a repository id is 64 lower-case hexadecimal digits")
    report = Reader(asked.folder, asked.repository, asked.catalogue_identity, asked.recovery_identity).check()
    print(json.dumps(report, indent=1))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())

"""Stored objects of format 1: files, pack lists, catalogue parts and packs.

Part of the second reader, which is written from the page of the format alone.
"""

import dataclasses
import os
import re
import stat
import subprocess
import threading

from second_reader_text import (
    SOURCE,
    Refused,
    an_object,
    digest,
    digest_of,
    entry_reference,
    fixed,
    format_text,
    list_of,
    number,
    parse_line,
    parse_loose,
    record,
    rises,
    same_source,
    sorted_of,
    split_lines,
    text,
    time_text,
)

MAX_LIST = 4 << 20
MAX_LISTED_PACKS = 4096
MAX_SEALED = 80 << 20
MAX_PLAIN = 64 << 20
MAX_WINDOW = 64 << 20
MAX_KEY = 512
MAX_ITEM_VERSION = 256


class Missing(Exception):
    """A file that is not there."""


# Plain files


def read_plain(path, limit):
    """The bytes of a plain file, never of a link, FIFO or device."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Missing("is not there") from None
    except (OSError, ValueError) as error:
        raise Refused(f"cannot be read: {error}") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused("is no plain file")
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise Refused(f"cannot be read: {error}") from None
    if len(data) > limit:
        raise Refused(f"is larger than {limit} bytes")
    return data


def names_under(directory, top):
    """The names of all that is no directory under one of the repository's, and what could not be listed."""
    names, faults, todo = [], [], [top]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(os.path.join(directory, folder)) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    (todo if is_folder else names).append(f"{folder}/{entry.name}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            faults.append(f"{folder} cannot be listed: {error}")
    return sorted(names), faults


def read_object(directory, name, expected, limit):
    """The bytes of an object that is named by their digest."""
    data = read_plain(os.path.join(directory, name), limit)
    if digest_of(data) != expected:
        raise Refused("has another digest than its name")
    return data


# Item keys and versions

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
KIND = re.compile(r"[a-z_]{1,64}")


def check_text_of_item(value, limit):
    if not text(value) or CONTROL.search(value):
        raise Refused("is empty or has a control character")
    if len(value.encode("utf-8")) > limit:
        raise Refused(f"is larger than {limit} bytes")


def item_key(value):
    check_text_of_item(value, MAX_KEY)
    if value == "registration":
        return value
    kind, slash, name = value.partition("/")
    if not slash or not name or not KIND.fullmatch(kind) or kind == "registration":
        raise Refused("is no item key")
    if kind == "configuration" and not all(name.partition("/")):
        raise Refused("is no item key of a configuration")
    return value


def item_version(value):
    check_text_of_item(value, MAX_ITEM_VERSION)
    return value


# Seals

STANZAS = (b"-> X25519 ", b"-> ssh-ed25519 ", b"-> ssh-rsa ")


def count_stanzas(data):
    """How many recipients the header of an age file names."""
    end = data.find(b"\n--- ")
    if not data.startswith(b"age-encryption.org/v1\n") or end < 0:
        raise Refused("has no age header")
    return sum(line.startswith(STANZAS) for line in data[:end].split(b"\n"))


def check_stanzas(data, expected):
    actual = count_stanzas(data)
    if actual != expected:
        raise Refused(f"is sealed to {actual} recipients instead of {expected}")


def decrypt(data, identities):
    """What an age file holds, or None if no identity opens it."""
    command = ["age", "-d"]
    for identity in identities:
        command += ["-i", identity]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    if result.returncode == 0:
        return result.stdout
    message = result.stderr.decode("utf-8", "replace")
    if "no identity matched" in message:
        return None
    raise Refused("cannot be decrypted: " + " ".join(message.split())[:200])


# zstd

FRAME = bytes.fromhex("28b52ffd")
SKIPPABLE = bytes.fromhex("502a4d18")


def take(data, start, count):
    if start + count > len(data):
        raise Refused("has a frame that ends early")
    return int.from_bytes(data[start : start + count], "little")


def frame_header(data):
    """Length of a frame's header with the magic bytes, its window, and whether a checksum follows."""
    if data[:4] != FRAME:
        raise Refused("has no zstd frame")
    descriptor = take(data, 4, 1)
    is_single, has_checksum = bool(descriptor & 0x20), bool(descriptor & 4)
    place = 5
    window = None
    if not is_single:
        window_byte = take(data, place, 1)
        base = 1 << (10 + (window_byte >> 3))
        window = base + (base >> 3) * (window_byte & 7)
        place += 1
    place += (0, 1, 2, 4)[descriptor & 3]
    size_bytes = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    size = take(data, place, size_bytes)
    if is_single:
        window = size + 256 if size_bytes == 2 else size
    return place + size_bytes, window, has_checksum


def frame_length(data):
    place, window, has_checksum = frame_header(data)
    if window > MAX_WINDOW:
        raise Refused("has a frame with a window of more than 64 MiB")
    is_last = False
    while not is_last:
        block = take(data, place, 3)
        is_last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        place += 3 + (1 if kind == 1 else size)
    take(data, place, 4 if has_checksum else 0)
    return place + (4 if has_checksum else 0)


def check_padding(rest):
    """Behind the frame is nothing, or exactly one skippable frame of zeros."""
    if not rest:
        return
    if rest[:4] != SKIPPABLE or len(rest) < 8 or int.from_bytes(rest[4:8], "little") != len(rest) - 8:
        raise Refused("has something behind its frame that is no padding")
    if rest.count(0, 8) != len(rest) - 8:
        raise Refused("has padding that is not zeros")


def feed(stream, data):
    try:
        stream.write(data)
        stream.close()
    except OSError:
        pass


def decompress(data):
    length = frame_length(data)
    check_padding(data[length:])
    command = ["zstd", "-d", "-c", "-q", "--memory=64MB"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        feeder = threading.Thread(target=feed, args=(process.stdin, data[:length]))
        feeder.start()
        plain = process.stdout.read(MAX_PLAIN + 1)
        if len(plain) > MAX_PLAIN:
            process.kill()
        feeder.join()
    if len(plain) > MAX_PLAIN:
        raise Refused("holds more than 64 MiB")
    if process.returncode != 0:
        raise Refused("has a frame that cannot be decompressed")
    return plain


def unseal(data, identities):
    """The lines of a pack or catalogue part, or None if no identity opens it."""
    if not identities:
        return None
    opened = decrypt(data, identities)
    return None if opened is None else split_lines(decompress(opened))


# Lists

LIST_HEAD = record({"format": format_text, "kind": fixed("list"), "recipients": sorted_of(text)})
LIST_LINE = record(
    {"pack": digest, "size": number, "recipients": list_of(number)},
    {"since": entry_reference},
)


def parse_list(data):
    """The lines of a pack list by pack."""
    lines = split_lines(data)
    head = LIST_HEAD(parse_line(lines[0]))
    if len(lines) - 1 > MAX_LISTED_PACKS:
        raise Refused("lists more than 4,096 packs")
    packs = [LIST_LINE(parse_line(line)) for line in lines[1:]]
    if not rises([line["pack"] for line in packs]):
        raise Refused("has packs that are out of order or repeated")
    for line in packs:
        places = line["recipients"]
        if any(left >= right for left, right in zip(places, places[1:])):
            raise Refused("has places of recipients that do not rise")
        if places and places[-1] >= len(head["recipients"]):
            raise Refused("has a place that its first line lacks")
    return {line["pack"]: line for line in packs}


# Parts

PART_HEAD = record(
    {"format": format_text, "kind": fixed("catalogue"), "repository": digest, "source": SOURCE}
)
PART_LINE = record(
    {"key": item_key, "name": text, "type": text, "class": text, "docs": an_object},
    {
        "group": text,
        "revision": digest,
        "read_at": time_text,
        "payloads": list_of(record({"version": item_version, "pack": digest})),
    },
)


@dataclasses.dataclass
class Part:
    source: dict
    first: bytes = b""
    last: bytes = b""
    items: int = 0
    pointers: list = dataclasses.field(default_factory=list)  # (key, version, pack)


def check_head(head, repository):
    if head["repository"] != repository:
        raise Refused("is of another repository")


def parse_part(lines, repository, complain):
    head = PART_HEAD(parse_line(lines[0]))
    check_head(head, repository)
    part = Part(head["source"])
    for place, line in enumerate(lines[1:], 2):
        try:
            item = PART_LINE(parse_line(line))
            add_item(part, item)
        except Refused as error:
            complain(f"line {place} {error}")
    return part


def add_item(part, item):
    key = item["key"].encode("utf-8")
    if part.items and key <= part.last:
        raise Refused("has a key that does not come after the one before it")
    part.first = key if not part.items else part.first
    part.last = key
    part.items += 1
    part.pointers += [(item["key"], one["version"], one["pack"]) for one in item.get("payloads") or []]


# Packs

PACK_HEAD = record(
    {
        "format": format_text,
        "kind": fixed("pack"),
        "repository": digest,
        "source": SOURCE,
        "mac_key": digest,
    }
)
PACK_LINE = record({"key": item_key, "version": item_version, "mac": digest, "payload": text})


@dataclasses.dataclass
class Pack:
    source: dict
    payloads: set = dataclasses.field(default_factory=set)  # (key, version)


def payload_mac(mac_key, line):
    texts = [mac_key, line["key"], line["version"], line["payload"]]
    return digest_of("\n".join(texts).encode("utf-8"))


def check_payload(line, mac_key):
    if not isinstance(parse_loose(line["payload"]), dict):
        raise Refused("has a payload that is no JSON object")
    if payload_mac(mac_key, line) != line["mac"]:
        raise Refused("has a MAC that does not fit")


def parse_pack(lines, repository, complain):
    head = PACK_HEAD(parse_line(lines[0]))
    check_head(head, repository)
    pack = Pack(head["source"])
    for place, data in enumerate(lines[1:], 2):
        try:
            line = PACK_LINE(parse_line(data))
            check_payload(line, head["mac_key"])
            name = (line["key"], line["version"])
            if name in pack.payloads:
                raise Refused("has the same key and version again")
            pack.payloads.add(name)
        except Refused as error:
            complain(f"line {place} {error}")
    return pack


# All objects of a repository


def unique(names):
    return sorted(set(names))


def list_name(name):
    return f"lists/{name}.jsonl"


def part_name(name):
    return f"catalogues/{name}.jsonl.zst.age"


def pack_name(name):
    return f"packs/{name}.jsonl.zst.age"


class Objects:
    """The objects that snapshots need, each read and opened once."""

    def __init__(self, directory, repository, catalogue_identities, recovery_identities):
        self.directory = directory
        self.repository = repository
        self.part_identities = catalogue_identities + recovery_identities
        self.pack_identities = recovery_identities
        self.problems = []
        self.lists = {}  # by digest: lines by pack, of the lists that can be read
        self.parts = {}  # by digest, those that were opened
        self.packs = {}
        self.sizes = {}  # by name of an object: the sizes that it must have
        self.recipients = {}  # by name of an object: the numbers of recipients that it must have

    def check(self, snapshots, policies, lost_packs):
        for name in unique(snapshot.body["list"] for snapshot in snapshots):
            self._open_list(name)
        for snapshot in snapshots:
            self._check_list(snapshot)
            self._expect(snapshot, policies.get(snapshot.policy))
        for name in unique(part["digest"] for snapshot in snapshots for part in snapshot.body["parts"]):
            self._open_part(name)
        for name in unique(pack for lines in self.lists.values() for pack in lines):
            self._open_pack(name, name in lost_packs)
        self._check_pointers()
        for snapshot in snapshots:
            self._check_parts(snapshot)
            self._check_packs(snapshot)

    def counts(self):
        return {
            "parts": len(self.parts),
            "items": sum(part.items for part in self.parts.values()),
            "packs": len(self.packs),
            "payloads": sum(len(pack.payloads) for pack in self.packs.values()),
            "pointers": sum(len(part.pointers) for part in self.parts.values()),
        }

    def _complain(self, name, what):
        self.problems.append(f"{name} {what}.")

    def _complainer(self, name):
        return lambda what: self._complain(name, what)

    # What lists and entries say about objects

    def _expect_object(self, name, size, recipients):
        self.sizes.setdefault(name, set()).add(size)
        if recipients is not None:
            self.recipients.setdefault(name, set()).add(recipients)

    def _expect(self, snapshot, policy):
        recipients = None if policy is None else len(policy.part_recipients)
        for part in snapshot.body["parts"]:
            self._expect_object(part_name(part["digest"]), part["size"], recipients)
        for name, line in self._list_of(snapshot).items():
            self._expect_object(pack_name(name), line["size"], len(line["recipients"]))

    def _read_sealed(self, name, expected):
        data = read_object(self.directory, name, expected, MAX_SEALED)
        for size in sorted(self.sizes.get(name, set()) - {len(data)}):
            self._complain(name, f"has {len(data)} bytes instead of {size}")
        stanzas = count_stanzas(data)
        for recipients in sorted(self.recipients.get(name, set()) - {stanzas}):
            raise Refused(f"is sealed to {stanzas} recipients instead of {recipients}")
        return data

    # Lists

    def _list_of(self, snapshot):
        return self.lists.get(snapshot.body["list"], {})

    def _open_list(self, name):
        try:
            self.lists[name] = parse_list(read_object(self.directory, list_name(name), name, MAX_LIST))
        except (Missing, Refused) as error:
            self._complain(list_name(name), error)

    def _check_list(self, snapshot):
        if snapshot.body["list"] not in self.lists:
            return
        lines = self._list_of(snapshot)
        if len(lines) != snapshot.body["packs"]:
            self._complain(snapshot.reference, "says another number of packs than its list")
        if sum(line["size"] for line in lines.values()) != snapshot.body["sealed_bytes"]:
            self._complain(snapshot.reference, "says another size of its packs than its list")

    # Parts

    def _open_part(self, digest_of_part):
        name = part_name(digest_of_part)
        try:
            lines = unseal(self._read_sealed(name, digest_of_part), self.part_identities)
            if lines is not None:
                self.parts[digest_of_part] = parse_part(lines, self.repository, self._complainer(name))
        except (Missing, Refused) as error:
            self._complain(name, error)

    def _check_parts(self, snapshot):
        before = None
        for described in snapshot.body["parts"]:
            part = self.parts.get(described["digest"])
            if part is None:
                continue
            self._check_part(snapshot, described, part)
            if part.items and before is not None and part.first <= before:
                self._complain(snapshot.reference, f"has keys out of order before part {described['digest']}")
            before = part.last if part.items else before

    def _check_part(self, snapshot, described, part):
        name = part_name(described["digest"])
        if part.items != described["items"]:
            self._complain(name, f"has {part.items} items instead of {described['items']}")
        if not same_source(part.source, snapshot.source):
            self._complain(name, "is of another source")
        if snapshot.body["list"] in self.lists:
            named = {pack for _, _, pack in part.pointers}
            for pack in sorted(named - set(self._list_of(snapshot))):
                self._complain(snapshot.reference, f"needs the pack {pack}, which its list lacks")

    # Packs

    def _open_pack(self, digest_of_pack, is_lost):
        name = pack_name(digest_of_pack)
        try:
            lines = unseal(self._read_sealed(name, digest_of_pack), self.pack_identities)
            if lines is not None:
                self.packs[digest_of_pack] = parse_pack(lines, self.repository, self._complainer(name))
        except Missing as error:
            if not is_lost:
                self._complain(name, error)
        except Refused as error:
            self._complain(name, error)

    def _check_pointers(self):
        """Every payload that an opened part names is in the pack, where that was opened."""
        pointers = {pointer for part in self.parts.values() for pointer in part.pointers}
        for key, version, pack in sorted(pointers):
            if pack in self.packs and (key, version) not in self.packs[pack].payloads:
                self._complain(pack_name(pack), f"lacks the payload of {key} {version}")

    def _check_packs(self, snapshot):
        for name in self._list_of(snapshot):
            if name in self.packs and not same_source(self.packs[name].source, snapshot.source):
                self._complain(pack_name(name), "is of another source")

"""What the second reader takes for a digest, a time, a key: Conventions and Item keys of docs/format.md."""
import base64
import datetime
import hashlib
import json
import re
import unicodedata

DIGEST = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """What a reader refuses, and why."""


def refuse_unless(holds, why):
    if not holds:
        raise Refused(why)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Members(list):
    """A JSON object as its members stand there: what is not described by the format may repeat names."""


class Number(str):
    """A JSON number as its text."""


def no_constant(text):
    raise Refused(f"{text} is not JSON")


def parse(data):
    """One JSON document; objects stay lists of members until somebody looks into them."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        text.encode()
        document = json.loads(text, object_pairs_hook=Members, parse_int=Number, parse_float=Number,
                              parse_constant=no_constant)
        return document
    except (ValueError, RecursionError) as error:
        raise Refused(f"no JSON: {error}") from None


class Fields:
    """An object that the format describes: no member that is looked at twice, each of its type."""

    def __init__(self, members):
        refuse_unless(isinstance(members, Members), "no object")
        self.members = members

    def get(self, name, read, absent=Refused):
        found = [value for each, value in self.members if each == name]
        refuse_unless(len(found) < 2, f"`{name}` is repeated")
        if absent is not Refused and found in ([], [None]):
            return absent
        refuse_unless(found, f"no `{name}`")
        try:
            return read(found[0])
        except Refused as error:
            raise Refused(f"`{name}`: {error}") from None


def text(value):
    refuse_unless(isinstance(value, str) and not isinstance(value, Number), "no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused("a lone surrogate") from None
    return value


def number(value):
    fits = isinstance(value, Number) and re.fullmatch(r"0|[1-9][0-9]{0,19}", value) and int(value) < 1 << 64
    refuse_unless(fits, "no number that is allowed")
    return int(value)


def boolean(value):
    refuse_unless(isinstance(value, bool), "neither true nor false")
    return value


def digest(value):
    refuse_unless(DIGEST.fullmatch(text(value)), "no digest")
    return value


def list_of(read):
    def read_list(value):
        refuse_unless(isinstance(value, list) and not isinstance(value, Members), "no list")
        return [read(each) for each in value]
    return read_list


def numbers(value):
    return {name: number(each) for name, each in Fields(value).members}


def as_it_stands(value):
    return value


def base64_of(length=None):
    def read(value):
        try:
            data = base64.b64decode(text(value).encode(), validate=True)
        except ValueError:
            raise Refused("no Base64") from None
        refuse_unless(base64.b64encode(data).decode() == value, "Base64 in another spelling")
        refuse_unless(length in (None, len(data)), f"not {length} bytes")
        return data
    return read


def time(value):
    shape = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text(value), re.ASCII)
    refuse_unless(shape, "no time")
    try:
        zone = "+00:00" if shape[4] in "Zz" else shape[4]
        clock = shape[2].replace(":60", ":59")  # A leap second is a time, too.
        second = datetime.datetime.fromisoformat(f"{shape[1]}T{clock}{zone}").timestamp()
    except ValueError:
        raise Refused("no time") from None
    return second + float(shape[3] or 0)


def version_of_format(value):
    shape = re.fullmatch(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)", text(value))
    refuse_unless(shape, "no version of a format")
    refuse_unless(shape[1] == "1", f"format {value}: this reader knows only 1")
    return int(shape[2])


def no_controls(value):
    refuse_unless(not any(unicodedata.category(each) == "Cc" for each in text(value)), "a control character")
    return value


def item_key(value):
    kind, slash, name = no_controls(value).partition("/")
    fits = value == "registration" or slash and name and kind in ("configuration", "group", "secret")
    refuse_unless(fits and len(value.encode()) <= 512, "no key of an item")
    return value


def version(value):
    refuse_unless(1 <= len(no_controls(value).encode()) <= 256, "empty or too long for a version")
    return value

"""Texts and small types of format 1: JSON, Base64, times, references, and Ed25519.

Part of the second reader, which is written from the page of the format alone.
"""

import base64
import functools
import hashlib
import json
import re

MAX_NUMBER = 9007199254740991
MAX_NESTING = 32
MAX_LINE_NESTING = 2000
MAX_SEQUENCE = 999_999_999_999
MAX_VERSION = 999_999
MAX_SIGNATURE = 8192
MAX_PUBLIC_KEY = 16 << 10
MAX_FORMAT_DIGITS = 6


class Refused(Exception):
    """Something that is not as the page of the format describes it."""


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


# JSON

STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
NAME = re.compile(r"[\x20-\x7e]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SURROGATE = re.compile("[\ud800-\udfff]")


class Members(dict):
    """An object of a JSON line, with the names that it repeats."""

    repeated = frozenset()


class OtherNumber:
    """A number of a JSON line that is not a plain integer."""


def check_nesting(text, limit):
    """Refuses deep nesting before a parser recurses into it."""
    depth = 0
    for token in STRUCTURE.finditer(text):
        first = token.group()[0]
        if first in "[{":
            depth += 1
            if depth > limit:
                raise Refused(f"nests more than {limit} deep")
        elif first in "]}":
            depth -= 1


def decode_utf8(data):
    try:
        return data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refused("is not UTF-8") from None


def refuse_number(text):
    raise Refused(f"has the number {text[:40]}")


def canonical_number(text):
    if not PLAIN_NUMBER.fullmatch(text) or int(text) > MAX_NUMBER:
        refuse_number(text)
    return int(text)


def canonical_object(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused("repeats a member")
    for name in members:
        if not NAME.fullmatch(name):
            raise Refused("has a member name that is not printable ASCII")
    return members


def refuse_values(value):
    """Refuses `null`, and control characters in any string; the nesting is bounded before."""
    if value is None:
        raise Refused("has a `null`")
    if isinstance(value, str):
        if CONTROL.search(value) or SURROGATE.search(value):
            raise Refused("has a control character or lone surrogate")
    elif isinstance(value, list):
        for item in value:
            refuse_values(item)
    elif isinstance(value, dict):
        for item in value.values():
            refuse_values(item)


def load_json(text, **hooks):
    try:
        return json.loads(text, **hooks)
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(f"is no JSON: {str(error)[:100]}") from None


def encode_canonical(value):
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8")


def parse_canonical(data):
    """The value of a document that is byte for byte its canonical form."""
    text = decode_utf8(data)
    check_nesting(text, MAX_NESTING)
    value = load_json(
        text,
        object_pairs_hook=canonical_object,
        parse_int=canonical_number,
        parse_float=refuse_number,
        parse_constant=refuse_number,
    )
    refuse_values(value)
    if encode_canonical(value) != data:
        raise Refused("is not in canonical form")
    return value


def line_object(pairs):
    members = Members(pairs)
    if len(members) != len(pairs):
        seen = set()
        members.repeated = frozenset(name for name, _ in pairs if name in seen or seen.add(name))
    return members


def line_number(text):
    if PLAIN_NUMBER.fullmatch(text) and int(text) <= MAX_NUMBER:
        return int(text)
    return OtherNumber()


def parse_loose(text):
    """The value of a JSON text that need not be canonical: a line, or the content of a payload."""
    check_nesting(text, MAX_LINE_NESTING)
    return load_json(
        text,
        object_pairs_hook=line_object,
        parse_int=line_number,
        parse_float=lambda _: OtherNumber(),
        parse_constant=refuse_number,
    )


def parse_line(line):
    value = parse_loose(decode_utf8(line))
    if not isinstance(value, dict):
        raise Refused("is no JSON object")
    return value


def split_lines(data):
    """The lines of JSON Lines, without their line feeds."""
    if not data.endswith(b"\n"):
        raise Refused("does not end with a line feed")
    lines = data[:-1].split(b"\n")
    for line in lines:
        if not line or line.endswith(b"\r"):
            raise Refused("has an empty line or another line end")
    return lines


# Checks of values. A check gives the value back, or refuses it.


def text(value):
    if not isinstance(value, str):
        raise Refused("is no text")
    if SURROGATE.search(value):
        raise Refused("has a lone surrogate")
    return value


def number(value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("is no number")
    return value


def boolean(value):
    if not isinstance(value, bool):
        raise Refused("is neither true nor false")
    return value


def an_object(value):
    if not isinstance(value, dict):
        raise Refused("is no object")
    return value


def a_list(value):
    if not isinstance(value, list):
        raise Refused("is no list")
    return value


def fixed(expected):
    def check(value):
        if value != expected or type(value) is not type(expected):
            raise Refused(f"is not {expected}")
        return value

    return check


def between(low, high):
    def check(value):
        if not low <= number(value) <= high:
            raise Refused(f"is not from {low} to {high}")
        return value

    return check


def list_of(check_item, low=0, high=None):
    def check(value):
        if len(a_list(value)) < low or (high is not None and len(value) > high):
            raise Refused("has too few or too many elements")
        for item in value:
            check_item(item)
        return value

    return check


def rises(texts):
    keys = [item.encode("utf-8") for item in texts]
    return all(left < right for left, right in zip(keys, keys[1:]))


def sorted_of(check_item, member=None, low=0, high=None):
    """A sorted list of texts, or of objects sorted by the text of a member."""
    check_list = list_of(check_item, low, high)

    def check(value):
        check_list(value)
        if not rises([item[member] if member else item for item in value]):
            raise Refused("is not sorted")
        return value

    return check


def by_name(check_item):
    """An object whose values are all alike."""

    def check(value):
        for item in an_object(value).values():
            check_item(item)
        return value

    return check


def record(required, optional=None):
    """An object with described members; others are ignored. In a line, `null` is taken as an absent member."""
    optional = optional or {}

    def check_member(value, name, check, is_optional):
        if name in getattr(value, "repeated", ()):
            raise Refused(f"repeats `{name}`")
        if is_optional and value[name] is None and isinstance(value, Members):
            return
        try:
            check(value[name])
        except Refused as error:
            raise Refused(f"`{name}` {error}") from None

    def check(value):
        an_object(value)
        for name, check_value in required.items():
            if name not in value:
                raise Refused(f"has no `{name}`")
            check_member(value, name, check_value, False)
        for name, check_value in optional.items():
            if name in value:
                check_member(value, name, check_value, True)
        return value

    return check


# Digests, Base64, times, formats, references

DIGEST = re.compile(r"[0-9a-f]{64}")
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")
FORMAT = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
ENTRY_REFERENCE = re.compile(r"([0-9]{12})-([0-9a-f]{64})")
POLICY_REFERENCE = re.compile(r"([0-9]{6})-([0-9a-f]{64})")


def digest(value):
    if not DIGEST.fullmatch(text(value)):
        raise Refused("is no digest")
    return value


def decode_base64(value):
    if len(text(value)) % 4 or not BASE64.fullmatch(value):
        raise Refused("is no Base64")
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        raise Refused("is no Base64") from None
    if base64.b64encode(data).decode("ascii") != value:
        raise Refused("is no Base64 with unused bits of zero")
    return data


def base64_text(value):
    decode_base64(value)
    return value


def public_key(value):
    if not 1 <= len(decode_base64(value)) <= MAX_PUBLIC_KEY:
        raise Refused("is no key of 1 to 16,384 bytes")
    return value


def signature_text(value):
    if not 1 <= len(decode_base64(value)) <= MAX_SIGNATURE:
        raise Refused("is no signature of 1 to 8,192 bytes")
    return value


def days_of_month(year, month):
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31


def days_since_year_zero(year, month, day):
    days = year * 365 + (year + 3) // 4 - (year + 99) // 100 + (year + 399) // 400
    return days + sum(days_of_month(year, m) for m in range(1, month)) + day - 1


def parse_time(value):
    """Milliseconds since the start of the year 0000."""
    match = TIME.fullmatch(text(value))
    if not match:
        raise Refused("is no time")
    year, month, day, hour, minute, second, millis = (int(part) for part in match.groups())
    if not (1 <= month <= 12 and 1 <= day <= days_of_month(year, month)):
        raise Refused("is no time: no such day")
    if hour > 23 or minute > 59 or second > 59:
        raise Refused("is no time: no such hour, minute or second")
    seconds = (days_since_year_zero(year, month, day) * 24 + hour) * 3600 + minute * 60 + second
    return seconds * 1000 + millis


def time_text(value):
    parse_time(value)
    return value


def format_text(value):
    match = FORMAT.fullmatch(text(value))
    if not match:
        raise Refused("is no format")
    if max(map(len, match.groups())) > MAX_FORMAT_DIGITS:
        raise Refused("has a number of 1,000,000 or more")
    if match.group(1) != "1":
        raise Refused(f"is of major {match.group(1)}, this reader knows major 1")
    return value


def is_later_minor(value):
    return value != "1.0"


def entry_reference(value):
    match = ENTRY_REFERENCE.fullmatch(text(value))
    if not match or int(match.group(1)) < 1:
        raise Refused("is no reference of an entry")
    return value


def policy_reference(value):
    match = POLICY_REFERENCE.fullmatch(text(value))
    if not match or int(match.group(1)) < 1:
        raise Refused("is no reference of a policy")
    return value


def number_of(reference):
    """The sequence or version in a reference."""
    return int(reference.split("-")[0])


def digest_in(reference):
    return reference.split("-")[1]


SOURCE = record({"provider": text, "instance": text}, {"region": text})


def same_source(left, right):
    return (left["provider"], left["instance"]) == (right["provider"], right["instance"])


# Ed25519 (RFC 8032): without cofactor, R compared as bytes, S below the group order.
# Points are in extended coordinates (X, Y, Z, T) of the twisted Edwards curve.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
D2 = 2 * D % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")


def point_add(left, right):
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = t1 * D2 * t2 % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_double(point):
    x, y, z, _ = point
    a = x * x % P
    b = y * y % P
    c = 2 * z * z % P
    h = a + b
    e = h - (x + y) * (x + y) % P
    g = a - b
    f = c + g
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_negate(point):
    x, y, z, t = point
    return (P - x, y, z, P - t)


def point_decode(data):
    """The point of 32 bytes in canonical form, or None (RFC 8032, 5.1.3)."""
    number_y = int.from_bytes(data, "little")
    sign = number_y >> 255
    y = number_y & ((1 << 255) - 1)
    if y >= P:
        return None
    u = (y * y - 1) % P
    v = (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == (P - u) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u:
        return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def point_encode(point):
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    return ((y * inverse % P) | ((x * inverse % P & 1) << 255)).to_bytes(32, "little")


def multiples(point):
    """0 to 15 times a point."""
    table = [IDENTITY, point]
    for _ in range(14):
        table.append(point_add(table[-1], point))
    return table


@functools.lru_cache(maxsize=1)
def base_tables():
    """For each hexadecimal digit of a scalar, its multiples of the base point."""
    point = point_decode(bytes.fromhex("58" + "66" * 31))
    tables = []
    for _ in range(64):
        tables.append(multiples(point))
        for _ in range(4):
            point = point_double(point)
    return tables


def multiply_base(scalar):
    result = IDENTITY
    for table in base_tables():
        result = point_add(result, table[scalar & 15])
        scalar >>= 4
    return result


@functools.lru_cache(maxsize=1024)
def negated_multiples(raw_key):
    point = point_decode(raw_key)
    return None if point is None else multiples(point_negate(point))


def multiply(table, scalar):
    result = IDENTITY
    for shift in range(252, -4, -4):
        for _ in range(4):
            result = point_double(result)
        result = point_add(result, table[scalar >> shift & 15])
    return result


@functools.lru_cache(maxsize=65536)
def verify_hashed(raw_key, signature, challenge):
    table = negated_multiples(raw_key)
    s = int.from_bytes(signature[32:], "little")
    if table is None or s >= ORDER:
        return False
    k = int.from_bytes(challenge, "little") % ORDER
    return point_encode(point_add(multiply_base(s), multiply(table, k))) == signature[:32]


def verify_ed25519(raw_key, message, signature):
    """Whether a signature is good; none of a weak key is."""
    if len(raw_key) != 32 or len(signature) != 64 or is_weak_point(raw_key):
        return False
    challenge = hashlib.sha512(signature[:32] + raw_key + message).digest()
    return verify_hashed(raw_key, signature, challenge)


def raw_ed25519(public):
    """The 32 bytes of an Ed25519 key in Base64 of its SubjectPublicKeyInfo, or None for another algorithm."""
    data = base64.b64decode(public)
    if len(data) == 44 and data.startswith(ED25519_PREFIX):
        return data[12:]
    return None


def fingerprint(public):
    return digest_of(base64.b64decode(public))


def is_weak_key(public):
    raw = raw_ed25519(public)
    return raw is not None and is_weak_point(raw)


@functools.lru_cache(maxsize=4096)
def is_weak_point(raw_key):
    """Whether 32 bytes are no point in canonical form, or one of small order."""
    point = point_decode(raw_key)
    if point is None:
        return True
    for _ in range(3):
        point = point_double(point)
    x, y, z, _ = point
    return x % P == 0 and (y - z) % P == 0


# Self-test

RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]

# The points of order 1, 2, 4 and 8 in canonical form.
SMALL_ORDER = [
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "00" * 32,
    "00" * 31 + "80",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]

# Not canonical: y of p and more, and a zero x with a sign.
NOT_CANONICAL = [
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "ee" + "ff" * 31,
    "ff" * 32,
    "01" + "00" * 30 + "80",
    "ec" + "ff" * 31,
]

CANONICAL = [
    b"{}",
    b"[]",
    b'"x"',
    b"0",
    b"9007199254740991",
    b'{"":1,"A":"\xf0\x9f\x98\x80","a":[true,false,{"b":"\\"\\\\/"}]}',
    b'"\xe2\x80\xa8\xc2\x85\xef\xbb\xbf"',
    b"[" * 32 + b"]" * 32,
    b'["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]',
]

NO_CANONICAL = [
    b"null",
    b'{"a":[null]}',
    b"",
    b"{",
    b" {}",
    b"{}\n",
    b'{"b":1,"a":1}',
    b'{"a":1,"a":1}',
    b'{"a": 1}',
    b"-0",
    b"-1",
    b"1.0",
    b"1e3",
    b"01",
    b"9007199254740992",
    b"9" * 5000,
    b"NaN",
    b"[Infinity]",
    b'"\\u0041"',
    b'"\\/"',
    b'"\\n"',
    b'"\\u0000"',
    b'"\x7f"',
    b'"\\u007f"',
    b'"\t"',
    b'"\\ud83d\\ude00"',
    b'"\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b"\xef\xbb\xbf{}",
    b'{"\xc3\xa4":1}',
    b"[" * 33 + b"]" * 33,
    b"[" * 100000,
    b'{"a":' * 100000,
    b'"' + b'\\"' * 100000,
    b'"\\',
]

NO_BASE64 = ["A", "AA", "AA=", "AB==", "AAB=", "AA==\n", "A-==", "====", "AA==AA==", " AAA"]

FORMATS = ["1.0", "1.7", "1.999999"]
NO_FORMATS = ["1", "1.", "1.01", "01.0", "2.0", "0.9", "1.1000000", "1000000.0", "1.0.0", " 1.0", "1.-1", "1.\u0661"]

TIMES = ["2026-11-22T14:03:00.250Z", "2024-02-29T23:59:59.999Z", "2000-02-29T00:00:00.000Z"]
NO_TIMES = [
    "2026-11-22T14:03:00Z",
    "2026-02-29T00:00:00.000Z",
    "1900-02-29T00:00:00.000Z",
    "2026-13-01T00:00:00.000Z",
    "2026-11-22T24:00:00.000Z",
    "2026-11-22T14:03:60.000Z",
    "2026-11-22t14:03:00.250z",
    "2026-11-22T14:03:00.250+00:00",
    "\u0662026-11-22T14:03:00.250Z",
]


def accepts(check, value):
    try:
        check(value)
    except Refused:
        return False
    return True


def self_test():
    """The faults that the tests of this module find; none when it is right."""
    faults = []

    def expect(condition, what):
        if not condition:
            faults.append(what)

    for key, message, signature in RFC_8032:
        raw, data, sig = bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature)
        expect(verify_ed25519(raw, data, sig), f"RFC 8032: {key}")
        expect(not verify_ed25519(raw, data + b"x", sig), f"another message: {key}")
        high = (int.from_bytes(sig[32:], "little") + ORDER).to_bytes(32, "little")
        expect(not verify_ed25519(raw, data, sig[:32] + high), f"S above the order: {key}")
        for place in (0, 31, 32, 63):
            bad = bytearray(sig)
            bad[place] ^= 1
            expect(not verify_ed25519(raw, data, bytes(bad)), f"altered byte {place}: {key}")
        expect(not is_weak_key(base64.b64encode(ED25519_PREFIX + raw).decode()), f"weak: {key}")
    for key in SMALL_ORDER:
        expect(point_decode(bytes.fromhex(key)) is not None, f"small order is no point: {key}")
    for key in NOT_CANONICAL:
        expect(point_decode(bytes.fromhex(key)) is None, f"not canonical is a point: {key}")
    for key in SMALL_ORDER + NOT_CANONICAL:
        public = base64.b64encode(ED25519_PREFIX + bytes.fromhex(key)).decode()
        expect(is_weak_key(public), f"not weak: {key}")
        identity = bytes.fromhex(SMALL_ORDER[0])
        found = any(verify_ed25519(bytes.fromhex(key), b"%d" % n, identity + bytes(32)) for n in range(16))
        expect(not found, f"a good signature of a weak key: {key}")
    short = base64.b64encode(ED25519_PREFIX + bytes(31)).decode()
    for public in (short, base64.b64encode(ED25519_PREFIX + bytes(33)).decode(), "AA=="):
        expect(raw_ed25519(public) is None and not is_weak_key(public), f"a known algorithm: {public}")
    for size in (0, MAX_PUBLIC_KEY + 1):
        expect(not accepts(public_key, base64.b64encode(bytes(size)).decode()), f"a key of {size} bytes")
    for value in FORMATS:
        expect(accepts(format_text, value), f"format: {value}")
    for value in NO_FORMATS:
        expect(not accepts(format_text, value), f"no format: {value}")
    for data in CANONICAL:
        expect(accepts(parse_canonical, data), f"canonical: {data[:60]}")
    for data in NO_CANONICAL:
        expect(not accepts(parse_canonical, data), f"not canonical: {data[:60]}")
    check = record({"a": number}, {"b": number})
    for line in (b'{"a":1}', b'{"a":1,"b":null}', b'{"b":2,"a":1,"c":null,"c":1}'):
        expect(accepts(check, parse_line(line)), f"line: {line}")
    for line in (b'{"a":null}', b'{"a":1,"b":"2"}', b'{"a":1,"b":null,"b":2}', b'{"a":1,"b":2,"b":null}', b'{"a":1,"a":1}'):
        expect(not accepts(check, parse_line(line)), f"no line: {line}")
    for value in NO_BASE64:
        expect(not accepts(decode_base64, value), f"no Base64: {value!r}")
    for value in ("", "AA==", "AAA=", "AAAA", "+/+/"):
        expect(accepts(decode_base64, value), f"Base64: {value!r}")
    for value in TIMES:
        expect(accepts(parse_time, value), f"time: {value}")
    for value in NO_TIMES:
        expect(not accepts(parse_time, value), f"no time: {value}")
    expect(parse_time("2026-03-01T00:00:00.000Z") - parse_time("2024-02-29T00:00:00.000Z") == 731 * 86400000, "days")
    return faults

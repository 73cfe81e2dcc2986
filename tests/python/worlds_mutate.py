"""Spoils the bytes of a repository: files as a whole, envelopes, and payloads that are then signed and named anew."""

import base64
import json

import forge
import trust_model

NUMBERS = [b"1.0", b"1e3", b"-0", b"-1", b"01", b"9007199254740991", b"9007199254740992", b"1" * 400, b"NaN", b"null", b"true", b'"1"']
TEXTS = [b'"\\u0061"', b'"\x7f"', b'"\x01"', b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\/"', b'"\\n"', b'""', b"7",
         b'"1.7"', b'"1.999999"', b'"1.1000000"', b"null", b"[]", b"{}", '"é\U0001F600"'.encode(), b'"\xc2\x85"', '"\ufeff"'.encode()]
OTHERS = [b"null", b"{}", b"[]", b'"x"', b"0", b'[""]', b"[null]", b"[[]]", b"false"]


class Tree:
    """JSON that remembers repeated members and takes raw bytes for any value."""

    def __init__(self, data):
        self.root = json.loads(data, object_pairs_hook=Members)

    def places(self, node=None, found=None):
        """Every container and place in it."""
        found = [] if found is None else found
        node = self.root if node is None else node
        for place in range(len(node)):
            found.append((node, place))
            value = node[place][1] if isinstance(node, Members) else node[place]
            if isinstance(value, list):
                self.places(value, found)
        return found


class Members(list):
    """The members of an object: lists of name and value."""

    def __init__(self, pairs):
        super().__init__([name, value] for name, value in pairs)


def dump(value):
    """The bytes of a tree, as canonical as what stands in it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Members):
        return b"{" + b",".join((n if isinstance(n, bytes) else forge.canonical(n)) + b":" + dump(v) for n, v in value) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(dump, value)) + b"]"
    return forge.canonical(value)


def get(node, place):
    """The value at a place."""
    return node[place][1] if isinstance(node, Members) else node[place]


def put(node, place, value):
    """Another value at a place."""
    if isinstance(node, Members):
        node[place][1] = value
    else:
        node[place] = value


def spoil_json(rng, data):
    """One change of a JSON document."""
    tree = Tree(data)
    node, place = rng.choice(tree.places())
    value, what = get(node, place), rng.randrange(12)
    if what < 4:
        put(node, place, rng.choice(NUMBERS if isinstance(value, int) else TEXTS if isinstance(value, str) else OTHERS))
    elif what == 4:
        del node[place]
    elif what == 5:
        node.insert(place, node[place])
    elif what == 6:
        rng.shuffle(node)
    elif what == 7:
        depth = rng.choice([1, 20, 27, 28, 29, 30, 31, 32, 33, 34, 200, 100_000])
        put(node, place, b"[" * depth + b"]" * depth)
    elif what == 8 and isinstance(node, Members):
        node.append(rng.choice([["zzz", 1], ["zzz", b"[" * 26 + b"]" * 26], ["aaa", 1], [b'"z\\u007a"', 1], ["zé", 1], [b'"zz\x7f"', 1],
                                ["zzz", b"null"], ["critical", ["kind"]], ["critical", []], ["critical", ["zzz"]], ["zzz", b"1.5"]]))
        node.sort(key=lambda pair: pair[0] if isinstance(pair[0], str) else "~")
    elif what == 9 and isinstance(node, Members):
        node[place][0] = rng.choice(["zzzz", "A", ""])
        node.sort(key=lambda pair: pair[0])
    elif what == 10 and isinstance(value, str):
        put(node, place, rng.choice([value.upper(), value + "0", value[:-1], value + " ", "\u0130" + value, value.replace("0", "1")]))
    else:
        put(node, place, rng.choice([b" ", b""]) + dump(value) + rng.choice([b" ", b"\n"]))
    return dump(tree.root)


def spoil_base64(rng, text):
    """Base64 that is not written as it must be."""
    return rng.choice([text.rstrip("="), text.replace("+", "-").replace("/", "_"), text + "=", text[:-3] + "B==" if text.endswith("==") else text,
                       text[:20] + " " + text[20:], "", text[:-1], text[:-4]])


def spoil_envelope(rng, data):
    """One change of an envelope that leaves the payload's words alone."""
    whole = json.loads(data)
    signatures, what = whole["signatures"], rng.randrange(8)
    if what == 0:
        whole["payload"] = spoil_base64(rng, whole["payload"])
    elif what == 1 and signatures:
        rng.choice(signatures)["sig"] = spoil_base64(rng, signatures[0]["sig"])
    elif what == 2 and signatures:
        signatures.append(dict(signatures[0]))
    elif what == 3:
        signatures.append({"keyid": rng.choice(["", "0" * 64, "f" * 64, "F" * 64, "x"]), "sig": forge.b64(b"x" * rng.choice([0, 1, 64, 8192, 8193]))})
    elif what == 4:
        signatures.extend({"keyid": "f" * 64, "sig": forge.b64(b"%03d" % number)} for number in range(rng.choice([6, 7, 8, 63, 64])))
    elif what == 5:
        rng.choice([whole, *signatures])["zzz"] = 1
    elif what == 6 and signatures:
        signatures[0]["keyid"] = signatures[0]["keyid"].upper()
    else:
        whole["payloadType"] = rng.choice(["application/json", "application/vnd.in-toto+JSON"])
    return forge.canonical(whole)


def spoil_bytes(rng, data):
    """One change of bytes."""
    place, what = rng.randrange(len(data) + 1), rng.randrange(7)
    if what == 0 and place < len(data):
        return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1:]
    return [data[:place], data + rng.choice([b"\n", b" ", b"\0", b"{}"]), b"\xef\xbb\xbf" + data, b"", data + data,
            data[:place] + b"\xff" + data[place:], data[:place] + data[place + 1:]][what]


def sign_again(world, ref, payload):
    """The envelope of a payload that took the place of another one."""
    if ref in world.trust:
        return forge.signed(payload, sorted(world.trust[ref]))
    return forge.signed(payload, [world.entries[ref].key])


def own_name(payload, width, sequence):
    """The reference that a payload has, whatever stands in it."""
    try:
        predicate = json.loads(payload)["predicate"]
        told = predicate["sequence" if width == 12 else "version"]
        sequence = told if isinstance(told, int) and 0 <= told < 10**width else sequence
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return forge.reference(sequence, payload, width)


def spoil_payload(rng, world, files, path):
    """One change of a payload, signed anew under its own name."""
    ref = path.rsplit("/", 1)[1][:-5]
    is_policy = ref in world.trust
    document = files.pop(path)
    try:
        payload = forge.payload_of(document)
        if not is_policy and "carries" in json.loads(payload)["predicate"] and rng.random() < .3:
            whole = json.loads(payload)
            inner = base64.b64decode(whole["predicate"]["carries"])
            change = rng.choice([spoil_envelope, spoil_bytes, spoil_json])
            whole["predicate"]["carries"] = forge.b64(change(rng, inner))
            payload = forge.canonical(whole)
        else:
            payload = spoil_json(rng, payload)
    except (ValueError, RecursionError, IndexError):
        files[path] = document
        return
    name = own_name(payload, 6 if is_policy else 12, trust_model.number(ref))
    files[forge.policy_path(name) if is_policy else forge.entry_path(name)] = sign_again(world, ref, payload)


def spoil(rng, world, files):
    """One mutation of the files."""
    ours = [path for path in files if path not in world.extra and path.rsplit("/", 1)[1][:-5] in {*world.entries, *world.trust}]
    if not ours:
        return
    path, other = rng.choice(ours), rng.choice(ours)
    what = rng.randrange(10)
    if what < 5:
        spoil_payload(rng, world, files, path)
    elif what < 7:
        change = rng.choice([spoil_envelope, spoil_envelope, spoil_json, lambda _, data: forge.not_canonical(data)])
        try:
            files[path] = change(rng, files[path])
        except (ValueError, RecursionError, KeyError):
            pass
    elif what == 7:
        files[path] = spoil_bytes(rng, files[path])
    elif what == 8:
        files[path], files[other] = files[other], files[path]
    else:
        folder, name = path.rsplit("/", 1)
        new = rng.choice([f"{folder}/{name.upper()}", f"{folder}/x{name}", f"{folder}1/{name}", f"{folder}/{name}.bak", f"ledger/{name}",
                          f"trust/{name}", f"{folder}/{name[:-6]}0.json", f"{folder}/sub/{name}"])
        files[new] = files.pop(path) if rng.random() < .5 else files[path]

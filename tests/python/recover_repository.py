"""Makes repositories of format 1 with stock tools (age, zstd) and `cryptography`."""
import base64, hashlib, json, os, secrets, subprocess
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives import serialization as S

PT = "application/vnd.in-toto+json"
SOURCE = {"instance": "crn:v1:bluemix:public:secrets-manager:eu-de:a/1:2::", "provider": "ibm", "region": "eu-de"}
TIME = "2026-11-22T14:03:00.250Z"
canon = lambda o: json.dumps(o, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
sha = lambda b: hashlib.sha256(b).hexdigest()
b64 = lambda b: base64.b64encode(b).decode()


class Key:
    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        der = self.key.public_key().public_bytes(S.Encoding.DER, S.PublicFormat.SubjectPublicKeyInfo)
        self.public, self.fp = b64(der), sha(der)

    def sign(self, payload):
        return self.key.sign(b"DSSEv1 %d %s %d " % (len(PT), PT.encode(), len(payload)) + payload)


def envelope(payload, keys, forged=False):
    sigs = [{"keyid": k.fp, "sig": b64(secrets.token_bytes(64) if forged else k.sign(payload))} for k in keys]
    sigs.sort(key=lambda s: (s["keyid"], s["sig"]))
    return canon({"payload": b64(payload), "payloadType": PT, "signatures": sigs})


def statement(kind, predicate, subjects):
    subject = [{"digest": {"sha256": d}, "name": n} for n, d in subjects]
    return canon({"_type": "https://in-toto.io/Statement/v1", "predicate": predicate,
                  "predicateType": f"urn:keyhaven:{kind}:1", "subject": subject})


def padme(length):
    e = length.bit_length() - 1
    s = e.bit_length()
    m = (1 << max(0, e - s)) - 1
    return (length + m) & ~m


class Repo:
    def __init__(self, place, recover_md=b"RECOVER.md\n"):
        self.place, self.recover_md = place, recover_md
        os.makedirs(place)
        for d in ("trust", "ledger", "packs", "catalogues", "lists"):
            os.makedirs(f"{place}/{d}")
        self.write("RECOVER.md", recover_md)
        self.custodians = [Key() for _ in range(3)]
        self.c1, self.c2, self.reaper, self.verifier, self.stranger = (Key() for _ in range(5))
        made = [subprocess.run(["age-keygen"], capture_output=True, check=True, text=True).stdout for _ in range(2)]
        self.identity = made[0]
        self.recipients = sorted(line.split()[-1] for text in made for line in text.splitlines() if "public key" in line)
        self.policies, self.refs, self.entries, self.heads, self.carried = {}, [], {}, [], set()

    def write(self, name, data):
        path = f"{self.place}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)

    # -- trust
    def key(self, name, key, roles, until=None):
        return {"name": name, "public_key": key.public, "roles": sorted(roles)} | ({} if until is None else {"until": sorted(until)})

    def policy(self, keys, signers=None, store=True, previous=None, forged=False, **changes):
        previous = list(self.refs) if previous is None else previous
        number = 1 + max([int(r[:6]) for r in previous], default=0)
        p = {"accepted": [], "catalogue_recipients": [],
             "custodians": sorted(({"name": f"custodian {i}", "public_key": c.public} for i, c in enumerate(self.custodians)), key=lambda c: c["public_key"]),
             "format": "1.0", "held": [], "keys": sorted(keys, key=lambda k: k["public_key"]),
             "lost": {"entries": [], "packs": [], "snapshots": []}, "previous": sorted(previous),
             "recovery_recipients": [{"name": "r", "recipient": r} for r in self.recipients],
             "settings": {"grace_seconds": 172800, "longest_run_seconds": 21600, "recover_md": sha(self.recover_md)},
             "source": SOURCE, "threshold": 2, "time": TIME, "tool": "keyhaven/0.1.0", "version": number}
        if number > 1:
            p["repository"] = self.id
        p |= changes
        payload = statement("policy", p, [("RECOVER.md", p["settings"]["recover_md"])])
        ref = f"{number:06}-{sha(payload)}"
        if number == 1 and not self.refs:
            self.id = sha(payload)
        text = envelope(payload, self.custodians[:2] if signers is None else signers, forged)
        self.policies[ref] = (p, text)
        if store:
            self.write(f"trust/{ref}.json", text)
        self.refs.append(ref)
        return ref

    # -- entries
    def entry(self, key, kind, body, subjects, policy=None, parents=None, forged=False, head=True, carry=None, sequence=None, **more):
        policy = policy or self.refs[-1]
        parents = sorted(self.heads if parents is None else parents)
        sequence = sequence or 1 + max([int(r[:12]) for r in parents], default=0)
        effect = "state" if kind in ("forget", "undo", "hold", "release", "sweep") else "record"
        p = {"body": body, "effect": effect, "format": "1.0", "kind": kind, "parents": parents, "policy": policy,
             "public_key": key.public, "repository": self.id, "sequence": sequence, "source": SOURCE, "time": TIME,
             "tool": "keyhaven/0.1.0"} | more
        if carry or (carry is None and (key.fp, policy) not in self.carried and policy in self.policies):
            p["carries"] = b64(self.policies[policy][1])
            self.carried.add((key.fp, policy))
        payload = statement("entry", p, subjects)
        ref = f"{sequence:012}-{sha(payload)}"
        self.write(f"ledger/{ref[:9]}/{ref}.json", envelope(payload, [key], forged))
        self.entries[ref] = p
        if head:
            self.heads = [h for h in self.heads if h not in parents] + [ref]
        return ref

    def delete(self, kind, *refs, key=None, **kw):
        digests = [r[13:] for r in refs]
        body = {"snapshots": digests}
        body |= {"forget": {"rule": "keep"}, "undo": {"reason": "x"}, "sweep": {"objects": 1, "bytes": 1, "before": TIME}}[kind]
        return self.entry(key or self.reaper, kind, body, [(f"entry/{d}", d) for d in digests], **kw)

    # -- objects
    def seal(self, directory, lines, recipients=None):
        data = "".join(json.dumps(l, ensure_ascii=False, separators=(",", ":")) + "\n" for l in lines).encode()
        frame = subprocess.run(["zstd", "-q", "-c", "--check", f"--stream-size={len(data)}"], input=data, capture_output=True, check=True).stdout
        pad = max(65536, padme(len(frame) + 8)) - len(frame) - 8
        frame += bytes.fromhex("502a4d18") + pad.to_bytes(4, "little") + bytes(pad)
        who = [a for r in (recipients or self.recipients) for a in ("-r", r)]
        sealed = subprocess.run(["age", *who], input=frame, capture_output=True, check=True).stdout
        self.write(f"{directory}/{sha(sealed)}.jsonl.zst.age", sealed)
        return sha(sealed), len(sealed)

    def pack(self, payloads, wrong=()):
        mac_key = secrets.token_hex(32)
        lines = [{"format": "1.0", "kind": "pack", "repository": self.id, "source": SOURCE, "mac_key": mac_key}]
        for key, version, payload in payloads:
            mac = sha("\n".join((mac_key, key, version, payload)).encode())
            lines.append({"key": key, "version": version, "mac": sha(b"x") if (key, version) in wrong else mac, "payload": payload})
        return self.seal("packs", lines)

    def catalogue(self, items):
        items = sorted(items, key=lambda i: i["key"].encode())
        head = {"format": "1.0", "kind": "catalogue", "repository": self.id, "source": SOURCE}
        half = (len(items) + 1) // 2
        return [dict(zip(("digest", "size"), self.seal("catalogues", [head, *part])), items=len(part)) for part in (items[:half], items[half:]) if part]

    def list(self, packs):
        lines = [{"format": "1.0", "kind": "list", "nonce": b64(secrets.token_bytes(16)), "recipients": self.recipients}]
        lines += [{"pack": d, "size": s, "recipients": list(range(len(self.recipients)))} for d, s in sorted(packs)]
        data = "".join(json.dumps(l, separators=(",", ":")) + "\n" for l in lines).encode()
        self.write(f"lists/{sha(data)}.jsonl", data)
        return sha(data)

    def snapshot(self, key=None, content=None, reasons=(), partial=False, full=True, base=None, recipients=None, **kw):
        parts, packs, listed = content or self.content
        body = {"bucket": {}, "consistency": "point_in_time", "counts": {"all": {}, "classes": {}, "kinds": {}}, "from": TIME, "to": TIME, "time": TIME,
                "rounds": 2, "full": full, "hidden": [], "list": listed, "marks": [], "notes": [], "packs": len(packs), "partial": partial,
                "parts": parts, "reasons": [{"code": r} for r in reasons],
                "recipients": recipients or sha("".join(r + "\n" for r in self.recipients).encode()),
                "recovery_key_on_collector": False, "requests": {"listing": 8, "reading": 3, "retried": 0},
                "sealed_bytes": sum(s for _, s in packs), "tags": [], "tag": f"é {secrets.token_hex(4)}"}
        if base:
            body["base"] = base[13:]
        subjects = [(f"catalogues/{p['digest']}.jsonl.zst.age", p["digest"]) for p in parts] + [(f"lists/{listed}.jsonl", listed)]
        return self.entry(key or self.c1, "snapshot", body, subjects, **kw)


EXACT = '{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}'
QUOTED = '{"payload":"line\\nfeed \\\\ \\"quote\\" \\u0000 é 😀 \\ud83d\\ude00"}'
SPACED = '{\n\t"data" : { "a" : 1.0 }\r\n}'


def row(name, kind="arbitrary", group="default", **more):
    return {"row": {"id": name, "name": name, "secret_type": kind, "secret_group_id": group, "state": 1} | more}


def item(key, payloads, name=None, type="arbitrary", docs=None, group="default"):
    name = name or key.split("/")[-1]
    return {"key": key, "name": name, "type": type, "group": group, "class": "exact", "revision": sha(key.encode()),
            "read_at": TIME, "payloads": [{"version": v, "pack": p} for v, p in payloads], "docs": docs or row(name, type, group)}


def content(repo, bulk=0):
    """One old pack with stale and deleted payloads, one new one, and `bulk` payloads more in further packs."""
    old = repo.pack([("secret/rotated", "v3", '{"payload":"three"}'), ("secret/rotated", "v1", '{"payload":"one"}'),
                     ("secret/deleted", "v1", '{"payload":"DELETED"}'), ("secret/exact", "v1", EXACT), ("secret/rotated", "v0", '{"payload":"STALE"}')])
    new = repo.pack([("secret/rotated", "v4", '{"payload":"four"}'), ("secret/quoted", "v1", QUOTED), ("secret/spaced", "v1", SPACED),
                     ("secret/rotated", "v2", '{"payload":"two"}'), ("secret/rotated", "withheld", '{"row":{"pin":"1"}}'),
                     ("configuration/iam_credentials_configuration/a b/c", "value", '{"api_key":"k"}')])
    o, n = old[0], new[0]
    items = [item("secret/rotated", [("withheld", n), ("v4", n), ("v3", o), ("v2", n), ("v1", o)]), item("secret/exact", [("v1", o)], type="kv"),
             item("secret/quoted", [("v1", n)]), item("secret/spaced", [("v1", n)], type="kv"), item("secret/none", []),
             item("configuration/iam_credentials_configuration/a b/c", [("value", n)], type="iam_credentials_configuration"),
             item("group/g1", [], name="payments", type="group", docs={"row": {"id": "g1", "name": "payments", "description": ""}})]
    packs = [old, new]
    for i in range(0, bulk, 280):
        numbers = range(i, min(bulk, i + 280))
        pack = repo.pack([(f"secret/bulk-{j // 2:05}", f"v{j % 2}", json.dumps({"payload": secrets.token_urlsafe(150)})) for j in numbers])
        packs.append(pack)
        items += [item(f"secret/bulk-{j // 2:05}", [(f"v{k % 2}", pack[0]) for k in reversed(range(j, min(j + 2, numbers.stop)))]) for j in numbers if j % 2 == 0]
    return repo.catalogue(items), packs, repo.list(packs)


def standard(place, recover_md, bulk=0):
    """Three versions, and above the snapshot `good` one of everything that must be passed over."""
    r = Repo(place, recover_md)
    roles = lambda **until: [r.key("collector 1", r.c1, ["collector"]), r.key("collector 2", r.c2, ["collector"], **until),
                             r.key("recovery host", r.reaper, ["reaper", "restorer"]), r.key("verifier", r.verifier, ["verifier"])]
    r.p1 = r.policy(roles()[:1])
    r.content = content(r, bulk)
    r.s = {"first": r.snapshot()}
    r.p2 = r.policy(roles(), signers=r.custodians[1:])
    r.s["second"] = r.snapshot(r.c2)
    r.s["rogue early"] = r.snapshot(r.c2)
    r.p3 = r.policy(roles(until=[r.s["second"]]), signers=[r.custodians[0], r.custodians[2]])
    r.s["good"] = r.snapshot()
    r.entry(r.verifier, "verification", {"level": "objects", "passed": True, "problems": 0, "entries": []}, [("repository", r.id)])
    good = r.content
    r.content = bad = (r.catalogue([item("secret/bad", [])]), [], r.list([]))
    s = r.s
    s["forgotten"] = r.snapshot()
    s["swept"] = r.snapshot()
    s["suspect"] = r.snapshot(reasons=["gone", "hollowed"])
    s["ended key"] = r.snapshot(r.c2)
    s["custodian"] = r.snapshot(r.custodians[0])
    s["nobody"] = r.snapshot(forged=True, head=False)
    s["stranger"] = r.snapshot(r.stranger, head=False)
    s["wrong role"] = r.snapshot(r.verifier)
    s["recipients"] = r.snapshot(recipients=sha(b"x"))
    s["base void"] = r.snapshot(full=False, base=s["ended key"])
    s["undone"] = r.snapshot(reasons=["x"])
    r.delete("forget", s["forgotten"], s["swept"])
    r.delete("forget", s["good"], key=r.c1)                   # a wrong role
    r.delete("forget", s["good"], forged=True, head=False)    # by nobody
    r.delete("sweep", s["swept"])
    r.content = good
    return r

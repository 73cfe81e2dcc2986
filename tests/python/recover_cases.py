"""Runs the blocks of RECOVER.md under `dash -eu` and `bash -eu` against made repositories, with only the tools that it names.

    recover_cases.py [CASE...]        all cases, or these
"""
import os, re, shutil, subprocess, sys, tempfile, time, traceback
from recover_repository import *

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/repository/RECOVER.md")
MD = open(FILE).read().replace("{{SOURCE}}", SOURCE["instance"]).replace("{{REGION}}", "eu-de")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", MD, re.M | re.S)
TOOLS = ("age zstd jq openssl sha256sum base64 cat comm cut find grep head mktemp mkdir mv paste rm sed sort split stat tail tr "
         "truncate wc curl dash bash").split()
OUT = tempfile.mkdtemp(prefix="recover.", dir="/tmp")
os.mkdir(f"{OUT}/bin")
MEMORY = tempfile.mkdtemp(prefix="recover-test.", dir="/dev/shm")
for tool in TOOLS + ["cp"]:
    os.symlink(shutil.which(tool), f"{OUT}/bin/{tool}")
COUNT = 0


def world(bulk=0, make=standard):
    global COUNT
    COUNT += 1
    r = make(f"{OUT}/{COUNT}", MD.encode(), bulk)
    r.idfile = f"{OUT}/{COUNT}.identity"
    open(r.idfile, "w").write("# keyhaven\n" + r.identity)
    return r


def run(r, after="", upto=None, shell="dash", **env):
    script = "".join(BLOCKS[:upto]) + "echo '=== done ==='\n" + after
    env = {"REPOSITORY": r.id, "IDENTITY": r.idfile, "PATH": f"{OUT}/bin", "PIN": r.p1, "MEMORY": MEMORY} | env
    env = {k: v for k, v in env.items() if v is not None}
    p = subprocess.run([f"{OUT}/bin/{shell}", "-eu"], input=script.encode(), capture_output=True, cwd=r.place, env=env, timeout=900)
    text = lambda b: b.decode(errors="replace")
    assert not os.listdir(MEMORY), "something is left in memory"
    return p.returncode, text(p.stdout), text(p.stderr)


def taken(r, expected, upto=4, **env):
    """What is taken, in both shells."""
    found = []
    for shell in ("dash", "bash"):
        code, out, err = run(r, upto=upto, shell=shell, **env)
        line = [l for l in out.splitlines() if l.startswith("Taken: ")]
        found.append((line[0].split()[1] if line else None, code, out, err))
        want = r.s.get(expected, expected)
        assert found[-1][0] == want, (shell, expected, want, code, out, err)
        assert "jq:" not in err and "openssl" not in err and "parse error" not in err, err
        assert (code == 0) == (want is not None), (code, err)
    return found[0][2], found[0][3]


CASES = {}
def case(f):
    CASES[f.__name__] = f
    return f


@case
def everything_is_passed_over_for_its_reason():
    r = world()
    out, err = taken(r, "good")
    for name, word in {"forgotten": "forgotten", "swept": "swept", "suspect": 'suspect: "gone" "hollowed"', "ended key": "void: its key was retired",
                       "nobody": "unsigned", "wrong role": "void: its key has another role", "custodian": "stranger", "recipients": "suspect: it is sealed",
                       "base void": "suspect: it builds on", 'undone': 'suspect: "x"'}.items():
        assert any(r.s[name] in l and word in l for l in out.splitlines()), (name, out)
    assert f"{r.s['stranger']} of" in out and "without a signature that counts: 3" in out, out
    assert "DAMAGED" not in out and "WARNING" not in out and not err, (out, err)


@case
def any_pin_and_no_pin_lead_to_the_same():
    r = world()
    for pin in (None, r.p1, r.p2, r.p3):
        out, _ = taken(r, "good", PIN=pin)
        assert r.p3 in out


@case
def all_payloads_byte_for_byte_in_both_shells():
    r = world()
    for shell in ("dash", "bash"):
        code, out, err = run(r, "payloads", shell=shell)
        assert code == 0 and "Payloads: 9 of 9" in err, err
        lines = [json.loads(l) for l in out.split("=== done ===\n")[1].splitlines()]
        got = [(l["key"], l["version"], l["current"], l["payload"]) for l in lines]
        rot = [(v, c, p) for k, v, c, p in got if k == "secret/rotated"]
        assert rot == [("v1", False, '{"payload":"one"}'), ("v2", False, '{"payload":"two"}'), ("v3", False, '{"payload":"three"}'),
                       ("v4", True, '{"payload":"four"}'), ("withheld", False, '{"row":{"pin":"1"}}')], rot
        assert not [g for g in got if "DELETED" in g[3] or "STALE" in g[3]]
        for key, text in (("secret/exact", EXACT), ("secret/quoted", QUOTED), ("secret/spaced", SPACED)):
            assert (key, "v1", True, text) in got
            code, out, err = run(r, f"payload {key}", shell=shell)
            assert code == 0 and out.split("=== done ===\n")[1] == text + "\n", (out, err)
        code, out, err = run(r, "payload secret/rotated; payload secret/rotated v1; payload 'configuration/iam_credentials_configuration/a b/c'", shell=shell)
        assert out.split("=== done ===\n")[1] == '{"payload":"four"}\n{"payload":"one"}\n{"api_key":"k"}\n', out
        assert run(r, "payload secret/deleted", shell=shell)[0] != 0


@case
def the_snapshot_can_be_named():
    r = world()
    for name in ("first", "second", "suspect", "forgotten", "undone"):
        taken(r, name, SNAPSHOT=r.s[name])
    for name in ("ended key", "custodian", "nobody", "stranger", "wrong role", "swept", "rogue early"):
        taken(r, None, SNAPSHOT=r.s[name])


@case
def an_undo_above_its_forget_and_one_beside_it():
    r = world()
    a = r.snapshot()
    b = r.snapshot()
    f = r.delete("forget", a, b)
    out, _ = taken(r, "good")
    r.delete("undo", b)
    taken(r, b)
    r.delete("forget", b)
    taken(r, "good")
    heads = list(r.heads)
    c = r.snapshot(parents=heads)
    f = r.delete("forget", c, parents=[c], head=False)
    taken(r, "good")
    r.delete("undo", c, parents=[c], head=False)      # neither is below the other: it is live
    taken(r, c)


def with_reuses(r, key, base):
    """A snapshot on a base, which says that it may reuse packs of a key."""
    entry = r.entry
    r.entry = lambda k, kind, body, *a, **kw: entry(k, kind, body | {"reuses": [key.fp]}, *a, **kw)
    try: return r.snapshot(full=False, base=base)
    finally: r.entry = entry


@case
def a_base_that_is_gone_and_is_named_below_the_end_of_its_key():
    r = world()
    gone = f"{3:012}-" + "cd" * 32
    up = r.snapshot(r.c2, parents=sorted([*r.heads, gone]))
    r.policy([k | ({"until": [up]} if k["public_key"] == r.c2.public else {}) for k in r.policies[r.p3][0]["keys"]])
    good = with_reuses(r, r.c2, gone)
    taken(r, good)
    with_reuses(r, r.c2, f"{3:012}-" + "ef" * 32)
    taken(r, good)


@case
def a_base_that_is_gone_or_unproven():
    r = world()
    keys = r.policies[r.p3][0]["keys"]
    gone = f"{3:012}-" + "ab" * 32
    a = with_reuses(r, r.c1, gone)
    taken(r, a)
    with_reuses(r, r.c2, gone)
    out, _ = taken(r, a); assert "builds on a snapshot that does not count" in out
    # The until of collector 2 is lost: what is lower is unproven, never taken, and no reason to suspect.
    up = r.snapshot(r.c2, parents=sorted(r.heads))
    before = list(r.refs)
    r.policy([k | ({"until": [up]} if k["public_key"] == r.c2.public else {}) for k in keys])
    taken(r, up)
    os.remove(f"{r.place}/ledger/{up[:9]}/{up}.json")
    b = r.snapshot(full=False, base=r.s["ended key"])
    out, _ = taken(r, b)
    r.delete("forget", b)
    out, _ = taken(r, a)
    taken(r, None, SNAPSHOT=r.s["ended key"])


@case
def a_sweep_is_final_wherever_it_is():
    r = world()
    heads = list(r.heads)
    a = r.snapshot()
    taken(r, a)
    r.delete("sweep", a, parents=heads, head=False)
    taken(r, "good")


@case
def a_forget_that_has_not_the_snapshot_below_it():
    r = world()
    heads = list(r.heads)
    a = r.snapshot()
    r.delete("forget", a, parents=heads, head=False)
    taken(r, a)


@case
def partial_is_taken_and_said():
    r = world()
    a = r.snapshot(partial=True)
    out, _ = taken(r, a)
    assert f"Newest complete snapshot: {r.s['good']}" in out, out


@case
def custodians_accept_a_suspect_snapshot():
    r = world()
    s = r.s
    r.policy(r.policies[r.p3][0]["keys"], accepted=[s["undone"][13:]])
    taken(r, "undone")
    r = world()
    r.policy(r.policies[r.p3][0]["keys"], accepted=[r.s["base void"][13:]])
    taken(r, "base void")


@case
def a_pending_snapshot_stops_the_choice():
    r = world()
    p4 = r.policy(r.policies[r.p3][0]["keys"], store=False)
    a = r.snapshot(carry=False)
    out, err = taken(r, None)
    assert "STOP: snapshots name a policy that is missing" in err and a in out
    taken(r, "good", SNAPSHOT=r.s["good"])
    taken(r, a, SNAPSHOT=a)
    # The bytes on the sheet, or in an entry, are enough.
    taken(r, a, PIN=p4, PIN_BYTES=b64(r.policies[p4][1]))
    r.entry(r.stranger, "verification", {}, [], policy=p4, carry=True, head=False)
    taken(r, a)


@case
def trust_is_emptied():
    r = world()
    shutil.rmtree(f"{r.place}/trust")
    os.mkdir(f"{r.place}/trust")
    taken(r, "good")            # all three are carried by entries
    taken(r, "good", PIN=r.p2, PIN_BYTES=b64(r.policies[r.p2][1]))


@case
def the_pin_is_nowhere():
    r = world()
    out, err = taken(r, None, PIN="000009-" + "ab" * 32)
    assert "STOP: the pinned policy" in err
    taken(r, None, PIN="", REPOSITORY="ab" * 32)


@case
def policies_that_must_not_fit():
    r = world()
    p3, keys = r.policies[r.p3][0], r.policies[r.p3][0]["keys"]
    live = [{k: v for k, v in key.items() if k != "until"} for key in keys]
    before = list(r.refs)
    def bad(signers, **changes):
        keys_ = changes.pop("keys", keys + [r.key("thief", r.stranger, ["collector"])])
        r.refs[:] = before
        r.policy(keys_, signers=signers, previous=before, **changes)
        r.refs[:] = before
    two = r.custodians[:2]
    bad([r.custodians[0]])                                          # one signature
    bad([r.custodians[0], r.stranger])                              # a stranger's
    bad(two, forged=True)
    bad([r.custodians[0]] * 2)                                      # twice the same
    bad([r.stranger], threshold=1, custodians=[{"name": "x", "public_key": r.stranger.public}])   # other custodians
    bad(two, keys=live)                                             # a revoked key comes back
    bad(two, keys=keys[1:])                                         # a key is gone
    bad(two, keys=[k | {"roles": ["collector", "reaper"]} for k in keys])
    bad(two, version=9)
    bad(two, threshold=4)
    bad(two, threshold=0)
    bad(two, recovery_recipients=[])
    bad(two, keys=keys + [r.key("twice", r.custodians[0], ["collector"])])
    bad(two, critical=["unknown"])
    bad(two, format="2.0")
    bad(two, repository="ab" * 32)
    bad(two, settings=p3["settings"] | {"grace_seconds": 1})
    a = r.snapshot(r.stranger, policy=r.p3, carry=False, head=False)
    out, err = taken(r, "good")
    assert r.p3 in out and err.count("Not accepted: policy") == 10, err
    r.policy(keys + [r.key("new", r.stranger, ["collector"])], signers=two, previous=before, tool="good")
    taken(r, a)


@case
def signatures_are_pooled():
    r = world()
    keys = r.policies[r.p3][0]["keys"] + [r.key("new", r.stranger, ["collector"])]
    a = r.snapshot(r.stranger, policy=r.p3, carry=False, head=False)
    p4 = r.policy(keys, signers=r.custodians[:1])
    taken(r, "good")
    payload = base64.b64decode(json.loads(r.policies[p4][1])["payload"])
    r.policies[p4] = (r.policies[p4][0], envelope(payload, r.custodians[1:2]))
    r.entry(r.verifier, "verification", {}, [], policy=p4, carry=True)
    taken(r, a)


@case
def new_custodians_sign_with_the_old():
    r = world()
    old, keys = list(r.custodians), r.policies[r.p3][0]["keys"]
    r.custodians = [Key(), Key(), old[2]]
    before = list(r.refs)
    r.policy(keys, signers=r.custodians[:2], time="2026-11-22T14:03:00.251Z")     # only the new ones
    out, _ = taken(r, "good"); assert r.p3 in out
    r.refs[:] = before
    p4 = r.policy(keys, signers=r.custodians[:2] + old[:2])
    out, _ = taken(r, "good"); assert f"in force: {p4}" in out
    p5 = r.policy(keys, signers=r.custodians[:2], previous=before + [p4])
    out, _ = taken(r, "good"); assert f"in force: {p5}" in out


@case
def a_fork_stops_and_a_pin_or_a_join_ends_it():
    r = world()
    keys, before = r.policies[r.p3][0]["keys"], list(r.refs)
    a = r.policy(keys, previous=before, reason="a")
    b = r.policy(keys, previous=before, reason="b")
    out, err = taken(r, None)
    assert "two branches" in err, err
    out, _ = taken(r, "good", PIN=a); assert f"in force: {a}" in out
    c = r.policy(keys, previous=before + [a, b])
    out, _ = taken(r, "good"); assert f"in force: {c}" in out


@case
def a_version_is_missing_in_the_chain():
    r = world()
    keys = r.policies[r.p3][0]["keys"]
    p4 = r.policy(keys, store=False)
    p5 = r.policy(keys)
    out, _ = taken(r, "good")
    assert f"in force: {p5}" in out and f"WARNING: a version of the policy is missing: \"{p4}\"" in out, out


@case
def a_later_version_revokes_the_collector():
    r = world()
    keys = r.policies[r.p3][0]["keys"]
    a = r.snapshot()
    taken(r, a)
    ended = [k | ({"until": [r.s["first"]]} if k["public_key"] == r.c1.public else {}) for k in keys]
    r.policy(ended)
    taken(r, "second")
    r.policy([k | ({"until": []} if "collector" in k["roles"] else {}) for k in keys])
    taken(r, None)


@case
def a_retired_collector_counts_up_to_its_last_entry():
    r = world()
    keys = r.policies[r.p3][0]["keys"]
    a = r.snapshot()
    r.policy([k | ({"until": [a]} if k["public_key"] == r.c1.public else {}) for k in keys])
    taken(r, a)
    b = r.snapshot()
    taken(r, a)


@case
def far_above_is_pending():
    r = world()
    hole = f"{999999999998:012}-" + "ab" * 32
    a = r.snapshot(parents=sorted(r.heads + [hole]), head=False)
    out, err = taken(r, None)
    assert "out of reach" in out, out
    taken(r, "good", SNAPSHOT=r.s["good"])
    r = world()
    hole = f"{9000:012}-" + "ab" * 32
    taken(r, r.snapshot(parents=sorted(r.heads + [hole]), head=False))


@case
def rubbish_of_every_kind():
    r = world()
    led = f"{r.place}/ledger"
    good = open(f"{led}/{r.s['good'][:9]}/{r.s['good']}.json", "rb").read()
    name = lambda n, d: f"ledger/000000000/{n:012}-{d}.json"
    def signed(change, n=50, raw=None):
        """An entry signed with the good collector's key whose text is not what it must be."""
        p = {**r.entries[r.s["good"]], "parents": [f"{n - 1:012}-" + "cd" * 32], "sequence": n} | change
        payload = raw(p) if raw else statement("entry", p, [])
        r.write(name(n, sha(payload)), envelope(payload, [r.c1]))
    signed({"repository": "ab" * 32}); signed({"format": "2.0"}); signed({"critical": ["x"]}); signed({"sequence": 51})
    signed({"parents": "x"}); signed({"parents": [None]}); signed({"body": None})
    signed({}, raw=lambda p: statement("entry", p, []) + b"\n")
    signed({}, raw=lambda p: statement("entry", p, []).replace(b'"kind"', b'"kind":"x","kind"'))
    signed({}, raw=lambda p: statement("entry", p, []).replace(b'"tool":"', b'"tool":"\xff'))
    signed({}, raw=lambda p: statement("entry", p | {"x": "Q"}, []).replace(b'"Q"', b"[" * 5000 + b"]" * 5000))
    signed({}, raw=lambda p: json.dumps(json.loads(statement("entry", p, []))).encode())
    signed({}, raw=lambda p: statement("policy", p, []))
    # By strangers, with members of wrong types.
    for change in ({"public_key": 5}, {"kind": 5}, {"policy": ["x"]}, {"body": 5}, {"body": {"base": 5, "reasons": []}}, {"body": {"reasons": [5]}},
                   {"body": {"reasons": {"x": 1}}}, {"body": {"reasons": [], "snapshots": 5, "reuses": 7}}, {"carries": 5}, {"carries": "%%%"}, {"carries": b64(b"{")},
                   {"carries": b64(b"x\n" + r.policies[r.p3][1])}, {"parents": [["000000000049-"]]}, {"critical": 5}, {"sequence": "50"}):
        for key in (r.c1, r.reaper, r.stranger):
            signed_ = {**r.entries[r.s["good"]], "parents": ["000000000049-" + "cd" * 32], "sequence": 50, "public_key": key.public, "x": secrets.token_hex(4)} | change
            payload = statement("entry", signed_, [])
            r.write(name(50, sha(payload)), envelope(payload, [r.stranger]))
    for change in ({"previous": 5}, {"previous": [r.p1, 5]}, {"custodians": 5}, {"custodians": [5]}, {"keys": {"a": 1}}, {"keys": [{"public_key": "x", "roles": 5}]},
                   {"recovery_recipients": "x"}, {"threshold": "1"}, {"settings": 5}, {"version": "4"}, {"critical": 5}, {"keys": [{"public_key": "x", "roles": [], "until": 5}]}):
        p = {**r.policies[r.p3][0], "previous": r.refs, "version": 4} | change
        payload = statement("policy", p, [])
        r.write(f"trust/000004-{sha(payload)}.json", envelope(payload, [r.stranger]))
    text = json.loads(r.policies[r.p3][1])
    for sigs in (5, [5], [{"keyid": 5, "sig": "x"}], [{"keyid": r.custodians[0].fp, "sig": "* $(touch owned)"}], None):
        r.write(f"trust/{r.p3}.json", canon(text | {"signatures": sigs}))     # p3 is carried by an entry
        taken(r, "good") if sigs != 5 else None
    r.write(f"trust/{r.p3}.json", r.policies[r.p3][1])
    wrong = f"000000000049-{r.s['good'][13:]}"
    signed({"parents": [wrong]})                                     # a parent's sequence is wrong
    r.write(name(60, "ab" * 32), good)                               # another name
    r.write(name(4, "ab" * 32), b"{")                                # would swallow the next file
    r.write(name(61, "ac" * 32), b'{"payload":"')
    r.write(name(62, "ad" * 32), b"")
    r.write(name(63, "ae" * 32), b"\x00" * 1000)
    r.write(name(64, "af" * 32), b"[" * 1000000)
    r.write(name(65, "b0" * 32), secrets.token_bytes(1048577))
    r.write(name(66, "b1" * 32), b"\n" * 1048000)
    r.write(name(67, "b2" * 32), good + b"\n" + good)
    open(f"{led}/000000000/junk with spaces\nand $(touch owned) `touch owned`.json", "w").write("{}")
    open(f"{led}/-rf *", "w").write("{}")
    os.mkfifo(f"{led}/000000000/{70:012}-{'ab' * 32}.json")
    os.mkfifo(f"{r.place}/packs/{'ab' * 32}.jsonl.zst.age")
    os.mkfifo(f"{r.place}/trust/000004-{'ab' * 32}.json")
    os.symlink("/dev/zero", f"{led}/000000000/{71:012}-{'ab' * 32}.json")
    os.symlink("/dev/zero", f"{r.place}/packs/{'ac' * 32}.jsonl.zst.age")
    os.mkdir(f"{led}/000000000/{72:012}-{'ab' * 32}.json")
    open(f"{r.place}/packs/a b\nc", "w").write("x")
    with open(f"{r.place}/packs/{'ad' * 32}.jsonl.zst.age", "wb") as f: f.truncate(10 ** 10)
    with open(f"{led}/000000000/{73:012}-{'ab' * 32}.json", "wb") as f: f.truncate(10 ** 10)
    with open(f"{r.place}/trust/000005-{'ab' * 32}.json", "wb") as f: f.truncate(10 ** 10)
    r.write("trust/000004-" + "ac" * 32 + ".json", r.policies[r.p3][1])
    r.write("trust/000004-" + "ad" * 32 + ".json", b'{"payload":1}')
    start = time.time()
    out, err = taken(r, "good")
    print(f"    {time.time() - start:.1f} s for two runs;", end=" ")
    assert not os.path.exists(f"{r.place}/owned")
    code, out, err = run(r, "payload secret/exact")
    assert code == 0 and out.endswith(EXACT + "\n"), err


@case
def damaged_and_missing_objects_are_named():
    r = world()
    old = f"packs/{r.content[1][0][0]}.jsonl.zst.age"
    data = open(f"{r.place}/{old}", "rb").read()
    r.write(old, data[:3000] + bytes([data[3000] ^ 1]) + data[3001:])
    for shell in ("dash", "bash"):
        code, out, err = run(r, "payloads", shell=shell)
        assert code == 0 and out.startswith(f"DAMAGED: {old}\n"), out
        assert "Payloads: 6 of 9" in err and '["NOT RECOVERED","secret/exact","v1"]' in err and '"v4","current":true' in out, err
        code, out, err = run(r, "payload secret/exact", shell=shell)
        assert code != 0 and f"DAMAGED: {old}" in err
    # Another object, sealed by somebody to the public recipients, under its name; then none.
    digest, _ = r.pack([("secret/exact", "v1", '{"payload":"OWNED"}')])
    shutil.copy(f"{r.place}/packs/{digest}.jsonl.zst.age", f"{r.place}/{old}")
    code, out, err = run(r, "payload secret/exact")
    assert code != 0 and "OWNED" not in out
    os.remove(f"{r.place}/{old}")
    code, out, err = run(r, "payloads")
    assert f"MISSING: {old}" in out and f"MISSING: {old}" in err and "Payloads: 6 of 9" in err
    # Truncated under a right digest, and a bomb.
    part = f"catalogues/{r.content[0][0]['digest']}.jsonl.zst.age"
    os.remove(f"{r.place}/{part}")
    code, out, err = run(r)
    assert code == 0 and f"MISSING: {part}" in err and "Items: 3 of 7" in out, (out, err)


@case
def a_payload_of_another_item_does_not_fit():
    r = world()
    bad = r.pack([("secret/exact", "v1", EXACT), ("secret/moved", "v1", '{"payload":"x"}'), ("secret/nul", "v1", '{"payload":"\x00"}'), ("secret/last", "v1", "{}")],
                 wrong=[("secret/moved", "v1")])
    items = [item(k, [("v1", bad[0])]) for k in ("secret/exact", "secret/moved", "secret/nul", "secret/last")]
    a = r.snapshot(content=(r.catalogue(items), [bad], r.list([bad])))
    for shell in ("dash", "bash"):
        code, out, err = run(r, "payloads", shell=shell)
        assert a in out and "Payloads: 2 of 4" in err and '["DOES NOT FIT",["secret/moved","v1"]]' in err, err
        assert '"secret/last"' in out.split("=== done")[1] and '"secret/moved"' not in out.split("=== done")[1], out
        assert run(r, "payload secret/moved", shell=shell)[0] != 0


@case
def packs_from_elsewhere_cut_or_too_large():
    r = world()
    frame = lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    def raw(data):
        sealed = subprocess.run(["age", *(a for x in r.recipients for a in ("-r", x))], input=data, capture_output=True, check=True).stdout
        r.write(f"packs/{sha(sealed)}.jsonl.zst.age", sealed)
        return sha(sealed), len(sealed)
    head = json.dumps({"format": "1.0", "kind": "pack", "repository": r.id, "source": SOURCE, "mac_key": "0" * 64})
    line = lambda k: json.dumps({"key": k, "version": "v1", "mac": sha(f"{'0' * 64}\n{k}\nv1\n{{}}".encode()), "payload": "{}"})
    other = json.dumps(json.loads(head) | {"repository": "ab" * 32})
    cut = frame((head + "\n" + line("secret/b") + "\n" + "x" * 100000).encode())
    packs = {"a": raw(frame(f"{other}\n{line('secret/a')}\n".encode())), "b": raw(cut[:-9]), "c": raw(frame((head + "\n").encode() + bytes(100 * 2 ** 20))),
             "d": raw(b"no frame"), "e": raw(frame(f"{head}\n{line('secret/e')}\n".encode()))}
    items = [item(f"secret/{k}", [("v1", p[0])]) for k, p in packs.items()]
    r.snapshot(content=(r.catalogue(items), list(packs.values()), r.list(packs.values())))
    for shell in ("dash", "bash"):
        code, out, err = run(r, "payloads", shell=shell)
        assert code == 0 and "Payloads: 1 of 5" in err and err.count("CANNOT BE DECOMPRESSED") == 3 and err.count("FROM ELSEWHERE") == 1, err


@case
def another_identity_and_one_under_a_passphrase():
    r = world()
    other = r.idfile + ".other"
    open(other, "w").write(subprocess.run(["age-keygen"], capture_output=True, text=True).stdout)
    code, out, err = run(r, IDENTITY=other)
    assert "CANNOT BE DECRYPTED" in err and "Items: 0 of 7" in out
    import pty
    for armor in ([], ["-a"]):
        sealed = f"{r.idfile}.age{len(armor)}"
        def typed(argv, times, **kw):
            pid, fd = pty.fork()
            if pid == 0:
                if kw.get("cwd"): os.chdir(kw["cwd"])
                os.execvpe(argv[0], argv, kw.get("env", os.environ))
            got = b""; sent = 0
            while True:
                try: chunk = os.read(fd, 1024)
                except OSError: break
                if not chunk: break
                got += chunk
                if sent < times and got.count(b"passphrase") > sent: os.write(fd, b"correct horse\n"); sent += 1
            os.waitpid(pid, 0)
            return got.decode()
        typed(["age", "-p", *armor, "-o", sealed, r.idfile], 2)
        script = f"{OUT}/typed.sh"
        open(script, "w").write("".join(BLOCKS) + "payload secret/exact\n")
        env = {"REPOSITORY": r.id, "IDENTITY": sealed, "PATH": f"{OUT}/bin", "PIN": r.p1, "MEMORY": MEMORY}
        out = typed(["dash", "-eu", script], 1, cwd=r.place, env=env)
        assert EXACT in out and out.count("passphrase") == 1, out


@case
def nothing_set_or_the_wrong_directory():
    r = world()
    for env in ({"REPOSITORY": None}, {"IDENTITY": None}):
        code, out, err = run(r, upto=1, **env)
        assert code != 0 and "set it to" in err, err
    os.rename(f"{r.place}/ledger", f"{r.place}/t")
    code, out, err = run(r, upto=1)
    assert code != 0 and "STOP" in err
    os.rename(f"{r.place}/t", f"{r.place}/ledger")
    code, out, err = run(r, upto=1, MEMORY="/var/tmp")
    assert code != 0 and "in memory" in err


@case
def no_secret_in_any_argument():
    """strace-free: every tool in the PATH is a wrapper that notes its arguments."""
    r = world()
    real = f"{OUT}/bin"
    spy = f"{OUT}/spy"
    os.makedirs(spy, exist_ok=True)
    for tool in TOOLS + ["cp"]:
        if tool in ("dash", "bash"): os.symlink(f"{real}/{tool}", f"{spy}/{tool}"); continue
        with open(f"{spy}/{tool}", "w") as f:
            f.write(f"#!/bin/bash\nprintf '%s\\n' \"$0 $*\" >>{OUT}/argv\nexec {os.path.realpath(real + '/' + tool)} \"$@\"\n")
        os.chmod(f"{spy}/{tool}", 0o755)
    code, out, err = run(r, "payloads; payload secret/exact; payload secret/rotated", PATH=spy)
    assert code == 0, err
    seen = open(f"{OUT}/argv").read()
    assert len(seen) > 1000
    macs = [json.loads(subprocess.run(f"age -d -i {r.idfile} {r.place}/packs/{p}.jsonl.zst.age | zstd -dc | head -1", shell=True, capture_output=True).stdout)["mac_key"] for p, _ in r.content[1]]
    for secret in macs + ["12345678901234567890", '"four"', "AGE-SECRET-KEY"]:
        assert secret not in seen, secret


@case
def timing_of_1679_payloads():
    r = world(bulk=1679 - 9)
    def best(*args, **kw):
        times = []
        for _ in range(3):
            start = time.time(); result = run(r, *args, **kw); times.append(time.time() - start)
        return min(times), result
    for shell in ("dash", "bash"):
        a, _ = best(upto=4, shell=shell)
        b, _ = best(shell=shell)
        c, (code, out, err) = best("payloads >\"$WORK/payloads.jsonl\"; wc -l <\"$WORK/payloads.jsonl\"", shell=shell)
        assert "Payloads: 1679 of 1679" in err and out.endswith("1679\n"), err
        d, _ = best("payload secret/bulk-00700 >/dev/null", shell=shell)
        print(f"    {shell}: blocks 1-4 {a:.2f} s, all blocks {b:.2f} s, and all 1,679 payloads checked {c - b:.2f} s, one payload {d - b:.2f} s;", end=" ")


if __name__ == "__main__":
    failed = 0
    for name in sys.argv[1:] or CASES:
        start = time.time()
        try:
            CASES[name]()
            print(f"ok {name} ({time.time() - start:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()[-3500:]}", flush=True)
    if not failed: shutil.rmtree(OUT)
    shutil.rmtree(MEMORY)
    sys.exit(failed > 0)

#!/bin/sh
# audit.sh DIRECTORY REPOSITORY-ID [PIN-REFERENCE]   Exit code: 0 all is well, 13 something is wrong, 2 not checked.
export LC_ALL=C; id=${2-} pin=${3-000001-${2-}}; [ ${#id}.${#pin} = 64.71 ] || { head -n 2 "$0" >&2; exit 2; }
D=$(CDPATH='' cd -- "$1" && pwd) && T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT && cd "$T" && mkdir key || exit 2
export sound='^(?!MCowBQYDK2Vw)|^.{16}(?!A[AQ]A{39}[AI]A|[7-9+/][Pfv/]/{39}[3/]8|JuiVj8KyJ7BF|xxdqcD1N2E[+]6).{43}=$'
# 1. Plain files (in names `?` stands for all but ASCII). Those with a right name go on, in Base64, one a line.
(cd "$D" && for d in trust ledger; do [ ! -e $d ] || find $d -type f -print0 || printf 'unreadable directory\0'; done) |
  tr '\0\1-\37\177-\377' '\n?' | sort >names; grep -xE "(trust/.{6}|ledger/(.{9})/\2.{3})-[0-9a-f]{64}\.json" names |
  while read -r f; do printf '%s ' "$f"; head -c 1048576 "$D/$f" | base64 -w0; echo; done >files
# 2. What is canonical, also carried policies: lines `reference file payload signatures`, and `! - key` for sound keys.
jq -Rr 'def must(f): select(f) // error; def read: . as $b | @base64d | fromjson | must((tojson | @base64) == $b and
  all(paths(iterables); length < 32) and all(..; if type == "number" then . <= 9007199254740991 and (tojson |
  test("^[0-9]+$")) elif type == "string" then test("[\\x00-\\x1f\\x7f]") | not elif type == "object" then keys ==
  keys_unsorted and all(keys[]; test("[^ -~]") | not) else . != null end)); def document($file; $ref): read | must(. ==
  {payload, payloadType: "application/vnd.in-toto+json", signatures: [.signatures[] | {keyid, sig}] | unique}) | . as
  {payload: $p, signatures: $s} | $p | read | (if $ref[6:7] == "-" then ["policy", "version"] else ["entry", "sequence"]
  end) as [$what, $n] | must(.predicateType == "urn:keyhaven:\($what):1") | .predicate | [(., .custodians[]?).public_key
  // empty] as $k | must(.[$n] == ($ref[:-65] | tonumber) and .critical == null and (.format |
  test("^1\\.(0|[1-9][0-9]{0,5})$")) and all($k[], $s[][], .parents[]?, .previous[]?; test("^[0-9A-Za-z+/=-]+$")) and
  (.parents // [] | . == unique) and ($ref | test("^([0-9]{6}){1,2}-[0-9a-f]{64}$"))) | ($k[] | select(test($ENV.sound))
  | "! - " + .), ([$ref, $file, $p, ($s[] | "\(.keyid):\(.sig)")] | join(" ")), (.policy as $r | .carries // empty |
  document("-"; $r)); . / " " | .[0] as $f | [.[1] | document($f; $f / "/" | last[:-5])]? | .[]' files >read || exit 2
# 3. Digests and signatures by Ed25519 keys: lines `reference file payload keys-that-signed`. The keys are sorted first.
sort -u read | while read -r ref file p sigs; do printf %s "$p" | base64 -d >p; d=$(sha256sum <p); d=${d%% *}
  [ "$ref$(wc -c <p)" = !44 ] && mv p "key/$d"; [ "$d" = "${ref#*-}" ] || continue; printf '%s ' "$ref" "$file" "$p"
  { printf 'DSSEv1 28 application/vnd.in-toto+json %s ' "$(wc -c <p)"; cat p; } >m; for s in $sigs; do k=key/${s%%:*}
    [ -e "$k" ] && printf %s "${s#*:}" | base64 -d >s && openssl pkeyutl -verify -pubin -keyform DER -inkey "$k" \
      -rawin -in m -sigfile s >o && base64 -w0 "$k" && printf ' '; done; echo; done >good 2>o
# 4. Entries ($e; not their bodies, nor what is in reach) and policies ($pool): what fits, is in force ($now), counts.
jq -Rnr --arg id "$id" --arg first "000001-$id" --arg pin "$pin" --rawfile names names 'def by(f): map({(f): .}) | add;
  def good($k): .good | index([$k]); def role: {snapshot: "collector", proof: "verifier", verification: "verifier",
  restore: "restorer", drill: "restorer", expect: "operator", acknowledge: "operator"}[.] // if
  test("^(forget|undo|hold|release|sweep)$") then "reaper" else null end; def top: [.[].previous[]] as $p |
  map(select([.ref] - $p != [])); def enough($by): [good($by.custodians[].public_key) // empty] | . != [] and length >=
  $by.threshold; def rights: [.keys[] | {public_key, roles}, select(.until).public_key]; def below(f): reduce reverse[]
  as $e ({}; if .[$e.ref] or ($e | f) then . + ($e.parents | by(.)) else . end); [inputs / " " | {ref: .[0], file: .[1],
  good: .[3:]} as $o | .[2] | @base64d | fromjson | .predicate + $o] as $all | [$all[] | select(.file[:1] == "l" and
  .repository == $id and good(.public_key) and .sequence == 1 + (.parents | max // "0" | .[:12] | tonumber) and ((.kind
  | role) as $r | $r == null or (.effect == "state") == ($r == "reaper")))?] | (map({(.ref[13:]): .ref}) | add) as $is |
  map(select(all(.parents[]; ($is[.[13:]] // .) == .))) as $e | ($e | by(.ref)) as $there | reduce ($all[] |
  select(.ref[6:7] == "-" and (.ref == $first or .repository == $id))) as $v ({}; .[$v.ref] |= $v + {good: (.good +
  $v.good)}) | . as $pool | (($names / "\n")[:-1] - [$e[], .[] | .file] | .[] | "rubbish " + .), if .[$pin] | .version
  == 1 or ("\(.previous)" | test($first)) | not then "missing " + $pin else (.[$pin].previous + [$pin, $first] | by(.))
  as $base | (reduce .[] as $v ($base; . as $fit | [($v | select(.threshold >= 1 and .version == 1 + (.previous |
  max[:6] | tonumber) and .recovery_recipients != [] and (.settings | .longest_run_seconds <= .grace_seconds) and (.keys
  | map(select(.until | not)) | length <= 256) and ([(.custodians, .keys)[].public_key] | sort == unique and all(.[];
  test($ENV.sound))) and enough(.)) | [$pool[.previous[]] // empty | select($fit[.ref])] | top | select(. != [] and
  all(.[]; . as $b | $v | enough($b) and $b.previous - .previous == [] and ($b | rights) - rights == [])) | {($v.ref):
  1})?] | $fit + add)) as $fit | map(select($fit[.ref])) | ($fit + (map(.previous[]) | by(.))) as $known |
  map(select([.ref, .previous[]] | index([$pin]))) | top as $now | [$now[].keys | (.[].until | values) |= (by(.) as $u |
  $u + ($e | below($u[.ref]))) | by(.public_key)] as $rules | def may(f): . as $o | all($rules[]; .[$o.public_key] |
  (.until | f) and ((($o.kind | role) // .roles[0]) as $r | .roles | index([$r]))); [$e[] | .ref as $r |
  $known["\(.policy)"] as $seen | .is = if .public_key as $k | all($rules[]; .[$k]) | not then "stranger" elif $seen and
  may(. == null or .[$r]) then "counts" elif ($seen | not) and may(not) then "pending" else "void" end] | map(select(.is
  == "counts")) as $counts | below(.is == "counts") as $under | ([if $now[1] then "fork" else "policy" end, $now[].ref]
  | join(" ")), ([$now[].previous[]] | unique[] | select(($base[.] or ($fit[.] and $pool[.])) | not) | "missing " + .),
  (.[] | .is + " " + .ref), ($counts[].ref | select($under[.] | not) | "head " + .), ([$counts[].parents[] | . as $p |
  select(($there[.] or all($now[].lost.entries; index([$p]))) | not)] | unique[] | "hole " + .) end' good >out || exit 2
cat out; grep -qvE '^(policy|counts|head) ' out; [ $? = 1 ] && echo all is well || { echo something is wrong; exit 13; }

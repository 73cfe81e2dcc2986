#!/bin/bash
# A real S3 server on loopback for the tests: Ceph with one monitor, one OSD in memory and one gateway.
#
#   tests/setup/ceph.sh start DIR [PORT]   starts it, prints `export` lines for the tests; DIR is wiped
#   tests/setup/ceph.sh stop DIR           stops what `start` began there
#
# Packages (Debian): ceph-mon ceph-osd radosgw ceph-common openssl curl. Ports: PORT is plain HTTP, PORT+1 the monitor,
# PORT+2 HTTPS with a certificate of its own CA. Users: `kh-access` owns the bucket `keyhaven`; `kh-small-access` owns
# the bucket `small` and `kh-filling-access` the bucket `filling`, and each of these may store 1 MiB in all. Nothing of
# it is a secret: it listens on 127.0.0.1 only.
set -euo pipefail

action=${1:-}
dir=${2:?usage: ceph.sh start DIR [PORT] | stop DIR}

# Whether a process runs from this folder: a pid file may outlive its process, and the number be another's by now.
ours() { { tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$dir/ceph.conf"; } 2>/dev/null; }

stop() {
    local file pid round
    for file in "$dir"/run/*.pid; do
        [ -e "$file" ] || continue
        read -r pid <"$file" || true
        [ -n "${pid:-}" ] && ours "$pid" || continue
        kill "$pid" 2>/dev/null || true
        for round in $(seq 100); do ours "$pid" || break; sleep 0.1; done
    done
}

case $action in
    stop) stop; exit 0 ;;
    start) ;;
    *) echo "ceph.sh: first word is start or stop" >&2; exit 2 ;;
esac

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
port=${3:-7480}
monitor=127.0.0.1:$((port + 1))
tls=$((port + 2))
stop
rm -rf "${dir:?}"/{mon,osd,run,log,rgw,tls,ceph.conf,monmap,keyring}
mkdir -p "$dir"/{mon,osd,run,log,rgw,tls}
# The daemons get no copy of 3 and 4: whoever reads our output would wait for them to end.
exec 3>&1 4>&2 >"$dir/log/start.log" 2>&1
trap '[ $? = 0 ] || { tail -n 20 "$dir/log/start.log" | sed "s/^/ceph.sh: /" >&4; stop; }' EXIT

# The gateway's certificate, from a CA that no system trusts.
(
    cd "$dir/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=keyhaven test CA" \
        -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
        -keyout gateway.key -out gateway.csr
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n' >extensions
    openssl x509 -req -in gateway.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions \
        -out gateway.pem
    cat gateway.key >>gateway.pem
)

endpoints="endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$tls"
fsid=$(cat /proc/sys/kernel/random/uuid)
# No authentication between the daemons, one replica, no manager. Short proposal intervals and no CRUSH or class update
# at start: with the defaults a start takes three times as long and now and then fails. tcp_nodelay saves some 40 ms a
# request.
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = v1:$monitor
ms bind msgr2 = false
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
keyring = $dir/keyring
run dir = $dir/run
pid file = $dir/run/\$name.pid
admin socket = $dir/run/\$name.\$pid.asok
log file = $dir/log/\$name.log
mon cluster log file = $dir/log/cluster.log
crash dir = $dir/log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data avail warn = 2
mon data avail crit = 1
[mon]
mon data = $dir/mon
mon tick interval = 1
paxos propose interval = 0.02
paxos min wait = 0.01
[osd]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd crush update on start = false
osd class update on start = false
osd class load list = *
osd class default list = *
public addr = 127.0.0.1
cluster addr = 127.0.0.1
[client.rgw.test]
rgw data = $dir/rgw
rgw frontends = beast $endpoints ssl_certificate=$dir/tls/gateway.pem tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 32
CONF

ceph_conf=(-c "$dir/ceph.conf")
gateway=(radosgw-admin "${ceph_conf[@]}" -n client.rgw.test)
monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:$monitor]" "$dir/monmap"
ceph-mon "${ceph_conf[@]}" -i a --mkfs --monmap "$dir/monmap"
ceph-mon "${ceph_conf[@]}" -i a 3>&- 4>&-
timeout 60 ceph "${ceph_conf[@]}" osd create
ceph-osd "${ceph_conf[@]}" -i 0 --mkfs
ceph-osd "${ceph_conf[@]}" -i 0 3>&- 4>&-
timeout 60 ceph "${ceph_conf[@]}" osd crush add osd.0 1.0 host=test root=default
radosgw "${ceph_conf[@]}" -n client.rgw.test 3>&- 4>&-
curl -fsS -o /dev/null --retry 120 --retry-delay 1 --retry-connrefused --retry-max-time 120 "http://127.0.0.1:$port/"

user() { timeout 60 "${gateway[@]}" user create --uid="$1" --display-name="$1" --access-key="$2" --secret-key="$3"; }
# curl signs, but does not say by itself what the (empty) body's digest is, and the gateway wants to be told.
empty=$(printf '' | sha256sum | cut -d' ' -f1)
bucket() {
    curl -fsS -o /dev/null --retry 5 --retry-delay 1 --retry-all-errors --aws-sigv4 aws:amz:us-east-1:s3 \
        --user "$2:$3" -H "x-amz-content-sha256: $empty" -X PUT "http://127.0.0.1:$port/$1"
}
user keyhaven kh-access kh-secret-of-the-test
bucket keyhaven kh-access kh-secret-of-the-test
for name in small filling; do
    user "$name" "kh-$name-access" "kh-$name-secret"
    timeout 60 "${gateway[@]}" quota set --quota-scope=user --uid="$name" --max-size=1M
    timeout 60 "${gateway[@]}" quota enable --quota-scope=user --uid="$name"
    bucket "$name" "kh-$name-access" "kh-$name-secret"
done

printf 'export KEYHAVEN_TEST_S3=http://127.0.0.1:%s\n' "$port" >&3
printf 'export KEYHAVEN_TEST_S3_TLS=https://127.0.0.1:%s\n' "$tls" >&3
printf 'export KEYHAVEN_TEST_S3_CA=%q\n' "$dir/tls/ca.pem" >&3

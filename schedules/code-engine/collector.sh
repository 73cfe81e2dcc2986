#!/bin/bash
# A collector on IBM Code Engine: jobs that run by cron subscriptions. Needs `ibmcloud` with the plug-in `code-
# engine`, a
# login, and a project that is selected (`ibmcloud ce project select --name PROJECT`), in another region than the
# source.
#
#   collector.sh IMAGE CONFIG KEYS
#
# IMAGE is the container image; CONFIG a keyhaven.toml that names no key file; KEYS a directory with the five
# files below, as `keyhaven init` and the console gave them. Running it again stops at the first thing that is there already.
#
# Keys come as environment variables: a mounted secret of Code Engine can be read by every user of the container, and
# Keyhaven refuses such files. Nothing is kept between two runs, so the memory of the ledger's heads and of the
# trust policy is lost each time. Set `repository.policy` in CONFIG to the newest pin (`keyhaven trust publish` prints
# it), and give `verify --pin-head` a head that you kept elsewhere, if your bucket's owner is not to be trusted.
#
# Written by the provider's public documentation. It has not been run: see README.md.
set -euo pipefail
image=${1:?IMAGE} config=${2:?CONFIG} keys=${3:?KEYS}

ibmcloud ce secret create --name keyhaven-keys \
    --from-file SOURCE_API_KEY="$keys/source-api-key" \
    --from-file S3_ACCESS_KEY_ID="$keys/s3-access-key-id" \
    --from-file S3_SECRET_ACCESS_KEY="$keys/s3-secret-access-key" \
    --from-file SIGNING_KEY="$keys/signing-key.pem" \
    --from-file CATALOGUE_KEY="$keys/catalogue-key.txt"
ibmcloud ce configmap create --name keyhaven-config --from-file keyhaven.toml="$config"

# job NAME SECONDS SCHEDULE ARGUMENT...
job() {
    local name=keyhaven-$1 seconds=$2 schedule=$3 argument arguments=()
    shift 3
    for argument in "$@"; do arguments+=(--argument "$argument"); done
    ibmcloud ce job create --name "$name" --image "$image" "${arguments[@]}" \
        --env-from-secret keyhaven-keys --mount-configmap /etc/keyhaven=keyhaven-config \
        --env KEYHAVEN_SOURCE_API_KEY=env:SOURCE_API_KEY \
        --env KEYHAVEN_REPOSITORY_ACCESS_KEY_ID=env:S3_ACCESS_KEY_ID \
        --env KEYHAVEN_REPOSITORY_SECRET_ACCESS_KEY=env:S3_SECRET_ACCESS_KEY \
        --env KEYHAVEN_KEYS_SIGNING_KEY=env:SIGNING_KEY --env KEYHAVEN_KEYS_CATALOGUE_KEY=env:CATALOGUE_KEY \
        --env KEYHAVEN_CONFIG=/etc/keyhaven/keyhaven.toml --env KEYHAVEN_STATE_DIR=/tmp/keyhaven \
        --cpu 0.5 --memory 1G --maxexecutiontime "$seconds" --retrylimit 1
    ibmcloud ce subscription cron create --name "$name" --destination-type job --destination "$name" \
        --schedule "$schedule" --time-zone UTC
}

job backup 7200 '*/15 * * * *' backup --json
job verify 21600 '20 3 * * *' verify --level objects --json
job doctor 900 '0 6 * * *' doctor --json

# Once by hand, to see that it works:
#   ibmcloud ce jobrun submit --job keyhaven-doctor --name keyhaven-first --wait
#   ibmcloud ce jobrun logs --name keyhaven-first

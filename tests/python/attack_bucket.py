#!/usr/bin/env python3
"""Plays an attacker who has the credentials of a backup host, on an S3 bucket, for a number of simulated days.

    attack_bucket.py --endpoint URL --bucket NAME [--prefix PREFIX] [--region REGION] [--days 30] [--junk 10000] [--seed 1]
                     [--junk-key TEMPLATE]

The key is taken from ACCESS_KEY_ID and SECRET_ACCESS_KEY. Each day the attacker does one or more of what those credentials
allow on a bucket that keeps versions: he overwrites everything, deletes everything, puts older bytes back on top, truncates the
newest objects, swaps objects of a directory with each other, and adds junk. He never deletes a version: a bucket that keeps
what it should gives nobody that right. A backup tool withstands him if everything from before can still be listed, checked
and restored afterwards, by somebody who has only what was written down before.

Nothing here knows a backup tool: `--junk-key` says what names of junk look like, with {n} for a number and {hex} for 64
digits. Only the standard library is used.
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import os
import random
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 8


class Bucket:
    """What the attacker may do: list, read, write, delete without a version id."""

    def __init__(self, arguments):
        self.endpoint, self.bucket = arguments.endpoint.rstrip("/"), arguments.bucket
        self.region, self.prefix = arguments.region, arguments.prefix
        self.key, self.secret = os.environ["ACCESS_KEY_ID"], os.environ["SECRET_ACCESS_KEY"]

    def request(self, method, key="", query=(), body=b""):
        """One request, signed (AWS Signature Version 4); the body of its answer, None for a 404."""
        path = "/" + self.bucket + ("/" + urllib.parse.quote(key, safe="/-_.~") if key else "")
        quoted = "&".join(f"{urllib.parse.quote(n, safe='')}={urllib.parse.quote(v, safe='')}" for n, v in sorted(query))
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp, digest = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
        host = urllib.parse.urlparse(self.endpoint).netloc
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        if method == "PUT":
            headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, quoted, *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names, digest])
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signing = ("AWS4" + self.secret).encode()
        for part in scope.split("/"):
            signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(signing, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={signature}")
        headers["content-type"] = "application/octet-stream"
        url = self.endpoint + path + ("?" + quoted if quoted else "")
        request = urllib.request.Request(url, data=body if method == "PUT" else None, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise SystemExit(f"{method} {key or '/'}: {error.code} {error.read()[:300]!r}")

    def list(self):
        """Keys of all current objects, with their sizes, oldest first."""
        found, token = [], None
        while True:
            query = [("list-type", "2"), ("prefix", self.prefix)] + ([("continuation-token", token)] if token else [])
            page = ET.fromstring(self.request("GET", query=query))
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for row in page.iter(f"{space}Contents"):
                text = {child.tag.removeprefix(space): child.text for child in row}
                found.append((text["LastModified"], text["Key"], int(text["Size"])))
            token = page.findtext(f"{space}NextContinuationToken")
            if not token:
                return [(key, size) for _, key, size in sorted(found)]

    def each(self, work, items):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(work, items))


class Attacker:
    def __init__(self, bucket, before, arguments):
        self.bucket, self.random, self.arguments = bucket, random.Random(arguments.seed), arguments
        self.known = {key: bucket.request("GET", key) for key, _ in before}
        self.keys = list(self.known)

    def junk(self, size):
        return self.random.randbytes(size)

    def overwrite_all(self):
        self.bucket.each(lambda item: self.bucket.request("PUT", item[0], body=item[1]),
                         [(key, self.junk(len(self.known[key]))) for key in self.keys])

    def delete_all(self):
        self.bucket.each(lambda key: self.bucket.request("DELETE", key), self.keys)

    def replay(self):
        """Half of the objects as they were, the rest stays spoilt: a bucket put back to some earlier day."""
        some = self.random.sample(self.keys, len(self.keys) // 2)
        self.bucket.each(lambda key: self.bucket.request("PUT", key, body=self.known[key]), some)

    def truncate_newest(self):
        newest = self.keys[-max(1, len(self.keys) // 5):]
        self.bucket.each(lambda key: self.bucket.request("PUT", key, body=self.known[key][:len(self.known[key]) // 2]), newest)

    def swap(self):
        """Objects of a directory under each other's names."""
        by_directory = {}
        for key in self.keys:
            by_directory.setdefault(key.rpartition("/")[0], []).append(key)
        swapped = [pair for keys in by_directory.values() for pair in zip(keys, keys[1:] + keys[:1])]
        self.bucket.each(lambda pair: self.bucket.request("PUT", pair[0], body=self.known[pair[1]]), swapped)

    def add_junk(self, first, count):
        def name(number):
            return self.arguments.junk_key.format(n=number, hex=hashlib.sha256(str(number).encode()).hexdigest())
        junk = [(self.bucket.prefix + name(number), self.junk(200)) for number in range(first, first + count)]
        self.bucket.each(lambda item: self.bucket.request("PUT", item[0], body=item[1]), junk)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--junk", type=int, default=10_000)
    parser.add_argument("--junk-key", default="junk/{n:012}-{hex}")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    bucket = Bucket(arguments)
    attacker = Attacker(bucket, bucket.list(), arguments)
    blows = [attacker.overwrite_all, attacker.delete_all, attacker.replay, attacker.truncate_newest, attacker.swap]
    for day in range(arguments.days):
        chosen = blows[day % len(blows):][:1] + attacker.random.sample(blows, attacker.random.randrange(2))
        for blow in chosen:
            blow()
        per_day = arguments.junk // arguments.days
        attacker.add_junk(day * per_day, per_day)
        print(f"day {day + 1}: {', '.join(blow.__name__ for blow in chosen)}, {per_day} pieces of junk", flush=True)
    # At the end nothing of what was there before is current.
    attacker.overwrite_all()
    attacker.delete_all()


if __name__ == "__main__":
    main()

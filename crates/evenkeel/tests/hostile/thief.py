"""Somebody with a writer's credential, and no client's manners: signs and sends whatever S3 request
stands on standard input, one JSON object a line, and prints what was answered, one JSON object a line.

Standard library alone; signature version 4 as Amazon documents it.

  thief.py ENDPOINT CREDENTIAL_FILE [CERTIFICATE_FILE]
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import ssl
import sys
from urllib.parse import quote, urlsplit

REGION = "us-east-1"


def credential(path):
    lines = dict(line.split("=", 1) for line in open(path) if "=" in line)
    pairs = {name.strip(): value.strip() for name, value in lines.items()}
    return pairs["id"], pairs["secret"]


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed(host, who, method, path, query, headers, body):
    now = datetime.datetime.now(datetime.timezone.utc)
    time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    headers = {name.lower(): value for name, value in headers.items()}
    headers |= {"host": host, "x-amz-date": time, "x-amz-content-sha256": digest}
    # Buckets with locks demand it.
    headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = "\n".join([method, path, query, lines, names, digest])
    scope = f"{day}/{REGION}/s3/aws4_request"
    summed = hashlib.sha256(asked.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, summed])
    key = f"AWS4{who[1]}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = mac(key, part)
    proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={who[0]}/{scope}, SignedHeaders={names}, Signature={proof}"
    )
    return headers


def main():
    endpoint, who = urlsplit(sys.argv[1]), credential(sys.argv[2])
    trusted = ssl.create_default_context(cafile=sys.argv[3]) if len(sys.argv) > 3 else None
    for line in sys.stdin:
        wish = json.loads(line)
        method = wish["method"]
        path = quote(wish["path"], safe="/-_.~")
        pairs = sorted(wish.get("query", {}).items())
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        body = wish.get("body", "").encode() * wish.get("times", 1)
        headers = signed(endpoint.netloc, who, method, path, query, wish.get("headers", {}), body)
        if endpoint.scheme == "https":
            line = http.client.HTTPSConnection(endpoint.netloc, context=trusted, timeout=30)
        else:
            line = http.client.HTTPConnection(endpoint.netloc, timeout=30)
        line.request(method, path + ("?" + query if query else ""), body, headers)
        answer = line.getresponse()
        said = answer.read().decode(errors="replace")
        print(json.dumps({"status": answer.status, "said": said}), flush=True)
        line.close()


main()

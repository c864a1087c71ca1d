"""Calls AWS operations with Amazon's own client: one JSON call a line on standard input, one JSON answer a line on standard output.

    aws_calls.py ENDPOINT REGION        credentials in the environment, as always
"""
import json
import sys

import boto3
import botocore.exceptions

endpoint, region = sys.argv[1:]
clients = {}
for line in sys.stdin:
    call = json.loads(line)
    service = call["service"]
    if service not in clients:
        clients[service] = boto3.client(service, endpoint_url=endpoint, region_name=call.get("region", region))
    try:
        answer = getattr(clients[service], call["operation"])(**call["arguments"])
        answer.pop("ResponseMetadata", None)
        print(json.dumps({"ok": answer}, default=str), flush=True)
    except botocore.exceptions.ClientError as error:
        print(json.dumps({"error": error.response["Error"]["Code"]}), flush=True)

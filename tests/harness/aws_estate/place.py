"""Where things are made and read: one account in one region, through Amazon's own client.

A call that the other side does not serve is told and passed over, so that one gap of an emulator costs one thing and not the estate.
"""
import collections
import itertools
import threading

import boto3
import botocore.config
import botocore.exceptions

# The role by which the owner of an organization enters its accounts, where an access key alone does not say the account.
OWNER = "OrganizationAccountAccessRole"

SETTINGS = botocore.config.Config(retries={"total_max_attempts": 1}, max_pool_connections=16, s3={"addressing_style": "path"},
                                  connect_timeout=5, read_timeout=120)


class Tally:
    """How many calls were made, and which were not served: (service.operation, why) -> how often."""

    def __init__(self):
        self.calls = 0
        self.refused = collections.Counter()
        self.lock = threading.Lock()

    def count(self):
        with self.lock:
            self.calls += 1

    def refuse(self, call, why):
        with self.lock:
            self.refused[call, why] += 1

    def unserved(self):
        return [{"call": call, "why": why, "times": times} for (call, why), times in sorted(self.refused.items())]


class Place:
    """An account in a region. `kept` holds what was made here, by kind; `account_kept` what was made once for the whole account."""

    def __init__(self, account, region, session, endpoint, tally, account_kept):
        self.account, self.region, self.tally = account, region, tally
        self.kept, self.account_kept = collections.defaultdict(list), account_kept
        self._session, self._endpoint = session, endpoint
        self._clients, self._lock = {}, threading.Lock()

    def client(self, service):
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, endpoint_url=self._endpoint, region_name=self.region,
                                                              config=SETTINGS)
            return self._clients[service]

    def ask(self, service, operation, /, **arguments):
        """Calls; an error of the other side is raised."""
        self.tally.count()
        return getattr(self.client(service), operation)(**arguments)

    def call(self, service, operation, /, **arguments):
        """Calls; returns nothing if it is not served, and says so."""
        try:
            return self.ask(service, operation, **arguments)
        except botocore.exceptions.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            self.tally.refuse(f"{service}.{operation}", f"{status} {error.response['Error'].get('Code')}")
        except botocore.exceptions.BotoCoreError as error:
            self.tally.refuse(f"{service}.{operation}", type(error).__name__)
        return None

    def all(self, service, operation, key, /, **arguments):
        """Returns every item of every page."""
        client = self.client(service)
        if not client.can_paginate(operation):
            return (self.call(service, operation, **arguments) or {}).get(key) or []
        pages = client.get_paginator(operation).paginate(**arguments)
        try:
            found = [page.get(key) or [] for page in self._counted(pages)]
        except botocore.exceptions.ClientError as error:
            self.tally.refuse(f"{service}.{operation}", error.response["Error"].get("Code"))
            return []
        return list(itertools.chain.from_iterable(found))

    def _counted(self, pages):
        for page in pages:
            self.tally.count()
            yield page


def places(endpoint, names, tally):
    """Enters every `ACCOUNT/REGION`, in this order."""
    accounts = {}
    found = []
    for name in names:
        account, region = name.split("/")
        if account not in accounts:
            accounts[account] = session(endpoint, account), collections.defaultdict(list)
        entered, kept = accounts[account]
        found.append(Place(account, region, entered, endpoint, tally, kept))
    return found


def session(endpoint, account):
    """Enters an account: with its number for a key where that is enough, else by its owner's role."""
    own = boto3.Session(aws_access_key_id=account, aws_secret_access_key="test", region_name="us-east-1")
    sts = own.client("sts", endpoint_url=endpoint)
    if sts.get_caller_identity()["Account"] == account:
        return own
    role = f"arn:aws:iam::{account}:role/{OWNER}"
    key = sts.assume_role(RoleArn=role, RoleSessionName="estate")["Credentials"]
    return boto3.Session(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
                         aws_session_token=key["SessionToken"], region_name="us-east-1")

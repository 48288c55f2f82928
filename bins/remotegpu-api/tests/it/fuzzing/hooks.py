"""What the fuzzer must know about the API that no OpenAPI document can say."""

import itertools

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

# The exclusions, all of them. A request may have the right shape and yet be refused for what
# the world looks like; only these operations may do so, with 400 and only these codes.
BEYOND_ANY_SCHEMA = {
    # The schema's `date-time` knows no "in the future" (contract K5).
    ("create_api_key", "expiry_not_in_future"),
    ("update_api_key", "expiry_not_in_future"),
    ("create_service_user_token", "expiry_not_in_future"),
    # The schema's `uuid` knows no "of this account" (contract K12).
    ("create_api_key", "foreign_namespace"),
    ("update_api_key", "foreign_namespace"),
    # Which clusters there are is the operator's configuration (contract N3, T5).
    ("create_namespace", "cluster_unknown"),
    ("create_access_token", "cluster_unknown"),
    ("create_access_token", "foreign_namespace"),
    ("create_access_token", "expiry_not_in_future"),
}

# The schema of scopes is one flat object, which every generator of clients understands. That
# exactly one member counts, it does not say (contract K9 to K11).
MODES = {
    "At least one explicit scope is required",
    "Explicit mixed scopes are not supported",
    "all cannot be combined with other scope fields",
    "At least one namespace ID is required unless all_namespaces is true",
    "all_namespaces cannot be combined with namespace_ids",
}

# That one of two members says when a token ends, and how far ahead, a flat object does not say
# either (contract T5).
EXPIRIES = (
    "expires_in_seconds or expires_at is required",
    "expires_at must not stand beside expires_in_seconds",
    "expires_in_seconds is too far away",
    "expires_in_seconds must be at most ",
    "expires_at must be at most ",
)

# Nobody takes over their own keys, and one's own id is an id like any (contract T7).
OWN_KEYS = ("take_over_keys is for the keys of others",)

requests = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets every request come from an address of its own; the server trusts this proxy.

    Throttling (contract A8) would otherwise answer 429 to all but the first ten wrong
    passwords, and the fuzzer would never get past it.
    """
    number = next(requests)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps every failure but those of the tables above."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    operation, problem = case.operation.definition.raw["operationId"], response.json()
    if problem["code"] == "invalid_scopes" and operation in ("create_api_key", "update_api_key"):
        return problem["detail"] not in MODES
    if problem["code"] == "invalid_field" and operation == "create_access_token":
        return not problem["detail"].startswith(EXPIRIES)
    if problem["code"] == "invalid_field" and operation in ("update_member", "remove_member_or_leave"):
        return not problem["detail"].startswith(OWN_KEYS)
    return (operation, problem["code"]) not in BEYOND_ANY_SCHEMA

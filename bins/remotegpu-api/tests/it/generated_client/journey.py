"""A program that knows the API by the client which was generated for it, and by nothing else.

Takes the server's address as its argument, and the password of admin@localhost on stdin.
"""

import sys

from remotegpu_client import AuthenticatedClient, Client
from remotegpu_client.api.api_keys import create_api_key, list_api_keys, revoke_api_key, update_api_key
from remotegpu_client.api.auth import get_own_api_key, get_session, sign_in
from remotegpu_client.api.kubeconfig import get_kubeconfig
from remotegpu_client.api.namespaces import create_namespace, list_namespaces
from remotegpu_client.models import (
    ApiKeyResponse,
    CreateApiKeyRequest,
    CreateNamespaceRequest,
    ErrorCodeWord,
    IssuedApiKeyResponse,
    KeyStatusWord,
    NamespaceAccessRequest,
    NamespaceResponse,
    Problem,
    RoleWord,
    ScopesRequest,
    SignInRequest,
    UpdateApiKeyRequest,
)

url, password = sys.argv[1], sys.stdin.read()

# Sign in.
who = SignInRequest(email="admin@localhost", password=password, cookie=False)
signed_in = sign_in.sync(client=Client(base_url=url), body=who)
assert signed_in.role == RoleWord.ADMIN
client = AuthenticatedClient(base_url=url, token=signed_in.access_token)
assert get_session.sync(client=client).user.email == "admin@localhost"

# A namespace: creating and listing give one type.
namespace = create_namespace.sync(client=client, body=CreateNamespaceRequest(name="team-ml"))
assert type(namespace) is NamespaceResponse, namespace
assert [type(item) for item in list_namespaces.sync(client=client).items] == [NamespaceResponse]
kubeconfig = get_kubeconfig.sync(client=client, namespace_id=namespace.id)
assert kubeconfig.filename == "kubeconfig-team-ml.yaml"

# Keys, in each of the modes.
every = NamespaceAccessRequest(all_namespaces=True)
only = NamespaceAccessRequest(namespace_ids=[namespace.id])
keys = []
for name, scopes in [
    ("all", ScopesRequest(all_=True)),
    ("inference", ScopesRequest(inference=True)),
    ("every", ScopesRequest(kubernetes_exec=every)),
    ("only", ScopesRequest(kubernetes_exec=only)),
]:
    key = create_api_key.sync(client=client, body=CreateApiKeyRequest(name=name, scopes=scopes))
    assert type(key) is IssuedApiKeyResponse, key
    assert key.scopes.to_dict() == scopes.to_dict()
    keys.append(key)
listed = list_api_keys.sync(client=client, limit=3)
assert [item.name for item in listed.items] == ["only", "every", "inference"]
assert all(type(item) is ApiKeyResponse for item in listed.items)
assert listed.items[0].status == KeyStatusWord.ACTIVE
assert listed.items[0].scopes.kubernetes_exec.namespace_ids == [namespace.id]
rest = list_api_keys.sync(client=client, cursor=listed.next_cursor)
assert [item.name for item in rest.items] == ["all"] and rest.next_cursor is None
by_key = AuthenticatedClient(base_url=url, token=keys[0].key)
assert get_own_api_key.sync(client=by_key).id == keys[0].id

# A change, and the end.
renamed = update_api_key.sync(keys[3].id, client=client, body=UpdateApiKeyRequest(name="renamed"))
assert (renamed.name, renamed.scopes) == ("renamed", keys[3].scopes)
revoked = revoke_api_key.sync(keys[3].id, client=client)
assert revoked.status == KeyStatusWord.REVOKED and revoked.revoked_at is not None

# Refusals are read as well as answers.
again = revoke_api_key.sync(keys[3].id, client=client)
assert type(again) is Problem and again.code == ErrorCodeWord.KEY_NOT_ACTIVE, again
wrong = create_api_key.sync(client=client, body=CreateApiKeyRequest(name="", scopes=ScopesRequest()))
assert wrong.detail == "At least one explicit scope is required"
assert [error.field for error in wrong.errors] == ["name", "scopes"]
nobody = get_session.sync(client=Client(base_url=url))
assert nobody.code == ErrorCodeWord.MISSING_ACCESS_TOKEN

# What a later version says is no reason to fail.
tomorrow = Problem.from_dict({**wrong.to_dict(), "code": "quota_exceeded", "more": 1})
assert tomorrow.code == "quota_exceeded"
item = ApiKeyResponse.from_dict({**renamed.to_dict(), "status": "suspended", "more": 1})
assert item.status == "suspended"
print("journey done")

"""A pipeline that knows the API by the client which was generated for it, and by nothing else.

Takes the server's address as its argument, and the file that holds a service user's token.
"""

import os
import pathlib
import subprocess
import sys

from remotegpu_client import AuthenticatedClient
from remotegpu_client.api.api_keys import create_api_key, get_api_key, revoke_api_key
from remotegpu_client.api.auth import get_session
from remotegpu_client.api.kubeconfig import get_kubeconfig
from remotegpu_client.api.namespaces import create_namespace, delete_namespace, get_namespace
from remotegpu_client.api.service_users import list_service_users
from remotegpu_client.models import (
    CreateApiKeyRequest,
    CreateNamespaceRequest,
    ErrorCodeWord,
    KeyStatusWord,
    NamespaceAccessRequest,
    RoleWord,
    ScopesRequest,
)
from remotegpu_client.types import UNSET

url, file = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=pathlib.Path(file).read_text())

who = get_session.sync(client=client)
assert (who.service_user.name, who.user, who.role) == ("ci", UNSET, RoleWord.WRITE), who
refused = list_service_users.sync(client=client)
assert refused.code == ErrorCodeWord.NOT_FOR_SERVICE_USERS, refused

namespace = create_namespace.sync(client=client, body=CreateNamespaceRequest(name="ci-44"))
scopes = ScopesRequest(kubernetes_exec=NamespaceAccessRequest(namespace_ids=[namespace.id]))
key = create_api_key.sync(client=client, body=CreateApiKeyRequest(name="ci-44", scopes=scopes))
# What it made it finds by its id, as Terraform does.
assert get_namespace.sync(namespace.id, client=client) == namespace
assert get_api_key.sync(key.id, client=client).created_by == who.service_user.id

kubeconfig = pathlib.Path("kubeconfig-44.yaml")
kubeconfig.write_text(get_kubeconfig.sync(client=client, namespace_id=namespace.id).kubeconfig)
manifest = pathlib.Path("docs/examples/demo-cpu.yaml").read_text()
manifest = manifest.replace("YOUR_NAMESPACE", namespace.kubernetes_namespace)
environment = {**os.environ, "KUBECONFIG": str(kubeconfig.resolve()), "REMOTEGPU_API_KEY": key.key}


def kubectl(*arguments, stdin=None):
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, env=environment, text=True, check=True, capture_output=True
    )
    return done.stdout


assert "demo-cpu created" in kubectl("apply", "-f", "-", stdin=manifest)
assert kubectl("get", "deployments", "-o", "name") == "deployment.apps/demo-cpu\n"
kubectl("delete", "deployment", "demo-cpu")

assert revoke_api_key.sync(key.id, client=client).status == KeyStatusWord.REVOKED
deleting = delete_namespace.sync(namespace.id, client=client)
assert deleting.status == "deleting", deleting
print("pipeline done")

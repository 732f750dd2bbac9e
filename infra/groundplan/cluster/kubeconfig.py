"""Kubeconfig files: one for people, one for each part of the cluster that talks to the API server."""

import base64
from pathlib import Path

import yaml

from groundplan.cluster.pki import Pki
from groundplan.cluster.state import write_atomically


def write(path: Path, pki: Pki, server: str, user: str, context: str) -> None:
    """Write a kubeconfig that holds its certificates, so that it can be copied."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": context,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": _data(pki.certificate("cluster-ca")),
                },
            }
        ],
        "users": [
            {
                "name": f"{context}-{user}",
                "user": {
                    "client-certificate-data": _data(pki.certificate(user)),
                    "client-key-data": _data(pki.key(user)),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": f"{context}-{user}"}}],
        "current-context": context,
    }
    write_atomically(path, yaml.safe_dump(document, sort_keys=False))


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

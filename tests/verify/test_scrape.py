import json
from pathlib import Path

import pytest

from groundplan.cluster import EmbeddedCluster
from groundplan.errors import VerifyError
from groundplan.verify.scrape import PodMetrics
from tests.conftest import Kubectl

pytestmark = pytest.mark.e2e

WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {{groundplan.dev/service-name: shop, groundplan.dev/service: '{{"kind":"service"}}'}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata:
      labels: {{app: web}}
      annotations: {{prometheus.io/scrape: "true", prometheus.io/port: "8000", prometheus.io/path: /{path}}}
    spec:
      containers:
        - name: main
          image: {image}
          command:
            - sh
            - -c
            - |
              mkdir /tmp/www
              echo 'http_requests_total{{route="/"}} 7' > /tmp/www/metrics
              httpd -f -p 8000 -h /tmp/www
          readinessProbe: {{tcpSocket: {{port: 8000}}, periodSeconds: 1}}
          volumeMounts: [{{name: tmp, mountPath: /tmp}}]
      volumes: [{{name: tmp, emptyDir: {{}}}}]
"""
DENIED = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}


def test_metrics_of_all_pods_are_summed_though_the_network_is_closed(
    cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", manifest=json.dumps(DENIED))
    kubectl("apply", "-n", namespace, "-f", "-", manifest=WORKLOAD.format(image=shell_image, path="metrics"))
    kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=90s")
    found = PodMetrics(cluster.kubeconfig, cluster.context, [namespace]).snapshot()
    assert {target.service for target in found.targets} == {"shop"}
    assert len(found.targets) == 2
    assert found.samples["shop"]["http_requests_total", frozenset({("route", "/")})] == 14.0


def test_a_pod_without_the_promised_metrics_is_named(
    cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", manifest=WORKLOAD.format(image=shell_image, path="none"))
    kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=90s")
    with pytest.raises(VerifyError, match=f"pod {namespace}/web-.*status 404"):
        PodMetrics(cluster.kubeconfig, cluster.context, [namespace]).snapshot()


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="can't be used"):
        PodMetrics(tmp_path / "none", None, [])

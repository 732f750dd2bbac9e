"""What a LoadBalancer makes of its arguments."""

from typing import Any

import pytest

from groundplan.errors import SpecError
from pulumi_groundplan import Balancing, Exposure, LoadBalancer
from tests.components.recorder import Declared, arguments, declare


def edge(**args: Any) -> Declared:
    return declare(lambda: LoadBalancer("edge", arguments(args, target="shop")))


def config(declared: Declared) -> str:
    return str(declared.one("ConfigMap")["data"]["nginx.conf"])


def test_it_asks_the_ready_pods_of_its_target() -> None:
    declared = edge(target_port=9000)
    env = {entry["name"]: entry["value"] for entry in declared.container("Deployment")["env"]}
    assert env == {"UPSTREAM_HOST": "shop-pods", "UPSTREAM_PORT": "9000"}
    assert "include /run/nginx/servers.conf;" in config(declared)


def test_least_connections_is_the_default_and_round_robin_can_be_chosen() -> None:
    assert "least_conn;" in config(edge())
    assert "least_conn;" not in config(edge(balancing=Balancing.ROUND_ROBIN))


def test_only_named_paths_are_cached_and_say_so() -> None:
    assert "proxy_cache pages" not in config(edge())
    text = config(edge(cache_paths=["/static/", "/api/products/"]))
    assert "location /static/ {" in text
    assert text.count("proxy_cache pages;") == 2
    assert "add_header X-Cache $upstream_cache_status always;" in text


def test_metrics_are_hidden_from_outsiders() -> None:
    text = config(edge())
    assert "location /metrics {\n            return 404;" in text


@pytest.mark.parametrize("path", ["static", "/a; } server {", "/a b", "/$host"])
def test_a_path_can_not_smuggle_configuration(path: str) -> None:
    with pytest.raises(SpecError, match="cache_paths has something that is not a path"):
        edge(cache_paths=[path])


def test_a_path_can_not_be_hidden_and_served() -> None:
    with pytest.raises(SpecError, match="can't be hidden and served, got '/metrics'"):
        edge(cache_paths=["/metrics"])


def test_it_is_reached_on_a_port_of_each_node() -> None:
    service = edge(node_port=30080.0).one("Service")["spec"]
    assert service["type"] == "NodePort"
    assert service["ports"][0]["nodePort"] == 30080


def test_a_node_port_needs_the_fitting_exposure() -> None:
    with pytest.raises(SpecError, match="node_port doesn't fit, got 30080"):
        edge(exposure=Exposure.CLUSTER_IP, node_port=30080)


def test_everyone_may_connect_unless_callers_are_named() -> None:
    assert "from" not in edge().one("NetworkPolicy")["spec"]["ingress"][0]
    assert edge(allow_from=["probe"]).one("NetworkPolicy")["spec"]["ingress"][0]["from"]


def test_it_may_reach_its_target_and_nothing_else() -> None:
    egress = edge().one("NetworkPolicy")["spec"]["egress"]
    assert [rule.get("to") for rule in egress] == [
        None,
        [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "shop"}}}],
    ]
    assert {port["port"] for port in egress[0]["ports"]} == {53}


def test_a_changed_configuration_rolls_out() -> None:
    def digest(declared: Declared) -> Any:
        return declared.one("Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert digest(edge()) == digest(edge())
    assert digest(edge()) != digest(edge(max_body="2m"))

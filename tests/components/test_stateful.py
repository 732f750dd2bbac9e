"""What Cache, Broker and Database make of their arguments, and how credentials are kept."""

import base64
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from groundplan.errors import SpecError
from pulumi_groundplan import Broker, Cache, Credentials, Database
from tests.components.recorder import Declared, arguments, declare


def options(container: dict[str, Any]) -> dict[str, str]:
    arguments = container["args"]
    return dict(zip(arguments[::2], arguments[1::2], strict=True))


def entries(declared: Declared) -> dict[str, str]:
    """The entries of the only Secret; they reach the engine as a Pulumi secret, so the state is encrypted."""
    stated = declared.one("Secret")["data"]
    assert rpc.is_rpc_secret(stated)
    return {name: base64.b64decode(value).decode() for name, value in rpc.unwrap_rpc_secret(stated).items()}


def cache(**args: Any) -> Declared:
    return declare(lambda: Cache("cache", arguments(args)))


def broker(**args: Any) -> Declared:
    return declare(lambda: Broker("broker", arguments(args)))


def database(**args: Any) -> Declared:
    return declare(lambda: Database("database", arguments(args)))


def test_a_cache_forgets_what_was_used_least_and_writes_nothing() -> None:
    declared = cache(memory="100Mi")
    settings = options(declared.container("StatefulSet"))
    assert settings["--maxmemory-policy"] == "allkeys-lru"
    assert settings["--appendonly"] == "no"
    assert settings["--save"] == ""
    assert int(settings["--maxmemory"]) == int(0.7 * 100 * 2**20)
    assert declared.one("StatefulSet")["spec"]["volumeClaimTemplates"] == []


def test_a_broker_writes_and_refuses_rather_than_forgets() -> None:
    declared = broker(storage="3Gi", storage_class="fast")
    settings = options(declared.container("StatefulSet"))
    assert settings["--maxmemory-policy"] == "noeviction"
    assert settings["--appendonly"] == "yes"
    (claim,) = declared.one("StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_clients_use_an_address_that_outlasts_the_pod() -> None:
    declared = database()
    assert "clusterIP" not in declared.one("Service", "database")["spec"]
    assert declared.one("Service", "database-pods")["spec"]["clusterIP"] == "None"
    assert declared.one("StatefulSet")["spec"]["serviceName"] == "database-pods"


def test_data_outlive_their_stateful_set() -> None:
    retention = database().one("StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@pytest.mark.parametrize("program", [cache, broker, database])
def test_the_password_is_made_as_a_secret_and_never_written_into_the_pod(
    program: Callable[..., Declared],
) -> None:
    declared = program()
    name = declared.one("StatefulSet")["metadata"]["name"]
    password = entries(declared)["password"]
    assert len(password) >= 40
    assert password not in str(
        [item.inputs for item in declared.resources if not item.typ.endswith("Secret")]
    )
    reference = {"secretKeyRef": {"name": f"{name}-credentials", "key": "password"}}
    assert reference in [entry.get("valueFrom") for entry in declared.container("StatefulSet")["env"]]


def test_each_made_password_is_different() -> None:
    first, second = (entries(cache())["password"] for _ in range(2))
    assert first != second


def test_a_given_password_is_used() -> None:
    declared = cache(password=pulumi.Output.secret("from-the-configuration"))
    assert entries(declared) == {"password": "from-the-configuration"}


def test_credentials_make_each_entry() -> None:
    declared = declare(lambda: Credentials("keys", {"namespace": "shop", "entries": ["a", "b"]}))
    made = entries(declared)
    assert set(made) == {"a", "b"}
    assert made["a"] != made["b"]


def test_a_database_is_backed_up_daily_and_its_restore_is_at_hand() -> None:
    declared = database(database="shop", backup_keep=3.0)
    backup = declared.one("CronJob", "database-backup")["spec"]
    assert backup["schedule"] == "17 3 * * *"
    assert backup["concurrencyPolicy"] == "Forbid"
    pod = backup["jobTemplate"]["spec"]["template"]["spec"]
    env = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    assert (env["PGHOST"], env["PGDATABASE"], env["BACKUP_KEEP"]) == ("database", "shop", "3")
    restore = declared.one("CronJob", "database-restore")["spec"]
    assert restore["suspend"] is True
    assert restore["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "/usr/local/bin/restore"
    ]


def test_backups_lie_on_a_volume_of_their_own() -> None:
    declared = database(storage="2Gi", backup_storage="5Gi")
    claim = declared.one("PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "database-backups"
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"


def test_only_named_components_and_the_backup_reach_the_database() -> None:
    policy = database(allow_from=["shop"]).one("NetworkPolicy", "database")["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": 5432, "protocol": "TCP"}]
    names = [source["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for source in rule["from"]]
    assert names == ["shop", "database-backup"]


@pytest.mark.parametrize("name", ["Shop", "1shop", "shop; drop", ""])
def test_a_database_name_that_needs_quotes_is_an_error(name: str) -> None:
    if not name:
        assert database(database=name).container("StatefulSet")["env"][1]["value"] == "app"
        return
    with pytest.raises(SpecError, match="PostgreSQL takes unquoted"):
        database(database=name)


def test_memory_that_leaves_no_room_for_data_is_an_error() -> None:
    with pytest.raises(SpecError, match="memory is too low, got '1Mi'"):
        cache(memory="1Mi")

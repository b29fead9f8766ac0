"""Replicas that share a database, as they are deployed: none is special, and none keeps anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from tocsin import __version__
from tocsin.backends.local.postgresql import THREADS
from tocsin.server import GRACE_SECONDS
from tocsin.settings import Settings
from tocsin.slack.socket_mode import CONNECTIONS, MOST_CONNECTIONS
from tocsin.start import FINISH_SECONDS
from tocsin.storage import postgresql, replicas
from tocsin.storage.diagnostics import OLDEST_VERSION
from tocsin.web.middleware import own_hosts

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
REPLICAS = MANIFESTS / "kubernetes" / "replicas"
STOP_SECONDS = 3 * (FINISH_SECONDS + GRACE_SECONDS)
TO_DATABASE = postgresql.CONNECTIONS + postgresql.MORE_CONNECTIONS + THREADS
"""Most connections of one replica to its database."""

DATABASES_OWN = 100 - 3
"""Connections that PostgreSQL takes if nothing else is set: max_connections, without the reserved ones."""


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


# The manual


def test_the_manual_has_the_numbers_that_the_code_has() -> None:
    page = " ".join((ROOT / "src/tocsin/docs/replicas.md").read_text().split())
    said = (
        f"PostgreSQL database, version {OLDEST_VERSION} or newer",
        f"opens up to {TO_DATABASE} connections to the database: {TO_DATABASE - THREADS}, and {THREADS} for",
        f"after {replicas.DEAD_SECONDS:.0f} s of silence",
        f"{replicas.LEASE_SECONDS:.0f} s after its last sign of life",
        f"after 10,000 in {replicas.NEWS_SECONDS:.0f} s",
    )
    assert [words for words in said if words not in page] == []
    assert (MOST_CONNECTIONS, CONNECTIONS) == (10, 2)
    assert "ten connections and a replica holds two, so at most five can run" in page


# Kubernetes

BASE = parsed(MANIFESTS / "kubernetes" / "socket-mode" / "deployment.yml")
CHANGED = parsed(REPLICAS / "deployment.yml")
DEPLOYMENT = CHANGED["spec"]
POD = DEPLOYMENT["template"]["spec"]
(BOT,) = POD["containers"]
LABELS = BASE["spec"]["template"]["metadata"]["labels"]


def test_every_file_is_part_of_what_is_applied() -> None:
    listed = parsed(REPLICAS / "kustomization.yaml")
    assert listed["resources"] == ["../http", "disruption-budget.yml", "network-policy.yml"]
    assert [patch.get("path") for patch in listed["patches"]] == ["deployment.yml", None]
    files = {*listed["resources"][1:], "deployment.yml", "kustomization.yaml"}
    assert {path.name for path in REPLICAS.iterdir()} == files


def test_the_patch_is_of_the_pod_that_there_is_and_takes_its_volume_away() -> None:
    assert CHANGED["metadata"]["name"] == BASE["metadata"]["name"]
    (bot,) = BASE["spec"]["template"]["spec"]["containers"]
    assert BOT["name"] == bot["name"]
    claims = [one for one in BASE["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in one]
    assert POD["volumes"] == [{"name": one["name"], "$patch": "delete"} for one in claims]
    mounted = [one["mountPath"] for one in bot["volumeMounts"] if one["name"] == claims[0]["name"]]
    assert BOT["volumeMounts"] == [{"mountPath": path, "$patch": "delete"} for path in mounted]
    removed = yaml.safe_load(parsed(REPLICAS / "kustomization.yaml")["patches"][1]["patch"])
    assert (removed["kind"], removed["$patch"]) == ("PersistentVolumeClaim", "delete")
    assert removed["metadata"]["name"] == claims[0]["persistentVolumeClaim"]["claimName"]


def test_no_replica_starts_without_the_database_that_all_share() -> None:
    given = {one["name"]: one for one in BOT["env"]}
    assert given.keys() == {"TOCSIN_DATA_DIR", "TOCSIN_DATABASE_URL"}
    assert given["TOCSIN_DATA_DIR"]["$patch"] == "delete"
    secret = parsed(MANIFESTS / "kubernetes" / "secret.example.yml")
    named = given["TOCSIN_DATABASE_URL"]["valueFrom"]["secretKeyRef"]
    assert named == {"name": secret["metadata"]["name"], "key": "TOCSIN_DATABASE_URL"}
    assert named["key"] in secret["stringData"]
    assert SecretStr in Settings.model_fields[named["key"].lower()].annotation.__args__  # type: ignore[union-attr]


def test_a_new_replica_is_ready_before_an_old_one_goes_and_a_drained_node_takes_one() -> None:
    assert DEPLOYMENT["replicas"] >= 2
    assert DEPLOYMENT["strategy"] == {
        "$patch": "replace",
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    budget = parsed(REPLICAS / "disruption-budget.yml")["spec"]
    assert 0 < budget["maxUnavailable"] < DEPLOYMENT["replicas"]
    assert budget["selector"]["matchLabels"] == LABELS
    for spread in POD["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == LABELS
        assert (spread["maxSkew"], spread["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
    assert [spread["topologyKey"] for spread in POD["topologySpreadConstraints"]] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]


def test_a_replica_answers_until_no_more_is_sent_to_it_and_then_has_time_to_finish() -> None:
    sleep, seconds = BOT["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert POD["terminationGracePeriodSeconds"] >= int(seconds) + STOP_SECONDS


def test_the_database_may_be_reached_and_nothing_else_besides_what_one_pod_may_reach() -> None:
    policy = parsed(REPLICAS / "network-policy.yml")["spec"]
    assert policy["podSelector"]["matchLabels"] == LABELS
    assert policy["policyTypes"] == ["Egress"]
    ((rule,),) = [policy["egress"]]
    assert len(rule["to"]) == 1
    assert rule["ports"] == [{"protocol": "TCP", "port": 5432}]


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on this machine")
def test_kustomize_makes_of_it_pods_without_a_volume_and_otherwise_as_one_pod_is(tmp_path: Path) -> None:
    nowhere = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": os.devnull}
    made = subprocess.run(["kubectl", "kustomize", REPLICAS], env=nowhere, capture_output=True, check=True)
    parts = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(made.stdout)}
    assert sorted(kind for kind, _ in parts) == [
        *("Deployment", "Ingress", "Namespace", "NetworkPolicy", "NetworkPolicy", "NetworkPolicy"),
        *("PodDisruptionBudget", "Service"),
    ]
    pod = parts["Deployment", "tocsin"]["spec"]["template"]["spec"]
    (bot,), (alone,) = pod["containers"], BASE["spec"]["template"]["spec"]["containers"]
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch"]
    assert "emptyDir" in pod["volumes"][0]
    assert [mount["name"] for mount in bot["volumeMounts"]] == ["scratch"]
    assert not {"fsGroup", "fsGroupChangePolicy"} & pod["securityContext"].keys()
    same = (
        "startupProbe",
        "livenessProbe",
        "readinessProbe",
        "securityContext",
        "resources",
        "ports",
        "envFrom",
    )
    assert {name: bot[name] for name in same} == {name: alone[name] for name in same}
    names = {one["name"] for one in bot["env"]}
    assert names == {"HOME", "TOCSIN_HOST", "TOCSIN_PORT", "TOCSIN_PUBLIC_URL", "TOCSIN_DATABASE_URL"}
    assert bot["image"] == f"tocsin:{__version__}"


# Docker Compose

COMPOSE = parsed(MANIFESTS / "compose.yml")
COMPOSED = COMPOSE["services"]["tocsin"]
DATABASE = COMPOSE["services"]["database"]
PASSWORD = "${POSTGRES_PASSWORD:?write it into .env}"


def test_there_are_as_many_replicas_as_slack_and_the_database_give_connections_to() -> None:
    number = COMPOSED["deploy"]["replicas"]
    assert number >= 2
    assert number * CONNECTIONS <= MOST_CONNECTIONS
    assert number * TO_DATABASE <= DATABASES_OWN


def test_the_replicas_use_the_database_beside_them_and_its_password_is_in_no_file_but_the_dotenv() -> None:
    assert COMPOSED["environment"].keys() == {"TOCSIN_DATABASE_URL"}
    address = COMPOSED["environment"]["TOCSIN_DATABASE_URL"]
    assert DATABASE["environment"]["POSTGRES_PASSWORD"] == PASSWORD
    user, name = DATABASE["environment"]["POSTGRES_USER"], DATABASE["environment"]["POSTGRES_DB"]
    assert address == f"postgresql://{user}:{PASSWORD}@database/{name}"
    Settings.model_validate({"tocsin_database_url": address.replace(PASSWORD, "0f" * 24)})
    assert COMPOSED["env_file"] == ".env"
    text = (MANIFESTS / "compose.yml").read_text()
    named = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", text)) - set(DATABASE["environment"])
    assert {name.lower() for name in named} <= Settings.model_fields.keys()
    assert set(re.findall(r"\$\{([^}]+)\}", text)) == {PASSWORD[2:-1]}
    assert COMPOSED["depends_on"] == {"database": {"condition": "service_healthy"}}


def test_only_the_database_keeps_anything_and_nothing_can_be_reached_from_outside() -> None:
    assert "volumes" not in COMPOSED
    ((volume, folder),) = [one.split(":") for one in DATABASE["volumes"]]
    assert (set(COMPOSE["volumes"]), folder) == ({volume}, "/var/lib/postgresql/data")
    assert not any("ports" in service for service in COMPOSE["services"].values())
    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert DATABASE["networks"] == ["database"]
    assert set(COMPOSED["networks"]) == set(COMPOSE["networks"])


def test_a_composed_replica_may_do_little_is_asked_whether_it_is_ready_and_has_time_to_finish() -> None:
    assert (COMPOSED["read_only"], COMPOSED["cap_drop"]) == (True, ["ALL"])
    for service in COMPOSE["services"].values():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
    assert not any("privileged" in service for service in COMPOSE["services"].values())
    port = Settings.model_fields["tocsin_port"].default
    (address,) = re.findall(r"http://([^/]+)/readyz", " ".join(COMPOSED["healthcheck"]["test"]))
    assert address in own_hosts(port)
    assert int(COMPOSED["stop_grace_period"].removesuffix("s")) >= STOP_SECONDS


def test_the_composed_image_is_built_here_and_of_this_version() -> None:
    assert COMPOSED["image"] == f"tocsin:{__version__}"
    build = COMPOSED["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    (command,) = re.findall(
        r"^#   (docker compose .*)$", (MANIFESTS / "compose.yml").read_text(), re.MULTILINE
    )
    assert "-f manifests/compose.yml --project-directory . " in command

"""What is put into a Kubernetes cluster: little is allowed, and the bot answers where it is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from tocsin import __version__
from tocsin.server import GRACE_SECONDS, OUR_PATHS
from tocsin.settings import Settings
from tocsin.start import FINISH_SECONDS
from tocsin.web.middleware import own_hosts

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "kubernetes"
SOCKET_MODE, HTTP = FOLDER / "socket-mode", FOLDER / "http"


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


DEPLOYMENT = parsed(SOCKET_MODE / "deployment.yml")["spec"]
POD = DEPLOYMENT["template"]["spec"]
(BOT,) = POD["containers"]
GIVEN = {one["name"]: one["value"] for one in BOT["env"]}
LABELS = DEPLOYMENT["template"]["metadata"]["labels"]


def kinds(folder: Path) -> list[str]:
    listed = parsed(folder / "kustomization.yaml")["resources"]
    return [parsed(folder / name)["kind"] for name in listed if (folder / name).is_file()]


def test_every_file_is_part_of_what_is_applied_except_the_secret() -> None:
    for folder in (SOCKET_MODE, HTTP):
        listed = parsed(folder / "kustomization.yaml")["resources"]
        there = {path.name for path in folder.iterdir()} - {"kustomization.yaml"}
        assert {name for name in listed if not name.startswith("..")} == there
    assert kinds(SOCKET_MODE) == ["Namespace", "PersistentVolumeClaim", "Deployment", "NetworkPolicy"]
    assert kinds(HTTP) == ["Service", "Ingress", "NetworkPolicy"]
    assert [path.name for path in FOLDER.iterdir() if path.is_file()] == ["secret.example.yml"]


def test_the_pod_may_do_nothing_but_run_the_bot() -> None:
    """Kubernetes, Pod Security Standards: restricted; and the root filesystem is read-only."""
    assert POD["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & POD.keys()
    allowed = POD["securityContext"]
    assert allowed["runAsNonRoot"] is True
    assert allowed["runAsUser"] == allowed["runAsGroup"] == allowed["fsGroup"] == 10001
    assert allowed["seccompProfile"] == {"type": "RuntimeDefault"}
    assert BOT["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    namespace = parsed(SOCKET_MODE / "namespace.yml")["metadata"]
    assert namespace["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert set(BOT["resources"]["requests"]) == {"cpu", "memory", "ephemeral-storage"}
    assert set(BOT["resources"]["limits"]) == {"memory", "ephemeral-storage"}


def test_one_bot_at_a_time_keeps_its_folder_inside_the_volume() -> None:
    assert DEPLOYMENT["replicas"] == 1
    assert DEPLOYMENT["strategy"] == {"type": "Recreate"}
    claim = parsed(SOCKET_MODE / "volume.yml")
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    mounted = {mount["name"]: Path(mount["mountPath"]) for mount in BOT["volumeMounts"]}
    assert mounted.keys() == volumes.keys() == {"kept", "scratch"}
    assert volumes["kept"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert Path(GIVEN["TOCSIN_DATA_DIR"]).parent == mounted["kept"]
    assert Path(GIVEN["HOME"]) == mounted["kept"]
    assert POD["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_bot_understands_every_setting_and_no_service_can_change_one() -> None:
    """Kubernetes sets TOCSIN_PORT=tcp://… for a Service named tocsin, unless it is told not to."""
    assert POD["enableServiceLinks"] is False
    settings = {name.lower(): value for name, value in GIVEN.items() if name != "HOME"}
    assert settings.keys() <= Settings.model_fields.keys()
    understood = Settings.model_validate(settings)
    assert not understood.is_on_loopback
    assert BOT["ports"] == [{"name": "http", "containerPort": understood.tocsin_port}]


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")],
)
def test_each_probe_asks_by_a_host_name_that_the_bot_answers_to(probe: str, path: str) -> None:
    asked = BOT[probe]["httpGet"]
    (header,) = asked["httpHeaders"]
    assert (asked["path"], asked["port"], header["name"]) == (path, "http", "Host")
    assert header["value"] in own_hosts(int(GIVEN["TOCSIN_PORT"]))


def test_the_bot_has_time_to_finish_before_it_is_killed() -> None:
    assert POD["terminationGracePeriodSeconds"] >= 3 * (FINISH_SECONDS + GRACE_SECONDS)


def test_the_secret_has_names_that_the_bot_reads_and_no_values() -> None:
    secret = parsed(FOLDER / "secret.example.yml")
    assert set(secret["stringData"].values()) == {""}
    hidden = {
        name.upper() for name, field in Settings.model_fields.items() if SecretStr in _kinds(field.annotation)
    }
    assert secret["stringData"].keys() <= hidden
    assert BOT["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert not hidden & GIVEN.keys()


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", (annotation,))


def test_only_names_and_https_go_out_and_nothing_comes_in() -> None:
    policy = parsed(SOCKET_MODE / "network-policy.yml")["spec"]
    assert policy["podSelector"]["matchLabels"] == LABELS
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["ingress"] == []
    ports = [[(port["protocol"], port["port"]) for port in rule["ports"]] for rule in policy["egress"]]
    assert ports == [[("UDP", 53), ("TCP", 53)], [("TCP", 443)]]
    outside = {one["ipBlock"]["cidr"]: one["ipBlock"]["except"] for one in policy["egress"][1]["to"]}
    assert outside.keys() == {"0.0.0.0/0", "::/0"}
    assert "169.254.0.0/16" in outside["0.0.0.0/0"]


def test_over_http_only_the_ingress_comes_in_and_only_to_what_is_for_outside() -> None:
    policy = parsed(HTTP / "network-policy.yml")["spec"]
    assert policy["podSelector"]["matchLabels"] == LABELS
    assert policy["policyTypes"] == ["Ingress"]
    ((rule,),) = [policy["ingress"]]
    assert len(rule["from"]) == 1
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    service = parsed(HTTP / "service.yml")
    assert service["spec"]["selector"] == LABELS
    (ours,) = parsed(HTTP / "ingress.yml")["spec"]["rules"]
    paths = {path["path"]: path["backend"]["service"] for path in ours["http"]["paths"]}
    inside = {"/healthz", "/readyz", "/metrics", "/webhooks"}
    assert paths.keys() == {path.rstrip("/") for path in OUR_PATHS} - inside
    assert all(path["pathType"] == "Prefix" for path in ours["http"]["paths"])
    assert all(to == {"name": service["metadata"]["name"], "port": {"name": "http"}} for to in paths.values())


def test_the_bot_answers_to_the_host_name_that_the_ingress_passes_on() -> None:
    ingress = parsed(HTTP / "ingress.yml")["spec"]
    (patch,) = parsed(HTTP / "kustomization.yaml")["patches"]
    (operation,) = yaml.safe_load(patch["patch"])
    assert operation["value"]["name"] == "TOCSIN_PUBLIC_URL"
    host = ingress["rules"][0]["host"]
    assert ingress["tls"][0]["hosts"] == [host]
    assert host in own_hosts(8080, operation["value"]["value"])


def test_the_image_is_of_this_version() -> None:
    (image,) = parsed(SOCKET_MODE / "kustomization.yaml")["images"]
    assert (image["name"], image["newTag"]) == (BOT["image"], __version__)


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on this machine")
@pytest.mark.parametrize(("folder", "many"), [(SOCKET_MODE, 4), (HTTP, 7)], ids=["socket-mode", "http"])
def test_kustomize_puts_the_parts_together(folder: Path, many: int, tmp_path: Path) -> None:
    nowhere = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": os.devnull}
    made = subprocess.run(["kubectl", "kustomize", folder], env=nowhere, capture_output=True, check=True)
    parts = list(yaml.safe_load_all(made.stdout))
    assert len(parts) == many
    assert {part["metadata"].get("namespace", "tocsin") for part in parts} == {"tocsin"}
    (bot,) = [part for part in parts if part["kind"] == "Deployment"]
    text = json.dumps(bot)
    assert f'"image": "tocsin:{__version__}"' in text
    assert ("TOCSIN_PUBLIC_URL" in text) == (folder == HTTP)

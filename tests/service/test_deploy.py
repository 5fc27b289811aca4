"""The files in deploy/: what they run is accepted by the command, what they set is a setting, and numbers agree."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from benchmarks.certificates import certificate
from fair_diffusion.cli import app
from fair_diffusion.cli.upstream import KEY as UPSTREAM_KEY
from fair_diffusion.files.csv_rows import LARGEST as LARGEST_TABLE
from fair_diffusion.service.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCS = DEPLOY.parent / "docs"
PAGES = [DOCS / "how-to" / f"{name}.md" for name in ("deploy", "upstream", "sign-images", "scale")] + [
    DOCS / "reference" / "service.md"
]
UNITS = sorted(DEPLOY.glob("*.service"))
ARRAY = DEPLOY / "fair-diffusion.sbatch"
BINARY = "/opt/fair-diffusion/bin/fair-diffusion"
SETTINGS = Settings.model_fields


def told() -> str:
    """The text of the pages about running a service."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def command_lines() -> list[str]:
    """What follows `fair-diffusion` on every command line of the files, and of the pages."""
    services = compose()["services"].values()
    lines = [service["command"] for service in services if "command" in service]
    for unit in UNITS:
        lines += re.findall(rf"^ExecStart={BINARY} (.*)$", unit.read_text(), re.MULTILINE)
    lines += re.findall(r"^#.* run --rm api (.*)$", (DEPLOY / "compose.yaml").read_text(), re.MULTILINE)
    lines += re.findall(r"^fair-diffusion (.*?)(?: &)?$", ARRAY.read_text(), re.MULTILINE)
    lines += re.findall(r"^fair-diffusion (.*)$", told().replace("\\\n", ""), re.MULTILINE)
    return lines


def options(line: str) -> dict[str, Any]:
    """The options of a command line, as the command reads them; nothing is run."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    found: dict[str, Any] = command.make_context("fair-diffusion", words).params
    return found


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_is_accepted(line: str) -> None:
    options(line)


def test_what_is_run() -> None:
    assert len(command_lines()) >= 7
    with pytest.raises(Exception, match="No such option: --worker"):
        options("serve --worker 2")


def test_every_variable_is_a_setting() -> None:
    known = {f"FAIR_DIFFUSION_{name.upper()}" for name in SETTINGS} | {UPSTREAM_KEY}
    texts = [path.read_text() for path in DEPLOY.iterdir() if path.is_file()]
    named = set(re.findall(r"FAIR_DIFFUSION_[A-Z0-9_]+", "\n".join([*texts, told()])))
    assert {"FAIR_DIFFUSION_DATABASE", "FAIR_DIFFUSION_IMAGES", "FAIR_DIFFUSION_C2PA"} <= named
    assert named - known == set()


def test_the_services_of_compose_share_a_database_and_images_and_end_in_time() -> None:
    found = compose()
    api, worker = found["services"]["api"], found["services"]["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert worker["environment"].items() <= api["environment"].items()
    for service in (api, worker):
        assert "images:/images" in service["volumes"]
        assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
        assert int(service["stop_grace_period"].removesuffix("s")) > SETTINGS["grace"].default
    assert all(port.startswith("127.0.0.1:") for port in api["ports"])
    mounted = [volume.partition(":")[0] for volume in api["volumes"] if volume.startswith(".")]
    assert mounted
    assert all((DEPLOY / path).is_file() for path in mounted)
    context, file = api["build"]["context"], api["build"]["dockerfile"]
    assert (DEPLOY / context / file).is_file()
    volumes = {volume.partition(":")[0] for service in found["services"].values() for volume in service["volumes"]}
    assert {name for name in volumes if not name.startswith(".")} == set(found["volumes"])


def test_proxies_let_through_what_the_server_takes_and_do_not_buffer() -> None:
    nginx, caddy = ((DEPLOY / name).read_text() for name in ("nginx.conf", "Caddyfile"))
    most = max(SETTINGS["most_upload"].default, LARGEST_TABLE)
    assert re.findall(r"client_max_body_size (\d+)m;", nginx) == [str(most // 2**20)]
    assert re.findall(r"max_size (\d+)MiB", caddy) == [str(most // 2**20)]
    for line in ("proxy_buffering off;", "proxy_next_upstream off;", "proxy_set_header Host $http_host;"):
        assert line in nginx
    assert "flush_interval -1" in caddy
    for text in (nginx, caddy):
        assert text.count("{") == text.count("}")
        assert f"127.0.0.1:{SETTINGS['port'].default}" in text


@pytest.mark.parametrize("proxy", ["127.0.0.1", "172.18.0.1", "192.168.65.1"])
def test_the_api_of_compose_believes_its_proxy_that_clients_came_by_https(proxy: str) -> None:
    """In a container the proxy of the machine has the address of a gateway."""
    schemes = list[str]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        schemes.append(scope["scheme"])

    trusted = compose()["services"]["api"]["environment"]["FORWARDED_ALLOW_IPS"]
    headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"203.0.113.7")]
    scope: Any = {"type": "http", "scheme": "http", "client": (proxy, 4711), "headers": headers}
    asyncio.run(ProxyHeadersMiddleware(app, trusted_hosts=trusted)(scope, None, None))  # type: ignore[arg-type]
    assert schemes == ["https"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_read_by_systemd(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0]) > SETTINGS["grace"].default
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here")
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(text.replace(BINARY, "/bin/true").replace("User=fair-diffusion\n", ""))
    told = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    ours = [line for line in told.stderr.splitlines() if unit.name.partition(".")[0].partition("@")[0] in line]
    assert (told.returncode, ours) == (0, [])


def test_nginx_and_caddy_read_their_files(tmp_path: Path) -> None:
    nginx, caddy = shutil.which("nginx"), shutil.which("caddy")
    if nginx is None or caddy is None:
        pytest.skip("nginx and caddy are not here")
    chain, key = certificate(tmp_path)
    site = (DEPLOY / "nginx.conf").read_text()
    for name, file in (("images.example.org.pem", chain), ("private/images.example.org.key", key)):
        site = site.replace(f"/etc/ssl/{name}", str(file))
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{site}\n}}\n")
    words = {
        nginx: ["-t", "-c", str(tmp_path / "nginx.conf"), "-g", "error_log stderr;"],
        caddy: ["validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")],
    }
    for program, options in words.items():
        told = subprocess.run(
            [program, *options], capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)}
        )
        assert told.returncode == 0, told.stderr

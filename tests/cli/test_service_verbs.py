"""`fair-diffusion keys` and `fair-diffusion jobs`: what they print, change and refuse, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fair_diffusion.cli import app
from fair_diffusion.cli.serve import _greet
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.keys import Keys
from fair_diffusion.service.limits import Limits

runner = CliRunner(env={"COLUMNS": "200"})


def run(*words: str | Path, code: int = 0) -> Result:
    result = runner.invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_key_is_made_listed_and_revoked(data: Path) -> None:
    made = run("keys", "add", "my app", "--role", "operator", "--steps", "30", "--data", data)
    secret = made.stdout.strip()
    database = Database(data / "service.sqlite", create=False)
    key = Keys(database).find(secret)
    assert key is not None
    assert (key.name, key.role, key.limits.steps) == ("my app", "operator", 30)
    listed = run("keys", "list", "--data", data).stdout
    assert all(word in listed for word in (key.id, "my app", "operator", "steps 30"))
    assert secret not in listed
    assert json.loads(run("keys", "list", "--data", data, "--json").stdout)[0]["id"] == key.id
    assert key.id in run("keys", "revoke", key.id, "--data", data).stdout
    assert Keys(database).find(secret) is None
    database.close()
    assert "no valid key" in run("keys", "revoke", key.id, "--data", data, code=2).stderr


def test_a_second_key_of_a_name_is_made_and_the_first_one_is_told(data: Path) -> None:
    """Two keys of one name are how a key is changed without a pause."""
    first = run("keys", "add", "shop", "--data", data)
    assert "stays valid" not in first.stderr
    run("keys", "add", "another", "--data", data)
    second = run("keys", "add", "shop", "--role", "operator", "--data", data)
    listed = json.loads(run("keys", "list", "--data", data, "--json").stdout)
    old, new = (key["id"] for key in listed if key["name"] == "shop")
    (told,) = [line for line in second.stderr.splitlines() if "stays valid" in line]
    assert told.startswith(f"{old}, client 'shop', made 20")
    assert f"`fair-diffusion keys revoke {old}` ends it" in told
    shown = run("keys", "list", "--data", data).stdout
    assert all(word in shown for word in (old, new))
    assert second.stdout.strip().startswith("fd-")  # the secret alone, for scripts
    run("keys", "revoke", old, "--data", data)
    assert old not in run("keys", "add", "shop", "--data", data).stderr


def test_limits_of_a_key_are_changed_and_those_that_are_not_named_stay(data: Path) -> None:
    secret = run("keys", "add", "shop", "--steps", "30", "--queued", "4", "--data", data).stdout.strip()
    database = Database(data / "service.sqlite", create=False)

    def limits() -> tuple[Limits, str]:
        key = Keys(database).find(secret)
        assert key is not None
        return key.limits, key.id

    _, key = limits()
    told = run("keys", "limit", key, "--images-per-minute", "60", "--queued", "9", "--data", data).stdout
    assert limits()[0] == Limits(steps=30, queued=9, images_per_minute=60)
    assert "limits images_per_minute 60, queued 9, steps 30; they were queued 4, steps 30" in " ".join(told.split())
    run("keys", "limit", key, "--lift", "images-per-minute", "--lift", "steps", "--data", data)
    assert limits()[0] == Limits(queued=9)
    for words, said in (
        ((), "no limit is given"),
        (("--lift", "step"), "did you mean 'steps'"),
        (("--lift", "n", "--n", "2"), "both given and lifted"),
    ):
        assert said in run("keys", "limit", key, *words, "--data", data, code=2).stderr
    run("keys", "revoke", key, "--data", data)
    assert "no valid key" in run("keys", "limit", key, "--n", "2", "--data", data, code=2).stderr
    database.close()


def test_the_trail_tells_who_changed_what(data: Path) -> None:
    run("keys", "add", "chief", "--role", "operator", "--data", data)
    database = Database(data / "service.sqlite", create=False)
    (chief,) = Keys(database).all()
    _, shop = Keys(database).add("shop", by=chief.id)
    database.close()
    run("keys", "limit", shop.id, "--steps", "30", "--data", data)
    lines = run("trail", "--data", data).stdout.splitlines()
    newest = next(line for line in lines if "limits changed" in line)
    assert all(word in newest for word in ("command line", f"{shop.id} (shop)", "limits: steps 30"))
    made = next(line for line in lines if "key added" in line and shop.id in line)
    assert f"{chief.id} (chief)" in made
    (only,) = json.loads(run("trail", "--subject", chief.id, "--json", "--data", data).stdout)
    assert (only["change"], only["by"], only["details"]["role"]) == ("key added", "command line", "operator")
    assert len(json.loads(run("trail", "--most", "2", "--json", "--data", data).stdout)) == 2
    assert run("trail", "--subject", "key_none", "--data", data).stdout == "no changes\n"


def test_times_are_those_of_utc_and_say_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-5")  # five hours ahead of UTC
    time.tzset()
    try:
        run("keys", "add", "shop", "--data", data)
        database = Database(data / "service.sqlite", create=False)
        (key,) = Keys(database).all()
        database.close()
        made = f"{datetime.fromtimestamp(key.created, UTC):%Y-%m-%d %H:%M:%S} UTC"
        assert made in run("keys", "list", "--data", data).stdout
        (change,) = json.loads(run("trail", "--json", "--data", data).stdout)
        changed = f"{datetime.fromtimestamp(change['time'], UTC):%Y-%m-%d %H:%M:%S} UTC"
        assert changed in run("trail", "--data", data).stdout
    finally:
        monkeypatch.undo()
        time.tzset()


def test_no_first_key_is_made_where_its_secret_would_stand_in_the_journal(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = os.fstat(1)
    monkeypatch.setenv("JOURNAL_STREAM", f"{out.st_dev}:{out.st_ino}")
    told = run("serve", "--workers", "0", "--port", "0", "--data", data, code=2)
    assert "would stand in the journal" in told.stderr
    assert "fair-diffusion keys add NAME --role operator" in " ".join(told.stderr.split())
    assert "fd-" not in told.output
    assert not data.exists()  # so there is no key


def test_a_worker_makes_no_place_for_a_service(data: Path) -> None:
    told = run("worker", "--data", data, code=2).stderr
    assert f"{data / 'service.sqlite'} does not exist; `fair-diffusion serve` makes it" in " ".join(told.split())
    assert not data.exists()
    data.mkdir()
    assert "does not exist" in run("worker", "--database", f"sqlite:///{data}/typo.sqlite", code=2).stderr
    assert not list(data.iterdir())


def test_jobs_are_listed_cancelled_and_tried_again(data: Path) -> None:
    data.mkdir()
    file = data / "other.sqlite"
    database = Database(file)
    jobs, claims = Jobs(database), Claims(database, "w")
    job, _ = jobs.put("draw", {"prompt": "a secret nurse"}, key="key_1")
    for words in (("--data", data, "--database", file), ("--database", f"sqlite:///{file}")):
        shown = run("jobs", "list", *words).stdout
        assert all(word in shown for word in (job.id, "draw", "queued", "key_1"))
        assert "secret" not in run("jobs", "list", "--json", *words).stdout
    assert run("jobs", "list", "--state", "done", "--database", file).stdout == "no jobs\n"
    assert "did you mean 'done'" in run("jobs", "list", "--state", "don", "--database", file, code=2).stderr
    assert run("jobs", "cancel", job.id, "--database", file).stdout == f"{job.id} is cancelled\n"
    assert run("jobs", "retry", job.id, "--database", file).stdout == f"{job.id} is queued\n"
    assert "is queued; only one that failed" in run("jobs", "retry", job.id, "--database", file, code=2).stderr
    claims.claim(["draw"])
    assert run("jobs", "cancel", job.id, "--database", file).stdout.startswith(f"{job.id} is cancelling: it ends when")
    assert "cancelling" in run("jobs", "list", "--database", file).stdout
    (listed,) = json.loads(run("jobs", "list", "--json", "--database", file).stdout)
    assert (listed["state"], listed["cancelling"]) == ("running", True)
    assert "no job job_x" in run("jobs", "cancel", "job_x", "--database", file, code=2).stderr
    database.close()


def test_ids_are_whole_on_a_narrow_terminal(data: Path) -> None:
    run("keys", "add", "an application with a long name", "--images-per-minute", "10", "--steps", "30", "--data", data)
    database = Database(data / "service.sqlite", create=False)
    (key,), (job, _) = Keys(database).all(), Jobs(database).put("draw pocket", {}, key="key_0123456789ab")
    database.close()
    narrow = CliRunner(env={"COLUMNS": "80"})
    for verb, identity in (("keys", key.id), ("jobs", job.id)):
        assert identity in narrow.invoke(app, [verb, "list", "--data", str(data)]).stdout


def test_a_job_is_one_line_on_a_narrow_terminal(data: Path) -> None:
    data.mkdir()
    database = Database(data / "service.sqlite")
    job, _ = Jobs(database).put("draw pocket", {}, key="key_0123456789ab")
    Claims(database, "w").claim(["draw pocket"])
    database.close()
    listed = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["jobs", "list", "--data", str(data)]).stdout
    (line,) = [line for line in listed.splitlines() if job.id in line]
    assert all(word in line for word in ("draw pocket", "running", "key_0123456789ab"))


@pytest.mark.parametrize(("secret", "sent"), [("fd-new", "fd-new"), (None, "fd-mine")])
def test_the_line_that_a_server_prints_sends_the_key(
    secret: str | None, sent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _greet("http://[::1]:8000", secret)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("curl ")]
    environment = {"PATH": os.environ["PATH"], "FAIR_DIFFUSION_KEY": "fd-mine"}
    words = ["sh", "-c", line.replace("curl", "printf '%s\\n'", 1)]
    given = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert given[0] == "http://[::1]:8000/v1/images/generations"
    assert f"Authorization: Bearer {sent}" in given
    assert json.loads(given[-1])["prompt"] == "a photo of a firefighter"


def test_nothing_is_made_by_looking(data: Path) -> None:
    assert "does not exist" in run("jobs", "list", "--data", data, code=2).stderr
    assert "does not exist" in run("keys", "list", "--data", data, code=2).stderr
    assert not data.exists()


def test_without_the_extra_the_verbs_say_what_to_install() -> None:
    """PostgreSQL's driver and the HTTP side are extras: the package, its verbs and SQLite work without them."""
    absent = ("psycopg", "fastapi", "uvicorn", "prometheus_client", "pydantic_settings", "multipart", "fsspec.core")
    code = f"""
import sys
for name in {absent}: sys.modules[name] = None
import fair_diffusion
from fair_diffusion.cli import app
import fair_diffusion.service.jobs, fair_diffusion.service.claims, fair_diffusion.service.signals
app(["jobs", "list", "--database", "postgresql://host/x"])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip() == 'PostgreSQL needs a driver: pip install "fair-diffusion[postgres]"'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--upstream", "https://api.example.com/v1"], "--upstream needs --perceiver, who decides"),
        (["--upstream", "https://api.example.com/v1", "--perceiver", "pocket"], "--upstream needs --judge, who scores"),
        (
            ["--upstream", "https://api.example.com/v1", "--model", "pocket"],
            "--model is given, but the upstream server",
        ),
        (["--upstream", "https://me:secret@api.example.com/v1"], "holds a password"),
        (["--upstream", "api.example.com"], "give it as in https://api.example.com/v1"),
    ],
)
@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_an_upstream_server_that_cannot_be_served_is_told(data: Path, verb: str, words: list[str], said: str) -> None:
    data.mkdir()
    Database(data / "service.sqlite").close()  # a worker makes none
    refused = run(verb, "--data", data, *words, code=2)
    assert said in refused.stderr
    assert "secret" not in refused.output


def test_a_worker_of_requests_is_told_that_it_takes_no_idle(data: Path) -> None:
    assert "--idle is for a worker of suites" in run("worker", "--idle", "1", "--data", data, code=2).stderr
    assert not data.exists()

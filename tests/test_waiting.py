"""A night that asks a person, and one that tells of its failure, on a real Prefect server."""

import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from patience import until
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.flow_runs import resume_flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import deploy, nightly, server
from video2gif.project.summary import Figure, Quality


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The project's own server, with what deployments rely on."""
    with (
        server.api(tmp_path_factory.mktemp("waiting")) as url,
        temporary_settings({PREFECT_API_URL: url}),
    ):
        deploy.prepare()
        yield


@pytest.fixture
def messages() -> Iterator[list[dict[str, Any]]]:
    """What arrives at the webhook of the notification block `team`."""
    arrived: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        block = CustomWebhookNotificationBlock(
            name="team",
            url=f"http://127.0.0.1:{hook.server_port}/",
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
        )
        block.save("team", overwrite=True)
        yield arrived
        hook.shutdown()


def quality(nmsd: float) -> Quality:
    figures = dict.fromkeys(("nmsd", "map", "recall_at_5"), Figure(nmsd, nmsd - 0.05, nmsd + 0.05))
    return Quality({"ranker": figures}, 3, 5, random_weights=False)


@pytest.fixture
def worse_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose run makes a model that is worse than the last one."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    found = iter((quality(0.2), quality(0.4)))
    monkeypatch.setattr(nightly, "_quality", lambda root: next(found))
    monkeypatch.setattr(nightly, "reproduce", lambda *_: None)
    return tmp_path


NAME = "custom-webhook/team"


def test_a_failed_night_tells_the_block_that_the_user_names(
    prefect_server, messages, worse_night
) -> None:
    with pytest.raises(nightly.PipelineFailed, match="not promoted"):
        nightly.pipeline(str(worse_night), notify=NAME)
    (message,) = messages
    assert message["subject"] == f"{worse_night.name}: the night failed"
    assert "worse than the last" in message["body"]


def test_a_block_that_cannot_be_told_does_not_hide_the_failure(prefect_server, worse_night) -> None:
    with pytest.raises(nightly.PipelineFailed, match="not promoted"):
        nightly.pipeline(str(worse_night), notify="slack-webhook/nobody-made-this")


@pytest.mark.parametrize("promote", [True, False])
def test_a_refused_model_waits_for_a_person(prefect_server, messages, worse_night, promote) -> None:
    with ThreadPoolExecutor(1) as other:
        # With the settings of this thread: else Prefect starts a second server for the other one.
        answered = other.submit(copy_context().run, answer, promote)
        if promote:
            nightly.pipeline(str(worse_night), ask_s=600, notify=NAME)
        else:
            with pytest.raises(nightly.PipelineFailed, match="not promoted"):
                nightly.pipeline(str(worse_night), ask_s=600, notify=NAME)
        answered.result()
    assert "waits for your word" in messages[0]["subject"]


def test_nobody_answers_and_the_model_is_refused(prefect_server, worse_night) -> None:
    with pytest.raises(nightly.PipelineFailed, match="not promoted"):
        nightly.pipeline(str(worse_night), ask_s=1)


def answer(promote: bool) -> None:
    """What a person does in Prefect's page, as soon as a run waits."""
    until(lambda: is_answered(promote), every_s=0.5)


def is_answered(promote: bool) -> bool:
    """Resume the run that waits; not yet possible before its question is stored."""
    paused = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PAUSED"]}}})
    # Whatever hinders it, a person would click again: a thread that died here would leave the run
    # waiting for ten minutes.
    with suppress(Exception), get_client(sync_client=True) as client:
        for waiting in client.read_flow_runs(flow_run_filter=paused):
            resume_flow_run(waiting.id, run_input={"promote": promote})
            return True
    return False


def test_a_run_beats_as_often_as_the_automation_for_lost_runs_expects() -> None:
    from prefect.settings import get_current_settings

    beat_s = get_current_settings().flows.heartbeat_frequency
    assert beat_s is not None
    assert timedelta(seconds=2 * beat_s) < deploy.zombies().trigger.within

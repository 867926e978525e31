"""`python -m flows serve`: both deployments on a schedule, run by this process until it stops.

With a server of your own (`PREFECT_API_URL`), `prefect deploy --all` gives prefect.yaml's
deployments to a work pool instead, and `python -m flows prepare` makes what they rely on:
the limit around DVC, and the automations that find runs whose process or worker is gone.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from flows import server
from video2gif.core.errors import Exit

server.quiet()

from prefect import Flow  # noqa: E402  (after the settings it reads)
from prefect import serve as serve_deployments  # noqa: E402  (after the settings it reads)
from prefect.client.orchestration import get_client  # noqa: E402
from prefect.client.schemas.objects import ConcurrencyLimitConfig, StateType  # noqa: E402
from prefect.client.schemas.objects import ConcurrencyLimitStrategy as Clash  # noqa: E402
from prefect.deployments.runner import RunnerDeployment  # noqa: E402
from prefect.events.actions import ChangeFlowRunState  # noqa: E402
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture  # noqa: E402
from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: E402
from prefect.types.entrypoint import EntrypointType  # noqa: E402
from prefect.utilities.asyncutils import run_coro_as_sync  # noqa: E402

from flows.nightly import DVC_LIMIT, pipeline  # noqa: E402
from flows.watch import watch_folder  # noqa: E402

NAME = "video2gif"
_BEGIN_S = 600  # From a worker taking a run to the run's own process: seconds, unless it died.
_ENDS = tuple(f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed"))


def serve(
    root: Path,
    *,
    cron: str,
    interval_s: float | None = None,
    watch: tuple[str, str] | None = None,
    watch_s: float = 60.0,
) -> Exit:
    """Serve the deployment `pipeline` and, with a folder and where its GIFs go, `watch-folder`.

    One run of each at a time: a late pipeline waits, a late look at the folder is left out.
    """
    # Prefect read its settings when it was imported, before the server had an address.
    with server.api(root, scheduler=True) as url, temporary_settings({PREFECT_API_URL: url}):
        prepare()
        when = {"interval": interval_s} if interval_s else {"cron": cron}
        served = [_deployment(pipeline, {"root": str(root)}, when, Clash.ENQUEUE)]
        if watch:
            folder, out = watch
            parameters = {"folder": folder, "out": out}
            # A run that is due while another runs is cancelled: the next finds the same videos.
            every = {"interval": watch_s}
            served.append(_deployment(watch_folder, parameters, every, Clash.CANCEL_NEW))
        names = ", ".join(f"{one.flow_name}/{one.name}" for one in served)
        print(f"serving {names} of {root} ({url}); stop with Ctrl-C", flush=True)
        serve_deployments(*served, print_starting_message=False, limit=len(served))
    return Exit.CLEAN


def _deployment(
    flow: Flow[Any, None], parameters: dict[str, str], when: dict[str, Any], clash: Clash
) -> RunnerDeployment:
    made = flow.to_deployment(
        NAME,
        parameters=parameters,
        entrypoint_type=EntrypointType.MODULE_PATH,
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=clash),
        **when,
    )
    assert isinstance(made, RunnerDeployment)  # A coroutine only for those who await.
    return made


def prepare() -> None:
    """Create the limit around DVC and the automations for lost runs, where they are not yet."""
    run_coro_as_sync(_prepare())


async def _prepare() -> None:
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name(DVC_LIMIT, 1)
        for automation in (zombies(), unborn()):
            if not await client.read_automations_by_name(automation.name):
                await client.create_automation(automation)


def zombies() -> AutomationCore:
    """Marks a run as crashed when three heartbeats are missing: Prefect itself never would."""
    return _crashed(
        "video2gif: mark runs without a heartbeat as crashed",
        after="prefect.flow-run.heartbeat",
        expect=("prefect.flow-run.heartbeat", *_ENDS),
        within_s=3 * server.BEAT_S,
        message="No heartbeat: it is gone",
    )


def unborn() -> AutomationCore:
    """The same for a run that its worker took and never began: it would hold its place for ever."""
    return _crashed(
        "video2gif: mark runs that never began as crashed",
        after="prefect.flow-run.Pending",
        expect=("prefect.flow-run.Running", *_ENDS),
        within_s=_BEGIN_S,
        message="It never began: its worker is gone",
    )


def _crashed(
    name: str, *, after: str, expect: tuple[str, ...], within_s: int, message: str
) -> AutomationCore:
    return AutomationCore(
        name=name,
        trigger=EventTrigger(
            after={after},
            expect=set(expect),
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[
            ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)
        ],
    )

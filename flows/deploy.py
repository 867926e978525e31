"""`python -m flows serve`: the pipeline on a schedule, run by this process until it is stopped."""

from pathlib import Path

from flows import server
from flows.pipeline import run_pipeline
from video2gif.errors import Exit, Video2GifError

server.quiet()

from prefect import flow, get_run_logger  # noqa: E402  (after the settings it reads)
from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: E402
from prefect.types.entrypoint import EntrypointType  # noqa: E402

NAME = "video2gif"


class PipelineFailed(Video2GifError):
    """A scheduled run did not bring the project up to date; its last good outputs are in place."""


@flow(name="pipeline", persist_result=False)
def scheduled(root: str, targets: list[str] | None = None) -> None:
    """What the schedule runs. Without retries: a `dvc repro` that failed would fail again."""
    code = run_pipeline(Path(root), targets=targets or (), quiet=True)
    get_run_logger().info("pipeline: exit code %d", code)
    if code not in (Exit.CLEAN, Exit.QUARANTINED):
        raise PipelineFailed(f"{root}: the pipeline ended with exit code {int(code)}")


def serve(root: Path, *, cron: str, interval_s: float | None = None) -> Exit:
    """Serve the deployment `pipeline/video2gif`: one run at a time, a late one waits its turn."""
    # Prefect read its settings when it was imported, before the server had an address.
    with server.api(root, scheduler=True) as url, temporary_settings({PREFECT_API_URL: url}):
        print(f"serving pipeline/{NAME} of {root} ({url}); stop with Ctrl-C", flush=True)
        schedule = {"interval": interval_s} if interval_s else {"cron": cron}
        scheduled.serve(
            name=NAME,
            parameters={"root": str(root)},
            entrypoint_type=EntrypointType.MODULE_PATH,
            limit=1,
            global_limit=1,
            print_starting_message=False,
            **schedule,
        )
    return Exit.CLEAN

"""The review page's URLs. `make_app` builds it; `run` serves it until Ctrl-C."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from video2gif.core.errors import ItemError, UserError, Video2GifError
from video2gif.core.items import Context
from video2gif.core.mappers import WarmMapper, default_mapper
from video2gif.core.store import ItemStore
from video2gif.gifs.render import GifOptions
from video2gif.make.page import TYPES, embedded, page_of
from video2gif.make.remedies import told
from video2gif.media.kinds import suffixes
from video2gif.page.render import ReviewPage, render
from video2gif.web.answers import as_json, described, listed
from video2gif.web.connections import Connection, raise_limit_of_files
from video2gif.web.files import as_download, bounded, film_piece, zipped
from video2gif.web.guard import LOOPBACK, UPLOADS, App, Guard, policy_of
from video2gif.web.review import Full, Review
from video2gif.web.uploads import (
    Room,
    keep,
    keep_sample,
    part_file,
    receive,
    remove_leftovers,
    safe_stem,
)

_MAX_PICTURES = 64
_MAX_STREAMS = 32  # pieces of films that are sent at once
_ACCEPT = ",".join(f".{suffix}" for suffix in suffixes(clips=True))
_STATUS = {"missing": 404, "too_large": 413, "disk": 507}

_KEPT = {"cache-control": "private, max-age=3600"}

Drawn = TypeVar("Drawn")
PageSeconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class SpanBody(BaseModel):
    """[start_s, end_s) of a video."""

    model_config = ConfigDict(extra="forbid")
    start_s: PageSeconds
    end_s: PageSeconds


class MarkBody(SpanBody):
    """A verdict; `none` takes it back."""

    verdict: Literal["good", "bad", "none"]


class ExportBody(SpanBody):
    """What to make of a span."""

    format: Literal["gif", "webp", "avif", "mp4"] = "gif"
    loop: Literal["auto", "none", "fade", "pingpong"] = "auto"
    height: Annotated[int, Field(ge=32, le=1080)] | None = None
    max_bytes: Annotated[int, Field(ge=20_000, le=100_000_000)] | None = None
    name: Annotated[str, Field(max_length=200)] = ""
    """Of the file, without extension; "" for one made of the span."""


def make_app(
    review: Review,
    *,
    max_upload_bytes: int,
    hosts: frozenset[str] = LOOPBACK,
    token: str = "",
    store: ItemStore | None = None,
) -> App:
    """The ASGI app, guarded. `hosts` and `token`: see `Guard`."""
    pictures = ThreadPoolExecutor(1, thread_name_prefix="pictures")
    store = store or ItemStore.default()
    warm = WarmMapper()
    room = Room(review.folder, max_bytes=max_upload_bytes)
    asked = asyncio.Semaphore(_MAX_PICTURES)
    streams = asyncio.Semaphore(_MAX_STREAMS)
    making_sample = asyncio.Semaphore(1)

    async def drawn(work: Callable[[], Drawn]) -> Drawn:
        """Have a picture made by the one thread that does so."""
        if asked.locked():
            raise Full("too many pictures are asked for; try again later")
        async with asked:
            return await asyncio.get_running_loop().run_in_executor(pictures, work)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        remove_leftovers(review.folder)
        yield
        review.close()
        pictures.submit(warm.close)
        pictures.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_exception_handler(Video2GifError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)

    html = render(
        ReviewPage(accept=_ACCEPT, ranker=review.ranker.name, warnings=review.ranker.warnings)
    )
    policy = {"content-security-policy": policy_of(html)}

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=policy)

    @app.get("/api/videos")
    def videos() -> dict[str, Any]:
        films = review.films()
        return {
            "videos": [listed(film, review.marks(film.path.name)) for film in films],
            "marks": len(review.marks()),
        }

    @app.put(UPLOADS + "{name:path}", status_code=201)
    async def upload(name: str, request: Request) -> dict[str, Any]:
        length = request.headers.get("content-length")
        declared = int(length) if length and length.isdecimal() else None
        with room.reserved(declared) as reserved, part_file(review.folder) as part:
            await receive(request.stream(), part, reserved)
            context = Context(store, default_mapper())
            path = await asyncio.to_thread(keep, part, name, review.params, context)
        await asyncio.to_thread(review.start, path.name)
        return {"name": path.name}

    @app.get("/api/videos/{name}")
    def video(name: str) -> dict[str, Any]:
        return described(review.film(name), review.marks(name))

    @app.post("/api/videos/{name}/start", status_code=202)
    def start(name: str) -> dict[str, Any]:
        review.start(name)
        return listed(review.film(name), review.marks(name))

    @app.post("/api/videos/{name}/stop")
    def stop(name: str) -> dict[str, Any]:
        review.stop(name)
        return listed(review.film(name), review.marks(name))

    @app.post("/api/sample", status_code=201)
    async def sample() -> dict[str, Any]:
        if making_sample.locked():
            raise Full("the sample film is being made; try again later")
        async with making_sample:
            context = Context(store, default_mapper())
            path = await asyncio.to_thread(keep_sample, review.folder, review.params, context)
        await asyncio.to_thread(review.start, path.name)
        return {"name": path.name}

    @app.post("/api/videos/{name}/personalise", status_code=202)
    def personalise(name: str) -> dict[str, Any]:
        review.personalise(name)
        return listed(review.film(name), review.marks(name))

    @app.post("/api/videos/{name}/marks")
    def mark(name: str, body: MarkBody) -> dict[str, Any]:
        _check_span(body)
        review.mark(name, body.start_s, body.end_s, body.verdict)
        return described(review.film(name), review.marks(name))

    @app.post("/api/videos/{name}/exports", status_code=202)
    def export(name: str, body: ExportBody) -> dict[str, Any]:
        _check_span(body)
        options = GifOptions(
            height=body.height, max_bytes=body.max_bytes, format=body.format, loop=body.loop
        )
        stem = safe_stem(body.name + ".") if body.name.strip() else ""
        return {"number": review.export(name, body.start_s, body.end_s, options, stem).number}

    @app.get("/api/videos/{name}/strip.jpg")
    def strip(name: str) -> Response:
        return Response(_there(review.film(name).strip), media_type="image/jpeg")

    @app.get("/api/videos/{name}/frames.jpg")
    async def frames(
        name: str,
        start_s: Annotated[float, Query(ge=0, le=1e6)],
        end_s: Annotated[float, Query(ge=0, le=1e6)],
        count: Annotated[int, Query(ge=1, le=32)] = 1,
        height: Annotated[int, Query(ge=16, le=360)] = 60,
    ) -> Response:
        film = review.film(name)
        jpeg = await drawn(partial(review.frames, film, start_s, end_s, count, height, warm))
        return Response(jpeg, media_type="image/jpeg", headers=_KEPT)

    @app.get("/api/videos/{name}/poster.jpg")
    async def poster(name: str) -> Response:
        found = await drawn(partial(review.look, review.film(name), warm))
        return Response(found.jpeg, media_type="image/jpeg", headers=_KEPT)

    @app.get("/film/{name}")
    async def watch(name: str, request: Request) -> Response:
        piece = film_piece(review.film(name).path, request.headers.get("range"))
        return bounded(piece, streams) if isinstance(piece, StreamingResponse) else piece

    @app.get("/api/videos/{name}/gifs.zip")
    def archive(name: str) -> Response:
        film = review.film(name)
        content = zipped([gif.path for gif in film.made if gif.path.is_file()])
        return as_download(content, f"{safe_stem(name)} GIFs.zip", "application/zip")

    @app.get("/api/videos/{name}/share.html")
    def share(name: str) -> Response:
        film = review.film(name)
        if film.result is None or film.ranker is None:
            raise HTTPException(404, "not made yet")
        page = page_of([film.result], film.ranker, embedded)
        return as_download(page, f"{safe_stem(name)} GIFs.html", "text/html")

    @app.get("/media/{name}/{file}")
    def media(name: str, file: str, download: bool = False) -> FileResponse:
        # By name from a list of our own, so that no request can lead to another file.
        path = review.film(name).files.get(file)
        if path is None or not path.is_file():
            raise HTTPException(404, "no such file")
        return FileResponse(
            path,
            media_type=TYPES[path.suffix],
            filename=path.name if download else None,
        )

    return Guard(app, hosts=hosts, token=token)


def run(
    review: Review,
    *,
    host: str,
    port: int,
    max_upload_bytes: int,
    allow_remote: bool,
    tell: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C; `tell` gets the address. Raises `UserError` for a host not allowed.

    Beyond loopback everybody who reaches the port could upload and look: that needs
    `allow_remote`, and a token that stands in the address alone.
    """
    is_local = host in LOOPBACK | {"::1"}
    if not is_local and not allow_remote:
        raise UserError(
            f"--host {host}: others on the network could upload and look; use 127.0.0.1,"
            " or give --allow-remote, and everyone who knows the printed address can"
        )
    token = "" if is_local else secrets.token_urlsafe(24)
    app = make_app(
        review,
        max_upload_bytes=max_upload_bytes,
        hosts=LOOPBACK if is_local else frozenset(),
        token=token,
    )
    query = f"?token={token}" if token else ""
    raise_limit_of_files()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Connection,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    with _listening(host, port) as listener:
        tell(f"http://{_shown(host)}:{listener.getsockname()[1]}/{query}")
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket bound to the address. Raises `UserError` when that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            raise UserError(
                f"--host {host} --port {port}: {error.strerror}; choose another port, or 0 for any"
            ) from None
        yield listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_span(span: SpanBody) -> None:
    if span.start_s >= span.end_s:
        raise HTTPException(422, "start_s must be below end_s")


def _there(content: bytes) -> bytes:
    if not content:
        raise HTTPException(404, "not made yet")
    return content


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """What is wrong with a request; not its values: NaN is no JSON."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found]
    return JSONResponse({"detail": "; ".join(told)[:2000]}, 422)


async def _answer(_: Request, error: Exception) -> JSONResponse:
    """An error of ours as JSON: the message, without a path of this machine."""
    if isinstance(error, Full):
        return JSONResponse({"detail": str(error)}, 429)
    if isinstance(error, ItemError):
        content = {"detail": error.reason, **as_json(told(error))}
        return JSONResponse(content, _STATUS.get(error.cause, 422))
    return JSONResponse({"detail": str(error)}, 500)

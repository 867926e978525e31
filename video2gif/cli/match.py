"""`video2gif match` finds where GIFs and other clips come from."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperCommand

from video2gif.cli.terminal import (
    Quiet,
    Root,
    compact,
    err,
    finish,
    of_file,
    out,
    plain,
    progress,
    whole,
)
from video2gif.core.config import params_at
from video2gif.core.errors import UserError
from video2gif.core.layout import Layout

if TYPE_CHECKING:
    from video2gif.make.finder import LibrarySearch
    from video2gif.make.match import Found
    from video2gif.matching.confidence import Match

_IN = "--in"
_CELLS = ("status", "span", "speed", "confidence")


class MatchCommand(TyperCommand):
    """Takes all words after `--in`, up to the next option: shells make many words of `films/*`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As click does, which knows options of one word only."""
        return super().parse_args(ctx, in_before_each(args))


def in_before_each(args: list[str]) -> list[str]:
    """Arguments with `--in` before each word that follows it. Raises `UserError` for none."""
    said: list[str] = []
    within = False
    for word in args:
        if word.startswith("-"):
            within = word == _IN
        if word != _IN:
            said += [_IN, word] if within else [word]
    if _IN in args and _IN not in said:
        raise UserError("--in: name the films to search: files, folders or globs")
    return said


def match(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Clips to look for: files, folders, globs. Without --in: a GIF, then the videos."
        ),
    ],
    library: Annotated[
        list[str] | None,
        typer.Option(_IN, help="Films to look in, one or several: files, folders, globs."),
    ] = None,
    hits: Annotated[
        int | None, typer.Option(min=1, help="With --in: only so many places a clip, the surest.")
    ] = None,
    corpus: Annotated[
        bool, typer.Option("--corpus", help="Search all videos of the project instead.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(help="Write a PNG: frames of the GIF above those of the best match."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Root = Path("."),
    quiet: Quiet = False,
) -> None:
    """Find which of the videos a GIF was made from, and from where in it."""
    if library:
        if corpus or preview is not None:
            raise UserError("--in searches the films it names: leave --corpus and --preview out")
        _many(files, library, hits=hits, as_json=as_json, root=root, quiet=quiet)
        return
    if hits is not None:
        raise UserError("--hits: name the films with --in")
    gif, *videos = files
    if bool(videos) == corpus:
        raise UserError("name the videos to search, or give --corpus for all of the project's")
    _one(Path(gif), videos, preview=preview, as_json=as_json, root=root, quiet=quiet)


def _one(
    gif: Path, videos: list[str], *, preview: Path | None, as_json: bool, root: Path, quiet: bool
) -> None:
    """One GIF in some videos or, without any, in the project's."""
    from video2gif.make.inputs import expand
    from video2gif.make.match import match_corpus, match_files
    from video2gif.make.preview import write_preview

    params = params_at(root)
    with progress(quiet or as_json) as context, of_file(gif):
        if not videos:
            found = match_corpus(gif, Layout(root.resolve()), params, context)
        else:
            named = [Path(video) for video in expand(videos)]
            found = match_files(gif, named, params, context)
        if preview is not None:
            write_preview(preview, gif, found, params, context)
    if as_json:
        rows = [one.as_dict() for one in found]
        print(json.dumps({"gif": str(gif), "matches": rows}, indent=2))
    else:
        _print_matches(gif, found)
    finish(failed=sum(one.match is None for one in found))


def _many(
    clips: list[str],
    library: list[str],
    *,
    hits: int | None,
    as_json: bool,
    root: Path,
    quiet: bool,
) -> None:
    """Clips in a library."""
    from video2gif.make.finder import search
    from video2gif.make.inputs import expand

    wanted = [Path(clip) for clip in expand(clips, clips=True)]
    films = [Path(film) for film in expand(library)]
    with progress(quiet or as_json) as context:
        found = search(wanted, films, params_at(root), context, most=hits)
    if as_json:
        failed = [{"film": str(film), "reason": reason} for film, reason in found.failed_films]
        rows = [clip.as_dict() for clip in found.clips]
        print(json.dumps({"clips": rows, "failed_films": failed}, indent=2))
    else:
        _print_clips(found)
    err.print(
        f"Fingerprints: {found.decoded}. Comparisons: {found.compared}.",
        soft_wrap=True,
        highlight=False,
    )
    bad = sum(clip.status == "quarantined" for clip in found.clips)
    finish(failed=len(found.failed_films) + bad)


def _print_clips(found: "LibrarySearch") -> None:
    table = compact("clip\nfilm", *map(whole, ("part", *_CELLS)))
    notes: list[str] = []
    for clip in found.clips:
        name = plain(clip.clip.name)
        for one in clip.hits:
            hit = one.hit
            part = f"{hit.clip_start_s:.2f}–{hit.clip_end_s:.2f} s"
            table.add_row(f"{name}\n{plain(one.film.name)}", part, *_cells(one.match))
            if hit.box is not None:
                sides = (hit.box.x0, hit.box.y0, hit.box.x1, hit.box.y1)
                notes.append(f"{name}, {part}: panel " + " ".join(f"{x:.0%}" for x in sides))
            notes += _notes(f"{name}, {part}", one.match)
        if not clip.hits:
            table.add_row(name, "", clip.status)
            notes += [f"{name}: {plain(clip.failure)}"] if clip.failure else []
    for film, reason in found.failed_films:
        notes.append(f"{plain(film.name)}: quarantined: {plain(reason)}")
    _print(table, notes)


def _print_matches(gif: Path, found: "list[Found]") -> None:
    table = compact("video", *map(whole, _CELLS), title=plain(gif.name))
    notes: list[str] = []
    for one in found:
        name = plain(one.video.name)
        if one.match is None:
            table.add_row(name, "quarantined")
            notes.append(f"{name}: {plain(one.failure)}")
        else:
            table.add_row(name, *_cells(one.match))
            notes += _notes(name, one.match)
    _print(table, notes)


def _print(table: Table, notes: list[str]) -> None:
    out.print(table)
    for note in notes:
        out.print(note, soft_wrap=True, highlight=False)


def _cells(match: "Match") -> tuple[str, str, str, str]:
    """Status, span, speed, confidence."""
    span = match.span
    where = f"{span.start_s:.2f}–{span.end_s:.2f} s" if span else ""
    speed = "" if math.isnan(match.speed) else f"{match.speed:.2f}×"
    return match.status, where, speed, f"{match.confidence:.3f}"


def _notes(name: str, match: "Match") -> list[str]:
    """At most one line below the table."""
    said = ", ".join(
        filter(None, ("mirrored" if match.mirror and match.span else "", match.reason))
    )
    return [f"{name}: {plain(said)}"] if said else []

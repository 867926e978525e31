"""The whole of `video2gif gif`: videos in, folders of GIFs and a page out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context
from video2gif.core.store import atomic_path
from video2gif.gifs.places import longest_s
from video2gif.gifs.render import GifOptions
from video2gif.make.analysis import Analysis, whole_strip
from video2gif.make.inputs import expand, folder_names, local
from video2gif.make.moments import Choice, choose
from video2gif.make.page import Made, write_page
from video2gif.make.progress import watched
from video2gif.make.rankers import Ranker, analysed, rank
from video2gif.make.spoken import Said, spoken
from video2gif.make.write import make_gifs

STRIP = "filmstrip.jpg"
Skip = Callable[[str], AbstractContextManager[None]]
"""`skip(name)` swallows the `ItemError` of one video, having told the user."""


@dataclass
class Run:
    """One call: what was asked for, and what is done so far."""

    params: Params
    ranker: Ranker
    options: GifOptions
    choice: Choice
    output: Path
    context: Context
    said: Said = field(default_factory=Said)
    one_file: bool = False
    """Whether to write the page as one file, too."""
    done: list[Made] = field(default_factory=list)

    @property
    def page(self) -> Path:
        return self.output / "index.html"

    def all(self, arguments: Sequence[str], *, skip: Skip) -> int:
        """Make the GIFs of every video; returns how many videos failed.

        One video's GIFs lie in the output folder itself, those of several in a folder each, named
        by stem. When the run is broken off, the page shows the videos that were finished.
        """
        sources = expand(arguments)
        paths: list[Path] = []
        for source in sources:
            with skip(source):
                paths.append(local(source, self.params, self.context))
        try:
            for path, name in zip(paths, folder_names(paths), strict=True):
                with skip(str(path)):
                    self._one(path, self.output if len(sources) == 1 else self.output / name)
        finally:
            if self.done:
                write_page(self.output, self.done, self.ranker, one_file=self.one_file)
        return len(sources) - len(self.done)

    def _one(self, path: Path, folder: Path) -> None:
        with watched(path, self.context) as context:
            analysis = analysed(path, self.ranker, self.params, context)
            moments = rank(analysis, self.ranker, context)
        lines = self.said.lines(analysis, self.context)
        most_s = longest_s(self.options, self.choice.max_len_s)
        if self.said.line:
            chosen = [spoken(analysis, lines, self.said.line, longest_s=most_s)]
        else:
            chosen = choose(analysis, moments, replace(self.choice, max_len_s=most_s))
        if not chosen:
            raise ItemError("no_frames", "no moment fits --from, --to, --min-len and --max-len")
        gifs = make_gifs(
            analysis,
            chosen,
            folder,
            self.options,
            self.context,
            ranker=self.ranker,
            params=self.params,
            words=self.said.words(lines),
        )
        self.done.append(Made(analysis, moments, gifs, self._strip(analysis, folder)))

    def _strip(self, analysis: Analysis, folder: Path) -> Path | None:
        """The filmstrip beside the GIFs; a page without one is still a page."""
        path = folder / STRIP
        try:
            content = whole_strip(analysis, self.context)
        except ItemError:
            return None
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        return path

"""What a failed file's cause means to a person, and what to do about it."""

from dataclasses import dataclass

from video2gif.core.errors import ItemError


@dataclass(frozen=True)
class Told:
    """Why a file failed, in words."""

    why: str
    remedy: str
    detail: str
    """`cause: message`, as it stands in tables: for who wants to know more."""


_TOLD = {
    "empty": ("The file is empty.", "Copy or download it again."),
    "not_media": (
        "This is not a video, whatever its name says.",
        "Choose a video file, such as MP4, WebM or MKV.",
    ),
    "truncated": (
        "The end of the file is missing.",
        "Copy or download it again, and wait until that is finished.",
    ),
    "no_video": ("The file has sound but no picture.", "Choose a file that has both."),
    "no_frames": ("There is no picture at that place.", "Choose a longer part, or another file."),
    "codec": (
        "The pictures are in a format that cannot be read here.",
        "Save the film again as MP4 (H.264) and add that.",
    ),
    "decode": (
        "The pictures are damaged.",
        "Copy or download the file again, or save it again as MP4 with another program.",
    ),
    "too_large": (
        "The file is larger or longer than is allowed here.",
        "Cut it into parts, or start the page with a larger --max-upload.",
    ),
    "disk": ("The disk is too full for this file.", "Delete what you do not need, then try again."),
    "missing": (
        "The file is no longer there.",
        "Put it back into the folder, or choose another one.",
    ),
    "timeout": (
        "It took longer than one film may take.",
        "Try again when the computer has less to do, or cut the film into parts.",
    ),
    "oom": (
        "There was not enough memory for it.",
        "Close other programs and try again, or save the film with a smaller picture.",
    ),
    "crash": (
        "The program that reads videos broke down on this file.",
        "Try again. If that does not help, save the film again as MP4 (H.264).",
    ),
}


def told(error: ItemError) -> Told:
    """An error in words; the bare message where the cause is unusual."""
    why, remedy = _TOLD.get(error.cause, (error.message, "Try again, or choose another file."))
    return Told(why, remedy, error.reason)

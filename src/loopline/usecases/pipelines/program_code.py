"""What a program is, for the key of its results: its words and formats, the project's files it names, and its version."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from loopline.core.errors import Invalid
from loopline.usecases.pipelines import files
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.model import Code, Piece
from loopline.usecases.pipelines.programs import Program, environment

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PATIENCE_S = 20.0
_versions: dict[tuple[str, int, int, int], str] = {}


def code_of(program: Program) -> tuple[Code, dict[str, str]]:
    """The pieces of a command, and the program's own file with its digest. Raises Invalid for files or a program that are
    not there."""
    named = sorted({*declared(program), *mentioned(program)})
    pieces = [Piece("file", name, name, hashed(program.root / name)) for name in named]
    formats = [
        part for side in (program.inputs, program.outputs) for pair in sorted(side.items()) for part in (*pair, "")
    ]
    pieces.append(Piece("command", program.name, "", digest(*program.words, "", *formats, *program.outputs)))
    found = interpreter(program)
    outside = {}
    if found is not None:
        version = version_of(found)
        pieces.append(Piece("program", f"{found.name}, {version}", "", digest(version)))
        outside[str(found)] = files.digest_of(str(found))
    parts = [part for piece in pieces for part in (piece.kind, piece.name, piece.digest)]
    return Code(digest("command", program.name, *parts), tuple(pieces), {}, _PYTHON), outside


def declared(program: Program) -> Iterator[str]:
    """The files named in `files`, those of folders included; Invalid for one that is not there or not the project's."""
    for name in program.files:
        path = Path(os.path.normpath(program.root / name))
        if not path.is_relative_to(program.root):
            raise Invalid(f"{name!r} does not lie in the project of the command {program.name}.", "Move it there.")
        if not path.exists():
            raise Invalid(f"There is no {name!r}, which the command {program.name} needs.", "Mend it in files=.")
        if path.is_file():
            yield str(path.relative_to(program.root))
        else:
            for _, inside in files.walked(str(path)):
                yield str(Path(inside).relative_to(program.root))


def mentioned(program: Program) -> Iterator[str]:
    """The project's files that the words of a command name, those of a shell's text included."""
    for word in words_in(program.words):
        path = Path(os.path.normpath(program.root / word))
        if path.is_relative_to(program.root) and path.is_file():
            yield str(path.relative_to(program.root))


def words_in(words: list[str]) -> Iterator[str]:
    """All words of a command; a text handed to `-c` is taken apart."""
    for before, word in zip(["", *words], words, strict=False):
        yield word
        yield from word.split("=", 1)[1:]  # --config=settings.json
        if before == "-c":
            lexer = shlex.shlex(word, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            try:
                yield from lexer
            except ValueError:
                yield from word.split()


def interpreter(program: Program) -> Path | None:
    """The file of the program that runs: of a script of the project the one that its first line asks for. None where that
    is told by the script itself. Raises Invalid for a program that is not installed."""
    first, path = program.words[0], environment()["PATH"]
    own = program.root / first
    if "/" in first and not first.startswith("/"):
        if not own.is_file():
            raise Invalid(f"There is no {first!r}, which the command {program.name} runs.", "Mend it in run=.")
        first = asked_for(own)
        if not first:
            return None
    found = shutil.which(first, path=path)
    if found is None:
        raise Invalid(f"{first!r}, which the command {program.name} runs, is not installed here.", "Install it.")
    return Path(found)


def asked_for(script: Path) -> str:
    """The program in a script's first line; empty without one."""
    with open(script, "rb") as file:
        line = file.readline(300)
    words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def version_of(program: Path) -> str:
    """The first line of what `--version` says; of a program that knows no such word, the digest of its file. Asked again
    only when the file changed."""
    stat = program.stat()
    key = (str(program), stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if key not in _versions:
        _versions[key] = told(program) or hashed(program)
    return _versions[key]


def told(program: Path) -> str:
    """What the program says of its version; empty when it does not."""
    try:
        with tempfile.TemporaryDirectory(prefix="loopline-version-") as nowhere:
            asked = subprocess.run(
                [program, "--version"],
                cwd=nowhere,
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (asked.stdout or asked.stderr).decode(errors="replace").strip().splitlines()
    return lines[0].strip()[:200] if lines and asked.returncode == 0 else ""


def hashed(path: Path) -> str:
    """The digest of a file's bytes."""
    return str(blake3().update_mmap(path).hexdigest())

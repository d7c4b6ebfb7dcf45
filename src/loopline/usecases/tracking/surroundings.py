"""In what surroundings a run happens: git state, Python, distributions, machine."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

from loopline.kit.installed import installed
from loopline.kit.masking import masked

MOST_DIFF = 1 << 20
MOST_COMMAND = 4_000
PATIENCE_S = 5.0
FRESH_S = 1.0
_SECRET_NAME = re.compile(r"(?i)secret|token|passw|pwd|api_?key|access_?key|private_?key|credential|auth")
_OPTION = re.compile(r"(?i)(--?[\w-]*(?:secret|token|passw|pwd|api-?_?key|credential)[\w-]*[ =])(\S+)")
_lately: dict[str, Any] = {}
_seen: dict[Path, tuple[Any, dict[str, Any]]] = {}


def around(folder: Path | None = None, stamp: str = "") -> dict[str, Any]:
    """Git state of `folder` (default: the current one), Python, machine, and the installed distributions as text.

    `stamp`, when given, changes with the files of the folder: git is asked again only when it does.
    """
    return {"git": git(folder or Path.cwd(), stamp), **machine(), "distributions": distributions()}


def lately() -> dict[str, Any]:
    """`around()` of the current folder, at most a second old: many short runs ask git once."""
    place, now = os.getcwd(), time.monotonic()
    if _lately.get("place") != place or now - _lately.get("at", -FRESH_S) >= FRESH_S:
        _lately.update(place=place, around=around(), at=now)
    found: dict[str, Any] = _lately["around"]
    return found


@functools.cache
def machine() -> dict[str, Any]:
    """Python and the machine; constant while a process lives."""
    uname = platform.uname()
    return {
        "python": platform.python_version(),
        "platform": f"{uname.system} {uname.release} {uname.machine}",
        "host": uname.node,
        "cpus": os.cpu_count() or 0,
    }


def distributions() -> str:
    """Names and versions of what is installed, one `name==version` a line, sorted."""
    return "\n".join(f"{name}=={version}" for name, version in sorted(installed().items()))


def git(folder: Path, stamp: str = "") -> dict[str, Any]:
    """Commit, whether the working tree differs from it, and how (without secrets); {} outside a repository."""
    root = next((one for one in (folder.resolve(), *folder.resolve().parents) if (one / ".git").exists()), None)
    if root is None:
        return {}
    current = (stamp, stamp_of(root / ".git" / "HEAD"), stamp_of(root / ".git" / "index"))
    known = _seen.get(folder)
    if not stamp or known is None or known[0] != current:
        known = _seen[folder] = (current, asked(folder))
    return known[1]


def asked(folder: Path) -> dict[str, Any]:
    """What git itself says about `folder`."""
    told = output(folder, "status", "--porcelain=v2", "--branch", "--", ".").splitlines()
    commit = next((line.split()[2] for line in told if line.startswith("# branch.oid ")), "")
    if not commit or commit == "(initial)":
        return {}
    changed = any(not line.startswith("#") for line in told)
    diff = output(folder, "diff", "HEAD", "--", ".")[:MOST_DIFF] if changed else ""
    return {"commit": commit, "dirty": changed, "diff": clean(diff)}


def output(folder: Path, *arguments: str) -> str:
    """What a git command prints; nothing when git is missing, slow or says no."""
    import subprocess  # takes long to import, and git is seldom asked

    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def command() -> str:
    """The command line of this process, without secrets."""
    import shlex

    words = sys.orig_argv or sys.argv
    text = masked(shlex.join(words), secret_variables())
    return without_secrets(re.sub(_OPTION, r"\1[secret]", text))[:MOST_COMMAND]


def secret_variables() -> dict[str, str]:
    """The variables of this process that hold secrets, as their names tell."""
    found = {name: value for name, value in os.environ.items() if len(value) >= 8 and _SECRET_NAME.search(name)}
    return {name: value for name, value in found.items() if name not in ("PWD", "OLDPWD")}  # where one works


def clean(text: str) -> str:
    """The text without this process's secrets, whatever they look like, and without what looks like a secret."""
    return without_secrets(masked(text, secret_variables()))


def without_secrets(text: str) -> str:
    """The text with passwords, tokens and keys blacked out."""
    for pattern, instead in patterns():
        text = pattern.sub(instead, text)
    return text


@functools.cache
def patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What secrets look like, and what is written instead. Nothing here may look back or far ahead: a log of one line of
    many megabytes takes no longer than others."""
    secret = (
        r"(?i)((?:secret|token|passw(?:or)?d|passwd|pwd|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]{0,60}"
        r"[\"']?\s*[:=]\s*)(?:[\"'][^\"'\n]*[\"']|[^\s,;)}\]]+)"
    )
    block = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    known = (
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}"
        r"|\bsk-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{20,}|\bxox[a-z]-[\w-]{10,}|\bAIza[\w-]{30,}"
        r"|\beyJ[\w-]{10,300}\.[\w-]{2,8000}\.[\w-]{2,2000}"
    )
    header = r"(?i)(\bauthorization[\"']?\s{0,9}[:=]\s{0,9}[\"']?(?:[a-z]{1,20} )?|\bbearer (?=\S{20}))[\w.~+/=-]{8,}"
    found = [(block, "[private key]"), (r"(://)[^\s/@:]{1,200}:[^\s/@]{1,200}@", r"\1[secret]@")]
    found += [(known, "[secret]"), (header, r"\1[secret]"), (secret, r"\1[secret]")]
    return tuple((re.compile(pattern), instead) for pattern, instead in found)


def stamp_of(path: Path) -> tuple[int, int]:
    """Time and size of a file; zeros when it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return stat.st_mtime_ns, stat.st_size

"""`loopline deploy`, `route` and `traffic`."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from loopline.core.errors import CheckFailed, Invalid, Unavailable

POLL_S = 0.05
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
WHOLE = "100%"


@click.command()
@click.argument("endpoint")
@click.argument("version")
@click.option("--model", help="The registered model, where the endpoint does not exist yet.")
@click.option("--canary", metavar="SHARE", help="Answer this share of the requests beside what is live, as in 10%.")
@click.option("--steps", metavar="SHARES", help="Shares that a canary takes by itself, as in 5%,25%,100%.")
@click.option("--every", metavar="TIME", help="How long each step lasts, as in 10m.")
@click.option(
    "--shadow", metavar="SHARE", is_flag=False, flag_value=WHOLE, help="See copies of this share (default: all)."
)
@click.option("--arm", metavar="NAME", help="Be an arm of a test (A/B).")
@click.option("--share", metavar="SHARE", help="The arm's share (default: 50%).")
@click.option("--by", metavar="WHAT", help="What requests stick to: request, key, caller or header:NAME.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is up.")
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait.")
@click.pass_obj
def deploy(
    obj: Any, endpoint: str, version: str, model: str | None, canary: str | None, steps: str | None, every: str | None,
    shadow: str | None, arm: str | None, share: str | None, by: str | None, wait: bool, timeout: float,
) -> None:  # fmt: skip
    """Deploy VERSION (a number, an alias, or MODEL/NUMBER) at ENDPOINT: in place of what is live, or beside it."""
    if "/" in version or "@" in version:
        given, _, version = version.replace("@", "/").partition("/")
        model = model or given
    wanted = int(version) if version.isdecimal() else version
    beside: dict[str, Any] = {
        "canary": _share(canary), "shadow": _share(shadow), "arm": arm or "", "share": _share(share), "by": by or "",
        "steps": _steps(steps), "every_s": _seconds(every),
    }  # fmt: skip
    made = obj.client.call("serving.deploy", endpoint=endpoint, version=wanted, model=model, **beside)
    _shown(obj, up(obj.client, made, timeout) if wait else made)


@click.command()
@click.argument("endpoint")
@click.argument("revision", type=int)
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait.")
@click.pass_obj
def route(obj: Any, endpoint: str, revision: int, timeout: float) -> None:
    """Send all requests of ENDPOINT to one of its revisions."""
    made = obj.client.call("serving.route", endpoint=endpoint, revision=revision)
    _shown(obj, up(obj.client, made, timeout, ("live",)))


@click.command()
@click.argument("endpoint")
@click.option("--canary", metavar="SHARE", help="Give the canary this share, as in 25%.")
@click.option("--share", "shares", multiple=True, metavar="ARM=SHARE", help="Give an arm or a shadow this share.")
@click.option("--steps", metavar="SHARES", help="Further shares that the canary takes by itself, as in 50%,100%.")
@click.option("--every", metavar="TIME", help="How long each step lasts, as in 10m.")
@click.option("--promote", is_flag=True, help="Make the canary (or --arm) live.")
@click.option("--stop", is_flag=True, help="Take the canary, or --arm, off; with --all everything.")
@click.option("--all", "everything", is_flag=True, help="With --stop: all arms and shadows.")
@click.option("--arm", metavar="NAME", help="Which arm or shadow, where there are several.")
@click.option("--outcome", is_flag=True, help="Compare the arms by the truth that has arrived.")
@click.option("--metric", metavar="NAME", help="By accuracy, absolute_error, log_loss or truth.")
@click.option("--shadow", is_flag=True, help="Show what the newest shadow would have answered.")
@click.option("--history", "past", is_flag=True, help="Show what answered when, with shares.")
@click.pass_obj
def traffic(
    obj: Any, endpoint: str, canary: str | None, shares: tuple[str, ...], steps: str | None, every: str | None,
    promote: bool, stop: bool, everything: bool, arm: str | None, outcome: bool, metric: str | None, shadow: bool,
    past: bool,
) -> None:  # fmt: skip
    """Show how the requests of ENDPOINT are shared out, change it, or end it."""
    call = obj.client.call
    if promote:
        _shown(obj, up(obj.client, call("serving.promote", endpoint=endpoint, arm=arm or ""), 60.0, ("live",)))
    elif stop:
        _stop(obj, endpoint, arm, everything)
    elif canary or shares or steps:
        wished = dict(_arm_share(text) for text in shares) | ({"canary": _share(canary)} if canary else {})
        call("serving.share", endpoint=endpoint, shares=wished, steps=_steps(steps), every_s=_seconds(every))
        _shares(obj, endpoint)
    elif outcome or metric:
        _outcome(obj, call("serving.arms", endpoint=endpoint, metric=metric or ""))
    elif shadow:
        _shadow(obj, call("serving.shadow", endpoint=endpoint))
    elif past:
        found = call("serving.timeline", endpoint=endpoint)
        rows = [{**each, "shares": shares_text(each["traffic"])} for each in found]
        columns = [("FROM", "from_at"), ("UNTIL", "until_at"), ("REVISION", "revision"), ("VERSION", "version"),
                   ("SHARES", "shares"), ("BY", "actor"), ("WHY", "why")]  # fmt: skip
        obj.show(found if obj.json else rows, table=columns, title="What answered when")
    else:
        _shares(obj, endpoint)


def up(
    client: Any, made: dict[str, Any], timeout: float, wanted: tuple[str, ...] = ("live", "beside")
) -> dict[str, Any]:
    """The revision once it is live, or up beside what is. CheckFailed when it fails, Unavailable after the time."""
    until = time.monotonic() + timeout
    while True:
        found: dict[str, Any] = client.call("serving.revision", endpoint=made["endpoint"], revision=made["revision"])
        if found["status"] in wanted:
            return found
        if found["status"] == "failed":
            raise CheckFailed(
                f"Revision {found['revision']} failed: {found['reason']}", "What was live goes on serving."
            )
        if found["status"] == "retired" and found["live_at"] is None:
            raise CheckFailed(
                f"Revision {found['revision']} was overtaken before it was live.",
                f"`loopline endpoints {found['endpoint']}` shows what was asked for since.",
            )
        if time.monotonic() > until:
            hint = "Is the server up? `loopline up` starts it."
            raise Unavailable(f"Revision {found['revision']} is not up after {timeout:g} s.", hint)
        time.sleep(POLL_S)


def shares_text(split: dict[str, Any] | None) -> str:
    """Who gets what, in a line."""
    if not split or not (split.get("arms") or split.get("shadows")):
        return "all live"
    rest = 1 - sum(arm["share"] for arm in split.get("arms", ()))
    told = [f"live {rest:.4g}"] + [f"{arm['name']} {arm['share']:.4g}" for arm in split.get("arms", ())]
    return ", ".join(told + [f"{arm['name']} sees {arm['share']:.4g}" for arm in split.get("shadows", ())])


def _stop(obj: Any, endpoint: str, arm: str | None, everything: bool) -> None:
    """Without a name: the canary or test's arms where there are any, else the shadows."""
    found = obj.client.call("serving.split", endpoint=endpoint)["traffic"] or {}
    names = [arm] if arm else [each["name"] for each in found.get("arms") or found.get("shadows") or ()]
    for name in [""] if everything or not names else names:
        obj.client.call("serving.stop", endpoint=endpoint, arm=name)
    _shares(obj, endpoint)


def _shares(obj: Any, endpoint: str) -> None:
    found = obj.client.call("serving.split", endpoint=endpoint)
    split = found["traffic"]
    if not split:
        obj.show(found, text=f"All requests of {endpoint} go to what is live: {_told(found['live'])}.")
        return
    known = {one["revision"]: one for one in found["beside"]}
    counts = {(one["revision"], one["arm"]): one for one in found["counts"]}
    rest = 1 - sum(arm["share"] for arm in split.get("arms", ()))
    live = found["live"]
    rows = [_row("live", live, f"{rest:.1%}", counts)] if live else []
    rows += [
        _row(arm["name"], known.get(arm["revision"]), f"{arm['share']:.1%}", counts) for arm in split.get("arms", ())
    ]
    rows += [
        _row(arm["name"], known.get(arm["revision"]), f"sees {arm['share']:.1%}", counts)
        for arm in split.get("shadows", ())
    ]
    columns = [("ARM", "arm"), ("REVISION", "revision"), ("VERSION", "version"), ("STATUS", "status"),
               ("SHARE", "share"), ("ANSWERED", "answered"), ("FAILED", "failed"), ("DROPPED", "dropped")]  # fmt: skip
    obj.show(found if obj.json else rows, table=columns, title=f"{endpoint}, by {split.get('by', 'request')}")


def _row(name: str, revision: dict[str, Any] | None, share: str, counts: dict[Any, Any]) -> dict[str, Any]:
    shown = {each: (revision or {}).get(each, "-") for each in ("revision", "version", "status")}
    count = counts.get((shown["revision"], name), {})
    told = {each: count.get(each, 0) for each in ("answered", "failed", "dropped")}
    return {"arm": name, "share": share, **shown, **told}


def _outcome(obj: Any, found: dict[str, Any]) -> None:
    by_name = {each["arm"]: each for each in found["comparisons"]}
    rows = []
    for arm in found["arms"]:
        one = by_name.get(arm["name"], {})
        interval = "too early" if one and one["low"] is None else ""
        if one and one["low"] is not None:
            interval = f"{one['difference']:+.4g} ({one['low']:+.4g} to {one['high']:+.4g}), {one['verdict']}"
        mean = "-" if arm["mean"] is None else f"{arm['mean']:.5g}"
        rows.append({**arm, "mean": mean, "difference": interval, "share": f"{arm['share']:.1%}"})
    columns = [("ARM", "name"), ("VERSION", "version"), ("SHARE", "share"), ("UNITS", "units"), ("LABELLED", "labelled"),
               (found["metric"].upper(), "mean"), ("AGAINST LIVE", "difference")]  # fmt: skip
    title = f"{found['metric']} by {found['unit']} since {found['since']}"
    if found["mismatched"]:
        title += f"; the arms did not get their shares (p = {found['mismatch']:.2g}): believe no difference"
    obj.show(found if obj.json else rows, table=columns, title=title)


def _shadow(obj: Any, found: dict[str, Any]) -> None:
    lines = [
        f"Revision {found['revision']} (version {found['version']}) saw {found['answered'] + found['failed']} requests,"
        f" failed {found['failed']}, had no room for {found['dropped']}.",
        f"{found['different']} of {found['compared']} rows would have been answered otherwise.",
    ]
    if found["mean_absolute"] is not None:
        lines.append(f"Mean difference {found['mean_difference']:+.5g}, of absolute values {found['mean_absolute']:.5g},"
                     f" largest {found['largest']:.5g}.")  # fmt: skip
    if found["live_ms"]:
        lines.append(f"p50 {found['live_ms']['p50']} ms live, {found['shadow_ms']['p50']} ms here;"
                     f" p99 {found['live_ms']['p99']} and {found['shadow_ms']['p99']} ms.")  # fmt: skip
    obj.show(found, text="\n".join(lines))


def _shown(obj: Any, revision: dict[str, Any]) -> None:
    words = {"live": "is live", "beside": "is up beside what is live"}
    state = words.get(revision["status"], f"is {revision['status']}")
    obj.show(revision, text=f"{revision['endpoint']}: {_told(revision)} {state}.")


def _told(revision: dict[str, Any] | None) -> str:
    return "-" if revision is None else f"revision {revision['revision']} ({revision['model']}/{revision['version']})"


def _share(text: str | None) -> float | None:
    """`10%` or `0.1`; Invalid for anything else."""
    if text is None:
        return None
    try:
        found = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:
        raise Invalid(f"{text[:40]!r} is not a share.", "Write it as 10% or 0.1.")
    return found


def _steps(text: str | None) -> list[float]:
    return [] if text is None else [_share(part.strip()) or 0.0 for part in text.split(",")]


def _seconds(text: str | None) -> float:
    """`30s`, `10m`, `2h` or `1d` in seconds."""
    if text is None:
        return 0.0
    found = DURATION.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{text[:40]!r} is not a duration.", "Write it as 30s, 10m or 2h.")
    return float(found[1]) * UNITS[found[2]]


def _arm_share(text: str) -> tuple[str, float | None]:
    name, equals, share = text.rpartition("=")
    if not equals:
        raise Invalid(f"{text[:80]!r} is not ARM=SHARE.", "Write it as b=25%.")
    return name, _share(share)

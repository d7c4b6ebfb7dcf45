"""`loopline models`, `loopline versions`, `loopline alias`, `loopline card`, `loopline download`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("text", default="")
@click.option("--tag", default="", metavar="KEY[=VALUE]", help="Only models with this tag.")
@click.option("--sort", default="name", type=click.Choice(["name", "newest", "versions", "owner", "created"]))
@click.option("--most", default=500, show_default=True, help="How many at most.")
@click.pass_obj
def models(obj: Any, text: str, tag: str, sort: str, most: int) -> None:
    """List registered models with their aliases, those that TEXT is found in."""
    order = "desc" if sort in ("newest", "versions", "created") else "asc"
    found = obj.client.call("registry.catalog", text=text, tag=tag, sort=sort, order=order, count=most)["models"]
    rows = [{**one, **one["model"], "pointing": pointing(one["model"]["aliases"])} for one in found]
    columns = [
        ("MODEL", "name"),
        ("VERSIONS", "versions"),
        ("NEWEST", "latest"),
        ("ALIASES", "pointing"),
        ("OWNER", "owner"),
        ("REGISTERED", "newest_at"),
    ]
    obj.show([{**one["model"], "owner": one["owner"]} for one in found] if obj.json else rows, columns, title="Models")


@click.command()
@click.argument("model")
@click.option("--compare", "compared", multiple=True, type=int, metavar="VERSION", help="Put versions side by side.")
@click.option("--on", default=0, metavar="VERSION", help="Whose held-out rows to use (else the newest that has some).")
@click.pass_obj
def versions(obj: Any, model: str, compared: tuple[int, ...], on: int) -> None:
    """List the versions of MODEL, oldest first; with --compare measure some of them on the same held-out rows."""
    if compared:
        chosen = {"model": model, "versions": ",".join(map(str, compared))}
        differences = obj.client.call("registry.beside", **chosen)
        sides = obj.client.call("promotion.side_by_side", **chosen, on=on)
        obj.show({"measured": sides, "differences": differences}, text="\n".join(measured(sides, differences)))
        return
    engines = {one["version"]: one for one in obj.client.call("registry.engines", model=model)}
    found = [
        {**one, "engine": engines.get(one["version"])} for one in obj.client.call("registry.versions", model=model)
    ]
    rows = [
        {
            **version,
            "scores": pointing(version["metrics"]),
            "names": ", ".join(version["aliases"]),
            "rung": (version["engine"] or {}).get("rung", "–"),
        }
        for version in found
    ]
    columns = [
        ("VERSION", "version"),
        ("ALIASES", "names"),
        ("METRICS", "scores"),
        ("FORMAT", "format"),
        ("ENGINE", "rung"),
        ("RUN", "run_id"),
        ("CREATED", "created_at"),
        ("BY", "created_by"),
    ]
    obj.show(found if obj.json else rows, table=columns, title="Versions")


@click.command()
@click.argument("model")
@click.argument("name")
@click.option("--at", default="", metavar="TIME", help="Where it pointed then (2013-05-03T14:00:00Z).")
@click.pass_obj
def alias(obj: Any, model: str, name: str, at: str) -> None:
    """Show where the alias NAME of MODEL points and has pointed; `loopline promote` moves it."""
    obj.client.call("registry.versions", model=model)  # a model that does not exist has no aliases to speak of
    found = obj.client.call("registry.alias", model=model, alias=name, at=at)
    stands = f"version {found['version']}" if found["version"] is not None else "nowhere"
    obj.show(found, text="\n".join([f"{model}@{name} points to {stands}", *map(moved, found["history"])]))


@click.command()
@click.argument("reference", metavar="MODEL/VERSION")
@click.option("--set", "texts", multiple=True, metavar="SECTION=TEXT", help="Write a section (@FILE reads a file).")
@click.option("--revision", default=0, metavar="NUMBER", help="The card as it was written then.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the card there, as Markdown.")
@click.pass_obj
def card(obj: Any, reference: str, texts: tuple[str, ...], revision: int, out: Path | None) -> None:
    """Show the card of a version, or write sections of it.

    Sections: intended_use, limits, ethical_considerations, owner, contact. Texts are Markdown.
    """
    version = named(obj, reference)
    if texts:
        obj.client.call("registry.write_card", **version, **dict(map(section, texts)))
    if out is not None:
        text = obj.client.call("registry.card_text", **version, revision=revision)["text"]
        saved(out, text)
    if obj.json:
        obj.show(obj.client.call("registry.card", **version, revision=revision))
    elif out is None:
        obj.show(None, text=obj.client.call("registry.card_text", **version, revision=revision)["text"].rstrip())
    else:
        obj.say(f"The card of {version['model']}/{version['version']} is in {out}.")


@click.command()
@click.argument("reference", metavar="MODEL/VERSION")
@click.option(
    "--to", "target", required=True, type=click.Path(file_okay=False, path_type=Path), help="Into which folder."
)
@click.pass_obj
def download(obj: Any, reference: str, target: Path) -> None:
    """Fetch a version as the folder MODEL-VERSION in --to: its files, model.json and card.md."""
    version = named(obj, reference)
    folder = obj.client.download(version["model"], version["version"], target)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    obj.show({**version, "folder": str(folder), "files": files}, text=f"{folder} holds {', '.join(files)}.")


@click.command()
@click.argument("reference", metavar="MODEL[/VERSION]")
@click.pass_obj
def consumers(obj: Any, reference: str) -> None:
    """Show who uses a model, or one version of it."""
    version = named(obj, reference) if "/" in reference or "@" in reference else {"model": reference}
    found = obj.client.call("registry.consumers", **version)
    columns = [("KIND", "kind"), ("NAME", "name"), ("VERSION", "version"), ("HOW", "detail")]
    obj.show(found, table=columns, title="Consumers")


def named(obj: Any, reference: str) -> dict[str, Any]:
    """The model and version that `model/3`, `model@alias` or `model` names."""
    found = obj.client.call("registry.find", reference=reference)
    return {"model": found["model"], "version": found["version"]}


def section(text: str) -> tuple[str, str]:
    """`limits=Not for snow.`, or `limits=@limits.md`, as section and text."""
    from loopline.usecases.registry.card_model import SECTIONS

    name, given, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not given or name not in SECTIONS:
        raise click.UsageError(f"{text[:60]!r} is no section with a text. Sections: {', '.join(SECTIONS)}.")
    if value.startswith("@"):
        try:
            return name, Path(value[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{value[1:]} cannot be read ({error}).") from None
    return name, value


def saved(path: Path, text: str) -> None:
    """Write a text; a refusal when that is not possible."""
    from loopline.core.errors import Unavailable

    try:
        path.write_text(text)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written ({error.strerror}).", "Choose another --out.") from None


def measured(sides: Mapping[str, Any], differences: Mapping[str, Any]) -> list[str]:
    """Versions side by side, as lines."""
    span = f", {sides['held_out_from'][:10]} to {sides['held_out_until'][:10]}" if sides["held_out_from"] else ""
    lines = [f"{sides['model']} on {sides['rows']:,} held-out rows of version {sides['held_out_of']}{span}"]
    lines += [f"  version {one['version']}: {one['problem']}" for one in sides["sides"] if one["problem"]]
    lines += [f"  version {one['version']}: {note}" for one in sides["sides"] for note in one["notes"]]
    lines.append(row("", [f"version {one}" for one in sides["versions"]]))
    for name in sides["metrics"]:
        scores = [one["scores"].get(name) or {"value": None, "standard_error": None} for one in sides["sides"]]
        lines.append(row(name, [scored(one) for one in scores]))
    lines.append(row("calibration", [shown((one["calibration"] or {}).get("error")) for one in sides["sides"]]))
    lines += latencies(sides["sides"])
    lines.append(row("bytes", [shown(size) for size in differences["sizes"]]))
    for part in sides["slices"]:
        lines.append(row(f"{part['column']} {part['value']}", [shown(one) for one in part["scores"]]))
    for group in ("params", "data", "code", "signature"):
        lines += [
            row(f"{group}: {one['name']}", map(short, one["values"])) for one in differences[group] if one["differs"]
        ]
    return lines


def latencies(sides: Sequence[Mapping[str, Any]]) -> list[str]:
    """How long predicting takes, a line for each number of rows."""
    sizes = sorted({one["rows"] for side in sides for one in side["latency"]})
    lines = []
    for size in sizes:
        found = [next((one for one in side["latency"] if one["rows"] == size), None) for side in sides]
        told = [f"{one['p50_ms']:.3g} / {one['p99_ms']:.3g}" if one else "–" for one in found]
        lines.append(row(f"ms of {size:,} row{'s' * (size > 1)}, p50 / p99", told))
    return lines


def row(name: str, values: Any) -> str:
    """A line of a table."""
    return "  " + f"{name[:34]:<34}" + "".join(f"{value!s:>24}" for value in values)


def scored(score: Mapping[str, Any]) -> str:
    """A score with its standard error."""
    error = score["standard_error"]
    return shown(score["value"]) + (f" ± {error:.2g}" if error is not None else "")


def shown(value: Any) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def short(value: Any) -> str:
    """A value in few signs."""
    return "–" if value is None else str(value)[:22]


def pointing(values: Mapping[str, Any]) -> str:
    """`production 3, staging 4`."""
    return ", ".join(f"{key} {value:.6g}" for key, value in values.items())


def moved(move: Mapping[str, Any]) -> str:
    """One line of an alias's history."""
    before = move["from_version"] if move["from_version"] is not None else "-"
    after = move["version"] if move["version"] is not None else "-"
    return f"  {move['moved_at']}  {before} → {after}  {move['actor']}: {move['reason']}"

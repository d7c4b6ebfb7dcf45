"""Registered models, versions, stages, tags, aliases, their search and their refusals."""

from mlflow import MlflowClient


def story(say):
    client = MlflowClient()
    run = client.create_run("0", run_name="source")
    source = f"{run.info.artifact_uri}/model"
    models(say, client)
    versions(say, client, source, run.info.run_id)
    moving(say, client)
    search(say, client)
    ending(say, client)


def models(say, client):
    say("created", model(client.create_registered_model("late", {"team": "red"}, "first words")))
    say.refused("twice", lambda: client.create_registered_model("late"))
    for name in ("", "a/b", "a:b", None):
        say.refused(f"named {name!r}", lambda name=name: client.create_registered_model(name))
    say.refused("unknown", lambda: client.get_registered_model("unknown"))
    client.update_registered_model("late", "other words")
    client.set_registered_model_tag("late", "team", "blue")
    client.set_registered_model_tag("late", "more", "1")
    client.delete_registered_model_tag("late", "more")
    client.delete_registered_model_tag("late", "absent")
    say("changed", model(client.get_registered_model("late")))
    client.rename_registered_model("late", "arrival")
    say("renamed", model(client.get_registered_model("arrival")))
    say.refused("old name", lambda: client.get_registered_model("late"))
    client.create_registered_model("other")
    say.refused("rename to a taken name", lambda: client.rename_registered_model("arrival", "other"))


def versions(say, client, source, run_id):
    for number in range(1, 4):
        made = client.create_model_version("arrival", source, run_id, {"n": str(number)}, description=f"try {number}")
        say(f"version {number}", version(made))
    say.refused("of unknown model", lambda: client.create_model_version("unknown", source, run_id))
    say.refused("unknown version", lambda: client.get_model_version("arrival", "9"))
    say.refused("no number", lambda: client.get_model_version("arrival", "one"))
    say.refused("path outside", lambda: client.create_model_version("arrival", "mlflow-artifacts:/1/../../etc"))
    say.refused("a local path", lambda: client.create_model_version("arrival", "/etc/passwd"))
    client.update_model_version("arrival", "1", "better words")
    client.set_model_version_tag("arrival", "1", "checked", "yes")
    client.delete_model_version_tag("arrival", "1", "n")
    say("changed version", version(client.get_model_version("arrival", "1")))
    say("download uri", client.get_model_version_download_uri("arrival", "1"))


def moving(say, client):
    client.set_registered_model_alias("arrival", "champion", "1")
    client.set_registered_model_alias("arrival", "champion", "2")
    client.set_registered_model_alias("arrival", "challenger", "3")
    say("by alias", version(client.get_model_version_by_alias("arrival", "champion")))
    say("aliases", client.get_registered_model("arrival").aliases)
    say.refused("absent alias", lambda: client.get_model_version_by_alias("arrival", "nobody"))
    say.refused("alias of unknown model", lambda: client.get_model_version_by_alias("unknown", "champion"))
    say.refused("alias to unknown version", lambda: client.set_registered_model_alias("arrival", "x", "77"))
    for alias in ("latest", "Latest", "v1", "V22", "", "a b", "a/b", "k" * 256):
        say.refused(
            f"alias {alias[:9]!r}", lambda alias=alias: client.set_registered_model_alias("arrival", alias, "1")
        )
    client.delete_registered_model_alias("arrival", "challenger")
    client.delete_registered_model_alias("arrival", "challenger")
    for number, stage in (("1", "Staging"), ("2", "production"), ("3", "Production")):
        say(f"to {stage}", version(client.transition_model_version_stage("arrival", number, stage)))
    moved = client.transition_model_version_stage("arrival", "1", "Production", archive_existing_versions=True)
    say("archiving", [moved.current_stage, [client.get_model_version("arrival", n).current_stage for n in "23"]])
    say.refused("wrong stage", lambda: client.transition_model_version_stage("arrival", "1", "Nowhere"))
    say("latest", [[one.version, one.current_stage] for one in client.get_latest_versions("arrival")])
    say("latest of stage", [one.version for one in client.get_latest_versions("arrival", ["Production"])])


def search(say, client):
    for text in (
        "name = 'arrival'",
        "name LIKE '%r%'",
        "name ILIKE 'ARR%'",
        "tags.team = 'blue'",
        "tags.team != 'blue'",
        "",
    ):
        say.ask(
            f"models where {text}",
            lambda text=text: [one.name for one in client.search_registered_models(text, order_by=["name"])],
        )
    for text in (
        "name = 'arrival'",
        "name='arrival' and version_number > 1",
        "tags.checked = 'yes'",
        "name LIKE 'arr%'",
        "version_number <= 2",
        "name = 'nothing'",
    ):
        say.ask(
            f"versions where {text}",
            lambda text=text: [
                one.version for one in client.search_model_versions(text, order_by=["version_number ASC"])
            ],
        )
    say("by default", [one.version for one in client.search_model_versions("name = 'arrival'")])
    for text in ("nothing", "run_id > 'a'", "name IS 3", "nothing = 'a'"):
        say.refused(f"versions wrong {text}", lambda text=text: client.search_model_versions(text))
        say.refused(f"models wrong {text}", lambda text=text: client.search_registered_models(text))
    page = client.search_registered_models(max_results=1, order_by=["name DESC"])
    say("page", [[one.name for one in page], bool(page.token)])
    rest = client.search_registered_models(max_results=1, order_by=["name DESC"], page_token=page.token)
    say("next page", [[one.name for one in rest], bool(rest.token)])


def ending(say, client):
    client.delete_model_version("arrival", "2")
    say.refused("deleted version", lambda: client.get_model_version("arrival", "2"))
    say("aliases of the rest", client.get_registered_model("arrival").aliases)
    say.refused(
        "without its run",
        lambda: client.create_model_version("arrival", client.get_model_version("arrival", "1").source),
    )
    first = client.get_model_version("arrival", "1")
    made = client.create_model_version("arrival", first.source, first.run_id)
    say("number after a deleted one", made.version)
    client.delete_model_version("arrival", made.version)
    client.delete_registered_model("arrival")
    say.refused("deleted model", lambda: client.get_registered_model("arrival"))
    say.refused("deleted twice", lambda: client.delete_registered_model("arrival"))
    client.create_registered_model("arrival")
    say("numbers begin again", client.create_model_version("arrival", first.source, first.run_id).version)
    for name in ("arrival", "other"):
        client.delete_registered_model(name)
    say("nothing left", len(client.search_registered_models()))


def model(found):
    latest = [[one.version, one.current_stage] for one in found.latest_versions or ()]
    return [found.name, found.description, found.tags, found.aliases, latest, type(found.creation_timestamp).__name__]


def version(found):
    return {
        "version": found.version,
        "stage": found.current_stage,
        "description": found.description,
        "tags": found.tags,
        "aliases": list(found.aliases),
        "status": found.status,
        "source": found.source,
        "run": found.run_id,
        "times": [type(found.creation_timestamp).__name__, type(found.last_updated_timestamp).__name__],
    }

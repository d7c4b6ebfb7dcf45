"""`search_runs` in all forms: which runs, in which order, and which filters are refused."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

RUNS = (
    ("ant", {"loss": 0.1, "acc": 0.9}, {"model": "tree", "depth": "3"}, {"team": "red", "a.b": "1"}, "FINISHED"),
    ("bee", {"loss": 0.2, "acc": 0.8}, {"model": "Tree", "depth": "10"}, {"team": "blue"}, "FAILED"),
    ("cat", {"loss": 0.3}, {"model": "linear"}, {}, "FINISHED"),
    ("dog", {"loss": float("nan"), "acc": 0.5}, {"model": "forest_1"}, {"team": "green house"}, "RUNNING"),
    ("elk", {"acc": -0.5, "my metric": 1.0}, {"depth": "", "my-param": "x"}, {"team": "50%"}, "KILLED"),
    ("fox", {"loss": 1e300, "x/y": 2.0}, {"model": "it's"}, {"team": "red"}, "SCHEDULED"),
)
FILTERS = (
    "metrics.loss < 0.25",
    "metrics.loss <= 0.2",
    "metrics.loss > 0.1",
    "metrics.loss >= 0.3",
    "metrics.loss = 0.1",
    "metrics.loss != 0.1",
    "metric.acc > 0",
    "metrics.acc > -1 and metrics.loss < 1",
    "metrics.acc > -1 AND metrics.loss < 1 And params.depth = '3'",
    "metrics.`my metric` = 1",
    'metrics."my metric" = 1',
    "metrics.`x/y` > 1e0",
    "metrics.acc = -0.5",
    "metrics.acc < 1e-3",
    "params.model = 'tree'",
    "params.model != 'tree'",
    "params.model LIKE 't%'",
    "params.model ILIKE 't%'",
    "params.model LIKE '%ee'",
    "params.model LIKE 'forest_1'",
    "params.model LIKE 'f_rest%'",
    "params.model IS NULL",
    "params.model IS NOT NULL",
    "params.model is not null",
    "param.depth = ''",
    "parameters.depth = '10'",
    "parameter.depth = '10'",
    "params.`my-param` = 'x'",
    'params.model = "it\'s"',
    "tags.team = 'red'",
    "tag.team != 'red'",
    "tags.team LIKE '%house'",
    "tags.team LIKE '50%'",
    "tags.team ILIKE 'RED'",
    "tags.a.b = '1'",
    "tags.`a.b` = '1'",
    "tags.team IS NULL",
    "tags.team IS NOT NULL",
    "tags.mlflow.runName = 'cat'",
    "tags.`mlflow.runName` LIKE '%o%'",
    "attributes.status = 'FINISHED'",
    "attribute.status != 'FINISHED'",
    "status = 'RUNNING'",
    "attr.status LIKE 'F%'",
    "run.status ILIKE 'f%'",
    "run_name = 'ant'",
    "attributes.run_name LIKE '%o%'",
    "attributes.`run name` = 'bee'",
    "attributes.`Run name` = 'bee'",
    "start_time > 1600000000002",
    "attributes.start_time <= 1600000000002",
    "created < 1600000000001",
    "attributes.end_time > 0",
    "attributes.artifact_uri LIKE 'mlflow-artifacts:%'",
    "attributes.user_id != 'nobody'",
    "",
)
WRONG = (
    "metrics.loss",
    "metrics.loss <",
    "metrics.loss < 'a'",
    "metrics.loss LIKE 1",
    "params.model = 1",
    "params.model > 'a'",
    "tags.team = 3",
    "loss < 1",
    "nothing.loss < 1",
    "metrics.loss < 1 OR metrics.loss > 2",
    "(metrics.loss < 1)",
    "NOT metrics.loss < 1",
    "metrics.loss ! 1",
    "attributes.nothing = 'a'",
    "attributes.status > 'a'",
    "attributes.start_time LIKE 'a'",
    "attributes.start_time = 'a'",
    "params.model = 'open",
    "metrics.loss IS NULL",
    "metrics.loss IN (1, 2)",
    "params.model IN ('a')",
    "attributes.run_id IN ()",
    "attributes.run_id IN 'a'",
    "attributes.run_id > 'a'",
    "dataset.nothing = 'a'",
    "dataset.name > 'a'",
    "metrics. = 1",
    "= 1",
    "1 = 1",
    "metrics.loss = metrics.acc",
    ";",
    "metrics.loss < 1;",
    "AND params.model = 'a'",
    "   ",
)
ORDERS = (
    ["metrics.loss"],
    ["metrics.loss DESC"],
    ["metrics.loss asc", "metrics.acc desc"],
    ["params.depth"],
    ["params.depth DESC"],
    ["tags.team ASC"],
    ["attributes.start_time"],
    ["start_time DESC"],
    ["attributes.status", "attributes.start_time"],
    ["run_name DESC"],
    ["metrics.`my metric`"],
    ["attributes.end_time DESC"],
    ["params.model", "run_name"],
    ["created"],
    [],
)
WRONG_ORDERS = (
    ["loss"],
    ["metrics.loss UP"],
    ["metrics.loss", "metrics.loss DESC"],
    ["nothing.loss"],
    ["metrics.loss ASC DESC"],
    [""],
    ["attributes.nothing"],
)


def story(say):
    client = MlflowClient()
    ident = client.create_experiment("searching")
    ids = {}
    for number, (name, metrics, params, tags, status) in enumerate(RUNS):
        run_id = ids[name] = client.create_run(ident, start_time=1_600_000_000_000 + number, run_name=name).info.run_id
        client.log_batch(
            run_id,
            [Metric(key, value, 1_000, 0) for key, value in metrics.items()],
            [Param(*one) for one in params.items()],
            [RunTag(*one) for one in tags.items()],
        )
        client.update_run(run_id, status=status)

    def names(text="", order=("attributes.start_time",), **more):
        return [run.info.run_name for run in client.search_runs([ident], text, order_by=list(order), **more)]

    for text in FILTERS:
        say.ask(f"where {text}", lambda text=text: names(text))
    for text in WRONG:
        say.refused(f"wrong {text}", lambda text=text: names(text))
    for order in ORDERS:
        say.ask(f"by {order}", lambda order=order: names(order=order))
    for order in WRONG_ORDERS:
        say.refused(f"wrong order {order}", lambda order=order: names(order=order))
    for word in ("=", "!=", "LIKE", "ILIKE"):
        say(f"id {word}", names(f"attributes.run_id {word} '{ids['cat']}'"))
    for word in ("IN", "NOT IN"):
        say(f"id {word}", names(f"attributes.run_id {word} ('{ids['cat']}', '{ids['ant']}')"))
    pages(say, client, ident)
    views(say, client, ident, ids, names)
    found = mlflow.search_runs([ident], order_by=["attributes.start_time"])
    say("frame", [sorted(found.columns), found["metrics.loss"].tolist(), found["params.model"].tolist()])
    say("by experiment name", len(mlflow.search_runs(experiment_names=["searching"], output_format="list")))
    say("no experiment", len(client.search_runs([])))
    say("unknown experiment", len(client.search_runs(["987654"])))


def pages(say, client, ident):
    token, found = None, []
    for _ in range(9):
        page = client.search_runs([ident], max_results=4, order_by=["metrics.acc"], page_token=token)
        found.append([[run.info.run_name for run in page], bool(page.token)])
        token = page.token
        if not token:
            break
    say("pages", found)
    page = client.search_runs([ident], max_results=6)
    say("full last page", bool(page.token))
    say.refused("wrong token", lambda: client.search_runs([ident], page_token="garbage"))
    say.refused("no results", lambda: client.search_runs([ident], max_results=0))
    say.refused("too many results", lambda: client.search_runs([ident], max_results=50_001))


def views(say, client, ident, ids, names):
    client.delete_run(ids["bee"])
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"):
        say(f"view {view}", names(run_view_type=getattr(ViewType, view)))
    client.restore_run(ids["bee"])

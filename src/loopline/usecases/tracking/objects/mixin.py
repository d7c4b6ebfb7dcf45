"""The verbs of a run that keep objects. Names: FOLDER/NAME.EXT, with a step FOLDER/NAME/STEP.EXT (8 digits)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid
from loopline.core.programs import CommandModel, PythonModel
from loopline.core.tables import Signature
from loopline.usecases.tracking import model

CONFUSION = "application/vnd.loopline.confusion+json"


class Objects:
    """Needs `keep`; every verb takes `step=` for objects of which a run keeps one at each step."""

    def keep(self, name: str, content: bytes | str | Path, media_type: str = "") -> None:
        """Keep bytes, a text or a file with the run."""
        raise NotImplementedError

    def artifact(self, path: str | Path, name: str = "") -> None:
        """Keep a file with the run, under its own name unless another is given; of a folder, every file in it.

        Raises Invalid for a path that is not there or cannot be read.
        """
        place = Path(path)
        target = name or place.name
        try:
            if place.is_dir():
                for one in sorted(one for one in place.rglob("*") if one.is_file()):
                    self.keep(f"{target}/{one.relative_to(place).as_posix()}", one)
            else:
                self.keep(target, place)
        except OSError as error:
            reason = error.strerror or error
            raise Invalid(f"{str(path)[:200]!r} cannot be kept ({reason}).", "Name a file or a folder.") from None

    def text(self, name: str, text: str, step: int | None = None) -> None:
        """Keep a text as texts/NAME.txt."""
        self.keep(named("texts", name, step, ".txt"), str(text), "text/plain")

    def image(self, name: str, image: Any, step: int | None = None) -> None:
        """Keep an image: a PIL image, an array (height x width, with 1, 3 or 4 channels last; uint8, or floats from 0
        to 1), the bytes of an image file, or its path. PNG unless bytes or a file say otherwise."""
        from loopline.usecases.tracking.objects import images

        content, ending, media_type = images.encoded(image)
        self.keep(named("images", name, step, ending), content, media_type)

    def table(self, name: str, table: Any, step: int | None = None) -> None:
        """Keep a frame (pandas, Polars, Arrow), a list of maps, or a map of lists as a table of at most 10,000 rows."""
        from loopline.usecases.tracking.objects import tables

        self.keep(named("tables", name, step, ".json"), tables.encoded(table), tables.TABLE)

    def figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Keep a figure of matplotlib (PNG and SVG), plotly or altair (their JSON)."""
        from loopline.usecases.tracking.objects import figures

        for ending, content, media_type in figures.encoded(figure):
            self.keep(named("figures", name, step, ending), content, media_type)

    def audio(self, name: str, sound: Any, rate: int = 0, step: int | None = None) -> None:
        """Keep a sound: an array (samples, or samples x channels; floats from -1 to 1, or int16) with its sampling
        rate in Hz, or the path of a file."""
        from loopline.usecases.tracking.objects import audio

        content, ending, media_type = audio.encoded(sound, rate)
        self.keep(named("audio", name, step, ending), content, media_type)

    def confusion(
        self,
        name: str,
        truth: Sequence[Any],
        predicted: Sequence[Any],
        labels: Sequence[Any] | None = None,
        step: int | None = None,
    ) -> None:
        """Keep how often each true label was predicted as each: `truth` and `predicted` of one length; `labels` gives
        their order, default sorted."""
        from loopline.usecases.tracking.objects import tables

        self.keep(named("confusions", name, step, ".json"), tables.confusion(truth, predicted, labels), CONFUSION)

    def model(
        self, name: str, model: Any, example: Any = None, register: str = "", signature: Signature | None = None,
        lock: str | Path | None = None,
    ) -> None:  # fmt: skip
        """Keep a model as models/NAME/…: scikit-learn by skops, LightGBM and XGBoost in their own formats, the weights
        of a PyTorch module by safetensors, code as `PythonModel` or `CommandModel`. `example` (some input rows) gives the
        signature, unless `signature` says it; with `register` it becomes the next version of the registered model of
        that name. `lock` is the requirements.lock of the environment that it runs in. Invalid for a model without a safe format."""
        from loopline.usecases.tracking.objects import models

        if signature is None and example is not None:
            if hasattr(model, "predict"):
                signature = models.signature_of(example, model.predict(example))
            elif isinstance(model, PythonModel | CommandModel):  # it gives numbers, unless `signature` says otherwise
                signature = models.signature_of(example, [0.0])
        models.keep(self, name, model, signature, register, lock)

    def json(self, name: str, value: Mapping[str, Any] | Sequence[Any], step: int | None = None) -> None:
        """Keep plain data as texts/NAME.json."""
        from loopline.usecases.tracking.objects import tables

        self.keep(named("texts", name, step, ".json"), tables.as_json(value), "application/json")


def named(folder: str, name: str, step: int | None, ending: str) -> str:
    """The name of an artifact that holds an object, or Invalid."""
    if step is not None and not 0 <= int(step) < 10**12:
        raise Invalid(f"The step {step} of {name!r} cannot be kept.", "Give a whole number from 0 on.")
    return model.checked_key("artifact", f"{folder}/{name}{'' if step is None else f'/{int(step):08d}'}{ending}")

"""Run inside the environment that has torch and transformers: makes two models as their users do. Arguments: the folder to
work in, the lock of that environment. LOOPLINE_URL and LOOPLINE_TOKEN say where models go."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import loopline
from loopline import Column, Signature
from loopline.core.programs import TransformersModel

WORDS = [
    "the",
    "flight",
    "was",
    "late",
    "on",
    "time",
    "we",
    "waited",
    "hours",
    "for",
    "nothing",
    "thank",
    "you",
    "crew",
    "never",
    "again",
    "great",
    "landing",
]
TEXTS = ["the flight was late", "great landing thank you", "never again", "we waited hours for nothing " * 30, "zzz"]


class Net(torch.nn.Module):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 8), torch.nn.Linear(8, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.second(torch.relu(self.first(rows))))


def classifier(folder: Path) -> None:
    """A tiny classifier with random weights, as `save_pretrained` leaves it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate([*special, *WORDS])}, unk_token="[UNK]")
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **names)
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(special) + len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, id2label={0: "cross", 1: "pleased", 2: "neither"},
        label2id={"cross": 0, "pleased": 1, "neither": 2}, initializer_range=0.6,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(folder: Path, lock: Path) -> None:
    """Make, keep, register; and write down what the libraries themselves answer."""
    classifier(folder / "classifier")
    ask = transformers.pipeline("text-classification", str(folder / "classifier"), device="cpu")
    answers = [ask(text, top_k=None, truncation=True) for text in TEXTS]
    torch.manual_seed(8)
    net, rows = Net().eval(), torch.rand(5, 3)
    exported = torch.export.export(net, (rows,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    numbers = Signature(tuple(Column(name, "float") for name in ("a", "b", "c")), Column("share", "float"))
    with loopline.run("from the laboratory", capture=False) as run:
        run.model("net", exported, signature=numbers, register="net", lock=lock)
        label = TransformersModel(folder / "classifier", lock=lock)
        run.model("mood", label, signature=label.signature, register="mood")
        share = TransformersModel(folder / "classifier", label="cross", lock=lock)
        run.model("crossness", share, signature=share.signature, register="crossness")
    (folder / "expected.json").write_text(json.dumps({
        "texts": TEXTS,
        "labels": [max(one, key=lambda each: each["score"])["label"] for one in answers],
        "cross": [next(each["score"] for each in one if each["label"] == "cross") for one in answers],
        "rows": rows.tolist(),
        "net": net(rows).reshape(-1).tolist(),
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Tracking's verbs, in groups: each file of a group says what it is about."""

from __future__ import annotations

from loopline.usecases.tracking.changing import Changing
from loopline.usecases.tracking.comparing import Comparing
from loopline.usecases.tracking.drawing import Drawing
from loopline.usecases.tracking.editing import Editing
from loopline.usecases.tracking.files import Files
from loopline.usecases.tracking.finding import Finding
from loopline.usecases.tracking.giving import Giving
from loopline.usecases.tracking.inputs import Inputs
from loopline.usecases.tracking.intake import Intake
from loopline.usecases.tracking.logged_models import LoggedModels
from loopline.usecases.tracking.previewing import Previewing
from loopline.usecases.tracking.resuming import Resuming
from loopline.usecases.tracking.sampling import Sampling
from loopline.usecases.tracking.several import Several
from loopline.usecases.tracking.taking import Taking
from loopline.usecases.tracking.trace_tree import Trees
from loopline.usecases.tracking.views import Views


class Tracking(
    Finding,
    Views,
    Comparing,
    Drawing,
    Previewing,
    Editing,
    Several,
    Files,
    Changing,
    Inputs,
    Intake,
    LoggedModels,
    Sampling,
    Resuming,
    Taking,
    Giving,
    Trees,
):
    """Runs and what belongs to them. A run's start and end are facts; what was measured in it are measurements."""

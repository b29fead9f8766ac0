"""A minimal Workflow Builder: a user runs an app's step with inputs and sees its outputs."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from slack_emulator.model import InstalledApp, Json, Refused
from slack_emulator.page.desk import Desk, refused, see_other
from slack_emulator.page.drawing import Place

STEPS = Place("steps")


class Workflows:
    """Handlers of the page of steps and its run button."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._workspace = desk.workspace

    async def show(self, request: Request) -> Response:
        drawing = self._desk.drawing(request, STEPS)
        return self._desk.answer(
            request,
            STEPS,
            "workflows.html",
            title="Workflow Builder",
            showing="main",
            steps=[
                {"app": app, "callback_id": callback, **step}
                for app in self._workspace.apps()
                for callback, step in app.manifest.functions.items()
            ],
            people=[c for c in drawing.directory.people_choices() if c[2] != "app"],
            rooms=drawing.directory.conversation_choices({"include": ["public", "private"]}),
        )

    async def run(self, request: Request) -> Response:
        """Run a step once, as Slack does for a workflow that a user has just started."""
        person, form = self._desk.acting(request), await request.form()
        self._desk.notices.clear(person)
        try:
            app = self._workspace.app(request.path_params["app"])
            callback = request.path_params["step"]
            self._workspace.steps.begin(app, callback, _inputs(app, callback, form))
        except Refused as no:
            self._desk.notices.tell(person, refused(no))
        return see_other("/workflows")


def _inputs(app: InstalledApp, callback: str, form: FormData) -> Json:
    declared = app.manifest.functions.get(callback, {}).get("input_parameters") or {}
    given: Json = {}
    for name, parameter in declared.items():
        typed = str(form.get(name, "")).replace("\r\n", "\n")
        given[name] = name in form if parameter["type"] == "boolean" else typed
    return given

"""What a start of `tocsin` does that comes out the same each time: importing it makes a process warm."""

from __future__ import annotations

import tocsin.backends.devrev
import tocsin.backends.incident_io
import tocsin.backends.local
import tocsin.cli
import tocsin.data_dir
import tocsin.doctor
import tocsin.server  # noqa: F401
from slack_emulator.ui.html import environment
from tocsin.web.app import _templates

for templates in (environment(), _templates().env):
    for name in templates.list_templates():
        templates.get_template(name)

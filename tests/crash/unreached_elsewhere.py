"""Crash points of a hosted backend's own that no declaration passes, each with the reason."""

from __future__ import annotations

from crash.unreached import CHANCE, CLOSING, READING

VERBS = "people over a hosted backend only declare here; tests/slack and tests/devrev have the rest"
SEARCH = "people here search no field; tests/slack/test_hosted_channel.py and tests/devrev have that"
DOCTOR = "only `tocsin doctor` asks this"
PERMITS = "only where rules limit who may declare, or could not be looked up"
ITS_OWN = "incident.io opens the channel itself, and takes none of ours"
A_DAY = "only after a day in which Slack opens no channel; tests/actions/test_sheltering.py has it"
TOO_SOON = "only a sweep does this, ten minutes and a day later; tests/devrev has both"
OTHERWISE = "only for another organisation than this one; tests/devrev has it"

OWN_ROOMS = ("actions/arriving.py", "actions/sheltering.py")
"""Where declarations over a hosted backend go and others do not, beside the backend's own room."""

# By the beginning of their names.
SHELTERED: dict[str, str] = {
    "actions/sheltering.py:Shelter.story:await2:": A_DAY,
    "actions/sheltering.py:Shelter.refused:": CHANCE,
    "actions/sheltering.py:Shelter._become:await3:after": CHANCE,
}
AT_INCIDENT_IO: dict[str, str] = {
    **SHELTERED,
    "actions/arriving.py:Arrival._asked_for:await1:": CHANCE,
    "actions/sheltering.py:Shelter.found:": ITS_OWN,
    "backends/incident_io/backend.py:IncidentIo.close:": CLOSING,
    "backends/incident_io/backend.py:IncidentIo.options:": SEARCH,
    "backends/incident_io/backend.py:IncidentIo.incidents:": READING,
    "backends/incident_io/backend.py:IncidentIo.timeline:": READING,
    "backends/incident_io/backend.py:IncidentIo.note:": PERMITS,
    "backends/incident_io/backend.py:IncidentIo.change:": VERBS,
    "backends/incident_io/backend.py:IncidentIo.add_follow_up:": VERBS,
    "backends/incident_io/backend.py:IncidentIo.complete_follow_up:": VERBS,
    "backends/incident_io/backend.py:IncidentIo.follow_ups:": VERBS,
    "backends/incident_io/backend.py:IncidentIo._one:": VERBS,
    "backends/incident_io/backend.py:IncidentIo.examine:": DOCTOR,
    "backends/incident_io/changing.py:_to_dos:": VERBS,
    "backends/incident_io/changing.py:_user_id:": VERBS,
    "backends/incident_io/changing.py:add_to_do:": VERBS,
    "backends/incident_io/changing.py:change:": VERBS,
    "backends/incident_io/changing.py:complete_to_do:": VERBS,
    "backends/incident_io/changing.py:to_dos:": VERBS,
    "backends/incident_io/client.py:Client.close:": CLOSING,
    "backends/incident_io/creating.py:Creating._look:": CHANCE,
    "backends/incident_io/creating.py:Creating.__call__:await3:": CHANCE,
    "backends/incident_io/examining.py:": DOCTOR,
    "backends/incident_io/form.py:Account.known:": CHANCE,
    "backends/incident_io/form.py:Account.search:": SEARCH,
    "backends/incident_io/pace.py:Pace._take:": CHANCE,
    "backends/incident_io/reading.py:happened:": READING,
}
AT_DEVREV: dict[str, str] = {
    **SHELTERED,
    "actions/arriving.py:": "DevRev opens no channel",
    "actions/sheltering.py:Shelter.found:await2:": CHANCE,
    "backends/devrev/backend.py:DevRevBackend.close:": CLOSING,
    "backends/devrev/backend.py:DevRevBackend.options:": SEARCH,
    "backends/devrev/backend.py:DevRevBackend.incidents:": READING,
    "backends/devrev/backend.py:DevRevBackend.unnote:": VERBS,
    "backends/devrev/backend.py:DevRevBackend.timeline:": READING,
    "backends/devrev/backend.py:DevRevBackend.change:": VERBS,
    "backends/devrev/backend.py:DevRevBackend.examine:": DOCTOR,
    "backends/devrev/backend.py:DevRevBackend.sweep:": TOO_SOON,
    "backends/devrev/backend.py:DevRevBackend._marked_duplicates:": TOO_SOON,
    "backends/devrev/backend.py:DevRevBackend._mark:": TOO_SOON,
    "backends/devrev/backend.py:DevRevBackend._sweep_for_ever:": TOO_SOON,
    "backends/devrev/changing.py:": VERBS,
    "backends/devrev/choices.py:_diagram:": OTHERWISE,
    "backends/devrev/choices.py:_own:await1:": OTHERWISE,
    "backends/devrev/client.py:DevRevClient.close:": CLOSING,
    "backends/devrev/crew.py:Crew._asked:await1:": CHANCE,
    "backends/devrev/declaring.py:Declaring._custom_fields:": SEARCH,
    "backends/devrev/declaring.py:Declaring.send:await3:": OTHERWISE,
    "backends/devrev/declaring.py:found_by_key:await1:": CHANCE,
    "backends/devrev/declaring.py:_newest_with:": CHANCE,
    "backends/devrev/examining.py:": DOCTOR,
    "backends/devrev/once.py:Once.due:": TOO_SOON,
    "backends/devrev/once.py:Once.swept:": TOO_SOON,
    "backends/devrev/once.py:Once.create:await3:": CHANCE,
    "backends/devrev/once.py:Once._made_before:": CHANCE,
    "backends/devrev/once.py:Once._give_up:await1:": CHANCE,
    "backends/devrev/once.py:Once._look:": CHANCE,
    "backends/devrev/org.py:Org.known_choices:": CHANCE,
    "backends/devrev/org.py:Org.me:": CHANCE,
    "backends/devrev/reading.py:Reading._known_prefix:": READING,
    "backends/devrev/reading.py:Reading._page:await1:": READING,
    "backends/devrev/reading.py:Reading._page:await2:": READING,
    "backends/devrev/reading.py:Reading._until:": READING,
    "backends/devrev/reading.py:Reading.options:": SEARCH,
    "backends/devrev/reading.py:Reading._parts:": SEARCH,
    "backends/devrev/reading.py:Reading._tags:": SEARCH,
    "backends/devrev/timeline.py:note:await2:": CHANCE,
    "backends/devrev/timeline.py:unnote:": VERBS,
    "backends/devrev/timeline.py:_find:": CHANCE,
    "backends/devrev/timeline.py:timeline:": READING,
}
REASONS = {"incident_io": AT_INCIDENT_IO, "devrev": AT_DEVREV}
SHARED = "what all backends pass is looked for over the local one"


def why_unreached_over(backend: str, name: str) -> str | None:
    """The reason why no scenario over this backend need pass this point; None when one must."""
    if not name.startswith((f"backends/{backend}/", *OWN_ROOMS)):
        return SHARED
    return next((why for stem, why in REASONS[backend].items() if name.startswith(stem)), None)

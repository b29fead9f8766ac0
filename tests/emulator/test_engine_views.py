"""Views: triggers, the stack, hashes, external ids, and what an update keeps."""

from __future__ import annotations

from support.open_form import NAME, OpenForm, modal, typed
from support.refusals import error_of, refused


async def test_a_trigger_opens_one_view_only(form: OpenForm) -> None:
    trigger = form.trigger()
    await form.client.views_open(trigger_id=trigger, view=modal())
    again = form.client.views_open(trigger_id=trigger, view=modal())
    assert await error_of(again) == "exchanged_trigger_id"


async def test_a_trigger_expires_after_three_seconds(form: OpenForm) -> None:
    trigger = form.trigger()
    form.slack.clock.turn(3.1)
    late = form.client.views_open(trigger_id=trigger, view=modal())
    assert await error_of(late) == "expired_trigger_id"


async def test_a_made_up_trigger_opens_nothing(form: OpenForm) -> None:
    assert await error_of(form.client.views_open(trigger_id="1.2.a", view=modal())) == "invalid_trigger_id"


async def test_a_refused_view_leaves_the_trigger_for_a_better_one(form: OpenForm) -> None:
    trigger = form.trigger()
    long = await refused(form.client.views_open(trigger_id=trigger, view=modal("T" * 25)))
    assert long["error"] == "invalid_arguments"
    assert "/view/title/text" in long["response_metadata"]["messages"][0]
    assert (await form.client.views_open(trigger_id=trigger, view=modal()))["ok"]


async def test_the_stack_holds_three_views(form: OpenForm) -> None:
    view = await form.open(modal("1"))
    for title in ("2", "3"):
        pushed = await form.client.views_push(trigger_id=form.trigger_in(view["id"]), view=modal(title))
        assert pushed["view"]["previous_view_id"] == view["id"]
        view = pushed["view"]
    fourth = form.client.views_push(trigger_id=form.trigger_in(view["id"]), view=modal("4"))
    assert await error_of(fourth) == "push_limit_reached"
    titles = [v.payload["title"]["text"] for v in form.slack.workspace.stack(form.ana)]
    assert titles == ["1", "2", "3"]


async def test_a_push_needs_a_trigger_from_inside_an_open_modal(form: OpenForm) -> None:
    view = await form.open(modal())
    outside = form.client.views_push(trigger_id=form.trigger(), view=modal())
    assert await error_of(outside) == "invalid_trigger_id"
    inside = form.trigger_in(view["id"])
    await form.slack.workspace.dismiss(form.ana, view["id"])
    assert await error_of(form.client.views_push(trigger_id=inside, view=modal())) == "not_found"


async def test_an_update_with_an_old_hash_is_refused(form: OpenForm) -> None:
    view = await form.open(modal())
    updated = await form.client.views_update(view_id=view["id"], view=modal("New"), hash=view["hash"])
    assert updated["view"]["hash"] != view["hash"]
    stale = form.client.views_update(view_id=view["id"], view=modal("Newer"), hash=view["hash"])
    assert await error_of(stale) == "hash_conflict"


async def test_an_update_keeps_what_was_typed_where_the_ids_are_the_same(form: OpenForm) -> None:
    view = await form.open(modal())
    form.slack.workspace.type_into(form.ana, view["id"], "name", "name", typed("half")["name"]["name"])
    other = {**NAME, "block_id": "other", "element": {**NAME["element"], "action_id": "other"}}
    updated = await form.client.views_update(view_id=view["id"], view=modal("New", NAME, other))
    values = updated["view"]["state"]["values"]
    assert values["name"]["name"]["value"] == "half"
    assert values["other"]["other"]["value"] is None


async def test_a_view_is_found_by_its_external_id_which_is_unique(form: OpenForm) -> None:
    view = await form.open(modal(external_id="mine"))
    by_external = await form.client.views_update(external_id="mine", view=modal(external_id="mine"))
    assert by_external["view"]["id"] == view["id"]
    twice = form.client.views_push(
        trigger_id=form.trigger_in(view["id"]), view=modal("Other", external_id="mine")
    )
    assert await error_of(twice) == "duplicate_external_id"
    assert await error_of(form.client.views_update(external_id="no", view=modal())) == "not_found"


async def test_clear_on_close_closes_the_whole_stack_and_says_so(form: OpenForm) -> None:
    view = await form.open(modal("1", notify_on_close=True))
    pushed = modal("2", notify_on_close=True, clear_on_close=True)
    await form.client.views_push(trigger_id=form.trigger_in(view["id"]), view=pushed)
    await form.slack.workspace.dismiss(form.ana)
    told = await form.slack.workspace.heard("view_closed", 2)
    assert [request.args["is_cleared"] for request in told] == [True, True]
    assert form.slack.workspace.stack(form.ana) == []


async def test_a_view_over_250_kilobytes_is_too_large(form: OpenForm) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    large = form.client.views_open(trigger_id=form.trigger(), view=modal("Page", *[section] * 90))
    assert await error_of(large) == "view_too_large"

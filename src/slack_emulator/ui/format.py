"""Emoji, dates and times as the page shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Emoji by Slack's names; a name that is not listed is shown as `:name:`.

_GLYPHS = """
+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|eyes 👀|tada 🎉|heart ❤️|fire 🔥|rocket 🚀|wave 👋
pray 🙏|raised_hands 🙌|clap 👏|muscle 💪|ok_hand 👌|point_up ☝️|point_right 👉
point_left 👈|point_down 👇|raised_hand ✋|hand ✋|handshake 🤝|salute 🫡|smile 😄|smiley 😃
grinning 😀|grin 😁|joy 😂|rofl 🤣|slightly_smiling_face 🙂|wink 😉|blush 😊|innocent 😇
sweat_smile 😅|sunglasses 😎|thinking_face 🤔|thinking 🤔|neutral_face 😐
expressionless 😑|confused 😕|worried 😟|cry 😢|sob 😭|scream 😱|fearful 😨|cold_sweat 😰
sweat 😓|tired_face 😫|sleeping 😴|zzz 💤|rage 😡|angry 😠|exploding_head 🤯|melting_face 🫠
face_palm 🤦|facepalm 🤦|shrug 🤷|skull 💀|ghost 👻|robot_face 🤖|alien 👽|see_no_evil 🙈
hear_no_evil 🙉|speak_no_evil 🙊|rotating_light 🚨|warning ⚠️|no_entry ⛔
no_entry_sign 🚫|octagonal_sign 🛑|stop_sign 🛑|sos 🆘|bangbang ‼️|exclamation ❗
heavy_exclamation_mark ❗|question ❓|grey_question ❔|interrobang ⁉️|x ❌
negative_squared_cross_mark ❎|white_check_mark ✅|heavy_check_mark ✔️
ballot_box_with_check ☑️|heavy_plus_sign ➕|heavy_minus_sign ➖|information_source ℹ️
recycle ♻️|red_circle 🔴|large_red_circle 🔴|large_orange_circle 🟠
large_yellow_circle 🟡|large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣
large_brown_circle 🟤|white_circle ⚪|black_circle ⚫|large_red_square 🟥
large_orange_square 🟧|large_yellow_square 🟨|large_green_square 🟩|large_blue_square 🟦
large_purple_square 🟪|white_large_square ⬜|black_large_square ⬛|small_red_triangle 🔺
small_red_triangle_down 🔻|small_orange_diamond 🔸|small_blue_diamond 🔹
large_orange_diamond 🔶|large_blue_diamond 🔷|bell 🔔|no_bell 🔕|mega 📣|loudspeaker 📢
speech_balloon 💬|thought_balloon 💭|fire_engine 🚒|fire_extinguisher 🧯|firefighter 🧑‍🚒
ambulance 🚑|police_car 🚓|construction 🚧|hammer 🔨|wrench 🔧|hammer_and_wrench 🛠️
tools 🛠️|gear ⚙️|nut_and_bolt 🔩|toolbox 🧰|bug 🐛|beetle 🪲|lady_beetle 🐞|mag 🔍
mag_right 🔎|lock 🔒|unlock 🔓|closed_lock_with_key 🔐|key 🔑|shield 🛡️|test_tube 🧪
microscope 🔬|dna 🧬|pill 💊|adhesive_bandage 🩹|stethoscope 🩺|hospital 🏥|computer 💻
desktop_computer 🖥️|keyboard ⌨️|floppy_disk 💾|cd 💿|file_cabinet 🗄️|satellite 🛰️
satellite_antenna 📡|electric_plug 🔌|battery 🔋|bulb 💡|zap ⚡|high_voltage ⚡|cloud ☁️
rain_cloud 🌧️|sunny ☀️|rainbow 🌈|snowflake ❄️|droplet 💧|ocean 🌊|earth_africa 🌍
globe_with_meridians 🌐|package 📦|inbox_tray 📥|outbox_tray 📤|email 📧|envelope ✉️
incoming_envelope 📨|phone ☎️|telephone_receiver 📞|iphone 📱|pager 📟|link 🔗
paperclip 📎|pushpin 📌|round_pushpin 📍|bookmark 🔖|label 🏷️|memo 📝|pencil 📝|pencil2 ✏️
clipboard 📋|page_facing_up 📄|page_with_curl 📃|scroll 📜|newspaper 📰|books 📚|book 📖
ledger 📒|notebook 📓|calendar 📆|date 📅|spiral_calendar_pad 🗓️|card_index 📇
chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|bar_chart 📊|clock1 🕐
alarm_clock ⏰|stopwatch ⏱️|timer_clock ⏲️|hourglass ⌛|hourglass_flowing_sand ⏳
watch ⌚|moneybag 💰|credit_card 💳|money_with_wings 💸|shopping_trolley 🛒
shopping_cart 🛒|ship 🚢|airplane ✈️|car 🚗|train 🚆|bike 🚲|house 🏠|office 🏢|factory 🏭
checkered_flag 🏁|triangular_flag_on_post 🚩|white_flag 🏳️|trophy 🏆|medal 🏅|dart 🎯
game_die 🎲|jigsaw 🧩|puzzle_piece 🧩|art 🎨|gift 🎁|balloon 🎈|confetti_ball 🎊|sparkles ✨
star ⭐|star2 🌟|dizzy 💫|boom 💥|collision 💥|100 💯|crown 👑|gem 💎|coffee ☕|tea 🍵|beer 🍺
beers 🍻|pizza 🍕|cake 🍰|cookie 🍪|taco 🌮|banana 🍌|apple 🍎|hot_pepper 🌶️|cat 🐱|dog 🐶
unicorn_face 🦄|penguin 🐧|snail 🐌|turtle 🐢|whale 🐳|parrot 🦜|owl 🦉|seedling 🌱|herb 🌿
four_leaf_clover 🍀|evergreen_tree 🌲|cactus 🌵|rose 🌹|sunflower 🌻|arrow_up ⬆️
arrow_down ⬇️|arrow_left ⬅️|arrow_right ➡️|arrow_upper_right ↗️|arrow_lower_right ↘️
arrows_counterclockwise 🔄|twisted_rightwards_arrows 🔀|repeat 🔁
leftwards_arrow_with_hook ↩️|arrow_right_hook ↪️|fast_forward ⏩|rewind ⏪
arrow_forward ▶️|double_vertical_bar ⏸️|black_square_for_stop ⏹️|one 1️⃣|two 2️⃣
three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|seven 7️⃣|eight 8️⃣|nine 9️⃣|zero 0️⃣
keycap_ten 🔟|a 🅰️|b 🅱️|ok 🆗|new 🆕|up 🆙|cool 🆒|free 🆓|id 🆔|vs 🆚|busts_in_silhouette 👥
bust_in_silhouette 👤|technologist 🧑‍💻|man_technologist 👨‍💻|woman_technologist 👩‍💻
detective 🕵️|sleuth_or_spy 🕵️|construction_worker 👷|guardsman 💂|brain 🧠|ear 👂
nerd_face 🤓|partying_face 🥳|hugging_face 🤗|blue_heart 💙|green_heart 💚|yellow_heart 💛
orange_heart 🧡|purple_heart 💜|broken_heart 💔|white_heart 🤍|black_heart 🖤
"""
GLYPHS: dict[str, str] = {
    name: sign
    for line in _GLYPHS.strip().splitlines()
    for name, sign in (pair.split(" ") for pair in line.split("|"))
}
_SKIN = {f"skin-tone-{tone}": chr(0x1F3FB + tone - 2) for tone in range(2, 7)}
QUICK = ("eyes", "+1", "white_check_mark", "tada")
"""Reactions that a message shows as buttons."""
MORE = (
    "pushpin",
    "heart",
    "raised_hands",
    "rotating_light",
    "fire",
    "rocket",
    "thinking_face",
    "wrench",
    "pray",
)


def glyph(name: str) -> str:
    """Return the emoji, or `:name:` for an unknown one; the name may end in a skin tone (`::skin-tone-3`)."""
    name, _, tone = name.strip(":").partition("::")
    found = GLYPHS.get(name)
    return f":{name}:" if found is None else found + _SKIN.get(tone, "")


# Dates and times in the viewer's own time zone.

_TOKEN = re.compile(r"\{(\w+)\}")


def zone(name: str) -> ZoneInfo:
    """Return the time zone of that name, or UTC if the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment_of(ts: str, tz: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(float(ts), tz)


def clock_time(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def day_words(moment: datetime, now: datetime) -> str:
    """Return "Today", "Yesterday" or the date, with the year if it is not the current one."""
    days = (now.date() - moment.date()) // timedelta(days=1)
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment:%A}, {moment.day} {moment:%B}{year}"


def since_words(moment: datetime, now: datetime) -> str:
    seconds = abs((now - moment).total_seconds())
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            spelled = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{spelled} ago" if now >= moment else f"in {spelled}"
    return "just now"


def _pretty(plain: Callable[[datetime], str]) -> Callable[[datetime], str]:
    def words(moment: datetime) -> str:
        days = (datetime.now(moment.tzinfo).date() - moment.date()) // timedelta(days=1)
        return {0: "today", 1: "yesterday", -1: "tomorrow"}.get(days) or plain(moment)

    return words


def _date(moment: datetime) -> str:
    return f"{moment:%B} {moment.day}, {moment.year}"


def _short(moment: datetime) -> str:
    return f"{moment:%b} {moment.day}, {moment.year}"


def _long(moment: datetime) -> str:
    return f"{moment:%A}, {_date(moment)}"


# Slack, formatting text: date tokens. Slack shows 12 or 24 hours by the user's setting; here always 24.
_TOKENS: Mapping[str, Callable[[datetime], str]] = {
    "date_num": lambda m: f"{m:%Y-%m-%d}",
    "date_slash": lambda m: f"{m:%d/%m/%Y}",
    "date": _date,
    "date_short": _short,
    "date_long": _long,
    "date_pretty": _pretty(_date),
    "date_short_pretty": _pretty(_short),
    "date_long_pretty": _pretty(_long),
    "time": clock_time,
    "time_secs": lambda m: f"{m:%H:%M:%S}",
    "ago": lambda m: since_words(m, datetime.now(m.tzinfo)),
}


def date_words(moment: datetime, form: str) -> str:
    """Fill in the token string of Slack's `<!date^…>`; unknown tokens stay as they are."""
    return _TOKEN.sub(lambda t: _TOKENS[t[1]](moment) if t[1] in _TOKENS else t[0], form)

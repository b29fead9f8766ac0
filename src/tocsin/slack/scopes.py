"""What the bot may do in a workspace, and why: the scopes that its manifest asks for."""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "commands": "the /incident command and the shortcuts",
    "chat:write": "cards, and messages to who declared",
    "chat:write.public": "cards in public channels where the bot is not a member",
    "channels:manage": "the channels of public incidents: create, invite, topic, purpose",
    "groups:write": "the channels of private incidents",
    "channels:read": "finding its own channel again after a lost answer",
    "groups:read": "the same for private incidents",
    "channels:join": "looking in a public channel for its own post after a lost answer",
    "channels:history": "finding its own post again after a lost answer, so that none is made twice",
    "groups:history": "the same in private channels",
    "im:history": "the same in direct messages",
    "im:write": "direct messages to who declared",
    "bookmarks:write": "the bookmark with the incident's permalink",
    "bookmarks:read": "not adding that bookmark twice",
    "users:read": "people's names, and whether they are members, guests or strangers",
    "usergroups:read": "who is in the user groups that your rules name",
    "users:read.email": "who in DevRev the lead is, by their e-mail address",
    "files:write": "exports, and documents where a canvas cannot be",
    "canvases:write": "post-incident documents as canvases",
    "pins:write": "pinning the headline in the incident's channel",
    "pins:read": "keeping what people pin in an incident's timeline",
    "links:read": "hearing of links to incidents' pages",
    "links:write": "showing the incident below such a link",
    "reactions:read": "keeping what people mark with 📌 in an incident's timeline",
}

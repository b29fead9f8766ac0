"""Names of all Web API methods, to tell one that the emulator lacks from one that does not exist."""

from __future__ import annotations

from typing import Final

# From Slack's methods reference and Slack's SDK for Python: a family, then the last word of each method.
_FAMILIES = """
admin.analytics: getFile
admin.analytics.messages: activity metadata
admin.apps.activities: list
admin.apps: approve clearResolution restrict uninstall
admin.apps.approved: list
admin.apps.config: lookup set
admin.apps.mcp.servers: list
admin.apps.mcp.servers.permissions: list set
admin.apps.permissions: add list remove set
admin.apps.requests: cancel list
admin.apps.restricted: list
admin.audit.anomaly.allow: getItem updateItem
admin.auth.policy: assignEntities getEntities removeEntities
admin.barriers: create delete list update
admin.conversations: archive bulkArchive bulkDelete bulkMove bulkSetExcludeFromSlackAi bulkSetProperties
    convertToPrivate convertToPublic create createForObjects delete disconnectShared getConversationPrefs
    getCustomRetention getTeams invite linkObjects lookup removeCustomRetention rename search
    setConversationPrefs setCustomRetention setTeams unarchive unlinkObjects
admin.conversations.ekm: listOriginalConnectedChannelInfo
admin.conversations.restrictAccess: addGroup listGroups removeGroup
admin.emoji: add addAlias list remove rename
admin.functions: list
admin.functions.permissions: lookup set
admin.inviteRequests: approve deny list
admin.inviteRequests.approved: list
admin.inviteRequests.denied: list
admin.roles: addAssignments listAssignments removeAssignments
admin.slackbot.skills: list publish setAutoEnabled unpublish
admin.teams.admins: list
admin.teams: create list
admin.teams.owners: list
admin.teams.settings: info setDefaultChannels setDescription setDiscoverability setIcon setName
admin.usergroups: addChannels addTeams listChannels removeChannels removeTeams
admin.users: assign getExpiration invite list remove setAdmin setExpiration setOwner setRegular
admin.users.session: clearSettings getSettings invalidate list reset resetBulk setSettings
admin.users.unsupportedVersions: export
admin.workflows.collaborators: add remove
admin.workflows.permissions: lookup
admin.workflows: search unpublish
admin.workflows.triggers.types.permissions: lookup set
agents.conversations: archive create getCanvas listViews removeView setCanvasContent setCommands
    setProperties setView
agents.sessions: rename setStatus
api: test
apps.activities: list
apps.auth.external: delete get
apps.connections: open
apps.datastore: bulkDelete bulkGet bulkPut count delete get put query update
apps.event.authorizations: list
apps.icon: set
apps.managed.permissions: set
apps.manifest: create delete export update validate
apps: uninstall
apps.user.connection: bulkUpdate requestAuth update
assistant.search: context info
assistant.threads: setStatus setSuggestedPrompts setTitle
auth: revoke test
auth.teams: list
blocks: validate
bookmarks: add edit list remove
bots: info
calls: add end info update
calls.participants: add remove
canvases.access: delete set
canvases: create delete edit getContent
canvases.sections: lookup
channels: archive create history info invite join kick leave list mark rename replies setPurpose
    setTopic unarchive
chat: appendStream delete deleteScheduledMessage getPermalink meMessage postEphemeral postMessage
    scheduleMessage startStream stopStream unfurl update
chat.scheduledMessages: list
conversations: acceptSharedInvite approveSharedInvite archive close create declineSharedInvite history
    info invite inviteShared join kick leave list listConnectInvites mark members open rename replies
    setPurpose setTopic unarchive
conversations.canvases: create
conversations.externalInvitePermissions: set
conversations.requestSharedInvite: approve deny list
dialog: open
dnd: endDnd endSnooze info setSnooze teamInfo
emoji: list
entity: acknowledgeCommentAction presentComments presentDetails
files.comments: delete
files: completeUploadExternal delete getUploadURLExternal info list revokePublicURL sharedPublicURL
    upload
files.remote: add info list remove share update
functions: completeError completeSuccess
functions.distributions.permissions: add list remove set
functions.workflows.steps: list
functions.workflows.steps.responses: export
groups: archive create createChild history info invite kick leave list mark open rename replies
    setPurpose setTopic unarchive
im: close history list mark open replies
migration: exchange
mpim: close history list mark open replies
oauth: access
oauth.v2: access exchange
oauth.v2.user: access
openid.connect: token userInfo
pins: add list remove
reactions: add get list remove
reminders: add complete delete info list
rtm: connect start
search: all files messages
slackLists.access: delete set
slackLists: create update
slackLists.download: get start
slackLists.items: create delete deleteMultiple info list update
slackbot.skills: create delete info list update
slackbot.skills.library: add remove
stars: add list remove
team: accessLogs billableInfo info integrationLogs
team.billing: info
team.externalTeams: disconnect list
team.preferences: list
team.profile: get
tooling.tokens: rotate
usergroups: create disable enable list update
usergroups.users: list update
users: conversations deletePhoto getPresence identity info list lookupByEmail setActive setPhoto
    setPresence
users.discoverableContacts: lookup
users.profile: get set
views: open publish push update
workflows.featured: add list remove set
workflows: stepCompleted stepFailed updateStep
workflows.triggers.permissions: add list remove set
"""

SLACK_METHODS: Final = frozenset(
    f"{family}.{name}"
    for line in _FAMILIES.replace("\n    ", " ").strip().splitlines()
    for family, names in [line.split(": ")]
    for name in names.split()
)

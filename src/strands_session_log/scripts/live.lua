-- Adds pieces of messages that are being spoken to a session's live stream; nothing where there is no session, so that
-- one deleted meanwhile leaves nothing behind; nor where it is another session, or something of it was erased, since the
-- caller looked: then the caller looks again at what it has to say.
--
-- KEYS: head, live, tombstones (one slot)
-- ARGV: 1 for how many ms a piece stays; 2 how many stay, about; 3 '1' to forget what is there first; 4 session id;
--       5 which session the caller knows, '' for any, and 6 what of it was erased;
--       then for each piece kind agent message sequence block tool_use_id text revision
--
-- Returns {revision, life, erased, ago}: the session's revision, which session it is (see life.lua), SHA-1 of what of it was
-- erased, and how many ms ago the last session of this id was deleted, '' if none was; nothing without a session.
local PIECES, FIELDS = 7, 8
local head = redis.call('HMGET', KEYS[1], 'revision', 'created', 'predecessor', 'erased')
if not head[1] then return false end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local deleted = string.match(predecessor_in(redis.call('HGET', KEYS[3], redis.sha1hex(ARGV[4]))) or '', '^%d+')
local life, erased = (head[2] or '') .. ' ' .. (head[3] or ''), redis.sha1hex(head[4] or '')
local answer = { head[1], life, erased, deleted and string.format('%.0f', now - tonumber(deleted)) or '' }

-- Not deleted: what follows has to have higher ids than what readers know.
if ARGV[3] == '1' then redis.call('XTRIM', KEYS[2], 'MAXLEN', 0) end
if #ARGV < PIECES or ARGV[5] ~= '' and (life ~= ARGV[5] or erased ~= ARGV[6]) then return answer end
for at = PIECES, #ARGV, FIELDS do
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*',
        'kind', ARGV[at], 'agent', ARGV[at + 1], 'message', ARGV[at + 2], 'sequence', ARGV[at + 3],
        'block', ARGV[at + 4], 'tool_use_id', ARGV[at + 5], 'text', ARGV[at + 6], 'revision', ARGV[at + 7])
end
redis.call('XTRIM', KEYS[2], 'MINID', '~', now - tonumber(ARGV[1]))
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return answer

-- Adds pieces of messages that are being spoken to a session's live stream; nothing where there is no session, so that
-- one deleted meanwhile leaves nothing behind.
--
-- KEYS: head, live (one slot)
-- ARGV: 1 for how many ms a piece stays; 2 how many stay, about; 3 '1' to forget what is there first;
--       then for each piece kind agent message sequence block tool_use_id text revision
--
-- Returns the session's revision; nothing without a session.
local WIDTH = 8
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then return false end
if #ARGV == 3 and ARGV[3] ~= '1' then return tonumber(revision) end
-- Not deleted: what follows has to have higher ids than what readers know.
if ARGV[3] == '1' then redis.call('XTRIM', KEYS[2], 'MAXLEN', 0) end
for at = 4, #ARGV, WIDTH do
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*',
        'kind', ARGV[at], 'agent', ARGV[at + 1], 'message', ARGV[at + 2], 'sequence', ARGV[at + 3],
        'block', ARGV[at + 4], 'tool_use_id', ARGV[at + 5], 'text', ARGV[at + 6], 'revision', ARGV[at + 7])
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('XTRIM', KEYS[2], 'MINID', '~', now - tonumber(ARGV[1]))
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return tonumber(revision)

-- Adds pieces of messages that are being spoken to a session's live stream; nothing where there is no session, so that
-- one deleted meanwhile leaves nothing behind; nor where it is another session, or something of it was erased, since the
-- caller looked: then the caller looks again at what it has to say.
-- uses: lib/life, lib/time
--
-- ARGV: 1 for how many ms a piece stays; 2 how many stay, about; 3 two digits, whether to forget what is there first, and
--       whether the text is encrypted; 4 session id;
--       5 which session the caller knows, '' for any, and 6 what of it was erased;
--       then for each piece kind agent message sequence block tool_use_id text revision
--
-- Returns {revision, life, erased, ago}: the session's revision, which session it is (see session/life.lua), SHA-1 of what of it was
-- erased, and how many ms ago the last session of this id was deleted, '' if none was; nothing without a session;
-- 'sealed' where content of the session is encrypted, and the text is not.
local PIECES, FIELDS = 7, 8
local head, live, tombstones = unpack(KEYS)
local stay, length, how, session, known_life, known_erased = unpack(ARGV, 1, PIECES - 1)
local revision, created, predecessor, erased, sealed =
    unpack(redis.call('HMGET', head, 'revision', 'created', 'predecessor', 'erased', 'sealed'))
if not revision then return false end
if sealed and string.sub(how, 2) ~= '1' then return 'sealed' end
local now = now_ms()
local _, _, _, deleted = predecessor_of(session, tombstones)
local life = life_of(created, predecessor)
erased = redis.sha1hex(erased or '')
local answer = { revision, life, erased, deleted and string.format('%.0f', now - deleted) or '' }

-- Not deleted: what follows has to have higher ids than what readers know.
if string.sub(how, 1, 1) == '1' then redis.call('XTRIM', live, 'MAXLEN', 0) end
if #ARGV < PIECES or known_life ~= '' and (life ~= known_life or erased ~= known_erased) then return answer end
for at = PIECES, #ARGV, FIELDS do
    local kind, agent, message, sequence, block, tool_use_id, text, follows = unpack(ARGV, at, at + FIELDS - 1)
    redis.call('XADD', live, 'MAXLEN', '~', length, '*', 'kind', kind, 'agent', agent, 'message', message,
        'sequence', sequence, 'block', block, 'tool_use_id', tool_use_id, 'text', text, 'revision', follows)
end
redis.call('XTRIM', live, 'MINID', '~', now - tonumber(stay))
redis.call('PEXPIRE', live, stay)
return answer

-- Where a session stands, all of it as of one moment, for whoever compares the one with the other.
--
-- ARGV: 1 session id; 2 the id of the entry from which on events are wanted, '-' for the first; 3 how many at most
--
-- KEYS: events, head, sessions, due, holds (one slot)
--
-- Returns {head, events, score, due, held}: the fields of its head, and its events from there on, each the text of an error
-- where the key is none; and its scores in the directory, among what is due and among what is held, '' where it is not
-- listed, 'none' where the key is none.
local function text_of(reply)
    return type(reply) == 'table' and reply.err or reply
end

local events, head, sessions, due, holds = unpack(KEYS)
local session, first, most = unpack(ARGV)
local fields, entries = text_of(redis.pcall('HGETALL', head)), {}
if most ~= '0' then entries = text_of(redis.pcall('XRANGE', events, first, '+', 'COUNT', most)) end
local function score_in(key)
    local score = redis.pcall('ZSCORE', key, session)
    return type(score) == 'table' and 'none' or score or ''
end
return { fields, entries, score_in(sessions), score_in(due), score_in(holds) }

-- Where a session stands, all of it as of one moment, for whoever compares the one with the other.
--
-- KEYS: events, head, sessions (one slot)
-- ARGV: 1 session id; 2 the id of the entry from which on events are wanted, '-' for the first; 3 how many at most
--
-- Returns {head, events, score}: the fields of its head, and its events from there on, each the text of an error where
-- the key is none; and its score in the directory, '' where it is not listed, 'none' where the directory is none.
local function text_of(reply)
    return type(reply) == 'table' and reply.err or reply
end

local head = text_of(redis.pcall('HGETALL', KEYS[2]))
local events = {}
if ARGV[3] ~= '0' then events = text_of(redis.pcall('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', ARGV[3])) end
local score = redis.pcall('ZSCORE', KEYS[3], ARGV[1])
return { head, events, type(score) == 'table' and 'none' or score or '' }

-- Adds events of a session, word for word, to the copy that is to become another one, see session/fork.lua.
--
-- ARGV: 1 the id the copy ends with, '' to begin; 2 the id it is to end with; 3 for how many ms it outlives this call;
--       then for each entry its id, how many field names and values it has, and these
--
-- Returns whether the copy now ends there: it does not when it was taken away meanwhile.
local copy, ends, will_end, outlives = KEYS[1], unpack(ARGV, 1, 3)
local last = redis.call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
local copied = last and last[1] or ''
-- An earlier attempt of the same call.
if copied == will_end then return 1 end
if copied ~= ends then return 0 end
local at = 4
while at < #ARGV do
    local count = tonumber(ARGV[at + 1])
    redis.call('XADD', copy, ARGV[at], unpack(ARGV, at + 2, at + 1 + count))
    at = at + 2 + count
end
redis.call('PEXPIRE', copy, outlives)
return 1

#!lua flags=allow-oom
-- Puts another text in place of a tombstone, if that is still what the caller has read.
--
-- KEYS: tombstones, head, holds (one slot)
-- ARGV: 1 its field, 2 what stands there, 3 what is to stand there, 4 session id
-- Returns whether it does; {'held', since which events} where the session is held that has the id now.
local tombstones, head, holds = unpack(KEYS)
local field, known, new, session = unpack(ARGV)
local held = redis.pcall('HGET', head, 'held')
if type(held) == 'string' or type(redis.pcall('ZSCORE', holds, session)) == 'string' then
    return { 'held', type(held) == 'string' and held or '' }
end
local found = redis.call('HGET', tombstones, field)
if found ~= known and found ~= new then return 0 end
redis.call('HSET', tombstones, field, new)
return 1

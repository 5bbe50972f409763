#!lua flags=allow-oom
-- Puts another text in place of a tombstone, if that is still what the caller has read.
--
-- KEYS: tombstones, holds, head (one slot); of an id that nobody knows any more, no head
-- ARGV: 1 its field, 2 what stands there, 3 what is to stand there, 4 session id, if there is a head
-- Returns whether it does; {'held', since which events} where the session is held that has the id now.
local tombstones, holds, head = unpack(KEYS)
local field, known, new, session = unpack(ARGV)
local held = head and redis.pcall('HGET', head, 'held')
if type(held) == 'string' or head and type(redis.pcall('ZSCORE', holds, session)) == 'string' then
    return { 'held', type(held) == 'string' and held or '' }
end
for _, name in ipairs(head and {} or redis.pcall('ZRANGE', holds, 0, -1)) do
    if redis.sha1hex(name) == field then return { 'held', '' } end
end
local found = redis.call('HGET', tombstones, field)
if found ~= known and found ~= new then return 0 end
redis.call('HSET', tombstones, field, new)
return 1

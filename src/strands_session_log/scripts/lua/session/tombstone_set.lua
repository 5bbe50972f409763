#!lua flags=allow-oom
-- Puts another text in place of a tombstone, if that is still what the caller has read.
--
-- ARGV: 1 its field, 2 what stands there, 3 what is to stand there
-- Returns whether it does.
local tombstones, field, known, new = KEYS[1], unpack(ARGV)
local found = redis.call('HGET', tombstones, field)
if found ~= known and found ~= new then return 0 end
redis.call('HSET', tombstones, field, new)
return 1

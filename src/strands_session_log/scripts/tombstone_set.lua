-- Puts another text in place of a tombstone, if that is still what the caller has read.
--
-- KEYS: tombstones
-- ARGV: 1 its field, 2 what stands there, 3 what is to stand there
-- Returns whether it does.
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found ~= ARGV[2] and found ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1

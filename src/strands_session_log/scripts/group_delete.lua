-- Removes a group from one partition, with what it keeps there.
--
-- KEYS: feed, group, parked, position, replay (one slot); ARGV: 1 group
--
-- Returns how much of it there was; 0 if nothing.
local there = redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[5])
-- There is no feed, or what is in its place has no groups.
local destroyed = redis.pcall('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
return there + (type(destroyed) == 'number' and destroyed or 0)

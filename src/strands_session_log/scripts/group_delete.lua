-- Removes a group from one partition, with what it keeps there.
--
-- KEYS: feed, group, parked (one slot); ARGV: 1 group
--
-- Returns how much of it there was; 0 if nothing.
local call = redis.call
local there = call('UNLINK', KEYS[2], KEYS[3])
if call('EXISTS', KEYS[1]) == 1 then there = there + call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
return there

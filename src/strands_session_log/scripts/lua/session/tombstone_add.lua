#!lua flags=allow-oom
-- Puts a tombstone where it was before, as a backup has it, unless there is such a session or another tombstone by now.
--
-- KEYS: events, head, tombstones, tombstones by time (one slot)
-- ARGV: 1 its field, 2 what stands there, '' for nothing, 3 what is to stand there, 4 when it was made, in ms
-- Returns whether it does.
local events, head, tombstones, by_time = unpack(KEYS)
local field, known, new, made = unpack(ARGV)
local found = redis.call('HGET', tombstones, field) or ''
if found == new then return 1 end
if found ~= known or redis.call('EXISTS', events, head) > 0 then return 0 end
redis.call('HSET', tombstones, field, new)
redis.call('ZADD', by_time, 'NX', made, field)
return 1

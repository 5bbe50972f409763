#!lua flags=allow-oom
-- Puts what was counted anew in place of what a head sums up, if the session still stands where that was counted up to.
--
-- ARGV: 1 revision, 2 link, 3 counts, 4 open
--
-- Returns 1; 0 where it stands elsewhere.
local head = KEYS[1]
local revision, link, counts, open = unpack(ARGV)
local known = redis.call('HMGET', head, 'revision', 'link')
if known[1] ~= revision or known[2] ~= link then return 0 end
redis.call('HSET', head, 'counts', counts, 'open', open)
return 1

-- Envelopes that one consumer did not see: have others of its group had them, or are they gone?
--
-- KEYS: feed, group (one slot)
-- ARGV: 1 the id before them, 2 the id after them
--
-- Returns what is missing in the group, as two ids; '' when nothing is. What is gone is noted in the group.
local call = redis.call
local after, before = ARGV[1], ARGV[2]
local first = call('XRANGE', KEYS[1], '(' .. after, before, 'COUNT', 1)[1]
local gap = call('HGET', KEYS[2], 'gap') or ''
if not first or tonumber(string.match(first[1], '%d+$')) == tonumber(string.match(after, '%d+$')) + 1 then return gap end
gap = (string.match(gap, '^%S+') or after) .. ' ' .. first[1]
call('HSET', KEYS[2], 'gap', gap)
return gap

-- Removes a group from one partition, with what it keeps there.
-- uses: lib/error_texts
--
-- ARGV: 1 group
--
-- Returns how much of it there was; 0 if nothing.
local feed, group, parked, position, replay, texts = unpack(KEYS)
local name = ARGV[1]
local there = redis.call('UNLINK', group, parked, replay)
forget_texts(texts, nil, name)
-- There is no feed, or what is in its place has no groups.
local destroyed = redis.pcall('XGROUP', 'DESTROY', feed, name)
return there + (type(destroyed) == 'number' and destroyed or 0)

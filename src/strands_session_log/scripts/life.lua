-- Which of the sessions that have had an id stands there now, or would begin there.
--
-- KEYS: head, tombstones (one slot)
-- ARGV: 1 session id
--
-- Returns {life, ago}: when the session began and what its head says of the one before it, see append.lua; and how many
-- ms ago, to the microsecond, the last session of this id was deleted; '' where none was that a tombstone tells of.
local found = redis.call('HMGET', KEYS[1], 'created', 'predecessor')
local last = predecessor_in(redis.call('HGET', KEYS[2], redis.sha1hex(ARGV[1])))
local life = (found[1] or '') .. ' ' .. (found[1] and (found[2] or '') or (last or ''))
local deleted = tonumber(string.match(last or '', '^%d+'))
if not deleted then return { life, '' } end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
return { life, string.format('%.3f', now - deleted) }

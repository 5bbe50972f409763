-- Which of the sessions that have had an id stands there now, or would begin there.
-- uses: lib/life
--
-- ARGV: 1 session id
--
-- Returns {life, ago}: when the session began and what its head says of the one before it, see lib/append.lua; and how many
-- ms ago, to the microsecond, the last session of this id was deleted; '' where none was that a tombstone tells of.
local head, tombstones = unpack(KEYS)
local created, predecessor = unpack(redis.call('HMGET', head, 'created', 'predecessor'))
local last, _, _, deleted = predecessor_of(ARGV[1], tombstones)
if not created then predecessor = last end
local ago = ''
if deleted then
    local time = redis.call('TIME')
    ago = string.format('%.3f', tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 - deleted)
end
return { life_of(created, predecessor), ago }

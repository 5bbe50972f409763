-- Removes every key of one session and its line in the directory.
--
-- KEYS: events, head, snapshot, live, rewrite, sessions (one slot)
-- ARGV: 1 session id
-- Returns how many events it had, as far as its head tells; -1 when there was no such session. Deleting is the cure for
-- a session of which nothing else can be read, so whatever stands there is no obstacle.
local told = redis.pcall('HGET', KEYS[2], 'revision')
local revision = type(told) == 'string' and #told <= 14 and string.match(told, '^%d+$') or 0
local existed = redis.call('EXISTS', KEYS[1], KEYS[2]) > 0
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.pcall('ZREM', KEYS[6], ARGV[1])
if not existed then return -1 end
return tonumber(revision)

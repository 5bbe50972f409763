-- Removes every key of one session and its line in the directory.
--
-- KEYS: events, head, snapshot, live, rewrite, sessions (one slot)
-- ARGV: 1 session id
-- Returns how many events it had; -1 when there was no such session.
local revision = redis.call('HGET', KEYS[2], 'revision')
local existed = redis.call('EXISTS', KEYS[1], KEYS[2]) > 0
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('ZREM', KEYS[6], ARGV[1])
if not existed then return -1 end
return tonumber(revision or 0)

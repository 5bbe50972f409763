#!lua flags=allow-oom
-- Writes what stands there, for who waits until what an earlier connection has written is safe: what waits must have
-- written something itself.
--
-- Returns whether there is a session.
local head = KEYS[1]
local revision = redis.call('HGET', head, 'revision')
if not revision then return 0 end
redis.call('HSET', head, 'revision', revision)
return 1

-- Writes what stands there, for who waits until what an earlier connection has written is safe: what waits must have
-- written something itself.
--
-- KEYS: head
-- Returns whether there is a session.
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then return 0 end
redis.call('HSET', KEYS[1], 'revision', revision)
return 1

-- Begins the copy of a session's events that is to become another session, see session/fork.lua, with the first of them.
--
-- ARGV: 1 for how many ms it outlives this call; 2 the id of the event; then its field names and values in turn
--
-- A stream cannot be made and told when to go at once by other means: it would stay if its maker died in between. What is
-- there already is of an earlier attempt of the same call.
local copy, outlives = KEYS[1], ARGV[1]
if redis.call('EXISTS', copy) == 0 then redis.call('XADD', copy, unpack(ARGV, 2)) end
redis.call('PEXPIRE', copy, outlives)
return 1

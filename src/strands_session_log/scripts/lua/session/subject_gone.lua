#!lua flags=allow-oom
-- Notes that a session says nothing any more of somebody it was about; or, anew, that it does, where the index was lost.
-- uses: lib/subjects
--
-- KEYS: head, subjects (one slot)
-- ARGV: 1 session id; 2 whom, as lib/subjects.lua has it; 3 '1' to note it anew
local head, subjects = unpack(KEYS)
local session, one, again = unpack(ARGV)
local revision, known = unpack(redis.call('HMGET', head, 'revision', 'subjects'))
redis.call('ZCARD', subjects)
local is_in = again == '1' and revision
if is_in then
    redis.call('ZADD', subjects, 0, subject_line(one, session))
else
    redis.call('ZREM', subjects, subject_line(one, session))
end
if not revision then return 0 end
local left = with_subject(known, one, is_in)
if left == '' then redis.call('HDEL', head, 'subjects') else redis.call('HSET', head, 'subjects', left) end
return 1

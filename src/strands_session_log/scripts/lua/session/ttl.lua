#!lua flags=allow-oom
-- Says after how long without an event a session may be deleted, or that it never is; and when that is, if it is not held.
--
-- KEYS: head, due (one slot)
-- ARGV: 1 session id; 2 how many ms, '' for never
--
-- Returns {'set', when it is due, '' if never or while it is held}; {'gone'} without a session.
local head, due = unpack(KEYS)
local session, ttl = unpack(ARGV)
local revision, ms, held = unpack(redis.call('HMGET', head, 'revision', 'ms', 'held'))
if not revision or not ms then return { 'gone' } end
redis.call('ZCARD', due)
if ttl == '' then
    redis.call('HDEL', head, 'ttl')
else
    redis.call('HSET', head, 'ttl', ttl)
end
if ttl == '' or held then
    redis.call('ZREM', due, session)
    return { 'set', '' }
end
local at = string.format('%.0f', ms + ttl)
redis.call('ZADD', due, at, session)
return { 'set', at }

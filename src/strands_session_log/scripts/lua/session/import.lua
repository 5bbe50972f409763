-- Lets a session begin with the copy of what a bundle holds of it: puts the copy into place, lists it, and tells the feed
-- with one envelope that is about no event. All of it happens, or nothing.
-- uses: lib/batch, lib/feed_end, lib/subjects, lib/time
--
-- KEYS: events, head, feed, sessions, position, copy, snapshot, live, ids, tombstones, tombstones by time, holds, subjects
--       (one slot)
-- ARGV: 1 session id; and as JSON
--       2 count, last, link   how many events the copy has, the id and the link of the last one
--         head, facts         the fields of the head, by name, and what the feed is to tell, as text
--         known, lives        the tombstone of the id as the caller knows it, and what is to stand there; '' for none
--
-- Returns {'landed', 'begun' if the feed begins anew}; {'exists'} when there is such a session; {'lost'} when the copy is
-- not whole: it has expired, or an erasure has taken it away; {'changed'} when the tombstone is another.
local call = redis.call
local events, head, feed, sessions, position, copy, snapshot, live, ids, tombstones, by_time, holds, subjects = unpack(KEYS)
local session, making = ARGV[1], cjson.decode(ARGV[2])
local name, id, its_link = redis.sha1hex(session), making.last, making.link

if call('EXISTS', events, head) > 0 then return { 'exists' } end
if (call('HGET', tombstones, name) or '') ~= making.known then return { 'changed' } end
local last = call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
if not last or last[1] ~= id or last[2][ENTRY_LINK] ~= its_link or call('XLEN', copy) ~= making.count then
    return { 'lost' }
end
check_feed_is_usable(feed, sessions, session)
call('ZCARD', holds)
call('ZCARD', subjects)

local last_ms, revision = string.match(id, '^(%d+)-(%d+)$')
local now, count = ms_text(call('TIME')), 1
-- here: lib/feed_place

-- First a write that the server may refuse for want of memory; once it is done, none is.
for field, value in pairs(making.head) do call('HSET', head, field, value) end
for one in string.gmatch(making.head.subjects or '', '%S+') do call('ZADD', subjects, 0, subject_line(one, session)) end
if making.lives ~= making.known then
    call('HSET', tombstones, name, making.lives)
    call('ZADD', by_time, 'NX', now, name)
end
call('PERSIST', copy)
call('UNLINK', snapshot, live, ids)
call('RENAME', copy, events)
call('ZADD', sessions, last_ms, session)
-- Who held it holds it still.
if making.head.held then call('ZADD', holds, string.match(making.head.held, '^%d+'), session) end
-- Later than its last event, as that of a deletion is: an id names one event, or what became of a session.
local moment = now - last_ms > 0 and now or string.format('%.0f', last_ms + 1)
id = moment .. '-' .. revision
local type_, agent, facts = 'session.imported', '', making.facts
-- here: lib/feed_add
return { 'landed', agreed and '' or 'begun' }

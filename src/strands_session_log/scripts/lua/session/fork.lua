-- Lets a session begin with a copy of another one's events: puts the copy into place and appends the `session.forked`
-- event. Both happen, or neither.
-- uses: lib/append, lib/batch, lib/feed_end, lib/life, lib/subjects
--
-- KEYS: events, head, feed, sessions, position, copy, snapshot, live, tombstones, due, subjects (one slot)
-- ARGV: what lib/append.lua takes, to follow the copy's last event; and last, as JSON:
--       count    how many events the copy has
--       head     the fields of the head, by name
--
-- Returns 'landed <link> <first id>', or 'begun', as lib/append.lua; {'exists'} when there is such a session; {'lost'} when the copy is not whole: it has
-- expired, or an erasure has taken it away.
local fork = cjson.decode(table.remove(ARGV))
local events, head, feed, sessions, position, copy, snapshot, live, tombstones, due, subjects = unpack(KEYS)
local base_link, base, session = unpack(ARGV, 2, 4)

local function is_whole()
    local last = redis.call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
    return last and last[1] == base and last[2][ENTRY_LINK] == base_link and redis.call('XLEN', copy) == fork.count
end

local predecessor, _, ended = predecessor_of(session, tombstones)
if not landed(events) then
    if redis.call('EXISTS', events, head) > 0 then return { 'exists' } end
    if not is_whole() then return { 'lost' } end
    check_feed_is_usable(feed, sessions, session)
    redis.call('ZCARD', due)
    redis.call('ZCARD', subjects)
    -- Whose id it had before, as an append notes it of a session that begins with an event of its own.
    fork.head.predecessor = predecessor
    -- First a write that the server may refuse for want of memory; once it is done, none is.
    for field, value in pairs(fork.head) do redis.call('HSET', head, field, value) end
    redis.call('PERSIST', copy)
    redis.call('UNLINK', snapshot, live)
    redis.call('RENAME', copy, events)
end
local answer = append(ended, fork.head.sealed)
local ms, ttl, about = unpack(redis.call('HMGET', head, 'ms', 'ttl', 'subjects'))
if type(answer) == 'string' and ttl then redis.call('ZADD', due, ms + ttl, session) end
if type(answer) == 'string' then
    for one in string.gmatch(about or '', '%S+') do redis.call('ZADD', subjects, 0, subject_line(one, session)) end
end
return answer

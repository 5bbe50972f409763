#!lua flags=allow-oom
-- Removes every key of one session and its line in the directory, and leaves a tombstone: that it was there, never what
-- was said. The feed tells of it, too.
-- uses: lib/batch, lib/error_texts, lib/subjects, lib/time
--
-- KEYS: events, head, snapshot, live, rewrite, ids, sessions, feed, position, tombstones, tombstones by time,
--       texts, due, holds, subjects (one slot)
-- ARGV: 1 session id; 2 a token of this very call; 3 by whom; 4 why; 5 how many tombstones stay, and 6 of which age in ms
--       those may go that are more; 7 how many stay at most; 8 how many lives of an id one tells of; 9 '' in any case, or
--       only if: 'at <id>', its last event is still that; 'as <id> <link> <forks>', that and its link, and its head names
--       these forks; 'due <ms>', its time to live is over by the server's clock and by this one; 10 where an archive has
--       it, '' if none has
--
-- Returns {'landed', how many events it had as far as its head tells}; {'gone'} when there was no such session;
-- {'held', since which events}; {'kept'} where it is not as 9 has it. Deleting is the cure for a session of which nothing
-- else can be read, so whatever stands there is no obstacle, but for a hold; nor is a feed that is none.
local call = redis.call
local events, head, snapshot, live, rewrite, ids, sessions, feed, position, tombstones, by_time, texts, due, holds, subjects, run = unpack(KEYS)
local session, token, by, reason, stay, stay_ms, most, most_lives, condition, archived = unpack(ARGV)
local name = redis.sha1hex(session)

local tombstone = call('HGET', tombstones, name)
local is_json, lives = pcall(cjson.decode, tombstone or '[]')
if not is_json or type(lives) ~= 'table' then lives = {} end
local known = redis.pcall('HMGET', head, 'revision', 'link', 'ms', 'held', 'ttl', 'subjects', 'forks')
local told = type(known[1]) == 'string' and #known[1] <= 14 and string.match(known[1], '^%d+$')
local revision, link = tonumber(told or 0), type(known[2]) == 'string' and #known[2] == 43 and known[2] or ''
local first = redis.pcall('XRANGE', events, '-', '+', 'COUNT', 1)[1]
local first_link = type(first) == 'table' and first[2][ENTRY_LINK] or ''
local now = now_ms()
-- Later than its last event, and the next session of this id is later still: an id names one event, or one deletion.
local deleted = math.max(now, ms_in_text(known[3]) + 1)
local existed = call('EXISTS', events, head) > 0
local last = lives[#lives]
if type(last) == 'table' and last.token == token then
    -- An earlier attempt of this very call. Whoever waits until it is safe waits for what its own connection wrote.
    redis.pcall('HSET', tombstones, name, tombstone)
    return { 'landed', last.revision }
end

-- The index of holds knows, too, where the head is lost.
if existed and (type(known[4]) == 'string' or type(redis.pcall('ZSCORE', holds, session)) == 'string') then
    return { 'held', type(known[4]) == 'string' and known[4] or '' }
end
local stands = tostring(known[3]) .. '-' .. tostring(known[1])
local is_there = { ['at ' .. stands] = true, ['as ' .. stands .. ' ' .. link .. ' ' .. (known[7] or '')] = true }
local clock = string.match(condition, '^due (.*)$')
if existed and condition ~= '' and not clock and not is_there[condition] then return { 'kept' } end
if existed and clock then
    local last_ms, ttl = ms_in_text(known[3]), ms_in_text(known[5])
    if ttl == 0 or last_ms == 0 then
        call('ZREM', due, session)
        return { 'kept' }
    end
    -- A clock that has gone astray deletes nothing: the other one must agree.
    if last_ms + ttl > math.min(now, ms_in_text(clock)) then
        call('ZADD', due, last_ms + ttl, session)
        return { 'kept' }
    end
end

-- What should be tombstones and is none fails here, before anything is written.
call('ZCARD', by_time)

-- First a write that is never refused for want of memory; once it is done, none is.
call('UNLINK', events, head, snapshot, live, rewrite, ids, run)
redis.pcall('ZREM', sessions, session)
redis.pcall('ZREM', due, session)
local about = type(known[6]) == 'string' and known[6] or nil
for one in string.gmatch(about or '', '[%w_~-]+') do redis.pcall('ZREM', subjects, subject_line(one, session)) end
forget_texts(texts, session)
if not existed then return { 'gone' } end

local life = { session = session, revision = revision, link = link, first = first_link, deleted = deleted, clock = now,
    by = by, reason = reason, token = token, subjects = about, archived = archived ~= '' and archived or nil }
lives[#lives + 1] = life
while #lives > tonumber(most_lives) do table.remove(lives, 1) end
call('HSET', tombstones, name, cjson.encode(lives))
call('ZADD', by_time, now, name)

-- A few of the oldest a time, so that there are never many more than should be.
local surplus = call('ZCARD', by_time) - tonumber(stay)
if surplus > 0 then
    local oldest = call('ZRANGE', by_time, 0, math.min(surplus, 16) - 1, 'WITHSCORES')
    for at = 1, #oldest, 2 do
        local is_old = tonumber(oldest[at + 1]) < now - tonumber(stay_ms)
        if is_old or call('ZCARD', by_time) > tonumber(most) then
            call('HDEL', tombstones, oldest[at])
            call('ZREM', by_time, oldest[at])
        end
    end
end

local facts = cjson.encode({ revision = revision, first = first_link, by = by, reason = reason, archived = life.archived })
if type(redis.pcall('XLEN', feed)) == 'number' then
    pcall(function()
        local now, count, id, type_, agent, its_link = tostring(now), 1, deleted .. '-' .. revision, 'session.deleted', '', link
        -- here: lib/feed_place
        -- here: lib/feed_add
    end)
end
return { 'landed', revision }

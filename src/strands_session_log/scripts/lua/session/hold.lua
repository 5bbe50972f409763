-- Holds a session, or ends holds: appends the event that tells of it, and notes in the head and in the partition's index
-- which such events hold. Both happen, or neither.
-- uses: lib/append, lib/batch
--
-- KEYS: as lib/append.lua for a batch that begins a session, though this one never does; holds, due (one slot)
-- ARGV: what lib/append.lua takes for one event; the session whose key it is encrypted with, '' for none; and last the ids of the holds that it ends, separated by blanks, '' where
--       it begins one
--
-- Returns what an append does; {'gone'} without a session; {'free'} where one of these holds is not in force.
local ended, root = table.remove(ARGV), table.remove(ARGV)
if root == '' then root = nil end
local events, head, session, holds, due = KEYS[1], KEYS[2], ARGV[4], KEYS[7], KEYS[8]
local revision, held, ttl = unpack(redis.call('HMGET', head, 'revision', 'held', 'ttl'))
if not revision then return { 'gone' } end

-- What should be an index and is none fails here, before anything is written.
redis.call('ZCARD', holds)
redis.call('ZCARD', due)

local was_there, left = landed(events), {}
for id in string.gmatch(held or '', '%S+') do
    if not string.find(' ' .. ended .. ' ', ' ' .. id .. ' ', 1, true) then left[#left + 1] = id end
end
if not was_there then
    for id in string.gmatch(ended, '%S+') do
        if not string.find(' ' .. (held or '') .. ' ', ' ' .. id .. ' ', 1, true) then return { 'free' } end
    end
end

local answer = append(nil, root)
-- What landed before was noted then, and something else may have been noted since.
if type(answer) ~= 'string' or was_there then return answer end
local its_ms, its_revision = string.match(answer, ' (%d+)-(%d+)$')
if ended == '' then left[#left + 1] = its_ms .. '-' .. its_revision end
if #left > 0 then
    redis.call('HSET', head, 'held', table.concat(left, ' '))
    redis.call('ZADD', holds, string.match(left[1], '^%d+'), session)
    redis.call('ZREM', due, session)
else
    redis.call('HDEL', head, 'held')
    redis.call('ZREM', holds, session)
    if ttl then redis.call('ZADD', due, its_ms + ttl, session) end
end
return answer

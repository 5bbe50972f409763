-- Saves points of a session's snapshot: compare and advance, so that nobody moves it backwards.
--
-- KEYS: events, head, snapshot (one slot)
-- ARGV: 1 the head's erased ranges, and 2 the points, as the saver knew them; 3 the points there are to be;
--       4 how many points follow; 5 whether they are authenticated, 1 or 0; each point: id, link, manifest, names of the
--       segments it needs; then name, segment, ...
--
-- Returns 1, or 0 when it was overtaken: something was erased, others have saved, a segment is gone, or the log is not
-- what was folded; and when it would take the place of what somebody with a key has saved.
local FIRST, WIDTH = 6, 4
local count = tonumber(ARGV[4])
local segments = FIRST + count * WIDTH

if (redis.call('HGET', KEYS[2], 'erased') or '') ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[3], 'points') or '') ~= ARGV[2] then return 0 end
if ARGV[5] == '0' and redis.call('HEXISTS', KEYS[3], 'authenticated') == 1 then return 0 end
local given = {}
for at = segments, #ARGV, 2 do given[ARGV[at]] = true end
for number = 0, count - 1 do
    local at = FIRST + number * WIDTH
    local entry = redis.call('XRANGE', KEYS[1], ARGV[at], ARGV[at])[1]
    if not entry then return 0 end
    local link
    for field = 1, #entry[2], 2 do
        if entry[2][field] == 'link' then link = entry[2][field + 1] end
    end
    if link ~= ARGV[at + 1] then return 0 end
    for name in string.gmatch(ARGV[at + 3], '%S+') do
        if not given[name] and redis.call('HEXISTS', KEYS[3], 'segment:' .. name) == 0 then return 0 end
    end
end

for number = 0, count - 1 do
    local at = FIRST + number * WIDTH
    redis.call('HSET', KEYS[3], 'point:' .. ARGV[at], ARGV[at + 2], 'needs:' .. ARGV[at], ARGV[at + 3])
end
for at = segments, #ARGV, 2 do redis.call('HSET', KEYS[3], 'segment:' .. ARGV[at], ARGV[at + 1]) end
redis.call('HSET', KEYS[3], 'points', ARGV[3])
if ARGV[5] == '1' then redis.call('HSET', KEYS[3], 'authenticated', 'hmac-sha-256') end

-- What no point needs any more.
local kept = { points = true, authenticated = true }
for id in string.gmatch(ARGV[3], '%S+') do
    kept['point:' .. id], kept['needs:' .. id] = true, true
    for name in string.gmatch(redis.call('HGET', KEYS[3], 'needs:' .. id) or '', '%S+') do kept['segment:' .. name] = true end
end
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if not kept[field] then redis.call('HDEL', KEYS[3], field) end
end
return 1
